//! How fast one socket may speak: a bucket that fills with time and that each frame takes from.
//!
//! It lives in memory alone. A room that forgets it while it sleeps has been silent for ten seconds,
//! after which the bucket would be full anyway.

use crate::core::peer::Time;

/// What a frame costs, in milliseconds of waiting: 100 frames a second sustained.
const COST: u64 = 10;
/// What can be saved up, in the same unit: 200 frames in a burst.
const FULL: u64 = 200 * COST;
/// So many refusals in a row mean that the peer is not listening.
const PATIENCE: u32 = 200;

/// The bucket of one socket.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    /// Milliseconds saved up, at most [`FULL`].
    saved: u64,
    /// When `saved` was true.
    since: Time,
    /// Frames refused in a row. One that slips through in the midst of a flood, as every hundredth of
    /// a second lets one, does not end the row; two that pass one after the other do.
    refused: u32,
    /// Whether the last frame passed.
    passed: bool,
}

/// What becomes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is in time.
    Pass,
    /// It came too fast, and is not looked at.
    Refuse,
    /// It came too fast, as have all the others for too long: the socket is closed.
    Expel,
}

impl Pace {
    /// A full bucket.
    pub(crate) const fn new(now: Time) -> Self {
        Self {
            saved: FULL,
            since: now,
            refused: 0,
            passed: true,
        }
    }

    /// Weighs one frame. A clock that goes backwards adds nothing.
    pub(crate) fn weigh(&mut self, now: Time) -> Verdict {
        let passed = now.0.saturating_sub(self.since.0);
        self.saved = self.saved.saturating_add(passed).min(FULL);
        self.since = now;
        if let Some(left) = self.saved.checked_sub(COST) {
            self.saved = left;
            if self.passed {
                self.refused = 0;
            }
            self.passed = true;
            return Verdict::Pass;
        }
        self.passed = false;
        self.refused = self.refused.saturating_add(1);
        if self.refused >= PATIENCE {
            Verdict::Expel
        } else {
            Verdict::Refuse
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(pace: &mut Pace, now: u64, frames: usize) -> usize {
        (0..frames)
            .filter(|_| pace.weigh(Time(now)) == Verdict::Pass)
            .count()
    }

    #[test]
    fn two_hundred_pass_in_a_burst_and_a_hundred_a_second_after_it() {
        let mut pace = Pace::new(Time(0));
        assert_eq!(count(&mut pace, 0, 250), 200);
        assert_eq!(count(&mut pace, 1_000, 250), 100);
        assert_eq!(
            count(&mut pace, 3_000, 250),
            200,
            "no more than a burst is saved up"
        );
    }

    #[test]
    fn two_frames_that_pass_forgive_the_refusals_before_them() {
        let mut pace = Pace::new(Time(0));
        count(&mut pace, 0, 399);
        assert_eq!(count(&mut pace, 20, 2), 2);
        assert_eq!(pace.weigh(Time(20)), Verdict::Refuse);
    }

    #[test]
    fn two_hundred_refusals_in_a_row_end_it() {
        let mut pace = Pace::new(Time(0));
        count(&mut pace, 0, 399);
        assert_eq!(pace.weigh(Time(0)), Verdict::Expel);
    }

    #[test]
    fn a_flood_is_ended_though_a_frame_slips_through_now_and_then() {
        let mut pace = Pace::new(Time(0));
        count(&mut pace, 0, 200);
        // A thousand frames a second, nine of ten refused.
        let verdicts = (0..1_000).map(|millis| pace.weigh(Time(millis)));
        let before = verdicts
            .take_while(|verdict| *verdict != Verdict::Expel)
            .count();
        assert!((200..250).contains(&before), "{before}");
    }

    #[test]
    fn who_is_a_little_too_fast_is_refused_and_stays() {
        let mut pace = Pace::new(Time(0));
        // 150 frames a second for a minute.
        let verdicts = (0..9_000_u64).map(|n| pace.weigh(Time(n * 20 / 3)));
        assert!(
            verdicts
                .into_iter()
                .all(|verdict| verdict != Verdict::Expel)
        );
    }

    #[test]
    fn a_clock_that_goes_backwards_gives_nothing_away() {
        let mut pace = Pace::new(Time(5_000));
        assert_eq!(count(&mut pace, 0, 250), 200);
        assert_eq!(count(&mut pace, 0, 1), 0);
    }
}
