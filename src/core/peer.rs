//! Who takes part: ids, seats, sockets, keys, and what is kept of a peer while its room sleeps.
//!
//! Parse, don't validate: a [`PeerId`] or a [`Key`] that exists is a good one.

use std::borrow::Borrow;
use std::fmt;
use std::rc::Rc;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The name of a peer in its room: 1 to 64 characters out of `A-Z a-z 0-9 . _ ~ : -`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(Rc<str>);

impl PeerId {
    /// The longest id, in characters, which are all one byte long.
    pub const MAX: usize = 64;

    /// Reads an id; `None` unless it has the form above.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._~:-".contains(&byte);
        let fits = (1..=Self::MAX).contains(&text.len());
        (fits && text.bytes().all(plain)).then(|| Self(text.into()))
    }

    /// A new id out of 128 random bits, as 32 hexadecimal digits.
    #[must_use]
    pub fn random(bits: u128) -> Self {
        Self(format!("{bits:032x}").into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for PeerId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The order of joining in one room: a peer with a lower seat came earlier, and is polite to those
/// with higher ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seat(pub u64);

/// One WebSocket of a room. The shell numbers them; a number is never used again while its socket,
/// open or not, is still listed by the platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Socket(pub u64);

/// Milliseconds since 1970, as the outside says them: nothing in here reads a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub u64);

impl Time {
    /// So many milliseconds later.
    #[must_use]
    pub const fn plus(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }
}

/// The SHA-256 of the secret with which a peer holds on to its id. The secret itself is forgotten.
#[derive(Clone, Copy)]
pub struct Key([u8; 32]);

impl Key {
    /// The longest secret, in characters.
    pub const MAX: usize = 128;

    /// Hashes a secret of 1 to 128 characters; `None` for one of another length.
    #[must_use]
    pub fn new(secret: &str) -> Option<Self> {
        let fits = (1..=Self::MAX).contains(&secret.chars().count());
        fits.then(|| Self(Sha256::digest(secret.as_bytes()).into()))
    }

    /// Reads what [`fmt::LowerHex`] writes: 64 hexadecimal digits.
    #[must_use]
    pub fn from_hex(hex: &str) -> Option<Self> {
        let mut hash = [0; 32];
        let mut digits = hex.bytes().map(|digit| char::from(digit).to_digit(16));
        for byte in &mut hash {
            let (high, low) = (digits.next()??, digits.next()??);
            *byte = u8::try_from(high << 4 | low).ok()?;
        }
        digits.next().is_none().then_some(Self(hash))
    }
}

impl PartialEq for Key {
    /// Takes the same time whatever differs, so that a key cannot be guessed byte by byte.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Key {}

impl fmt::LowerHex for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let halves = self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let digits = halves.filter_map(|half| char::from_digit(half.into(), 16));
        f.write_str(&digits.collect::<String>())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// What keeps an id for its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Nothing: whoever asks for the id gets it.
    Open,
    /// A key that the server made, and that is asked for as soon as it has been shown once: before
    /// that, nobody can tell whether its owner can show keys at all.
    Unconfirmed(Key),
    /// A key that must be shown.
    Locked(Key),
}

impl Lock {
    /// May somebody who shows this key, or none, be the peer?
    #[must_use]
    pub fn opens_to(&self, shown: Option<&Key>) -> bool {
        match self {
            Self::Open => true,
            Self::Unconfirmed(key) => shown.is_none_or(|shown| shown == key),
            Self::Locked(key) => shown == Some(key),
        }
    }
}

impl From<Option<Key>> for Lock {
    fn from(key: Option<Key>) -> Self {
        key.map_or(Self::Open, Self::Locked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_plain_and_short() {
        for good in ["a", "A.b_c~d:e-9", &"x".repeat(64)] {
            assert_eq!(PeerId::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", " ", "a b", "ä", "a/b", "a\"", "a\0", &"x".repeat(65)] {
            assert_eq!(PeerId::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn random_ids_have_one_length() {
        assert_eq!(PeerId::random(0).as_str(), "0".repeat(32));
        assert_eq!(PeerId::random(u128::MAX).as_str(), "f".repeat(32));
    }

    #[test]
    fn keys_are_counted_in_characters_and_survive_hexadecimal() {
        assert_eq!(Key::new(""), None);
        assert_eq!(Key::new(&"ä".repeat(129)), None);
        let key = Key::new(&"ä".repeat(128)).unwrap();
        assert_eq!(Key::from_hex(&format!("{key:x}")), Some(key));
        assert_ne!(Key::new("a"), Key::new("b"));
    }

    #[test]
    fn a_key_is_the_sha_256_of_its_secret() {
        // FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(format!("{:x}", Key::new("abc").unwrap()), abc);
    }

    #[test]
    fn an_offered_key_may_be_left_out_but_not_be_wrong() {
        let (one, two) = (Key::new("one").unwrap(), Key::new("two").unwrap());
        for (lock, none, right, wrong) in [
            (Lock::Open, true, true, true),
            (Lock::Unconfirmed(one), true, true, false),
            (Lock::Locked(one), false, true, false),
        ] {
            assert_eq!(lock.opens_to(None), none, "{lock:?}");
            assert_eq!(lock.opens_to(Some(&one)), right, "{lock:?}");
            assert_eq!(lock.opens_to(Some(&two)), wrong, "{lock:?}");
        }
    }

    #[test]
    fn hexadecimal_of_another_length_or_alphabet_is_no_key() {
        let hex = "0".repeat(64);
        assert!(Key::from_hex(&hex).is_some());
        for bad in [
            "",
            &hex[1..],
            &format!("{hex}0"),
            &hex.replacen('0', "g", 1),
            &"ä".repeat(32),
        ] {
            assert_eq!(Key::from_hex(bad), None, "{bad:?}");
        }
    }
}
