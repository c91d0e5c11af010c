//! A JSON Web Token that is signed with HS256 (RFC 7515 and 7519), and nothing else that a token can be.
//!
//! Libraries that can read all kinds are ten times the size of this, and have to be told which kinds
//! not to.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use sha2::Sha256;

/// What a token says (RFC 7519 §4.1, and the room).
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    /// When it ends, in seconds since 1970.
    pub(super) exp: f64,
    /// When it begins.
    pub(super) nbf: Option<f64>,
    /// The room that it is for, or `*`.
    pub(super) room: String,
    /// The only peer that it is for.
    pub(super) sub: Option<String>,
}

/// What a token says of itself (RFC 7515 §4.1).
#[derive(Deserialize)]
struct Header {
    alg: String,
    /// What must be understood in order to read it: whatever that is, it is not understood here.
    crit: Option<IgnoredAny>,
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
    let Header { alg, crit } = read(header)?;
    (alg == "HS256" && crit.is_none()).then_some(())?;
    read(claims)
}

/// Reads one part, which is an object: serde would take an array of the values, too.
fn read<T: DeserializeOwned>(part: &str) -> Option<T> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(part).ok()?;
    let object = json.trim_ascii_start().starts_with(b"{");
    object.then(|| serde_json::from_slice(&json).ok())?
}
