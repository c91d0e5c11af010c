//! The bytes that clients have not read, which the platform buffers without a limit.
//!
//! The platform does not report how much it buffers. A client that answers nothing and sends nothing
//! therefore counts as not reading. But a program can send frames and `ping`s without reading, so the
//! bytes of all clients of an object are counted, too, whatever the clients send.

use crate::core::peer::Time;

/// The number of unread bytes above which a WebSocket is closed.
pub const MAX_UNREAD: u64 = 4 * 1024 * 1024;
/// The number of unread bytes of all WebSockets of an object. Above it, a WebSocket with more than its
/// equal part of them is closed.
pub const MAX_ALL_UNREAD: u64 = 64 * 1024 * 1024;
/// The speed at which a silent client is assumed to read, in bytes for each millisecond: 64 KiB a
/// second.
const DRAIN: u64 = 64 * 1024 / 1_000;
/// The speed at which all clients of an object together are assumed to read, in bytes for each
/// millisecond: 16 MiB a second, an equal part for each client.
const ALL_DRAIN: u64 = 16 * 1024 * 1024 / 1_000;

/// Counts the bytes that all clients of an object have not read.
#[derive(Clone, Copy, Debug, Default)]
pub struct AllUnread {
    bytes: u64,
    /// The time at which `bytes` was last updated.
    updated_at: Time,
    /// The number of clients.
    clients: u64,
}

impl AllUnread {
    /// Updates the count before frames are sent to some of the clients.
    pub fn update(&mut self, now: Time, clients: usize) {
        let elapsed = now.0.saturating_sub(self.updated_at.0);
        self.updated_at = now;
        self.bytes = self.bytes.saturating_sub(elapsed.saturating_mul(ALL_DRAIN));
        self.clients = clients as u64;
    }

    /// Returns the equal part of each client.
    fn part(&self, all: u64) -> u64 {
        all.checked_div(self.clients).unwrap_or(all)
    }
}

/// Counts the bytes that one client has not read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unread {
    /// The bytes since the last frame or `ping` of the client.
    bytes: u64,
    /// The bytes that count for [`AllUnread`].
    of_all: u64,
    /// The time at which the bytes were last updated.
    updated_at: Time,
    /// The time from which `bytes` are counted.
    counted_from: Time,
}

impl Unread {
    /// Counts a frame to the client, which may [exceed](Self::exceeds) a limit then.
    pub fn send(&mut self, all: &mut AllUnread, now: Time, bytes: usize) {
        let elapsed = now.0.saturating_sub(self.updated_at.0);
        self.updated_at = now;
        let bytes = bytes as u64;
        let read = elapsed.saturating_mul(DRAIN);
        self.bytes = self.bytes.saturating_sub(read).saturating_add(bytes);
        let read = all.part(elapsed.saturating_mul(ALL_DRAIN));
        self.of_all = self.of_all.saturating_sub(read).saturating_add(bytes);
        all.bytes = all.bytes.saturating_add(bytes);
    }

    /// Returns whether the WebSocket has too many unread bytes.
    #[must_use]
    pub fn exceeds(&self, all: &AllUnread) -> bool {
        let exceeds_part = all.bytes > MAX_ALL_UNREAD && self.of_all > all.part(MAX_ALL_UNREAD);
        self.bytes > MAX_UNREAD || exceeds_part
    }

    /// Records that the client sent a frame.
    pub const fn reset(&mut self) {
        self.bytes = 0;
    }

    /// Records the time of a `ping`. If it is new, only the frame that was counted last is unread.
    pub fn record_ping(&mut self, at: Time, last_frame: usize) {
        if at > self.counted_from {
            self.bytes = last_frame as u64;
            self.counted_from = at;
        }
    }

    /// Removes the bytes of a WebSocket that is closed from the count of all.
    pub const fn remove_from(&self, all: &mut AllUnread) {
        all.bytes = all.bytes.saturating_sub(self.of_all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1024;
    const MIB: usize = 1024 * KIB;

    /// The clients of one object.
    struct Object {
        all: AllUnread,
        clients: Vec<Unread>,
        /// The time of the last event, in milliseconds.
        now: u64,
        /// The bytes that were sent to all clients.
        sent: usize,
    }

    impl Object {
        fn of(clients: usize) -> Self {
            Self {
                all: AllUnread::default(),
                clients: vec![Unread::default(); clients],
                now: 1_000_000,
                sent: 0,
            }
        }

        /// Sends a frame to each client after some milliseconds, and removes the clients that are closed.
        /// Returns their number.
        fn send_after(&mut self, millis: u64, bytes: usize) -> usize {
            self.now += millis;
            let clients = self.clients.len();
            self.all.update(Time(self.now), clients);
            let (all, sent, now) = (&mut self.all, &mut self.sent, Time(self.now));
            self.clients.retain_mut(|client| {
                client.send(all, now, bytes);
                let exceeds = client.exceeds(all);
                if exceeds {
                    client.remove_from(all);
                } else {
                    *sent += bytes;
                }
                !exceeds
            });
            clients - self.clients.len()
        }

        /// Sends a frame to each client immediately.
        fn send(&mut self, bytes: usize) -> usize {
            self.send_after(0, bytes)
        }

        /// Lets each client send a frame.
        fn hear(&mut self) {
            self.clients.iter_mut().for_each(Unread::reset);
        }
    }

    #[test]
    fn a_silent_client_may_leave_4_mib_unread() {
        let mut object = Object::of(1);
        assert_eq!(object.send(4 * MIB), 0);
        assert_eq!(object.send(1), 1);
    }

    #[test]
    fn a_silent_client_is_assumed_to_read_64_kib_a_second() {
        let mut object = Object::of(1);
        for _ in 0..1_000 {
            assert_eq!(object.send_after(1_000, 64_000), 0);
        }
        let mut object = Object::of(1);
        let over = (0..100).find(|_| object.send_after(1_000, 256 * KIB) > 0);
        assert_eq!(over, Some(20), "more than 4 MiB at 192 KiB a second");
    }

    #[test]
    fn a_frame_or_a_new_ping_resets_the_count_of_one_client() {
        let (mut all, mut client) = (AllUnread::default(), Unread::default());
        let mut send = |client: &mut Unread, bytes| {
            client.send(&mut all, Time(1), bytes);
            client.exceeds(&all)
        };
        assert!(!send(&mut client, 4 * MIB));
        client.reset();
        assert!(!send(&mut client, 4 * MIB));
        assert!(send(&mut client, MIB));
        client.record_ping(Time(2), MIB);
        assert!(!send(&mut client, 3 * MIB));
        client.record_ping(Time(2), 0);
        assert!(send(&mut client, 1), "the same ping is not new");
    }

    #[test]
    fn many_clients_that_send_and_do_not_read_are_closed() {
        let mut object = Object::of(1_000);
        for _ in 0..128 {
            object.send_after(62, 64 * KIB); // four publishers at 256 KiB a second
            object.hear();
        }
        assert!(object.clients.len() < 20, "{}", object.clients.len());
        assert!(object.sent < 640 * MIB, "{} MiB", object.sent / MIB);
    }

    #[test]
    fn all_clients_together_are_assumed_to_read_16_mib_a_second() {
        let mut object = Object::of(1_024);
        for _ in 0..1_000 {
            assert_eq!(object.send_after(1_000, 16_000), 0);
        }
        let over = (0..100).find(|_| {
            object.hear();
            object.send_after(1_000, 31 * KIB) > 0
        });
        assert_eq!(over, Some(3), "15 MiB a second too much for 64 MiB");
    }

    #[test]
    fn clients_with_less_than_an_equal_part_are_not_closed() {
        let mut object = Object::of(100);
        let now = Time(object.now);
        object.all.update(now, 100);
        for client in object.clients.iter_mut().rev().take(20) {
            client.send(&mut object.all, now, 4 * MIB);
        }
        assert_eq!(
            object.send(64 * KIB),
            20,
            "64 MiB / 100 is more than 64 KiB"
        );
    }

    #[test]
    fn clients_that_are_closed_leave_their_part_to_the_others() {
        let mut object = Object::of(64);
        assert_eq!(object.send(MIB), 0);
        assert_eq!(object.send(1), 1, "then 63 MiB are left for 63 clients");
    }

    #[test]
    fn healthy_clients_are_not_closed() {
        // 64 peers join within a second. Each sends 16 KiB to each other peer.
        let mut object = Object::of(64);
        for _ in 0..63 {
            assert_eq!(object.send_after(16, 16 * KIB), 0);
        }
        // A live session starts for 1,000 viewers.
        let mut object = Object::of(1_000);
        for _ in 0..4 {
            assert_eq!(object.send_after(10, 16 * KIB), 0);
        }
        // A busy topic of 60 clients that send a heartbeat every 15 s: 1 MiB, then 256 KiB a second.
        let mut object = Object::of(60);
        assert_eq!(object.send(MIB), 0);
        for second in 1..600 {
            if second % 15 == 0 {
                object.hear();
            }
            assert_eq!(object.send_after(1_000, 256 * KIB), 0, "{second}");
        }
        // One of 100 silent clients gets 1 MiB every 100 s.
        let mut object = Object::of(100);
        for second in (100..10_000).step_by(100) {
            let (all, now) = (&mut object.all, Time(second * 1_000));
            all.update(now, 100);
            object.clients[0].send(all, now, MIB);
            assert!(!object.clients[0].exceeds(all), "{second}");
        }
        // 1,000 silent clients that get a frame of 1 KiB ten times a second.
        let mut object = Object::of(1_000);
        for _ in 0..6_000 {
            assert_eq!(object.send_after(100, KIB), 0);
        }
    }
}
