//! What peers send: looked at for pace and form, and forwarded, held or refused.

use std::borrow::Cow;

use super::join::refuse_join;
use super::pace::Verdict;
use super::roster::{Peer, Presence};
use super::tell::send;
use super::{Effects, Room};
use crate::core::close::Close;
use crate::core::event::{Absent, Effect, Held, Row, Signal};
use crate::core::notice::{Notice, RoutedSignal};
use crate::core::peer::{Key, PeerId, Seat, Socket, Time};
use crate::core::refusal::{Code, Refusal};

/// The kinds that are the server's own in some dialect. No peer may send them, so that what looks
/// like a notice is one.
const RESERVED: [&str; 4] = ["welcome", "peer-joined", "peer-left", "error"];

impl Room {
    /// A frame came over a socket.
    pub(super) fn frame<'a>(
        &mut self,
        now: Time,
        socket: Socket,
        signal: Result<Signal<'a>, Refusal<'a>>,
        effects: &mut Effects<'a>,
    ) {
        let Some(peer) = self.roster.by_socket(socket) else {
            return;
        };
        if peer.presence == Presence::Connected {
            let seat = peer.member.seat;
            self.weigh(now, seat, socket, signal, effects);
        }
    }

    /// A signal came by itself, from a peer with a stream.
    #[inline(never)]
    pub(super) fn post<'a>(
        &mut self,
        now: Time,
        asker: Socket,
        id: &PeerId,
        key: Option<&Key>,
        signal: Signal<'a>,
        effects: &mut Effects<'a>,
    ) {
        let seat = match self.registered(id, key, effects) {
            Ok(seat) => seat,
            Err(refusal) => return refuse_join(asker, refusal, effects),
        };
        self.weigh(now, seat, asker, Ok(signal), effects);
    }

    /// Decides whether what a peer sends goes on its way; if not, `asker` is told.
    fn weigh<'a>(
        &mut self,
        now: Time,
        seat: Seat,
        asker: Socket,
        signal: Result<Signal<'a>, Refusal<'a>>,
        effects: &mut Effects<'a>,
    ) {
        let Some(Peer { member, pace, .. }) = self.roster.by_seat(seat) else {
            return;
        };
        let verdict = pace.weigh(now);
        let (refusal, close) = match signal {
            _ if verdict != Verdict::Pass => {
                let message = "at most 100 frames a second, and 200 in a burst: send fewer";
                let close = (verdict == Verdict::Expel).then_some(Close::TooFast);
                (Refusal::new(Code::TooFast, message), close)
            }
            Ok(signal) if RESERVED.contains(&&*signal.signal_type) => {
                let message = format!(
                    "only the server says `{}`: choose another kind",
                    signal.signal_type
                );
                (Refusal::new(Code::ReservedType, message), None)
            }
            Ok(Signal {
                stated_sender: Some(claims),
                ..
            }) if claims != member.id.as_str() => {
                let message = format!(
                    "this socket is `{}`, and can speak for nobody else",
                    member.id
                );
                (Refusal::malformed(message), None)
            }
            Ok(signal) => return self.forward(now, seat, asker, signal, effects),
            Err(refusal) => {
                let close = Close::after(refusal.code);
                (refusal, close)
            }
        };
        send(vec![asker], Notice::Refused(refusal), effects);
        if let Some(close) = close {
            let reached = self.roster.by_seat(seat).and_then(|peer| peer.reached_by());
            effects.extend(reached.map(|socket| Effect::Close(socket, close)));
            self.leave(now, seat, effects);
        }
    }

    /// Sends a signal where it is to go, or holds it, or says why neither can be.
    fn forward<'a>(
        &mut self,
        now: Time,
        seat: Seat,
        asker: Socket,
        signal: Signal<'a>,
        effects: &mut Effects<'a>,
    ) {
        let Signal {
            to,
            signal_type,
            payload,
            ..
        } = signal;
        let Some(Peer { member, .. }) = self.roster.by_seat(seat) else {
            return;
        };
        let from = member.id.clone();
        let Some(to) = to else {
            let forwarded = RoutedSignal {
                from,
                to: None,
                signal_type,
                payload,
            };
            if self.roster.len() == 1 {
                return self.hold_for_next(now, asker, forwarded, effects);
            }
            for full in self.tell_all(now, Some(seat), &Notice::Signal(forwarded), effects) {
                let to = self.roster.by_seat(full).map(|peer| peer.member.id.clone());
                let to = to.map(|to| Cow::Owned(to.to_string()));
                refuse(asker, Code::MailboxFull, FULL, to, effects);
            }
            return;
        };
        let Some(receiver) = self.roster.by_id(&to) else {
            let message = "nobody in the room has this id";
            return refuse(asker, Code::NoSuchPeer, message, Some(to), effects);
        };
        let (id, seat) = (receiver.member.id.clone(), receiver.member.seat);
        let forwarded = RoutedSignal {
            from,
            to: Some(id),
            signal_type,
            payload,
        };
        if let Err(code) = self.tell(now, seat, Notice::Signal(forwarded), effects) {
            refuse(asker, code, FULL, Some(to), effects);
        }
    }

    /// Holds a signal for whoever joins next.
    fn hold_for_next<'a>(
        &mut self,
        now: Time,
        asker: Socket,
        signal: RoutedSignal<'a>,
        effects: &mut Effects<'a>,
    ) {
        let held = Held {
            number: self.next_held,
            from: signal.from,
            until: now.plus(self.limits.hold),
            signal_type: signal.signal_type.into_owned(),
            payload: signal.payload.map(Cow::into_owned),
        };
        match self.waiting.push(held.clone()) {
            Ok(()) => {
                self.next_held = held.number.saturating_add(1);
                effects.push(Effect::Store(Row::Held(held)));
            }
            Err(code) => {
                let message =
                    "nobody else is here, and no more can be held: wait until somebody joins";
                refuse(asker, code, message, None, effects);
            }
        }
    }

    /// A notice did not arrive. A signal among them is held now, or refused to its sender.
    #[inline(never)]
    pub(super) fn undelivered<'a>(
        &mut self,
        now: Time,
        socket: Socket,
        number: Option<u64>,
        notice: Notice<'a>,
        effects: &mut Effects<'a>,
    ) {
        // What has a number is kept already.
        if let Some(number) = number {
            return self.unsend(now, socket, number, effects);
        }
        self.lose(now, socket, effects);
        let Notice::Signal(signal) = &notice else {
            return;
        };
        let (from, to) = (signal.from.clone(), signal.to.clone());
        let known = self.roster.by_socket(socket);
        let refused = match known.map(|peer| peer.member.seat) {
            Some(seat) => self
                .tell(now, seat, notice, effects)
                .map_err(|code| (code, FULL)),
            None => Err((Code::NoSuchPeer, "the peer has just left")),
        };
        if let Err((code, message)) = refused {
            let to = to.map(|to| Cow::Owned(to.to_string()));
            self.refuse(now, &from, code, message, to, effects);
        }
    }

    /// A notice with a number did not go out on a stream, which is therefore as good as broken.
    fn unsend(&mut self, now: Time, socket: Socket, number: u64, effects: &mut Effects<'_>) {
        let Some(Peer {
            member, presence, ..
        }) = self.roster.by_socket(socket)
        else {
            return;
        };
        member.outbox.unsend(number);
        match *presence {
            Presence::Connected => self.lose(now, socket, effects),
            Presence::Absent(until) => {
                let member = member.clone();
                effects.push(Effect::Store(Row::Absent(Absent { member, until })));
            }
        }
    }

    /// A notice has no words in its receiver's dialect. Only signals can be so: others have theirs,
    /// or can be left unsaid.
    #[inline(never)]
    pub(super) fn unencodable<'a>(
        &mut self,
        now: Time,
        asker: Option<Socket>,
        notice: Notice<'a>,
        effects: &mut Effects<'a>,
    ) {
        if let Notice::Signal(RoutedSignal { from, to, .. }) = notice {
            let message = "the receiver's dialect keeps this kind for itself: choose another";
            let to = to.map(|to| Cow::Owned(to.to_string()));
            match asker {
                Some(asker) => refuse(asker, Code::ReservedType, message, to, effects),
                None => self.refuse(now, &from, Code::ReservedType, message, to, effects),
            }
        }
    }
}

const FULL: &str = "the peer is away, and no more can be held for it: try again later";

/// Tells who has just sent a signal why it goes nowhere.
fn refuse<'a>(
    asker: Socket,
    code: Code,
    message: &'static str,
    to: Option<Cow<'a, str>>,
    effects: &mut Effects<'a>,
) {
    let refusal = Refusal {
        to,
        ..Refusal::new(code, message)
    };
    send(vec![asker], Notice::Refused(refusal), effects);
}
