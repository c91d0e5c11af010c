//! Checks whether a client may act as a registered peer.

use std::ops::Deref;

use super::Room;
use super::join::id_taken;
use super::roster::Peer;
use crate::core::peer::{Key, PeerId};
use crate::core::refusal::{Code, Refusal};

impl Room {
    /// Checks that a peer is registered, and that the key opens its id. The shell calls this method
    /// before it reads the body of a request, so a stranger cannot make it wait for a body.
    ///
    /// # Errors
    ///
    /// The refusal that [`Event::Post`](crate::core::event::Event::Post) would cause.
    pub fn admits(&self, id: &PeerId, key: Option<&Key>) -> Result<(), Refusal<'static>> {
        registered(self.roster.by_id(id.as_str()), id, key).map(drop)
    }
}

/// Returns the peer with this id if it is registered and the key opens its id.
pub(super) fn registered<P: Deref<Target = Peer>>(
    peer: Option<P>,
    id: &PeerId,
    key: Option<&Key>,
) -> Result<P, Refusal<'static>> {
    let Some(peer) = peer.filter(|peer| peer.member.has_stream) else {
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
