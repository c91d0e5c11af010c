//! The state of one peer that survives the eviction of its room.

use super::outbox::Outbox;
use super::peer::{Lock, PeerId, Seat, Socket};

/// What is kept with each open WebSocket, so that the room can be restored from its WebSockets alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The peer's WebSocket. For an absent peer, its last one, or the number that it registered
    /// under.
    pub socket: Socket,
    /// The peer's id.
    pub id: PeerId,
    /// Its position in the order of joining.
    pub seat: Seat,
    /// What a client must send to take the id over.
    pub lock: Lock,
    /// Whether the peer receives notices over an event stream. A stream can be resumed, so each of its
    /// notices is numbered and kept for a while.
    pub has_stream: bool,
    /// Notices that the peer has not received, or may not have received.
    pub outbox: Outbox,
}
