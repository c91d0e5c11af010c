//! The URLs that clients of `PeerJS` append to their option `path`, which is `/parties/main/:room`:
//!
//! | Request | Answer |
//! |---|---|
//! | WebSocket at `/parties/main/:room/peerjs?key&id&token&version` | the peer joins |
//! | `GET /parties/main/:room/:key/id` | a new peer id |
//! | `GET /parties/main/:room/:key/peers` | 401, which makes the client say that the server does not list peers |
//!
//! The words of `PeerJS` are not ours: its `token` proves that an id is the client's own, which is our
//! key. Its `key` is the key of an application. If the server requires tokens, the `key` is our token,
//! and otherwise any text.

use percent_encoding::percent_decode_str;

use super::query::room_name;
use super::requests::{Join, KeyWithSecret};
use super::{HttpError, Request, Route, is_websocket, upgrade_required};
use crate::core::peer::{Key, PeerId};
use crate::core::refusal::{Code, Refusal};
use crate::dialect::Dialect;
use crate::dialect::peerjs::{id_in_room, incomplete};

/// The requests without a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PeerJsAction {
    /// Create a peer id.
    Id,
    /// List the peer ids.
    Peers,
}

/// Returns the first parameter of the query with this name, or an empty text. The client encodes no
/// parameter.
#[inline(never)]
fn param(query: &str, name: &str) -> String {
    let mut params = form_urlencoded::parse(query.as_bytes());
    let found = params.find(|(found, _)| found == name);
    found.map_or_else(String::new, |(_, value)| value.into_owned())
}

/// Returns whether the query names the dialect. Of several parameters, the last one counts, as in
/// [`QueryParams`](super::query::QueryParams).
pub(super) fn is_in(query: &str) -> bool {
    let params = form_urlencoded::parse(query.as_bytes());
    let named = params.filter(|(name, _)| name == "dialect").last();
    named.is_some_and(|(_, dialect)| dialect == "peerjs")
}

/// Finds the route of a request to a room in this dialect. `in_path`: whether the path names the dialect.
pub(super) fn join_or_status(
    request: &Request<'_>,
    room: String,
    in_path: bool,
) -> Result<Route, HttpError> {
    let param = |name| param(request.query, name);
    let key = param("key");
    if is_websocket(request) {
        let token = param("token");
        let id = PeerId::parse(&id_in_room(&param("id")));
        let hash = Key::new(&token);
        let (Some(id), Some(hash), false) = (id, hash, key.is_empty()) else {
            return Ok(Route::Rejected(Dialect::PeerJs, incomplete()));
        };
        return Ok(Route::Join(Join {
            room,
            id: Some(id),
            key: Some(KeyWithSecret {
                secret: token,
                key: hash,
            }),
            dialect: Dialect::PeerJs,
            moves: None,
            next: None,
            meta: None,
            offer: None,
            tokens: vec![key],
        }));
    }
    if request.upgrade.is_some() || !in_path {
        return Err(upgrade_required());
    }
    Ok(Route::Status {
        room,
        family: Some(Dialect::PeerJs.family()),
        html: false,
        tokens: Some(key)
            .filter(|key| !key.is_empty())
            .into_iter()
            .collect(),
    })
}

/// Finds the route of a request without a WebSocket. `room` and `key` are percent-encoded.
pub(super) fn request(action: PeerJsAction, room: &str, key: &str) -> Result<Route, HttpError> {
    let room = room_name(room)?;
    if action == PeerJsAction::Peers {
        let message = "this server does not list the peers of PeerJS clients: expected an id that you \
             already know. Exchange ids in your application";
        return Err(HttpError::refused(Refusal::new(
            Code::Unauthorized,
            message,
        )));
    }
    let key = percent_decode_str(key).decode_utf8_lossy();
    let tokens = vec![key.into_owned()];
    Ok(Route::NewId { room, tokens })
}

#[cfg(test)]
mod tests {
    use super::super::route;
    use super::super::test_support::{GET, get, join, status};
    use super::*;

    const QUERY: &str = "key=peerjs&id=ann%20b&token=secret&version=1.5.5";

    #[test]
    fn a_join_takes_the_token_as_key_and_the_key_as_token() {
        let expected = Join {
            room: "a b".into(),
            id: PeerId::parse("ann~b"),
            key: Key::new("secret").map(|key| KeyWithSecret {
                secret: "secret".into(),
                key,
            }),
            dialect: Dialect::PeerJs,
            moves: None,
            next: None,
            meta: None,
            offer: None,
            tokens: vec!["peerjs".into()],
        };
        let joined = join("/parties/main/a%20b/peerjs", QUERY);
        assert_eq!(joined, Ok(Route::Join(expected)));
        let query = format!("dialect=peerjs&{QUERY}");
        assert_eq!(join("/parties/main/a%20b", &query), joined);
        let plain = Request {
            path: "/parties/main/a",
            query: &query,
            ..GET
        };
        assert_eq!(status(route(&plain)), 426);
    }

    #[test]
    fn a_join_without_id_key_or_token_is_refused_over_the_websocket() {
        let long = "x".repeat(129);
        for query in [
            "",
            "key=k&id=ann",
            "key=k&token=t",
            "id=ann&token=t",
            "key=&id=ann&token=t",
            "key=k&id=%20ann&token=t",
            "key=k&id=a/b&token=t",
            &format!("key=k&id={long}&token=t"),
            &format!("key=k&id=ann&token={long}"),
        ] {
            let refused = Route::Rejected(Dialect::PeerJs, incomplete());
            assert_eq!(
                join("/parties/main/a/peerjs", query),
                Ok(refused),
                "{query}"
            );
        }
    }

    #[test]
    fn the_path_names_the_dialect_before_the_query_and_the_last_parameter_counts() {
        for (path, query, dialect) in [
            ("a/y-webrtc", "dialect=peerjs", Dialect::YWebrtc),
            ("a/native", "dialect=peerjs", Dialect::Native),
            ("a", "dialect=peerjs&dialect=native", Dialect::Native),
            ("a", "dialect=native&dialect=peerjs", Dialect::PeerJs),
            ("a/peerjs", "dialect=native", Dialect::PeerJs),
        ] {
            let query = format!("{QUERY}&{query}");
            let joined = join(&format!("/parties/main/{path}"), &query);
            let Ok(Route::Join(Join {
                dialect: found, id, ..
            })) = joined
            else {
                panic!("{path}?{query}: {joined:?}");
            };
            assert_eq!(found, dialect, "{path}?{query}");
            // Only `PeerJS` has the parameter `id`.
            assert_eq!(id.is_some(), dialect == Dialect::PeerJs, "{path}?{query}");
        }
    }

    #[test]
    fn an_id_is_created_and_the_peers_are_not_listed() {
        let created = Route::NewId {
            room: "a b".into(),
            tokens: vec!["k/ä".into()],
        };
        assert_eq!(get("/parties/main/a%20b/k%2F%C3%A4/id"), Ok(created));
        assert_eq!(status(get("/parties/main/demo/peerjs/peers")), 401);
        assert_eq!(status(get("/parties/main/*/peerjs/id")), 400);
        for path in ["a/k/ids", "a/k/id/", "a/b/k/id"] {
            assert_eq!(status(get(&format!("/parties/main/{path}"))), 404, "{path}");
        }
        let path = "/parties/main/demo/peerjs";
        let plain = Request {
            path,
            query: "key=k",
            ..GET
        };
        assert!(matches!(route(&plain), Ok(Route::Status { tokens, .. }) if tokens == ["k"]));
        let upgrade = Some("h2c");
        assert_eq!(status(route(&Request { upgrade, ..plain })), 426);
    }
}
