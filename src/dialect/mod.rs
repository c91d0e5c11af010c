//! The languages that sockets speak: text in, [`Signal`]s; [`Notice`]s in, text.
//!
//! A dialect knows nothing of who is there. One file each, whose head shows all its frames.

mod native;

use crate::event::{MAX_FRAME, Notice, Signal};
use crate::refusal::{Code, Refusal};

/// Which language a socket speaks, from its joining to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The one of the client library.
    Native,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::Native];

    /// The dialect that `?dialect=` names.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.name() == name)
    }

    /// Its name in a URL.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
        }
    }

    /// Reads a text frame.
    ///
    /// # Errors
    ///
    /// [`Code::TooLarge`] for more than [`MAX_FRAME`] bytes, [`Code::Malformed`] for what is not a
    /// frame of this dialect.
    pub fn decode(self, text: &str) -> Result<Signal<'_>, Refusal<'_>> {
        if text.len() > MAX_FRAME {
            return Err(too_large(text.len()));
        }
        match self {
            Self::Native => native::decode(text),
        }
    }

    /// Refuses a binary frame of so many bytes: no dialect has any.
    #[must_use]
    pub fn refuse_binary(len: usize) -> Refusal<'static> {
        if len > MAX_FRAME {
            return too_large(len);
        }
        Refusal::malformed("a binary frame: send JSON as text")
    }

    /// Writes a notice as a text frame; `None` for one that this dialect has no words for.
    #[must_use]
    pub fn encode(self, notice: &Notice<'_>) -> Option<String> {
        match self {
            Self::Native => Some(native::encode(notice)),
        }
    }
}

fn too_large(len: usize) -> Refusal<'static> {
    let message = format!("a frame of {len} bytes: the most is {MAX_FRAME}");
    Refusal::new(Code::TooLarge, message)
}
