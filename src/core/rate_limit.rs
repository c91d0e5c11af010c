//! The rate limit of one client: a token bucket for signals, and one for their bytes.
//!
//! The buckets are kept in memory only. A room is evicted at least ten seconds after its last event.
//! An empty bucket is full again after two to eight seconds, so an eviction does not change the
//! number of tokens.

use crate::core::event::Limits;
use crate::core::peer::Time;

const FRAMES_PER_SECOND: u64 = 100;
const BURST: u64 = 200;
const BYTES_PER_SECOND: u64 = 256 * 1024;
/// The bytes that are added each millisecond. Division rounds down, to 255.9 KiB a second.
const BYTES_PER_MILLISECOND: u64 = BYTES_PER_SECOND / 1_000;
/// The message for a peer that exceeds the rate limit. It is a constant, because formatting a
/// message for each refused frame would make floods more expensive.
pub(crate) const TOO_FAST: &str = "too many signals: send at most 100 a second, and 200 in a burst";
/// The message for a peer that exceeds the rate limit for bytes.
pub(crate) const TOO_MANY_BYTES: &str =
    "too many bytes: send at most 256 KiB a second, and large data over a data channel";
/// The cost of a frame in tokens. One token is added each millisecond.
const COST: u64 = 1_000 / FRAMES_PER_SECOND;
/// The capacity of the bucket, in tokens.
const CAPACITY: u64 = BURST * COST;
/// The number of consecutive refusals after which the peer is disconnected, because its client
/// ignores them.
const MAX_CONSECUTIVE_REFUSALS: u32 = 200;

/// The number of bytes in refused frames, beyond 256 KiB a second, above which the peer is
/// disconnected.
const MAX_REFUSED_BYTES: u64 = 8 * 1024 * 1024;
/// The number of refused frames, beyond 100 a second, above which the peer is disconnected. Both limits
/// are for floods in which some frames pass.
const MAX_REFUSED: u64 = 1_000 * COST;

/// The token buckets of one peer.
#[derive(Debug, Clone)]
pub(crate) struct RateLimiter {
    /// The available tokens for signals, at most [`CAPACITY`].
    tokens: u64,
    /// The number of bytes that may be sent now, at most `burst_bytes`.
    bytes: u64,
    burst_bytes: u64,
    /// The time at which `tokens` and `bytes` were last updated.
    updated_at: Time,
    /// The number of refusals since two consecutive frames last passed. A single frame that passes
    /// does not reset the count, because one frame passes every 10 ms even during a flood.
    refused: u32,
    /// Whether the previous frame passed.
    passed: bool,
    /// The cost of the refused frames. It decreases as fast as `tokens` increases.
    excess: u64,
    /// The bytes of the refused frames. They decrease as fast as `bytes` increases.
    excess_bytes: u64,
}

/// The decision about one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The frame is within the limit.
    Pass,
    /// The frame exceeds the limit. It is refused with this message, without further checks.
    Refuse(&'static str),
    /// The frame exceeds the limit after too many consecutive refusals. The peer is disconnected.
    Disconnect(&'static str),
}

impl RateLimiter {
    /// Creates full buckets.
    pub(crate) fn new(now: Time, limits: &Limits) -> Self {
        let burst_bytes = limits.burst_bytes() as u64;
        Self {
            tokens: CAPACITY,
            bytes: burst_bytes,
            burst_bytes,
            updated_at: now,
            refused: 0,
            passed: true,
            excess: 0,
            excess_bytes: 0,
        }
    }

    /// Counts one frame and decides whether the frame passes. A clock that goes backwards adds no
    /// tokens.
    pub(crate) fn check(&mut self, now: Time, bytes: usize) -> Decision {
        let elapsed = now.0.saturating_sub(self.updated_at.0);
        self.tokens = self.tokens.saturating_add(elapsed).min(CAPACITY);
        let more = elapsed.saturating_mul(BYTES_PER_MILLISECOND);
        self.bytes = self.bytes.saturating_add(more).min(self.burst_bytes);
        self.excess = self.excess.saturating_sub(elapsed);
        self.excess_bytes = self.excess_bytes.saturating_sub(more);
        self.updated_at = now;
        let left = self.tokens.checked_sub(COST);
        let bytes_left = self.bytes.checked_sub(bytes as u64);
        if let (Some(tokens), Some(bytes)) = (left, bytes_left) {
            (self.tokens, self.bytes) = (tokens, bytes);
            if self.passed {
                self.refused = 0;
            }
            self.passed = true;
            return Decision::Pass;
        }
        let message = if left.is_none() {
            TOO_FAST
        } else {
            TOO_MANY_BYTES
        };
        self.passed = false;
        self.refused = self.refused.saturating_add(1);
        self.excess = self.excess.saturating_add(COST);
        self.excess_bytes = self.excess_bytes.saturating_add(bytes as u64);
        if self.refused >= MAX_CONSECUTIVE_REFUSALS
            || self.excess > MAX_REFUSED
            || self.excess_bytes > MAX_REFUSED_BYTES
        {
            Decision::Disconnect(message)
        } else {
            Decision::Refuse(message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        peers: 64,
        viewers: 0,
        grace: 0,
        hold: 0,
        hides_peers: false,
        group: 0,
        await_peer: 0,
    };

    fn count(limiter: &mut RateLimiter, now: u64, frames: usize) -> usize {
        (0..frames)
            .filter(|_| limiter.check(Time(now), 1) == Decision::Pass)
            .count()
    }

    #[test]
    fn the_message_names_the_limits() {
        assert!(TOO_FAST.contains(&format!("{FRAMES_PER_SECOND} a second")));
        assert!(TOO_FAST.contains(&format!("{BURST} in a burst")));
    }

    #[test]
    fn frames_pass_200_in_a_burst_and_then_100_a_second() {
        let mut limiter = RateLimiter::new(Time(0), &LIMITS);
        assert_eq!(count(&mut limiter, 0, 250), 200);
        assert_eq!(count(&mut limiter, 1_000, 250), 100);
        assert_eq!(
            count(&mut limiter, 3_000, 250),
            200,
            "the bucket holds one burst at most"
        );
    }

    #[test]
    fn two_consecutive_frames_that_pass_reset_the_count_of_refusals() {
        let mut limiter = RateLimiter::new(Time(0), &LIMITS);
        count(&mut limiter, 0, 399);
        assert_eq!(count(&mut limiter, 20, 2), 2);
        assert_eq!(limiter.check(Time(20), 1), Decision::Refuse(TOO_FAST));
    }

    #[test]
    fn a_peer_is_disconnected_after_200_consecutive_refusals() {
        let mut limiter = RateLimiter::new(Time(0), &LIMITS);
        count(&mut limiter, 0, 399);
        assert_eq!(limiter.check(Time(0), 1), Decision::Disconnect(TOO_FAST));
    }

    #[test]
    fn a_flooding_peer_is_disconnected_though_single_frames_pass() {
        let mut limiter = RateLimiter::new(Time(0), &LIMITS);
        count(&mut limiter, 0, 200);
        // The peer sends 1,000 frames a second, of which 900 are refused.
        let decisions = (0..1_000).map(|millis| limiter.check(Time(millis), 1));
        let before = decisions
            .take_while(|decision| *decision != Decision::Disconnect(TOO_FAST))
            .count();
        assert!((200..250).contains(&before), "{before}");
    }

    #[test]
    fn a_peer_slightly_above_the_limit_stays_connected() {
        let mut limiter = RateLimiter::new(Time(0), &LIMITS);
        // The peer sends 150 frames a second for a minute.
        let decisions = (0..9_000_u64).map(|n| limiter.check(Time(n * 20 / 3), 1));
        assert!(
            decisions
                .into_iter()
                .all(|decision| decision != Decision::Disconnect(TOO_FAST))
        );
    }

    #[test]
    fn a_flood_in_which_pairs_of_frames_pass_ends_as_well() {
        // Every 25 ms, 30 frames of 60 KB, and two small frames that pass.
        let mut limiter = RateLimiter::new(Time(0), &LIMITS);
        let flood = (0..100_u64).find(|n| {
            let now = Time(n * 25);
            let ends =
                (0..30).any(|_| matches!(limiter.check(now, 60_000), Decision::Disconnect(_)));
            let _ = (limiter.check(now, 20), limiter.check(now, 20));
            ends
        });
        assert!(flood.is_some_and(|n| n < 10), "{flood:?}");
        // Every 30 ms, 120 small frames.
        let mut limiter = RateLimiter::new(Time(0), &LIMITS);
        let flood = (0..100_u64).find(|n| {
            let now = Time(n * 30);
            (0..120).any(|_| matches!(limiter.check(now, 20), Decision::Disconnect(_)))
        });
        assert!(flood.is_some_and(|n| n < 15), "{flood:?}");
    }

    #[test]
    fn a_clock_that_goes_backwards_adds_no_tokens() {
        let mut limiter = RateLimiter::new(Time(5_000), &LIMITS);
        assert_eq!(count(&mut limiter, 0, 250), 200);
        assert_eq!(count(&mut limiter, 0, 1), 0);
    }

    #[test]
    fn bytes_pass_up_to_the_burst_and_then_256_kib_a_second() {
        let frame = 64 * 1024;
        for (peers, burst) in [(2, 16), (64, 16), (100, 25), (4_096, 32)] {
            let limits = Limits { peers, ..LIMITS };
            let mut limiter = RateLimiter::new(Time(0), &limits);
            let mut passed = |now: u64| {
                let frames = (0..50).filter(|_| limiter.check(Time(now), frame) == Decision::Pass);
                frames.count()
            };
            assert_eq!(passed(0), burst, "{peers}");
            assert_eq!(passed(1_010), 4, "{peers}");
        }
        let mut limiter = RateLimiter::new(Time(0), &LIMITS);
        for _ in 0..16 {
            limiter.check(Time(0), frame);
        }
        let refused = limiter.check(Time(0), 1);
        assert_eq!(refused, Decision::Refuse(TOO_MANY_BYTES));
        assert!(TOO_MANY_BYTES.contains(&format!("{} KiB a second", BYTES_PER_SECOND / 1024)));
    }
}
