//! The numbers of a room, which order its notices, and the ids of events.
//!
//! A room numbers everything in one sequence. All receivers of a broadcast therefore share its number,
//! and most of them its event id.

use crate::core::peer::Time;

/// The numbers of one millisecond.
const PER_MILLISECOND: u64 = 128;
/// The distance between two numbers. The numbers between them are left for the changes that a
/// reopened stream receives before its kept notices.
pub(crate) const GAP: u64 = 16;

/// Returns the next number after `last`. A number is a time in units of 1/128 ms. Numbers increase
/// even if the clock goes backwards.
pub(crate) const fn next_number(last: u64, now: Time) -> u64 {
    let next = (last / GAP).saturating_add(1).saturating_mul(GAP);
    let by_time = now.0.saturating_mul(PER_MILLISECOND);
    if by_time > next { by_time } else { next }
}

/// Returns the time of a number.
pub(crate) const fn time_of(number: u64) -> Time {
    Time(number / PER_MILLISECOND)
}

/// The number of generations of a stream that an event id distinguishes.
pub(crate) const GENERATIONS: u64 = 16;

/// Returns the id of an event on a stream of this generation. It stays below 2⁵³ until the year 2109,
/// so JavaScript represents it exactly.
pub(crate) const fn event_id(number: u64, generation: u64) -> u64 {
    number
        .saturating_mul(GENERATIONS)
        .saturating_add(generation)
}

/// Returns the number in an event id.
pub(crate) const fn number_of(event_id: u64) -> u64 {
    event_id / GENERATIONS
}

/// Returns the generation of the stream in an event id.
pub(crate) const fn generation_of(event_id: u64) -> u64 {
    event_id % GENERATIONS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_increase_even_when_the_clock_does_not() {
        let mut last = 0;
        for (now, number) in [(100, 12_800), (100, 12_816), (50, 12_832), (200, 25_600)] {
            last = next_number(last, Time(now));
            assert_eq!(last, number);
        }
        assert_eq!(next_number(12_801, Time(0)), 12_816);
        assert_eq!(time_of(25_604), Time(200));
    }

    #[test]
    fn an_event_id_contains_a_number_and_a_generation() {
        let id = event_id(1_004, 15);
        assert_eq!((number_of(id), generation_of(id)), (1_004, 15));
        assert!(event_id(1_004, 1) > event_id(1_003, 15));
        let year_2100 = Time(4_102_444_800_000);
        assert!(event_id(next_number(0, year_2100), 15) < 1 << 53);
    }
}
