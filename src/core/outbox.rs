//! The notices that one peer has not received, or may not have received, numbered in order.
//!
//! When a stream breaks, the server cannot know which notices arrived. The outbox therefore keeps
//! each sent notice of a stream for a limited time. The client resumes after the last event id that
//! it received.
//!
//! The outbox of a WebSocket peer contains only signals, which are queued while the peer is absent.
//! Other notices are unnecessary, because the peer gets a new welcome when it reconnects.

use std::collections::VecDeque;

use crate::core::notice::{Notice, RoutedSignal};
use crate::core::peer::Time;
use crate::core::refusal::Code;

/// The maximum number of notices kept for one peer, and of broadcasts held in a room.
pub const MAX_HELD: usize = 64;
/// The maximum size of the notices kept for one peer, and of the broadcasts held in a room. It
/// counts the bytes of signal types and payloads.
pub const MAX_HELD_BYTES: usize = 256 * 1024;

/// The notices that are kept for one peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outbox {
    /// The notices, ordered by number.
    kept: VecDeque<Numbered>,
    /// The sum of the [`weight`]s of `kept`.
    bytes: usize,
    counters: Counters,
}

/// The counters of an outbox, in addition to its notices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// The highest number assigned to a notice or to the start of a stream.
    pub last: u64,
    /// The highest number that was sent. Kept notices with higher numbers are unsent.
    pub sent: u64,
    /// The number at which the current stream started. A client that resumes from a lower number
    /// resumes an earlier stream.
    pub stream_start: u64,
    /// The time at which the stream was last resumed, in microseconds since 1970. The notices kept
    /// at that time were sent again.
    pub resumed_at: u64,
}

/// A notice and its number.
///
/// The number is the time of queueing in microseconds since 1970. If that is not higher than the
/// previous number, it is the previous number plus one. Numbers therefore increase even across
/// evictions of the room, and show the age of a notice. They stay below 2⁵³, so JavaScript
/// represents them exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// The number. On an event stream, it is the event id.
    pub number: u64,
    /// The notice, which the outbox owns because it outlives the event.
    pub notice: Notice<'static>,
}

/// Whether a notice is sent immediately or queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The notice is sent now.
    Sent {
        /// How long the notice is kept after sending, in milliseconds, so that it can be sent again
        /// if the stream breaks.
        keep_ms: u64,
    },
    /// The notice is queued until the peer reconnects.
    Queued,
}

impl Outbox {
    /// Restores an outbox from its counters and its notices, ordered by number.
    #[must_use]
    pub fn restore(counters: Counters, kept: impl IntoIterator<Item = Numbered>) -> Self {
        let kept: VecDeque<_> = kept.into_iter().collect();
        let bytes = kept.iter().map(|entry| weight(&entry.notice)).sum();
        Self {
            kept,
            bytes,
            counters,
        }
    }

    /// Returns the counters, which [`restore`](Self::restore) takes.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// Returns all kept notices, ordered by number.
    pub fn kept(&self) -> impl Iterator<Item = &Numbered> {
        self.kept.iter()
    }

    /// Returns whether the outbox was never used: it has no notices, and all counters are zero.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.counters == Counters::default()
    }

    /// Returns the unsent notices, ordered by number.
    pub fn unsent(&self) -> impl Iterator<Item = &Numbered> {
        let sent = self.counters.sent;
        self.kept.iter().filter(move |entry| entry.number > sent)
    }

    /// Adds a notice and returns its number.
    ///
    /// # Errors
    ///
    /// [`Code::MailboxFull`] if the outbox is full of unsent notices.
    pub fn push(
        &mut self,
        now: Time,
        delivery: Delivery,
        notice: Notice<'static>,
    ) -> Result<u64, Code> {
        let bytes = weight(&notice);
        self.evict(now, delivery, bytes);
        if self.is_full(bytes) {
            return Err(Code::MailboxFull);
        }
        let number = self.next_number(now);
        if delivery != Delivery::Queued {
            self.counters.sent = number;
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.kept.push_back(Numbered { number, notice });
        Ok(number)
    }

    /// Marks the notice with this number, and all later notices, as unsent.
    pub fn unsend(&mut self, number: u64) {
        self.counters.sent = self.counters.sent.min(number.saturating_sub(1));
    }

    /// Starts a new stream and returns its first number. Drops the sent notices, and assigns higher
    /// numbers to the unsent notices.
    pub fn restart(&mut self, now: Time) -> u64 {
        self.drop_through(self.counters.sent);
        let start = self.next_number(now);
        for entry in &mut self.kept {
            self.counters.last = self.counters.last.saturating_add(1);
            entry.number = self.counters.last;
        }
        self.counters.stream_start = start;
        self.counters.sent = start;
        start
    }

    /// Resumes the stream after the notice with the number `got`. Drops the notices up to that
    /// number. Returns `false` if the number belongs to an earlier stream.
    pub fn resume(&mut self, now: Time, got: u64) -> bool {
        if got < self.counters.stream_start {
            return false;
        }
        self.drop_through(got);
        self.counters.resumed_at = micros(now);
        true
    }

    /// Marks all kept notices as sent.
    pub const fn send_all(&mut self) {
        self.counters.sent = self.counters.last;
    }

    /// Drops the oldest sent notices whose retention time has passed or whose space is needed.
    fn evict(&mut self, now: Time, delivery: Delivery, bytes: usize) {
        while let Some(first) = self.kept.front()
            && first.number <= self.counters.sent
            && (self.is_outdated(first, now, delivery) || self.is_full(bytes))
        {
            self.drop_first();
        }
    }

    /// Returns whether the retention time of a sent notice has passed.
    fn is_outdated(&self, sent: &Numbered, now: Time, delivery: Delivery) -> bool {
        match delivery {
            Delivery::Sent { keep_ms } => {
                let sent_at = sent.number.max(self.counters.resumed_at);
                sent_at.saturating_add(micros(Time(keep_ms))) < micros(now)
            }
            // The receiver is absent, and may resume its stream from any kept notice.
            Delivery::Queued => false,
        }
    }

    /// Returns whether another notice of `bytes` bytes would exceed a limit.
    fn is_full(&self, bytes: usize) -> bool {
        self.kept.len() >= MAX_HELD || self.bytes.saturating_add(bytes) > MAX_HELD_BYTES
    }

    fn next_number(&mut self, now: Time) -> u64 {
        self.counters.last = micros(now).max(self.counters.last.saturating_add(1));
        self.counters.last
    }

    fn drop_through(&mut self, number: u64) {
        while let Some(first) = self.kept.front()
            && first.number <= number
        {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some(first) = self.kept.pop_front() {
            self.bytes = self.bytes.saturating_sub(weight(&first.notice));
        }
    }
}

/// Converts milliseconds to microseconds.
const fn micros(time: Time) -> u64 {
    time.0.saturating_mul(1_000)
}

/// Returns the size of a notice for the limit of an outbox, in bytes. Only the fields whose length
/// the sender controls are counted.
fn weight(notice: &Notice<'_>) -> usize {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::peer::PeerId;

    const SENT: Delivery = Delivery::Sent { keep_ms: 1_000 };

    fn signal(bytes: usize) -> Notice<'static> {
        Notice::Signal(RoutedSignal {
            from: PeerId::parse("ann").unwrap(),
            to: None,
            signal_type: "".into(),
            payload: Some("x".repeat(bytes).into()),
        })
    }

    fn numbers(outbox: &Outbox) -> Vec<u64> {
        outbox.kept().map(|entry| entry.number).collect()
    }

    #[test]
    fn the_outbox_is_full_when_64_signals_are_queued() {
        let mut outbox = Outbox::default();
        for _ in 0..64 {
            assert!(outbox.push(Time(9), Delivery::Queued, signal(1)).is_ok());
        }
        let full = Err(Code::MailboxFull);
        assert_eq!(outbox.push(Time(9), Delivery::Queued, signal(1)), full);
        outbox.send_all();
        assert!(outbox.push(Time(9), SENT, signal(1)).is_ok());
        assert_eq!(outbox.kept().count(), 64, "sent notices are dropped");
    }

    #[test]
    fn the_outbox_is_full_when_256_kib_are_queued() {
        let mut outbox = Outbox::default();
        assert!(
            outbox
                .push(Time(9), Delivery::Queued, signal(MAX_HELD_BYTES))
                .is_ok()
        );
        assert!(outbox.push(Time(9), Delivery::Queued, signal(1)).is_err());
        assert!(outbox.push(Time(9), Delivery::Queued, signal(0)).is_ok());
    }

    #[test]
    fn numbers_increase_even_when_the_clock_does_not() {
        let mut outbox = Outbox::default();
        for (now, number) in [
            (100, 100_000),
            (100, 100_001),
            (50, 100_002),
            (200, 200_000),
        ] {
            assert_eq!(outbox.push(Time(now), SENT, signal(1)), Ok(number));
        }
    }

    #[test]
    fn a_sent_notice_is_dropped_when_its_keep_time_has_passed() {
        let mut outbox = Outbox::default();
        for now in [100, 500, 1_100, 1_101] {
            outbox.push(Time(now), SENT, signal(1)).unwrap();
        }
        assert_eq!(numbers(&outbox), [500_000, 1_100_000, 1_101_000]);
    }

    #[test]
    fn a_stream_resumes_after_the_last_notice_that_arrived() {
        let mut outbox = Outbox::default();
        let start = outbox.restart(Time(100));
        for now in [200, 300, 400] {
            outbox.push(Time(now), SENT, signal(1)).unwrap();
        }
        outbox.push(Time(500), Delivery::Queued, signal(1)).unwrap();
        assert!(
            !outbox.clone().resume(Time(600), start - 1),
            "the number belongs to an earlier stream"
        );
        assert!(outbox.clone().resume(Time(600), start));
        assert!(outbox.resume(Time(600), 300_000));
        assert_eq!(numbers(&outbox), [400_000, 500_000]);
    }

    #[test]
    fn a_new_stream_gets_the_unsent_notices() {
        let mut outbox = Outbox::default();
        outbox.push(Time(100), SENT, signal(1)).unwrap();
        outbox.push(Time(200), SENT, signal(1)).unwrap();
        outbox.push(Time(300), Delivery::Queued, signal(1)).unwrap();
        outbox.unsend(200_000);
        assert_eq!(outbox.unsent().count(), 2);
        assert_eq!(outbox.restart(Time(1_000)), 1_000_000);
        assert_eq!(numbers(&outbox), [1_000_001, 1_000_002]);
        assert!(
            !outbox.resume(Time(600), 300_000),
            "the number belongs to an earlier stream"
        );
    }
}
