//! Who is in a room: found by seat, by id and by socket, those who are there and those who are away.

use litemap::LiteMap;

use super::pace::Pace;
use crate::core::member::Member;
use crate::core::peer::{PeerId, Seat, Socket, Time};

/// All peers of one room.
#[derive(Debug, Default)]
pub(crate) struct Roster {
    /// In seat order, which is the order of joining.
    /// In a box each, so that those behind one who leaves are moved up at little cost.
    peers: LiteMap<Seat, Box<Peer>>,
    seats: LiteMap<PeerId, Seat>,
    /// The seat of whoever a socket belongs to. An absent peer's last socket stays here, so that a
    /// Close frame that was on its way still counts.
    sockets: LiteMap<Socket, Seat>,
    absent: LiteMap<Seat, ()>,
    /// Higher than any seat taken.
    next_seat: u64,
}

/// One peer.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) member: Member,
    pub(crate) presence: Presence,
    pub(crate) pace: Pace,
}

/// Whether a peer can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It has an open socket, for all we know.
    Connected,
    /// It has none, and leaves at this time if it does not come back.
    Absent(Time),
}

impl Roster {
    /// A seat that nobody has.
    pub(crate) const fn next_seat(&self) -> Seat {
        Seat(self.next_seat)
    }

    /// Seats a peer, in the place of one with the same id if there is one.
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

    /// Takes a peer out.
    pub(crate) fn remove(&mut self, seat: Seat) -> Option<Peer> {
        let peer = self.peers.remove(&seat)?;
        self.seats.remove(&peer.member.id);
        self.sockets.remove(&peer.member.socket);
        self.absent.remove(&seat);
        Some(*peer)
    }

    /// Takes the socket away from a peer that has one; it can still be told by that socket who it
    /// was.
    pub(crate) fn make_absent(&mut self, seat: Seat, until: Time) {
        if let Some(peer) = self.peers.get_mut(&seat) {
            peer.presence = Presence::Absent(until);
            self.absent.insert(seat, ());
        }
    }

    /// The peer with this id.
    pub(crate) fn by_id(&self, id: &str) -> Option<&Peer> {
        self.peers.get(self.seats.get(id)?).map(|peer| &**peer)
    }

    /// The peer whose socket this is, or was last.
    pub(crate) fn by_socket(&mut self, socket: Socket) -> Option<&mut Peer> {
        let peer = self.peers.get_mut(self.sockets.get(&socket)?);
        peer.map(|peer| &mut **peer)
    }

    /// The peer on this seat.
    pub(crate) fn by_seat(&mut self, seat: Seat) -> Option<&mut Peer> {
        self.peers.get_mut(&seat).map(|peer| &mut **peer)
    }

    /// All peers, in seat order.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Peer> {
        self.peers.values().map(|peer| &**peer)
    }

    /// All who are away, in seat order.
    pub(crate) fn absent(&self) -> impl Iterator<Item = &Peer> {
        let absent = self.absent.keys();
        absent.filter_map(|seat| self.peers.get(seat).map(|peer| &**peer))
    }

    /// When the first of those who are away has been away too long.
    pub(crate) fn next_expiry(&self) -> Option<Time> {
        self.absent().filter_map(Peer::until).min()
    }

    /// How many peers there are, absent ones counted.
    pub(crate) fn len(&self) -> usize {
        self.peers.len()
    }
}

impl Peer {
    /// When an absent peer leaves; `None` for one that is there.
    pub(crate) const fn until(&self) -> Option<Time> {
        match self.presence {
            Presence::Absent(until) => Some(until),
            Presence::Connected => None,
        }
    }

    /// The socket that reaches the peer, if one does.
    pub(crate) const fn reached_by(&self) -> Option<Socket> {
        match self.presence {
            Presence::Connected => Some(self.member.socket),
            Presence::Absent(_) => None,
        }
    }
}
