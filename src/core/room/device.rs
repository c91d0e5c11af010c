//! The device of a live session: what happens when it disconnects, returns, or stops sending.
//!
//! A device that loses its WebSocket may still send its tracks. The room therefore asks the media
//! server. A track without packets is active for another 30 s, so the room asks twice. Only an inactive
//! track, or a session that is gone, ends the stream.

use super::calls::Purpose;
use super::live::Live;
use super::turn::Turn;
use crate::core::live::{LiveState, Media, MediaCall, MediaSession, Outcome, Source, Stage};
use crate::core::peer::{PeerId, Seat, Time};

/// The time between the first two questions, in milliseconds: longer than a track without packets is
/// active.
pub(super) const CHECK_AGAIN_MS: u64 = 35_000;
/// The time between later questions while the device is not in the room, in milliseconds.
const CHECK_LATER_MS: u64 = 300_000;

impl Live {
    /// Plans to ask whether the tracks of the device are active, at this time and 35 s later.
    pub(super) const fn plan_checks(&mut self, at: Time) {
        self.check_at = Some(at);
        self.check_again_at = at.plus(CHECK_AGAIN_MS);
    }
}

impl Turn<'_, '_> {
    /// Plans the next check after a restart of the room. A deployment closes all WebSockets without an
    /// event, so the device may be lost with the restart.
    pub(super) fn restore_checks(&mut self) {
        let has_device = self.device_seat().is_some();
        let expected_by = self.now.plus(self.room.limits.grace);
        let Some(live) = &mut self.room.live else {
            return;
        };
        let LiveState::Live { source, .. } = &mut live.session.state else {
            return;
        };
        match *source {
            Source::Certain if has_device => {}
            Source::InDoubt(at) if has_device => live.plan_checks(at),
            Source::Left(at) => live.plan_checks(at),
            Source::Certain | Source::InDoubt(_) => {
                *source = Source::Left(expected_by);
                live.plan_checks(expected_by);
                // Otherwise each restart would postpone the check.
                self.store_session();
            }
        }
    }

    /// Closes the session of a peer that has left the room. The device of a live stream may continue to
    /// send without being in the room.
    pub(super) fn release_media(&mut self, id: &PeerId, media: Media) {
        let is_relayed = self.room.live.as_ref().is_some_and(|live| {
            matches!(&live.session.state, LiveState::Live { session, .. }
                if *id == live.session.device && media.session.as_ref() == Some(session))
        });
        if !is_relayed {
            self.close_media(media);
        }
    }

    /// Records that the device has left the room. Its tracks may continue.
    pub(super) fn device_left(&mut self) {
        let now = self.now;
        let Some(live) = &mut self.room.live else {
            return;
        };
        if let LiveState::Live { source, .. } = &mut live.session.state {
            *source = Source::Left(now);
            live.plan_checks(now);
            self.store_session();
        }
    }

    /// Prepares the connection of a WebSocket peer that has joined again within its grace period, which
    /// ends at this time. A connection that works stays as it is, and its device receives nothing. Any
    /// other connection begins again, because the peer may have missed its offer.
    pub(super) fn media_returned(&mut self, seat: Seat, grace_end: Time) {
        let Some(peer) = self.room.roster.by_seat(seat) else {
            return;
        };
        let is_connected = peer.member.stage() == Some(Stage::Connected);
        let socket = peer.plain_socket();
        if self.device_seat() == Some(seat) {
            self.plan_device_checks(grace_end);
        } else {
            self.tell_state(socket.into_iter().collect());
        }
        if !is_connected {
            self.reset_media(seat);
        }
    }

    /// Plans to ask whether the tracks of a device that has joined or begun again are active.
    pub(super) fn plan_device_checks(&mut self, at: Time) {
        if let Some(live) = &mut self.room.live
            && let LiveState::Live { source, .. } = &mut live.session.state
        {
            if !matches!(source, Source::Left(_)) {
                *source = Source::InDoubt(at);
            }
            live.plan_checks(at);
            self.store_session();
        }
    }

    /// Plans to ask about a device whose tracks seemed to be certain.
    pub(super) fn doubt_device(&mut self, at: Time) {
        let state = self.room.live.as_ref().map(|live| &live.session.state);
        if let Some(LiveState::Live {
            source: Source::Certain,
            ..
        }) = state
        {
            self.plan_device_checks(at);
        }
    }

    /// Asks whether the tracks of the device are active, if it is time.
    pub(super) fn check_device(&mut self) {
        let Some(live) = &mut self.room.live else {
            return;
        };
        let LiveState::Live { session, .. } = &live.session.state else {
            live.check_at = None;
            live.is_check_due = false;
            return;
        };
        let calls = &self.room.calls;
        if live.check_at.is_some_and(|at| at <= self.now) {
            live.check_at = None;
            live.is_check_due = true;
        }
        // The end of another call asks again.
        if live.is_check_due && calls.has_space() && !calls.is_busy(session) {
            live.is_check_due = false;
            let session = session.clone();
            self.call(MediaCall::Check { session }, Purpose::Check);
        }
    }

    /// Handles the end of [`MediaCall::Check`].
    pub(super) fn handle_checked(&mut self, checked: Option<&MediaSession>, outcome: &Outcome) {
        let now = self.now;
        let has_device = self.device_seat().is_some();
        let Some(live) = &mut self.room.live else {
            return;
        };
        let is_current = match &live.session.state {
            LiveState::Live { session, .. } => checked == Some(session),
            LiveState::Waiting | LiveState::Away => false,
        };
        if !is_current || live.check_at.is_some() || live.is_check_due {
            return;
        }
        live.check_at = match outcome {
            Outcome::Seen { is_active: false } | Outcome::Gone => return self.device_ended(),
            Outcome::Seen { is_active: true } if now >= live.check_again_at => {
                if has_device {
                    return self.device_sends();
                }
                Some(now.plus(CHECK_LATER_MS))
            }
            Outcome::Seen { is_active: true } => Some(live.check_again_at),
            // The media server failed.
            _ => Some(now.plus(CHECK_AGAIN_MS)),
        };
    }

    /// Records that the device in the room certainly sends its tracks.
    fn device_sends(&mut self) {
        if let Some(live) = &mut self.room.live
            && let LiveState::Live { source, .. } = &mut live.session.state
            && matches!(source, Source::InDoubt(_))
        {
            *source = Source::Certain;
            self.store_session();
        }
    }

    /// Closes the session of a device that has left the room, and whose tracks may continue.
    pub(super) fn close_left_device(&mut self) {
        let Some(live) = &self.room.live else {
            return;
        };
        if let LiveState::Live {
            session,
            mids,
            source: Source::Left(_),
            ..
        } = &live.session.state
        {
            self.room.calls.close_later(session.clone(), mids.clone());
        }
    }

    /// Ends the stream of a device that sends nothing any more. If the device is in the room, it gets a
    /// new offer.
    fn device_ended(&mut self) {
        let Some(live) = &self.room.live else {
            return;
        };
        let ended = match &live.session.state {
            LiveState::Live { session, .. } => Some(session.clone()),
            LiveState::Waiting | LiveState::Away => None,
        };
        self.set_state(LiveState::Away);
        let device = self.device_seat();
        self.reset_viewers(device);
        let peer = device.and_then(|seat| self.room.roster.by_seat(seat));
        let media = peer.and_then(|peer| peer.member.media.as_deref());
        if let (Some(seat), Some(media)) = (device, media)
            && media.session == ended
        {
            self.reset_media(seat);
        }
    }

    /// Returns the seat of the device, if it is in the room.
    pub(super) fn device_seat(&self) -> Option<Seat> {
        let live = self.room.live.as_ref()?;
        let peer = self.room.roster.by_id(live.session.device.as_str())?;
        Some(peer.member.seat)
    }
}
