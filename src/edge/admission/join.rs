//! Checks the token of a join, which may have expired if the client returns to its seat.

use super::check::read_peer_claims;
use super::claims::{check_expiry, check_other_claims};
use super::secrets::Secrets;
use crate::core::peer::{PeerId, Time};
use crate::core::refusal::Refusal;

/// The latest time of a JavaScript date (ECMA-262 §21.4.1.1), and so of an alarm, in milliseconds.
const LAST_DATE: Time = Time(8_640_000_000_000_000);

/// The conditions under which a client may join.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// The refusal of the token, if it has expired. The client may then return to a seat that it still
    /// holds. Only the room knows whether it does. `None`: the client may join.
    pub expired: Option<Refusal<'static>>,
    /// The time at which the server closes the connection. `None`: never.
    pub closes_at: Option<Time>,
}

/// Checks the token of a client that asks to join `room` as `id`, and whose request has a key or not.
/// `close_expired` is the setting `CLOSE_EXPIRED`. With it, an expired token is of no use.
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
    room: &str,
    id: Option<&PeerId>,
    has_key: bool,
    close_expired: bool,
) -> Result<Admission, Refusal<'static>> {
    let claims = read_peer_claims(secrets, token)?;
    let others = check_other_claims(&claims, now, Some(room), id);
    let may_return = others.is_ok() && id.is_some() && has_key && !close_expired;
    match check_expiry(&claims, now) {
        Ok(()) => others.map(|()| Admission {
            expired: None,
            closes_at: Some(claims.exp).filter(|exp| close_expired && *exp <= LAST_DATE),
        }),
        Err(expired) if may_return => Ok(Admission {
            expired: Some(expired),
            closes_at: None,
        }),
        Err(expired) => Err(expired),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::test_support::{NOW, SECRET, mint, token};
    use super::*;
    use crate::core::refusal::Code;
    use serde_json::{Value, json};

    fn check_with(
        token: &str,
        id: Option<&PeerId>,
        has_key: bool,
        close_expired: bool,
    ) -> Result<Admission, Refusal<'static>> {
        let secrets = SECRET.into();
        check_join(
            &secrets,
            Some(token),
            NOW,
            "demo",
            id,
            has_key,
            close_expired,
        )
    }

    #[test]
    fn an_expired_token_with_a_key_is_left_to_the_room_if_the_rest_of_it_is_valid() {
        let ann = PeerId::parse("ann");
        let check = |claims: &Value, id, has_key| check_with(&token(claims), id, has_key, false);
        let expired = json!({ "exp": 999_999, "room": "demo", "sub": "ann" });
        let admission = check(&expired, ann.as_ref(), true).unwrap();
        let refusal = admission.expired.unwrap();
        assert!(refusal.message.contains("has expired"), "{refusal:?}");
        assert_eq!(refusal.code, Code::Unauthorized);
        let valid = json!({ "exp": 1_000_001, "room": "demo" });
        assert_eq!(check(&valid, ann.as_ref(), true), Ok(Admission::default()));
        for (claims, id, has_key) in [
            (
                json!({ "exp": 999_999, "room": "demo" }),
                ann.as_ref(),
                false,
            ),
            (json!({ "exp": 999_999, "room": "demo" }), None, true),
            (
                json!({ "exp": 999_999, "room": "other" }),
                ann.as_ref(),
                true,
            ),
            (
                json!({ "exp": 999_999, "room": "demo", "sub": "bob" }),
                ann.as_ref(),
                true,
            ),
            (
                json!({ "exp": 999_999, "room": "demo", "viewerOf": "ann" }),
                ann.as_ref(),
                true,
            ),
            (
                json!({ "exp": 999_999, "room": "demo", "nbf": 1_000_061 }),
                ann.as_ref(),
                true,
            ),
        ] {
            let refusal = check(&claims, id, has_key).unwrap_err();
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
        assert!(check_with(&forged, ann.as_ref(), true, false).is_err());
    }

    #[test]
    fn with_the_setting_a_connection_closes_with_its_token_and_an_expired_token_is_refused() {
        let ann = PeerId::parse("ann");
        let check = |exp: &str| {
            let claims = format!(r#"{{"exp":{exp},"room":"demo"}}"#);
            let claims = serde_json::from_str(&claims).unwrap();
            check_with(&token(&claims), ann.as_ref(), true, true)
        };
        let closes_at = |exp| check(exp).map(|admission| admission.closes_at);
        assert_eq!(closes_at("1000001"), Ok(Some(Time(1_000_001_000))));
        // The alarm of a later time would fail.
        assert_eq!(closes_at("8640000000000"), Ok(Some(LAST_DATE)));
        assert_eq!(closes_at("8640000000001"), Ok(None));
        assert_eq!(closes_at("18446744073709551615"), Ok(None));
        assert_eq!(check("999999").unwrap_err().code, Code::Unauthorized);
    }
}
