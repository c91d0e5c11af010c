//! Messages from the room to one peer, before a dialect encodes them.

use std::borrow::Cow;
use std::rc::Rc;

use super::peer::PeerId;
use super::refusal::Refusal;

/// A message from the room to one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice<'a> {
    /// The receiver has joined.
    Welcome {
        /// The receiver's id.
        id: PeerId,
        /// The name of the room.
        room: Rc<str>,
        /// The other peers in seat order, each with whether the receiver is polite to it.
        peers: Vec<(PeerId, bool)>,
    },
    /// Another peer joined.
    Joined {
        /// The other peer.
        id: PeerId,
        /// Whether the receiver is polite to it.
        polite: bool,
    },
    /// Another peer left.
    Left {
        /// The other peer.
        id: PeerId,
    },
    /// A signal from another peer.
    Signal(RoutedSignal<'a>),
    /// The room refused something that the receiver sent.
    Refused(Refusal<'a>),
}

impl Notice<'_> {
    /// Copies all borrowed text.
    #[must_use]
    pub fn into_owned(self) -> Notice<'static> {
        match self {
            Self::Welcome { id, room, peers } => Notice::Welcome { id, room, peers },
            Self::Joined { id, polite } => Notice::Joined { id, polite },
            Self::Left { id } => Notice::Left { id },
            Self::Signal(signal) => Notice::Signal(RoutedSignal {
                from: signal.from,
                to: signal.to,
                signal_type: Cow::Owned(signal.signal_type.into_owned()),
                payload: signal
                    .payload
                    .map(|payload| Cow::Owned(payload.into_owned())),
            }),
            Self::Refused(refusal) => Notice::Refused(refusal.into_owned()),
        }
    }
}

/// A signal on its way to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutedSignal<'a> {
    /// The sender, as the room knows it.
    pub from: PeerId,
    /// The receiver. `None` for a broadcast.
    pub to: Option<PeerId>,
    /// The type of the signal.
    pub signal_type: Cow<'a, str>,
    /// The payload, as it was sent.
    pub payload: Option<Cow<'a, str>>,
}

/// The reply to a client that has registered: what [`Notice::Welcome`] is to a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The peer's id.
    pub id: PeerId,
    /// The other peers in seat order, each with whether the new peer is polite to it.
    pub peers: Vec<(PeerId, bool)>,
}
