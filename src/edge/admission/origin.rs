//! The origin of a client.

/// Returns whether a page of this origin may use the server. A request without an `Origin` header
/// is allowed. Browsers send the header with WebSocket and CORS requests, and other clients could
/// forge the header.
#[must_use]
pub fn allows_origin(allowed: &[String], origin: Option<&str>) -> bool {
    origin.is_none_or(|origin| allowed.is_empty() || allowed.iter().any(|listed| listed == origin))
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
}
