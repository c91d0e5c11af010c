//! The peers of a room, indexed by seat, id and WebSocket.

use litemap::LiteMap;

use crate::core::event::{Absent, Effect, Row};
use crate::core::member::{Attached, Member};
use crate::core::outbox::Outbox;
use crate::core::peer::{PeerId, Seat, Socket, Time};
use crate::core::rate_limit::RateLimiter;
use crate::core::stream::Stream;

#[derive(Debug, Default)]
pub(crate) struct Roster {
    /// The peers in seat order, which is the order of joining. They are boxed, because a removal
    /// moves all later entries of the map.
    peers: LiteMap<Seat, Box<Peer>>,
    seats: LiteMap<PeerId, Seat>,
    /// The seat of the peer of each WebSocket. It includes the last WebSocket of each absent peer,
    /// because a late Close frame on that WebSocket ends the grace period.
    sockets: LiteMap<Socket, Seat>,
    /// The seats of the absent peers.
    absent: LiteMap<Seat, ()>,
    /// The connected peers whose tokens expire, in the order of expiry.
    expiring: LiteMap<(Time, Seat), ()>,
    /// Higher than every seat in the room.
    next_seat: u64,
}

/// A peer, its outbox, and the state that is kept in memory only.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) member: Member,
    pub(crate) presence: Presence,
    pub(crate) outbox: Outbox,
    pub(crate) rate_limiter: RateLimiter,
    /// A WebSocket that is lost before this time probably belongs to a page that goes away, so the peer
    /// is absent for a short time only; see [`Event::GoingAway`](crate::core::event::Event::GoingAway).
    /// It is not stored, because it passes before an eviction.
    pub(crate) going_away_until: Time,
}

/// Whether a peer has a working WebSocket. The arrows show the events that change it.
///
/// ```text
///         Join                          Register
///           │                              │
///           ▼ Lost, GoingAway, Undelivered ▼
///     ┌───────────┐ ────────────────▶ ┌────────┐
///     │ Connected │                   │ Absent │
///     └───────────┘ ◀──────────────── └────────┘
///           │           Join, Open         │
///           │                              │
///           │ Closed, too-fast, too-large  │ Closed, expires_at
///           └────────────▶ left ◀──────────┘
/// ```
///
/// Join and Open also replace the WebSocket of a connected peer. Register closes the WebSocket of a
/// connected peer, which becomes absent. If the grace period is zero, Lost and GoingAway remove the
/// peer immediately. GoingAway also removes a peer without a key. A token that expires has the same effect
/// as Lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// The peer has a WebSocket that is not known to be closed or broken.
    Connected,
    /// The peer has no working WebSocket.
    Absent {
        /// The time at which the peer leaves unless it reconnects.
        expires_at: Time,
        /// The highest number that was sent. Notices with higher numbers are queued.
        sent: u64,
    },
}

impl Roster {
    /// Returns the seat for the next new peer.
    pub(crate) const fn next_seat(&self) -> Seat {
        Seat(self.next_seat)
    }

    /// Returns the highest seat that a peer has or had.
    pub(crate) const fn newest_seat(&self) -> Seat {
        Seat(self.next_seat.saturating_sub(1))
    }

    /// Reserves a seat that a peer had. Clients with streams remember the highest seat.
    pub(crate) fn reserve(&mut self, seat: Seat) {
        self.next_seat = self.next_seat.max(seat.0.saturating_add(1));
    }

    /// Adds a peer, replacing a peer with the same id.
    pub(crate) fn insert(&mut self, peer: Peer) {
        let Peer {
            member, presence, ..
        } = &peer;
        if let Some(other) = self.seats.get(&member.id).copied() {
            self.remove(other);
        }
        let seat = member.seat;
        self.reserve(seat);
        self.seats.insert(member.id.clone(), seat);
        self.sockets.insert(member.socket, seat);
        match (presence, member.token_expires_at) {
            (Presence::Absent { .. }, _) => drop(self.absent.insert(seat, ())),
            (Presence::Connected, Some(at)) => drop(self.expiring.insert((at, seat), ())),
            (Presence::Connected, None) => {}
        }
        self.peers.insert(seat, Box::new(peer));
    }

    /// Removes a peer and returns it.
    pub(crate) fn remove(&mut self, seat: Seat) -> Option<Peer> {
        let peer = self.peers.remove(&seat)?;
        self.seats.remove(&peer.member.id);
        self.sockets.remove(&peer.member.socket);
        self.absent.remove(&seat);
        if let Some(at) = peer.member.token_expires_at {
            self.expiring.remove(&(at, seat));
        }
        Some(*peer)
    }

    /// Removes all peers and returns them, in seat order.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = Peer> + use<> {
        let all = std::mem::take(self);
        self.next_seat = all.next_seat;
        all.peers.into_iter().map(|(_, peer)| *peer)
    }

    /// Marks a peer as absent. The entry of its last WebSocket stays in `sockets`,
    /// so that a late Close frame can end the grace period.
    pub(crate) fn set_absent(&mut self, seat: Seat, expires_at: Time, sent: u64) {
        if let Some(peer) = self.peers.get_mut(&seat) {
            peer.presence = Presence::Absent { expires_at, sent };
            if let Some(at) = peer.member.token_expires_at {
                self.expiring.remove(&(at, seat));
            }
            self.absent.insert(seat, ());
        }
    }

    /// Returns the peer with this id.
    pub(crate) fn by_id(&self, id: &str) -> Option<&Peer> {
        self.peers.get(self.seats.get(id)?).map(|peer| &**peer)
    }

    /// Returns the peer with this id, mutably.
    pub(crate) fn by_id_mut(&mut self, id: &str) -> Option<&mut Peer> {
        let peer = self.peers.get_mut(self.seats.get(id)?);
        peer.map(|peer| &mut **peer)
    }

    /// Returns the peer with this current or last WebSocket, mutably.
    pub(crate) fn by_socket(&mut self, socket: Socket) -> Option<&mut Peer> {
        let peer = self.peers.get_mut(self.sockets.get(&socket)?);
        peer.map(|peer| &mut **peer)
    }

    /// Returns the peer with this seat.
    pub(crate) fn by_seat(&self, seat: Seat) -> Option<&Peer> {
        self.peers.get(&seat).map(|peer| &**peer)
    }

    /// Returns the peer with this seat, mutably.
    pub(crate) fn by_seat_mut(&mut self, seat: Seat) -> Option<&mut Peer> {
        self.peers.get_mut(&seat).map(|peer| &mut **peer)
    }

    /// Returns all peers, in seat order.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Peer> {
        self.peers.values().map(|peer| &**peer)
    }

    /// Returns the absent peers, in seat order.
    pub(crate) fn absent(&self) -> impl Iterator<Item = &Peer> {
        let absent = self.absent.keys();
        absent.filter_map(|seat| self.peers.get(seat).map(|peer| &**peer))
    }

    /// Returns the WebSockets of the connected peers whose tokens have expired.
    pub(crate) fn expired(&self, now: Time) -> Vec<Socket> {
        let expired = self.expiring.keys().take_while(|(at, _)| *at <= now);
        let peers = expired.filter_map(|(_, seat)| self.peers.get(seat));
        peers.map(|peer| peer.member.socket).collect()
    }

    /// Returns the earliest time at which an absent peer leaves, or the token of a connected peer
    /// expires.
    pub(crate) fn next_expiry(&self) -> Option<Time> {
        let absent = self.absent().filter_map(Peer::expires_at);
        let expiring = self.expiring.first().map(|((at, _), ())| *at);
        absent.chain(expiring).min()
    }

    /// Returns whether any peer is absent, and so has a row.
    pub(crate) fn has_absent(&self) -> bool {
        !self.absent.is_empty()
    }

    /// Returns the number of peers, including absent peers.
    pub(crate) fn len(&self) -> usize {
        self.peers.len()
    }
}

impl Peer {
    /// Creates a peer to which nothing was sent yet.
    pub(crate) fn new(member: Member, presence: Presence, rate_limiter: RateLimiter) -> Self {
        Self {
            member,
            presence,
            outbox: Outbox::default(),
            rate_limiter,
            going_away_until: Time::default(),
        }
    }

    /// Returns the time at which an absent peer leaves, or `None` for a connected peer.
    pub(crate) const fn expires_at(&self) -> Option<Time> {
        match self.presence {
            Presence::Absent { expires_at, .. } => Some(expires_at),
            Presence::Connected => None,
        }
    }

    /// Returns the WebSocket of a connected peer, or `None` for an absent peer.
    pub(crate) const fn open_socket(&self) -> Option<Socket> {
        match self.presence {
            Presence::Connected => Some(self.member.socket),
            Presence::Absent { .. } => None,
        }
    }

    /// Returns the WebSocket of a connected peer without an event stream. Its notices have no event
    /// ids, so one effect can send a notice to several of these peers.
    pub(crate) const fn plain_socket(&self) -> Option<Socket> {
        match self.presence {
            Presence::Connected if self.member.stream.is_none() => Some(self.member.socket),
            _ => None,
        }
    }

    /// Returns the highest number that was sent to the peer. Notices with higher numbers are queued.
    /// `u64::MAX` for a connected peer, because everything was sent.
    pub(crate) const fn sent(&self) -> u64 {
        match self.presence {
            Presence::Absent { sent, .. } => sent,
            Presence::Connected => u64::MAX,
        }
    }

    /// Returns the stream of an absent peer that registered over HTTP.
    pub(crate) fn absent_stream(&self) -> Option<&Stream> {
        let is_absent = self.presence != Presence::Connected;
        self.member.stream.as_ref().filter(|_| is_absent)
    }

    /// Returns the effect that stores the peer: with the WebSocket of a connected peer, or in the row of an
    /// absent peer.
    pub(crate) fn save_effect<'a>(&self) -> Effect<'a> {
        let member = self.member.clone();
        match self.presence {
            Presence::Connected => Effect::Keep(Attached {
                member,
                notices: self.outbox.attached(),
            }),
            Presence::Absent { expires_at, sent } => Effect::Store(Row::Absent(Absent {
                member,
                expires_at,
                sent,
            })),
        }
    }
}
