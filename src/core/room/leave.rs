//! Peers that lose their connection or leave.

use std::borrow::Cow;

use super::early::EarlySignals;
use super::roster::Presence;
use super::turn::Turn;
use crate::core::close::Close;
use crate::core::event::{Effect, RowKey};
use crate::core::notice::Notice;
use crate::core::peer::{PeerId, Seat, Socket};
use crate::core::refusal::{Code, Refusal};

impl Turn<'_, '_> {
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
        let going_away_until = peer.going_away_until;
        if self.room.limits.grace == 0 {
            return self.leave_after(seat, sent);
        }
        self.move_attached(seat);
        let grace = if self.is_going_away(going_away_until) {
            self.short_grace()
        } else {
            self.room.limits.grace
        };
        let expires_at = self.now.plus(grace).round_up();
        self.room.roster.set_absent(seat, expires_at, sent);
        self.save(seat);
    }

    /// Moves the notices in the attachment of a peer to a row, where they stay when the peer
    /// reconnects. Otherwise each absence of a peer would write them again.
    fn move_attached(&mut self, seat: Seat) {
        self.drop_outdated(seat);
        let Some(peer) = self.room.roster.by_seat_mut(seat) else {
            return;
        };
        let notices = peer.outbox.attached();
        if notices.is_empty() {
            return;
        }
        let key = self.room.next_number(self.now);
        if let Some(peer) = self.room.roster.by_seat_mut(seat) {
            peer.outbox.move_attached(key);
        }
        self.room.backlog.add_to_row(key, notices.len());
        self.store_notices(key, vec![seat], notices);
    }

    /// Removes a peer permanently, and notifies the other peers.
    pub(super) fn leave(&mut self, seat: Seat) {
        if let Some(peer) = self.room.roster.by_seat(seat) {
            self.leave_after(seat, peer.sent());
        }
    }

    /// Removes a peer permanently. Refuses the signals with higher numbers than `sent` to their
    /// senders, drops its held broadcasts, and notifies the other peers.
    fn leave_after(&mut self, seat: Seat, sent: u64) {
        let Some(mut peer) = self.room.roster.remove(seat) else {
            return;
        };
        if let Presence::Absent { .. } = peer.presence {
            let key = RowKey::Absent(peer.member.id.clone());
            self.effects.push(Effect::Erase(key));
        }
        let id = peer.member.id.clone();
        if let Some(media) = peer.member.media.take() {
            self.release_media(&id, *media);
        }
        let mut told = Vec::new();
        for notice in self.take_queued(&mut peer, sent) {
            if let Notice::Signal(signal) = &*notice
                && !told.contains(&signal.from)
            {
                self.refuse(&signal.from, receiver_left(Some(&id)));
                // `Notice::Unavailable` is about all signals to a peer, and a refusal about one.
                if self.room.limits.await_peer > 0 {
                    told.push(signal.from.clone());
                }
            }
        }
        for held in self.room.held.take() {
            self.effects.push(Effect::Erase(RowKey::Held(held.number)));
        }
        if self.room.limits.hides_peers {
            return self.room.early.forget(&id);
        }
        self.record_leaver(seat, &id);
        let is_device = self.is_device(&id);
        self.broadcast(None, None, &Notice::Left { id, seat });
        if is_device {
            self.device_left();
        }
    }

    /// Removes all peers, and ends the live session with them. Returns the number of peers. They get no
    /// notices of the other leaves, whose number would be quadratic.
    #[inline(never)]
    pub(super) fn remove_all(&mut self, close: Close) -> usize {
        self.end_session();
        self.take_held();
        self.room.early = EarlySignals::default();
        let rows = self.room.backlog.take_rows().map(Effect::Erase);
        self.effects.extend(rows);
        let mut count = 0_usize;
        for mut peer in self.room.roster.take_all() {
            count = count.saturating_add(1);
            if let Some(media) = peer.member.media.take() {
                self.close_media(*media);
            }
            self.effects.push(match peer.open_socket() {
                Some(socket) => Effect::Close(socket, close),
                None => Effect::Erase(RowKey::Absent(peer.member.id)),
            });
        }
        count
    }

    /// Removes the absent peers whose grace period has ended, refuses the held broadcasts and the early
    /// signals that have expired, ends a live session whose time is over, closes the WebSockets of clients whose tokens have
    /// expired, and drops outdated notices and bans.
    #[inline(never)]
    pub(super) fn expire(&mut self) {
        for held in self.room.held.take_expired(self.now) {
            self.effects.push(Effect::Erase(RowKey::Held(held.number)));
            let message = "no peer joined in time to receive this broadcast: send it again after a \
                           peer has joined";
            self.refuse(&held.from, Refusal::new(Code::NoSuchPeer, message));
        }
        self.expire_early();
        let absent = self.room.roster.absent();
        let expired = absent.filter(|peer| peer.expires_at().is_some_and(|at| at <= self.now));
        let expired: Vec<_> = expired.map(|peer| peer.member.seat).collect();
        for seat in expired {
            self.leave(seat);
        }
        if let Some(live) = &self.room.live
            && live.session.expires_at <= self.now
        {
            self.stop_live();
        }
        self.close_expired();
        self.expire_bans();
        if self.room.sweep_at.is_some_and(|at| at <= self.now) {
            self.room.sweep_at = None;
            self.sweep();
        }
    }
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
