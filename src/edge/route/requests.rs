//! What requests say about the peer or the room that they concern.

use std::fmt;

use super::endpoint::AdminAction;
use crate::core::peer::{Key, PeerId, Socket};
use crate::dialect::Dialect;
use crate::dialect::family::Family;
use crate::edge::ice::IceFormat;

/// A request to join a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// The name of the room, decoded.
    pub room: String,
    /// The requested id. `None`: the room chooses a random id.
    pub id: Option<PeerId>,
    /// The key that reserves the id for this client. `None`: other clients may take over the id.
    pub key: Option<KeyWithSecret>,
    /// The dialect of the frames on the WebSocket.
    pub dialect: Dialect,
    /// The open WebSocket from which the client moves to this one, and of which it receives everything.
    pub moves: Option<Socket>,
    /// The tokens from the URL, still unverified.
    pub tokens: Vec<String>,
}

/// The peer that a request of the HTTP dialect names, with its credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpPeer {
    /// The name of the room, decoded.
    pub room: String,
    /// The id of the peer.
    pub id: PeerId,
    /// The key that reserves the id for this client. `None`: the request has no key.
    pub key: Option<KeyWithSecret>,
    /// The tokens from the URL, still unverified.
    pub tokens: Vec<String>,
}

/// A key hash and the key that the client sent. The response to a registration repeats the key, and a
/// peer id can be made from it.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyWithSecret {
    /// The key that the client sent.
    pub secret: String,
    /// The hash of `secret`, which the room stores.
    pub key: Key,
}

/// Prints the hash instead of the secret.
impl fmt::Debug for KeyWithSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key.fmt(f)
    }
}

/// A request for ICE servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IceRequest {
    /// The format of the response.
    pub format: IceFormat,
    /// The peer that the TURN credentials are for. `None`: the credentials are anonymous.
    pub id: Option<PeerId>,
    /// The tokens from the URL, still unverified.
    pub tokens: Vec<String>,
    /// The room that the token must be valid for. `None`: the token may be for any room.
    pub room: Option<String>,
}

/// A request of the owner of the server about a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminCall {
    /// The name of the room, decoded.
    pub room: String,
    /// The family whose peers the operation concerns. The parameter `dialect` names one of its dialects.
    pub family: Family,
    /// The operation.
    pub action: AdminAction,
    /// The tokens from the URL, still unverified.
    pub tokens: Vec<String>,
}
