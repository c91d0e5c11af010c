//! The paths of the server, and the methods that each path allows.

use crate::edge::ice::IceFormat;

/// The resource at a path.
pub(super) enum Endpoint<'a> {
    Health,
    Ice(IceFormat),
    /// A room. The name is percent-encoded.
    Room(&'a str),
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

impl<'a> Endpoint<'a> {
    pub(super) fn find(path: &'a str) -> Option<Self> {
        Some(match path {
            "/health" => Self::Health,
            "/ice-servers" => Self::Ice(IceFormat::List),
            "/iceServers" => Self::Ice(IceFormat::One),
            _ => {
                let (first, rest) = path.strip_prefix('/')?.split_once('/')?;
                let (second, rest) = rest.split_once('/')?;
                match first {
                    _ if rest.contains('/') => return None,
                    "parties" if second == "main" => Self::Room(rest),
                    "register" => Self::Http(HttpAction::Register, second, rest),
                    "message" => Self::Http(HttpAction::Message, second, rest),
                    "events" => Self::Http(HttpAction::Events, second, rest),
                    _ => return None,
                }
            }
        })
    }

    /// Returns the value of the `Allow` header.
    pub(super) const fn methods(&self) -> &'static str {
        match self {
            Self::Http(HttpAction::Register | HttpAction::Message, ..) => "POST, OPTIONS",
            _ => "GET, HEAD, OPTIONS",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{GET, get, status};
    use super::super::{Request, Route, route};

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
        ] {
            assert_eq!(status(get(path)), 404, "{path}");
        }
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
}
