//! Refusals: a code for programs and a message for people.

use std::borrow::Cow;

/// The maximum length of a message that quotes client input, in characters.
const MAX_QUOTE: usize = 200;

/// The code of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The frame cannot be decoded, or names another sender.
    Malformed,
    /// The type of the signal is reserved for the server.
    ReservedType,
    /// The receiver is not in the room, or left before it got the signal.
    NoSuchPeer,
    /// The receiver is absent and its outbox is full, or no more broadcasts can be held.
    MailboxFull,
    /// The frame is larger than [`MAX_FRAME`](crate::core::event::MAX_FRAME).
    TooLarge,
    /// More than 100 frames a second, or 200 in a burst.
    TooFast,
    /// The room has as many peers as `MAX_PEERS` allows.
    RoomFull,
    /// The id is in use with another key.
    IdTaken,
    /// The token is missing, expired, or for another room or peer.
    Unauthorized,
    /// Over HTTP: no peer with this id is registered, or it has left.
    NotRegistered,
    /// Over HTTP: a newer stream of the same peer has replaced the one to be resumed.
    Replaced,
}

impl Code {
    /// All codes.
    pub const ALL: [Self; 11] = [
        Self::Malformed,
        Self::ReservedType,
        Self::NoSuchPeer,
        Self::MailboxFull,
        Self::TooLarge,
        Self::TooFast,
        Self::RoomFull,
        Self::IdTaken,
        Self::Unauthorized,
        Self::NotRegistered,
        Self::Replaced,
    ];

    /// Parses a code from its form on the wire.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == text)
    }

    /// The code on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::ReservedType => "reserved-type",
            Self::NoSuchPeer => "no-such-peer",
            Self::MailboxFull => "mailbox-full",
            Self::TooLarge => "too-large",
            Self::TooFast => "too-fast",
            Self::RoomFull => "room-full",
            Self::IdTaken => "id-taken",
            Self::Unauthorized => "unauthorized",
            Self::NotRegistered => "not-registered",
            Self::Replaced => "replaced",
        }
    }
}

/// Why the server did not do what a client asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// For programs.
    pub code: Code,
    /// For people: what was wrong, what is expected, and what to do next.
    pub message: Cow<'static, str>,
    /// The receiver of the refused signal, as the sender wrote it.
    pub to: Option<Cow<'a, str>>,
}

impl Refusal<'_> {
    /// A refusal that names no receiver.
    #[must_use]
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            to: None,
        }
    }

    /// Copies all borrowed text.
    #[must_use]
    pub fn into_owned(self) -> Refusal<'static> {
        let Self { code, message, to } = self;
        let to = to.map(|to| Cow::Owned(to.into_owned()));
        Refusal { code, message, to }
    }

    /// Like [`malformed`](Self::malformed), for a message that quotes client input. It is cut after
    /// 200 characters.
    #[must_use]
    pub fn quoting(message: String) -> Self {
        let end = message.char_indices().nth(MAX_QUOTE).map(|(end, _)| end);
        let short = end.and_then(|end| message.get(..end)).map(str::to_owned);
        Self::malformed(short.unwrap_or(message))
    }

    /// A frame that cannot be decoded.
    #[must_use]
    pub fn malformed(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Malformed, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_parsed_from_its_own_form() {
        for code in Code::ALL {
            assert_eq!(Code::named(code.as_str()), Some(code));
        }
        assert_eq!(Code::named("because"), None);
    }
}
