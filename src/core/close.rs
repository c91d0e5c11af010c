//! Every reason why the server ends a socket, and how it answers the Close frame of a peer.
//!
//! This is the one table of close codes: README's copy and the browser client's retry rule are held
//! to it by `tests/core/close_table.rs`.

use crate::core::refusal::Code;

/// Why the server ends a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// The same peer joined again on another socket.
    Replaced,
    /// The room has as many peers as `MAX_PEERS` allows, absent ones counted.
    RoomFull,
    /// The peer went on sending after all its frames had been refused for being too fast.
    TooFast,
    /// The id is in the room under another key.
    IdTaken,
    /// The token is missing, expired, or not for this room or this peer.
    Unauthorized,
    /// A frame was larger than [`MAX_FRAME`](crate::core::event::MAX_FRAME).
    TooLarge,
}

/// May a client whose socket was closed come back by itself?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// No: it would meet the same end, or fight with itself.
    Never,
    /// Not at once: what stands in its way may pass.
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

    /// How the socket is closed after a refusal, if it must be: one while joining, or of a frame that
    /// should never have been made.
    #[must_use]
    pub const fn after(code: Code) -> Option<Self> {
        match code {
            Code::TooLarge => Some(Self::TooLarge),
            Code::RoomFull => Some(Self::RoomFull),
            Code::IdTaken => Some(Self::IdTaken),
            Code::Unauthorized => Some(Self::Unauthorized),
            // The last of very many closes with `TooFast`; that is for the room to count.
            Code::TooFast => None,
            Code::Malformed | Code::ReservedType | Code::NoSuchPeer | Code::MailboxFull => None,
            // Said over HTTP alone, to somebody who has no socket.
            Code::NotRegistered | Code::Replaced => None,
        }
    }

    /// The close code. 4000 to 4999 are for applications (RFC 6455 §7.4.2); 1009 is the standard's
    /// own word for a message that is too big (§7.4.1).
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

    /// The reason in the Close frame: one word, the same as the error code where there is one.
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

    /// May the client come back by itself?
    #[must_use]
    pub const fn retry(self) -> Retry {
        match self {
            Self::RoomFull | Self::TooFast => Retry::Later,
            Self::Replaced | Self::IdTaken | Self::Unauthorized | Self::TooLarge => Retry::Never,
        }
    }
}

/// How a Close frame of a peer is answered: the hibernation API leaves that to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// With the peer's own code.
    Code(u16),
    /// With a Close frame that has no code.
    Empty,
    /// Not at all: nobody is left to hear it.
    Nothing,
}

/// The answer to a close that the platform reports with `code`, and `was_clean` if there was a Close
/// frame.
///
/// 1005 and 1006 never travel: they stand for "a frame without a code" and "no frame" (RFC 6455
/// §7.4.1), 1015 likewise for a failed TLS handshake. A frame that has one of them all the same is
/// answered, though not with it: the platform throws when asked to send one, or a code outside 1000
/// to 4999.
#[must_use]
pub const fn answer(code: u16, was_clean: bool) -> Answer {
    match code {
        _ if is_loss(code, was_clean) => Answer::Nothing,
        1000..=1003 | 1007..=1014 | 1016..=4999 => Answer::Code(code),
        _ => Answer::Empty,
    }
}

/// Did the socket die without a Close frame from the peer? Then the peer is absent, not gone.
#[must_use]
pub const fn is_loss(code: u16, was_clean: bool) -> bool {
    matches!(code, 1006 | 1015) && !was_clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_can_be_sent_and_is_used_once() {
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
    fn codes_that_never_travel_are_never_echoed() {
        for code in [0, 999, 1004, 1005, 1006, 1015, 5000, u16::MAX] {
            assert_eq!(answer(code, true), Answer::Empty, "{code}");
        }
        for code in [1000, 1001, 3000, 4123, 4999] {
            assert_eq!(answer(code, true), Answer::Code(code));
        }
    }

    #[test]
    fn only_a_death_without_a_frame_is_a_loss() {
        assert_eq!(answer(1006, false), Answer::Nothing);
        assert!(is_loss(1006, false) && is_loss(1015, false));
        assert!(
            ![1000, 1001, 1005, 1006, 1015, 4123]
                .into_iter()
                .any(|code| is_loss(code, true))
        );
    }
}
