//! The origin and the address of a client.

use std::net::IpAddr;

/// Returns whether a page of this origin may use the server. A request without an `Origin` header
/// is allowed. Browsers send the header with WebSocket and CORS requests, and other clients could
/// forge the header.
#[must_use]
pub fn allows_origin(allowed: &[String], origin: Option<&str>) -> bool {
    origin.is_none_or(|origin| allowed.is_empty() || allowed.iter().any(|listed| listed == origin))
}

/// Returns the rate-limit key of an address: an IPv4 address, or the /64 network of an IPv6
/// address, because one subscriber controls a whole /64.
///
/// Returns `None`, which means no limit, for text that is not an address. Loopback addresses have
/// no limit either, because development servers and tests use them.
#[must_use]
pub fn rate_limit_key(address: &str) -> Option<String> {
    match address.parse::<IpAddr>().ok()?.to_canonical() {
        address if address.is_loopback() => None,
        IpAddr::V4(address) => Some(address.to_string()),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Some(format!("{a:x}:{b:x}:{c:x}:{d:x}::/64"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_allowed_only_if_it_equals_a_listed_one() {
        let allowed = ["https://game.example".to_owned()];
        assert!(allows_origin(&[], Some("https://anywhere.example")));
        assert!(allows_origin(&allowed, None));
        assert!(allows_origin(&allowed, Some("https://game.example")));
        for other in [
            "http://game.example",
            "https://game.example:8443",
            "https://game.example.evil.example",
            "https://evilgame.example",
            "https://sub.game.example",
            "null",
            "",
        ] {
            assert!(!allows_origin(&allowed, Some(other)), "{other}");
        }
    }

    #[test]
    fn the_rate_limit_key_is_an_ipv4_address_or_an_ipv6_network_and_never_loopback() {
        for (address, key) in [
            ("203.0.113.7", Some("203.0.113.7")),
            ("::ffff:203.0.113.7", Some("203.0.113.7")),
            ("2001:db8:1:2:3:4:5:6", Some("2001:db8:1:2::/64")),
            ("127.0.0.1", None),
            ("::1", None),
            ("", None),
            ("somewhere", None),
        ] {
            assert_eq!(rate_limit_key(address).as_deref(), key, "{address}");
        }
    }
}
