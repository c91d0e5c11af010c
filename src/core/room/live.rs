//! The live session of a room: its creation, its states and its end.
//!
//! The viewers of a session are an audience. A viewer learns of the device and of the media server, but
//! not of the other viewers. Otherwise, 1,000 viewers would cause 500,000 notices.

use super::turn::Turn;
use crate::core::close::Close;
use crate::core::event::{Effect, Reply, Row, RowKey};
use crate::core::live::{LiveRequest, LiveSession, LiveState, LiveStatus, STATE_TYPE, Tracks};
use crate::core::notice::{Notice, RoutedSignal};
use crate::core::peer::{PeerId, Socket, Time};
use crate::core::refusal::{Code, Refusal};

/// The live session of a room, and the state that is kept in memory only.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) session: LiveSession,
    /// The time at which the room asks whether the tracks of the device are active. `None` while the
    /// device is known to be connected.
    pub(crate) check_at: Option<Time>,
    /// Whether it is time to ask.
    pub(crate) is_check_due: bool,
    /// The time of the second question. A track without packets is active for another 30 s.
    pub(crate) check_again_at: Time,
    /// The earliest time at which a peer needs another attempt.
    pub(crate) retry_at: Option<Time>,
}

impl Live {
    pub(crate) const fn new(session: LiveSession) -> Self {
        Self {
            session,
            check_at: None,
            is_check_due: false,
            check_again_at: Time(0),
            retry_at: None,
        }
    }

    /// Returns the earliest time at which the session needs an alarm.
    pub(crate) fn next_expiry(&self) -> Time {
        let times = self.check_at.into_iter().chain(self.retry_at);
        times.fold(self.session.expires_at, Time::min)
    }
}

impl Turn<'_, '_> {
    /// Handles a request of the back end.
    #[inline(never)]
    pub(super) fn handle_live(&mut self, request: LiveRequest) {
        let reply = match request {
            LiveRequest::Create {
                device,
                tracks,
                expires_at,
            } => self.create_live(device, tracks, expires_at),
            LiveRequest::Status => self.live_status(false),
            LiveRequest::Stop => self.live_status(false).inspect(|_| self.stop_live()),
        };
        self.reply(reply.map(Reply::Live));
    }

    fn create_live(
        &mut self,
        device: PeerId,
        tracks: Tracks,
        expires_at: Time,
    ) -> Result<LiveStatus, Refusal<'static>> {
        if let Some(live) = &mut self.room.live {
            if live.session.device != device {
                let other = &live.session.device;
                let message = format!(
                    "this session exists with the device `{other}`: stop it first, or choose another \
                     `sessionId`"
                );
                return Err(Refusal::new(Code::SessionExists, message));
            }
            live.session.tracks = tracks;
            live.session.expires_at = expires_at;
            self.store_session();
            return self.live_status(false);
        }
        self.room.live = Some(Box::new(Live::new(LiveSession {
            device,
            tracks,
            expires_at,
            state: LiveState::Waiting,
        })));
        self.store_session();
        let seat = self.room.roster.next_seat();
        let id = PeerId::media_server();
        let joined = Notice::Joined {
            id,
            polite: true,
            seat,
            meta: None,
        };
        let sockets = self.plain_sockets();
        if !sockets.is_empty() {
            self.push_send(sockets, joined);
        }
        self.tell_state(self.plain_sockets());
        self.live_status(true)
    }

    fn live_status(&self, is_new: bool) -> Result<LiveStatus, Refusal<'static>> {
        let Some(live) = &self.room.live else {
            let message = "this session does not exist, or has ended: create it with POST \
                           /create-session";
            return Err(Refusal::new(Code::NoSuchSession, message));
        };
        Ok(LiveStatus {
            state: live.session.state.name(),
            viewers: self.viewers(),
            is_new,
        })
    }

    /// Ends the live session, if there is one, and removes all peers with it.
    #[inline(never)]
    pub(super) fn stop_live(&mut self) {
        if self.room.live.is_some() {
            self.remove_all(Close::LiveOver);
        }
    }

    /// Ends the live session whose peers are about to be removed: informs them, and closes the session
    /// of the device at the media server.
    pub(super) fn end_session(&mut self) {
        if self.room.live.is_none() {
            return;
        }
        let sockets = self.plain_sockets();
        self.send_state(sockets, "stopped");
        // Without the device, no viewer can watch on. A restart of the room may lose the calls that close
        // the sessions of the viewers.
        self.close_left_device();
        let device = self.device_seat();
        let device = device.and_then(|seat| self.room.roster.by_seat_mut(seat));
        if let Some(media) = device.and_then(|peer| peer.member.media.take()) {
            self.close_media(*media);
        }
        self.room.live = None;
        self.effects.push(Effect::Erase(RowKey::Live));
    }

    /// Changes the state of the session, stores it, and informs all peers.
    pub(super) fn set_state(&mut self, state: LiveState) {
        let Some(live) = &mut self.room.live else {
            return;
        };
        let changes = live.session.state.name() != state.name();
        live.session.state = state;
        self.store_session();
        if changes {
            self.tell_state(self.plain_sockets());
        }
    }

    /// Writes the row of the session.
    pub(super) fn store_session(&mut self) {
        if let Some(live) = &self.room.live {
            let row = Row::Live(live.session.clone());
            self.write_row(row);
        }
    }

    /// Sends the state of the session to WebSockets without an event stream. The clients of the other
    /// dialects first hear of the media server in its offer.
    pub(super) fn tell_state(&mut self, to: Vec<Socket>) {
        if let Some(live) = &self.room.live {
            let state = live.session.state.name();
            self.send_state(to, state);
        }
    }

    fn send_state(&mut self, to: Vec<Socket>, state: &str) {
        if !to.is_empty() {
            let payload = format!(r#"{{"state":"{state}"}}"#);
            self.push_send(to, from_media_server(None, STATE_TYPE, payload));
        }
    }

    fn plain_sockets(&self) -> Vec<Socket> {
        let peers = self.room.roster.all();
        peers.filter_map(|peer| peer.plain_socket()).collect()
    }

    /// Returns whether a peer is the device of the live session.
    pub(super) fn is_device(&self, id: &PeerId) -> bool {
        let live = self.room.live.as_ref();
        live.is_some_and(|live| live.session.device == *id)
    }

    /// Returns whether two peers are visible to each other.
    pub(super) fn are_visible(&self, one: &PeerId, other: &PeerId) -> bool {
        self.room.live.is_none() || self.is_device(one) || self.is_device(other)
    }

    /// Returns whether a notice is about or from a viewer. Only the device receives such a notice.
    pub(super) fn is_about_viewer(&self, notice: &Notice<'_>) -> bool {
        match notice {
            Notice::Joined { id, .. } | Notice::Left { id, .. } => !self.is_device(id),
            Notice::Signal(signal) => !self.is_device(&signal.from),
            _ => false,
        }
    }

    /// Checks that another peer with this id may join. In a full room, the peer whose page goes away
    /// leaves for it.
    pub(super) fn check_capacity(&mut self, id: &PeerId) -> Result<(), Refusal<'static>> {
        let (count, limit, name) = match self.room.live {
            Some(_) if self.is_device(id) => return Ok(()),
            Some(_) => (self.viewers(), self.room.limits.viewers, "viewers"),
            None => (self.room.roster.len(), self.room.limits.peers, "peers"),
        };
        if count < limit {
            return Ok(());
        }
        if count == limit
            && let Some(seat) = self.first_going_away()
        {
            self.leave(seat);
            return Ok(());
        }
        let message =
            format!("the room is full with {limit} {name}: try again after a peer has left");
        Err(Refusal::new(Code::RoomFull, message))
    }

    /// Returns the number of viewers, including absent viewers.
    fn viewers(&self) -> usize {
        let device = self.room.live.as_ref().map(|live| &live.session.device);
        let has_device = device.is_some_and(|id| self.room.roster.by_id(id.as_str()).is_some());
        self.room
            .roster
            .len()
            .saturating_sub(usize::from(has_device))
    }
}

/// Returns a signal from the media server.
pub(super) fn from_media_server(
    to: Option<PeerId>,
    signal_type: &'static str,
    payload: String,
) -> Notice<'static> {
    Notice::Signal(RoutedSignal {
        from: PeerId::media_server(),
        to,
        signal_type: signal_type.into(),
        payload: Some(payload.into()),
    })
}
