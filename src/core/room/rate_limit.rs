//! The rate limit of one peer: a token bucket.
//!
//! The bucket is kept in memory only. A room is evicted ten seconds after its last event at the
//! earliest, and an empty bucket is full again after two.

use crate::core::peer::Time;

/// The cost of a frame in tokens. One token is added each millisecond, so 100 frames a second pass.
const COST: u64 = 10;
/// The capacity of the bucket: a burst of 200 frames.
const CAPACITY: u64 = 200 * COST;
/// After this many consecutive refusals, the client evidently ignores them and is disconnected.
const MAX_CONSECUTIVE_REFUSALS: u32 = 200;

/// The token bucket of one peer.
#[derive(Debug, Clone)]
pub(crate) struct RateLimiter {
    /// At most [`CAPACITY`].
    tokens: u64,
    /// When `tokens` was last updated.
    updated_at: Time,
    /// Consecutive refusals. During a flood one frame passes every 10 ms, so a single frame that passes
    /// does not reset this. Two consecutive ones do.
    refused: u32,
    /// Whether the last frame passed.
    passed: bool,
}

/// What to do with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The frame is within the limit.
    Pass,
    /// The frame exceeds the limit, and is refused without being read.
    Refuse,
    /// Like `Refuse`, after too many consecutive refusals: the peer is disconnected.
    Disconnect,
}

impl RateLimiter {
    /// A full bucket.
    pub(crate) const fn new(now: Time) -> Self {
        Self {
            tokens: CAPACITY,
            updated_at: now,
            refused: 0,
            passed: true,
        }
    }

    /// Counts one frame. A clock that goes backwards adds no tokens.
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
        // A thousand frames a second, nine of ten refused.
        let decisions = (0..1_000).map(|millis| limiter.check(Time(millis)));
        let before = decisions
            .take_while(|decision| *decision != Decision::Disconnect)
            .count();
        assert!((200..250).contains(&before), "{before}");
    }

    #[test]
    fn a_peer_slightly_above_the_limit_stays_connected() {
        let mut limiter = RateLimiter::new(Time(0));
        // 150 frames a second for a minute.
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
