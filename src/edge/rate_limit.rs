//! The rate limits of one address or network, which the platform counts: which requests they count, and
//! how they refuse one.

use std::net::IpAddr;

use super::route::{EngineRequest, LiveAction, Route};
use crate::core::refusal::{Code, Refusal};

/// A rate limit in `wrangler.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLimit {
    /// Requests that create something: a peer, an open stream, a session or an object.
    Joins,
    /// Requests that make the server work: they ask a room, another object or another server.
    Asks,
}

impl RateLimit {
    /// Returns the limits that count a request. A request that the Worker answers by itself is not
    /// counted, except a status, which asks the room of a client with a token.
    #[must_use]
    pub const fn of(route: &Route) -> &'static [Self] {
        match route {
            Route::Join(_) | Route::Rejected(..) | Route::Live(LiveAction::Create) => {
                &[Self::Joins]
            }
            Route::Register(_) | Route::Events { .. } => &[Self::Joins, Self::Asks],
            Route::Engine(Ok(engine)) => Self::of_engine(engine),
            Route::Status { .. }
            | Route::Message(_)
            | Route::Ice(_)
            | Route::Admin(_)
            | Route::Live(LiveAction::Stop { .. } | LiveAction::Status { .. }) => &[Self::Asks],
            Route::Health | Route::Preflight(_) | Route::NewId { .. } | Route::Engine(Err(_)) => {
                &[]
            }
        }
    }

    const fn of_engine(engine: &EngineRequest) -> &'static [Self] {
        if engine.creates_object() {
            return &[Self::Joins, Self::Asks];
        }
        &[Self::Asks]
    }

    /// Returns the name in `wrangler.toml`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Joins => "JOINS",
            Self::Asks => "ASKS",
        }
    }

    /// Returns the key under which a client is counted: its IPv4 address or its IPv6 network. A
    /// subscriber controls at least a /64, and often a whole /56.
    ///
    /// Returns `None`, which means no limit, for text that is not an address. Loopback addresses have
    /// no limit either, because development servers and tests use them.
    #[must_use]
    pub fn key(self, address: &str) -> Option<String> {
        match address.parse::<IpAddr>().ok()?.to_canonical() {
            address if address.is_loopback() => None,
            IpAddr::V4(address) => Some(address.to_string()),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Some(match self {
                    Self::Joins => format!("{a:x}:{b:x}:{c:x}:{d:x}::/64"),
                    Self::Asks => format!("{a:x}:{b:x}:{c:x}:{:x}::/56", d & 0xff00),
                })
            }
        }
    }

    /// Returns the refusal of a request that exceeds the limit.
    #[must_use]
    pub fn refusal(self) -> Refusal<'static> {
        let message = match self {
            Self::Joins => {
                "your IP address has sent too many joins: expected fewer joins within a minute. Try \
                 again in a minute"
            }
            Self::Asks => {
                "your IP address or network has sent too many requests: expected fewer requests \
                 within a minute. Try again in a minute"
            }
        };
        Refusal::new(Code::TooFast, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::route::{Request, route};

    #[test]
    fn each_request_is_counted_by_its_limits() {
        let (joins, asks) = (RateLimit::Joins, RateLimit::Asks);
        let both = &[joins, asks][..];
        let sid = "s".repeat(22);
        let engine = |query: &str| format!("/socket.io/?EIO=4&{query}");
        for (method, url, upgrade, expected) in [
            ("GET", "/parties/main/demo".to_owned(), true, &[joins][..]),
            ("POST", "/create-session".to_owned(), false, &[joins]),
            ("POST", "/admin/demo/list".to_owned(), false, &[asks]),
            ("POST", "/register/demo/ann".to_owned(), false, both),
            ("GET", "/events/demo/ann".to_owned(), false, both),
            ("HEAD", "/events/demo/ann".to_owned(), false, both),
            ("GET", engine("transport=polling&room=demo"), false, both),
            (
                "GET",
                engine("transport=websocket&room=demo"),
                true,
                &[asks],
            ),
            (
                "GET",
                engine(&format!("transport=polling&sid={sid}")),
                false,
                &[asks],
            ),
            (
                "POST",
                engine(&format!("transport=polling&sid={sid}")),
                false,
                &[asks],
            ),
            (
                "GET",
                engine(&format!("transport=websocket&sid={sid}")),
                true,
                &[asks],
            ),
            ("GET", "/parties/main/demo".to_owned(), false, &[asks]),
            ("HEAD", "/parties/main/demo".to_owned(), false, &[asks]),
            ("POST", "/message/demo/ann".to_owned(), false, &[asks]),
            ("GET", "/ice-servers".to_owned(), false, &[asks]),
            ("GET", "/iceServers".to_owned(), false, &[asks]),
            ("GET", "/live/demo".to_owned(), false, &[asks]),
            ("POST", "/live/stop".to_owned(), false, &[asks]),
            (
                "GET",
                "/parties/main/demo/peerjs".to_owned(),
                true,
                &[joins],
            ),
            ("GET", "/parties/main/demo/peerjs/id".to_owned(), false, &[]),
            ("GET", "/health".to_owned(), false, &[]),
            ("OPTIONS", "/message/demo/ann".to_owned(), false, &[]),
            ("GET", engine("transport=polling"), false, &[]),
        ] {
            let (path, query) = url.split_once('?').unwrap_or((&url, ""));
            let request = Request {
                method,
                path,
                query,
                upgrade: upgrade.then_some("websocket"),
                ..Request::default()
            };
            let route = route(&request).unwrap();
            assert_eq!(RateLimit::of(&route), expected, "{method} {url}");
        }
    }

    #[test]
    fn a_client_is_counted_by_its_ipv4_address_or_ipv6_network_and_never_on_loopback() {
        for (address, joins, asks) in [
            ("203.0.113.7", Some("203.0.113.7"), Some("203.0.113.7")),
            (
                "::ffff:203.0.113.7",
                Some("203.0.113.7"),
                Some("203.0.113.7"),
            ),
            (
                "2001:db8:1:12ab:3:4:5:6",
                Some("2001:db8:1:12ab::/64"),
                Some("2001:db8:1:1200::/56"),
            ),
            (
                "2001:db8:1:12ff::1",
                Some("2001:db8:1:12ff::/64"),
                Some("2001:db8:1:1200::/56"),
            ),
            ("127.0.0.1", None, None),
            ("::1", None, None),
            ("", None, None),
            ("somewhere", None, None),
        ] {
            assert_eq!(RateLimit::Joins.key(address).as_deref(), joins, "{address}");
            assert_eq!(RateLimit::Asks.key(address).as_deref(), asks, "{address}");
        }
    }
}
