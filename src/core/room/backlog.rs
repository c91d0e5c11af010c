//! The notices kept for all peers of a room: their total size, and the rows that contain them.

use litemap::LiteMap;

use crate::core::event::RowKey;
use crate::core::outbox::{Entry, MAX_ROOM_BYTES};

/// The sum of the outboxes of a room.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// The rows of notices, and the number of outbox entries that each row contains. A row is erased
    /// with its last entry.
    rows: LiteMap<u64, usize>,
    /// The sum of the sizes of all notices, in bytes. A notice that several outboxes share counts once.
    bytes: usize,
}

impl Backlog {
    /// Counts an entry that was added to an outbox.
    pub(crate) fn add(&mut self, entry: &Entry) {
        if !self.is_shared(entry) {
            self.bytes = self.bytes.saturating_add(entry.kept_bytes());
        }
        if let Some(row) = entry.row {
            self.add_to_row(row, 1);
        }
    }

    /// Counts entries that moved from an attachment to a row.
    pub(crate) fn add_to_row(&mut self, row: u64, count: usize) {
        match self.rows.get_mut(&row) {
            Some(entries) => *entries = entries.saturating_add(count),
            None => drop(self.rows.insert(row, count)),
        }
    }

    /// Counts an entry that was removed from an outbox. Returns its row if no other entry is in it.
    pub(crate) fn remove(&mut self, entry: &Entry) -> Option<RowKey> {
        let erased = self.remove_from_row(entry);
        if !self.is_shared(entry) {
            self.bytes = self.bytes.saturating_sub(entry.kept_bytes());
        }
        erased
    }

    /// Forgets all entries, because all outboxes are dropped. Returns their rows.
    pub(crate) fn take_rows(&mut self) -> impl Iterator<Item = RowKey> + use<> {
        let rows = std::mem::take(self).rows;
        rows.into_iter().map(|(row, _)| RowKey::Notices(row))
    }

    fn remove_from_row(&mut self, entry: &Entry) -> Option<RowKey> {
        let row = entry.row?;
        let entries = self.rows.get_mut(&row)?;
        *entries = entries.saturating_sub(1);
        if *entries > 0 {
            return None;
        }
        self.rows.remove(&row);
        Some(RowKey::Notices(row))
    }

    /// Returns whether another outbox contains the notice of a row. All receivers share it, so it
    /// counts once.
    fn is_shared(&self, entry: &Entry) -> bool {
        let number = entry.numbered.number;
        entry.row == Some(number) && self.rows.contains_key(&number)
    }

    /// Returns whether `bytes` more bytes are within the limit of the room.
    pub(crate) const fn has_space(&self, bytes: usize) -> bool {
        self.bytes.saturating_add(bytes) <= MAX_ROOM_BYTES
    }

    pub(crate) fn has_rows(&self) -> bool {
        !self.rows.is_empty()
    }
}
