//! The notices that one peer has not received, or may not have received, in order.
//!
//! When a stream breaks, the server cannot know which notices arrived. The outbox therefore keeps
//! each sent notice of a stream for a limited time. The client resumes after the last event id that
//! it received.
//!
//! The outbox of a WebSocket peer contains only signals, which are queued while the peer is absent.
//! Other notices are unnecessary, because the peer gets a new welcome when it reconnects.
//!
//! A kept notice is in the attachment of its receiver while the stream is open, or in a row that all
//! receivers of a broadcast share. A row is never written again, so the cost of a signal does not depend on what was sent before.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::core::notice::{Notice, RoutedSignal};
use crate::core::refusal::Refusal;

/// The maximum number of sent and of queued notices that are kept for one peer, and of broadcasts
/// held in a room.
pub const MAX_HELD: usize = 64;
/// The maximum size of the sent and of the queued notices that are kept for one peer, and of the
/// broadcasts held in a room, in bytes.
pub const MAX_HELD_BYTES: usize = 256 * 1024;
/// The maximum size of the notices kept for all peers of a room, in bytes. An isolate has 128 MB.
pub const MAX_ROOM_BYTES: usize = 8 * 1024 * 1024;
/// The maximum size of the notices in one attachment, in bytes. The platform allows 16,384 bytes,
/// and can store a character in two.
const MAX_ATTACHED_BYTES: usize = 7_000;
/// The size of a notice without its texts, in bytes. It is an upper bound for attachments.
const OVERHEAD: usize = 100;
/// The size of a leave in [`Notice::Changes`] without the id of its peer, in bytes.
const LEAVE_OVERHEAD: usize = 25;

/// A notice and its number, which is unique in the room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// The number, which orders the notices of a peer.
    pub number: u64,
    /// The notice. All receivers of a broadcast share it.
    pub notice: Rc<Notice<'static>>,
}

/// A notice in an outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) numbered: Numbered,
    /// The row that contains the notice. `None`: the notice is in the attachment of the peer.
    pub(crate) row: Option<u64>,
}

impl Entry {
    fn signal_bytes(&self) -> usize {
        signal_bytes(&self.numbered.notice)
    }

    pub(crate) fn kept_bytes(&self) -> usize {
        kept_bytes(&self.numbered.notice)
    }
}

/// The notices that are kept for one peer.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// The notices, ordered by number.
    entries: VecDeque<Entry>,
    /// The sum of the [`signal_bytes`]s of `entries`.
    bytes: usize,
    /// The sum of the [`kept_bytes`]s of the notices in the attachment of the peer.
    attached_bytes: usize,
}

impl Outbox {
    /// Returns the notices, ordered by number.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    pub(crate) fn first(&self) -> Option<&Entry> {
        self.entries.front()
    }

    /// Returns the [`signal_bytes`] of all notices.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a notice in the order of the numbers.
    pub(crate) fn insert(&mut self, entry: Entry) {
        self.bytes = self.bytes.saturating_add(entry.signal_bytes());
        if entry.row.is_none() {
            self.attached_bytes = self.attached_bytes.saturating_add(entry.kept_bytes());
        }
        let number = entry.numbered.number;
        let at = self
            .entries
            .partition_point(|other| other.numbered.number < number);
        self.entries.insert(at, entry);
    }

    /// Removes the first notice.
    pub(crate) fn pop(&mut self) -> Option<Entry> {
        let entry = self.entries.pop_front()?;
        self.forget(&entry);
        Some(entry)
    }

    /// Removes all notices that report joins or leaves.
    pub(crate) fn take_presence(&mut self) -> Vec<Entry> {
        let entries = std::mem::take(&mut self.entries).into_iter();
        let (presence, kept): (Vec<_>, Vec<_>) =
            entries.partition(|entry| entry.numbered.notice.is_presence());
        self.entries = kept.into();
        for entry in &presence {
            self.forget(entry);
        }
        presence
    }

    /// Returns whether another sent notice of `bytes` bytes would exceed a limit.
    pub(crate) fn is_full(&self, bytes: usize) -> bool {
        exceeds(self.entries.len(), self.bytes, bytes)
    }

    /// Returns whether another queued notice of `bytes` bytes would exceed a limit. Notices up to
    /// the number `sent` were sent and do not count.
    pub(crate) fn is_queue_full(&self, sent: u64, bytes: usize) -> bool {
        let queued = self.after(sent);
        let (count, sum) = queued.fold((0_usize, 0_usize), |(count, sum), entry| {
            (
                count.saturating_add(1),
                sum.saturating_add(entry.signal_bytes()),
            )
        });
        exceeds(count, sum, bytes)
    }

    /// Returns the notices with higher numbers than `number`.
    pub(crate) fn after(&self, number: u64) -> impl Iterator<Item = &Entry> {
        let start = self
            .entries
            .partition_point(|entry| entry.numbered.number <= number);
        self.entries.range(start..)
    }

    /// Returns whether the attachment of the peer has space for another notice of `bytes` bytes.
    pub(crate) const fn fits_attachment(&self, bytes: usize) -> bool {
        self.attached_bytes.saturating_add(bytes) <= MAX_ATTACHED_BYTES
    }

    /// Returns the notices that are in the attachment of the peer.
    pub(crate) fn attached(&self) -> Vec<Numbered> {
        let attached = self.entries.iter().filter(|entry| entry.row.is_none());
        attached.map(|entry| entry.numbered.clone()).collect()
    }

    /// Records that the notices in the attachment are now in this row.
    pub(crate) fn move_attached(&mut self, row: u64) {
        for entry in &mut self.entries {
            entry.row.get_or_insert(row);
        }
        self.attached_bytes = 0;
    }

    fn forget(&mut self, entry: &Entry) {
        self.bytes = self.bytes.saturating_sub(entry.signal_bytes());
        if entry.row.is_none() {
            self.attached_bytes = self.attached_bytes.saturating_sub(entry.kept_bytes());
        }
    }
}

const fn exceeds(count: usize, sum: usize, bytes: usize) -> bool {
    count >= MAX_HELD || sum.saturating_add(bytes) > MAX_HELD_BYTES
}

/// Returns the size of a signal for the limits of one peer, in bytes of type and payload. Other
/// notices do not count, because clients do not control their size.
pub(crate) fn signal_bytes(notice: &Notice<'_>) -> usize {
    match notice {
        Notice::Signal(RoutedSignal {
            signal_type,
            payload,
            ..
        }) => {
            let payload = payload.as_ref().map_or(0, |payload| payload.len());
            signal_type.len().saturating_add(payload)
        }
        _ => 0,
    }
}

/// Returns the size of a notice for the limits of a room and of an attachment, in bytes.
pub(crate) fn kept_bytes(notice: &Notice<'_>) -> usize {
    let text = match notice {
        Notice::Signal(signal) => {
            let to = signal.to.as_ref().map_or(0, |to| to.as_str().len());
            let ids = signal.from.as_str().len().saturating_add(to);
            ids.saturating_add(signal_bytes(notice))
        }
        Notice::Refused(Refusal { message, to, .. }) => {
            let to = to.as_ref().map_or(0, |to| to.len());
            message.len().saturating_add(to)
        }
        Notice::Changes(changes) => {
            let sizes = changes.left.iter().map(|(_, id)| id.as_str().len());
            sizes.map(|size| size.saturating_add(LEAVE_OVERHEAD)).sum()
        }
        Notice::Joined { id, .. } | Notice::Left { id, .. } => id.as_str().len(),
        Notice::Welcome { .. } | Notice::Acknowledged { .. } | Notice::Unavailable { .. } => 0,
    };
    text.saturating_add(OVERHEAD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::peer::{PeerId, Seat};

    fn id(text: &str) -> PeerId {
        PeerId::parse(text).unwrap()
    }

    fn entry(number: u64, bytes: usize, row: Option<u64>) -> Entry {
        let notice = Rc::new(Notice::Signal(RoutedSignal {
            from: id("ann"),
            to: None,
            signal_type: "".into(),
            payload: Some("x".repeat(bytes).into()),
        }));
        let numbered = Numbered { number, notice };
        Entry { numbered, row }
    }

    fn numbers<'a>(entries: impl Iterator<Item = &'a Entry>) -> Vec<u64> {
        entries.map(|entry| entry.numbered.number).collect()
    }

    #[test]
    fn an_outbox_is_full_with_64_notices_or_256_kib() {
        let mut outbox = Outbox::default();
        (0..63).for_each(|number| outbox.insert(entry(number, 1, Some(0))));
        assert!(!outbox.is_full(MAX_HELD_BYTES - 63));
        assert!(outbox.is_full(MAX_HELD_BYTES - 62));
        outbox.insert(entry(63, 1, Some(0)));
        assert!(outbox.is_full(0));
        outbox.pop();
        assert!(!outbox.is_full(0));
    }

    #[test]
    fn sent_notices_take_no_space_of_the_queue() {
        let mut outbox = Outbox::default();
        (0..64).for_each(|number| outbox.insert(entry(number, 1, Some(0))));
        assert!(!outbox.is_queue_full(63, MAX_HELD_BYTES));
        assert!(!outbox.is_queue_full(62, MAX_HELD_BYTES - 1));
        assert!(outbox.is_queue_full(62, MAX_HELD_BYTES));
        (64..127).for_each(|number| outbox.insert(entry(number, 1, Some(0))));
        assert!(!outbox.is_queue_full(63, 1));
        outbox.insert(entry(127, 1, Some(0)));
        assert!(outbox.is_queue_full(63, 0));
        assert_eq!(outbox.after(63).count(), 64);
    }

    #[test]
    fn notices_in_the_attachment_are_counted_until_they_move_to_a_row() {
        let mut outbox = Outbox::default();
        outbox.insert(entry(4, 6_000, None));
        outbox.insert(entry(8, 6_000, Some(8)));
        assert!(outbox.fits_attachment(800) && !outbox.fits_attachment(1_000));
        assert_eq!(outbox.attached().len(), 1);
        outbox.move_attached(12);
        assert!(outbox.fits_attachment(MAX_ATTACHED_BYTES));
        assert_eq!(outbox.pop().unwrap().row, Some(12));
        assert_eq!(outbox.pop().unwrap().row, Some(8));
        assert_eq!(outbox.bytes, 0);
    }

    #[test]
    fn joins_and_leaves_are_taken_out_of_the_order_of_signals() {
        let mut outbox = Outbox::default();
        let left = Rc::new(Notice::Left {
            id: id("bob"),
            seat: Seat(1),
        });
        let left = Numbered {
            number: 6,
            notice: left,
        };
        outbox.insert(entry(8, 1, None));
        outbox.insert(Entry {
            numbered: left,
            row: None,
        });
        outbox.insert(entry(4, 1, None));
        assert_eq!(numbers(outbox.iter()), [4, 6, 8]);
        assert_eq!(outbox.take_presence().len(), 1);
        assert_eq!(numbers(outbox.iter()), [4, 8]);
        assert_eq!(outbox.first().map(Entry::signal_bytes), Some(1));
    }
}
