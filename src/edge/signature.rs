//! HMAC-SHA256 (RFC 2104), with which the server signs tokens, keys and notifications.

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Signs a text. HMAC accepts keys of any length, so this never returns `None`.
#[must_use]
pub(super) fn sign(key: &str, text: &str) -> Option<[u8; 32]> {
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).ok()?;
    Some(mac.chain_update(text).finalize().into_bytes().into())
}

/// Returns whether `signature` is the signature of the text. Compares in constant time.
#[must_use]
pub(super) fn is_signed(key: &str, text: &str, signature: &[u8]) -> bool {
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes());
    mac.is_ok_and(|mac| mac.chain_update(text).verify_slice(signature).is_ok())
}

/// Encodes bytes in lower-case hexadecimal digits.
#[must_use]
pub(super) fn hex(bytes: &[u8]) -> String {
    let halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let digits = halves.filter_map(|half| char::from_digit(half.into(), 16));
    digits.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_matches_the_vector_of_rfc_4231() {
        // Test case 2 of RFC 4231, section 4.3.
        let signature = sign("Jefe", "what do ya want for nothing?").unwrap();
        assert_eq!(
            hex(&signature),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
