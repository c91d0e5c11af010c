//! Ids, seats, sockets, times and keys.
//!
//! [`PeerId`] and [`Key`] can only be constructed from valid text, so other code need not check the
//! text again.

use std::borrow::Borrow;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The id of the media server in a room with a live session.
pub const MEDIA_SERVER: &str = "~live";

/// The id of a peer, unique in its room: 1 to 64 characters from `A-Z a-z 0-9 . _ ~ : -`. Ids that begin
/// with `~` are reserved for the server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(Rc<str>);

impl PeerId {
    /// The maximum length of an id, in characters. All allowed characters are ASCII.
    pub const MAX: usize = 64;

    /// Parses the id of a client. Returns `None` if `text` is empty, too long, begins with `~`, or
    /// contains other characters.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._~:-".contains(&byte);
        let fits = (1..=Self::MAX).contains(&text.len());
        let is_reserved = text.starts_with('~');
        (fits && !is_reserved && text.bytes().all(plain)).then(|| Self(text.into()))
    }

    /// Returns the id of the media server.
    #[must_use]
    pub fn media_server() -> Self {
        Self(MEDIA_SERVER.into())
    }

    /// Returns whether the id is the id of the media server.
    #[must_use]
    pub fn is_media_server(&self) -> bool {
        &*self.0 == MEDIA_SERVER
    }

    /// Creates an id of 32 hexadecimal digits from 128 random bits.
    #[must_use]
    pub fn random(bits: u128) -> Self {
        Self(format!("{bits:032x}").into())
    }

    /// Returns the id as text.
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

/// The hash of the network address of a client. The address itself is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(pub u64);

impl Address {
    /// Hashes an address, or the network of an IPv6 address.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut first = [0; 8];
        let hash = Sha256::digest(text.as_bytes());
        first.iter_mut().zip(hash).for_each(|(to, byte)| *to = byte);
        Self(u64::from_be_bytes(first))
    }
}

/// The position of a peer in the order of joining. A peer is polite to all peers with higher seats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seat(pub u64);

/// The id of a WebSocket, unique in its room. The platform may list a WebSocket that is already
/// closed. The shell reuses the id only when the platform no longer lists the WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Socket(pub u64);

/// A time in milliseconds since 1970, from the shell's clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub u64);

impl Time {
    /// Creates a time from the whole seconds since 1970.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000))
    }

    /// Returns the whole seconds since 1970.
    #[must_use]
    pub const fn to_seconds(self) -> u64 {
        Duration::from_millis(self.0).as_secs()
    }

    /// Returns the time `millis` milliseconds later.
    #[must_use]
    pub const fn plus(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Returns the time at which a WebSocket is closed whose client has a token that expires at this
    /// time: the next whole second, so that several clients need one alarm. `None`: never, because the
    /// time is more than 100 years from now. The platform cannot set an alarm at any time (ECMAScript's
    /// `Date` ends in the year 275760).
    #[must_use]
    pub fn to_close_at(self, now: Self) -> Option<Self> {
        const MAX_AHEAD_MS: u64 = 100 * 365 * 86_400_000;
        (self <= now.plus(MAX_AHEAD_MS)).then(|| self.round_up())
    }

    /// Returns the next whole second, so that peers that are lost together leave together.
    #[must_use]
    pub const fn round_up(self) -> Self {
        Self(self.0.div_ceil(1_000).saturating_mul(1_000))
    }
}

/// The SHA-256 hash of a client's key. The key itself is not stored.
#[derive(Clone, Copy)]
pub struct Key([u8; 32]);

impl Key {
    /// The maximum length of a key, in characters.
    pub const MAX: usize = 128;

    /// Hashes a key of 1 to 128 characters. Returns `None` for any other length.
    #[must_use]
    pub fn new(secret: &str) -> Option<Self> {
        let fits = (1..=Self::MAX).contains(&secret.chars().count());
        fits.then(|| Self(Sha256::digest(secret.as_bytes()).into()))
    }

    /// Parses a hash from 64 hexadecimal digits, as written by [`fmt::LowerHex`].
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
    /// Compares in constant time, so that an attacker cannot guess a hash byte by byte.
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

/// The key that a client must send to act as a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// No key is required: any client may take over the id.
    Open,
    /// A key that the server generated. It is optional until the client first sends it, because
    /// some clients cannot send keys.
    Unconfirmed(Key),
    /// The key is required.
    Locked(Key),
}

impl Lock {
    /// Returns whether a client may act as the peer. `sent` is the key that the client sent, if
    /// any.
    #[must_use]
    pub fn opens_to(&self, sent: Option<&Key>) -> bool {
        match self {
            Self::Open => true,
            Self::Unconfirmed(key) => sent.is_none_or(|sent| sent == key),
            Self::Locked(key) => sent == Some(key),
        }
    }

    /// Returns the key that protects the id, or `None` if any client may take over the id.
    #[must_use]
    pub const fn key(&self) -> Option<Key> {
        match self {
            Self::Open => None,
            Self::Unconfirmed(key) | Self::Locked(key) => Some(*key),
        }
    }

    /// Returns whether the id is protected by the key that a client sent.
    #[must_use]
    pub fn protects_with(&self, sent: Option<&Key>) -> bool {
        match self {
            Self::Open => false,
            Self::Unconfirmed(key) | Self::Locked(key) => sent == Some(key),
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
    fn an_id_has_1_to_64_plain_characters() {
        for good in ["a", "A.b_c~d:e-9", &"x".repeat(64)] {
            assert_eq!(PeerId::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            " ",
            "a b",
            "ä",
            "a/b",
            "a\"",
            "a\0",
            "~live",
            "~",
            &"x".repeat(65),
        ] {
            assert_eq!(PeerId::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_random_id_has_32_digits() {
        assert_eq!(PeerId::random(0).as_str(), "0".repeat(32));
        assert_eq!(PeerId::random(u128::MAX).as_str(), "f".repeat(32));
    }

    #[test]
    fn a_key_has_1_to_128_characters_and_survives_hexadecimal() {
        assert_eq!(Key::new(""), None);
        assert_eq!(Key::new(&"ä".repeat(129)), None);
        let key = Key::new(&"ä".repeat(128)).unwrap();
        assert_eq!(Key::from_hex(&format!("{key:x}")), Some(key));
        assert_ne!(Key::new("a"), Key::new("b"));
    }

    #[test]
    fn a_key_hash_is_its_sha_256() {
        // The expected hash is from FIPS 180-2, appendix B.1.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(format!("{:x}", Key::new("abc").unwrap()), abc);
    }

    #[test]
    fn an_unconfirmed_key_may_be_omitted_but_not_be_wrong() {
        let (one, two) = (Key::new("one").unwrap(), Key::new("two").unwrap());
        for (lock, none, right, wrong) in [
            (Lock::Open, true, true, true),
            (Lock::Unconfirmed(one), true, true, false),
            (Lock::Locked(one), false, true, false),
        ] {
            let is_protected = lock != Lock::Open;
            assert_eq!(lock.protects_with(Some(&one)), is_protected, "{lock:?}");
            assert!(!lock.protects_with(Some(&two)), "{lock:?}");
            assert!(!lock.protects_with(None), "{lock:?}");
            assert_eq!(lock.key(), is_protected.then_some(one));
            assert_eq!(lock.opens_to(None), none, "{lock:?}");
            assert_eq!(lock.opens_to(Some(&one)), right, "{lock:?}");
            assert_eq!(lock.opens_to(Some(&two)), wrong, "{lock:?}");
        }
    }

    #[test]
    fn hexadecimal_of_another_length_or_alphabet_is_refused() {
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
