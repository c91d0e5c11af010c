//! The state of one peer that is kept while its room is evicted.

use std::rc::Rc;

use super::live::{Media, Stage};
use super::outbox::Numbered;
use super::peer::{Lock, PeerId, Seat, Socket, Time};
use super::stream::Stream;

/// A peer as it is stored with its WebSocket, or in the row of an absent peer.
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
    /// The event stream of a peer that registered over HTTP. `None` for a WebSocket peer. A stream
    /// can be resumed, so each notice gets an event id and is kept after sending.
    pub stream: Option<Stream>,
    /// The time at which the server closes the peer's WebSocket, because the token of its client
    /// expires. `None`: never. An absent peer keeps the time of its last token.
    pub token_expires_at: Option<Time>,
    /// The connection to the media server. `None` unless the room has a live session.
    pub media: Option<Box<Media>>,
    /// The JSON that the client shows to the clients that ask for it, at most 1,024 bytes. Empty: the client
    /// has none, but asks for that of the others. `None`: the client does not ask.
    pub meta: Option<Rc<str>>,
}

impl Member {
    /// Returns the progress of the connection to the media server.
    pub(crate) fn stage(&self) -> Option<Stage> {
        self.media.as_deref().map(|media| media.stage)
    }

    /// Returns the JSON that the other clients see.
    pub(crate) fn shown_meta(&self) -> Option<Rc<str>> {
        self.meta.clone().filter(|meta| !meta.is_empty())
    }
}

/// The text that is stored with an open WebSocket: a member, and the sent notices of its stream that
/// are in no row. A room without stored rows can be restored from its WebSockets alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// The peer.
    pub member: Member,
    /// The notices, ordered by number. Empty for a WebSocket peer.
    pub notices: Vec<Numbered>,
}
