//! Signs the tokens of the tests in this folder, with any header and any claims.

use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::core::peer::Time;

pub(super) const SECRET: &str = "a secret that is long enough to be one";
pub(super) const NOW: Time = Time(1_000_000_000);

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

pub(super) fn mint(secret: &str, header: &Value, claims: &Value) -> String {
    let text = [header, claims]
        .map(|part| base64(part.to_string().as_bytes()))
        .join(".");
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    let signature = mac.chain_update(&text).finalize().into_bytes();
    format!("{text}.{}", base64(&signature))
}

pub(super) fn token(claims: &Value) -> String {
    mint(SECRET, &json!({ "alg": "HS256", "typ": "JWT" }), claims)
}
