//! The budget of a topic: the bytes that all its publishers together send to a subscriber.
//!
//! Each client may send 256 KiB a second. Several clients that publish on one topic would therefore fill
//! the connections of its subscribers. The server closes a connection with 4 MiB that its client has
//! not read, and it assumes that a client without frames of its own reads 64 KiB a second; see
//! [`unread`](crate::core::unread). With this budget, a subscriber of one topic stays below that limit for
//! a minute. All clients of topics send a frame at least once a minute. The burst is enough for 30 pages
//! that open a document at the same moment: about 400 pairs exchange 4 to 5 KB each.
//!
//! The budget is kept in memory only, as the [rate limit](crate::core::rate_limit) of a client is.

use crate::core::peer::Time;

/// The bytes that a topic sends at once after a quiet time.
const BURST: usize = 2 * 1024 * 1024;
/// The bytes that are added each millisecond. Division rounds down, as in `unread`.
const BYTES_PER_MILLISECOND: usize = 96 * 1024 / 1_000;

/// The bytes that were sent.
#[derive(Debug, Default)]
pub(super) struct Budget {
    /// The bytes of the past messages. They decrease with time.
    spent: usize,
    /// The time at which `spent` was last updated.
    updated_at: Time,
}

impl Budget {
    /// Counts a message with this number of bytes. Returns `false` if it must be dropped. A clock that goes
    /// backwards adds nothing.
    pub(super) fn spend(&mut self, now: Time, bytes: usize) -> bool {
        let elapsed = usize::try_from(now.0.saturating_sub(self.updated_at.0));
        let more = elapsed
            .unwrap_or(BURST)
            .saturating_mul(BYTES_PER_MILLISECOND);
        let spent = self.spent.saturating_sub(more);
        (self.spent, self.updated_at) = (spent, now);
        let total = spent.saturating_add(bytes);
        if total <= BURST {
            self.spent = total;
        }
        total <= BURST
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::unread::{AllUnread, Unread};

    #[test]
    fn a_topic_sends_2_mib_at_once_and_then_96_kib_a_second() {
        let mut budget = Budget::default();
        let mut sent = |now: u64| (0..100).filter(|_| budget.spend(Time(now), 65_536)).count();
        assert_eq!(sent(1_000_000), 32);
        assert_eq!(sent(1_002_010), 3);
        assert_eq!(sent(1_000_000), 0, "the clock goes backwards");
        assert_eq!(sent(u64::MAX), 32, "the burst is the most");
    }

    #[test]
    fn a_subscriber_that_sends_a_frame_each_minute_is_not_closed() {
        let mut budget = Budget::default();
        let (mut all, mut unread) = (AllUnread::default(), Unread::default());
        let mut sent = 0;
        for now in (0..600_000_u64).map(|n| Time(1_000_000 + n)) {
            if now.0 % 60_000 == 0 {
                unread.reset();
            }
            if budget.spend(now, 16_384) {
                sent += 1;
                all.update(now, 1);
                unread.send(&mut all, now, 16_384);
                assert!(!unread.exceeds(&all), "{now:?}");
            }
        }
        assert!(sent > 3_600, "{sent}");
    }
}
