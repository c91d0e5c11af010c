//! The calls of the media server that are in progress, and the sessions that are still to be closed.
//!
//! Both are kept in memory only. If the room is restarted, the media server ends a session itself after
//! its peer has disconnected.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::core::live::{MediaCall, MediaSession};
use crate::core::peer::{Seat, Time};

/// The maximum number of calls in progress that the room starts by itself. Cloudflare's platform lets a
/// Durable Object wait for six responses at a time. The answers of peers are not counted, because each
/// of them follows an offer.
const MAX_CALLS: usize = 6;

/// The maximum number of sessions that wait to be closed. The media server ends the others itself.
const MAX_CLOSING: usize = 4_096;

/// The delays before a session is closed again that could not be closed, in milliseconds. Its clients
/// may ignore the end of the session, and the media server ends it only after they disconnect.
const CLOSE_AGAIN_MS: [u64; 3] = [2_000, 8_000, 30_000];

/// The state of all calls of one room.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    in_progress: Vec<Call>,
    closing: VecDeque<Closing>,
}

/// A session that waits to be closed.
#[derive(Debug)]
struct Closing {
    session: MediaSession,
    /// The `mid`s of its tracks.
    mids: Vec<Rc<str>>,
    /// The number of failed attempts.
    failures: usize,
    /// The time of the next attempt. 0: as soon as there is space for the call. The end of another call
    /// makes space, so the session needs no alarm then.
    at: Time,
}

/// A call in progress.
#[derive(Debug)]
pub(crate) struct Call {
    /// The number of the call.
    pub(crate) number: u64,
    /// The session that the call concerns. `None` while it is created.
    pub(crate) session: Option<MediaSession>,
    /// The purpose of the call.
    pub(crate) purpose: Purpose,
    /// The `mid`s of the tracks that the call closes.
    mids: Vec<Rc<str>>,
    /// The time until which the room waits for the outcome, if it was restarted during the call. The
    /// outcome may be lost then.
    until: Option<Time>,
}

/// The purpose of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To create a session for a peer, or to get an offer for it. After a restart of the room, also to
    /// pass on its answer.
    Offer(Seat),
    /// To pass on the answer of a peer, which may have asked for an acknowledgement.
    Answer(Seat, Option<u64>),
    /// To ask whether the tracks of the device are active.
    Check,
    /// To close a session, after this number of failed attempts.
    Close(usize),
}

impl Calls {
    /// Records a call.
    pub(crate) fn begin(&mut self, number: u64, request: &MediaCall, purpose: Purpose) {
        let mids = match request {
            MediaCall::Close { mids, .. } => mids.clone(),
            _ => Vec::new(),
        };
        self.in_progress.push(Call {
            number,
            session: request.session().cloned(),
            purpose,
            mids,
            until: None,
        });
    }

    /// Records a call that was in progress when the room was restarted.
    pub(crate) fn restore(
        &mut self,
        number: u64,
        session: Option<MediaSession>,
        seat: Seat,
        until: Time,
    ) {
        self.in_progress.push(Call {
            number,
            session,
            purpose: Purpose::Offer(seat),
            mids: Vec::new(),
            until: Some(until),
        });
    }

    /// Removes the calls from before a restart whose outcomes are lost.
    pub(crate) fn drop_lost(&mut self, now: Time) {
        let is_lost = |call: &Call| call.until.is_some_and(|until| until <= now);
        self.in_progress.retain(|call| !is_lost(call));
    }

    /// Removes a call that has ended. Returns `None` if the room does not wait for the call.
    pub(crate) fn end(&mut self, number: u64) -> Option<Call> {
        let at = self
            .in_progress
            .iter()
            .position(|call| call.number == number)?;
        Some(self.in_progress.swap_remove(at))
    }

    /// Returns whether the outcome of this call will certainly arrive.
    pub(crate) fn is_certain(&self, number: u64) -> bool {
        let mut calls = self.in_progress.iter();
        calls.any(|call| call.number == number && call.until.is_none())
    }

    /// Returns whether the room may start another call.
    pub(crate) fn has_space(&self) -> bool {
        let answers = |call: &&Call| matches!(call.purpose, Purpose::Answer(..));
        let answers = self.in_progress.iter().filter(answers).count();
        self.in_progress.len().saturating_sub(answers) < MAX_CALLS
    }

    /// Returns whether a call of this session is in progress.
    pub(crate) fn is_busy(&self, session: &MediaSession) -> bool {
        let mut calls = self.in_progress.iter();
        calls.any(|call| call.session.as_ref() == Some(session))
    }

    /// Returns whether no call is in progress and no session waits to be closed.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_progress.is_empty() && self.closing.is_empty()
    }

    /// Closes a session later, when none of its calls is in progress. A session without tracks needs no
    /// call.
    pub(crate) fn close_later(&mut self, session: MediaSession, mids: Vec<Rc<str>>) {
        self.push_closing(Closing {
            session,
            mids,
            failures: 0,
            at: Time(0),
        });
    }

    /// Closes a session again after a delay, because the call that closes it has failed.
    pub(crate) fn close_again(&mut self, call: Call, now: Time) {
        if let (Purpose::Close(failures), Some(session)) = (call.purpose, call.session)
            && let Some(delay) = CLOSE_AGAIN_MS.get(failures)
        {
            self.push_closing(Closing {
                session,
                mids: call.mids,
                failures: failures.saturating_add(1),
                at: now.plus(*delay),
            });
        }
    }

    fn push_closing(&mut self, closing: Closing) {
        if !closing.mids.is_empty() && self.closing.len() < MAX_CLOSING {
            self.closing.push_back(closing);
        }
    }

    /// Returns the call that closes the next session, and its purpose.
    pub(crate) fn next_to_close(&mut self, now: Time) -> Option<(MediaCall, Purpose)> {
        let mut closing = self.closing.iter();
        let is_due = |closing: &Closing| closing.at <= now && !self.is_busy(&closing.session);
        let place = closing.position(is_due)?;
        let Closing {
            session,
            mids,
            failures,
            ..
        } = self.closing.remove(place)?;
        Some((MediaCall::Close { session, mids }, Purpose::Close(failures)))
    }

    /// Records which sessions are due, so that they need no alarm any more. If there is no space for their
    /// calls, an alarm at a time that has passed would ring again and again.
    pub(crate) fn mark_due(&mut self, now: Time) {
        for closing in self.closing.iter_mut().filter(|closing| closing.at <= now) {
            closing.at = Time(0);
        }
    }

    /// Returns the earliest time at which a session is closed again.
    pub(crate) fn next_expiry(&self) -> Option<Time> {
        let times = self.closing.iter().map(|closing| closing.at);
        times.filter(|at| *at > Time(0)).min()
    }
}
