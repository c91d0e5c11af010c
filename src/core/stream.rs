//! The event stream of a peer.

use super::number::{GENERATIONS, event_id, generation_of};
use super::peer::{Address, Seat};

/// The state of an event stream that is kept while the room is evicted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// The number at the registration of the peer. A lower number is from an earlier peer with the
    /// same id.
    pub registered: u64,
    /// The number at which the stream was last opened, or at which the peer last registered. The
    /// client knows all earlier joins and leaves.
    pub opened: u64,
    /// Counts the streams of this peer, but not their resumptions, from 1 to 15 and then from 1
    /// again. 0: the peer never opened a stream.
    pub generation: u64,
    /// The highest seat that the client knows.
    pub known_seat: Seat,
    /// The highest number that the outbox has dropped. Rows with notices up to this number may
    /// still exist for other receivers.
    pub dropped: u64,
    /// The network from which the peer registered. `None` if it is unknown or exempt from limits.
    pub address: Option<Address>,
}

impl Stream {
    /// Starts a stream that is not a resumption. A client that resumes an earlier stream is then
    /// refused.
    pub(crate) const fn restart(&mut self) {
        // 0 stands for a peer that never opened a stream.
        let next = self.generation.saturating_add(1);
        self.generation = if next < GENERATIONS { next } else { 1 };
    }

    /// Returns the id of the event with this number.
    pub(crate) const fn event_id(&self, number: u64) -> u64 {
        event_id(number, self.generation)
    }

    /// Returns whether the event id belongs to the current stream.
    pub(crate) const fn is_current(&self, event_id: u64) -> bool {
        generation_of(event_id) == self.generation
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_id_of_an_earlier_generation_is_not_current() {
        let mut stream = Stream {
            registered: 4,
            opened: 4,
            generation: 0,
            known_seat: Seat(0),
            dropped: 0,
            address: None,
        };
        for _ in 0..100 {
            let old = stream.event_id(1_000);
            stream.restart();
            assert!(stream.generation > 0);
            let id = stream.event_id(1_004);
            assert!(id > old);
            assert!(stream.is_current(id) && !stream.is_current(old));
        }
    }
}
