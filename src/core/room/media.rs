//! The connections of peers to the media server.
//!
//! A connection takes three calls: to create a session, to get the offer of the media server, and to
//! pass on the answer of the peer. Each call follows the outcome of the previous one. A connection that
//! fails begins again with a new session.
//!
//! ```text
//!            room has space         Offered        answer         Answered
//!  ┌────────┐  ┌─────────┐         ┌─────────┐    ┌─────────┐    ┌───────────┐
//!  │ Wanted │─▶│ Calling │────────▶│ Offered │───▶│ Calling │───▶│ Connected │
//!  └────────┘  └─────────┘         └─────────┘    └─────────┘    └───────────┘
//!       ▲           │ failure, after a delay           │               │ `restart`, or the
//!       └───────────┴──────────────────────────────────┴───────────────┘ device is back
//! ```

use super::calls::Purpose;
use super::device::CHECK_AGAIN_MS;
use super::turn::Turn;
use crate::core::event::Effect;
use crate::core::live::{LiveState, Media, MediaCall, Stage};
use crate::core::peer::Seat;
use crate::core::refusal::Refusal;

/// The time after which the result of a call no longer arrives, in milliseconds. The shell ends a call
/// after ten seconds.
const CALL_MS: u64 = 15_000;
/// The delay before a peer that asks for a new connection gets it, in milliseconds. It limits the calls
/// that a peer can cause.
const RESTART_MS: u64 = 2_000;

impl<'a> Turn<'_, 'a> {
    /// Starts the calls that are due, as far as there is space.
    #[inline(never)]
    pub(super) fn start_calls(&mut self) {
        self.room.calls.drop_lost(self.now);
        self.room.calls.mark_due(self.now);
        self.check_device();
        self.open_sessions();
        while self.room.calls.has_space()
            && let Some((request, purpose)) = self.room.calls.next_to_close(self.now)
        {
            self.call(request, purpose);
        }
    }

    /// Starts the connections of the peers that need one, in the order of joining.
    fn open_sessions(&mut self) {
        let Some(live) = &mut self.room.live else {
            return;
        };
        let is_live = matches!(live.session.state, LiveState::Live { .. });
        let (mut due, mut retry_at) = (Vec::new(), None);
        for peer in self.room.roster.all() {
            let id = &peer.member.id;
            if peer.open_socket().is_none() || !(is_live || *id == live.session.device) {
                continue;
            }
            let at = match peer.member.stage() {
                None => self.now,
                Some(Stage::Wanted(at)) => at,
                Some(Stage::Calling { call, until }) if !self.room.calls.is_certain(call) => until,
                Some(Stage::Calling { .. } | Stage::Offered | Stage::Connected) => continue,
            };
            if at <= self.now {
                due.push(peer.member.seat);
            } else {
                retry_at = Some(retry_at.map_or(at, |earliest| at.min(earliest)));
            }
        }
        live.retry_at = retry_at;
        for seat in due {
            if !self.room.calls.has_space() {
                // The end of a call starts the next one.
                break;
            }
            self.open_session(seat);
        }
    }

    fn open_session(&mut self, seat: Seat) {
        let stage = self.call_for(MediaCall::Open, Purpose::Offer(seat));
        let Some(peer) = self.room.roster.by_seat_mut(seat) else {
            return;
        };
        let old = peer.member.media.take();
        if let Some(Media {
            stage: Stage::Calling { call, .. },
            ..
        }) = old.as_deref()
        {
            self.room.calls.end(*call);
        }
        let failures = old.as_ref().map_or(0, |media| media.failures);
        peer.member.media = Some(Box::new(Media {
            session: None,
            mids: Vec::new(),
            stage,
            failures,
        }));
        if let Some(old) = old {
            if self.device_seat() == Some(seat) {
                // If the device answers its new offer in time, the question is dropped. Otherwise the
                // stream would seem to be live without tracks.
                self.doubt_device(self.now.plus(CHECK_AGAIN_MS));
            }
            self.close_media(*old);
        }
        self.save(seat);
    }

    /// Starts a call of a peer's session. Returns the stage of the peer until the call ends.
    pub(super) fn call_for(&mut self, request: MediaCall, purpose: Purpose) -> Stage {
        let call = self.call(request, purpose);
        let until = self.now.plus(CALL_MS);
        Stage::Calling { call, until }
    }

    /// Starts a call. Returns its number.
    pub(super) fn call(&mut self, request: MediaCall, purpose: Purpose) -> u64 {
        let call = self.room.next_number(self.now);
        self.room.calls.begin(call, &request, purpose);
        self.effects.push(Effect::Call { call, request });
        call
    }

    /// Closes the sessions of all viewers. While the session is live, they begin again.
    pub(super) fn reset_viewers(&mut self, device: Option<Seat>) {
        let peers = self.room.roster.all();
        let seats = peers.map(|peer| peer.member.seat);
        let seats: Vec<_> = seats.filter(|seat| Some(*seat) != device).collect();
        for seat in seats {
            self.reset_media(seat);
        }
    }

    /// Ends the connection of a peer, which begins again if its session is live.
    pub(super) fn reset_media(&mut self, seat: Seat) {
        let peer = self.room.roster.by_seat_mut(seat);
        if let Some(media) = peer.and_then(|peer| peer.member.media.take()) {
            let before = media.stage;
            self.close_media(*media);
            self.save_after(seat, before);
        }
    }

    /// Closes the session of a peer at the media server.
    pub(super) fn close_media(&mut self, media: Media) {
        if let Some(session) = media.session {
            self.room.calls.close_later(session, media.mids);
        }
    }

    /// Handles a request of a peer for a new connection.
    pub(super) fn restart(&mut self, seat: Seat) {
        let at = self.now.plus(RESTART_MS);
        let Some(media) = self.media_mut(seat) else {
            return;
        };
        match media.stage {
            Stage::Wanted(_) => return,
            // The stage that is stored no longer names the call. After a restart of the room, nothing may
            // call the session during this call, so the peer gives up its session now.
            Stage::Calling { .. } => {
                let mids = std::mem::take(&mut media.mids);
                if let Some(session) = media.session.take() {
                    self.room.calls.close_later(session, mids);
                }
            }
            Stage::Offered | Stage::Connected => {}
        }
        self.set_stage(seat, Stage::Wanted(at));
    }

    /// Passes on the answer of a peer to the offer of the media server.
    ///
    /// # Errors
    ///
    /// The refusal if no offer awaits an answer.
    pub(super) fn answer(
        &mut self,
        seat: Seat,
        ack: Option<u64>,
        payload: String,
    ) -> Result<(), Refusal<'a>> {
        let media = self
            .media_mut(seat)
            .filter(|media| media.stage == Stage::Offered);
        let Some(session) = media.and_then(|media| media.session.clone()) else {
            let message = "no offer of the media server awaits an answer: wait for its next offer";
            return Err(Refusal::malformed(message));
        };
        let request = MediaCall::Answer { session, payload };
        let stage = self.call_for(request, Purpose::Answer(seat, ack));
        self.set_stage(seat, stage);
        Ok(())
    }

    pub(super) fn set_stage(&mut self, seat: Seat, stage: Stage) {
        if let Some(media) = self.media_mut(seat) {
            let before = std::mem::replace(&mut media.stage, stage);
            self.save_after(seat, before);
        }
    }

    /// Stores a peer whose stage has changed. An absent peer begins again when it returns, so its row is
    /// written again only if the row says that its connection works.
    fn save_after(&mut self, seat: Seat, before: Stage) {
        let peer = self.room.roster.by_seat(seat);
        let is_present = peer.is_some_and(|peer| peer.open_socket().is_some());
        if is_present || before == Stage::Connected {
            self.save(seat);
        }
    }

    pub(super) fn media_mut(&mut self, seat: Seat) -> Option<&mut Media> {
        let peer = self.room.roster.by_seat_mut(seat)?;
        peer.member.media.as_deref_mut()
    }
}
