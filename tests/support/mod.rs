//! The Rig: a room, a clock, and everything the shell would keep, with the shell's own rules.
//!
//! Whatever a test does with it, it holds the room to what must always be true; see [`Rig::handle`].

#![allow(dead_code, reason = "each test uses what it needs")]

use std::collections::{BTreeMap, BTreeSet};

use partyline::close::Close;
use partyline::dialect::Dialect;
use partyline::event::{Absent, Effect, Event, Forwarded, Held, Limits, Notice, Row, RowKey};
use partyline::peer::{Key, Member, PeerId, Socket, Time};
use partyline::room::Room;

pub(crate) const LIMITS: Limits = Limits {
    peers: 4,
    grace: 15_000,
    hold: 120_000,
};

/// What a client can see of its socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Frame(String),
    Closed(Close),
}

pub(crate) struct Rig {
    room: Room,
    limits: Limits,
    pub(crate) now: Time,
    next_socket: u64,
    /// The sockets that are open, and how they speak.
    open: BTreeMap<Socket, Dialect>,
    /// Those of them that nothing can be sent to any more.
    jammed: BTreeSet<Socket>,
    /// What each socket has heard since it was last asked.
    heard: BTreeMap<Socket, Vec<Heard>>,
    members: BTreeMap<Socket, Member>,
    absent: BTreeMap<PeerId, Absent>,
    held: BTreeMap<u64, Held>,
    alarm: Option<Time>,
    /// Rows written or erased, and alarms set, so far.
    pub(crate) writes: usize,
}

pub(crate) fn id(text: &str) -> PeerId {
    PeerId::parse(text).unwrap()
}

impl Rig {
    pub(crate) fn new(limits: Limits) -> Self {
        let now = Time(1_000_000);
        Self {
            room: Room::restore("demo", limits, now, [], []),
            limits,
            now,
            next_socket: 0,
            open: BTreeMap::new(),
            jammed: BTreeSet::new(),
            heard: BTreeMap::new(),
            members: BTreeMap::new(),
            absent: BTreeMap::new(),
            held: BTreeMap::new(),
            alarm: None,
            writes: 0,
        }
    }

    pub(crate) fn named(name: &str, limits: Limits) -> Self {
        let rig = Self::new(limits);
        Self {
            room: Room::restore(name, limits, rig.now, [], []),
            ..rig
        }
    }

    /// A new socket asks to be a peer.
    pub(crate) fn join(&mut self, id: &str, key: Option<&str>) -> Socket {
        self.join_speaking(Dialect::Native, id, key)
    }

    /// The same in another dialect.
    pub(crate) fn join_speaking(
        &mut self,
        dialect: Dialect,
        id: &str,
        key: Option<&str>,
    ) -> Socket {
        let socket = Socket(self.next_socket);
        self.next_socket += 1;
        self.open.insert(socket, dialect);
        let key = key.map(|key| Key::new(key).unwrap());
        self.handle(Event::Join {
            socket,
            id: self::id(id),
            key,
        });
        socket
    }

    /// A frame comes in.
    pub(crate) fn send(&mut self, socket: Socket, text: &str) {
        // What comes from a socket that is closing is not listened to.
        let Some(dialect) = self.open.get(&socket) else {
            return;
        };
        let signal = dialect.decode(text);
        self.handle(Event::Frame { socket, signal });
    }

    /// The peer sends a Close frame.
    pub(crate) fn close(&mut self, socket: Socket) {
        self.open.remove(&socket);
        self.jammed.remove(&socket);
        self.members.remove(&socket);
        self.handle(Event::Closed(socket));
    }

    /// The socket dies without one.
    pub(crate) fn lose(&mut self, socket: Socket) {
        self.open.remove(&socket);
        self.jammed.remove(&socket);
        self.members.remove(&socket);
        self.handle(Event::Lost(socket));
    }

    /// From now on nothing can be sent to the socket, though it was not heard to die.
    pub(crate) fn jam(&mut self, socket: Socket) {
        if self.open.contains_key(&socket) {
            self.jammed.insert(socket);
        }
    }

    /// Time passes, and the alarm rings when it is due.
    pub(crate) fn pass(&mut self, millis: u64) {
        let then = self.now.plus(millis);
        while let Some(alarm) = self.alarm.filter(|alarm| *alarm <= then) {
            self.now = self.now.max(alarm);
            self.alarm = None;
            self.handle(Event::Tick);
        }
        self.now = then;
    }

    /// The alarm rings, due or not.
    pub(crate) fn ring(&mut self) {
        self.alarm = None;
        self.handle(Event::Tick);
    }

    /// The room is dropped, and built again out of what was kept.
    pub(crate) fn sleep(&mut self) {
        let members = self.members.values();
        let absent = self.absent.values().cloned().map(Row::Absent);
        // The platform lists the newest first; rows come in any order.
        let (odd, even): (Vec<_>, Vec<_>) = self
            .held
            .values()
            .cloned()
            .partition(|held| held.number % 2 == 1);
        let held = odd.into_iter().chain(even).map(Row::Held);
        let rows = held.chain(absent);
        let name = self.room.name().to_owned();
        self.room = Room::restore(&name, self.limits, self.now, members.rev().cloned(), rows);
    }

    /// What a socket has heard since this was last asked.
    pub(crate) fn heard(&mut self, socket: Socket) -> Vec<Heard> {
        self.heard.remove(&socket).unwrap_or_default()
    }

    /// The frames among it.
    pub(crate) fn frames(&mut self, socket: Socket) -> Vec<String> {
        let heard = self.heard(socket).into_iter();
        heard
            .filter_map(|heard| {
                if let Heard::Frame(text) = heard {
                    Some(text)
                } else {
                    None
                }
            })
            .collect()
    }

    /// Every socket that is open.
    pub(crate) fn open(&self) -> Vec<Socket> {
        self.open.keys().copied().collect()
    }

    pub(crate) fn is_open(&self, socket: Socket) -> bool {
        self.open.contains_key(&socket)
    }

    pub(crate) fn len(&self) -> usize {
        self.room.peers()
    }

    /// Hands an event to the room, does what it says, and holds it to this:
    ///
    /// - nothing is sent to, or kept with, a socket that is not open;
    /// - a held signal that is erased has been sent to one peer, or refused to its sender, unless
    ///   that one is not there to hear it;
    /// - the alarm is the earliest time at which something is due.
    pub(crate) fn handle(&mut self, event: Event<'_>) {
        let mut effects = Vec::new();
        let refusable = matches!(
            event,
            Event::Frame { .. } | Event::Undelivered(..) | Event::Unspeakable(_)
        );
        self.room.handle(self.now, event, &mut effects);
        let (mut undelivered, mut unspeakable) = (Vec::new(), Vec::new());
        let (mut owed, mut refused) = (Vec::new(), 0);
        for effect in effects {
            match effect {
                Effect::Send { to, notice } => {
                    assert!(!to.is_empty(), "sent to nobody: {notice:?}");
                    refused += usize::from(matches!(&notice, Notice::Refused(_)));
                    if let Notice::Signal(Forwarded {
                        from,
                        kind,
                        payload,
                        ..
                    }) = &notice
                    {
                        let same = |held: &Held| {
                            (&held.from, &*held.kind, held.payload.as_deref())
                                == (from, &**kind, payload.as_deref())
                        };
                        if let Some(place) = owed.iter().position(same) {
                            owed.remove(place);
                        }
                    }
                    for socket in to {
                        let dialect = self.open.get(&socket);
                        let dialect =
                            dialect.unwrap_or_else(|| panic!("{socket:?} is not open: {notice:?}"));
                        if self.jammed.contains(&socket) {
                            undelivered.push((socket, notice.clone()));
                        } else if let Some(frames) = dialect.encode(&notice) {
                            let heard = self.heard.entry(socket).or_default();
                            heard.extend(frames.into_iter().map(Heard::Frame));
                        } else {
                            unspeakable.push(notice.clone());
                        }
                    }
                }
                Effect::Close(socket, close) => {
                    assert!(
                        self.open.remove(&socket).is_some(),
                        "{socket:?} is not open"
                    );
                    self.jammed.remove(&socket);
                    self.members.remove(&socket);
                    self.heard
                        .entry(socket)
                        .or_default()
                        .push(Heard::Closed(close));
                }
                Effect::Keep(member) => {
                    assert!(
                        self.open.contains_key(&member.socket),
                        "{member:?} is not open"
                    );
                    self.members.insert(member.socket, member);
                }
                Effect::Store(Row::Absent(absent)) => {
                    self.writes += 1;
                    self.absent.insert(absent.member.id.clone(), absent);
                }
                Effect::Store(Row::Held(held)) => {
                    self.writes += 1;
                    assert_eq!(self.held.insert(held.number, held), None, "written over");
                }
                Effect::Erase(RowKey::Absent(id)) => {
                    self.writes += 1;
                    assert!(self.absent.remove(&id).is_some(), "{id} has no row");
                }
                Effect::Erase(RowKey::Held(number)) => {
                    self.writes += 1;
                    owed.push(self.held.remove(&number).expect("it has a row"));
                }
                Effect::Alarm(alarm) => {
                    self.writes += 1;
                    self.alarm = alarm;
                }
            }
        }
        let here = |id: &PeerId| {
            let mut members = self.members.values();
            members.any(|member| member.id == *id && self.open.contains_key(&member.socket))
        };
        owed.retain(|held| here(&held.from));
        if !refusable {
            assert!(owed.len() <= refused, "{owed:?} went nowhere");
        }
        for (socket, notice) in undelivered {
            self.open.remove(&socket);
            self.members.remove(&socket);
            self.handle(Event::Undelivered(socket, notice));
        }
        for notice in unspeakable {
            self.handle(Event::Unspeakable(notice));
        }
        let absent = self.absent.values().map(|absent| absent.until);
        let waiting = self
            .held
            .values()
            .filter(|held| held.to.is_none())
            .map(|held| held.until);
        assert_eq!(
            self.alarm,
            absent.chain(waiting).min(),
            "the alarm is not what is due first"
        );
    }
}
