//! Secrets in the headers of a request.

/// Finds the values after `prefix` in a header such as `Sec-WebSocket-Protocol: partyline,
/// token.<jwt>, key.<base64url>`. A web page can set no other header of a WebSocket request.
pub fn find_in_protocols<'a>(protocols: &'a str, prefix: &str) -> impl Iterator<Item = &'a str> {
    protocols
        .split(',')
        .filter_map(move |protocol| protocol.trim().strip_prefix(prefix))
}

/// Finds the token in `Authorization: Bearer <jwt>` (RFC 6750 §2.1).
#[must_use]
pub fn token_in_authorization(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_found_in_both_headers() {
        let tokens = |protocols| Vec::from_iter(find_in_protocols(protocols, "token."));
        assert_eq!(tokens("partyline, token.a.b.c, key.eA"), ["a.b.c"]);
        assert_eq!(tokens("token.a.b.c,token.d"), ["a.b.c", "d"]);
        assert!(tokens("partyline, xtoken.a").is_empty());
        assert_eq!(token_in_authorization("bearer  a.b.c"), Some("a.b.c"));
        assert_eq!(token_in_authorization("Basic a.b.c"), None);
    }
}
