//! The reasons for which the server closes a WebSocket, and its answers to Close frames.
//!
//! This is the only table of close codes. `tests/core/close_table.rs` compares README's copy and the
//! retry rules of the browser client with it.

use crate::core::refusal::Code;

/// Why the server closes a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// The same peer joined again on another WebSocket.
    Replaced,
    /// The room has as many peers as `MAX_PEERS` allows, absent ones included.
    RoomFull,
    /// The peer ignored too many consecutive `too-fast` refusals.
    TooFast,
    /// The id is in use with another key.
    IdTaken,
    /// The token is missing, expired, or for another room or peer.
    Unauthorized,
    /// A frame was larger than [`MAX_FRAME`](crate::core::event::MAX_FRAME).
    TooLarge,
}

/// Whether a client may reconnect without asking its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Never: the server would refuse again, or two clients with one id would replace each other
    /// forever.
    Never,
    /// Later: the cause may pass.
    Later,
}

impl Close {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 6] = [
        Self::Replaced,
        Self::RoomFull,
        Self::TooFast,
        Self::IdTaken,
        Self::Unauthorized,
        Self::TooLarge,
    ];

    /// How the WebSocket is closed after a refusal. `None` if it stays open.
    #[must_use]
    pub const fn after(code: Code) -> Option<Self> {
        match code {
            Code::TooLarge => Some(Self::TooLarge),
            Code::RoomFull => Some(Self::RoomFull),
            Code::IdTaken => Some(Self::IdTaken),
            Code::Unauthorized => Some(Self::Unauthorized),
            // A single one keeps the WebSocket open. The room counts them, and closes after 200 in a row.
            Code::TooFast => None,
            Code::Malformed | Code::ReservedType | Code::NoSuchPeer | Code::MailboxFull => None,
            // Sent over HTTP only, to clients without a WebSocket.
            Code::NotRegistered | Code::Replaced => None,
        }
    }

    /// The close code. 4000 to 4999 are for applications (RFC 6455 §7.4.2). 1009 is the standard code
    /// for a message that is too big (§7.4.1).
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::Replaced => 4001,
            Self::RoomFull => 4003,
            Self::TooFast => 4008,
            Self::IdTaken => 4009,
            Self::Unauthorized => 4010,
            Self::TooLarge => 1009,
        }
    }

    /// The reason in the Close frame. It equals the error code, if there is one.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Replaced => "replaced",
            Self::RoomFull => Code::RoomFull.as_str(),
            Self::TooFast => Code::TooFast.as_str(),
            Self::IdTaken => Code::IdTaken.as_str(),
            Self::Unauthorized => Code::Unauthorized.as_str(),
            Self::TooLarge => Code::TooLarge.as_str(),
        }
    }

    /// Whether the client may reconnect without asking its user.
    #[must_use]
    pub const fn retry(self) -> Retry {
        match self {
            Self::RoomFull | Self::TooFast => Retry::Later,
            Self::Replaced | Self::IdTaken | Self::Unauthorized | Self::TooLarge => Retry::Never,
        }
    }
}

/// The answer to a Close frame. The hibernation API leaves it to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A Close frame with the peer's own code.
    Code(u16),
    /// A Close frame without a code.
    Empty,
    /// No Close frame, because the connection is broken.
    Nothing,
}

/// The answer to a close that the platform reports with `code`. `was_clean` tells whether there was a
/// Close frame.
///
/// 1005, 1006 and 1015 are never sent. They stand for a frame without a code, no frame, and a failed
/// TLS handshake (RFC 6455 §7.4.1). A client may send one of them all the same, and gets an empty
/// Close frame: the platform throws when asked to send one of them, or a code outside 1000 to 4999.
#[must_use]
pub const fn answer(code: u16, was_clean: bool) -> Answer {
    match code {
        _ if is_loss(code, was_clean) => Answer::Nothing,
        1000..=1003 | 1007..=1014 | 1016..=4999 => Answer::Code(code),
        _ => Answer::Empty,
    }
}

/// Whether the connection broke without a Close frame. The peer then becomes absent, and does not
/// leave.
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
