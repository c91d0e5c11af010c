//! A JSON Web Token that is signed with HS256 (RFC 7515 and 7519), and nothing else that a token can be.
//!
//! Libraries that can read all kinds are ten times the size of this, and have to be told which kinds
//! not to.

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::core::peer::Time;
use crate::dialect::json::{Object, unquote};

/// What a token says (RFC 7519 §4.1, and the room).
pub(super) struct Claims {
    /// When it ends, in milliseconds since 1970.
    pub(super) exp: Time,
    /// When it begins.
    pub(super) nbf: Option<Time>,
    /// The room that it is for, or `*`.
    pub(super) room: String,
    /// The only peer that it is for.
    pub(super) sub: Option<String>,
}

/// What the token says, if it is signed with the secret. The algorithm is ours to choose, never the
/// token's: it can only agree.
pub(super) fn claims(secret: &str, token: &str) -> Option<Claims> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?;
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    // Compares in constant time. Before that, nothing of what it says is looked at.
    mac.chain_update(signed).verify_slice(&signature).ok()?;
    let header = decode(header)?;
    let mut header = Object::read(&header).ok()?;
    // What `crit` says must be understood in order to read the token is not understood here.
    (header.take_string("alg").ok()?? == "HS256" && header.take("crit").is_none()).then_some(())?;
    let claims = decode(claims)?;
    let mut claims = Object::read(&claims).ok()?;
    // For a claim of which nothing is said, `null` may be written.
    let mut told = |key| claims.take(key).filter(|value| *value != "null");
    let text = |value| unquote(value).map(Cow::into_owned);
    Some(Claims {
        exp: seconds(told("exp")?)?,
        nbf: told("nbf").map_or(Some(None), |value| seconds(value).map(Some))?,
        room: text(told("room")?)?,
        sub: told("sub").map_or(Some(None), |value| text(value).map(Some))?,
    })
}

fn decode(part: &str) -> Option<String> {
    String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

/// Reads a time in seconds, of which there may be parts (RFC 7519 §2, NumericDate); what is less than
/// a millisecond is left out. All libraries write it in digits.
fn seconds(value: &str) -> Option<Time> {
    let (whole, part) = value.split_once('.').unwrap_or((value, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    (digits(whole) && digits(part)).then_some(())?;
    let part = part.bytes().chain(*b"000").take(3);
    let part = part.fold(0, |sum: u64, digit| {
        sum.saturating_mul(10)
            .saturating_add(u64::from(digit.saturating_sub(b'0')))
    });
    let whole = whole.parse::<u64>().ok()?;
    Some(Time(whole.saturating_mul(1_000).saturating_add(part)))
}
