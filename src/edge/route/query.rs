//! Decodes and checks the names in a path, the parameters in a query, and the key in a subprotocol.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use percent_encoding::percent_decode_str;

use super::{HttpError, KeyWithSecret};
use crate::core::peer::{Key, PeerId, Socket};
use crate::dialect::Dialect;
use crate::edge::header::find_in_protocols;
use crate::edge::quote::shorten;

/// The maximum length of a room name, in bytes of UTF-8.
const MAX_ROOM: usize = 128;

/// The query parameters of all routes. Other parameters are ignored, because clients add parameters
/// of their own.
pub(super) struct QueryParams {
    pub(super) id: Option<PeerId>,
    pub(super) key: Option<KeyWithSecret>,
    pub(super) dialect: Dialect,
    pub(super) moves: Option<Socket>,
    /// The size of a group of matchbox, still unchecked.
    pub(super) next: Option<String>,
    /// The meta of a native client, still encoded.
    pub(super) meta: Option<String>,
    /// The offer in a subprotocol, still encoded.
    pub(super) offer: Option<String>,
    /// All tokens, because the check of the token refuses more than one.
    pub(super) tokens: Vec<String>,
    /// The room that the token must be valid for. Only requests for ICE servers have this
    /// parameter, because the path of a join names the room.
    pub(super) room: Option<String>,
    /// Whether the query has `_pk`, `key` or `dialect`. On the path of a room, these parameters
    /// require a WebSocket upgrade.
    pub(super) has_join_params: bool,
}

impl QueryParams {
    pub(super) fn read(query: &str) -> Result<Self, HttpError> {
        let mut params = Self {
            id: None,
            key: None,
            dialect: Dialect::Native,
            moves: None,
            next: None,
            meta: None,
            offer: None,
            tokens: Vec::new(),
            room: None,
            has_join_params: false,
        };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "_pk" => params.id = Some(PeerId::parse(&value).ok_or_else(|| bad_id(&value))?),
                "key" => params.set_key(value.into_owned())?,
                "dialect" => {
                    params.dialect = Dialect::in_url(&value).ok_or_else(|| bad_dialect(&value))?;
                }
                // The Worker sends this for a Socket.IO client that changes from polling to a WebSocket.
                "moves" => params.moves = value.parse().ok().map(Socket),
                "next" => params.next = Some(value.into_owned()),
                "meta" => params.meta = Some(value.into_owned()),
                "token" => params.tokens.push(value.into_owned()),
                "room" => params.room = Some(value.into_owned()),
                _ => {}
            }
            params.has_join_params |= ["_pk", "key", "dialect"].contains(&&*name);
        }
        Ok(params)
    }

    /// Reads the key and the offer from a `Sec-WebSocket-Protocol` header: the subprotocol `key.` and the
    /// base64url of the key's UTF-8, and `offer.`. Unlike URLs, this header rarely ends up in logs.
    pub(super) fn read_protocols(&mut self, protocols: &str) -> Result<(), HttpError> {
        for encoded in find_in_protocols(protocols, "key.") {
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(encoded).ok();
            let secret = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
            let secret = secret.ok_or_else(|| {
                let message = "the key in `Sec-WebSocket-Protocol` is not readable: expected \
                     `key.` and the base64url of UTF-8, without padding. Encode the key this way";
                HttpError::new(400, "bad-key", message)
            })?;
            self.set_key(secret)?;
        }
        let offer = find_in_protocols(protocols, "offer.").next();
        self.offer = offer.map(str::to_owned);
        Ok(())
    }

    fn set_key(&mut self, secret: String) -> Result<(), HttpError> {
        let key = Key::new(&secret).ok_or_else(|| bad_key(&secret))?;
        if self.key.replace(KeyWithSecret { secret, key }).is_some() {
            let message = "the request has more than one key: expected one, in the URL or in \
                 `Sec-WebSocket-Protocol`. Send the key in one place";
            return Err(HttpError::new(400, "bad-key", message));
        }
        Ok(())
    }
}

/// Decodes and checks the percent-encoded name of a room.
pub(super) fn room_name(encoded: &str) -> Result<String, HttpError> {
    let bad = |problem| bad_room(encoded, problem, ", percent-encoded");
    let mut escapes = encoded.split('%').skip(1);
    let hex = |escape: &str| {
        let digits = escape.bytes().take(2);
        digits.filter(u8::is_ascii_hexdigit).count() == 2
    };
    if !escapes.all(hex) {
        return Err(bad("has a % without two hexadecimal digits after it"));
    }
    let Ok(name) = percent_decode_str(encoded).decode_utf8() else {
        return Err(bad("is not UTF-8"));
    };
    match room_problem(&name) {
        Some(problem) => Err(bad(&problem)),
        None => Ok(name.into_owned()),
    }
}

/// Checks the name of a room that is not percent-encoded.
///
/// # Errors
///
/// 400 `bad-room`
pub fn check_room_name(name: &str) -> Result<(), HttpError> {
    match room_problem(name) {
        Some(problem) => Err(bad_room(name, &problem, "")),
        None => Ok(()),
    }
}

fn room_problem(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("is empty".to_owned());
    }
    if name.len() > MAX_ROOM {
        return Some(format!("has {} bytes", name.len()));
    }
    // A token for a room of this name would be a token for every room.
    if name == "*" {
        return Some("means every room in a token".to_owned());
    }
    let is_invalid = name.chars().any(char::is_control);
    is_invalid.then(|| "contains a control character".to_owned())
}

fn bad_room(name: &str, problem: &str, form: &str) -> HttpError {
    let name = shorten(name);
    let expected =
        format!("expected 1 to {MAX_ROOM} bytes of UTF-8 without control characters{form}");
    let message = format!("the room name {name} {problem}: {expected}. Choose another name");
    HttpError::new(400, "bad-room", message)
}

/// Decodes and checks the percent-encoded id of a peer.
pub(super) fn peer_id(encoded: &str) -> Result<PeerId, HttpError> {
    let id = percent_decode_str(encoded).decode_utf8();
    let id = id.ok().and_then(|id| PeerId::parse(&id));
    id.ok_or_else(|| bad_id(encoded))
}

/// Creates the error for an invalid peer id: 400 `bad-id`.
#[must_use]
pub fn bad_id(value: &str) -> HttpError {
    let (value, max) = (shorten(value), PeerId::MAX);
    let expected = format!(
        "expected 1 to {max} characters out of A-Z a-z 0-9 . _ ~ : - that do not begin with ~"
    );
    let message = format!("the peer id {value} is invalid: {expected}. Choose another id");
    HttpError::new(400, "bad-id", message)
}

/// Creates the error for an invalid key. A key is a secret, so the message contains only the
/// length.
fn bad_key(value: &str) -> HttpError {
    let (length, max) = (value.chars().count(), Key::MAX);
    let expected = format!("expected 1 to {max} characters");
    let message = format!("`key` has {length} characters: {expected}. Choose another key");
    HttpError::new(400, "bad-key", message)
}

fn bad_dialect(value: &str) -> HttpError {
    let value = shorten(value);
    let known = Dialect::ALL
        .iter()
        .filter(|dialect| !dialect.is_stream())
        .map(|dialect| dialect.name())
        .collect::<Vec<_>>()
        .join(", ");
    let message = format!(
        "the dialect {value} does not exist: expected one of {known}. Omit `dialect` to use native"
    );
    HttpError::new(400, "bad-dialect", message)
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{GET, get, join, status};
    use super::super::{Join, Request, Route, route};
    use super::*;

    fn message(result: Result<Route, HttpError>) -> String {
        result.unwrap_err().message.into_owned()
    }

    #[test]
    fn the_last_part_of_the_path_names_the_room() {
        let name = |path| match get(path) {
            Ok(Route::Status { room, .. }) => room,
            other => panic!("{path}: {other:?}"),
        };
        assert_eq!(name("/parties/main/demo"), "demo");
        assert_eq!(name("/parties/main/a%20b%2Fc%C3%A4+"), "a b/cä+");
        assert_eq!(
            name(&format!("/parties/main/{}", "%C3%A4".repeat(64))).len(),
            128
        );
    }

    #[test]
    fn an_invalid_room_name_is_refused() {
        for name in [
            "",
            "%",
            "%4",
            "%zz",
            "%ff",
            "%00",
            "a%0Ab",
            "%C2%80",
            "*",
            "%2A",
            &"a".repeat(129),
        ] {
            let refused = get(&format!("/parties/main/{name}"));
            assert_eq!(status(refused), 400, "{name:?}");
        }
    }

    #[test]
    fn the_query_of_a_join_gives_id_key_dialect_and_token() {
        let expected = Join {
            room: "demo".into(),
            id: PeerId::parse("ann"),
            key: Key::new("a b").map(|key| KeyWithSecret {
                secret: "a b".into(),
                key,
            }),
            dialect: Dialect::Native,
            moves: Some(Socket(1)),
            next: None,
            meta: None,
            offer: None,
            tokens: vec!["t".into(), "u".into()],
        };
        let query = "_pk=ann&key=a+b&dialect=native&token=t&utm=7&token=u&moves=1";
        assert_eq!(join("/parties/main/demo", query), Ok(Route::Join(expected)));
    }

    fn join_with_protocols(query: &str, protocols: &str) -> Result<Option<Key>, HttpError> {
        let request = Request {
            path: "/parties/main/demo",
            query,
            upgrade: Some("websocket"),
            protocols: Some(protocols),
            ..GET
        };
        match route(&request)? {
            Route::Join(join) => Ok(join.key.map(|key| key.key)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_key_in_a_subprotocol_equals_the_same_key_in_the_query() {
        // `printf 'a ä/€' | basenc --base64url`
        let key = join_with_protocols("", "partyline, key.YSDDpC_igqw, token.t").unwrap();
        assert!(key.is_some());
        assert_eq!(key, Key::new("a ä/€"));
        assert_eq!(join_with_protocols("", "partyline").unwrap(), None);
    }

    #[test]
    fn more_than_one_key_or_an_unreadable_key_is_refused() {
        for (query, protocols) in [
            ("key=k", "key.aw"),
            ("key=k&key=k", ""),
            ("", "key.aw, key.aw"),
            ("", "key."),
            ("", "key.aw=="),
            ("", "key.a+b"),
            ("", "key._w"),
            ("", &format!("key.{}", "YWFh".repeat(43))),
        ] {
            let error = join_with_protocols(query, protocols).unwrap_err();
            assert_eq!(
                (error.status, error.code),
                (400, "bad-key"),
                "{query} {protocols}"
            );
        }
    }

    #[test]
    fn an_invalid_parameter_is_refused_with_and_without_a_websocket() {
        for query in [
            "_pk=",
            "_pk=a%20b",
            &format!("_pk={}", "x".repeat(300)),
            "key=",
            "dialect=klingon",
            "dialect=http",
        ] {
            assert_eq!(status(join("/parties/main/demo", query)), 400, "{query}");
            let plain = route(&Request {
                path: "/parties/main/demo",
                query,
                ..GET
            });
            assert_eq!(status(plain), 400, "{query} without a WebSocket");
        }
    }

    #[test]
    fn a_message_quotes_the_value_and_says_what_is_expected() {
        let refused = |query: &str| message(join("/parties/main/demo", query));
        assert_eq!(
            refused("dialect=klingon"),
            "the dialect \"klingon\" does not exist: expected one of native, forum, lobby, socketio, \
             peerjs, y-webrtc, trystero, nostr, tracker, \
             matchbox, rxdb. Omit `dialect` to use native"
        );
        assert_eq!(
            refused("_pk=a%20b"),
            "the peer id \"a b\" is invalid: expected 1 to 64 characters out of \
             A-Z a-z 0-9 . _ ~ : - that do not begin with ~. Choose another id"
        );
        assert!(refused(&format!("_pk={}", "x".repeat(300))).len() < 250);
        let key = "k".repeat(129);
        let refused = refused(&format!("key={key}"));
        assert!(refused.contains("129 characters") && !refused.contains(&key));
        assert!(message(get("/parties/main/%zz")).contains("\"%zz\""));
    }
}
