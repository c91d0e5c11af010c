//! What peers send: looked at for pace and form, and forwarded, held or refused.

use std::borrow::Cow;

use super::pace::Verdict;
use super::roster::{Peer, Presence};
use super::{Effects, Room, tell};
use crate::close::Close;
use crate::event::{Effect, Forwarded, Held, Notice, Row, Signal};
use crate::peer::{PeerId, Socket, Time};
use crate::refusal::{Code, Refusal};

/// The kinds that are the server's own in some dialect. No peer may send them, so that what looks
/// like a notice is one.
const RESERVED: [&str; 4] = ["welcome", "peer-joined", "peer-left", "error"];

impl Room {
    pub(super) fn frame<'a>(
        &mut self,
        now: Time,
        socket: Socket,
        signal: Result<Signal<'a>, Refusal<'a>>,
        effects: &mut Effects<'a>,
    ) {
        let Some(Peer {
            member,
            presence: Presence::Here(pace),
        }) = self.roster.by_socket(socket)
        else {
            return;
        };
        let seat = member.seat;
        let verdict = pace.weigh(now);
        let (refusal, close) = match signal {
            _ if verdict != Verdict::Pass => {
                let message = "at most 100 frames a second, and 200 in a burst: send fewer";
                let close = (verdict == Verdict::Expel).then_some(Close::TooFast);
                (Refusal::new(Code::TooFast, message), close)
            }
            Ok(signal) if RESERVED.contains(&&*signal.kind) => {
                let message = format!(
                    "only the server says `{}`: choose another kind",
                    signal.kind
                );
                (Refusal::new(Code::ReservedType, message), None)
            }
            Ok(Signal {
                claims: Some(claims),
                ..
            }) if claims != member.id.as_str() => {
                let message = format!(
                    "this socket is `{}`, and can speak for nobody else",
                    member.id
                );
                (Refusal::malformed(message), None)
            }
            Ok(signal) => {
                let from = member.id.clone();
                return self.forward(now, socket, from, signal, effects);
            }
            Err(refusal) => {
                let close = refusal.code.close();
                (refusal, close)
            }
        };
        tell(vec![socket], Notice::Refused(refusal), effects);
        if let Some(close) = close {
            effects.push(Effect::Close(socket, close));
            self.leave(seat, effects);
        }
    }

    /// Sends a signal where it is to go, or holds it, or says why neither can be.
    fn forward<'a>(
        &mut self,
        now: Time,
        socket: Socket,
        from: PeerId,
        signal: Signal<'a>,
        effects: &mut Effects<'a>,
    ) {
        let Signal {
            to,
            kind,
            payload,
            claims: _,
        } = signal;
        let Some(to) = to else {
            let forwarded = Forwarded {
                from,
                to: None,
                kind,
                payload,
            };
            if self.roster.len() == 1 {
                return self.hold_for_next(now, forwarded, effects);
            }
            let absent: Vec<_> = self
                .roster
                .absent()
                .map(|peer| peer.member.id.clone())
                .collect();
            for id in absent {
                self.hold(id, forwarded.clone(), effects);
            }
            let mut others = self.roster.present();
            others.retain(|other| *other != socket);
            return tell(others, Notice::Signal(forwarded), effects);
        };
        let Some(receiver) = self.roster.by_id(&to) else {
            let message = "nobody in the room has this id";
            return self.refuse(&from, Code::NoSuchPeer, message, Some(to), effects);
        };
        let id = receiver.member.id.clone();
        let forwarded = Forwarded {
            from,
            to: Some(id.clone()),
            kind,
            payload,
        };
        match receiver.reached_by() {
            Some(socket) => tell(vec![socket], Notice::Signal(forwarded), effects),
            None => self.hold(id, forwarded, effects),
        }
    }

    /// Holds a signal for an absent peer.
    fn hold<'a>(&mut self, to: PeerId, signal: Forwarded<'a>, effects: &mut Effects<'a>) {
        let number = self.next_held;
        let Some((until, mailbox)) = self.roster.mailbox_of(to.as_str()) else {
            return;
        };
        let held = keep(number, Some(to), until, signal);
        match mailbox.push(held.clone()) {
            Ok(()) => self.store(held, effects),
            Err(code) => {
                let message = "the peer is away, and no more can be held for it: try again later";
                let to = held.to.map(|to| Cow::Owned(to.to_string()));
                self.refuse(&held.from, code, message, to, effects);
            }
        }
    }

    /// Holds a signal for whoever joins next.
    fn hold_for_next<'a>(&mut self, now: Time, signal: Forwarded<'a>, effects: &mut Effects<'a>) {
        let held = keep(self.next_held, None, now.plus(self.limits.hold), signal);
        match self.waiting.push(held.clone()) {
            Ok(()) => self.store(held, effects),
            Err(code) => {
                let message =
                    "nobody else is here, and no more can be held: wait until somebody joins";
                self.refuse(&held.from, code, message, None, effects);
            }
        }
    }

    fn store(&mut self, held: Held, effects: &mut Effects<'_>) {
        self.next_held = held.number.saturating_add(1);
        effects.push(Effect::Store(Row::Held(held)));
    }

    /// Tells the sender of a signal why it goes nowhere; a sender that is away is not told.
    pub(super) fn refuse<'a>(
        &self,
        sender: &PeerId,
        code: Code,
        message: &'static str,
        to: Option<Cow<'a, str>>,
        effects: &mut Effects<'a>,
    ) {
        let sender = self.roster.by_id(sender.as_str());
        if let Some(socket) = sender.and_then(Peer::reached_by) {
            let refusal = Refusal {
                to,
                ..Refusal::new(code, message)
            };
            tell(vec![socket], Notice::Refused(refusal), effects);
        }
    }

    /// A notice did not arrive. A signal among them is held now, or refused to its sender.
    pub(super) fn undelivered<'a>(
        &mut self,
        now: Time,
        socket: Socket,
        notice: Notice<'a>,
        effects: &mut Effects<'a>,
    ) {
        self.lose(now, socket, effects);
        let Notice::Signal(signal) = notice else {
            return;
        };
        match self
            .roster
            .by_socket(socket)
            .map(|peer| peer.member.id.clone())
        {
            Some(id) => self.hold(id, signal, effects),
            None => {
                let message = "the peer has just left";
                self.refuse(&signal.from, Code::NoSuchPeer, message, None, effects);
            }
        }
    }

    /// A notice has no words in its receiver's dialect. Only signals can be so: others have theirs,
    /// or can be left unsaid.
    pub(super) fn unspeakable<'a>(&mut self, notice: Notice<'a>, effects: &mut Effects<'a>) {
        if let Notice::Signal(Forwarded { from, to, .. }) = notice {
            let message = "the receiver's dialect keeps this kind for itself: choose another";
            let to = to.map(|to| Cow::Owned(to.to_string()));
            self.refuse(&from, Code::ReservedType, message, to, effects);
        }
    }
}

/// A signal as it is held.
fn keep(number: u64, to: Option<PeerId>, until: Time, signal: Forwarded<'_>) -> Held {
    let Forwarded {
        from,
        kind,
        payload,
        to: _,
    } = signal;
    let (kind, payload) = (kind.into_owned(), payload.map(Cow::into_owned));
    Held {
        number,
        from,
        to,
        until,
        kind,
        payload,
    }
}
