//! One turn of a room: the handling of one event, and the steps that several handlers share.

use std::borrow::Cow;

use super::Room;
use super::roster::{Peer, Presence};
use crate::core::event::{Absent, Effect, Row, RowKey};
use crate::core::notice::{Notice, Registered};
use crate::core::peer::{PeerId, Seat, Socket, Time};
use crate::core::refusal::{Code, Refusal};

/// The effects of one event, in the order in which the shell performs them.
pub(super) type Effects<'a> = Vec<Effect<'a>>;

/// The state of a turn: the room, the time of the event, and the effects so far.
pub(super) struct Turn<'t, 'a> {
    pub(super) room: &'t mut Room,
    pub(super) now: Time,
    pub(super) effects: &'t mut Effects<'a>,
}

impl<'a> Turn<'_, 'a> {
    /// Removes the peer of a closed WebSocket.
    pub(super) fn handle_closed(&mut self, socket: Socket) {
        if let Some(peer) = self.room.roster.by_socket(socket) {
            let seat = peer.member.seat;
            self.leave(seat);
        }
    }

    /// Makes the peer of a failed WebSocket absent. The other peers are not notified until the
    /// grace period ends.
    #[inline(never)]
    pub(super) fn disconnect(&mut self, socket: Socket) {
        let Some(peer) = self.room.roster.by_socket(socket) else {
            return;
        };
        if peer.presence != Presence::Connected {
            return;
        }
        let seat = peer.member.seat;
        if self.room.limits.grace == 0 {
            return self.leave(seat);
        }
        let expires_at = self.now.plus(self.room.limits.grace);
        if let Some(peer) = self.room.roster.set_absent(seat, expires_at) {
            save(peer, self.effects);
        }
    }

    /// Removes a peer permanently. Refuses the signals queued for it to their senders, drops its
    /// held broadcasts, and notifies the other peers.
    pub(super) fn leave(&mut self, seat: Seat) {
        let Some(Peer {
            member, presence, ..
        }) = self.room.roster.remove(seat)
        else {
            return;
        };
        if let Presence::Absent(_) = presence {
            self.effects
                .push(Effect::Erase(RowKey::Absent(member.id.clone())));
        }
        for unsent in member.outbox.unsent() {
            if let Notice::Signal(signal) = &unsent.notice {
                self.refuse(&signal.from, receiver_left(Some(&member.id)));
            }
        }
        for held in self.room.held.take() {
            self.effects.push(Effect::Erase(RowKey::Held(held.number)));
        }
        self.broadcast(None, &Notice::Left { id: member.id });
    }

    /// Removes the absent peers whose grace period has ended, and refuses the held broadcasts that
    /// have expired.
    #[inline(never)]
    pub(super) fn expire(&mut self) {
        for held in self.room.held.take_expired(self.now) {
            self.effects.push(Effect::Erase(RowKey::Held(held.number)));
            let message = "no peer joined in time to receive this broadcast: send it again after a \
                           peer has joined";
            self.refuse(&held.from, Refusal::new(Code::NoSuchPeer, message));
        }
        let absent = self.room.roster.absent();
        let expired = absent.filter(|peer| peer.expires_at().is_some_and(|at| at <= self.now));
        let expired: Vec<_> = expired.map(|peer| peer.member.seat).collect();
        for seat in expired {
            self.leave(seat);
        }
    }

    /// Sets the alarm to the earliest expiry, unless it is already set to that time.
    pub(super) fn set_alarm(&mut self) {
        let next = self.room.next_expiry();
        if self.room.alarm != next {
            self.room.alarm = next;
            self.effects.push(Effect::Alarm(next));
        }
    }

    /// Replies to the HTTP request of the event.
    pub(super) fn reply(&mut self, reply: Result<Registered, Refusal<'a>>) {
        self.effects.push(Effect::Reply(reply));
    }

    /// Sends a notice without an event id.
    pub(super) fn push_send(&mut self, to: Vec<Socket>, notice: Notice<'a>) {
        push_send(to, notice, self.effects);
    }
}

/// Sends a notice without an event id.
pub(super) fn push_send<'a>(to: Vec<Socket>, notice: Notice<'a>, effects: &mut Effects<'a>) {
    effects.push(Effect::Send {
        to,
        number: None,
        notice,
    });
}

/// Stores the state of a peer: with the WebSocket of a connected peer, or in the row of an absent
/// peer.
pub(super) fn save(peer: &Peer, effects: &mut Effects<'_>) {
    let member = peer.member.clone();
    effects.push(match peer.presence {
        Presence::Connected => Effect::Keep(member),
        Presence::Absent(expires_at) => Effect::Store(Row::Absent(Absent { member, expires_at })),
    });
}

/// Returns the refusal of a signal whose receiver has left. `receiver` is `None` for a broadcast.
pub(super) fn receiver_left(receiver: Option<&PeerId>) -> Refusal<'static> {
    let message = match receiver {
        Some(id) => {
            format!("`{id}` left before it received this signal: wait until it joins again")
        }
        None => "a peer left before it received this broadcast: no action is needed".to_owned(),
    };
    Refusal {
        to: receiver.map(|id| Cow::Owned(id.to_string())),
        ..Refusal::new(Code::NoSuchPeer, message)
    }
}
