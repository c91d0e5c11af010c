//! Keeps the notices of event streams and of absent peers until their clients have received them.
//!
//! A notice that fits into the attachments of all its receivers is stored there, which costs
//! nothing. Any other notice gets one row, which all its receivers share.

use std::rc::Rc;

use super::roster::Presence;
use super::turn::Turn;
use crate::core::event::{Effect, Notices, Row};
use crate::core::notice::Notice;
use crate::core::outbox::{Entry, Numbered, size, time_of, weight};
use crate::core::peer::{Seat, Socket};

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
            let dropped = self.drop_outdated(*seat);
            match self.make_space(*seat, notice, ready.len()) {
                Some(evicted) => ready.push((*seat, dropped || evicted)),
                None => {
                    full.push(*seat);
                    if dropped {
                        self.save(*seat);
                    }
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
        let newest = self.room.roster.newest_seat();
        let mut sends: Vec<(u64, Vec<Socket>)> = Vec::new();
        for (seat, dropped) in ready {
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
            let is_told = matches!(notice, Notice::Joined { .. });
            if is_told {
                stream.told = newest;
            }
            let event_id = stream.event_id(number);
            match sends.iter_mut().find(|(id, _)| *id == event_id) {
                Some((_, sockets)) => sockets.push(peer.member.socket),
                None => sends.push((event_id, vec![peer.member.socket])),
            }
            if row.is_none() || dropped || is_told {
                self.effects.push(peer.stored());
            }
        }
        for (event_id, to) in sends {
            self.effects.push(Effect::Send {
                to,
                number: Some(event_id),
                notice: notice.clone(),
            });
        }
        full
    }

    /// Returns whether a notice needs a row, because it is queued or does not fit into the
    /// attachment of a receiver.
    fn row_for(&self, receivers: &[(Seat, bool)], notice: &Notice<'_>) -> bool {
        let size = size(notice);
        let roster = &self.room.roster;
        let mut peers = receivers
            .iter()
            .filter_map(|(seat, _)| roster.by_seat(*seat));
        peers.any(|peer| peer.presence != Presence::Connected || !peer.outbox.fits_attachment(size))
    }

    /// Makes space for a notice in the outbox of a peer, besides `others` other outboxes that get
    /// the notice. Drops the oldest notices of a stream if necessary, and returns whether it did.
    /// Returns `None` if there is no space.
    fn make_space(&mut self, seat: Seat, notice: &Notice<'_>, others: usize) -> Option<bool> {
        let (weight, size) = (weight(notice), size(notice));
        let mut dropped = false;
        loop {
            let peer = self.room.roster.by_seat(seat)?;
            match peer.presence {
                Presence::Absent { sent, .. } if peer.outbox.is_queue_full(sent, weight) => {
                    return None;
                }
                Presence::Connected if peer.outbox.is_full(weight) => {}
                _ => break,
            }
            self.drop_first(seat)?;
            dropped = true;
        }
        while !self
            .room
            .backlog
            .has_space(size.saturating_mul(others.saturating_add(1)))
        {
            let largest = self.largest_stream()?;
            self.drop_first(largest)?;
            if largest == seat {
                dropped = true;
            } else {
                self.save(largest);
            }
        }
        Some(dropped)
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

    /// Drops the first notice of an outbox. Returns `None` if the outbox is empty.
    pub(super) fn drop_first(&mut self, seat: Seat) -> Option<()> {
        let peer = self.room.roster.by_seat_mut(seat)?;
        let entry = peer.outbox.pop()?;
        if let Some(stream) = &mut peer.member.stream {
            stream.dropped = stream.dropped.max(entry.numbered.number);
        }
        self.release(&entry);
        Some(())
    }

    /// Writes a row of notices.
    pub(super) fn store_notices(&mut self, key: u64, to: Vec<Seat>, notices: Vec<Numbered>) {
        self.store(Row::Notices(Notices { key, to, notices }));
    }
}
