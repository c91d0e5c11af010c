//! From a request line to what is wanted, or to why that cannot be had.
//!
//! It decides by what is in the request alone. Whether the peer may come in is for
//! [`admission`](crate::admission), whether there is a place for it for the [room](crate::room).

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::dialect::Dialect;
use crate::ice::Form;
use crate::peer::{Key, PeerId};
use crate::refusal::Refusal;

/// The longest name of a room, in bytes of UTF-8.
pub const MAX_ROOM: usize = 128;

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
    /// Which ICE servers there are.
    Ice(IceWanted),
    /// What a browser asks before it asks (CORS preflight).
    Preflight,
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

/// For whom ICE servers are wanted, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IceWanted {
    /// In which form.
    pub form: Form,
    /// The peer that credentials are for.
    pub id: Option<PeerId>,
    /// The token in the URL, not yet looked at.
    pub token: Option<String>,
    /// The room that the token has to be for, if one is named.
    pub room: Option<String>,
}

/// An HTTP request that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpError {
    /// The status.
    pub status: u16,
    /// What programs read.
    pub code: &'static str,
    /// What people read.
    pub message: Cow<'static, str>,
    /// A header that the status asks for, and its value.
    pub header: Option<(&'static str, &'static str)>,
}

impl HttpError {
    /// An error without a header of its own.
    #[must_use]
    pub fn new(status: u16, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            header: None,
        }
    }

    /// A refusal of a room, on its way to the Worker.
    #[must_use]
    pub fn refused(refusal: Refusal<'_>) -> Self {
        Self::new(409, refusal.code.as_str(), refusal.message)
    }

    /// The body: `{"error":{"code":"…","message":"…"}}`.
    #[must_use]
    pub fn body(&self) -> String {
        let Self { code, message, .. } = self;
        serde_json::json!({ "error": { "code": code, "message": message } }).to_string()
    }
}

/// Finds out what a request wants.
///
/// # Errors
///
/// 400 for a name, an id, a key or a dialect that cannot be, 404 for a path that leads nowhere, 405
/// for a method that nothing here has, 426 for a join without a WebSocket.
pub fn route(request: &Request<'_>) -> Result<Route, HttpError> {
    let room = match request.path.strip_prefix("/parties/main/") {
        Some(room) if !room.contains('/') => Some(room),
        None if request.path == "/health" || ice_form(request.path).is_some() => None,
        _ => {
            let message = "nothing is here: rooms are at /parties/main/:room";
            return Err(HttpError::new(404, "not-found", message));
        }
    };
    match request.method {
        "GET" | "HEAD" => {}
        "OPTIONS" => return Ok(Route::Preflight),
        _ => {
            let header = Some(("Allow", "GET, HEAD, OPTIONS"));
            let error = HttpError::new(405, "method-not-allowed", "only GET is to be had here");
            return Err(HttpError { header, ..error });
        }
    }
    let Some(room) = room else {
        return match ice_form(request.path) {
            Some(form) => Wants::read(request.query).map(|wants| Route::Ice(wants.ice(form))),
            None => Ok(Route::Health),
        };
    };
    let room = room_name(room)?;
    let wants = Wants::read(request.query)?;
    match request.upgrade {
        Some(upgrade) if request.method == "GET" && has_token(upgrade, "websocket") => {
            let Wants {
                id,
                key,
                dialect,
                token,
                ..
            } = wants;
            Ok(Route::Join(Join {
                room,
                id,
                key,
                dialect,
                token,
            }))
        }
        None if !wants.to_join => {
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

/// In which form a path asks for ICE servers, if it does.
fn ice_form(path: &str) -> Option<Form> {
    match path {
        "/ice-servers" => Some(Form::List),
        "/iceServers" => Some(Form::One),
        _ => None,
    }
}

/// What the query of a join says. Parameters that mean nothing here are left alone: clients have
/// their own.
struct Wants {
    id: Option<PeerId>,
    key: Option<Key>,
    dialect: Dialect,
    token: Option<String>,
    /// Which room the token is about. A join has that in its path, and leaves this alone.
    room: Option<String>,
    /// Whether anything of a join was said.
    to_join: bool,
}

impl Wants {
    fn read(query: &str) -> Result<Self, HttpError> {
        let bad = |code, message| HttpError::new(400, code, message);
        let mut wants = Self {
            id: None,
            key: None,
            dialect: Dialect::Native,
            token: None,
            room: None,
            to_join: false,
        };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "_pk" => {
                    let message =
                        "`_pk` is the peer's id: 1 to 64 characters out of A-Z a-z 0-9 . _ ~ : -";
                    let id = PeerId::parse(&value).ok_or_else(|| bad("bad-id", message))?;
                    wants.id = Some(id);
                }
                "key" => {
                    let message = "`key` has 1 to 128 characters";
                    let key = Key::new(&value).ok_or_else(|| bad("bad-key", message))?;
                    wants.key = Some(key);
                }
                "dialect" => {
                    let message =
                        "there is no such dialect: leave `dialect` out for the native one";
                    let dialect =
                        Dialect::named(&value).ok_or_else(|| bad("bad-dialect", message))?;
                    wants.dialect = dialect;
                }
                "token" => wants.token = Some(value.into_owned()),
                "room" => {
                    wants.room = Some(value.into_owned());
                    continue;
                }
                _ => continue,
            }
            wants.to_join = true;
        }
        Ok(wants)
    }

    fn ice(self, form: Form) -> IceWanted {
        let Self {
            id, token, room, ..
        } = self;
        IceWanted {
            form,
            id,
            token,
            room,
        }
    }
}

/// Percent-decodes the name of a room.
fn room_name(encoded: &str) -> Result<String, HttpError> {
    let bad = |message| HttpError::new(400, "bad-room", message);
    let mut escapes = encoded.split('%').skip(1);
    let hex = |escape: &str| {
        let digits = escape.bytes().take(2);
        digits.filter(u8::is_ascii_hexdigit).count() == 2
    };
    if !escapes.all(hex) {
        return Err(bad(
            "a % in the name of the room is not followed by two hexadecimal digits",
        ));
    }
    let name = percent_decode_str(encoded).decode_utf8();
    let name = name.map_err(|_| bad("the name of the room is not UTF-8"))?;
    if name.is_empty() || name.len() > MAX_ROOM {
        return Err(bad("the name of a room has 1 to 128 bytes of UTF-8"));
    }
    if name.chars().any(char::is_control) {
        return Err(bad("the name of a room has no control characters"));
    }
    Ok(name.into_owned())
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
            Ok(Route::Preflight)
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
    fn ice_servers_are_wanted_in_two_forms_and_for_somebody() {
        let wanted = |form| IceWanted {
            form,
            id: PeerId::parse("ann"),
            token: Some("t".into()),
            room: Some("a b".into()),
        };
        for (path, form) in [("/ice-servers", Form::List), ("/iceServers", Form::One)] {
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

    #[test]
    fn errors_have_one_shape() {
        let error = HttpError::new(400, "bad-id", "say \"please\"");
        assert_eq!(
            error.body(),
            r#"{"error":{"code":"bad-id","message":"say \"please\""}}"#
        );
    }
}
