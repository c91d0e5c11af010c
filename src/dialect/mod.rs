//! The dialects of clients: text is decoded into [`Signal`]s, and [`Notice`]s are encoded as text.
//!
//! A dialect has no state and does not know who is in a room. Each dialect is one file, whose head
//! shows all its frames. To add a dialect:
//!
//! 1. Write its file, with `RESERVED`, `decode` and `encode`, and with its frames at the head.
//! 2. Add it to [`Dialect`], to [`Dialect::ALL`] and, as one line, to each `match` below. The compiler
//!    reports the ones that lack it.
//! 3. Write its transcripts, in a folder of its name in `tests/transcripts`.

mod forum;
mod frame;
pub mod http;
pub mod json;
mod lobby;
mod native;

pub use frame::Encoded;

use crate::core::event::{MAX_FRAME, Signal};
use crate::core::notice::Notice;
use crate::core::refusal::{Code, Refusal};

/// The longest type of a signal, in bytes.
const MAX_TYPE: usize = 64;

/// The dialect of a socket. It does not change until the socket closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The dialect of the client library.
    Native,
    /// Frames with `action` or `type`; see `forum.rs`.
    Forum,
    /// Frames with `fromId` and `toId`; see `lobby.rs`.
    Lobby,
    /// HTTP requests and an event stream; see `http.rs`.
    Http,
}

impl Dialect {
    /// All dialects.
    pub const ALL: [Self; 4] = [Self::Native, Self::Forum, Self::Lobby, Self::Http];

    /// Finds a dialect by its name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.name() == name)
    }

    /// The name of the dialect in a URL and in stored text.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Forum => "forum",
            Self::Lobby => "lobby",
            Self::Http => "http",
        }
    }

    /// `true` if the server sends its notices over an event stream, which a client can resume after
    /// it broke and which has no close handshake. The other dialects use a WebSocket.
    #[must_use]
    pub const fn is_stream(self) -> bool {
        match self {
            Self::Native | Self::Forum | Self::Lobby => false,
            Self::Http => true,
        }
    }

    /// The signal types that the dialect reserves, beside those that the room reserves in all
    /// dialects.
    const fn reserved(self) -> &'static [&'static str] {
        match self {
            Self::Native => native::RESERVED,
            Self::Forum => forum::RESERVED,
            Self::Lobby => lobby::RESERVED,
            Self::Http => http::RESERVED,
        }
    }

    /// Splits a text frame into the signals to decode: several if the frame is a batch, otherwise the
    /// frame itself.
    #[must_use]
    pub fn split_batch(self, text: &str) -> Vec<&str> {
        let signals = match self {
            Self::Native if text.len() <= MAX_FRAME => native::split_batch(text),
            _ => None,
        };
        signals.unwrap_or_else(|| vec![text])
    }

    /// Decodes a signal.
    ///
    /// # Errors
    ///
    /// [`Code::TooLarge`] for more than [`MAX_FRAME`] bytes, [`Code::Malformed`] for text that is not
    /// a frame of this dialect.
    pub fn decode(self, text: &str) -> Result<Signal<'_>, Refusal<'static>> {
        if text.len() > MAX_FRAME {
            return Err(Self::refuse_large());
        }
        let signal = match self {
            Self::Native => native::decode(text),
            Self::Forum => forum::decode(text),
            Self::Lobby => lobby::decode(text),
            Self::Http => http::decode(text),
        }?;
        let signal_type = &signal.signal_type;
        if signal_type.is_empty() || signal_type.len() > MAX_TYPE {
            let len = signal_type.len();
            return Err(Refusal::quoting(format!(
                "the signal type has {len} bytes, expected 1 to {MAX_TYPE}: `{signal_type}`"
            )));
        }
        Ok(signal)
    }

    /// Refuses a frame of more than [`MAX_FRAME`] bytes.
    #[must_use]
    pub fn refuse_large() -> Refusal<'static> {
        let message = format!(
            "the frame has more than {MAX_FRAME} bytes: send large data over a data channel"
        );
        Refusal::new(Code::TooLarge, message)
    }

    /// Refuses a binary frame of `len` bytes: no dialect has binary frames.
    #[must_use]
    pub fn refuse_binary(len: usize) -> Refusal<'static> {
        if len > MAX_FRAME {
            return Self::refuse_large();
        }
        Refusal::malformed(format!(
            "received a binary frame of {len} bytes, expected a text frame: send JSON as text"
        ))
    }

    /// Encodes a notice. `number` becomes the id of the event if the dialect uses an event stream.
    #[must_use]
    pub fn encode(self, notice: &Notice<'_>, number: Option<u64>) -> Encoded {
        if let Notice::Signal(signal) = notice
            && self.reserved().contains(&&*signal.signal_type)
        {
            return Encoded::Reserved;
        }
        Encoded::Frames(match self {
            Self::Native => native::encode(notice),
            Self::Forum => forum::encode(notice),
            Self::Lobby => lobby::encode(notice),
            Self::Http => http::encode(notice, number),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::notice::RoutedSignal;
    use crate::core::peer::PeerId;

    #[test]
    fn a_signal_type_has_1_to_64_bytes_in_every_dialect() {
        for (dialect, frame) in [
            (Dialect::Native, |signal_type: &str| {
                format!(r#"{{"type":"{signal_type}"}}"#)
            }),
            (Dialect::Forum, |signal_type: &str| {
                format!(r#"{{"action":"forward-{signal_type}","{signal_type}":1}}"#)
            }),
            (Dialect::Lobby, |signal_type: &str| {
                format!(r#"{{"{signal_type}":1}}"#)
            }),
            (Dialect::Http, |signal_type: &str| {
                format!(r#"{{"type":"{signal_type}"}}"#)
            }),
        ] as [(Dialect, fn(&str) -> String); 4]
        {
            let fits = |signal_type: &str| dialect.decode(&frame(signal_type)).is_ok();
            assert!(fits("x") && fits(&"x".repeat(64)), "{dialect:?}");
            assert!(!fits("") && !fits(&"x".repeat(65)), "{dialect:?}");
        }
    }

    #[test]
    fn a_signal_with_a_reserved_type_is_not_encoded() {
        for dialect in Dialect::ALL {
            let encode = |signal_type: &str| {
                let notice = Notice::Signal(RoutedSignal {
                    from: PeerId::parse("ann").unwrap(),
                    to: None,
                    signal_type: signal_type.to_owned().into(),
                    payload: None,
                });
                dialect.encode(&notice, None)
            };
            assert!(matches!(encode("offer"), Encoded::Frames(frames) if frames.len() == 1));
            for reserved in dialect.reserved() {
                assert_eq!(
                    encode(reserved),
                    Encoded::Reserved,
                    "{dialect:?}: {reserved}"
                );
            }
        }
    }

    #[test]
    fn a_dialect_is_found_by_its_name() {
        for dialect in Dialect::ALL {
            assert_eq!(Dialect::named(dialect.name()), Some(dialect));
        }
    }
}
