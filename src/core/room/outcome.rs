//! The outcomes of calls: the next step of a connection to the media server, or another attempt after a
//! failure.

use std::rc::Rc;

use super::calls::Purpose;
use super::live::from_media_server;
use super::turn::Turn;
use crate::core::live::{LiveState, MediaCall, MediaSession, Outcome, Source, Stage, Tracks};
use crate::core::notice::Notice;
use crate::core::peer::{MEDIA_SERVER, Seat};
use crate::core::refusal::{Code, Refusal};

/// The delays after consecutive failures of the media server, in milliseconds. The last one repeats.
const FAILED_MS: [u64; 4] = [2_000, 8_000, 30_000, 120_000];
/// The delays while the device does not send yet, in milliseconds. Then they continue as [`FAILED_MS`].
const NOT_READY_MS: [u64; 4] = [1_000, 2_000, 4_000, 8_000];
/// The number of consecutive failures after which an invalid answer cannot be repeated.
const MAX_INVALID_ANSWERS: u32 = 2;

impl Turn<'_, '_> {
    /// Handles the end of a call.
    #[inline(never)]
    pub(super) fn handle_called(&mut self, call: u64, outcome: Outcome) {
        let Some(ended) = self.room.calls.end(call) else {
            return;
        };
        let (seat, ack) = match ended.purpose {
            Purpose::Offer(seat) => (seat, None),
            Purpose::Answer(seat, ack) => (seat, ack),
            Purpose::Check => return self.handle_checked(ended.session.as_ref(), &outcome),
            Purpose::Close(_) if outcome == Outcome::Closed => return,
            Purpose::Close(_) => return self.room.calls.close_again(ended, self.now),
        };
        let peer = self.room.roster.by_seat(seat);
        let stage = peer.and_then(|peer| peer.member.stage());
        let is_current = matches!(stage, Some(Stage::Calling { call: own, .. }) if own == call);
        if !is_current {
            // The peer has left, or has begun again.
            if let (Outcome::Offered { mids, .. }, Some(session)) = (outcome, ended.session) {
                self.room.calls.close_later(session, mids);
            }
            return;
        }
        match outcome {
            Outcome::Opened(session) => self.request_offer(seat, session),
            Outcome::Offered { payload, mids } => self.send_offer(seat, payload, mids),
            Outcome::Answered { accepted, rejected } => {
                self.handle_answered(seat, ack, accepted, rejected);
            }
            Outcome::Invalid(message) if matches!(ended.purpose, Purpose::Answer(..)) => {
                self.tell(seat, ack, Err(Refusal::quoting(message)));
                self.retry_answer(seat);
            }
            Outcome::NotReady | Outcome::Gone => {
                let is_gone = outcome == Outcome::Gone;
                if ack.is_some() {
                    self.tell(seat, ack, Err(unavailable()));
                }
                self.doubt_source_of(seat);
                self.fail(seat, if is_gone { &[0] } else { &NOT_READY_MS });
            }
            Outcome::Closed
            | Outcome::Seen { .. }
            | Outcome::Invalid(_)
            | Outcome::Unavailable(_) => {
                self.tell(seat, ack, Err(unavailable()));
                self.fail(seat, &[]);
            }
        }
    }

    /// Continues after the media server has created a session.
    fn request_offer(&mut self, seat: Seat, session: MediaSession) {
        let (Some(live), Some(peer)) = (&self.room.live, self.room.roster.by_seat(seat)) else {
            return;
        };
        let is_device = peer.member.id == live.session.device;
        let request = match &live.session.state {
            _ if peer.open_socket().is_none() => None,
            _ if is_device => Some(MediaCall::Publish {
                session: session.clone(),
                tracks: live.session.tracks,
            }),
            LiveState::Live {
                session: device,
                tracks,
                ..
            } => Some(MediaCall::Pull {
                session: session.clone(),
                device: device.clone(),
                tracks: *tracks,
            }),
            LiveState::Waiting | LiveState::Away => None,
        };
        let Some(request) = request else {
            // An absent peer, or a viewer without a device, begins again when it can continue.
            return self.set_stage(seat, Stage::Wanted(self.now));
        };
        let stage = self.call_for(request, Purpose::Offer(seat));
        if let Some(media) = self.media_mut(seat) {
            media.session = Some(session);
            media.stage = stage;
        }
        self.save(seat);
    }

    fn send_offer(&mut self, seat: Seat, payload: String, mids: Vec<Rc<str>>) {
        let Some(media) = self.media_mut(seat) else {
            return;
        };
        media.mids = mids;
        media.stage = Stage::Offered;
        let Some(peer) = self.room.roster.by_seat(seat) else {
            return;
        };
        let id = peer.member.id.clone();
        if peer.open_socket().is_none() {
            return self.set_stage(seat, Stage::Wanted(self.now));
        }
        self.save(seat);
        // A stream that cannot keep the offer still sends it.
        let _ = self.notify(seat, from_media_server(Some(id), "offer", payload));
    }

    fn handle_answered(
        &mut self,
        seat: Seat,
        ack: Option<u64>,
        accepted: Tracks,
        rejected: Tracks,
    ) {
        let Some(peer) = self.room.roster.by_seat_mut(seat) else {
            return;
        };
        let live = self.room.live.as_ref();
        let is_device = live.is_some_and(|live| live.session.device == peer.member.id);
        let Some(media) = peer.member.media.as_deref_mut() else {
            return;
        };
        let (session, mids) = (media.session.clone(), media.mids.clone());
        if is_device && accepted.is_empty() {
            let message = "the answer sends neither audio nor video: add a track before you answer \
                           the next offer";
            self.tell(seat, ack, Err(Refusal::malformed(message)));
            return self.fail(seat, &[]);
        }
        media.stage = Stage::Connected;
        media.failures = 0;
        self.save(seat);
        if let (true, Some(session)) = (is_device, session) {
            self.tell(seat, ack, Ok(()));
            return self.go_live(seat, session, accepted, mids);
        }
        if rejected.is_empty() {
            return self.tell(seat, ack, Ok(()));
        }
        let kinds: Vec<_> = rejected.kinds().collect();
        let message = format!(
            "your client supports no codec of the {} of the device: use another browser",
            kinds.join(" and the ")
        );
        self.tell(
            seat,
            ack,
            Err(Refusal::new(Code::UnsupportedCodec, message)),
        );
    }

    /// Makes the tracks of the device available to all viewers, who get new sessions.
    fn go_live(&mut self, device: Seat, session: MediaSession, tracks: Tracks, mids: Vec<Rc<str>>) {
        self.reset_viewers(Some(device));
        self.close_left_device();
        if let Some(live) = &mut self.room.live {
            live.check_at = None;
        }
        self.set_state(LiveState::Live {
            session,
            tracks,
            mids,
            source: Source::Certain,
        });
    }

    /// Lets a peer answer its offer again. After too many invalid answers, it must wait for another
    /// offer, because each answer can be a call.
    fn retry_answer(&mut self, seat: Seat) {
        let Some(media) = self.media_mut(seat) else {
            return;
        };
        if media.failures >= MAX_INVALID_ANSWERS {
            return self.fail(seat, &[]);
        }
        media.failures = media.failures.saturating_add(1);
        self.set_stage(seat, Stage::Offered);
    }

    /// Lets a peer begin again after a delay, which grows with each consecutive failure.
    fn fail(&mut self, seat: Seat, first: &[u64]) {
        let Some(media) = self.media_mut(seat) else {
            return;
        };
        let before = usize::try_from(media.failures).unwrap_or(usize::MAX);
        let delays = first.iter().chain(&FAILED_MS);
        let delay = delays.clone().nth(before).or(delays.last());
        let delay = delay.copied().unwrap_or_default();
        media.failures = media.failures.saturating_add(1);
        self.set_stage(seat, Stage::Wanted(self.now.plus(delay)));
    }

    /// Asks about the device if a viewer has waited for its tracks for long. The media server may have
    /// lost them, for example with a restart, while the device keeps its WebSocket.
    fn doubt_source_of(&mut self, seat: Seat) {
        let failures = self.media_mut(seat).map_or(0, |media| media.failures);
        let has_waited = usize::try_from(failures).is_ok_and(|count| count >= NOT_READY_MS.len());
        if has_waited && self.device_seat() != Some(seat) {
            self.doubt_device(self.now);
        }
    }

    /// Acknowledges the answer of a peer, or informs the peer of a failure.
    fn tell(&mut self, seat: Seat, ack: Option<u64>, result: Result<(), Refusal<'static>>) {
        let notice = match (ack, result) {
            (Some(ack), result) => Notice::Acknowledged { ack, result },
            (None, Err(refusal)) => Notice::Refused(refusal),
            (None, Ok(())) => return,
        };
        // If the outbox of the peer is full, the notice is dropped.
        let _ = self.notify(seat, notice);
    }
}

fn unavailable() -> Refusal<'static> {
    let message = "the media server failed: wait for its next offer, which the room requests within two \
                   minutes";
    Refusal {
        to: Some(MEDIA_SERVER.into()),
        ..Refusal::new(Code::MediaUnavailable, message)
    }
}
