//! From a request line to what is wanted, or to why that cannot be had.
//!
//! It decides by what is in the request alone. Whether the peer may come in is for
//! [`admission`](crate::edge::admission), whether there is a place for it for the [room](crate::core::room).

mod error;
mod place;
mod wanted;

use std::fmt;

pub use error::HttpError;

use self::place::{Call, Endpoint};
use self::wanted::{QueryParams, peer_id, room_name};
use crate::core::peer::{Key, PeerId};
use crate::dialect::Dialect;
use crate::edge::ice::IceFormat;

/// What a request says that matters here.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// `GET` and the like.
    pub method: &'a str,
    /// The path of the URL, as it was sent.
    pub path: &'a str,
    /// What stands behind the `?`, as it was sent.
    pub query: &'a str,
    /// The `Upgrade` header.
    pub upgrade: Option<&'a str>,
    /// The `Accept` header.
    pub accept: Option<&'a str>,
    /// The `Last-Event-ID` header.
    pub last_event_id: Option<&'a str>,
}

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Whether the Worker is well.
    Health,
    /// How a room is, as a page or as JSON.
    Status {
        /// Its name.
        room: String,
        /// Whether a person is looking.
        html: bool,
    },
    /// To join a room.
    Join(Join),
    /// To be a peer that speaks HTTP.
    Register(HttpPeer),
    /// To send a signal over HTTP.
    Message(HttpPeer),
    /// To hear what is sent to such a peer, over a stream.
    Events {
        /// Whose stream it is.
        peer: HttpPeer,
        /// The number of the last event that was got, if the stream is to go on.
        last: Option<u64>,
        /// Whether all that is wanted is what the answer would begin with.
        head: bool,
    },
    /// Which ICE servers there are.
    Ice(IceRequest),
    /// What a browser asks before it asks (CORS preflight): which methods there are.
    Preflight(&'static str),
}

/// How a peer wants to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// The name of the room.
    pub room: String,
    /// The id it wants; without one, it is given one.
    pub id: Option<PeerId>,
    /// What it holds on to its id with.
    pub key: Option<Key>,
    /// How it will speak.
    pub dialect: Dialect,
    /// The token in the URL, not yet looked at.
    pub token: Option<String>,
}

/// Who speaks HTTP, and how it proves that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpPeer {
    /// The name of the room.
    pub room: String,
    /// The id.
    pub id: PeerId,
    /// What it holds on to its id with.
    pub key: Option<KeyWithSecret>,
    /// The token in the URL, not yet looked at.
    pub token: Option<String>,
}

/// A key as it was shown: who registers is told what it is.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyWithSecret {
    /// As it was shown.
    pub secret: String,
    /// As it is kept.
    pub key: Key,
}

impl fmt::Debug for KeyWithSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key.fmt(f)
    }
}

/// For whom ICE servers are wanted, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IceRequest {
    /// In which form.
    pub form: IceFormat,
    /// The peer that credentials are for.
    pub id: Option<PeerId>,
    /// The token in the URL, not yet looked at.
    pub token: Option<String>,
    /// The room that the token has to be for, if one is named.
    pub room: Option<String>,
}

/// The path and the query of a URL, as a request has it: with a host, and in its serialised form, in
/// which a path is never empty (URL §4.5).
#[must_use]
pub fn split(url: &str) -> (&str, &str) {
    let url = url.split_once('#').map_or(url, |(url, _)| url);
    let (place, query) = url.split_once('?').unwrap_or((url, ""));
    let host = place
        .find("://")
        .map_or(0, |scheme| scheme.saturating_add(3));
    let host = place.get(host..).unwrap_or_default();
    let path = host.find('/').and_then(|path| host.get(path..));
    (path.unwrap_or("/"), query)
}

/// Finds out what a request wants.
///
/// # Errors
///
/// 400 for a name, an id, a key or a dialect that cannot be, 404 for a path that leads nowhere, 405
/// for a method that is not to be had there, 426 for a join without a WebSocket.
pub fn route(request: &Request<'_>) -> Result<Route, HttpError> {
    let Some(place) = Endpoint::find(request.path) else {
        let message = "nothing is here: rooms are at /parties/main/:room";
        return Err(HttpError::new(404, "not-found", message));
    };
    let methods = place.methods();
    match request.method {
        "OPTIONS" => return Ok(Route::Preflight(methods)),
        method if methods.split(", ").any(|known| known == method) => {}
        _ => {
            let message = format!("only these are to be had here: {methods}");
            let error = HttpError::new(405, "method-not-allowed", message);
            let header = Some(("Allow", methods));
            return Err(HttpError { header, ..error });
        }
    }
    // What stands behind the path of /health means nothing.
    let wanted = || QueryParams::read(request.query);
    match place {
        Endpoint::Health => Ok(Route::Health),
        Endpoint::Ice(form) => {
            let QueryParams {
                id, token, room, ..
            } = wanted()?;
            Ok(Route::Ice(IceRequest {
                form,
                id,
                token,
                room,
            }))
        }
        Endpoint::Room(room) => join_or_status(request, room_name(room)?, wanted()?),
        Endpoint::Http(call, room, id) => {
            let (room, id) = (room_name(room)?, peer_id(id)?);
            let QueryParams { key, token, .. } = wanted()?;
            let peer = HttpPeer {
                room,
                id,
                key,
                token,
            };
            Ok(match call {
                Call::Register => Route::Register(peer),
                Call::Message => Route::Message(peer),
                Call::Events => Route::Events {
                    peer,
                    // What is no number was not given by us: then it is a new stream.
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
    wanted: QueryParams,
) -> Result<Route, HttpError> {
    match request.upgrade {
        Some(upgrade) if request.method == "GET" && has_token(upgrade, "websocket") => {
            let QueryParams {
                id,
                key,
                dialect,
                token,
                ..
            } = wanted;
            Ok(Route::Join(Join {
                room,
                id,
                key: key.map(|shown| shown.key),
                dialect,
                token,
            }))
        }
        None if !wanted.has_join_params => {
            let html = request
                .accept
                .is_some_and(|accept| accept.contains("text/html"));
            Ok(Route::Status { room, html })
        }
        _ => {
            let header = Some(("Upgrade", "websocket"));
            let message = "joining a room takes a WebSocket: open ws:// or wss:// at this URL";
            Err(HttpError {
                header,
                ..HttpError::new(426, "upgrade-required", message)
            })
        }
    }
}

/// Is `token` one of the comma-separated tokens of a header?
fn has_token(header: &str, token: &str) -> bool {
    header
        .split(',')
        .any(|one| one.trim().eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: Request<'_> = Request {
        method: "GET",
        path: "/",
        query: "",
        upgrade: None,
        accept: None,
        last_event_id: None,
    };

    fn get(path: &str) -> Result<Route, HttpError> {
        route(&Request { path, ..GET })
    }

    fn join(path: &str, query: &str) -> Result<Route, HttpError> {
        route(&Request {
            path,
            query,
            upgrade: Some("websocket"),
            ..GET
        })
    }

    fn status(result: Result<Route, HttpError>) -> u16 {
        result.unwrap_err().status
    }

    #[test]
    fn a_room_is_named_by_the_last_part_of_the_path() {
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
    fn a_url_is_a_path_and_a_query() {
        for (url, parts) in [
            ("http://a.example/b/c?d=/?&e#f?", ("/b/c", "d=/?&e")),
            ("https://a:8080/", ("/", "")),
            ("https://a/b://c", ("/b://c", "")),
            ("https://a", ("/", "")),
            ("", ("/", "")),
        ] {
            assert_eq!(split(url), parts, "{url}");
        }
    }

    #[test]
    fn names_that_cannot_be_are_refused() {
        for name in [
            "",
            "%",
            "%4",
            "%zz",
            "%ff",
            "%00",
            "a%0Ab",
            "%C2%80",
            &"a".repeat(129),
        ] {
            assert_eq!(
                status(get(&format!("/parties/main/{name}"))),
                400,
                "{name:?}"
            );
        }
    }

    #[test]
    fn paths_that_lead_nowhere_are_not_found() {
        for path in [
            "/x",
            "/parties",
            "/parties/main",
            "/parties/other/demo",
            "/parties/main/a/b",
            "/health/",
            "/ice-servers/",
            "/iceservers",
        ] {
            assert_eq!(status(get(path)), 404, "{path}");
        }
    }

    #[test]
    fn only_get_and_its_kin_are_to_be_had() {
        for method in ["POST", "PUT", "DELETE", "BREW", ""] {
            let error = route(&Request {
                method,
                path: "/health",
                ..GET
            })
            .unwrap_err();
            assert_eq!((error.status, error.header.unwrap().0), (405, "Allow"));
            assert_eq!(
                status(route(&Request {
                    method,
                    path: "/x",
                    ..GET
                })),
                404
            );
        }
        assert_eq!(
            route(&Request {
                method: "HEAD",
                path: "/health",
                ..GET
            }),
            Ok(Route::Health)
        );
        assert_eq!(
            route(&Request {
                method: "OPTIONS",
                path: "/health",
                ..GET
            }),
            Ok(Route::Preflight("GET, HEAD, OPTIONS"))
        );
    }

    #[test]
    fn people_get_a_page_and_programs_json() {
        for (accept, page) in [
            (None, false),
            (Some("*/*"), false),
            (Some("text/html,*/*"), true),
        ] {
            let request = Request {
                path: "/parties/main/demo",
                accept,
                ..GET
            };
            assert_eq!(
                route(&request),
                Ok(Route::Status {
                    room: "demo".into(),
                    html: page
                })
            );
        }
    }

    #[test]
    fn a_join_says_who_and_how() {
        let wanted = Join {
            room: "demo".into(),
            id: PeerId::parse("ann"),
            key: Key::new("a b"),
            dialect: Dialect::Native,
            token: Some("t".into()),
        };
        let query = "_pk=ann&key=a+b&dialect=native&token=t&utm=7";
        assert_eq!(join("/parties/main/demo", query), Ok(Route::Join(wanted)));
    }

    #[test]
    fn what_a_join_says_is_checked() {
        for query in [
            "_pk=",
            "_pk=a%20b",
            &format!("_pk={}", "x".repeat(300)),
            "key=",
            "dialect=klingon",
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
    fn a_join_takes_a_websocket() {
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
                (426, Some(("Upgrade", "websocket")))
            );
        }
        assert!(
            route(&Request {
                path: "/parties/main/a",
                upgrade: Some("h2c, WebSocket"),
                ..GET
            })
            .is_ok()
        );
    }

    #[test]
    fn peers_that_speak_http_are_named_by_their_paths() {
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
            token: Some("t".into()),
        };
        let registers = call("POST", "/register/a%20b/ann%3A1", None);
        assert_eq!(registers, Route::Register(peer.clone()));
        let posts = call("POST", "/message/a%20b/ann:1", None);
        assert_eq!(posts, Route::Message(peer.clone()));
        for (method, header, last) in [
            ("GET", Some("17"), Some(17)),
            ("GET", Some("x"), None),
            ("HEAD", None, None),
        ] {
            let listens = Route::Events {
                peer: peer.clone(),
                last,
                head: method == "HEAD",
            };
            assert_eq!(call(method, "/events/a%20b/ann:1", header), listens);
        }
    }

    #[test]
    fn ice_servers_are_wanted_in_two_forms_and_for_somebody() {
        let wanted = |form| IceRequest {
            form,
            id: PeerId::parse("ann"),
            token: Some("t".into()),
            room: Some("a b".into()),
        };
        for (path, form) in [
            ("/ice-servers", IceFormat::List),
            ("/iceServers", IceFormat::One),
        ] {
            let query = "_pk=ann&token=t&room=a+b&utm=7";
            let request = Request { path, query, ..GET };
            assert_eq!(route(&request), Ok(Route::Ice(wanted(form))));
            let nobody = Request {
                query: "_pk=a%20b",
                ..request
            };
            assert_eq!(status(route(&nobody)), 400);
            for (method, answer) in [("HEAD", None), ("POST", Some(405))] {
                let request = Request { method, ..request };
                assert_eq!(route(&request).err().map(|error| error.status), answer);
            }
        }
    }
}
