//! The peers of a room, found by seat, by id and by WebSocket.

use litemap::LiteMap;

use super::rate_limit::RateLimiter;
use crate::core::member::Member;
use crate::core::peer::{PeerId, Seat, Socket, Time};

/// All peers of one room.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    /// In seat order, which is the order of joining. Boxed, because a removal moves all peers behind
    /// the removed one.
    peers: LiteMap<Seat, Box<Peer>>,
    seats: LiteMap<PeerId, Seat>,
    /// The seat of each WebSocket's peer. The last WebSocket of an absent peer stays here, so that its
    /// late Close frame still ends the grace period.
    sockets: LiteMap<Socket, Seat>,
    /// The seats of the absent peers.
    absent: LiteMap<Seat, ()>,
    /// Higher than any seat in the room.
    next_seat: u64,
}

/// One peer.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) member: Member,
    pub(crate) presence: Presence,
    pub(crate) rate_limiter: RateLimiter,
}

/// Whether a peer has a working WebSocket.
///
/// ```text
///   Join ──────────────▶ ┌───────────┐ ── Lost, Undelivered ──▶ ┌────────┐ ◀── Register
///                        │ Connected │                          │ Absent │
///                        └───────────┘ ◀── Join, Open ───────── └────────┘
///                              │                                    │
///    Closed, too-fast, too-large, or Lost without                   │ Closed, or expires_at
///    grace                     │                                    │
///                              └────────────▶ left ◀────────────────┘
/// ```
///
/// Register also makes a connected peer absent, and closes its WebSocket with `replaced`. Join and
/// Open also replace the WebSocket of a connected peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// The peer has an open WebSocket, as far as the room knows.
    Connected,
    /// The peer has none. It leaves at this time if it has not reconnected.
    Absent(Time),
}

impl Roster {
    /// The seat for the next new peer.
    pub(crate) const fn next_seat(&self) -> Seat {
        Seat(self.next_seat)
    }

    /// Adds a peer, in place of one with the same id.
    pub(crate) fn insert(&mut self, peer: Peer) {
        let Peer {
            member, presence, ..
        } = &peer;
        if let Some(other) = self.seats.get(&member.id).copied() {
            self.remove(other);
        }
        let seat = member.seat;
        self.next_seat = self.next_seat.max(seat.0.saturating_add(1));
        self.seats.insert(member.id.clone(), seat);
        self.sockets.insert(member.socket, seat);
        if matches!(presence, Presence::Absent(_)) {
            self.absent.insert(seat, ());
        }
        self.peers.insert(seat, Box::new(peer));
    }

    /// Removes a peer.
    pub(crate) fn remove(&mut self, seat: Seat) -> Option<Peer> {
        let peer = self.peers.remove(&seat)?;
        self.seats.remove(&peer.member.id);
        self.sockets.remove(&peer.member.socket);
        self.absent.remove(&seat);
        Some(*peer)
    }

    /// Marks a peer as absent, and returns it. Its last socket still maps to it, so a late Close frame
    /// is recognised.
    pub(crate) fn set_absent(&mut self, seat: Seat, expires_at: Time) -> Option<&Peer> {
        let peer = self.peers.get_mut(&seat)?;
        peer.presence = Presence::Absent(expires_at);
        self.absent.insert(seat, ());
        Some(peer)
    }

    /// The peer with this id.
    pub(crate) fn by_id(&self, id: &str) -> Option<&Peer> {
        self.peers.get(self.seats.get(id)?).map(|peer| &**peer)
    }

    /// The peer with this id, to be changed.
    pub(crate) fn by_id_mut(&mut self, id: &str) -> Option<&mut Peer> {
        let peer = self.peers.get_mut(self.seats.get(id)?);
        peer.map(|peer| &mut **peer)
    }

    /// The peer whose current or last WebSocket this is.
    pub(crate) fn by_socket(&mut self, socket: Socket) -> Option<&mut Peer> {
        let peer = self.peers.get_mut(self.sockets.get(&socket)?);
        peer.map(|peer| &mut **peer)
    }

    /// The peer on this seat.
    pub(crate) fn by_seat(&self, seat: Seat) -> Option<&Peer> {
        self.peers.get(&seat).map(|peer| &**peer)
    }

    /// All peers, in seat order.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Peer> {
        self.peers.values().map(|peer| &**peer)
    }

    /// All peers in seat order, to be changed.
    pub(crate) fn all_mut(&mut self) -> impl Iterator<Item = &mut Peer> {
        self.peers.iter_mut().map(|(_, peer)| &mut **peer)
    }

    /// The absent peers, in seat order.
    pub(crate) fn absent(&self) -> impl Iterator<Item = &Peer> {
        let absent = self.absent.keys();
        absent.filter_map(|seat| self.peers.get(seat).map(|peer| &**peer))
    }

    /// The earliest time at which an absent peer leaves.
    pub(crate) fn next_expiry(&self) -> Option<Time> {
        self.absent().filter_map(Peer::expires_at).min()
    }

    /// The number of peers, absent ones included.
    pub(crate) fn len(&self) -> usize {
        self.peers.len()
    }
}

impl Peer {
    /// When an absent peer leaves. `None` for a connected one.
    pub(crate) const fn expires_at(&self) -> Option<Time> {
        match self.presence {
            Presence::Absent(expires_at) => Some(expires_at),
            Presence::Connected => None,
        }
    }

    /// The WebSocket of a connected peer.
    pub(crate) const fn open_socket(&self) -> Option<Socket> {
        match self.presence {
            Presence::Connected => Some(self.member.socket),
            Presence::Absent(_) => None,
        }
    }

    /// The WebSocket of a connected peer without a stream. Its notices have no numbers.
    pub(crate) const fn plain_socket(&self) -> Option<Socket> {
        match self.presence {
            Presence::Connected if !self.member.has_stream => Some(self.member.socket),
            _ => None,
        }
    }
}
