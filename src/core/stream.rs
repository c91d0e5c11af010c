//! The event stream of a peer: its stored state, and the ids of its events.

use super::peer::{Address, Seat};

/// The number of generations that an event id distinguishes.
const GENERATIONS: u64 = 32;

/// The state of an event stream that is kept while the room is evicted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// The number at the registration of the peer. A lower number is from an earlier peer with the
    /// same id.
    pub registered: u64,
    /// The number at which the stream was last opened, or at which the peer last registered. Its
    /// client was told of all earlier joins and leaves.
    pub opened: u64,
    /// Counts the streams of this peer, but not their resumptions, from 1 to 31 and then from 1
    /// again. 0: the peer never opened a stream.
    pub generation: u64,
    /// The highest seat that the client was told of.
    pub told: Seat,
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

    /// Returns the id of the event with this number. It stays below 2⁵³ until the year 2109, so
    /// JavaScript represents it exactly.
    pub(crate) const fn event_id(&self, number: u64) -> u64 {
        number
            .saturating_mul(GENERATIONS)
            .saturating_add(self.generation)
    }

    /// Returns whether the event id belongs to the current stream.
    pub(crate) const fn is_current(&self, event_id: u64) -> bool {
        event_id % GENERATIONS == self.generation
    }
}

/// Returns the number in an event id.
pub(crate) const fn number_of(event_id: u64) -> u64 {
    event_id / GENERATIONS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_id_tells_its_number_and_whether_its_stream_is_current() {
        let mut stream = Stream {
            registered: 4,
            opened: 4,
            generation: 0,
            told: Seat(0),
            dropped: 0,
            address: None,
        };
        for _ in 0..100 {
            let old = stream.event_id(1_000);
            stream.restart();
            assert!(stream.generation > 0);
            let id = stream.event_id(1_004);
            assert!(id > old);
            assert_eq!(number_of(id), 1_004);
            assert!(stream.is_current(id) && !stream.is_current(old));
        }
    }
}
