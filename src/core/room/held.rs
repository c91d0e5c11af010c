//! Broadcasts from a peer that is alone, held until the next peer joins.
//!
//! The number and the total size of held broadcasts are limited, so that a client cannot exhaust
//! the memory of the room.

use crate::core::event::Held;
use crate::core::outbox::{MAX_HELD, MAX_HELD_BYTES};
use crate::core::peer::Time;
use crate::core::refusal::Code;

/// Broadcasts held for the next peer to join, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeldBroadcasts {
    held: Vec<Held>,
    /// The sum of the [`size`]s of `held`.
    bytes: usize,
}

impl HeldBroadcasts {
    /// Adds a broadcast.
    ///
    /// # Errors
    ///
    /// [`Code::MailboxFull`] if the broadcast would exceed a limit.
    pub(crate) fn push(&mut self, held: Held) -> Result<(), Code> {
        let bytes = self.bytes.saturating_add(size(&held));
        if self.held.len() >= MAX_HELD || bytes > MAX_HELD_BYTES {
            return Err(Code::MailboxFull);
        }
        self.bytes = bytes;
        self.held.push(held);
        Ok(())
    }

    /// Limits the expiry of all broadcasts, and returns those that expire earlier now.
    pub(crate) fn limit_expiries(&mut self, latest: Time) -> Vec<Held> {
        let late = self.held.iter_mut().filter(|held| held.expires_at > latest);
        let limited = late.map(|held| {
            held.expires_at = latest;
            held.clone()
        });
        limited.collect()
    }

    /// Removes the expired broadcasts and returns them.
    pub(crate) fn take_expired(&mut self, now: Time) -> Vec<Held> {
        let all = std::mem::take(self).held;
        let (expired, kept): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|held| held.expires_at <= now);
        self.bytes = kept.iter().map(size).sum();
        self.held = kept;
        expired
    }

    /// Removes all broadcasts and returns them.
    pub(crate) fn take(&mut self) -> Vec<Held> {
        std::mem::take(self).held
    }

    /// Returns the earliest time at which a broadcast expires.
    pub(crate) fn next_expiry(&self) -> Option<Time> {
        self.held.iter().map(|held| held.expires_at).min()
    }
}

/// Returns the size of a broadcast, in bytes of type and payload.
fn size(held: &Held) -> usize {
    let payload = held.payload.as_ref().map_or(0, String::len);
    held.signal_type.len().saturating_add(payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::peer::PeerId;

    fn broadcast(number: u64, bytes: usize) -> Held {
        Held {
            number,
            from: PeerId::parse("ann").unwrap(),
            expires_at: Time(number),
            signal_type: String::new(),
            payload: Some("x".repeat(bytes)),
        }
    }

    #[test]
    fn a_65th_broadcast_is_refused() {
        let mut held = HeldBroadcasts::default();
        for number in 0..64 {
            assert_eq!(held.push(broadcast(number, 1)), Ok(()));
        }
        assert_eq!(held.push(broadcast(64, 1)), Err(Code::MailboxFull));
        assert_eq!(held.take().len(), 64);
        assert_eq!(held.push(broadcast(65, 1)), Ok(()), "there is space again");
    }

    #[test]
    fn a_broadcast_is_refused_when_256_kib_are_held() {
        let mut held = HeldBroadcasts::default();
        assert_eq!(held.push(broadcast(0, MAX_HELD_BYTES)), Ok(()));
        assert_eq!(held.push(broadcast(1, 1)), Err(Code::MailboxFull));
        assert_eq!(held.push(broadcast(1, 0)), Ok(()));
    }

    #[test]
    fn expired_broadcasts_free_their_space() {
        let mut held = HeldBroadcasts::default();
        held.push(broadcast(1, MAX_HELD_BYTES)).unwrap();
        assert_eq!(held.take_expired(Time(0)), []);
        assert_eq!(held.take_expired(Time(1)).len(), 1);
        assert_eq!(held.push(broadcast(2, MAX_HELD_BYTES)), Ok(()));
        assert_eq!(held.next_expiry(), Some(Time(2)));
    }
}
