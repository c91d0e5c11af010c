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

use std::rc::Rc;

use super::calls::Purpose;
use super::device::LOOK_AGAIN_MS;
use super::live::from_media_server;
use super::turn::Turn;
use crate::core::event::Effect;
use crate::core::live::{Media, MediaCall, MediaSession, OnAir, Outcome, Source, Stage, Tracks};
use crate::core::notice::Notice;
use crate::core::peer::{PeerId, Seat};
use crate::core::refusal::{Code, Refusal};

/// The time after which the result of a call no longer arrives, in milliseconds. The shell ends a call
/// after ten seconds.
const CALL_MS: u64 = 15_000;
/// The delays after consecutive failures of the media server, in milliseconds. The last one repeats.
const FAILED_MS: [u64; 4] = [2_000, 8_000, 30_000, 120_000];
/// The delays while the device does not send yet, in milliseconds. Then they continue as [`FAILED_MS`].
const NOT_READY_MS: [u64; 4] = [1_000, 2_000, 4_000, 8_000];
/// The number of consecutive failures after which an invalid answer cannot be repeated.
const MAX_INVALID_ANSWERS: u32 = 2;
/// The delay before a peer that asks for a new connection gets it, in milliseconds. It limits the calls
/// that a peer can cause.
const RESTART_MS: u64 = 2_000;

impl<'a> Turn<'_, 'a> {
    /// Starts the calls that are due, as far as there is space.
    #[inline(never)]
    pub(super) fn start_calls(&mut self) {
        self.room.calls.drop_lost(self.now);
        self.look();
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
        let is_live = matches!(live.session.on_air, OnAir::Live { .. });
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
        let stage = self.call_for(seat, MediaCall::Open);
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
                self.doubt_device(self.now.plus(LOOK_AGAIN_MS));
            }
            self.close_media(*old);
        }
        self.save(seat);
    }

    /// Starts a call on the way to an offer.
    fn call_for(&mut self, seat: Seat, request: MediaCall) -> Stage {
        let call = self.call(request, Purpose::Offer(seat));
        let until = self.now.plus(CALL_MS);
        Stage::Calling { call, until }
    }

    pub(super) fn call(&mut self, request: MediaCall, purpose: Purpose) -> u64 {
        let call = self.room.next_number(self.now);
        self.room.calls.begin(call, &request, purpose);
        self.effects.push(Effect::Call { call, request });
        call
    }

    /// Handles the end of a call.
    #[inline(never)]
    pub(super) fn handle_called(&mut self, call: u64, outcome: Outcome) {
        let Some(ended) = self.room.calls.end(call) else {
            return;
        };
        let (seat, ack) = match ended.purpose {
            Purpose::Offer(seat) => (seat, None),
            Purpose::Answer(seat, ack) => (seat, ack),
            Purpose::Look => return self.handle_look(ended.session.as_ref(), &outcome),
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
        let request = match &live.session.on_air {
            // An absent peer, or a viewer without a device, begins again when it can continue.
            _ if peer.open_socket().is_none() => {
                return self.set_stage(seat, Stage::Wanted(self.now));
            }
            _ if is_device => MediaCall::Publish {
                session: session.clone(),
                tracks: live.session.tracks,
            },
            OnAir::Live {
                session: device,
                tracks,
                ..
            } => MediaCall::Pull {
                session: session.clone(),
                device: device.clone(),
                tracks: *tracks,
            },
            OnAir::Waiting | OnAir::Away => return self.set_stage(seat, Stage::Wanted(self.now)),
        };
        let stage = self.call_for(seat, request);
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
            live.look_at = None;
        }
        self.set_on_air(OnAir::Live {
            session,
            tracks,
            mids,
            source: Source::Certain,
        });
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

    /// Handles a request of a peer for a new connection.
    pub(super) fn restart(&mut self, seat: Seat) {
        let at = self.now.plus(RESTART_MS);
        let media = self.media_mut(seat);
        if media.is_some_and(|media| !matches!(media.stage, Stage::Wanted(_))) {
            self.set_stage(seat, Stage::Wanted(at));
        }
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
        let call = self.call(
            MediaCall::Answer { session, payload },
            Purpose::Answer(seat, ack),
        );
        let until = self.now.plus(CALL_MS);
        self.set_stage(seat, Stage::Calling { call, until });
        Ok(())
    }

    fn set_stage(&mut self, seat: Seat, stage: Stage) {
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

    fn media_mut(&mut self, seat: Seat) -> Option<&mut Media> {
        let peer = self.room.roster.by_seat_mut(seat)?;
        peer.member.media.as_deref_mut()
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
    let message = "the media server does not respond: wait for its next offer, which the room requests \
                   again within two minutes";
    Refusal {
        to: Some(PeerId::media_server().as_str().to_owned().into()),
        ..Refusal::new(Code::MediaUnavailable, message)
    }
}
