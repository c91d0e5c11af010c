//! The keys of peers that use the HTTP dialect, on a server that requires tokens.
//!
//! The server signs these keys itself, so the Worker can refuse a request without asking a room:
//! `<exp>.<base64url of nonce and HMAC-SHA256>`. `exp` is the expiry of the token with which the peer has
//! registered, in seconds since 1970. The nonce is 16 random bytes. Without it, all clients that register
//! one id with the same token would get the same key, and could replace each other.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::claims::unauthorized;
use super::secrets::Secrets;
use crate::core::peer::{Key, PeerId, Time};
use crate::core::refusal::Refusal;
use crate::edge::signature::sign;

/// The length of the nonce, in bytes.
const NONCE: usize = 16;

/// The contents of a key that this server has signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpKey {
    /// The time at which the key expires.
    pub exp: Time,
    nonce: [u8; NONCE],
}

impl HttpKey {
    /// Creates a key from 128 random bits.
    #[must_use]
    pub const fn new(exp: Time, random: u128) -> Self {
        let nonce = random.to_be_bytes();
        Self { exp, nonce }
    }

    /// Returns the key of the same client with another expiry.
    #[must_use]
    pub const fn renewed(self, exp: Time) -> Self {
        Self { exp, ..self }
    }

    /// Reads a key that this server has signed for this peer, even if it has expired. Returns `None` for
    /// any other key.
    #[must_use]
    pub fn read(secrets: &Secrets, text: &str, room: &str, id: &PeerId) -> Option<Self> {
        let (exp, proof) = text.split_once('.')?;
        let proof = BASE64_URL_SAFE_NO_PAD.decode(proof).ok()?;
        let (nonce, signature) = proof.split_at_checked(NONCE)?;
        // `parse` also accepts "+5". The signature is that of the text, so it would be invalid anyway.
        let has_only_digits = exp.bytes().all(|byte| byte.is_ascii_digit());
        let seconds: u64 = exp.parse().ok().filter(|_| has_only_digits)?;
        if !secrets.have_signed(&signed_text(exp, nonce, room, id), signature) {
            return None;
        }
        Some(Self {
            exp: Time::from_seconds(seconds),
            nonce: nonce.try_into().ok()?,
        })
    }

    /// Writes the key of a peer as text. Never returns `None`, because HMAC accepts every secret.
    #[must_use]
    pub fn sign(&self, secrets: &Secrets, room: &str, id: &PeerId) -> Option<String> {
        let exp = self.exp.to_seconds().to_string();
        let signature = sign(&secrets.current, &signed_text(&exp, &self.nonce, room, id))?;
        let proof = BASE64_URL_SAFE_NO_PAD.encode([&self.nonce[..], &signature[..]].concat());
        Some(format!("{exp}.{proof}"))
    }

    /// Returns the key of which the room stores the hash. It stays the same when the peer registers again
    /// with a new token: if the answer with the renewed key is lost, the peer still has the key before it.
    ///
    /// Never returns `None`, because the encoded nonce is short enough for a key.
    #[must_use]
    pub fn stored(&self) -> Option<Key> {
        Key::new(&BASE64_URL_SAFE_NO_PAD.encode(self.nonce))
    }
}

/// Checks the key of a peer that opens its event stream or sends a signal.
///
/// # Errors
///
/// [`Code::Unauthorized`](crate::core::refusal::Code::Unauthorized), if this server has not signed the
/// key for this peer, or the key has expired.
pub fn check_key(
    secrets: &Secrets,
    key: &str,
    now: Time,
    room: &str,
    id: &PeerId,
) -> Result<(), Refusal<'static>> {
    match HttpKey::read(secrets, key, room, id) {
        Some(key) if key.exp > now => Ok(()),
        Some(_) => Err(unauthorized(
            "the key has expired: expected a key of a token that has not expired. Register again with \
             a new token, and with this key as `key`"
                .to_owned(),
        )),
        None => Err(unauthorized(
            "the key is not valid for this peer: expected the key in the answer to /register. Register \
             with a token, and send the key that you receive"
                .to_owned(),
        )),
    }
}

/// Returns the text that is signed. Neither an id nor the name of a room contains a line break, and
/// the signed text of a token does not either, so every text has one meaning.
fn signed_text(exp: &str, nonce: &[u8], room: &str, id: &PeerId) -> String {
    let nonce = BASE64_URL_SAFE_NO_PAD.encode(nonce);
    let id = id.as_str();
    format!("key\n{exp}\n{nonce}\n{id}\n{room}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time(1_000_000_000);
    const EXP: Time = Time(1_000_001_900);

    fn id(id: &str) -> PeerId {
        PeerId::parse(id).unwrap()
    }

    fn check(key: &str, now: Time) -> Result<(), String> {
        let checked = check_key(&"new".into(), key, now, "demo", &id("ann"));
        checked.map_err(|refusal| refusal.message.into_owned())
    }

    #[test]
    fn the_form_of_a_key_is_fixed() {
        // (printf 0123456789abcdef; printf 'key\n1000001\nMDEyMzQ1Njc4OWFiY2RlZg\nann\ndemo' |
        //   openssl dgst -sha256 -hmac new -binary) | basenc --base64url -w 0
        let random = u128::from_be_bytes(*b"0123456789abcdef");
        let key = HttpKey::new(EXP, random)
            .sign(&"new".into(), "demo", &id("ann"))
            .unwrap();
        assert_eq!(
            key,
            "1000001.MDEyMzQ1Njc4OWFiY2RlZhQtFNeXT4VAtG5cHFcWqsIs3oQn0Vi_TLQP6-Hrd2s-"
        );
        let other = HttpKey::new(EXP, 0)
            .sign(&"new".into(), "demo", &id("ann"))
            .unwrap();
        assert_ne!(key, other);
    }

    #[test]
    fn a_key_is_valid_for_its_peer_until_it_expires() {
        let key = HttpKey::new(EXP, 7)
            .sign(&"new".into(), "demo", &id("ann"))
            .unwrap();
        assert_eq!(check(&key, NOW), Ok(()));
        assert_eq!(check(&key, Time(1_000_000_999)), Ok(()));
        let expired = check(&key, Time(1_000_001_000)).unwrap_err();
        assert!(expired.starts_with("the key has expired"), "{expired}");
        let secrets = "new".into();
        let expiry = |room, peer| HttpKey::read(&secrets, &key, room, &id(peer)).map(|key| key.exp);
        assert_eq!(expiry("demo", "ann"), Some(Time(1_000_001_000)));
        for (room, peer) in [
            ("demo", "bob"),
            ("demo2", "ann"),
            ("", "ann"),
            ("ann", "demo"),
        ] {
            assert_eq!(expiry(room, peer), None, "{room} {peer}");
        }
    }

    #[test]
    fn a_forged_or_changed_key_is_refused() {
        let secrets = Secrets::from("new");
        let key = HttpKey::new(EXP, 7)
            .sign(&secrets, "demo", &id("ann"))
            .unwrap();
        let (exp, signature) = key.split_once('.').unwrap();
        let foreign = HttpKey::new(EXP, 7)
            .sign(&"other".into(), "demo", &id("ann"))
            .unwrap();
        for bad in [
            "",
            ".",
            "1000001",
            "1000001.",
            signature,
            &foreign,
            &format!("1000002.{signature}"),
            &format!("+{exp}.{signature}"),
            &format!("0{exp}.{signature}"),
            &format!("{exp} .{signature}"),
            &format!("-1.{signature}"),
            &format!("99999999999999999999999.{signature}"),
            &format!("{exp}.{signature}="),
            &format!("{exp}.{signature}."),
            &format!("{exp}.{}", &signature[..40]),
            &format!("{exp}.{}", &signature[..20]),
            &format!("{exp}.B{}", &signature[1..]),
            &key[..key.len() - 1],
            &format!("{key}.{signature}"),
        ] {
            let refused = check(bad, NOW).unwrap_err();
            assert!(
                refused.starts_with("the key is not valid for this peer"),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_key_of_the_previous_secret_stays_valid_and_new_keys_have_the_current_one() {
        let old = Secrets::from("old");
        let both = Secrets {
            previous: Some("old".to_owned()),
            ..Secrets::from("new")
        };
        let key = |secrets| {
            HttpKey::new(EXP, 7)
                .sign(secrets, "demo", &id("ann"))
                .unwrap()
        };
        assert!(HttpKey::read(&both, &key(&old), "demo", &id("ann")).is_some());
        assert!(HttpKey::read(&old, &key(&both), "demo", &id("ann")).is_none());
    }

    #[test]
    fn ids_with_colons_and_other_rooms_have_other_keys() {
        let secrets = Secrets::from("new");
        let key = |room, peer| {
            HttpKey::new(EXP, 7)
                .sign(&secrets, room, &id(peer))
                .unwrap()
        };
        assert_ne!(key("c", "a:b"), key("b:c", "a"));
        let key = key("ä / 🎉", "a:b");
        assert!(HttpKey::read(&secrets, &key, "ä / 🎉", &id("a:b")).is_some());
    }

    #[test]
    fn a_renewed_key_is_the_same_to_the_room() {
        let secrets = Secrets::from("new");
        let key = HttpKey::new(EXP, 7);
        let renewed = key.renewed(NOW);
        let text = renewed.sign(&secrets, "demo", &id("ann")).unwrap();
        let read = HttpKey::read(&secrets, &text, "demo", &id("ann")).unwrap();
        assert_eq!(read, renewed);
        assert_eq!(read.stored(), key.stored());
        assert_ne!(HttpKey::new(EXP, 8).stored(), key.stored());
    }
}
