//! The places of peers that have registered and never opened a stream. A stranger can take such a
//! place with one request and no connection, so they are limited.

use super::turn::Turn;
use crate::core::number::time_of;
use crate::core::peer::Address;
use crate::core::refusal::{Code, Refusal};

/// The time for which a registered peer keeps its place although others want it, in milliseconds.
const UNDISTURBED_MS: u64 = 5_000;

impl Turn<'_, '_> {
    /// Makes place for a peer that has not opened a stream. If too many of these peers are in the
    /// room, or from the network of the newcomer, the oldest leaves.
    pub(super) fn make_place(&mut self, address: Option<Address>) -> Result<(), Refusal<'static>> {
        let limits = self.room.limits;
        let absent = self.room.roster.absent();
        let waiting = absent.filter_map(|peer| {
            let stream = peer.absent_stream()?;
            let is_waiting = stream.generation == 0;
            is_waiting.then_some((stream.registered, peer.member.seat, stream.address))
        });
        let waiting: Vec<_> = waiting.collect();
        let same: Vec<_> = waiting
            .iter()
            .filter(|(.., other)| address.is_some() && *other == address)
            .copied()
            .collect();
        let (crowd, origin) = if same.len() >= limits.waiting_of_one_address() {
            (same, " from your address")
        } else if waiting.len() >= limits.waiting() {
            (waiting, "")
        } else {
            return Ok(());
        };
        let count = crowd.len();
        let oldest = crowd.into_iter().min_by_key(|(registered, ..)| *registered);
        match oldest {
            Some((registered, seat, _)) if time_of(registered).plus(UNDISTURBED_MS) <= self.now => {
                self.leave(seat);
                Ok(())
            }
            _ => {
                let message = format!(
                    "{count} peers{origin} have registered in this room and not opened their streams: \
                     try again in {} s",
                    UNDISTURBED_MS / 1_000
                );
                Err(Refusal::new(Code::RoomFull, message))
            }
        }
    }
}
