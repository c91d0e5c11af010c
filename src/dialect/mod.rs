//! The languages that sockets speak: text in, [`Signal`]s; [`Notice`]s in, text.
//!
//! A dialect knows nothing of who is there. One file each, whose head shows all its frames.

mod forum;
pub mod http;
pub mod json;
mod lobby;
mod native;

use std::borrow::Cow;

use crate::core::event::{MAX_FRAME, Signal};
use crate::core::notice::Notice;
use crate::core::refusal::{Code, Refusal};
use crate::dialect::json::Object;

/// The longest kind of a signal, in bytes.
const MAX_KIND: usize = 64;

/// Which language a socket speaks, from its joining to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The one of the client library.
    Native,
    /// Actions and types.
    Forum,
    /// From one, to one.
    Lobby,
    /// Bodies that are posted, and events that are streamed.
    Http,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Native, Self::Forum, Self::Lobby, Self::Http];

    /// The dialect of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.name() == name)
    }

    /// Its name in a URL.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Forum => "forum",
            Self::Lobby => "lobby",
            Self::Http => "http",
        }
    }

    /// Whether it is spoken over a stream, which can be taken up again where it broke, and which
    /// nobody closes with a word. All others are spoken over a client's own WebSocket.
    #[must_use]
    pub const fn is_stream(self) -> bool {
        matches!(self, Self::Http)
    }

    /// The signals in a text frame, to be read one by one: mostly it is one itself, but in the native
    /// dialect it can be a list of them.
    #[must_use]
    pub fn split(self, text: &str) -> Vec<&str> {
        let signals = match self {
            Self::Native if text.len() <= MAX_FRAME => native::signals(text),
            _ => None,
        };
        signals.unwrap_or_else(|| vec![text])
    }

    /// Reads a signal.
    ///
    /// # Errors
    ///
    /// [`Code::TooLarge`] for more than [`MAX_FRAME`] bytes, [`Code::Malformed`] for what is not a
    /// frame of this dialect.
    pub fn decode(self, text: &str) -> Result<Signal<'_>, Refusal<'_>> {
        if text.len() > MAX_FRAME {
            return Err(Self::refuse_large());
        }
        let signal = match self {
            Self::Native => native::decode(text),
            Self::Forum => forum::decode(text),
            Self::Lobby => lobby::decode(text),
            Self::Http => http::decode(text),
        }?;
        if signal.signal_type.is_empty() || signal.signal_type.len() > MAX_KIND {
            let len = signal.signal_type.len();
            let message = format!("a kind of {len} bytes: it has 1 to {MAX_KIND}");
            return Err(Refusal::malformed(message));
        }
        Ok(signal)
    }

    /// Refuses a frame of more than [`MAX_FRAME`] bytes.
    #[must_use]
    pub fn refuse_large() -> Refusal<'static> {
        let message = format!("the frame is too large: it has at most {MAX_FRAME} bytes");
        Refusal::new(Code::TooLarge, message)
    }

    /// Refuses a binary frame of so many bytes: no dialect has any.
    #[must_use]
    pub fn refuse_binary(len: usize) -> Refusal<'static> {
        if len > MAX_FRAME {
            return Self::refuse_large();
        }
        Refusal::malformed("a binary frame: send JSON as text")
    }

    /// Writes a notice, and its number if it has one, as the frames that say it, which may be none;
    /// `None` for a signal of a kind that this dialect needs for itself.
    #[must_use]
    pub fn encode(self, notice: &Notice<'_>, number: Option<u64>) -> Option<Vec<String>> {
        match self {
            Self::Native => Some(vec![native::encode(notice)]),
            Self::Forum => forum::encode(notice),
            Self::Lobby => lobby::encode(notice),
            Self::Http => http::encode(notice, number),
        }
    }
}

/// The payload of a signal: nothing and `null` are the same.
fn payload(value: Option<&str>) -> Option<Cow<'_, str>> {
    value.filter(|value| *value != "null").map(Cow::Borrowed)
}

/// The only field that is left, or what is wrong.
fn only<'a>(mut object: Object<'a>) -> Result<(Cow<'a, str>, &'a str), Refusal<'static>> {
    match (object.take_first(), object.take_first()) {
        (Some(field), None) => Ok(field),
        (None, _) => Err(Refusal::malformed(
            "the frame says nothing: a key of its own is missing",
        )),
        (Some((one, _)), Some((two, _))) => Err(Refusal::quoting(format!(
            "`{one}` and `{two}` are not to be in one frame"
        ))),
    }
}

/// No field is left.
fn nothing_else(mut object: Object<'_>, expected: &str) -> Result<(), Refusal<'static>> {
    match object.take_first() {
        None => Ok(()),
        Some((key, _)) => {
            let message = format!("unknown field `{key}`, expected {expected}");
            Err(Refusal::quoting(message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_has_1_to_64_bytes_in_every_dialect() {
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
    fn every_dialect_has_a_name_of_its_own() {
        for dialect in Dialect::ALL {
            assert_eq!(Dialect::named(dialect.name()), Some(dialect));
        }
    }
}
