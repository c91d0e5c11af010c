//! The paths of the server, and the methods that each path allows.

use super::engine;
use super::peerjs::PeerJsAction;
use crate::dialect::Dialect;
use crate::edge::ice::IceFormat;

/// The resource at a path.
pub(super) enum Endpoint<'a> {
    Health,
    /// The requests of Engine.IO.
    Engine,
    Ice(IceFormat),
    /// A room, and the dialect if the path names one. The name is percent-encoded.
    Room(&'a str, Option<Dialect>),
    /// A request of a `PeerJS` client. The room name and the client's `key` are percent-encoded.
    PeerJs(PeerJsAction, &'a str, &'a str),
    CreateSession,
    StopSession,
    /// A live session. The name is percent-encoded.
    Session(&'a str),
    /// A request of the operator about a room. The name is percent-encoded.
    Admin(AdminAction, &'a str),
    /// An endpoint of the HTTP dialect. The room name and the peer id are percent-encoded.
    Http(HttpAction, &'a str, &'a str),
}

/// The three endpoints of the HTTP dialect.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum HttpAction {
    Register,
    Message,
    Events,
}

/// A request of the operator of the server about a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminAction {
    /// List the ids of the peers.
    List,
    /// Remove the peer that the body names.
    Remove,
    /// Remove all peers.
    Close,
}

/// A request about a live session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LiveAction {
    /// Create a session. The body names it.
    Create,
    /// Stop the session that the body names.
    Stop {
        /// The tokens from the URL, still unverified.
        tokens: Vec<String>,
    },
    /// Return the status of a session.
    Status {
        /// The name of the session, which is the name of its room, decoded.
        session: String,
        /// The tokens from the URL, still unverified.
        tokens: Vec<String>,
    },
}

impl<'a> Endpoint<'a> {
    pub(super) fn find(path: &'a str) -> Option<Self> {
        Some(match path {
            "/health" => Self::Health,
            engine::PATH => Self::Engine,
            "/ice-servers" => Self::Ice(IceFormat::List),
            "/iceServers" => Self::Ice(IceFormat::One),
            "/create-session" => Self::CreateSession,
            "/live/stop" => Self::StopSession,
            _ => {
                let (first, rest) = path.strip_prefix('/')?.split_once('/')?;
                let Some((second, rest)) = rest.split_once('/') else {
                    return (first == "live").then_some(Self::Session(rest));
                };
                match first {
                    "parties" if second == "main" => {
                        return Self::in_room(rest);
                    }
                    _ if rest.contains('/') => return None,
                    "register" => Self::Http(HttpAction::Register, second, rest),
                    "message" => Self::Http(HttpAction::Message, second, rest),
                    "events" => Self::Http(HttpAction::Events, second, rest),
                    "admin" => Self::Admin(AdminAction::named(rest)?, second),
                    _ => return None,
                }
            }
        })
    }

    /// Finds the resource at a path after `/parties/main/`.
    fn in_room(path: &'a str) -> Option<Self> {
        let Some((room, rest)) = path.split_once('/') else {
            return Some(Self::Room(path, None));
        };
        match rest.split_once('/') {
            None => Dialect::in_url(rest).map(|dialect| Self::Room(room, Some(dialect))),
            Some((key, "id")) => Some(Self::PeerJs(PeerJsAction::Id, room, key)),
            Some((key, "peers")) => Some(Self::PeerJs(PeerJsAction::Peers, room, key)),
            Some(_) => None,
        }
    }

    /// Returns the value of the `Allow` header.
    pub(super) const fn methods(&self) -> &'static str {
        match self {
            Self::Engine => "GET, POST, OPTIONS",
            Self::CreateSession
            | Self::StopSession
            | Self::Admin(..)
            | Self::Http(HttpAction::Register | HttpAction::Message, ..) => "POST, OPTIONS",
            _ => "GET, HEAD, OPTIONS",
        }
    }
}

impl AdminAction {
    /// Parses the last part of the path.
    fn named(name: &str) -> Option<Self> {
        match name {
            "list" => Some(Self::List),
            "remove" => Some(Self::Remove),
            "close" => Some(Self::Close),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{GET, get, join, status};
    use super::super::{AdminAction, AdminCall, LiveAction, Request, Route, route};
    use crate::dialect::family::Family;

    #[test]
    fn an_unknown_path_is_not_found() {
        for path in [
            "/x",
            "/parties",
            "/parties/main",
            "/parties/other/demo",
            "/parties/main/a/b",
            "/health/",
            "/ice-servers/",
            "/iceservers",
            "/socket.io",
            "/socket.io/a",
        ] {
            assert_eq!(status(get(path)), 404, "{path}");
        }
    }

    #[test]
    fn the_path_of_a_room_may_name_the_dialect() {
        for dialect in ["native", "forum", "lobby", "socketio"] {
            let path = format!("/parties/main/a%20b/{dialect}");
            let query = format!("_pk=ann&dialect={dialect}");
            let joined = join(&path, "_pk=ann");
            assert!(joined.is_ok());
            assert_eq!(joined, join("/parties/main/a%20b", &query));
            let status = Route::Status {
                room: "a b".to_owned(),
                family: Some(Family::Party),
                html: false,
                tokens: vec![],
            };
            let accept = Some("text/html");
            let path = &path;
            let request = Request {
                accept,
                path,
                ..GET
            };
            assert_eq!(route(&request), Ok(status));
        }
        for path in [
            "/parties/main/a/http",
            "/parties/main/a/",
            "/parties/main/a/native/",
        ] {
            assert_eq!(status(get(path)), 404, "{path}");
        }
        assert_eq!(status(get("/parties/main//native")), 400);
    }

    #[test]
    fn a_method_that_is_not_allowed_is_refused_with_the_allowed_methods() {
        for method in ["POST", "PUT", "DELETE", "BREW", ""] {
            let to = |path| {
                route(&Request {
                    method,
                    path,
                    ..GET
                })
            };
            let error = to("/health").unwrap_err();
            assert_eq!((error.status, error.header.unwrap().0), (405, "Allow"));
            assert_eq!(status(to("/x")), 404);
        }
        for (method, answer) in [
            ("HEAD", Route::Health),
            ("OPTIONS", Route::Preflight("GET, HEAD, OPTIONS")),
        ] {
            let path = "/health";
            let request = Request {
                method,
                path,
                ..GET
            };
            assert_eq!(route(&request), Ok(answer));
        }
    }

    #[test]
    fn a_live_session_is_created_stopped_and_described() {
        let tokens = vec!["t".to_owned()];
        let session = "a b".to_owned();
        let describe = LiveAction::Status {
            session,
            tokens: tokens.clone(),
        };
        for (method, path, action) in [
            ("POST", "/create-session", LiveAction::Create),
            ("POST", "/live/stop", LiveAction::Stop { tokens }),
            ("GET", "/live/a%20b", describe),
        ] {
            let request = Request {
                method,
                path,
                query: "token=t&utm=7",
                ..GET
            };
            assert_eq!(route(&request), Ok(Route::Live(action)));
            let other = Request {
                method: if method == "GET" { "POST" } else { "GET" },
                ..request
            };
            assert_eq!(status(route(&other)), 405, "{path}");
        }
        for path in [
            "/live",
            "/live/",
            "/live/a/b",
            "/live/%ff",
            "/create-session/",
        ] {
            assert!(get(path).is_err(), "{path}");
        }
    }

    #[test]
    fn the_owner_posts_requests_about_a_room() {
        for (name, action) in [
            ("list", AdminAction::List),
            ("remove", AdminAction::Remove),
            ("close", AdminAction::Close),
        ] {
            let path = format!("/admin/a%20b/{name}");
            let request = Request {
                method: "POST",
                path: &path,
                query: "token=t",
                ..GET
            };
            let call = AdminCall {
                room: "a b".to_owned(),
                family: Family::Party,
                action,
                tokens: vec!["t".to_owned()],
            };
            assert_eq!(route(&request), Ok(Route::Admin(call)));
            let refused = get(&path).unwrap_err();
            let allow = Some(("Allow", "POST, OPTIONS".into()));
            assert_eq!((refused.status, refused.header), (405, allow));
        }
        for (path, code) in [
            ("/admin/demo/kick", 404),
            ("/admin/demo", 404),
            ("/admin/demo/list/ann", 404),
            ("/admin//list", 400),
            ("/admin/%ff/close", 400),
        ] {
            let request = Request {
                method: "POST",
                path,
                ..GET
            };
            assert_eq!(status(route(&request)), code, "{path}");
        }
        let unknown = get("/admin/demo/kick").unwrap_err();
        for action in ["/list", "/remove", "/close"] {
            assert!(unknown.message.contains(action), "{}", unknown.message);
        }
    }
}
