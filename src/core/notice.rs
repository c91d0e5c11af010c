//! What the room says to one peer.

use std::borrow::Cow;
use std::rc::Rc;

use super::peer::PeerId;
use super::refusal::Refusal;

/// What the room says to one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice<'a> {
    /// You are in.
    Welcome {
        /// Your id.
        id: PeerId,
        /// The name of the room.
        room: Rc<str>,
        /// Who else is there, in seat order, and whether you are polite to them.
        peers: Vec<(PeerId, bool)>,
    },
    /// Somebody joined.
    Joined {
        /// Who.
        id: PeerId,
        /// Whether you are polite to them.
        polite: bool,
    },
    /// Somebody left.
    Left {
        /// Who.
        id: PeerId,
    },
    /// Somebody sent you a signal.
    Signal(RoutedSignal<'a>),
    /// You asked for something that will not be done.
    Refused(Refusal<'a>),
}

impl Notice<'_> {
    /// The same, with all its text copied.
    #[must_use]
    pub fn into_owned(self) -> Notice<'static> {
        let own = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Welcome { id, room, peers } => Notice::Welcome { id, room, peers },
            Self::Joined { id, polite } => Notice::Joined { id, polite },
            Self::Left { id } => Notice::Left { id },
            Self::Signal(signal) => Notice::Signal(RoutedSignal {
                from: signal.from,
                to: signal.to,
                signal_type: own(signal.signal_type),
                payload: signal.payload.map(own),
            }),
            Self::Refused(Refusal { code, message, to }) => Notice::Refused(Refusal {
                code,
                message,
                to: to.map(own),
            }),
        }
    }
}

/// A signal on its way to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutedSignal<'a> {
    /// Who sent it, whatever the sender said.
    pub from: PeerId,
    /// Whom it is for, unless it was sent to all.
    pub to: Option<PeerId>,
    /// What kind of signal it is.
    pub signal_type: Cow<'a, str>,
    /// What it says, as it was sent.
    pub payload: Option<Cow<'a, str>>,
}
