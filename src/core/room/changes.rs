//! The joins and leaves that a client with an event stream has missed.
//!
//! Joins are not stored for absent peers. A client knows all seats up to a highest one, so it has
//! missed the joins of the peers with higher seats. The room records the peers that left, in one row.

use super::roster::Peer;
use super::turn::Turn;
use crate::core::event::{Effect, Leaver, Row, RowKey};
use crate::core::notice::{Change, Notice};
use crate::core::outbox::Entry;
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
        if leavers.len() >= MAX_LEAVERS {
            leavers.pop_front();
        }
        leavers.push_back(Leaver {
            number,
            seat,
            id: id.clone(),
        });
        let row = leavers.iter().cloned().collect();
        self.write_row(Row::Leavers(row));
    }

    /// Forgets the leavers when no peer with a stream is absent.
    pub(super) fn forget_leavers(&mut self) {
        if !self.room.leavers.is_empty() && !self.has_absent_stream() {
            self.room.leavers.clear();
            self.effects.push(Effect::Erase(RowKey::Leavers));
        }
    }

    fn has_absent_stream(&self) -> bool {
        let mut absent = self.room.roster.absent();
        absent.any(|peer| peer.absent_stream().is_some())
    }

    /// Takes the joins and leaves out of the outbox of a peer whose stream opens, and returns the
    /// changes that its client has missed: first the peers that joined, in seat order, then the
    /// peers that left. If a peer left and joined again, its leave comes first.
    ///
    /// `got` is the number of the last event that the client received. If the client does not know
    /// it, everything that was sent counts as received, because a client cannot ignore a repeated
    /// join as it ignores a repeated signal.
    pub(super) fn take_changes(&mut self, seat: Seat, got: Option<u64>) -> Vec<Change> {
        let Some(peer) = self.room.roster.by_seat_mut(seat) else {
            return Vec::new();
        };
        let got = got.unwrap_or(peer.sent());
        let mut unconfirmed = peer.outbox.take_presence();
        for entry in &unconfirmed {
            self.erase_if_unused(entry);
        }
        unconfirmed.retain(|entry| entry.numbered.number > got);
        let Some(Peer { member, .. }) = self.room.roster.by_seat(seat) else {
            return Vec::new();
        };
        let Some(stream) = &member.stream else {
            return Vec::new();
        };
        // The first change of each id tells whether the client knows an earlier peer of that id.
        let mut first: Vec<Change> = Vec::new();
        let mut add = |change: Change| {
            if !first.iter().any(|known| known.id() == change.id()) {
                first.push(change);
            }
        };
        unconfirmed.iter().flat_map(changes_in).for_each(&mut add);
        let known_since = stream.opened.max(stream.dropped).max(got);
        let missed = self.room.leavers.iter();
        let missed = missed.filter(|leaver| leaver.number > known_since);
        for Leaver { id, .. } in missed.filter(|leaver| leaver.seat <= stream.known_seat) {
            add(Change::Left(id.clone()));
        }
        let others = self.room.roster.all().map(|peer| &peer.member);
        let others = others.filter(|other| other.seat != seat);
        let is_changed = |id: &PeerId| first.iter().any(|change| change.id() == id);
        let joined = others.filter(|other| other.seat > stream.known_seat || is_changed(&other.id));
        let joined: Vec<_> = joined.map(|other| other.id.clone()).collect();
        let left = first.iter().filter_map(|change| match change {
            Change::Left(id) => Some(id.clone()),
            Change::Joined(_) => None,
        });
        let (again, left): (Vec<_>, Vec<_>) = left.partition(|id| joined.contains(id));
        let again = again.into_iter().map(Change::Left);
        let joined = joined.into_iter().map(Change::Joined);
        again
            .chain(joined)
            .chain(left.into_iter().map(Change::Left))
            .collect()
    }
}

/// Returns the joins and leaves that a kept notice reports.
fn changes_in(entry: &Entry) -> Vec<Change> {
    match &*entry.numbered.notice {
        Notice::Joined { id, .. } => vec![Change::Joined(id.clone())],
        Notice::Left { id } => vec![Change::Left(id.clone())],
        Notice::Changes(changes) => changes.clone(),
        Notice::Welcome { .. } | Notice::Signal(_) | Notice::Refused(_) => Vec::new(),
    }
}
