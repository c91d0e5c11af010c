//! The budgets of topics: the bytes that all publishers of a topic together send to a subscriber, and the
//! bytes that all topics of an object send to all their subscribers.
//!
//! Each client may send 256 KiB a second. Several clients that publish on one topic would therefore fill
//! the connections of its subscribers. The server closes a connection with 4 MiB that its client has
//! not read, and it assumes that a client without frames of its own reads 64 KiB a second; see
//! [`unread`](crate::core::unread). With this budget, a subscriber of one topic stays below that limit for
//! a minute. All clients of topics send a frame at least once a minute. The burst is enough for 30 pages
//! that open a document at the same moment: about 400 pairs exchange 4 to 5 KB each.
//!
//! The server also closes connections if all clients of an object together leave 64 MiB unread, and it
//! assumes that they read 16 MiB a second. All topics together send half of this.
//!
//! The budgets are kept in memory only, as the [rate limit](crate::core::rate_limit) of a client is.

use crate::core::peer::Time;

/// The limit of a budget.
pub(super) struct Rate {
    /// The bytes that may be sent at once after a quiet time.
    burst: usize,
    /// The bytes that are added each millisecond. Division rounds down, as in `unread`.
    bytes_per_millisecond: usize,
}

/// The bytes that a topic sends to each subscriber in a second, in KiB.
pub(super) const KIB_PER_SECOND: usize = 96;

/// The limit of a topic, for each subscriber.
pub(super) const OF_TOPIC: Rate = Rate {
    burst: 2 * 1024 * 1024,
    bytes_per_millisecond: KIB_PER_SECOND * 1024 / 1_000,
};

/// The limit of all topics of an object, for all subscribers together.
pub(super) const OF_ALL: Rate = Rate {
    burst: 32 * 1024 * 1024,
    bytes_per_millisecond: 8 * 1024 * 1024 / 1_000,
};

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
    pub(super) fn spend(&mut self, now: Time, bytes: usize, rate: &Rate) -> bool {
        let elapsed = usize::try_from(now.0.saturating_sub(self.updated_at.0));
        let more = elapsed
            .unwrap_or(rate.burst)
            .saturating_mul(rate.bytes_per_millisecond);
        let spent = self.spent.saturating_sub(more);
        (self.spent, self.updated_at) = (spent, now);
        let total = spent.saturating_add(bytes);
        if total <= rate.burst {
            self.spent = total;
        }
        total <= rate.burst
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::unread::{AllUnread, Unread};

    #[test]
    fn a_topic_sends_2_mib_at_once_and_then_96_kib_a_second() {
        let mut budget = Budget::default();
        let mut sent = |now: u64| {
            (0..100)
                .filter(|_| budget.spend(Time(now), 65_536, &OF_TOPIC))
                .count()
        };
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
            if budget.spend(now, 16_384, &OF_TOPIC) {
                sent += 1;
                all.update(now, 1);
                unread.send(&mut all, now, 16_384);
                assert!(!unread.exceeds(&all), "{now:?}");
            }
        }
        assert!(sent > 3_600, "{sent}");
    }

    #[test]
    fn all_clients_that_read_receive_what_all_topics_send() {
        for clients in [100, 1_100] {
            let mut budget = Budget::default();
            let mut all = AllUnread::default();
            let mut unread = vec![Unread::default(); clients];
            let mut sent = 0;
            for now in (0..20_000_u64).step_by(10).map(|n| Time(1_000_000 + n)) {
                if !budget.spend(now, 16_384 * clients, &OF_ALL) {
                    continue;
                }
                sent += 1;
                all.update(now, clients);
                for client in &mut unread {
                    client.reset();
                    client.send(&mut all, now, 16_384);
                    assert!(!client.exceeds(&all), "{clients} clients, {now:?}");
                }
            }
            assert!(sent * clients > 10_000, "192 MiB in 20 s: {sent}");
        }
    }
}
