//! The state of one peer that is kept while its room is evicted.

use super::outbox::Outbox;
use super::peer::{Lock, PeerId, Seat, Socket};

/// The state stored with each open WebSocket. A room without stored rows can be restored from its
/// WebSockets alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The peer's WebSocket. For an absent peer, its last WebSocket, or the `Socket` id that it
    /// registered with.
    pub socket: Socket,
    /// The peer's id.
    pub id: PeerId,
    /// The peer's position in the order of joining.
    pub seat: Seat,
    /// The key that a client must send to take over the id.
    pub lock: Lock,
    /// Whether the peer receives notices over an event stream. A stream can be resumed, so each
    /// notice gets an event id and is kept after sending.
    pub has_stream: bool,
    /// The notices that the peer has not received, or may not have received.
    pub outbox: Outbox,
}
