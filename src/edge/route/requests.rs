//! The requests about a peer or a room, with their parameters.

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
    /// The number of clients that meet in a group of matchbox. `None`: all.
    pub next: Option<usize>,
    /// The [meta](crate::core::member::Member::meta) of a native client, as JSON text.
    pub meta: Option<String>,
    /// The offer that a native client sends with its join, still encoded; see
    /// [`read_offer`](super::read_offer).
    pub offer: Option<String>,
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

/// A request of the operator of the server about a room.
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

#[cfg(test)]
mod tests {
    use super::super::test_support::{GET, status};
    use super::super::{Request, Route, route};
    use super::*;

    #[test]
    fn a_path_of_the_http_dialect_names_room_and_peer() {
        let call = |method, path, last_event_id| {
            route(&Request {
                method,
                path,
                query: "key=k&token=t",
                last_event_id,
                ..GET
            })
            .unwrap()
        };
        let key = Key::new("k").map(|key| KeyWithSecret {
            secret: "k".into(),
            key,
        });
        let peer = HttpPeer {
            room: "a b".into(),
            id: PeerId::parse("ann:1").unwrap(),
            key,
            tokens: vec!["t".into()],
        };
        let registers = call("POST", "/register/a%20b/ann%3A1", None);
        assert_eq!(registers, Route::Register(peer.clone()));
        let posts = call("POST", "/message/a%20b/ann:1", None);
        assert_eq!(posts, Route::Message(peer.clone()));
        let headers = [
            ("GET", Some("17"), Some(17)),
            ("GET", Some("x"), None),
            ("HEAD", None, None),
        ];
        for (method, header, last) in headers {
            let listens = Route::Events {
                peer: peer.clone(),
                last,
                head: method == "HEAD",
            };
            assert_eq!(call(method, "/events/a%20b/ann:1", header), listens);
        }
    }

    #[test]
    fn ice_servers_are_requested_in_two_formats() {
        let expected = |format| IceRequest {
            format,
            id: PeerId::parse("ann"),
            tokens: vec!["t".into()],
            room: Some("a b".into()),
        };
        for (path, format) in [
            ("/ice-servers", IceFormat::List),
            ("/iceServers", IceFormat::One),
        ] {
            let query = "_pk=ann&token=t&room=a+b&utm=7";
            let request = Request { path, query, ..GET };
            assert_eq!(route(&request), Ok(Route::Ice(expected(format))));
            let invalid_id = Request {
                query: "_pk=a%20b",
                ..request
            };
            assert_eq!(status(route(&invalid_id)), 400);
            for (method, answer) in [("HEAD", None), ("POST", Some(405))] {
                let request = Request { method, ..request };
                assert_eq!(route(&request).err().map(|error| error.status), answer);
            }
        }
    }
}
