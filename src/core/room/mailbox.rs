//! Signals to all that were sent while nobody else was there: they wait for the first to join.
//!
//! It is bounded, so that nobody can make a room remember without end.

use crate::core::event::Held;
use crate::core::outbox::{MAX_HELD, MAX_HELD_BYTES};
use crate::core::peer::Time;
use crate::core::refusal::Code;

/// Signals that wait for the same thing, in the order of sending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mailbox {
    held: Vec<Held>,
    /// What [`len`] of all of them adds up to.
    bytes: usize,
}

impl Mailbox {
    /// Adds a signal, or says why it does not fit.
    pub(crate) fn push(&mut self, held: Held) -> Result<(), Code> {
        let bytes = self.bytes.saturating_add(len(&held));
        if self.held.len() >= MAX_HELD || bytes > MAX_HELD_BYTES {
            return Err(Code::MailboxFull);
        }
        self.bytes = bytes;
        self.held.push(held);
        Ok(())
    }

    /// Takes out all that waited longer than it may.
    pub(crate) fn take_expired(&mut self, now: Time) -> Vec<Held> {
        let all = std::mem::take(self).held;
        let (expired, kept): (Vec<_>, Vec<_>) = all.into_iter().partition(|held| held.until <= now);
        self.bytes = kept.iter().map(len).sum();
        self.held = kept;
        expired
    }

    /// Takes out everything.
    pub(crate) fn take(&mut self) -> Vec<Held> {
        std::mem::take(self).held
    }

    /// When the first of them has waited long enough.
    pub(crate) fn next_expiry(&self) -> Option<Time> {
        self.held.iter().map(|held| held.until).min()
    }
}

/// How many bytes of a mailbox a signal takes.
fn len(held: &Held) -> usize {
    let payload = held.payload.as_ref().map_or(0, String::len);
    held.signal_type.len().saturating_add(payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::peer::PeerId;

    fn held(number: u64, bytes: usize) -> Held {
        Held {
            number,
            from: PeerId::parse("ann").unwrap(),
            until: Time(number),
            signal_type: String::new(),
            payload: Some("x".repeat(bytes)),
        }
    }

    #[test]
    fn sixty_four_signals_fit_and_one_more_does_not() {
        let mut mailbox = Mailbox::default();
        for number in 0..64 {
            assert_eq!(mailbox.push(held(number, 1)), Ok(()));
        }
        assert_eq!(mailbox.push(held(64, 1)), Err(Code::MailboxFull));
        assert_eq!(mailbox.take().len(), 64);
        assert_eq!(
            mailbox.push(held(65, 1)),
            Ok(()),
            "an emptied mailbox takes more"
        );
    }

    #[test]
    fn a_quarter_of_a_mebibyte_fits_and_one_more_byte_does_not() {
        let mut mailbox = Mailbox::default();
        assert_eq!(mailbox.push(held(0, MAX_HELD_BYTES)), Ok(()));
        assert_eq!(mailbox.push(held(1, 1)), Err(Code::MailboxFull));
        assert_eq!(mailbox.push(held(1, 0)), Ok(()));
    }

    #[test]
    fn what_has_waited_long_enough_makes_room() {
        let mut mailbox = Mailbox::default();
        mailbox.push(held(1, MAX_HELD_BYTES)).unwrap();
        assert_eq!(mailbox.take_expired(Time(0)), []);
        assert_eq!(mailbox.take_expired(Time(1)).len(), 1);
        assert_eq!(mailbox.push(held(2, MAX_HELD_BYTES)), Ok(()));
        assert_eq!(mailbox.next_expiry(), Some(Time(2)));
    }
}
