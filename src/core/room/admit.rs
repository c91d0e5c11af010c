//! Checks whether a client may act as a registered peer.

use std::ops::Deref;

use super::Room;
use super::join::id_taken;
use super::roster::Peer;
use super::turn::Turn;
use crate::core::peer::{Key, Lock, PeerId, Seat, Time};
use crate::core::refusal::{Code, Refusal};

impl Room {
    /// Checks that a peer is registered and not removed by the operator, and that the key opens its id. The
    /// shell calls this method before it reads the body of a request, so a stranger cannot make it wait
    /// for a body.
    ///
    /// # Errors
    ///
    /// The refusal that [`Event::Post`](crate::core::event::Event::Post) would cause.
    pub fn admits(
        &self,
        now: Time,
        id: &PeerId,
        key: Option<&Key>,
    ) -> Result<(), Refusal<'static>> {
        self.check_ban(now, id, key)?;
        check_registered(self.roster.by_id(id.as_str()), id, key).map(drop)
    }
}

impl Turn<'_, '_> {
    /// Finds a registered peer and checks its key. A key that the server generated becomes mandatory
    /// once the client has sent it. The flag is true if this request confirmed the key, and the peer
    /// must be saved.
    pub(super) fn find_registered(
        &mut self,
        id: &PeerId,
        key: Option<&Key>,
    ) -> Result<(Seat, bool), Refusal<'static>> {
        self.room.check_ban(self.now, id, key)?;
        let peer = check_registered(self.room.roster.by_id_mut(id.as_str()), id, key)?;
        let mut is_confirmed = false;
        if let (Lock::Unconfirmed(made), Some(_)) = (peer.member.lock, key) {
            peer.member.lock = Lock::Locked(made);
            is_confirmed = true;
        }
        Ok((peer.member.seat, is_confirmed))
    }
}

/// Returns the peer with this id if it is registered and the key opens its id.
fn check_registered<P: Deref<Target = Peer>>(
    peer: Option<P>,
    id: &PeerId,
    key: Option<&Key>,
) -> Result<P, Refusal<'static>> {
    let Some(peer) = peer.filter(|peer| peer.member.stream.is_some()) else {
        let message = format!(
            "no peer `{id}` is registered in this room, or it has left: POST to /register first"
        );
        return Err(Refusal::new(Code::NotRegistered, message));
    };
    if !peer.member.lock.opens_to(key) {
        return Err(id_taken(id));
    }
    Ok(peer)
}
