//! Checks the token of a join, which may have expired if the client returns to its seat.

use super::check::read_peer_claims;
use super::claims::{check_expiry, check_other_claims};
use super::secrets::Secrets;
use crate::core::peer::Time;
use crate::core::refusal::Refusal;
use crate::edge::route::Join;

/// The conditions under which a client may join.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// The refusal of the token, if it has expired. The client may then return to a seat that it still
    /// holds. Only the room knows whether it does. `None`: the client may join.
    pub expired: Option<Refusal<'static>>,
    /// The time at which the server closes the connection. `None`: never.
    pub expires_at: Option<Time>,
}

/// Checks the token of a request to join a room. `close_expired` is the setting `CLOSE_EXPIRED`. With it,
/// an expired token is refused.
///
/// Without it, an expired token is left to the room if the token is valid otherwise, and the request has
/// an id and a key.
///
/// # Errors
///
/// Those of [`check_token`](super::check_token).
pub fn check_join(
    secrets: &Secrets,
    token: Option<&str>,
    now: Time,
    join: &Join,
    close_expired: bool,
) -> Result<Admission, Refusal<'static>> {
    let Join { room, id, key, .. } = join;
    let claims = read_peer_claims(secrets, token)?;
    let others = check_other_claims(&claims, now, Some(room), id.as_ref());
    let may_return = others.is_ok() && id.is_some() && key.is_some() && !close_expired;
    match check_expiry(&claims, now) {
        Ok(()) => others.map(|()| Admission {
            expired: None,
            expires_at: close_expired.then_some(claims.exp),
        }),
        Err(expired) if may_return => Ok(Admission {
            expired: Some(expired),
            expires_at: None,
        }),
        Err(expired) => Err(expired),
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_tokens::{NOW, SECRET, mint, token};
    use super::*;
    use crate::core::refusal::Code;
    use crate::edge::route::{Request, Route, route};
    use serde_json::{Value, json};

    /// Checks the token of a request to join the room `demo` with this query.
    fn check_with(
        token: &str,
        query: &str,
        close_expired: bool,
    ) -> Result<Admission, Refusal<'static>> {
        let request = Request {
            method: "GET",
            path: "/parties/main/demo",
            query,
            upgrade: Some("websocket"),
            ..Request::default()
        };
        let Ok(Route::Join(join)) = route(&request) else {
            panic!("{query} is no join");
        };
        check_join(&SECRET.into(), Some(token), NOW, &join, close_expired)
    }

    #[test]
    fn an_expired_token_with_a_key_is_left_to_the_room_if_the_rest_of_it_is_valid() {
        let check = |claims: &Value, query| check_with(&token(claims), query, false);
        let expired = json!({ "exp": 999_999, "room": "demo", "sub": "ann" });
        let admission = check(&expired, "_pk=ann&key=k").unwrap();
        let refusal = admission.expired.unwrap();
        assert!(refusal.message.contains("has expired"), "{refusal:?}");
        assert_eq!(refusal.code, Code::Unauthorized);
        let valid = json!({ "exp": 1_000_001, "room": "demo" });
        assert_eq!(check(&valid, "_pk=ann&key=k"), Ok(Admission::default()));
        for (query, mut claims) in [
            ("_pk=ann", json!({ "room": "demo" })),
            ("key=k", json!({ "room": "demo" })),
            ("_pk=ann&key=k", json!({ "room": "other" })),
            ("_pk=ann&key=k", json!({ "room": "demo", "sub": "bob" })),
            (
                "_pk=ann&key=k",
                json!({ "room": "demo", "viewerOf": "ann" }),
            ),
            ("_pk=ann&key=k", json!({ "room": "demo", "nbf": 1_000_061 })),
        ] {
            claims["exp"] = 999_999.into();
            let refusal = check(&claims, query).unwrap_err();
            assert!(
                refusal.message.contains("has expired"),
                "{claims}: {refusal:?}"
            );
        }
        let forged = mint(
            "another secret of the very same length",
            &json!({ "alg": "HS256" }),
            &expired,
        );
        assert!(check_with(&forged, "_pk=ann&key=k", false).is_err());
    }

    #[test]
    fn with_the_setting_a_connection_closes_with_its_token_and_an_expired_token_is_refused() {
        let check = |exp: u64| {
            let claims = json!({ "exp": exp, "room": "demo" });
            check_with(&token(&claims), "_pk=ann&key=k", true)
        };
        let expires_at = check(1_000_001).unwrap().expires_at;
        assert_eq!(expires_at, Some(Time(1_000_001_000)));
        assert_eq!(check(999_999).unwrap_err().code, Code::Unauthorized);
    }
}
