//! The bytes that a client has not read, which the platform buffers without a limit.
//!
//! The platform does not report how much it buffers. A client that answers nothing and sends nothing
//! therefore counts as not reading.

use crate::core::peer::Time;

/// The number of unread bytes above which a WebSocket is closed.
pub const MAX_UNREAD: u64 = 4 * 1024 * 1024;
/// The speed at which a silent client is assumed to read, in bytes for each millisecond: 64 KiB a
/// second.
const DRAIN: u64 = 64 * 1024 / 1_000;

/// Counts the bytes that were sent to a WebSocket since the last frame or `ping` of its client.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unread {
    bytes: u64,
    /// The time at which `bytes` was last updated.
    updated_at: Time,
    /// The time from which `bytes` are counted.
    counted_from: Time,
}

impl Unread {
    /// Counts a frame. Returns whether more than [`MAX_UNREAD`] bytes are unread now.
    pub fn send(&mut self, now: Time, bytes: usize) -> bool {
        let elapsed = now.0.saturating_sub(self.updated_at.0);
        self.updated_at = now;
        self.bytes = self.bytes.saturating_sub(elapsed.saturating_mul(DRAIN));
        self.bytes = self.bytes.saturating_add(bytes as u64);
        self.bytes > MAX_UNREAD
    }

    /// Records that the client sent a frame.
    pub const fn reset(&mut self) {
        self.bytes = 0;
    }

    /// Records the time of a `ping`. Returns whether it is new.
    pub fn record_ping(&mut self, at: Time) -> bool {
        let is_new = at > self.counted_from;
        if is_new {
            self.bytes = 0;
            self.counted_from = at;
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    #[test]
    fn a_silent_client_may_leave_4_mib_unread() {
        let mut unread = Unread::default();
        assert!(!unread.send(Time(1), 4 * MIB));
        assert!(unread.send(Time(1), 1));
    }

    #[test]
    fn a_silent_client_is_assumed_to_read_64_kib_a_second() {
        let mut unread = Unread::default();
        for second in 0..1_000 {
            assert!(!unread.send(Time(second * 1_000), 64_000));
        }
        let mut unread = Unread::default();
        let over = (0..100).find(|second| unread.send(Time(second * 1_000), 256 * 1024));
        assert_eq!(over, Some(20), "more than 4 MiB at 192 KiB a second");
    }

    #[test]
    fn a_frame_or_a_new_ping_resets_the_count() {
        let mut unread = Unread::default();
        unread.send(Time(1), 4 * MIB);
        assert!(unread.record_ping(Time(2)));
        assert!(!unread.send(Time(3), 4 * MIB));
        assert!(!unread.record_ping(Time(2)), "the same ping is not new");
        assert!(unread.send(Time(3), 1));
    }
}
