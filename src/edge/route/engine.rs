//! The requests of Engine.IO, the transport of Socket.IO, at `/socket.io/` (Engine.IO protocol,
//! revision 4).

use super::query::check_room_name;
use super::{Request, has_token};
use crate::dialect::json::quote;
use crate::edge::quote::shorten;

/// The path that Socket.IO clients request by default.
pub(super) const PATH: &str = "/socket.io/";

/// The length of a session id: the base64url of 16 bytes. `src/shell/engine/serve.js` creates the ids.
const SID_LENGTH: usize = 22;

/// A valid request of Engine.IO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineRequest {
    /// Open a session for a client in a room.
    Open {
        /// How the client connects.
        transport: Transport,
        /// The name of the room, decoded.
        room: String,
    },
    /// Continue the session with this id.
    Continue {
        /// [`Transport::WebSocket`] if the client changes from polling to a WebSocket.
        transport: Transport,
        /// The id of the session, which is a secret of the client.
        sid: String,
    },
}

impl EngineRequest {
    /// Returns whether the request creates an object, the one that holds the session of a polling
    /// client. A client with a WebSocket needs no object but its room.
    #[must_use]
    pub const fn creates_object(&self) -> bool {
        matches!(
            self,
            Self::Open {
                transport: Transport::Polling,
                ..
            }
        )
    }
}

/// The transport of an Engine.IO session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// HTTP requests. The server holds a `GET` until it has packets for the client.
    Polling,
    /// A WebSocket.
    WebSocket,
}

/// The refusal of an Engine.IO request. The response has the status 400.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineError {
    /// The error code, as in the npm package `engine.io`.
    pub code: u8,
    /// The explanation for the developer of the client.
    pub message: String,
}

impl EngineError {
    fn new(code: u8, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message }
    }

    /// Returns the body of the response, in the form of Engine.IO.
    #[must_use]
    pub fn body(&self) -> String {
        format!(
            r#"{{"code":{},"message":{}}}"#,
            self.code,
            quote(&self.message)
        )
    }
}

/// Checks the query, the method and the upgrade of a request.
pub(super) fn read(request: &Request<'_>) -> Result<EngineRequest, EngineError> {
    let (mut transport, mut version, mut sid, mut room) = (None, None, None, None);
    for (name, value) in form_urlencoded::parse(request.query.as_bytes()) {
        match &*name {
            "transport" => transport = Some(value),
            "EIO" => version = Some(value),
            "sid" => sid = Some(value.into_owned()),
            "room" => room = Some(value),
            _ => {}
        }
    }
    let transport = match transport.as_deref() {
        Some("polling") => Transport::Polling,
        Some("websocket") => Transport::WebSocket,
        other => {
            let other = shorten(other.unwrap_or_default());
            let message =
                format!("the transport {other} is unknown: expected polling or websocket");
            return Err(EngineError::new(0, message));
        }
    };
    if version.as_deref() != Some("4") {
        let version = shorten(version.as_deref().unwrap_or_default());
        let message = format!(
            "the protocol version {version} is not supported: expected EIO=4. Use socket.io-client \
             3 or newer"
        );
        return Err(EngineError::new(5, message));
    }
    let is_post = transport == Transport::Polling && sid.is_some() && request.method == "POST";
    if request.method != "GET" && !is_post {
        let method = shorten(request.method);
        let message = format!(
            "the method {method} is invalid: expected GET, or POST with the id of a session"
        );
        return Err(EngineError::new(2, message));
    }
    let is_upgrade = request
        .upgrade
        .is_some_and(|upgrade| has_token(upgrade, "websocket"));
    if is_upgrade != (transport == Transport::WebSocket) {
        let message = "the request does not match its transport: expected the header \
             `Upgrade: websocket` with transport=websocket only";
        return Err(EngineError::new(3, message));
    }
    if let Some(sid) = sid {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        // A malformed id is refused here, so that it does not start an object.
        if sid.len() != SID_LENGTH || !sid.bytes().all(plain) {
            return Err(EngineError::new(1, "Session ID unknown"));
        }
        return Ok(EngineRequest::Continue { transport, sid });
    }
    let Some(room) = room else {
        let message = "the URL names no room: expected the parameter `room`. Connect with \
             io(server, { query: { room: \"demo\" } })";
        return Err(EngineError::new(3, message));
    };
    check_room_name(&room).map_err(|error| EngineError::new(3, error.message))?;
    let room = room.into_owned();
    Ok(EngineRequest::Open { transport, room })
}

#[cfg(test)]
mod tests {
    use super::super::test_support::GET;
    use super::super::{Route, route};
    use super::*;

    const SID: &str = "abcdefghijklmnopqrs_-9";

    fn engine(method: &str, query: &str, upgrade: Option<&str>) -> Result<EngineRequest, u8> {
        let request = Request {
            method,
            path: PATH,
            query,
            upgrade,
            ..GET
        };
        match route(&request) {
            Ok(Route::Engine(result)) => result.map_err(|error| error.code),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_request_without_a_session_opens_one() {
        for (upgrade, transport, name) in [
            (None, Transport::Polling, "polling"),
            (Some("websocket"), Transport::WebSocket, "websocket"),
        ] {
            let query = format!("room=a+b&EIO=4&transport={name}&t=abc");
            let room = "a b".to_owned();
            let expected = EngineRequest::Open { transport, room };
            assert_eq!(engine("GET", &query, upgrade), Ok(expected));
            let query = format!("EIO=4&transport={name}&sid={SID}");
            let sid = SID.to_owned();
            let expected = EngineRequest::Continue { transport, sid };
            assert_eq!(engine("GET", &query, upgrade), Ok(expected));
        }
        let post = engine("POST", &format!("EIO=4&transport=polling&sid={SID}"), None);
        assert!(post.is_ok());
    }

    #[test]
    fn an_invalid_request_is_refused_with_the_code_of_engine_io() {
        let polling = "EIO=4&transport=polling";
        let websocket = Some("websocket");
        for (method, query, upgrade, code) in [
            ("GET", "EIO=4&room=a", None, 0),
            ("GET", "EIO=4&room=a&transport=webtransport", None, 0),
            ("GET", "room=a&transport=polling", None, 5),
            ("GET", "EIO=3&room=a&transport=polling", None, 5),
            ("POST", "EIO=4&room=a&transport=polling", None, 2),
            ("PUT", &format!("{polling}&sid={SID}"), None, 2),
            (
                "POST",
                &format!("EIO=4&transport=websocket&sid={SID}"),
                websocket,
                2,
            ),
            ("GET", "EIO=4&room=a&transport=websocket", None, 3),
            ("GET", "EIO=4&room=a&transport=polling", websocket, 3),
            ("GET", &format!("{polling}&sid=abc"), None, 1),
            (
                "GET",
                &format!("{polling}&sid={}", SID.replace('a', "%2F")),
                None,
                1,
            ),
            ("GET", polling, None, 3),
            ("GET", &format!("{polling}&room="), None, 3),
            ("GET", &format!("{polling}&room=a%0A"), None, 3),
            (
                "GET",
                &format!("{polling}&room={}", "a".repeat(129)),
                None,
                3,
            ),
        ] {
            assert_eq!(
                engine(method, query, upgrade),
                Err(code),
                "{method} {query}"
            );
        }
    }

    #[test]
    fn a_browser_may_ask_which_methods_are_allowed() {
        let request = Request {
            method: "OPTIONS",
            path: PATH,
            ..GET
        };
        let methods = "GET, POST, OPTIONS";
        assert_eq!(route(&request), Ok(Route::Preflight(methods)));
    }

    #[test]
    fn an_error_is_json() {
        let error = EngineError::new(1, "a \"b\"");
        assert_eq!(error.body(), r#"{"code":1,"message":"a \"b\""}"#);
    }
}
