//! The room: who is there, who is polite to whom, and where a signal goes.
//!
//! [`Room::handle`] takes one [`Event`] and says in [`Effect`]s what is to be done. It reads no
//! clock, draws no random number, knows no dialect and performs nothing.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::close::Close;
use crate::event::{Absent, Effect, Event, Limits, Notice, Row, RowKey, Signal};
use crate::mailbox::{Held, Mailbox};
use crate::pace::{Pace, Verdict};
use crate::peer::{Key, Member, PeerId, Seat, Socket, Time};
use crate::refusal::{Code, Refusal};

/// The kinds that are the server's own in some dialect. No peer may send them, so that what looks
/// like a notice is one.
const RESERVED: [&str; 4] = ["welcome", "peer-joined", "peer-left", "error"];

/// One room.
#[derive(Debug)]
pub struct Room {
    name: Rc<str>,
    limits: Limits,
    /// All peers, present and absent, in seat order.
    peers: BTreeMap<Seat, Peer>,
    /// The seat of each of them.
    seats: BTreeMap<PeerId, Seat>,
    /// The seat of whoever a socket belongs to. An absent peer's last socket stays here, so that a
    /// Close frame that was on its way still counts.
    sockets: BTreeMap<Socket, Seat>,
    /// The seats of those that are absent.
    absent: BTreeSet<Seat>,
    /// What a peer that was alone has sent to all. Empty unless there is just one peer.
    waiting: Mailbox,
    /// Higher than any seat taken.
    next_seat: Seat,
    /// Higher than the number of any held signal.
    next_held: u64,
    /// The alarm that was asked for last and has not rung: the earliest `until` of all.
    alarm: Option<Time>,
}

#[derive(Debug)]
struct Peer {
    member: Member,
    presence: Presence,
}

#[derive(Debug)]
enum Presence {
    Here(Pace),
    Absent { until: Time, mailbox: Mailbox },
}

impl Room {
    /// Builds a room out of what was kept: a new one from nothing, one that slept from its sockets'
    /// members and its rows, in any order. What makes no sense together is dropped, in time.
    pub fn restore(
        name: &str,
        limits: Limits,
        now: Time,
        members: impl IntoIterator<Item = Member>,
        rows: impl IntoIterator<Item = Row>,
    ) -> Self {
        let mut room = Self {
            name: name.into(),
            limits,
            peers: BTreeMap::new(),
            seats: BTreeMap::new(),
            sockets: BTreeMap::new(),
            absent: BTreeSet::new(),
            waiting: Mailbox::default(),
            next_seat: Seat(0),
            next_held: 0,
            alarm: None,
        };
        let mut held = Vec::new();
        for row in rows {
            match row {
                Row::Absent(Absent { member, until }) => {
                    room.insert(
                        member,
                        Presence::Absent {
                            until,
                            mailbox: Mailbox::default(),
                        },
                    );
                }
                Row::Held(row) => held.push(row),
            }
        }
        // An open socket outweighs a row that says its peer is absent.
        for member in members {
            room.insert(member, Presence::Here(Pace::new(now)));
        }
        held.sort_by_key(|held| held.number);
        for mut held in held {
            room.next_held = room.next_held.max(held.number.saturating_add(1));
            let mailbox = match &held.to {
                Some(to) => room.mailbox_of(to).map(|(_, mailbox)| mailbox),
                None if room.seats.contains_key(&held.from) => Some(&mut room.waiting),
                None => None,
            };
            let mailbox = if let Some(mailbox) = mailbox {
                mailbox
            } else {
                // Whom it waits for, or who sent it, went without a trace: the next event erases it.
                held.until = Time(0);
                &mut room.waiting
            };
            // What fitted before fits again.
            let _ = mailbox.push(held);
        }
        room.alarm = room.first_until();
        room
    }

    /// The name of the room.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many peers are in the room, absent ones counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.peers.len()
    }

    /// Is nobody in the room?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// Takes in what happened, and appends what is to be done, in order.
    ///
    /// It is total: no event, however odd or late, is an error or a panic, and one about a socket
    /// that the room does not know, or knows no longer, does nothing.
    pub fn handle<'a>(&mut self, now: Time, event: Event<'a>, effects: &mut Vec<Effect<'a>>) {
        // An alarm that rang must be asked for again, even one that rang early.
        if matches!(event, Event::Tick) {
            self.alarm = None;
        }
        if self
            .alarm
            .or_else(|| self.first_until())
            .is_some_and(|until| until <= now)
        {
            self.expire(now, effects);
        }
        match event {
            Event::Join { socket, id, key } => self.join(now, socket, id, key, effects),
            Event::Frame { socket, signal } => self.frame(now, socket, signal, effects),
            Event::Closed(socket) => {
                if let Some(&seat) = self.sockets.get(&socket) {
                    self.leave(seat, effects);
                }
            }
            Event::Lost(socket) => self.lose(now, socket, effects),
            Event::Undelivered(socket, notice) => self.undelivered(now, socket, notice, effects),
            Event::Tick => {}
        }
        self.set_alarm(effects);
    }

    fn join(
        &mut self,
        now: Time,
        socket: Socket,
        id: PeerId,
        key: Option<Key>,
        effects: &mut Vec<Effect<'_>>,
    ) {
        let Some(known) = self.peer(id.as_str()) else {
            if self.peers.len() >= self.limits.peers {
                let message = format!("all {} places in the room are taken", self.limits.peers);
                return refuse_join(socket, Refusal::new(Code::RoomFull, message), effects);
            }
            let here = self.present();
            let seat = self.next_seat;
            self.admit(
                now,
                Member {
                    socket,
                    id: id.clone(),
                    seat,
                    key,
                },
                effects,
            );
            tell(here, Notice::Joined { id, polite: true }, effects);
            return hand_over(self.waiting.take(), socket, effects);
        };
        if known.member.key.is_some() && known.member.key != key {
            let message =
                "this id is in the room under another key: show that key or choose another id";
            return refuse_join(socket, Refusal::new(Code::IdTaken, message), effects);
        }
        let (seat, old) = (known.member.seat, known.member.socket);
        let held = match self.remove(seat) {
            Some(Peer {
                presence: Presence::Absent { mut mailbox, .. },
                ..
            }) => {
                effects.push(Effect::Erase(RowKey::Absent(id.clone())));
                mailbox.take()
            }
            _ => {
                effects.push(Effect::Close(old, Close::Replaced));
                Vec::new()
            }
        };
        self.admit(
            now,
            Member {
                socket,
                id,
                seat,
                key,
            },
            effects,
        );
        hand_over(held, socket, effects);
    }

    /// Gives a peer its seat and tells it who else is there.
    fn admit(&mut self, now: Time, member: Member, effects: &mut Vec<Effect<'_>>) {
        let Member {
            socket, id, seat, ..
        } = member.clone();
        let others = self.peers.iter();
        let peers = others
            .map(|(other, peer)| (peer.member.id.clone(), seat < *other))
            .collect();
        effects.push(Effect::Keep(member.clone()));
        self.insert(member, Presence::Here(Pace::new(now)));
        tell(
            vec![socket],
            Notice::Welcome {
                id,
                room: self.name.clone(),
                peers,
            },
            effects,
        );
    }

    fn frame<'a>(
        &mut self,
        now: Time,
        socket: Socket,
        signal: Result<Signal<'a>, Refusal<'a>>,
        effects: &mut Vec<Effect<'a>>,
    ) {
        let Some(seat) = self.sockets.get(&socket).copied() else {
            return;
        };
        let Some(Peer {
            member,
            presence: Presence::Here(pace),
        }) = self.peers.get_mut(&seat)
        else {
            return;
        };
        let from = member.id.clone();
        let verdict = pace.weigh(now);
        let (refusal, close) = match signal {
            _ if verdict != Verdict::Pass => {
                let message = "at most 100 frames a second, and 200 in a burst: send fewer";
                let close = (verdict == Verdict::Expel).then_some(Close::TooFast);
                (Refusal::new(Code::TooFast, message), close)
            }
            Ok(signal) if RESERVED.contains(&&*signal.kind) => {
                let message = format!(
                    "only the server says `{}`: choose another type",
                    signal.kind
                );
                (Refusal::new(Code::ReservedType, message), None)
            }
            Ok(signal) => return self.forward(now, from, signal, effects),
            Err(refusal) => {
                let close = refusal.code.close();
                (refusal, close)
            }
        };
        tell(vec![socket], Notice::Refused(refusal), effects);
        if let Some(close) = close {
            effects.push(Effect::Close(socket, close));
            self.leave(seat, effects);
        }
    }

    /// Sends a signal where it is to go, or holds it, or says why neither can be.
    fn forward<'a>(
        &mut self,
        now: Time,
        from: PeerId,
        signal: Signal<'a>,
        effects: &mut Vec<Effect<'a>>,
    ) {
        let Signal { to, kind, payload } = signal;
        let Some(to) = to else {
            if self.peers.len() == 1 {
                return self.hold_for_next(now, from, kind, payload, effects);
            }
            for id in self.absentees() {
                self.hold(from.clone(), id, kind.clone(), payload.clone(), effects);
            }
            let sender = self.peer(from.as_str()).map(|peer| peer.member.socket);
            let mut others = self.present();
            others.retain(|socket| Some(*socket) != sender);
            return tell(
                others,
                Notice::Signal {
                    from,
                    kind,
                    payload,
                },
                effects,
            );
        };
        match self.peer(&to) {
            Some(Peer {
                member,
                presence: Presence::Here(_),
            }) => {
                tell(
                    vec![member.socket],
                    Notice::Signal {
                        from,
                        kind,
                        payload,
                    },
                    effects,
                );
            }
            Some(Peer {
                member,
                presence: Presence::Absent { .. },
            }) => {
                let id = member.id.clone();
                self.hold(from, id, kind, payload, effects);
            }
            None => {
                let message = "nobody in the room has this id";
                self.refuse(&from, Code::NoSuchPeer, message, Some(to), effects);
            }
        }
    }

    /// Holds a signal for an absent peer.
    fn hold<'a>(
        &mut self,
        from: PeerId,
        to: PeerId,
        kind: Cow<'a, str>,
        payload: Option<Cow<'a, str>>,
        effects: &mut Vec<Effect<'a>>,
    ) {
        let number = self.next_held;
        let Some((until, mailbox)) = self.mailbox_of(&to) else {
            return;
        };
        let (kind, payload) = (kind.into_owned(), payload.map(Cow::into_owned));
        let held = Held {
            number,
            from,
            to: Some(to),
            until,
            kind,
            payload,
        };
        match mailbox.push(held.clone()) {
            Ok(()) => self.store(held, effects),
            Err(code) => {
                let message = "the peer is away, and no more can be held for it: try again later";
                let to = held.to.map(|to| Cow::Owned(to.to_string()));
                self.refuse(&held.from, code, message, to, effects);
            }
        }
    }

    /// Holds a signal for whoever joins next.
    fn hold_for_next<'a>(
        &mut self,
        now: Time,
        from: PeerId,
        kind: Cow<'a, str>,
        payload: Option<Cow<'a, str>>,
        effects: &mut Vec<Effect<'a>>,
    ) {
        let (kind, payload) = (kind.into_owned(), payload.map(Cow::into_owned));
        let until = now.plus(self.limits.hold);
        let held = Held {
            number: self.next_held,
            from,
            to: None,
            until,
            kind,
            payload,
        };
        match self.waiting.push(held.clone()) {
            Ok(()) => self.store(held, effects),
            Err(code) => {
                let message =
                    "nobody else is here, and no more can be held: wait until somebody joins";
                self.refuse(&held.from, code, message, None, effects);
            }
        }
    }

    fn store(&mut self, held: Held, effects: &mut Vec<Effect<'_>>) {
        self.next_held = held.number.saturating_add(1);
        effects.push(Effect::Store(Row::Held(held)));
    }

    /// Tells the sender of a signal why it goes nowhere; a sender that is away is not told.
    fn refuse<'a>(
        &self,
        sender: &PeerId,
        code: Code,
        message: &'static str,
        to: Option<Cow<'a, str>>,
        effects: &mut Vec<Effect<'a>>,
    ) {
        if let Some(Peer {
            member,
            presence: Presence::Here(_),
        }) = self.peer(sender.as_str())
        {
            let refusal = Refusal {
                to,
                ..Refusal::new(code, message)
            };
            tell(vec![member.socket], Notice::Refused(refusal), effects);
        }
    }

    /// A socket died without a Close frame: its peer is absent, and nobody is told.
    fn lose(&mut self, now: Time, socket: Socket, effects: &mut Vec<Effect<'_>>) {
        let Some(seat) = self.sockets.get(&socket).copied() else {
            return;
        };
        let Some(peer) = self.peers.get_mut(&seat) else {
            return;
        };
        if matches!(peer.presence, Presence::Absent { .. }) {
            return;
        }
        if self.limits.grace == 0 {
            return self.leave(seat, effects);
        }
        let until = now.plus(self.limits.grace);
        peer.presence = Presence::Absent {
            until,
            mailbox: Mailbox::default(),
        };
        let member = peer.member.clone();
        self.absent.insert(seat);
        effects.push(Effect::Store(Row::Absent(Absent { member, until })));
    }

    /// A notice did not arrive. A signal among them is held now, or refused to its sender.
    fn undelivered<'a>(
        &mut self,
        now: Time,
        socket: Socket,
        notice: Notice<'a>,
        effects: &mut Vec<Effect<'a>>,
    ) {
        self.lose(now, socket, effects);
        let Notice::Signal {
            from,
            kind,
            payload,
        } = notice
        else {
            return;
        };
        let seat = self.sockets.get(&socket);
        let receiver = seat
            .and_then(|seat| self.peers.get(seat))
            .map(|peer| peer.member.id.clone());
        match receiver {
            Some(id) => self.hold(from, id, kind, payload, effects),
            None => {
                let message = "the peer has just left";
                self.refuse(&from, Code::NoSuchPeer, message, None, effects);
            }
        }
    }

    /// A peer goes for good: what was held for it is refused, what it had waiting goes with it, and
    /// those who are there are told.
    fn leave(&mut self, seat: Seat, effects: &mut Vec<Effect<'_>>) {
        let Some(Peer { member, presence }) = self.remove(seat) else {
            return;
        };
        if let Presence::Absent { mut mailbox, .. } = presence {
            effects.push(Effect::Erase(RowKey::Absent(member.id.clone())));
            for held in mailbox.take() {
                effects.push(Effect::Erase(RowKey::Held(held.number)));
                let message = "the peer did not come back, and has left";
                let to = Some(Cow::Owned(member.id.to_string()));
                self.refuse(&held.from, Code::NoSuchPeer, message, to, effects);
            }
        }
        for held in self.waiting.take() {
            effects.push(Effect::Erase(RowKey::Held(held.number)));
        }
        tell(self.present(), Notice::Left { id: member.id }, effects);
    }

    /// Does what is due: absent peers leave, and what waited in vain is refused to its sender.
    fn expire(&mut self, now: Time, effects: &mut Vec<Effect<'_>>) {
        let due = |seat: &Seat| self.peers.get(seat)?.until().filter(|until| *until <= now);
        let gone: Vec<_> = self
            .absent
            .iter()
            .copied()
            .filter(|seat| due(seat).is_some())
            .collect();
        for held in self.waiting.take_expired(now) {
            effects.push(Effect::Erase(RowKey::Held(held.number)));
            let message = "nobody joined in time to get this signal";
            self.refuse(&held.from, Code::NoSuchPeer, message, None, effects);
        }
        for seat in gone {
            self.leave(seat, effects);
        }
    }

    /// Asks for the alarm that is needed now, if it is not the one asked for before.
    fn set_alarm(&mut self, effects: &mut Vec<Effect<'_>>) {
        let first = self.first_until();
        if self.alarm != first {
            self.alarm = first;
            effects.push(Effect::Alarm(first));
        }
    }

    /// When something is due next.
    fn first_until(&self) -> Option<Time> {
        let absent = self
            .absent
            .iter()
            .filter_map(|seat| self.peers.get(seat)?.until());
        absent.chain(self.waiting.first_until()).min()
    }

    fn peer(&self, id: &str) -> Option<&Peer> {
        self.seats.get(id).and_then(|seat| self.peers.get(seat))
    }

    /// The sockets of all who are there, in seat order.
    fn present(&self) -> Vec<Socket> {
        let here = self.peers.values().filter(|peer| peer.until().is_none());
        here.map(|peer| peer.member.socket).collect()
    }

    /// All who are absent, in seat order.
    fn absentees(&self) -> Vec<PeerId> {
        let absent = self.absent.iter().filter_map(|seat| self.peers.get(seat));
        absent.map(|peer| peer.member.id.clone()).collect()
    }

    /// What is held for an absent peer, and until when.
    fn mailbox_of(&mut self, id: &PeerId) -> Option<(Time, &mut Mailbox)> {
        let seat = self.seats.get(id)?;
        match &mut self.peers.get_mut(seat)?.presence {
            Presence::Absent { until, mailbox } => Some((*until, mailbox)),
            Presence::Here(_) => None,
        }
    }

    fn insert(&mut self, member: Member, presence: Presence) {
        if let Some(other) = self.seats.get(&member.id).copied() {
            self.remove(other);
        }
        let seat = member.seat;
        self.next_seat = self.next_seat.max(Seat(seat.0.saturating_add(1)));
        self.seats.insert(member.id.clone(), seat);
        self.sockets.insert(member.socket, seat);
        if matches!(presence, Presence::Absent { .. }) {
            self.absent.insert(seat);
        }
        self.peers.insert(seat, Peer { member, presence });
    }

    fn remove(&mut self, seat: Seat) -> Option<Peer> {
        let peer = self.peers.remove(&seat)?;
        self.seats.remove(&peer.member.id);
        self.sockets.remove(&peer.member.socket);
        self.absent.remove(&seat);
        Some(peer)
    }
}

impl Peer {
    /// When an absent peer leaves; `None` for one that is there.
    fn until(&self) -> Option<Time> {
        match self.presence {
            Presence::Absent { until, .. } => Some(until),
            Presence::Here(_) => None,
        }
    }
}

/// Adds the sending of one notice to some sockets, unless there are none.
fn tell<'a>(to: Vec<Socket>, notice: Notice<'a>, effects: &mut Vec<Effect<'a>>) {
    if !to.is_empty() {
        effects.push(Effect::Send { to, notice });
    }
}

/// Gives what was held to the one it was held for.
fn hand_over(held: Vec<Held>, socket: Socket, effects: &mut Vec<Effect<'_>>) {
    for Held {
        number,
        from,
        kind,
        payload,
        ..
    } in held
    {
        effects.push(Effect::Erase(RowKey::Held(number)));
        let (kind, payload) = (kind.into(), payload.map(Cow::Owned));
        tell(
            vec![socket],
            Notice::Signal {
                from,
                kind,
                payload,
            },
            effects,
        );
    }
}

/// Turns a socket away that never became a peer.
fn refuse_join(socket: Socket, refusal: Refusal<'static>, effects: &mut Vec<Effect<'_>>) {
    let close = refusal.code.close();
    tell(vec![socket], Notice::Refused(refusal), effects);
    effects.extend(close.map(|close| Effect::Close(socket, close)));
}
