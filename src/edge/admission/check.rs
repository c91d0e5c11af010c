//! Checks the token of a request.

use super::claims::{check_claims, unauthorized};
use super::secrets::Secrets;
use super::token::{self, Claims};
use crate::core::peer::{PeerId, Time};
use crate::core::refusal::{Code, Refusal};
use crate::edge::quote::shorten;

/// The maximum length of a token, in bytes. A token with all claims has about 250 bytes.
const MAX_TOKEN: usize = 4_096;

/// Checks the token of a request of `id` in `room`, and returns its expiry. Without a room, such as in
/// a request for ICE servers, the token may be for any room.
///
/// # Errors
///
/// [`Code::Unauthorized`] with the reason, if the token is missing or invalid. The message contains
/// only facts that the issuer of the token knows.
/// [`Code::BadId`] if its `sub` is reserved.
pub fn check_token(
    secrets: &Secrets,
    token: Option<&str>,
    now: Time,
    room: Option<&str>,
    id: Option<&PeerId>,
) -> Result<Time, Refusal<'static>> {
    let claims = read_peer_claims(secrets, token)?;
    check_claims(&claims, now, room, id)?;
    Ok(claims.exp)
}

/// Checks the token of a client that has no id yet. Returns the id that the token is for. `None`: any id.
///
/// # Errors
///
/// Those of [`check_token`].
pub fn check_new_id(
    secrets: &Secrets,
    token: Option<&str>,
    now: Time,
    room: &str,
) -> Result<Option<PeerId>, Refusal<'static>> {
    let claims = read_peer_claims(secrets, token)?;
    let id = claims.sub.as_deref().and_then(PeerId::parse);
    check_claims(&claims, now, Some(room), id.as_ref())?;
    Ok(id)
}

/// Checks the token of a client that asks for the status of `room`, whatever the `sub` of the token.
///
/// # Errors
///
/// Those of [`check_token`].
pub fn check_status_token(
    secrets: &Secrets,
    token: Option<&str>,
    now: Time,
    room: &str,
) -> Result<(), Refusal<'static>> {
    let claims = Claims {
        sub: None,
        ..read_peer_claims(secrets, token)?
    };
    check_claims(&claims, now, Some(room), None)
}

/// Checks a token that may stop and read the live session of `room`, whatever its `sub`.
///
/// # Errors
///
/// [`Code::Unauthorized`] with the reason, if the token is invalid or lacks the claim
/// `"live":"control"`.
pub fn check_control_token(
    secrets: &Secrets,
    token: &str,
    now: Time,
    room: &str,
) -> Result<(), Refusal<'static>> {
    if read_back_end_claims(secrets, token, now, room)?.controls_live {
        return Ok(());
    }
    let message = "the token does not permit this request: expected the claim \"live\" with the value \
         \"control\". Request such a token";
    Err(unauthorized(message.to_owned()))
}

/// Checks a token that may list and remove the peers of `room`, whatever its `sub`.
///
/// # Errors
///
/// [`Code::Unauthorized`] with the reason, if the token is missing or invalid, or lacks the claim
/// `"admin":true`.
pub fn check_admin_token(
    secrets: &Secrets,
    token: Option<&str>,
    now: Time,
    room: &str,
) -> Result<(), Refusal<'static>> {
    let problem = match token {
        None => "the request has no token",
        Some(token) if read_back_end_claims(secrets, token, now, room)?.is_admin => return Ok(()),
        Some(_) => "the token does not permit this request",
    };
    let message = format!(
        "{problem}: expected a token with the claim \"admin\" with the value true. Sign such a token \
         with ROOM_SECRET"
    );
    Err(unauthorized(message))
}

/// Reads the claims of a token that a back end has issued for itself, whatever its `sub`.
fn read_back_end_claims(
    secrets: &Secrets,
    token: &str,
    now: Time,
    room: &str,
) -> Result<Claims, Refusal<'static>> {
    let claims = Claims {
        sub: None,
        ..read_claims(secrets, token)?
    };
    check_claims(&claims, now, Some(room), None)?;
    Ok(claims)
}

/// Reads the claims of the token of a peer, whose `sub` cannot be an id of the server.
pub(super) fn read_peer_claims(
    secrets: &Secrets,
    token: Option<&str>,
) -> Result<Claims, Refusal<'static>> {
    let Some(token) = token else {
        return Err(unauthorized(
            "the request has no token: expected a token, because this server requires tokens. Ask \
             the operator of this server for a token"
                .to_owned(),
        ));
    };
    let claims = read_claims(secrets, token)?;
    if let Some(sub) = claims.sub.as_deref().filter(|sub| sub.starts_with('~')) {
        let message = format!(
            "the token is for the peer id {}: expected an id that does not begin with ~, because these \
             ids are reserved for the server. Request a token for another id",
            shorten(sub)
        );
        return Err(Refusal::new(Code::BadId, message));
    }
    Ok(claims)
}

fn read_claims(secrets: &Secrets, token: &str) -> Result<Claims, Refusal<'static>> {
    if token.len() > MAX_TOKEN {
        let length = token.len();
        return Err(unauthorized(format!(
            "the token has {length} bytes: expected at most {MAX_TOKEN}. Sign a token with fewer \
             claims"
        )));
    }
    token::claims(secrets, token).map_err(|error| unauthorized(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::mint_viewer_token;
    use super::super::test_tokens::{NOW, SECRET, mint, token};
    use super::*;
    use serde_json::json;

    fn check(token: &str) -> Result<(), String> {
        let ann = PeerId::parse("ann");
        check_token(&SECRET.into(), Some(token), NOW, Some("demo"), ann.as_ref())
            .map(drop)
            .map_err(|refusal| refusal.message.into_owned())
    }

    #[test]
    fn a_token_for_the_room_is_accepted() {
        for claims in [
            json!({ "exp": 1_000_001, "room": "demo" }),
            json!({ "exp": 1_000_000.5, "room": "*", "nbf": 1_000_060, "sub": "ann", "iss": "x" }),
        ] {
            assert_eq!(check(&token(&claims)), Ok(()), "{claims}");
        }
    }

    #[test]
    fn the_status_needs_a_token_for_the_room_and_not_for_a_peer() {
        let check = |claims| {
            let token = token(&claims);
            check_status_token(&SECRET.into(), Some(&token), NOW, "demo").is_ok()
        };
        let exp = 1_000_001;
        assert!(check(json!({ "exp": exp, "room": "demo", "sub": "ann" })));
        assert!(check(json!({ "exp": exp, "room": "*" })));
        assert!(!check(json!({ "exp": exp, "room": "other" })));
        assert!(!check(json!({ "exp": 1_000_000, "room": "demo" })));
        assert!(!check(
            json!({ "exp": exp, "room": "demo", "sub": "~live" })
        ));
        assert!(check_status_token(&SECRET.into(), None, NOW, "demo").is_err());
    }

    #[test]
    fn a_token_for_an_id_of_the_server_is_refused_whatever_the_id_of_the_client() {
        let token = token(&json!({ "exp": 1_000_001, "room": "demo", "sub": "~live" }));
        for id in [None, PeerId::parse("ann")] {
            let refused = check_token(&SECRET.into(), Some(&token), NOW, Some("demo"), id.as_ref());
            assert_eq!(refused.unwrap_err().code, Code::BadId);
        }
    }

    #[test]
    fn a_token_of_the_owner_has_the_claim_admin_for_the_room() {
        let check = |token: Option<&str>| {
            let refused = check_admin_token(&SECRET.into(), token, NOW, "demo");
            refused.map_err(|refusal| (refusal.code, refusal.message.into_owned()))
        };
        for claims in [
            json!({ "exp": 1_000_001, "room": "demo", "admin": true }),
            json!({ "exp": 1_000_001, "room": "*", "admin": true, "sub": "ann" }),
        ] {
            assert_eq!(check(Some(&token(&claims))), Ok(()), "{claims}");
        }
        let (code, message) = check(None).unwrap_err();
        assert_eq!(code, Code::Unauthorized);
        assert!(message.contains("no token"), "{message}");
        for (claims, reason) in [
            (
                json!({ "exp": 1_000_001, "room": "demo" }),
                "\"admin\" with the value true",
            ),
            (
                json!({ "exp": 1_000_001, "room": "demo", "admin": "true" }),
                "\"admin\"",
            ),
            (
                json!({ "exp": 1_000_001, "room": "demo", "admin": 1 }),
                "\"admin\"",
            ),
            (
                json!({ "exp": 1_000_001, "room": "demo", "admin": [true] }),
                "\"admin\"",
            ),
            (
                json!({ "exp": 1_000_001, "room": "demo", "live": "control" }),
                "\"admin\"",
            ),
            (
                json!({ "exp": 1_000_001, "room": "other", "admin": true }),
                "another room",
            ),
            (
                json!({ "exp": 1_000_000, "room": "demo", "admin": true }),
                "expired",
            ),
        ] {
            let (code, message) = check(Some(&token(&claims))).unwrap_err();
            assert_eq!(code, Code::Unauthorized, "{claims}");
            assert!(message.contains(reason), "{claims}: {message}");
        }
    }

    #[test]
    fn a_token_for_viewers_is_refused_for_the_device() {
        let device = PeerId::parse("camera").unwrap();
        let exp = NOW.plus(60_000);
        let token = mint_viewer_token(SECRET, "demo", &device, exp).unwrap();
        let check =
            |id: Option<&PeerId>| check_token(&SECRET.into(), Some(&token), NOW, Some("demo"), id);
        assert_eq!(check(None), Ok(exp));
        assert_eq!(check(PeerId::parse("ann").as_ref()), Ok(exp));
        let refused = check(Some(&device)).unwrap_err();
        assert_eq!(refused.code, Code::Unauthorized);
        assert!(
            refused.message.contains("viewers of \"camera\""),
            "{}",
            refused.message
        );
    }

    #[test]
    fn a_token_is_refused_with_the_reason() {
        for (claims, reason) in [
            (
                json!({ "exp": 1_000_000, "room": "demo" }),
                "expired: `exp` is 1000000, expected more than the current time 1000000.",
            ),
            (
                json!({ "exp": 1_000_090, "nbf": 1_000_061, "room": "demo" }),
                "not valid yet: `nbf` is 1000061, expected at most 60 s after the current time 1000000.",
            ),
            (
                json!({ "exp": 1_000_001, "room": "other" }),
                "another room: `room` is \"other\", expected \"demo\"",
            ),
            (
                json!({ "exp": 1_000_001, "room": "demo", "sub": "bob" }),
                "another peer: `sub` is \"bob\"",
            ),
            (json!({ "room": "demo" }), "no `exp` claim"),
            (json!({ "exp": null, "room": "demo" }), "no `exp` claim"),
            (json!({ "exp": 1_000_001 }), "no `room` claim"),
            (
                json!({ "exp": "tomorrow", "room": "demo" }),
                "the `exp` claim of the token is invalid: expected a time in seconds",
            ),
            (
                json!({ "exp": 1_795_700_000_000_u64, "room": "demo" }),
                "the `exp` claim of the token is invalid: expected a time in seconds",
            ),
            (
                json!({ "exp": 1_000_001, "nbf": -1, "room": "demo" }),
                "the `nbf` claim of the token is invalid",
            ),
            (
                json!({ "exp": 1_000_001, "room": 7 }),
                "the `room` claim of the token is invalid",
            ),
            (
                json!({ "exp": 1_000_001, "room": "demo", "sub": [] }),
                "the `sub` claim of the token is invalid",
            ),
            (json!("claims"), "not a JWT"),
        ] {
            let message = check(&token(&claims)).unwrap_err();
            assert!(message.contains(reason), "{claims}: {message}");
        }
    }

    #[test]
    fn a_header_with_another_algorithm_or_crit_is_refused_with_the_reason() {
        let claims = json!({ "exp": 1_000_001, "room": "demo" });
        for (header, reason) in [
            (json!({ "alg": "RS256" }), "`alg` \"HS256\""),
            (json!({ "alg": 256 }), "`alg` \"HS256\""),
            (json!({ "alg": "HS256", "crit": ["b64"] }), "`crit`"),
        ] {
            let message = check(&mint(SECRET, &header, &claims)).unwrap_err();
            assert!(message.contains(reason), "{header}: {message}");
        }
        let other = mint(
            "another secret of the very same length",
            &json!({ "alg": "HS256" }),
            &claims,
        );
        assert!(check(&other).unwrap_err().contains("signature"));
    }

    #[test]
    fn a_forged_or_malformed_token_is_refused() {
        let claims = json!({ "exp": 1_000_001, "room": "demo" });
        let good = token(&claims);
        let unsigned = mint("", &json!({ "alg": "none" }), &claims);
        for bad in [
            "",
            ".",
            "..",
            &good[..good.len() - 1],
            &format!("{good}A"),
            &good.replacen('.', ".e30", 1),
            &mint(SECRET, &json!({ "alg": "none" }), &claims),
            &mint(SECRET, &json!({ "alg": "RS256" }), &claims),
            &mint(SECRET, &json!({ "alg": "HS384" }), &claims),
            &mint(SECRET, &json!({ "typ": "JWT" }), &claims),
            &mint(
                SECRET,
                &json!({ "alg": "HS256", "crit": ["b64"], "b64": false }),
                &claims,
            ),
            &mint(SECRET, &json!(["HS256"]), &claims),
            &unsigned[..=unsigned.rfind('.').unwrap()],
            &format!("{good} {good}"),
            &"x".repeat(100_000),
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_request_without_a_token_is_refused() {
        let for_ann = token(&json!({ "exp": 1_000_001, "room": "demo", "sub": "ann" }));
        for token in [None, Some(&*for_ann)] {
            for room in [None, Some("demo")] {
                assert!(check_token(&SECRET.into(), token, NOW, room, None).is_err());
            }
        }
    }

    #[test]
    fn a_token_for_any_room_is_accepted_when_the_request_names_no_room() {
        let ann = PeerId::parse("ann");
        let other = token(&json!({ "exp": 1_000_001, "room": "other", "sub": "ann" }));
        let check =
            |now, room| check_token(&SECRET.into(), Some(&other), now, room, ann.as_ref()).is_ok();
        assert!(check(NOW, None));
        assert!(!check(Time(1_000_001_000), None));
        assert!(!check(NOW, Some("demo")));
    }
}
