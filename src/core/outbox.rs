//! What one peer has not heard yet, or may not have heard: notices in their order, each with a number.
//!
//! Nobody knows how much of a stream has arrived when it breaks, so what went out on one is kept for
//! a while, and the peer says how far it got. A peer with a WebSocket is told who is there when it
//! comes back, and numbers nothing: for such a one, only signals wait here, while it is absent.

use std::collections::VecDeque;

use crate::core::notice::{Notice, RoutedSignal};
use crate::core::peer::Time;
use crate::core::refusal::Code;

/// The most notices that are kept for one peer, or held for whoever joins next.
pub const MAX_HELD: usize = 64;
/// The most bytes that they may have together, kinds and payloads.
pub const MAX_HELD_BYTES: usize = 256 * 1024;

/// The notices that are kept for one peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outbox {
    /// In the order of their numbers.
    kept: VecDeque<Numbered>,
    /// What [`weight`] of all of them adds up to.
    bytes: usize,
    /// The highest number that was ever given.
    last: u64,
    /// The highest number that went out; what is kept above it is still to be sent.
    sent: u64,
    /// Where the stream of now began: one that has got no further than below this is an older one.
    since: u64,
    /// When it went on last: what was kept then went out again.
    resumed: u64,
}

/// One notice and its number: the time at which it was put here, in microseconds since 1970, or one
/// more than the number before, if that is later. So numbers rise even from one life of a room to
/// its next, and say how old a notice is. JavaScript can count so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// The number.
    pub number: u64,
    /// What the peer is to be told.
    pub notice: Notice<'static>,
}

/// Whether what is put into an outbox goes out at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The notice is sent now.
    Sent {
        /// How long the notice is kept afterwards, in milliseconds, in case it does not arrive.
        keep_ms: u64,
    },
    /// The notice waits until the peer opens its stream.
    Queued,
}

impl Outbox {
    /// Builds one out of what was kept of it: its four numbers, and its notices in order.
    #[must_use]
    pub fn restore(
        [last, sent, since, resumed]: [u64; 4],
        kept: impl IntoIterator<Item = Numbered>,
    ) -> Self {
        let kept: VecDeque<_> = kept.into_iter().collect();
        let bytes = kept.iter().map(|one| weight(&one.notice)).sum();
        Self {
            kept,
            bytes,
            last,
            sent,
            since,
            resumed,
        }
    }

    /// The four numbers that [`restore`](Self::restore) takes.
    #[must_use]
    pub const fn numbers(&self) -> [u64; 4] {
        [self.last, self.sent, self.since, self.resumed]
    }

    /// All that is kept, in order.
    pub fn kept(&self) -> impl Iterator<Item = &Numbered> {
        self.kept.iter()
    }

    /// Is it as good as none?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.numbers() == [0; 4]
    }

    /// What is still to be sent, in order.
    pub fn unsent(&self) -> impl Iterator<Item = &Numbered> {
        self.kept.iter().filter(|one| one.number > self.sent)
    }

    /// Adds a notice and says its number.
    ///
    /// # Errors
    ///
    /// [`Code::MailboxFull`], if there is no place but those of notices that are still to be sent.
    pub fn push(
        &mut self,
        now: Time,
        delivery: Delivery,
        notice: Notice<'static>,
    ) -> Result<u64, Code> {
        let bytes = weight(&notice);
        while let Some(first) = self.kept.front() {
            let old = match delivery {
                Delivery::Sent { keep_ms } => {
                    let since = first.number.max(self.resumed);
                    since.saturating_add(micros(Time(keep_ms))) < micros(now)
                }
                Delivery::Queued => false,
            };
            let full =
                self.kept.len() >= MAX_HELD || self.bytes.saturating_add(bytes) > MAX_HELD_BYTES;
            if first.number > self.sent || !(old || full) {
                break;
            }
            self.forget_first();
        }
        if self.kept.len() >= MAX_HELD || self.bytes.saturating_add(bytes) > MAX_HELD_BYTES {
            return Err(Code::MailboxFull);
        }
        let number = self.next(now);
        if delivery != Delivery::Queued {
            self.sent = number;
        }
        self.bytes = self.bytes.saturating_add(bytes);
        self.kept.push_back(Numbered { number, notice });
        Ok(number)
    }

    /// A notice that was thought to have gone out did not.
    pub fn unsend(&mut self, number: u64) {
        self.sent = self.sent.min(number.saturating_sub(1));
    }

    /// A new stream begins, and knows nothing of those before it: it is to get what was not sent yet.
    /// Says the number with which it begins.
    pub fn restart(&mut self, now: Time) -> u64 {
        while self
            .kept
            .front()
            .is_some_and(|first| first.number <= self.sent)
        {
            self.forget_first();
        }
        self.since = self.next(now);
        self.sent = self.since;
        let mut last = self.last;
        for one in &mut self.kept {
            last = last.saturating_add(1);
            one.number = last;
        }
        self.last = last;
        self.since
    }

    /// The same stream goes on after the notice `got`: it is to get all that came later, and what
    /// came before needs to be kept no longer. `false` if it is not the same stream.
    pub fn resume(&mut self, now: Time, got: u64) -> bool {
        if got < self.since {
            return false;
        }
        while self.kept.front().is_some_and(|first| first.number <= got) {
            self.forget_first();
        }
        self.resumed = micros(now);
        true
    }

    /// All that is kept is sent now.
    pub const fn send_all(&mut self) {
        self.sent = self.last;
    }

    fn next(&mut self, now: Time) -> u64 {
        self.last = micros(now).max(self.last.saturating_add(1));
        self.last
    }

    fn forget_first(&mut self) {
        if let Some(first) = self.kept.pop_front() {
            self.bytes = self.bytes.saturating_sub(weight(&first.notice));
        }
    }
}

/// Milliseconds, as clocks here have them, in microseconds.
const fn micros(time: Time) -> u64 {
    time.0.saturating_mul(1_000)
}

/// How many bytes of an outbox a notice takes: what its sender can make long.
fn weight(notice: &Notice<'_>) -> usize {
    match notice {
        Notice::Signal(RoutedSignal {
            signal_type,
            payload,
            ..
        }) => {
            let payload = payload.as_ref().map_or(0, |payload| payload.len());
            signal_type.len().saturating_add(payload)
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::peer::PeerId;

    const SENT: Delivery = Delivery::Sent { keep_ms: 1_000 };

    fn signal(bytes: usize) -> Notice<'static> {
        Notice::Signal(RoutedSignal {
            from: PeerId::parse("ann").unwrap(),
            to: None,
            signal_type: "".into(),
            payload: Some("x".repeat(bytes).into()),
        })
    }

    fn numbers(outbox: &Outbox) -> Vec<u64> {
        outbox.kept().map(|one| one.number).collect()
    }

    #[test]
    fn sixty_four_signals_wait_and_one_more_does_not_fit() {
        let mut outbox = Outbox::default();
        for _ in 0..64 {
            assert!(outbox.push(Time(9), Delivery::Queued, signal(1)).is_ok());
        }
        let full = Err(Code::MailboxFull);
        assert_eq!(outbox.push(Time(9), Delivery::Queued, signal(1)), full);
        outbox.send_all();
        assert!(outbox.push(Time(9), SENT, signal(1)).is_ok());
        assert_eq!(outbox.kept().count(), 64, "what was sent makes room");
    }

    #[test]
    fn a_quarter_of_a_mebibyte_waits_and_one_more_byte_does_not_fit() {
        let mut outbox = Outbox::default();
        assert!(
            outbox
                .push(Time(9), Delivery::Queued, signal(MAX_HELD_BYTES))
                .is_ok()
        );
        assert!(outbox.push(Time(9), Delivery::Queued, signal(1)).is_err());
        assert!(outbox.push(Time(9), Delivery::Queued, signal(0)).is_ok());
    }

    #[test]
    fn numbers_rise_though_time_does_not() {
        let mut outbox = Outbox::default();
        for (now, number) in [
            (100, 100_000),
            (100, 100_001),
            (50, 100_002),
            (200, 200_000),
        ] {
            assert_eq!(outbox.push(Time(now), SENT, signal(1)), Ok(number));
        }
    }

    #[test]
    fn what_was_sent_is_kept_for_a_while() {
        let mut outbox = Outbox::default();
        for now in [100, 500, 1_100, 1_101] {
            outbox.push(Time(now), SENT, signal(1)).unwrap();
        }
        assert_eq!(numbers(&outbox), [500_000, 1_100_000, 1_101_000]);
    }

    #[test]
    fn a_stream_goes_on_where_it_broke() {
        let mut outbox = Outbox::default();
        let since = outbox.restart(Time(100));
        for now in [200, 300, 400] {
            outbox.push(Time(now), SENT, signal(1)).unwrap();
        }
        outbox.push(Time(500), Delivery::Queued, signal(1)).unwrap();
        assert!(
            !outbox.clone().resume(Time(600), since - 1),
            "that was another stream"
        );
        assert!(outbox.clone().resume(Time(600), since));
        assert!(outbox.resume(Time(600), 300_000));
        assert_eq!(numbers(&outbox), [400_000, 500_000]);
    }

    #[test]
    fn a_new_stream_gets_what_was_not_sent_yet() {
        let mut outbox = Outbox::default();
        outbox.push(Time(100), SENT, signal(1)).unwrap();
        outbox.push(Time(200), SENT, signal(1)).unwrap();
        outbox.push(Time(300), Delivery::Queued, signal(1)).unwrap();
        outbox.unsend(200_000);
        assert_eq!(outbox.unsent().count(), 2);
        assert_eq!(outbox.restart(Time(1_000)), 1_000_000);
        assert_eq!(numbers(&outbox), [1_000_001, 1_000_002]);
        assert!(
            !outbox.resume(Time(600), 300_000),
            "the stream before it was replaced"
        );
    }
}
