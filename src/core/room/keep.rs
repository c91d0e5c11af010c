//! Keeps the notices of event streams and of absent peers until their clients have received them.
//!
//! For a receiver with space in its attachment, a notice is stored there, which writes nothing to
//! storage. The other receivers of the notice share one row.

use std::rc::Rc;

use super::Room;
use super::roster::{Peer, Presence};
use super::turn::Turn;
use crate::core::event::{Effect, Notices, Row};
use crate::core::notice::Notice;
use crate::core::number::time_of;
use crate::core::outbox::{Entry, Numbered, kept_bytes, signal_bytes};
use crate::core::peer::{PeerId, Seat, Socket};
use crate::core::refusal::{Code, Refusal};

/// The time for which a notice on a stream may be in transit, in milliseconds.
const IN_FLIGHT_MS: u64 = 10_000;

impl Room {
    /// Returns the time for which a sent notice of a stream is kept, in milliseconds. The notice may be
    /// in transit when the stream breaks, and the client may then return at the end of its grace
    /// period.
    pub(super) const fn keep_ms(&self) -> u64 {
        self.limits.grace.saturating_add(IN_FLIGHT_MS)
    }
}

/// The place in which a notice is kept for one receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the attachment of the receiver.
    Attachment,
    /// In the row of the notice.
    Row,
    /// Nowhere: the room has no space. The client of a working stream still receives the notice.
    Nowhere,
}

impl<'a> Turn<'_, 'a> {
    /// Sends a notice on the streams of connected peers, and queues it for absent peers. Returns the
    /// absent peers for which it cannot be kept. Every seat must have a peer that is absent or has a
    /// stream.
    #[inline(never)]
    pub(super) fn deliver(&mut self, to: &[Seat], notice: &Notice<'a>) -> Vec<Seat> {
        let bytes = kept_bytes(notice);
        let (mut receivers, mut full, mut in_row) = (Vec::new(), Vec::new(), Vec::new());
        for seat in to {
            let mut must_save = self.drop_outdated(*seat);
            let has_space = self.make_space(*seat, notice, &mut must_save);
            let Some(peer) = self.room.roster.by_seat(*seat) else {
                continue;
            };
            let is_absent = peer.presence != Presence::Connected;
            let place = if !has_space && is_absent {
                full.push(*seat);
                continue;
            } else if !has_space {
                Place::Nowhere
            } else if is_absent || !peer.outbox.fits_attachment(bytes) {
                in_row.push(*seat);
                Place::Row
            } else {
                Place::Attachment
            };
            receivers.push((*seat, place, must_save));
        }
        if receivers.is_empty() {
            return full;
        }
        let kept = Numbered {
            number: self.room.next_number(self.now),
            notice: Rc::new(notice.clone().into_owned()),
        };
        if !in_row.is_empty() {
            self.store_notices(kept.number, in_row, vec![kept.clone()]);
        }
        let mut sends: Vec<(u64, Vec<Socket>)> = Vec::new();
        for (seat, place, must_save) in receivers {
            self.keep(seat, &kept, place);
            let Some(peer) = self.room.roster.by_seat_mut(seat) else {
                continue;
            };
            if peer.presence != Presence::Connected {
                continue;
            }
            let Some(stream) = &mut peer.member.stream else {
                continue;
            };
            if let Notice::Joined { seat, .. } = notice {
                stream.known_seat = *seat;
            }
            let event_id = stream.event_id(kept.number);
            match sends.iter_mut().find(|(id, _)| *id == event_id) {
                Some((_, sockets)) => sockets.push(peer.member.socket),
                None => sends.push((event_id, vec![peer.member.socket])),
            }
            if must_save || place != Place::Row || matches!(notice, Notice::Joined { .. }) {
                self.effects.push(peer.save_effect());
            }
        }
        for (event_id, to) in sends {
            self.effects.push(Effect::Send {
                to,
                event_id: Some(event_id),
                notice: notice.clone(),
            });
        }
        full
    }

    /// Adds a notice to an outbox.
    fn keep(&mut self, seat: Seat, kept: &Numbered, place: Place) {
        if place == Place::Nowhere {
            // The client can no longer resume from an earlier notice without a gap.
            while self.drop_first(seat) {}
        }
        let entry = Entry {
            numbered: kept.clone(),
            row: (place == Place::Row).then_some(kept.number),
        };
        let Some(peer) = self.room.roster.by_seat_mut(seat) else {
            return;
        };
        if place != Place::Nowhere {
            self.room.backlog.add(&entry);
            peer.outbox.insert(entry);
        } else if let Some(stream) = &mut peer.member.stream {
            stream.dropped = kept.number;
        }
    }

    /// Makes space for a notice in the outbox of a peer. Drops the oldest notices of a stream if
    /// necessary, and then sets `dropped`. Returns `false` if there is no space.
    fn make_space(&mut self, seat: Seat, notice: &Notice<'_>, dropped: &mut bool) -> bool {
        let bytes = signal_bytes(notice);
        while let Some(peer) = self.room.roster.by_seat(seat) {
            match peer.presence {
                Presence::Absent { sent, .. } if peer.outbox.is_queue_full(sent, bytes) => {
                    return false;
                }
                Presence::Connected if peer.outbox.is_full(bytes) => {}
                _ => break,
            }
            if !self.drop_first(seat) {
                return false;
            }
            *dropped = true;
        }
        let bytes = kept_bytes(notice);
        while !self.room.backlog.has_space(bytes) {
            let Some(largest) = self.largest_stream() else {
                return false;
            };
            if !self.drop_first(largest) {
                return false;
            }
            if largest == seat {
                *dropped = true;
            } else {
                self.save(largest);
            }
        }
        true
    }

    /// Returns the connected peer with the largest outbox. Sent notices are dropped to make space,
    /// but queued notices are not.
    #[inline(never)] // called only when the outboxes of a room reach their common limit
    fn largest_stream(&self) -> Option<Seat> {
        let peers = self.room.roster.all();
        let connected = peers.filter(|peer| peer.presence == Presence::Connected);
        let largest =
            connected.max_by_key(|peer| (peer.outbox.bytes(), peer.outbox.iter().count()))?;
        Some(largest.member.seat)
    }

    /// Drops the outdated notices of all streams.
    pub(super) fn sweep(&mut self) {
        let seats: Vec<_> = self
            .room
            .roster
            .all()
            .map(|peer| peer.member.seat)
            .collect();
        for seat in seats {
            if self.drop_outdated(seat) {
                self.save(seat);
            }
        }
    }

    /// Drops the sent notices of a stream whose time has passed. Returns whether it dropped any.
    /// Every notice of an absent peer is kept, because its client may resume from it.
    pub(super) fn drop_outdated(&mut self, seat: Seat) -> bool {
        let keep_ms = self.room.keep_ms();
        let mut dropped = false;
        while let Some(peer) = self.room.roster.by_seat(seat)
            && peer.presence == Presence::Connected
            && let (Some(stream), Some(first)) = (&peer.member.stream, peer.outbox.first())
        {
            // A reopened stream got all kept notices again.
            let sent_at = time_of(first.numbered.number.max(stream.opened));
            if sent_at.plus(keep_ms) >= self.now {
                break;
            }
            self.drop_first(seat);
            dropped = true;
        }
        dropped
    }

    /// Drops the first notice of an outbox. Returns `false` if the outbox is empty.
    pub(super) fn drop_first(&mut self, seat: Seat) -> bool {
        let Some(peer) = self.room.roster.by_seat_mut(seat) else {
            return false;
        };
        let Some(entry) = peer.outbox.pop() else {
            return false;
        };
        if let Some(stream) = &mut peer.member.stream {
            stream.dropped = stream.dropped.max(entry.numbered.number);
        }
        self.erase_if_unused(&entry);
        true
    }

    /// Removes all notices from the outbox of a removed peer, and erases their rows. Returns the
    /// notices with higher numbers than `sent`.
    pub(super) fn take_queued(&mut self, peer: &mut Peer, sent: u64) -> Vec<Rc<Notice<'static>>> {
        let mut queued = Vec::new();
        while let Some(entry) = peer.outbox.pop() {
            self.erase_if_unused(&entry);
            if entry.numbered.number > sent {
                queued.push(entry.numbered.notice);
            }
        }
        queued
    }

    /// Drops the sent notices of a peer whose client joins again. The old client may not have received
    /// them, so each sender gets a refusal.
    pub(super) fn drop_sent(&mut self, peer: &mut Peer, sent: u64) {
        let mut senders: Vec<PeerId> = Vec::new();
        while let Some(first) = peer.outbox.first()
            && first.numbered.number <= sent
        {
            let Some(entry) = peer.outbox.pop() else {
                break;
            };
            self.erase_if_unused(&entry);
            if let Notice::Signal(signal) = &*entry.numbered.notice
                && !senders.contains(&signal.from)
            {
                senders.push(signal.from.clone());
            }
        }
        let id = &peer.member.id;
        for sender in senders {
            let message = format!(
                "`{id}` has joined again, and may not have received your last signals: send them \
                 again if they are still needed"
            );
            let to = Some(id.to_string().into());
            let refusal = Refusal::new(Code::NoSuchPeer, message);
            self.refuse(&sender, Refusal { to, ..refusal });
        }
    }

    /// Erases the row of a notice that was removed from an outbox, unless another outbox has it.
    pub(super) fn erase_if_unused(&mut self, entry: &Entry) {
        if let Some(key) = self.room.backlog.remove(entry) {
            self.effects.push(Effect::Erase(key));
        }
    }

    /// Writes a row of notices.
    pub(super) fn store_notices(&mut self, key: u64, to: Vec<Seat>, notices: Vec<Numbered>) {
        self.write_row(Row::Notices(Notices { key, to, notices }));
    }
}
