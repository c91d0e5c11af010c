//! Signals from peers: checks their rate and content, then forwards, holds or refuses them.

use std::borrow::Cow;

use super::roster::{Peer, Presence};
use super::turn::Turn;
use crate::core::close::Close;
use crate::core::event::{Effect, Held, Row, Signal};
use crate::core::notice::{Notice, RoutedSignal};
use crate::core::outbox::{MAX_HELD, MAX_HELD_BYTES, MAX_ROOM_BYTES};
use crate::core::peer::MEDIA_SERVER;
use crate::core::peer::{Key, PeerId, Seat, Socket};
use crate::core::rate_limit::Decision;
use crate::core::refusal::{Code, Refusal};

/// Signal types that the room reserves in every dialect. A peer cannot send them, so that no peer
/// can imitate a frame from the server.
const RESERVED: [&str; 4] = ["welcome", "peer-joined", "peer-left", "error"];

/// The peer that sent a signal.
pub(super) struct Sender {
    seat: Seat,
    id: PeerId,
    source: Source,
}

/// The way in which a signal arrived. A refusal is sent back the same way.
#[derive(Clone, Copy)]
pub(super) enum Source {
    /// A WebSocket, and the number with which the client asks for an acknowledgement.
    WebSocket(Socket, Option<u64>),
    Post,
}

/// Whether a signal was handled, or its sender hears of the result later.
enum Forwarded {
    Now,
    Later,
}

impl Sender {
    pub(super) fn new(peer: &Peer, source: Source) -> Self {
        Self {
            seat: peer.member.seat,
            id: peer.member.id.clone(),
            source,
        }
    }
}

impl<'a> Turn<'_, 'a> {
    /// Handles a frame from a WebSocket.
    pub(super) fn handle_frame(
        &mut self,
        socket: Socket,
        signal: Result<Signal<'a>, Refusal<'a>>,
        bytes: usize,
    ) {
        let Some(peer) = self.room.roster.by_socket(socket) else {
            return;
        };
        if peer.presence == Presence::Connected {
            let decision = peer.rate_limiter.check(self.now, bytes);
            let ack = signal.as_ref().ok().and_then(|signal| signal.ack);
            let sender = Sender::new(peer, Source::WebSocket(socket, ack));
            self.accept_signal(sender, decision, signal);
        }
    }

    /// Handles a signal that a registered peer sent in an HTTP request.
    #[inline(never)]
    pub(super) fn handle_post(
        &mut self,
        id: &PeerId,
        key: Option<&Key>,
        signal: Result<Signal<'a>, Refusal<'a>>,
        bytes: usize,
    ) {
        let seat = match self.find_registered(id, key) {
            Ok((seat, is_confirmed)) => {
                if is_confirmed {
                    self.save(seat);
                }
                seat
            }
            Err(refusal) => return self.reply(Err(refusal)),
        };
        if let Some(peer) = self.room.roster.by_seat_mut(seat) {
            let decision = peer.rate_limiter.check(self.now, bytes);
            let sender = Sender::new(peer, Source::Post);
            self.accept_signal(sender, decision, signal);
        }
    }

    /// Forwards a valid signal that is within the rate limit, and refuses any other signal. Closes
    /// the sender's WebSocket if the refusal requires that.
    pub(super) fn accept_signal(
        &mut self,
        sender: Sender,
        decision: Decision,
        signal: Result<Signal<'a>, Refusal<'a>>,
    ) {
        let (refusal, close) = match (decision, signal) {
            (Decision::Refuse(message), _) => (Refusal::new(Code::TooFast, message), None),
            (Decision::Disconnect(message), _) => {
                let refusal = Refusal::new(Code::TooFast, message);
                (refusal, Some(Close::TooFast))
            }
            (Decision::Pass, Ok(signal)) => match check(&signal, &sender.id) {
                Ok(()) => return self.forward(sender, signal),
                Err(refusal) => (refusal, None),
            },
            (Decision::Pass, Err(refusal)) => {
                let close = Close::after(refusal.code);
                (refusal, close)
            }
        };
        self.refuse_source(sender.source, refusal);
        if let Some(close) = close {
            let peer = self.room.roster.by_seat(sender.seat);
            if let Some(socket) = peer.and_then(|peer| peer.open_socket()) {
                self.effects.push(Effect::Close(socket, close));
            }
            self.leave(sender.seat);
        }
    }

    /// Sends a signal to its receivers, or queues it for absent receivers. Refuses a signal that
    /// cannot be queued. Acknowledges a signal whose sender asks for that.
    fn forward(&mut self, sender: Sender, signal: Signal<'a>) {
        let source = sender.source;
        match self.try_forward(sender, signal) {
            Ok(Forwarded::Now) => {
                if let Source::WebSocket(socket, Some(ack)) = source {
                    let result = Ok(());
                    self.push_send(vec![socket], Notice::Acknowledged { ack, result });
                }
            }
            Ok(Forwarded::Later) => {}
            Err(refusal) => self.refuse_source(source, refusal),
        }
    }

    fn try_forward(
        &mut self,
        sender: Sender,
        signal: Signal<'a>,
    ) -> Result<Forwarded, Refusal<'a>> {
        let Signal {
            to,
            signal_type,
            payload,
            ack,
            ..
        } = signal;
        let Sender { seat, id, .. } = sender;
        if to.as_deref() == Some(MEDIA_SERVER) && self.room.live.is_some() {
            return self.signal_media_server(seat, &signal_type, payload, ack);
        }
        let mut signal = RoutedSignal {
            from: id,
            to: None,
            signal_type,
            payload,
        };
        let Some(to) = to else {
            if self.room.roster.len() == 1 && self.room.live.is_none() {
                return self.hold(signal).map(|()| Forwarded::Now);
            }
            let full = self.broadcast(Some(seat), None, &Notice::Signal(signal));
            let only = match &full[..] {
                [seat] => self.room.roster.by_seat(*seat),
                _ => None,
            };
            return match only {
                Some(peer) => Err(queue_full(&peer.member.id)),
                None if full.is_empty() => Ok(Forwarded::Now),
                None => Err(queues_full(full.len())),
            };
        };
        let Some(receiver) = self.room.roster.by_id(&to) else {
            if self.room.limits.await_peer > 0 {
                self.wait_for_peer(to, signal);
                return Ok(Forwarded::Now);
            }
            let message = format!(
                "no peer `{to}` is in this room: wait until it joins, or send to another peer"
            );
            return Err(Refusal {
                code: Code::NoSuchPeer,
                to: Some(to),
                ..Refusal::quoting(message)
            });
        };
        let (seat, id) = (receiver.member.seat, receiver.member.id.clone());
        signal.to = Some(id.clone());
        match self.notify(seat, Notice::Signal(signal)) {
            Ok(()) => Ok(Forwarded::Now),
            Err(_) => Err(queue_full(&id)),
        }
    }

    /// Handles a signal to the media server.
    #[inline(never)]
    fn signal_media_server(
        &mut self,
        seat: Seat,
        signal_type: &str,
        payload: Option<Cow<'a, str>>,
        ack: Option<u64>,
    ) -> Result<Forwarded, Refusal<'a>> {
        match signal_type {
            "answer" => {
                let payload = payload.unwrap_or_default().into_owned();
                self.answer(seat, ack, payload)?;
                Ok(Forwarded::Later)
            }
            // The media server has a public address, so it does not need the candidates of a peer.
            "candidate" => Ok(Forwarded::Now),
            "restart" => {
                self.restart(seat);
                Ok(Forwarded::Now)
            }
            _ => {
                let message = format!(
                    "the media server accepts the types `answer`, `candidate` and `restart`, not \
                     `{signal_type}`: wait for its offer"
                );
                let to = Some(MEDIA_SERVER.into());
                let code = Code::ReservedType;
                Err(Refusal {
                    code,
                    to,
                    ..Refusal::quoting(message)
                })
            }
        }
    }

    /// Holds a broadcast until the next peer joins.
    fn hold(&mut self, signal: RoutedSignal<'a>) -> Result<(), Refusal<'a>> {
        let held = Held {
            number: self.room.next_held,
            from: signal.from,
            expires_at: self.now.plus(self.room.limits.hold),
            signal_type: signal.signal_type.into_owned(),
            payload: signal.payload.map(Cow::into_owned),
        };
        match self.room.held.push(held.clone()) {
            Ok(()) => {
                self.room.next_held = held.number.saturating_add(1);
                self.write_row(Row::Held(held));
                Ok(())
            }
            Err(code) => {
                let message = format!(
                    "no other peer is in this room, and at most {MAX_HELD} broadcasts or {} KiB are \
                     held: wait until a peer joins, then send this broadcast again",
                    MAX_HELD_BYTES / 1024
                );
                Err(Refusal::new(code, message))
            }
        }
    }

    /// Refuses a signal during the event in which it arrived.
    fn refuse_source(&mut self, source: Source, refusal: Refusal<'a>) {
        match source {
            Source::WebSocket(socket, ack) => {
                let notice = match ack {
                    None => Notice::Refused(refusal),
                    Some(ack) => Notice::Acknowledged {
                        ack,
                        result: Err(refusal),
                    },
                };
                self.push_send(vec![socket], notice);
            }
            Source::Post => self.reply(Err(refusal)),
        }
    }
}

/// Checks that the type is not reserved, and that the frame does not name another sender.
fn check<'a>(signal: &Signal<'a>, sender: &PeerId) -> Result<(), Refusal<'a>> {
    let signal_type = &*signal.signal_type;
    if RESERVED.contains(&signal_type) {
        let message =
            format!("the type `{signal_type}` is reserved for the server: choose another type");
        return Err(Refusal::new(Code::ReservedType, message));
    }
    if let Some(stated) = &signal.stated_sender
        && **stated != *sender.as_str()
    {
        let message = format!(
            "this WebSocket belongs to `{sender}`: name `{sender}` as the sender instead of `{stated}`"
        );
        return Err(Refusal::quoting(message));
    }
    Ok(())
}

/// Returns the refusal of a signal that cannot be kept for its receiver.
#[inline(never)]
pub(super) fn queue_full(receiver: &PeerId) -> Refusal<'static> {
    let message = format!(
        "no more signals can be kept for `{receiver}`: at most {MAX_HELD} signals and {} KiB for a peer, \
         and {} MiB for a room. Wait until it reconnects, then send this signal again",
        MAX_HELD_BYTES / 1024,
        MAX_ROOM_BYTES / 1024 / 1024,
    );
    Refusal {
        to: Some(Cow::Owned(receiver.to_string())),
        ..Refusal::new(Code::MailboxFull, message)
    }
}

/// Returns the refusal of a broadcast that cannot be kept for some of its receivers. One refusal
/// with their number costs less than one for each.
#[inline(never)]
fn queues_full(receivers: usize) -> Refusal<'static> {
    let message = format!(
        "no more signals can be kept for {receivers} peers: at most {MAX_HELD} signals and {} KiB for a \
         peer, and {} MiB for a room. Wait until they reconnect, then send this broadcast again",
        MAX_HELD_BYTES / 1024,
        MAX_ROOM_BYTES / 1024 / 1024,
    );
    Refusal::new(Code::MailboxFull, message)
}
