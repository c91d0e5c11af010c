//! What is kept of a peer while its room sleeps.

use super::outbox::Outbox;
use super::peer::{Lock, PeerId, Seat, Socket};

/// What is kept with each open socket, so that its room can be built again from its sockets alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The socket it is kept with, or was last.
    pub socket: Socket,
    /// The peer whose socket this is.
    pub id: PeerId,
    /// Its place in the order of joining.
    pub seat: Seat,
    /// What whoever wants to take the id over must show.
    pub lock: Lock,
    /// Whether it is told things over a stream, which can break, and be taken up again where it
    /// broke: then all that it is told is kept for a while.
    pub has_stream: bool,
    /// What it has not heard yet, or may not have heard.
    pub outbox: Outbox,
}
