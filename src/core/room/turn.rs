//! One turn of a room: the handling of one event, and the steps that several handlers share.

use std::borrow::Cow;
use std::rc::Rc;

use super::Room;
use super::roster::{Peer, Presence};
use crate::core::event::{Effect, RowKey};
use crate::core::notice::{Notice, Registered};
use crate::core::outbox::Entry;
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
        let sent = self.room.next_number(self.now);
        self.disconnect_after(socket, sent);
    }

    /// Makes the peer of a failed WebSocket absent. `sent` is the highest number that was sent.
    pub(super) fn disconnect_after(&mut self, socket: Socket, sent: u64) {
        let Some(peer) = self.room.roster.by_socket(socket) else {
            return;
        };
        if peer.presence != Presence::Connected {
            return;
        }
        let seat = peer.member.seat;
        if self.room.limits.grace == 0 {
            self.room.roster.set_absent(seat, self.now, sent);
            return self.leave(seat);
        }
        self.move_attached(seat);
        let expires_at = self.now.plus(self.room.limits.grace).round_up();
        self.room.roster.set_absent(seat, expires_at, sent);
        self.save(seat);
    }

    /// Moves the notices in the attachment of a peer to a row, where they stay when the peer
    /// reconnects. Otherwise each absence of a peer would write them again.
    fn move_attached(&mut self, seat: Seat) {
        self.drop_outdated(seat);
        let key = self.room.next_number(self.now);
        let Some(peer) = self.room.roster.by_seat_mut(seat) else {
            return;
        };
        let notices = peer.outbox.attached();
        if notices.is_empty() {
            return;
        }
        peer.outbox.move_attached(key);
        self.room.backlog.add_to_row(key, notices.len());
        self.store_notices(key, vec![seat], notices);
    }

    /// Removes a peer permanently. Refuses the signals queued for it to their senders, drops its
    /// held broadcasts, and notifies the other peers.
    pub(super) fn leave(&mut self, seat: Seat) {
        let Some(mut peer) = self.room.roster.remove(seat) else {
            return;
        };
        if peer.has_row {
            self.room.peer_rows = self.room.peer_rows.saturating_sub(1);
            let key = RowKey::Absent(peer.member.id.clone());
            self.effects.push(Effect::Erase(key));
        }
        let id = peer.member.id.clone();
        for notice in self.take_queued(&mut peer) {
            if let Notice::Signal(signal) = &*notice {
                self.refuse(&signal.from, receiver_left(Some(&id)));
            }
        }
        for held in self.room.held.take() {
            self.effects.push(Effect::Erase(RowKey::Held(held.number)));
        }
        self.record_leaver(seat, &id);
        self.broadcast(None, &Notice::Left { id });
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

    /// Removes all notices from the outbox of a removed peer, and erases their rows. Returns the
    /// notices that were not sent.
    pub(super) fn take_queued(&mut self, peer: &mut Peer) -> Vec<Rc<Notice<'static>>> {
        let mut queued = Vec::new();
        while let Some(entry) = peer.outbox.pop() {
            self.release(&entry);
            match peer.presence {
                Presence::Absent { sent, .. } if entry.numbered.number > sent => {
                    queued.push(entry.numbered.notice);
                }
                _ => {}
            }
        }
        queued
    }

    /// Erases the row of a notice that was removed from an outbox, unless another outbox has it.
    pub(super) fn release(&mut self, entry: &Entry) {
        if let Some(key) = self.room.backlog.remove(entry) {
            self.effects.push(Effect::Erase(key));
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
