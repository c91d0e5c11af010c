//! Keeps the notices of event streams and of absent peers until their clients have received them.
//!
//! A notice that fits into the attachments of all its receivers is stored there, which writes nothing
//! to storage. Any other notice gets one row, which all its receivers share.

use std::rc::Rc;

use super::roster::{Peer, Presence};
use super::turn::Turn;
use crate::core::event::{Effect, Notices, Row};
use crate::core::notice::Notice;
use crate::core::number::time_of;
use crate::core::outbox::{Entry, Numbered, kept_bytes, signal_bytes};
use crate::core::peer::{PeerId, Seat, Socket};
use crate::core::refusal::{Code, Refusal};

/// The time for which a notice on a stream may be in transit, in milliseconds. The outbox keeps a
/// sent notice for the grace period plus this time, because the notice may be in transit when the
/// stream breaks.
const IN_FLIGHT_MS: u64 = 10_000;

impl<'a> Turn<'_, 'a> {
    /// Sends a notice on the streams of connected peers, and queues it for absent peers. Returns the
    /// peers for which it cannot be kept. Every seat must have a peer that is absent or has a
    /// stream.
    #[inline(never)]
    pub(super) fn deliver(&mut self, to: &[Seat], notice: &Notice<'a>) -> Vec<Seat> {
        let (mut ready, mut full) = (Vec::new(), Vec::new());
        for seat in to {
            let mut dropped = self.drop_outdated(*seat);
            if self.make_space(*seat, notice, ready.len(), &mut dropped) {
                ready.push((*seat, dropped));
            } else {
                full.push(*seat);
                if dropped {
                    self.save(*seat);
                }
            }
        }
        if ready.is_empty() {
            return full;
        }
        let number = self.room.next_number(self.now);
        let kept = Numbered {
            number,
            notice: Rc::new(notice.clone().into_owned()),
        };
        let row = self.row_for(&ready, notice).then_some(number);
        if row.is_some() {
            let to = ready.iter().map(|(seat, _)| *seat).collect();
            self.store_notices(number, to, vec![kept.clone()]);
        }
        self.send_kept_notice(&kept, row, ready, notice);
        full
    }

    /// Adds a notice to outboxes, and sends it on the streams of connected peers. The flag of a peer
    /// is true if its stored state has changed already.
    fn send_kept_notice(
        &mut self,
        kept: &Numbered,
        row: Option<u64>,
        receivers: Vec<(Seat, bool)>,
        notice: &Notice<'a>,
    ) {
        let newest = self.room.roster.newest_seat();
        let mut sends: Vec<(u64, Vec<Socket>)> = Vec::new();
        for (seat, must_save) in receivers {
            let entry = Entry {
                numbered: kept.clone(),
                row,
            };
            self.room.backlog.add(&entry);
            let Some(peer) = self.room.roster.by_seat_mut(seat) else {
                continue;
            };
            peer.outbox.insert(entry);
            if peer.presence != Presence::Connected {
                continue;
            }
            let Some(stream) = &mut peer.member.stream else {
                continue;
            };
            let is_join = matches!(notice, Notice::Joined { .. });
            if is_join {
                stream.known_seat = newest;
            }
            let event_id = stream.event_id(kept.number);
            match sends.iter_mut().find(|(id, _)| *id == event_id) {
                Some((_, sockets)) => sockets.push(peer.member.socket),
                None => sends.push((event_id, vec![peer.member.socket])),
            }
            if row.is_none() || must_save || is_join {
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
    }

    /// Returns whether a notice needs a row, because it is queued or does not fit into the
    /// attachment of a receiver.
    fn row_for(&self, receivers: &[(Seat, bool)], notice: &Notice<'_>) -> bool {
        let bytes = kept_bytes(notice);
        let roster = &self.room.roster;
        let mut peers = receivers
            .iter()
            .filter_map(|(seat, _)| roster.by_seat(*seat));
        peers
            .any(|peer| peer.presence != Presence::Connected || !peer.outbox.fits_attachment(bytes))
    }

    /// Makes space for a notice in the outbox of a peer, in addition to `others` other outboxes that
    /// get the notice. Drops the oldest notices of a stream if necessary, and then sets `dropped`.
    /// Returns `false` if there is no space.
    fn make_space(
        &mut self,
        seat: Seat,
        notice: &Notice<'_>,
        others: usize,
        dropped: &mut bool,
    ) -> bool {
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
        let bytes = kept_bytes(notice).saturating_mul(others.saturating_add(1));
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
        let largest = connected.max_by_key(|peer| peer.outbox.bytes())?;
        Some(largest.member.seat)
    }

    /// Drops the sent notices of a stream whose time has passed. Returns whether it dropped any.
    /// Every notice of an absent peer is kept, because its client may resume from it.
    pub(super) fn drop_outdated(&mut self, seat: Seat) -> bool {
        let keep_ms = self.room.limits.grace.saturating_add(IN_FLIGHT_MS);
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
