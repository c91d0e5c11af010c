//! Who may come in: by the page they come from, and by the token they bring.
//!
//! It asks nobody and touches no room: whoever is refused here has cost one request.

mod token;

use std::net::IpAddr;

use self::token::Claims;
use crate::core::peer::{PeerId, Time};
use crate::core::refusal::{Code, Refusal};

/// The longest token that is looked at, in bytes. One with all its claims has about 250.
const MAX_TOKEN: usize = 4_096;

/// May a page of this origin open a socket or fetch? Who sends no origin is no browser, and could
/// send any.
#[must_use]
pub fn allows_origin(allowed: &[String], origin: Option<&str>) -> bool {
    origin.is_none_or(|origin| allowed.is_empty() || allowed.iter().any(|one| one == origin))
}

/// As what an address is counted, where joins are limited: one of IPv4 as itself, one of IPv6 as the
/// network of its first 64 bits, of which a single line has them all. `None` for one that is not
/// counted: it is on the machine itself, where nothing is deployed and much is tested.
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

/// Checks the token of a peer that wants to be `id` in `room`.
///
/// # Errors
///
/// [`Code::Unauthorized`], with what is wrong with the token. It says nothing that whoever made the
/// token does not know.
pub fn check_token(
    secret: &str,
    token: Option<&str>,
    now: Time,
    room: &str,
    id: Option<&PeerId>,
) -> Result<(), Refusal<'static>> {
    check_claims(secret, token, now, Some(room), id)
}

/// Checks the token of somebody who has not said which room it is about.
///
/// # Errors
///
/// As [`check_token`], but for the room.
pub fn check_token_for_any_room(
    secret: &str,
    token: Option<&str>,
    now: Time,
    id: Option<&PeerId>,
) -> Result<(), Refusal<'static>> {
    check_claims(secret, token, now, None, id)
}

fn check_claims(
    secret: &str,
    token: Option<&str>,
    now: Time,
    room: Option<&str>,
    id: Option<&PeerId>,
) -> Result<(), Refusal<'static>> {
    let refuse = |message| Err(Refusal::new(Code::Unauthorized, message));
    let Some(token) = token else {
        return refuse("this server wants a token: ask whoever runs it");
    };
    if token.len() > MAX_TOKEN {
        return refuse("the token is too long");
    }
    let Some(claims) = token::claims(secret, token) else {
        return refuse(
            "the token is not a JWT with HS256, `exp` and `room`, signed for this server",
        );
    };
    let Claims {
        exp,
        nbf,
        room: granted,
        sub,
    } = claims;
    if exp <= now {
        return refuse("the token has expired");
    }
    if nbf.is_some_and(|nbf| nbf > now) {
        return refuse("the token is not valid yet");
    }
    if granted != "*" && room.is_some_and(|room| granted != room) {
        return refuse("the token is for another room");
    }
    if sub.is_some() && sub.as_deref() != id.map(PeerId::as_str) {
        return refuse("the token is for another peer: join with its `sub` as `_pk`");
    }
    Ok(())
}

/// Takes the token out of `Sec-WebSocket-Protocol: partyline, token.<jwt>`: the one header that a
/// browser lets a page write.
#[must_use]
pub fn token_in_protocols(protocols: &str) -> Option<&str> {
    protocols
        .split(',')
        .find_map(|protocol| protocol.trim().strip_prefix("token."))
}

/// Takes the token out of `Authorization: Bearer <jwt>` (RFC 6750 §2.1).
#[must_use]
pub fn token_in_authorization(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmac::{Hmac, Mac};
    use serde_json::{Value, json};
    use sha2::Sha256;

    const SECRET: &str = "a secret that is long enough to be one";
    const NOW: Time = Time(1_000_000_000);

    fn base64(bytes: &[u8]) -> String {
        const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let bits = |chunk: &[u8]| {
            chunk
                .iter()
                .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
        };
        let digits = |chunk: &[u8]| {
            let all = bits(chunk) << (8 * (3 - chunk.len()));
            let digit = |n: usize| char::from(DIGITS[(all >> (18 - 6 * n) & 63) as usize]);
            (0..=chunk.len()).map(digit).collect::<String>()
        };
        bytes.chunks(3).map(digits).collect()
    }

    fn mint(secret: &str, header: &Value, claims: &Value) -> String {
        let text = [header, claims]
            .map(|part| base64(part.to_string().as_bytes()))
            .join(".");
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        let signature = mac.chain_update(&text).finalize().into_bytes();
        format!("{text}.{}", base64(&signature))
    }

    fn token(claims: &Value) -> String {
        mint(SECRET, &json!({ "alg": "HS256", "typ": "JWT" }), claims)
    }

    fn check(token: &str) -> Result<(), String> {
        let ann = PeerId::parse("ann");
        check_token(SECRET, Some(token), NOW, "demo", ann.as_ref())
            .map_err(|refusal| refusal.message.into_owned())
    }

    #[test]
    fn a_token_for_the_room_lets_in() {
        for claims in [
            json!({ "exp": 1_000_001, "room": "demo" }),
            json!({ "exp": 1_000_000.5, "room": "*", "nbf": 1_000_000, "sub": "ann", "iss": "x" }),
        ] {
            assert_eq!(check(&token(&claims)), Ok(()), "{claims}");
        }
    }

    #[test]
    fn a_token_that_does_not_fit_is_told_why() {
        for (claims, why) in [
            (json!({ "exp": 1_000_000, "room": "demo" }), "expired"),
            (
                json!({ "exp": 1_000_001, "nbf": 1_000_001, "room": "demo" }),
                "not valid yet",
            ),
            (json!({ "exp": 1_000_001, "room": "other" }), "another room"),
            (
                json!({ "exp": 1_000_001, "room": "demo", "sub": "bob" }),
                "another peer",
            ),
            (json!({ "room": "demo" }), "`exp` and `room`"),
            (
                json!({ "exp": "tomorrow", "room": "demo" }),
                "`exp` and `room`",
            ),
            (json!({ "exp": null, "room": "demo" }), "`exp` and `room`"),
            (json!({ "exp": 1_000_001 }), "`exp` and `room`"),
            (json!("claims"), "`exp` and `room`"),
        ] {
            let told = check(&token(&claims)).unwrap_err();
            assert!(told.contains(why), "{claims}: {told}");
        }
    }

    #[test]
    fn a_token_that_anybody_could_have_made_is_refused() {
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
            &mint(
                "another secret of the very same length",
                &json!({ "alg": "HS256" }),
                &claims,
            ),
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
    fn without_a_token_nobody_comes_in() {
        assert!(check_token(SECRET, None, NOW, "demo", None).is_err());
        let for_ann = token(&json!({ "exp": 1_000_001, "room": "demo", "sub": "ann" }));
        assert!(check_token(SECRET, Some(&for_ann), NOW, "demo", None).is_err());
        assert!(check_token_for_any_room(SECRET, Some(&for_ann), NOW, None).is_err());
        assert!(check_token_for_any_room(SECRET, None, NOW, None).is_err());
    }

    #[test]
    fn only_who_names_a_room_is_asked_whether_it_is_the_right_one() {
        let ann = PeerId::parse("ann");
        let other = token(&json!({ "exp": 1_000_001, "room": "other", "sub": "ann" }));
        let any = |now| check_token_for_any_room(SECRET, Some(&other), now, ann.as_ref()).is_ok();
        assert!(any(NOW));
        assert!(!any(Time(1_000_001_000)));
        assert!(check_token(SECRET, Some(&other), NOW, "demo", ann.as_ref()).is_err());
    }

    #[test]
    fn an_origin_is_allowed_as_a_whole_or_not_at_all() {
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
    fn joins_are_counted_for_a_line_and_never_on_the_machine_itself() {
        for (address, counted) in [
            ("203.0.113.7", Some("203.0.113.7")),
            ("::ffff:203.0.113.7", Some("203.0.113.7")),
            ("2001:db8:1:2:3:4:5:6", Some("2001:db8:1:2::/64")),
            ("127.0.0.1", None),
            ("::1", None),
            ("", None),
            ("somewhere", None),
        ] {
            assert_eq!(rate_limit_key(address).as_deref(), counted, "{address}");
        }
    }

    #[test]
    fn tokens_are_found_where_clients_can_put_them() {
        assert_eq!(token_in_protocols("partyline, token.a.b.c"), Some("a.b.c"));
        assert_eq!(token_in_protocols("partyline"), None);
        assert_eq!(token_in_authorization("bearer  a.b.c"), Some("a.b.c"));
        assert_eq!(token_in_authorization("Basic a.b.c"), None);
    }
}
