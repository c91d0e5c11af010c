//! Messages from the room to one peer, before a dialect encodes them.

use std::borrow::Cow;
use std::rc::Rc;

use super::peer::{PeerId, Seat};
use super::refusal::Refusal;

/// A message from the room to one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice<'a> {
    /// The receiver has joined. This is its first notice.
    Welcome {
        /// The receiver's id.
        id: PeerId,
        /// The name of the room.
        room: Rc<str>,
        /// The other peers in seat order.
        peers: Vec<Listed>,
        /// The peer that gets the offer of the receiver's join. `None`: the join had no offer, or nobody
        /// gets it.
        offered: Option<PeerId>,
    },
    /// Another peer joined.
    Joined {
        /// The id of the peer that joined.
        id: PeerId,
        /// Whether the receiver is polite to the new peer.
        polite: bool,
        /// The seat of the new peer.
        seat: Seat,
        /// The meta of the new peer. `None` if it has none, or if the receiver does not ask for it.
        meta: Option<Rc<str>>,
    },
    /// Another peer left.
    Left {
        /// The id of the peer that left.
        id: PeerId,
        /// The seat that the peer had.
        seat: Seat,
    },
    /// The joins and leaves that the receiver's event stream has missed.
    Changes(Changes),
    /// A signal from another peer.
    Signal(RoutedSignal<'a>),
    /// The room has handled a signal whose sender asked for an acknowledgement.
    Acknowledged {
        /// The number in the signal.
        ack: u64,
        /// Whether the signal was forwarded, or why it was refused.
        result: Result<(), Refusal<'a>>,
    },
    /// The room refused a request or signal of the receiver.
    Refused(Refusal<'a>),
    /// The receiver has sent signals to a peer that is not in the room, and that has not joined in time.
    /// Only rooms in which signals wait for peers have this notice.
    Unavailable {
        /// The id of the peer, as the receiver wrote it.
        peer: Cow<'a, str>,
        /// The id of the receiver.
        to: PeerId,
    },
}

impl Notice<'_> {
    /// Returns whether the notice reports joins or leaves.
    #[must_use]
    pub const fn is_presence(&self) -> bool {
        matches!(
            self,
            Self::Joined { .. } | Self::Left { .. } | Self::Changes(_)
        )
    }

    /// Copies all borrowed text, so that the notice can outlive the event.
    #[must_use]
    pub fn into_owned(self) -> Notice<'static> {
        match self {
            Self::Welcome {
                id,
                room,
                peers,
                offered,
            } => Notice::Welcome {
                id,
                room,
                peers,
                offered,
            },
            Self::Joined {
                id,
                polite,
                seat,
                meta,
            } => Notice::Joined {
                id,
                polite,
                seat,
                meta,
            },
            Self::Left { id, seat } => Notice::Left { id, seat },
            Self::Changes(changes) => Notice::Changes(changes),
            Self::Signal(signal) => Notice::Signal(signal.into_owned()),
            Self::Acknowledged { ack, result } => Notice::Acknowledged {
                ack,
                result: result.map_err(Refusal::into_owned),
            },
            Self::Refused(refusal) => Notice::Refused(refusal.into_owned()),
            Self::Unavailable { peer, to } => Notice::Unavailable {
                peer: Cow::Owned(peer.into_owned()),
                to,
            },
        }
    }
}

/// Another peer, in a list for one receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The id of the peer.
    pub id: PeerId,
    /// Whether the receiver is polite to the peer.
    pub polite: bool,
    /// The [meta](crate::core::member::Member::meta) of the peer. `None` if it has none, or if the receiver
    /// does not ask for it.
    pub meta: Option<Rc<str>>,
}

/// The joins and leaves that a client has missed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// The highest seat that the client knows without them.
    pub after: Seat,
    /// The peers that left, with their seats.
    pub left: Vec<(Seat, PeerId)>,
    /// The peers in the room with higher seats than `after`, in seat order. They are not kept, because
    /// the room can list them again.
    pub joined: Vec<PeerId>,
}

/// A signal that the room forwards to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoutedSignal<'a> {
    /// The id of the sender, taken from its connection and not from the frame.
    pub from: PeerId,
    /// The receiver. `None` for a broadcast.
    pub to: Option<PeerId>,
    /// The type of the signal.
    pub signal_type: Cow<'a, str>,
    /// The payload as JSON text, unchanged.
    pub payload: Option<Cow<'a, str>>,
}

impl RoutedSignal<'_> {
    /// Copies all borrowed text, so that the signal can outlive the event.
    #[must_use]
    pub fn into_owned(self) -> RoutedSignal<'static> {
        RoutedSignal {
            from: self.from,
            to: self.to,
            signal_type: Cow::Owned(self.signal_type.into_owned()),
            payload: self.payload.map(|payload| Cow::Owned(payload.into_owned())),
        }
    }
}

/// The reply to a successful registration. It corresponds to [`Notice::Welcome`] for a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// The id of the new peer.
    pub id: PeerId,
    /// The other peers in seat order.
    pub peers: Vec<Listed>,
}
