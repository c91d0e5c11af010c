//! The joins and leaves that a client with an event stream has missed.
//!
//! Joins are not stored for absent peers. A client knows all seats up to a highest one, so it has
//! missed the joins of the peers with higher seats. The room records the peers that left, in one row.

use std::collections::VecDeque;

use super::turn::Turn;
use crate::core::event::{Effect, Leaver, Row, RowKey};
use crate::core::notice::{Changes, Notice};
use crate::core::peer::{PeerId, Seat};

/// The maximum number of recorded leavers.
const MAX_LEAVERS: usize = 64;

impl Turn<'_, '_> {
    /// Records that a peer left, while a peer with a stream is absent.
    pub(super) fn record_leaver(&mut self, seat: Seat, id: &PeerId) {
        if !self.has_absent_stream() {
            return;
        }
        let number = self.room.next_number(self.now);
        let leavers = &mut self.room.leavers;
        leavers.push(Leaver {
            number,
            seat,
            id: id.clone(),
        });
    }

    /// Stores the peers that left during this event, and forgets all leavers when no peer with a
    /// stream is absent. One event writes the row once, however many peers leave.
    pub(super) fn store_leavers(&mut self) {
        if self.room.leavers.is_empty() {
            return;
        }
        if !self.has_absent_stream() {
            if self.room.leavers.clear() {
                self.effects.push(Effect::Erase(RowKey::Leavers));
            }
        } else if let Some(row) = self.room.leavers.changed() {
            self.write_row(Row::Leavers(row));
        }
    }

    fn has_absent_stream(&self) -> bool {
        let mut absent = self.room.roster.absent();
        absent.any(|peer| peer.absent_stream().is_some())
    }

    /// Takes the joins and leaves out of the outbox of a peer whose stream opens, and returns the
    /// changes that its client has missed, if any.
    ///
    /// `got` is the number of the last event that the client received. If the client does not know
    /// it, everything that was sent counts as received, because a client cannot ignore a repeated
    /// join as it ignores a repeated signal.
    pub(super) fn take_changes(&mut self, seat: Seat, got: Option<u64>) -> Option<Changes> {
        let peer = self.room.roster.by_seat_mut(seat)?;
        let got = got.unwrap_or(peer.sent());
        let mut unconfirmed = peer.outbox.take_presence();
        for entry in &unconfirmed {
            self.erase_if_unused(entry);
        }
        unconfirmed.retain(|entry| entry.numbered.number > got);
        let member = &self.room.roster.by_seat(seat)?.member;
        let stream = member.stream.as_ref()?;
        let (mut after, mut left) = (stream.known_seat, Vec::new());
        for entry in &unconfirmed {
            match &*entry.numbered.notice {
                // Peers join in the order of their seats.
                Notice::Joined { seat, .. } => after = after.min(Seat(seat.0.saturating_sub(1))),
                Notice::Left { id, seat } => left.push((*seat, id.clone())),
                Notice::Changes(changes) => {
                    after = after.min(changes.after);
                    left.extend(changes.left.iter().cloned());
                }
                Notice::Welcome { .. }
                | Notice::Signal(_)
                | Notice::Acknowledged { .. }
                | Notice::Refused(_)
                | Notice::Unavailable { .. } => {}
            }
        }
        let known_since = stream.opened.max(stream.dropped).max(got);
        left.extend(self.room.leavers.since(known_since));
        // The client never knew the peers with higher seats.
        left.retain(|(left, id)| *left <= after && self.are_visible(&member.id, id));
        left.sort_by_key(|(seat, _)| *seat);
        left.dedup_by_key(|(seat, _)| *seat);
        let others = self.room.roster.all().map(|peer| &peer.member);
        let joined = others.filter(|other| {
            let is_new = other.seat != seat && other.seat > after;
            is_new && self.are_visible(&member.id, &other.id)
        });
        let joined: Vec<_> = joined.map(|other| other.id.clone()).collect();
        let is_empty = left.is_empty() && joined.is_empty();
        (!is_empty).then_some(Changes {
            after,
            left,
            joined,
        })
    }
}

/// The peers that left while a peer with a stream is absent, in the order of leaving.
#[derive(Debug, Default)]
pub(crate) struct Leavers {
    leavers: VecDeque<Leaver>,
    /// Whether the row lacks a leaver.
    is_changed: bool,
    /// Whether the storage contains the row.
    has_row: bool,
}

impl Leavers {
    /// Restores the leavers from their row.
    pub(crate) fn restore(row: Vec<Leaver>) -> Self {
        Self {
            leavers: row.into(),
            is_changed: false,
            has_row: true,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Leaver> {
        self.leavers.iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.leavers.is_empty()
    }

    fn push(&mut self, leaver: Leaver) {
        if self.leavers.len() >= MAX_LEAVERS {
            self.leavers.pop_front();
        }
        self.leavers.push_back(leaver);
        self.is_changed = true;
    }

    /// Returns the peers that left after a number.
    fn since(&self, number: u64) -> impl Iterator<Item = (Seat, PeerId)> {
        let since = self.iter().filter(move |leaver| leaver.number > number);
        since.map(|leaver| (leaver.seat, leaver.id.clone()))
    }

    /// Returns the content of the row if it has changed since the last call.
    fn changed(&mut self) -> Option<Vec<Leaver>> {
        let is_changed = std::mem::take(&mut self.is_changed);
        self.has_row |= is_changed;
        is_changed.then(|| self.iter().cloned().collect())
    }

    /// Removes all leavers. Returns whether the storage contains their row.
    fn clear(&mut self) -> bool {
        std::mem::take(self).has_row
    }
}
