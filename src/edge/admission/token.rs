//! Signs and verifies JSON Web Tokens with HS256 (RFC 7515 and 7519). The server accepts no other
//! algorithm.
//!
//! A JWT library that supports all algorithms is ten times the size of this module.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::secrets::Secrets;
use crate::core::peer::{PeerId, Time};
use crate::dialect::json::{Object, ObjectWriter, unquote};
use crate::edge::signature::sign;

/// The encoded header of the tokens that this server signs: `{"alg":"HS256","typ":"JWT"}`
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// The maximum of a time in seconds. A higher number is a time in milliseconds, by mistake: it would be
/// more than 30,000 years ahead.
const MAX_SECONDS: u64 = 1_000_000_000_000;

/// The claims of a token (RFC 7519 §4.1), and private claims such as `room`.
pub(super) struct Claims {
    /// The time at which the token expires.
    pub(super) exp: Time,
    /// The time from which the token is valid. `None`: no start time.
    pub(super) nbf: Option<Time>,
    /// The room that the token is for, or `*` for every room.
    pub(super) room: String,
    /// The only peer id that the token permits. `None`: any id.
    pub(super) sub: Option<String>,
    /// The device of a live session whose viewers the token is for. Its holder cannot have the id of the
    /// device. `None`: the claim `viewerOf` is absent.
    pub(super) viewer_of: Option<String>,
    /// Whether the claim `live` is `control`: the token may stop and read a live session.
    pub(super) controls_live: bool,
    /// Whether the claim `admin` is `true`: the token may list and remove the peers of its room.
    pub(super) is_admin: bool,
}

/// The reason why a token is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenError {
    /// The token does not have three parts in base64url, or its header or claims are not a JSON
    /// object.
    NotAJwt,
    /// The signature does not match the secret, so the contents of the token are untrusted.
    Signature,
    /// The header does not name the algorithm HS256.
    Algorithm,
    /// The header has `crit`, which requires extensions that this server does not support.
    Critical,
    /// A required claim is absent or `null`.
    Missing(&'static str),
    /// A claim has the wrong type. `exp` and `nbf` must be numbers, `room` and `sub` must be
    /// strings.
    Invalid(&'static str),
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAJwt => f.write_str(
                "the token is not a JWT: expected a header, claims and a signature in base64url, \
                 separated by dots. Check that the token is complete",
            ),
            Self::Signature => f.write_str(
                "the signature of the token does not match: expected HS256 with the secret of this \
                 server. Sign the token with ROOM_SECRET",
            ),
            Self::Algorithm => f.write_str(
                "the header of the token does not name the algorithm HS256: expected `alg` \
                 \"HS256\". Sign the token with HS256",
            ),
            Self::Critical => f.write_str(
                "the header of the token has `crit`: expected no JWT extensions. Sign a token \
                 without `crit`",
            ),
            Self::Missing(claim) => {
                let expected = expected(claim);
                write!(
                    f,
                    "the token has no `{claim}` claim: expected {expected}. Sign a token with this \
                     claim"
                )
            }
            Self::Invalid(claim) => {
                let expected = expected(claim);
                write!(
                    f,
                    "the `{claim}` claim of the token is invalid: expected {expected}. \
                     Sign a corrected token"
                )
            }
        }
    }
}

fn expected(claim: &str) -> &'static str {
    match claim {
        "exp" | "nbf" => "a time in seconds since 1970, as a number",
        "room" => "the name of a room or \"*\", as a string",
        _ => "the id of a peer, as a string",
    }
}

/// Verifies a token and reads its claims. The algorithm is always HS256: a header that names
/// another algorithm is rejected (RFC 8725 §3.1).
pub(super) fn claims(secrets: &Secrets, token: &str) -> Result<Claims, TokenError> {
    let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::NotAJwt)?;
    let (header, claims) = signed.split_once('.').ok_or(TokenError::NotAJwt)?;
    verify(secrets, signed, signature)?;

    let header = decode(header)?;
    let mut header = Object::read(&header).map_err(|_| TokenError::NotAJwt)?;
    let algorithm = header.take("alg").and_then(unquote);
    if algorithm.as_deref() != Some("HS256") {
        return Err(TokenError::Algorithm);
    }
    // A token whose `crit` names unknown extensions must be rejected (RFC 7515 §4.1.11).
    if header.take("crit").is_some() {
        return Err(TokenError::Critical);
    }

    let claims = decode(claims)?;
    let mut claims = Object::read(&claims).map_err(|_| TokenError::NotAJwt)?;
    // Some libraries write `null` for an absent claim, so `null` counts as absent.
    let mut claim = |name| claims.take(name).filter(|value| *value != "null");
    let exp = claim("exp").ok_or(TokenError::Missing("exp"))?;
    let room = claim("room").ok_or(TokenError::Missing("room"))?;
    Ok(Claims {
        exp: seconds("exp", exp)?,
        nbf: claim("nbf")
            .map(|value| seconds("nbf", value))
            .transpose()?,
        room: text("room", room)?,
        sub: claim("sub").map(|value| text("sub", value)).transpose()?,
        viewer_of: claim("viewerOf")
            .map(|value| text("viewerOf", value))
            .transpose()?,
        controls_live: claim("live") == Some(r#""control""#),
        is_admin: claim("admin") == Some("true"),
    })
}

/// Creates a token for a room. Only the peer id `sub` may use the token. Never returns `None`,
/// because HMAC accepts every secret.
#[must_use]
pub fn mint_token(secret: &str, room: &str, sub: &PeerId, exp: Time) -> Option<String> {
    let claims = ObjectWriter::new(room.len())
        .string("room", room)
        .string("sub", sub.as_str())
        .raw("exp", &exp.to_seconds().to_string())
        .end();
    sign_claims(secret, &claims)
}

/// Creates a token for the viewers of a device. Never returns `None`, because HMAC accepts every secret.
#[must_use]
pub fn mint_viewer_token(secret: &str, room: &str, device: &PeerId, exp: Time) -> Option<String> {
    let claims = ObjectWriter::new(room.len())
        .string("room", room)
        .string("viewerOf", device.as_str())
        .raw("exp", &exp.to_seconds().to_string())
        .end();
    sign_claims(secret, &claims)
}

/// Signs the claims of a token, which are a JSON object.
#[must_use]
pub fn sign_claims(secret: &str, claims: &str) -> Option<String> {
    let claims = BASE64_URL_SAFE_NO_PAD.encode(claims);
    let signed = format!("{HEADER}.{claims}");
    let signature = BASE64_URL_SAFE_NO_PAD.encode(sign(secret, &signed)?);
    Some(format!("{signed}.{signature}"))
}

/// Verifies the signature. `claims` calls this function first, because text with a wrong signature
/// must not be parsed.
fn verify(secrets: &Secrets, signed: &str, signature: &str) -> Result<(), TokenError> {
    let signature = BASE64_URL_SAFE_NO_PAD
        .decode(signature)
        .map_err(|_| TokenError::NotAJwt)?;
    if secrets.have_signed(signed, &signature) {
        return Ok(());
    }
    Err(TokenError::Signature)
}

fn decode(part: &str) -> Result<String, TokenError> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(part);
    let bytes = bytes.map_err(|_| TokenError::NotAJwt)?;
    String::from_utf8(bytes).map_err(|_| TokenError::NotAJwt)
}

fn text(claim: &'static str, value: &str) -> Result<String, TokenError> {
    let text = unquote(value).map(Cow::into_owned);
    text.ok_or(TokenError::Invalid(claim))
}

/// Reads a time in seconds, which may have a fraction (RFC 7519 §2, NumericDate). Digits after the
/// third decimal are ignored. Exponents are rejected, because JWT libraries do not write exponents.
fn seconds(claim: &'static str, value: &str) -> Result<Time, TokenError> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    let has_only_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !has_only_digits(whole) || !has_only_digits(fraction) {
        return Err(TokenError::Invalid(claim));
    }
    let whole = whole.parse::<u64>();
    let whole = whole.map_err(|_| TokenError::Invalid(claim))?;
    if whole > MAX_SECONDS {
        return Err(TokenError::Invalid(claim));
    }
    let thousandths = fraction.bytes().chain(*b"000").take(3);
    let thousandths = thousandths.fold(0, |sum: u64, digit| {
        sum.saturating_mul(10)
            .saturating_add(u64::from(digit.saturating_sub(b'0')))
    });
    Ok(Time(
        whole.saturating_mul(1_000).saturating_add(thousandths),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minted_token_has_the_header_and_claims_of_a_jwt() {
        let exp = Time(1_000_000_999);
        let token = mint_token("s", "a \"b", &PeerId::parse("camera").unwrap(), exp).unwrap();
        let parts: Vec<_> = token.split('.').collect();
        assert_eq!(decode(parts[0]).unwrap(), r#"{"alg":"HS256","typ":"JWT"}"#);
        assert_eq!(
            decode(parts[1]).unwrap(),
            r#"{"room":"a \"b","sub":"camera","exp":1000000}"#
        );
        let read = claims(&"s".into(), &token).unwrap();
        assert_eq!(
            (read.room.as_str(), read.sub.as_deref()),
            ("a \"b", Some("camera"))
        );
        assert!(claims(&"other".into(), &token).is_err());
    }
}
