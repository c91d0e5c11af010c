//! Peer ids that are made from keys. No other client can take such an id, even after a deployment or a crash,
//! when the room has forgotten the keys of its peers: the id itself shows which key opens it.
//!
//! A client asks for its id with `_pk=k.` and a key. The id is `k.` and the first 22 characters (132
//! bits) of the base64url of SHA-256(`partyline-id` + key).

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::{HttpError, Route};
use crate::core::peer::{Key, PeerId};
use crate::core::refusal::{Code, Refusal};

/// The start of an id that is made from a key. As an id, it asks for the id of the key.
const PREFIX: &str = "k.";

/// The number of base64url characters after [`PREFIX`].
const DIGITS: usize = 22;

/// The minimum length of a key, in characters: 128 random bits in base64url. The id of a short key would
/// reveal it, because everybody in the room sees the id and can try keys.
const MIN_KEY: usize = 22;

/// Separates the hash from the hash that the room stores, which would otherwise be public.
const PURPOSE: &str = "partyline-id";

/// Returns the id of a request that asks for `id` and has `key`: the id of the key for `k.`, and otherwise
/// `id`.
///
/// # Errors
///
/// 400 `bad-key`: the request asks for `k.`, and its key is missing or too short
pub(super) fn resolve(id: PeerId, key: Option<&str>) -> Result<PeerId, HttpError> {
    if id.as_str() != PREFIX {
        return Ok(id);
    }
    id_of(key.unwrap_or_default()).ok_or_else(|| {
        let problem = match key {
            Some(key) => format!("a key of {} characters", key.chars().count()),
            None => "no key".to_owned(),
        };
        let message = format!(
            "the request asks for the id of its key, and has {problem}: expected a random key of {MIN_KEY} \
             to {} characters. Send such a key, or choose another id than `{PREFIX}`",
            Key::MAX
        );
        HttpError::new(400, "bad-key", message)
    })
}

/// Checks that the id of a request does not belong to another key. If the server `signs_keys`, an HTTP
/// peer cannot have an id that is made from a key.
///
/// # Errors
///
/// [`Code::IdTaken`]
pub fn check_id(route: &Route, signs_keys: bool) -> Result<(), Refusal<'static>> {
    let (id, key) = match route {
        Route::Join(join) => (join.id.as_ref(), &join.key),
        Route::Register(peer) if signs_keys => (Some(&peer.id), &None),
        Route::Register(peer) | Route::Message(peer) | Route::Events { peer, .. } => {
            (Some(&peer.id), &peer.key)
        }
        _ => return Ok(()),
    };
    let key = key.as_ref().map(|key| &*key.secret);
    id.map_or(Ok(()), |id| check(id, key))
}

fn check(id: &PeerId, key: Option<&str>) -> Result<(), Refusal<'static>> {
    if !has_form(id) || key.and_then(id_of).as_ref() == Some(id) {
        return Ok(());
    }
    let message = format!(
        "the id `{id}` belongs to a key that this request does not have: expected that key. Send it, or \
         choose an id that does not begin with `{PREFIX}`"
    );
    Err(Refusal::new(Code::IdTaken, message))
}

/// Returns the id that is made from a key, or `None` if the key is too short.
fn id_of(key: &str) -> Option<PeerId> {
    if key.chars().count() < MIN_KEY {
        return None;
    }
    let hash = Sha256::new().chain_update(PURPOSE).chain_update(key);
    let digits = BASE64_URL_SAFE_NO_PAD.encode(hash.finalize());
    let digits = digits.get(..DIGITS)?;
    PeerId::parse(&format!("{PREFIX}{digits}"))
}

/// Returns whether an id has the form of an id that is made from a key, whatever the key.
fn has_form(id: &PeerId) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    let digits = id.as_str().strip_prefix(PREFIX);
    digits.is_some_and(|digits| digits.len() == DIGITS && digits.bytes().all(is_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "0123456789abcdefghijkl";
    /// `printf 'partyline-id0123456789abcdefghijkl' | sha256sum | xxd -r -p | basenc --base64url | cut -c -22`
    const ID: &str = "k.bdh2L_PKCypf7iqEBejStC";

    fn id(text: &str) -> PeerId {
        PeerId::parse(text).unwrap()
    }

    #[test]
    fn k_stands_for_the_id_of_the_key_and_every_other_id_for_itself() {
        assert_eq!(resolve(id("k."), Some(KEY)), Ok(id(ID)));
        for other in ["ann", "k", "k.a", "K.", ID] {
            assert_eq!(resolve(id(other), Some("short")), Ok(id(other)));
        }
    }

    #[test]
    fn k_without_a_long_key_is_refused() {
        for key in [None, Some("k"), Some(&KEY[1..]), Some(&"ä".repeat(21))] {
            let error = resolve(id("k."), key).unwrap_err();
            assert_eq!((error.status, error.code), (400, "bad-key"), "{key:?}");
            assert!(key.is_none_or(|key| !error.message.contains(&format!(" {key} "))));
        }
        assert!(resolve(id("k."), Some(&"ä".repeat(22))).is_ok());
    }

    #[test]
    fn an_id_of_this_form_is_for_its_key_only() {
        assert_eq!(check(&id(ID), Some(KEY)), Ok(()));
        let short = "k.AAAAAAAAAAAAAAAAAAAAAA";
        for (taken, key) in [
            (ID, None),
            (ID, Some("0123456789abcdefghijkm")),
            (short, Some(KEY)),
            (short, Some("k")),
        ] {
            let refusal = check(&id(taken), key).unwrap_err();
            assert_eq!(refusal.code, Code::IdTaken, "{taken} {key:?}");
        }
        for free in [
            "ann",
            "k.ann",
            &format!("{ID}A"),
            &ID[..ID.len() - 1],
            &ID.replace("k.", "K."),
            &format!("{}~", &ID[..ID.len() - 1]),
        ] {
            assert_eq!(check(&id(free), None), Ok(()), "{free}");
        }
    }
}
