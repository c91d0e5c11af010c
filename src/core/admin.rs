//! The requests of the operator about a room.

use super::peer::PeerId;

/// A request of the operator, whose token the Worker has checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminRequest {
    /// List the ids of the peers, including absent peers.
    List,
    /// Remove the peer with this id, and refuse its id and its key for some time.
    Remove(PeerId),
    /// Remove all peers.
    Close,
}
