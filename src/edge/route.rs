//! Finds the route of a request, or the HTTP error that refuses the request.
//!
//! The route depends on the request alone. [`admission`](crate::edge::admission) checks the token,
//! and the [room](crate::core::room) checks the number of peers.

mod endpoint;
mod engine;
mod error;
mod id_from_key;
mod meta;
mod next;
mod peerjs;
mod query;
mod requests;
mod url;

pub use endpoint::{AdminAction, LiveAction};
pub use engine::{EngineError, EngineRequest, Transport};
pub use error::HttpError;
pub use id_from_key::check_id;
pub use meta::read_offer;
pub use next::check_next;
pub use query::{bad_id, check_room_name};
pub use requests::{AdminCall, HttpPeer, IceRequest, Join, KeyWithSecret};
pub use url::{host_of, split_url};

use self::endpoint::{Endpoint, HttpAction};
use self::query::{QueryParams, peer_id, room_name};
use crate::core::refusal::Refusal;
use crate::core::text::split_once;
use crate::dialect::Dialect;
use crate::dialect::family::Family;
use crate::edge::quote::shorten;

/// The parts of an HTTP request that determine its route.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// The method, such as `GET`.
    pub method: &'a str,
    /// The path of the URL, still percent-encoded.
    pub path: &'a str,
    /// The query of the URL without the `?`, still percent-encoded.
    pub query: &'a str,
    /// The `Upgrade` header.
    pub upgrade: Option<&'a str>,
    /// The `Accept` header.
    pub accept: Option<&'a str>,
    /// The `Last-Event-ID` header.
    pub last_event_id: Option<&'a str>,
    /// The `Sec-WebSocket-Protocol` header.
    pub protocols: Option<&'a str>,
}

/// The operation that a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Return the status and the version of the Worker.
    Health,
    /// Return the status of a room, as an HTML page or as JSON.
    Status {
        /// The name of the room, decoded.
        room: String,
        /// The family whose peers are counted, and which the status names. `None`: the family of the
        /// native dialect, which the status does not name.
        family: Option<Family>,
        /// Whether the response is a page: the `Accept` header allows HTML, and the path names no
        /// dialect. Browsers send such a header when a user opens a URL.
        html: bool,
        /// The tokens from the URL, still unverified.
        tokens: Vec<String>,
    },
    /// Join a room over a WebSocket.
    Join(Join),
    /// Refuse a join over the WebSocket, because its client hides the status of a response.
    Rejected(Dialect, Refusal<'static>),
    /// Create an id for a client of `PeerJS`.
    NewId {
        /// The name of the room, decoded.
        room: String,
        /// The tokens from the URL, still unverified.
        tokens: Vec<String>,
    },
    /// Register a peer of the HTTP dialect.
    Register(HttpPeer),
    /// Send a signal of the HTTP dialect.
    Message(HttpPeer),
    /// Open the event stream of a peer of the HTTP dialect.
    Events {
        /// The peer that receives the events.
        peer: HttpPeer,
        /// The id of the last event that the client received. `None`: the client opens a new
        /// stream.
        last: Option<u64>,
        /// Whether the method is `HEAD`, which requests the response headers only.
        head: bool,
    },
    /// Handle a request of Engine.IO, or answer with its error.
    Engine(Result<EngineRequest, EngineError>),
    /// Return the ICE servers.
    Ice(IceRequest),
    /// Create, stop or describe a live session.
    Live(LiveAction),
    /// List or remove the peers of a room, for the operator of the server.
    Admin(AdminCall),
    /// Answer a CORS preflight with the methods that the path allows.
    Preflight(&'static str),
}

/// Finds the route of a request.
///
/// # Errors
///
/// - 400: an invalid room name, id, key, dialect or group size
/// - 401: a list of the peers of `PeerJS`, which the server does not have
/// - 404: an unknown path
/// - 405: a method that the path does not allow
/// - 426: a join without a WebSocket upgrade
pub fn route(request: &Request<'_>) -> Result<Route, HttpError> {
    let Some(endpoint) = Endpoint::find(request.path) else {
        let path = shorten(request.path);
        let expected = if request.path.starts_with("/admin/") {
            "an operator requests /admin/:room/list, /admin/:room/remove or /admin/:room/close"
        } else {
            "rooms are at /parties/main/:room"
        };
        let message = format!("the path {path} does not exist: {expected}. Check the URL");
        return Err(HttpError::new(404, "not-found", message));
    };
    let methods = endpoint.methods();
    match request.method {
        "OPTIONS" => return Ok(Route::Preflight(methods)),
        // Engine.IO has an error of its own for an invalid method.
        _ if matches!(endpoint, Endpoint::Engine) => {}
        method if methods.split(',').any(|allowed| allowed.trim() == method) => {}
        _ => {
            let method = shorten(request.method);
            let message =
                format!("this path does not allow the method {method}: expected one of {methods}");
            let error = HttpError::new(405, "method-not-allowed", message);
            return Err(error.with_header("Allow", methods));
        }
    }
    // `/health` and `/create-session` accept any query.
    let params = || QueryParams::read(request.query);
    match endpoint {
        Endpoint::Health => Ok(Route::Health),
        Endpoint::Engine => Ok(Route::Engine(engine::read(request))),
        Endpoint::Ice(format) => {
            let params = params()?;
            if let Some(room) = &params.room {
                check_room_name(room)?;
            }
            Ok(Route::Ice(IceRequest {
                format,
                id: params.id,
                tokens: params.tokens,
                room: params.room,
            }))
        }
        Endpoint::CreateSession => Ok(Route::Live(LiveAction::Create)),
        Endpoint::StopSession => Ok(Route::Live(LiveAction::Stop {
            tokens: params()?.tokens,
        })),
        Endpoint::Session(session) => Ok(Route::Live(LiveAction::Status {
            session: room_name(session)?,
            tokens: params()?.tokens,
        })),
        Endpoint::Admin(action, room) => {
            let room = room_name(room)?;
            let params = params()?;
            Ok(Route::Admin(AdminCall {
                room,
                family: params.dialect.family(),
                action,
                tokens: params.tokens,
            }))
        }
        Endpoint::PeerJs(action, room, key) => peerjs::request(action, room, key),
        Endpoint::Room(room, dialect) => {
            let room = room_name(room)?;
            if dialect == Some(Dialect::PeerJs) {
                return peerjs::join_or_status(request, room, true);
            }
            match params() {
                Ok(params) if dialect.is_some() || params.dialect != Dialect::PeerJs => {
                    join_or_status(request, room, dialect, params)
                }
                Err(error) if dialect.is_some() || !peerjs::is_in(request.query) => Err(error),
                // The parameters of PeerJS have other meanings, so they may also be errors.
                _ => peerjs::join_or_status(request, room, false),
            }
        }
        Endpoint::Http(action, room, id) => {
            let (room, id) = (room_name(room)?, peer_id(id)?);
            let QueryParams { key, tokens, .. } = params()?;
            let id = id_from_key::resolve(id, key.as_ref().map(|key| &*key.secret))?;
            let peer = HttpPeer {
                room,
                id,
                key,
                tokens,
            };
            Ok(match action {
                HttpAction::Register => Route::Register(peer),
                HttpAction::Message => Route::Message(peer),
                HttpAction::Events => Route::Events {
                    peer,
                    // Event ids of this server are numbers. Any other value opens a new stream.
                    last: request.last_event_id.and_then(|id| id.trim().parse().ok()),
                    head: request.method == "HEAD",
                },
            })
        }
    }
}

fn join_or_status(
    request: &Request<'_>,
    room: String,
    dialect: Option<Dialect>,
    mut params: QueryParams,
) -> Result<Route, HttpError> {
    match request.upgrade {
        Some(_) if is_websocket(request) => {
            params.read_protocols(request.protocols.unwrap_or_default())?;
            let dialect = dialect.unwrap_or(params.dialect);
            let secret = params.key.as_ref().map(|key| &*key.secret);
            let id = params.id.take().map(|id| id_from_key::resolve(id, secret));
            let id = id.transpose()?;
            // Only clients of matchbox know this parameter. Others may use the name for their own.
            let next = params
                .next
                .as_deref()
                .filter(|_| dialect == Dialect::Matchbox);
            let next = next.map(next::read).transpose()?;
            let is_native = dialect == Dialect::Native;
            let meta = params.meta.as_deref().filter(|_| is_native);
            let meta = meta.map(meta::read).transpose()?;
            Ok(Route::Join(Join {
                room,
                id,
                key: params.key,
                dialect,
                moves: params.moves,
                next,
                meta,
                offer: params.offer.filter(|_| is_native),
                tokens: params.tokens,
            }))
        }
        None if !params.has_join_params => {
            let allows_html = |accept: &str| split_once(accept, "text/html").is_some();
            Ok(Route::Status {
                room,
                family: dialect.map(Dialect::family),
                html: dialect.is_none() && request.accept.is_some_and(allows_html),
                tokens: params.tokens,
            })
        }
        _ => Err(upgrade_required()),
    }
}

/// Returns whether a request asks for a WebSocket.
fn is_websocket(request: &Request<'_>) -> bool {
    let asks = |upgrade| has_token(upgrade, "websocket");
    request.method == "GET" && request.upgrade.is_some_and(asks)
}

fn upgrade_required() -> HttpError {
    let message = "this request joins a room without a WebSocket: expected the header \
         `Upgrade: websocket`. Open this URL with ws:// or wss://";
    let error = HttpError::new(426, "upgrade-required", message);
    error.with_header("Upgrade", "websocket")
}

/// Returns whether the comma-separated value of a header contains `token` in upper or lower case.
fn has_token(header: &str, token: &str) -> bool {
    header
        .split(',')
        .any(|listed| listed.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod test_support {
    use super::*;

    pub(super) const GET: Request<'_> = Request {
        method: "GET",
        path: "/",
        query: "",
        upgrade: None,
        accept: None,
        last_event_id: None,
        protocols: None,
    };

    pub(super) fn get(path: &str) -> Result<Route, HttpError> {
        route(&Request { path, ..GET })
    }

    pub(super) fn join(path: &str, query: &str) -> Result<Route, HttpError> {
        route(&Request {
            path,
            query,
            upgrade: Some("websocket"),
            ..GET
        })
    }

    pub(super) fn status(result: Result<Route, HttpError>) -> u16 {
        result.unwrap_err().status
    }
}

#[cfg(test)]
mod tests {
    use super::test_support::GET;
    use super::*;

    #[test]
    fn a_browser_gets_the_status_as_html_and_a_program_as_json() {
        for (accept, html) in [
            (None, false),
            (Some("*/*"), false),
            (Some("text/html,*/*"), true),
        ] {
            let request = Request {
                path: "/parties/main/demo",
                query: "token=t&utm=7",
                accept,
                ..GET
            };
            let (room, tokens) = ("demo".into(), vec!["t".into()]);
            let status = Route::Status {
                room,
                family: None,
                html,
                tokens,
            };
            assert_eq!(route(&request), Ok(status));
        }
    }

    #[test]
    fn a_join_without_a_websocket_is_refused() {
        for (query, upgrade) in [
            ("_pk=ann", None),
            ("", Some("h2c")),
            ("_pk=ann", Some("websocket2")),
        ] {
            let request = Request {
                path: "/parties/main/demo",
                query,
                upgrade,
                ..GET
            };
            let error = route(&request).unwrap_err();
            assert_eq!(
                (error.status, error.header),
                (426, Some(("Upgrade", "websocket".into())))
            );
        }
        let request = Request {
            path: "/parties/main/a",
            upgrade: Some("h2c, WebSocket"),
            ..GET
        };
        assert!(route(&request).is_ok());
    }
}
