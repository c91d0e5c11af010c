//! The rate limit of one peer: a token bucket.
//!
//! The bucket is kept in memory only. A room is evicted at least ten seconds after its last event.
//! An empty bucket is full again after two seconds, so an eviction does not change the number of
//! tokens.

use crate::core::peer::Time;

const FRAMES_PER_SECOND: u64 = 100;
const BURST: u64 = 200;
/// The message for a peer that exceeds the rate limit. It is a constant, because formatting a
/// message for each refused frame would make floods more expensive.
pub(crate) const TOO_FAST: &str = "too many signals: send at most 100 a second, and 200 in a burst";
/// The cost of a frame in tokens. One token is added each millisecond.
const COST: u64 = 1_000 / FRAMES_PER_SECOND;
/// The capacity of the bucket, in tokens.
const CAPACITY: u64 = BURST * COST;
/// The number of consecutive refusals after which the peer is disconnected, because its client
/// ignores them.
const MAX_CONSECUTIVE_REFUSALS: u32 = 200;

/// The token bucket of one peer.
#[derive(Debug, Clone)]
pub(crate) struct RateLimiter {
    /// The available tokens, at most [`CAPACITY`].
    tokens: u64,
    /// The time at which `tokens` was last updated.
    updated_at: Time,
    /// The number of refusals since two consecutive frames last passed. A single frame that passes
    /// does not reset the count, because one frame passes every 10 ms even during a flood.
    refused: u32,
    /// Whether the previous frame passed.
    passed: bool,
}

/// The decision about one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The frame is within the limit.
    Pass,
    /// The frame exceeds the limit. It is refused without further checks.
    Refuse,
    /// The frame exceeds the limit after too many consecutive refusals. The peer is disconnected.
    Disconnect,
}

impl RateLimiter {
    /// Creates a full bucket.
    pub(crate) const fn new(now: Time) -> Self {
        Self {
            tokens: CAPACITY,
            updated_at: now,
            refused: 0,
            passed: true,
        }
    }

    /// Counts one frame and decides whether the frame passes. A clock that goes backwards adds no
    /// tokens.
    pub(crate) fn check(&mut self, now: Time) -> Decision {
        let elapsed = now.0.saturating_sub(self.updated_at.0);
        self.tokens = self.tokens.saturating_add(elapsed).min(CAPACITY);
        self.updated_at = now;
        if let Some(left) = self.tokens.checked_sub(COST) {
            self.tokens = left;
            if self.passed {
                self.refused = 0;
            }
            self.passed = true;
            return Decision::Pass;
        }
        self.passed = false;
        self.refused = self.refused.saturating_add(1);
        if self.refused >= MAX_CONSECUTIVE_REFUSALS {
            Decision::Disconnect
        } else {
            Decision::Refuse
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(limiter: &mut RateLimiter, now: u64, frames: usize) -> usize {
        (0..frames)
            .filter(|_| limiter.check(Time(now)) == Decision::Pass)
            .count()
    }

    #[test]
    fn the_message_names_the_limits() {
        assert!(TOO_FAST.contains(&format!("{FRAMES_PER_SECOND} a second")));
        assert!(TOO_FAST.contains(&format!("{BURST} in a burst")));
    }

    #[test]
    fn frames_pass_200_in_a_burst_and_then_100_a_second() {
        let mut limiter = RateLimiter::new(Time(0));
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
        let mut limiter = RateLimiter::new(Time(0));
        count(&mut limiter, 0, 399);
        assert_eq!(count(&mut limiter, 20, 2), 2);
        assert_eq!(limiter.check(Time(20)), Decision::Refuse);
    }

    #[test]
    fn a_peer_is_disconnected_after_200_consecutive_refusals() {
        let mut limiter = RateLimiter::new(Time(0));
        count(&mut limiter, 0, 399);
        assert_eq!(limiter.check(Time(0)), Decision::Disconnect);
    }

    #[test]
    fn a_flooding_peer_is_disconnected_though_single_frames_pass() {
        let mut limiter = RateLimiter::new(Time(0));
        count(&mut limiter, 0, 200);
        // The peer sends 1,000 frames a second, of which 900 are refused.
        let decisions = (0..1_000).map(|millis| limiter.check(Time(millis)));
        let before = decisions
            .take_while(|decision| *decision != Decision::Disconnect)
            .count();
        assert!((200..250).contains(&before), "{before}");
    }

    #[test]
    fn a_peer_slightly_above_the_limit_stays_connected() {
        let mut limiter = RateLimiter::new(Time(0));
        // The peer sends 150 frames a second for a minute.
        let decisions = (0..9_000_u64).map(|n| limiter.check(Time(n * 20 / 3)));
        assert!(
            decisions
                .into_iter()
                .all(|decision| decision != Decision::Disconnect)
        );
    }

    #[test]
    fn a_clock_that_goes_backwards_adds_no_tokens() {
        let mut limiter = RateLimiter::new(Time(5_000));
        assert_eq!(count(&mut limiter, 0, 250), 200);
        assert_eq!(count(&mut limiter, 0, 1), 0);
    }
}
