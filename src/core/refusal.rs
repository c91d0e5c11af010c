//! What the server says when it will not do what a peer asked: one code and one sentence.

use std::borrow::Cow;

/// The longest explanation that quotes what a peer has sent, in characters.
const MAX_QUOTE: usize = 200;

/// The codes of error notices, as they stand on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The frame could not be read.
    Malformed,
    /// The kind of the signal is one that only the server uses.
    ReservedType,
    /// The peer that the signal names is not in the room.
    NoSuchPeer,
    /// The peer is absent, and no more can be held for it.
    MailboxFull,
    /// The frame is larger than [`MAX_FRAME`](crate::core::event::MAX_FRAME).
    TooLarge,
    /// More than 100 frames a second, or 200 in a burst.
    TooFast,
    /// The room has no place left.
    RoomFull,
    /// The id is in the room under another key.
    IdTaken,
    /// The token is missing, expired, or not for this room or peer.
    Unauthorized,
    /// Over HTTP: no peer of this id has registered, or it has left since.
    NotRegistered,
    /// Over HTTP: the stream that is to go on was replaced by a newer one of the same peer.
    Replaced,
}

impl Code {
    /// All of them.
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

    /// The code that is sent as `text`.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == text)
    }

    /// The code as it is sent.
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

/// One refusal, told to the peer that caused it in the form of its dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// What programs read.
    pub code: Code,
    /// What people read: what was wrong, and what would be right.
    pub message: Cow<'static, str>,
    /// The peer that the refused signal named, as it was written.
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

    /// A frame that could not be read, and why.
    #[must_use]
    pub fn malformed(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Malformed, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_name_of_its_own() {
        for code in Code::ALL {
            assert_eq!(Code::named(code.as_str()), Some(code));
        }
        assert_eq!(Code::named("because"), None);
    }
}
