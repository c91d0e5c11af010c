//! Refusals: an error code for programs and a message for people.

use std::borrow::Cow;

/// The maximum length of a message that quotes client input, in characters.
const MAX_QUOTE: usize = 200;

/// The error code of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The frame cannot be decoded, or names another peer as its sender.
    Malformed,
    /// The type of the signal is reserved, by the room or by the receiver's dialect.
    ReservedType,
    /// The receiver is not in the room, or left before it received the signal.
    NoSuchPeer,
    /// The signal cannot be queued for its absent receiver, or the broadcast cannot be held,
    /// because a limit is reached.
    MailboxFull,
    /// The frame is larger than [`MAX_FRAME`](crate::core::event::MAX_FRAME).
    TooLarge,
    /// The peer exceeded the rate limit.
    TooFast,
    /// The room has as many peers as `MAX_PEERS` or `MAX_CLIENTS` allows.
    RoomFull,
    /// The id is in use with another key.
    IdTaken,
    /// The token is missing, expired, or for another room or peer.
    Unauthorized,
    /// The token is for a peer id that no client can have, or the id, the key or the token of a `PeerJS`
    /// client is missing or invalid.
    BadId,
    /// The operator of the server has removed the peer, whose id and key are refused for some time.
    Removed,
    /// No peer with this id is registered over HTTP, or the peer has left.
    NotRegistered,
    /// A newer event stream of the same peer has replaced the stream that the client resumes. Only
    /// HTTP uses this code.
    Replaced,
    /// The media server failed. The room tries again.
    MediaUnavailable,
    /// The client supports none of the codecs of a track of the live session.
    UnsupportedCodec,
    /// The room has no live session.
    NoSuchSession,
    /// The room has a live session with another device.
    SessionExists,
}

impl Code {
    /// All codes.
    pub const ALL: [Self; 17] = [
        Self::Malformed,
        Self::ReservedType,
        Self::NoSuchPeer,
        Self::MailboxFull,
        Self::TooLarge,
        Self::TooFast,
        Self::RoomFull,
        Self::IdTaken,
        Self::Unauthorized,
        Self::BadId,
        Self::Removed,
        Self::NotRegistered,
        Self::Replaced,
        Self::MediaUnavailable,
        Self::UnsupportedCodec,
        Self::NoSuchSession,
        Self::SessionExists,
    ];

    /// Parses a code from its text on the wire.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == text)
    }

    /// Returns the text of the code on the wire.
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
            Self::BadId => "bad-id",
            Self::Removed => "removed",
            Self::NotRegistered => "not-registered",
            Self::Replaced => "replaced",
            Self::MediaUnavailable => "media-unavailable",
            Self::UnsupportedCodec => "unsupported-codec",
            Self::NoSuchSession => "no-such-session",
            Self::SessionExists => "session-exists",
        }
    }
}

/// The reply to a request or signal that the server refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// The error code, for programs.
    pub code: Code,
    /// The message, for people: the error, the expected input, and the next step.
    pub message: Cow<'static, str>,
    /// The receiver of the refused signal, as the sender wrote it. `None` for a broadcast or a
    /// request.
    pub to: Option<Cow<'a, str>>,
}

impl Refusal<'_> {
    /// Creates a refusal without a receiver.
    #[must_use]
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            to: None,
        }
    }

    /// Copies all borrowed text, so that the refusal can outlive the event.
    #[must_use]
    pub fn into_owned(self) -> Refusal<'static> {
        let Self { code, message, to } = self;
        let to = to.map(|to| Cow::Owned(to.into_owned()));
        Refusal { code, message, to }
    }

    /// Creates a refusal with [`Code::Malformed`] and a message that quotes client input. Truncates
    /// the message to 200 characters.
    #[must_use]
    pub fn quoting(message: String) -> Self {
        let end = message.char_indices().nth(MAX_QUOTE).map(|(end, _)| end);
        let short = end.and_then(|end| message.get(..end)).map(str::to_owned);
        Self::malformed(short.unwrap_or(message))
    }

    /// Creates a refusal of a frame that cannot be decoded.
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
