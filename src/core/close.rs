//! Close codes: the reasons for which the server closes a WebSocket, and its replies to Close
//! frames.
//!
//! [`Close`] is the source of all close codes. `tests/core/close_table.rs` checks the table in
//! docs/protocol.md and the retry rules in public/retry.js against it.

use crate::core::refusal::Code;

/// The reason why the server closes a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// The same peer joined again, or opened a newer event stream.
    Replaced,
    /// The room has as many peers as `MAX_PEERS` or `MAX_CLIENTS` allows, including absent peers.
    RoomFull,
    /// The peer ignored too many consecutive `too-fast` refusals.
    TooFast,
    /// The id is in use with another key.
    IdTaken,
    /// The token is missing, expired, or for another room or peer.
    Unauthorized,
    /// The token is for a peer id that no client can have, or the id, the key or the token of a `PeerJS`
    /// client is missing or invalid.
    BadId,
    /// A frame was larger than [`MAX_FRAME`](crate::core::event::MAX_FRAME).
    TooLarge,
    /// The client does not read. [`Unread`](crate::core::unread::Unread) counts the bytes.
    Unread,
    /// The live session of the room has ended.
    LiveOver,
    /// The operator of the server has removed the peer.
    Removed,
    /// The token of the client has expired.
    Expired,
}

/// The retry rule for clients: whether a client may reconnect without asking its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The client must not reconnect. The server would refuse it again, or two clients with the
    /// same id would replace each other forever.
    Never,
    /// The client may reconnect after a delay, because the cause can be temporary.
    Later,
    /// The client may reconnect at once with a new token. The old token is refused.
    NewToken,
}

impl Close {
    /// All reasons, in the order of the table in docs/protocol.md.
    pub const ALL: [Self; 11] = [
        Self::Replaced,
        Self::RoomFull,
        Self::TooFast,
        Self::IdTaken,
        Self::Unauthorized,
        Self::LiveOver,
        Self::Removed,
        Self::Unread,
        Self::Expired,
        Self::BadId,
        Self::TooLarge,
    ];

    /// Returns the close reason for a refusal with this code, or `None` if the WebSocket stays
    /// open.
    #[must_use]
    pub const fn after(code: Code) -> Option<Self> {
        match code {
            Code::TooLarge => Some(Self::TooLarge),
            Code::RoomFull => Some(Self::RoomFull),
            Code::IdTaken => Some(Self::IdTaken),
            Code::Unauthorized => Some(Self::Unauthorized),
            Code::BadId => Some(Self::BadId),
            Code::Removed => Some(Self::Removed),
            // A single `too-fast` refusal keeps the WebSocket open. The rate limiter disconnects
            // the peer after 200 consecutive refusals.
            Code::TooFast => None,
            Code::Malformed | Code::ReservedType | Code::NoSuchPeer | Code::MailboxFull => None,
            // These codes are sent only over HTTP, to clients without a WebSocket.
            Code::Replaced => Some(Self::Replaced),
            Code::NotRegistered | Code::NoSuchSession | Code::SessionExists => None,
            // The signaling of a room does not depend on its media server.
            Code::MediaUnavailable | Code::UnsupportedCodec => None,
        }
    }

    /// Returns the close code. Applications may use 4000 to 4999 (RFC 6455 §7.4.2). 1008 and
    /// 1009 are the standard codes for a policy violation and for a message that is too big (§7.4.1).
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Replaced => 4001,
            Self::RoomFull => 4003,
            Self::TooFast => 4008,
            Self::IdTaken => 4009,
            Self::Unauthorized => 4010,
            Self::BadId => 1008,
            Self::TooLarge => 1009,
            Self::Unread => 4013,
            Self::LiveOver => 4011,
            Self::Removed => 4012,
            Self::Expired => 4014,
        }
    }

    /// Returns the reason text of the Close frame. The text equals the error code if an error
    /// closes the WebSocket.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Replaced => "replaced",
            Self::RoomFull => Code::RoomFull.as_str(),
            Self::TooFast => Code::TooFast.as_str(),
            Self::IdTaken => Code::IdTaken.as_str(),
            Self::Unauthorized => Code::Unauthorized.as_str(),
            Self::BadId => Code::BadId.as_str(),
            Self::TooLarge => Code::TooLarge.as_str(),
            Self::Unread => "unread",
            Self::LiveOver => "live-over",
            Self::Removed => Code::Removed.as_str(),
            Self::Expired => "expired",
        }
    }

    /// Returns whether the client may reconnect without asking its user.
    #[must_use]
    pub const fn retry(self) -> Retry {
        match self {
            Self::RoomFull | Self::TooFast | Self::Unread => Retry::Later,
            Self::Expired => Retry::NewToken,
            Self::Replaced
            | Self::IdTaken
            | Self::Unauthorized
            | Self::BadId
            | Self::TooLarge
            | Self::LiveOver
            | Self::Removed => Retry::Never,
        }
    }
}

/// The close code of a page that goes away (RFC 6455 §7.4.1). Firefox sends it when a navigation
/// begins, even if the navigation then becomes a download or gets the status 204, and the page stays.
pub const GOING_AWAY: u16 = 1001;

/// The reply to a client's Close frame. The hibernation API sends no reply, so the Durable Object
/// must send the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A Close frame with the code that the peer sent.
    Code(u16),
    /// A Close frame without a code.
    Empty,
    /// No Close frame, because the connection is broken.
    Nothing,
}

/// Returns the reply to a closed WebSocket that the platform reports with the close code `code`.
/// `was_clean` is true if a Close frame arrived.
///
/// A reply never contains 1005, 1006 or 1015. These codes stand for a Close frame without a code,
/// no Close frame, and a failed TLS handshake (RFC 6455 §7.4.1). A client may nevertheless send one
/// of these codes, or a code outside 1000 to 4999. The reply then has no code, because the platform
/// throws an exception for an invalid code.
#[must_use]
pub const fn answer(code: u16, was_clean: bool) -> Answer {
    match code {
        _ if is_loss(code, was_clean) => Answer::Nothing,
        1000..=1003 | 1007..=1014 | 1016..=4999 => Answer::Code(code),
        _ => Answer::Empty,
    }
}

/// Returns whether the connection broke without a Close frame. The peer then becomes absent instead
/// of leaving.
#[must_use]
pub const fn is_loss(code: u16, was_clean: bool) -> bool {
    matches!(code, 1006 | 1015) && !was_clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_close_code_can_be_sent_and_is_unique() {
        for (n, close) in Close::ALL.into_iter().enumerate() {
            assert_eq!(answer(close.code(), true), Answer::Code(close.code()));
            assert!(
                Close::ALL
                    .iter()
                    .skip(n + 1)
                    .all(|other| other.code() != close.code())
            );
        }
    }

    #[test]
    fn a_code_that_may_not_be_sent_is_not_echoed() {
        for code in [0, 999, 1004, 1005, 1006, 1015, 5000, u16::MAX] {
            assert_eq!(answer(code, true), Answer::Empty, "{code}");
        }
        for code in [1000, 1001, 3000, 4123, 4999] {
            assert_eq!(answer(code, true), Answer::Code(code));
        }
    }

    #[test]
    fn a_close_is_a_loss_only_without_a_close_frame() {
        assert_eq!(answer(1006, false), Answer::Nothing);
        assert!(is_loss(1006, false) && is_loss(1015, false));
        assert!(
            ![1000, 1001, 1005, 1006, 1015, 4123]
                .into_iter()
                .any(|code| is_loss(code, true))
        );
    }
}
