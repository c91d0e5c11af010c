//! The Rig: a room, a clock, and everything the shell would keep, with the shell's own rules.
//!
//! Whatever a test does with it, it holds the room to what must always be true; see [`Rig::handle`].

#![allow(dead_code, reason = "each test uses what it needs")]

use std::collections::{BTreeMap, BTreeSet};

use partyline::core::close::Close;
use partyline::core::event::{Absent, Effect, Event, Held, Limits, Row, RowKey};
use partyline::core::member::Member;
use partyline::core::notice::{Notice, RoutedSignal};
use partyline::core::peer::{Key, Lock, PeerId, Socket, Time};
use partyline::core::refusal::Refusal;
use partyline::core::room::Room;
use partyline::dialect::{Dialect, Encoded};
use partyline::record::attachment::Attachment;

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
    /// All that ever were at the end of a stream.
    streams: BTreeSet<Socket>,
    /// Those of the open ones that nothing can be sent to any more.
    jammed: BTreeSet<Socket>,
    /// What each socket has heard since it was last asked.
    heard: BTreeMap<Socket, Vec<Heard>>,
    /// The highest number that each stream has got.
    numbers: BTreeMap<Socket, u64>,
    members: BTreeMap<Socket, Member>,
    absent: BTreeMap<PeerId, Absent>,
    held: BTreeMap<u64, Held>,
    alarm: Option<Time>,
    /// Whoever asks something just now, and what it is answered.
    asker: Option<Socket>,
    answer: Option<Notice<'static>>,
    /// Why sockets that never became a peer's were turned away.
    refused: BTreeMap<Socket, Refusal<'static>>,
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
            streams: BTreeSet::new(),
            jammed: BTreeSet::new(),
            heard: BTreeMap::new(),
            numbers: BTreeMap::new(),
            members: BTreeMap::new(),
            absent: BTreeMap::new(),
            held: BTreeMap::new(),
            alarm: None,
            asker: None,
            answer: None,
            refused: BTreeMap::new(),
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
        let socket = self.new_socket(dialect);
        let key = key.map(|key| Key::new(key).unwrap());
        self.handle(Event::Join {
            socket,
            id: self::id(id),
            key,
        });
        socket
    }

    /// Somebody registers, and is answered who is there.
    pub(crate) fn register(
        &mut self,
        id: &str,
        key: Option<&str>,
    ) -> Result<Vec<(PeerId, bool)>, Refusal<'static>> {
        let made = Key::new("made by the server").unwrap();
        let lock = key.map_or(Lock::Unconfirmed(made), |key| {
            Lock::Locked(Key::new(key).unwrap())
        });
        let id = self::id(id);
        match self.ask(|asker| Event::Register { asker, id, lock }) {
            Some(Notice::Welcome { peers, .. }) => Ok(peers),
            Some(Notice::Refused(refusal)) => Err(refusal),
            other => panic!("{other:?} is no answer"),
        }
    }

    /// A registered peer opens its stream, or goes on with it after the notice `last`.
    pub(crate) fn open_stream(
        &mut self,
        id: &str,
        key: Option<&str>,
        last: Option<u64>,
    ) -> Result<Socket, Refusal<'static>> {
        let socket = self.new_socket(Dialect::Http);
        self.handle(Event::Open {
            socket,
            id: self::id(id),
            key: key.map(|key| Key::new(key).unwrap()),
            last,
        });
        match self.refused.remove(&socket) {
            Some(refusal) => {
                self.open.remove(&socket);
                self.heard.remove(&socket);
                Err(refusal)
            }
            None => Ok(socket),
        }
    }

    /// A registered peer sends a signal.
    pub(crate) fn post(
        &mut self,
        id: &str,
        key: Option<&str>,
        body: &str,
    ) -> Result<(), Refusal<'static>> {
        let signal = Dialect::Http.decode(body).unwrap();
        let id = self::id(id);
        let key = key.map(|key| Key::new(key).unwrap());
        let answer = self.ask(|asker| Event::Post {
            asker,
            id,
            key,
            signal,
        });
        match answer {
            None => Ok(()),
            Some(Notice::Refused(refusal)) => Err(refusal),
            other => panic!("{other:?} is no answer"),
        }
    }

    /// Somebody asks something, and gets at most one answer that matters.
    fn ask<'a>(&mut self, event: impl FnOnce(Socket) -> Event<'a>) -> Option<Notice<'static>> {
        let asker = self.new_socket(Dialect::Http);
        self.asker = Some(asker);
        self.handle(event(asker));
        self.asker = None;
        self.open.remove(&asker);
        self.answer.take()
    }

    fn new_socket(&mut self, dialect: Dialect) -> Socket {
        let socket = Socket(self.next_socket);
        self.next_socket += 1;
        self.open.insert(socket, dialect);
        if dialect.is_stream() {
            self.streams.insert(socket);
        }
        socket
    }

    /// A frame comes in.
    pub(crate) fn send(&mut self, socket: Socket, text: &str) {
        // What comes from a socket that is closing is not listened to.
        let Some(dialect) = self.open.get(&socket).copied() else {
            return;
        };
        for signal in dialect.split_batch(text) {
            let signal = dialect.decode(signal);
            self.handle(Event::Frame { socket, signal });
        }
    }

    /// The peer sends a Close frame.
    pub(crate) fn close(&mut self, socket: Socket) {
        // Nobody says goodbye over a stream.
        if self.streams(socket) {
            return self.lose(socket);
        }
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

    /// The room is dropped, and built again out of what was kept, and as it is kept.
    pub(crate) fn sleep(&mut self) {
        let written = |attachment: Attachment| {
            let read = Attachment::decode(&attachment.encode()).unwrap();
            assert_eq!(read, attachment);
            read.member
        };
        let members = self.members.values().map(|member| {
            let (member, dialect) = (member.clone(), self.open[&member.socket]);
            written(Attachment { member, dialect })
        });
        let absent = self.absent.values().cloned();
        let absent = absent.map(|Absent { member, until }| {
            let member = written(Attachment::absent(member));
            Row::Absent(Absent { member, until })
        });
        // The platform lists the newest first; rows come in any order.
        let (odd, even): (Vec<_>, Vec<_>) = self
            .held
            .values()
            .cloned()
            .partition(|held| held.number % 2 == 1);
        let held = odd.into_iter().chain(even).map(Row::Held);
        let rows = held.chain(absent);
        let name = self.room.name().to_owned();
        self.room = Room::restore(&name, self.limits, self.now, members.rev(), rows);
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

    /// Whether a stream is at the other end.
    pub(crate) fn streams(&self, socket: Socket) -> bool {
        self.streams.contains(&socket)
    }

    pub(crate) fn is_open(&self, socket: Socket) -> bool {
        self.open.contains_key(&socket)
    }

    pub(crate) fn len(&self) -> usize {
        self.room.peers()
    }

    /// The signals that wait for somebody, as they are written down.
    fn waiting(&self) -> Vec<(PeerId, String, Option<String>)> {
        let held = self.held.values();
        let held = held.map(|held| {
            (
                held.from.clone(),
                held.signal_type.clone(),
                held.payload.clone(),
            )
        });
        let members = self.members.values();
        let absent = self.absent.values().map(|absent| &absent.member);
        let unsent = members
            .chain(absent)
            .flat_map(|member| member.outbox.unsent());
        let unsent = unsent.filter_map(|one| match &one.notice {
            Notice::Signal(signal) => Some(said(signal)),
            _ => None,
        });
        held.chain(unsent).collect()
    }

    /// Hands an event to the room, does what it says, and holds it to this:
    ///
    /// - nothing is sent to, or kept with, a socket that is not open;
    /// - a signal that waits no more has been sent to one peer, or refused to its sender, unless
    ///   that one is not there to hear it;
    /// - only who has a stream gets numbers, and they rise;
    /// - the alarm is the earliest time at which something is due.
    pub(crate) fn handle(&mut self, event: Event<'_>) {
        let mut effects = Vec::new();
        let refusable = matches!(
            event,
            Event::Frame { .. }
                | Event::Post { .. }
                | Event::Undelivered { .. }
                | Event::Unencodable { .. }
        );
        let mut owed = self.waiting();
        self.room.handle(self.now, event, &mut effects);
        let (mut undelivered, mut unencodable) = (Vec::new(), Vec::new());
        let mut refused = 0;
        for effect in effects {
            match effect {
                Effect::Send { to, number, notice } => {
                    assert!(!to.is_empty(), "sent to nobody: {notice:?}");
                    refused += usize::from(matches!(&notice, Notice::Refused(_)));
                    if let Notice::Signal(signal) = &notice {
                        let said = said(signal);
                        if let Some(place) = owed.iter().position(|one| *one == said) {
                            owed.remove(place);
                        }
                    }
                    if self.asker.is_some_and(|asker| to == [asker]) {
                        self.answer.get_or_insert(notice.into_owned());
                        continue;
                    }
                    if let (Notice::Refused(refusal), [socket]) = (&notice, &to[..])
                        && !self.members.contains_key(socket)
                    {
                        let refusal = Notice::Refused(refusal.clone()).into_owned();
                        let Notice::Refused(refusal) = refusal else {
                            unreachable!()
                        };
                        self.refused.insert(*socket, refusal);
                    }
                    for socket in to {
                        let dialect = self.open.get(&socket);
                        let dialect =
                            dialect.unwrap_or_else(|| panic!("{socket:?} is not open: {notice:?}"));
                        let refusal = matches!(&notice, Notice::Refused(_));
                        assert!(
                            number.is_some() == dialect.is_stream() || refusal,
                            "{socket:?}: {notice:?} has the number {number:?}"
                        );
                        if let Some(number) = number {
                            let last = self.numbers.entry(socket).or_default();
                            assert!(*last < number, "{last} came before {number}: {notice:?}");
                            *last = number;
                        }
                        if self.jammed.contains(&socket) {
                            undelivered.push((socket, number, notice.clone()));
                        } else if let Encoded::Frames(frames) = dialect.encode(&notice, number) {
                            let heard = self.heard.entry(socket).or_default();
                            heard.extend(frames.into_iter().map(Heard::Frame));
                        } else {
                            unencodable.push(notice.clone());
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
                    assert!(self.held.remove(&number).is_some(), "{number} has no row");
                }
                Effect::Alarm(alarm) => {
                    self.writes += 1;
                    self.alarm = alarm;
                }
            }
        }
        for left in self.waiting() {
            if let Some(place) = owed.iter().position(|one| *one == left) {
                owed.remove(place);
            }
        }
        let here = |id: &PeerId| {
            let mut members = self.members.values();
            members.any(|member| member.id == *id && self.open.contains_key(&member.socket))
        };
        owed.retain(|(from, ..)| here(from));
        if !refusable {
            assert!(owed.len() <= refused, "{owed:?} went nowhere");
        }
        for (socket, number, notice) in undelivered {
            self.open.remove(&socket);
            self.members.remove(&socket);
            self.handle(Event::Undelivered {
                socket,
                number,
                notice,
            });
        }
        for notice in unencodable {
            let asker = self.asker;
            self.handle(Event::Unencodable { asker, notice });
        }
        let absent = self.absent.values().map(|absent| absent.until);
        let waiting = self.held.values().map(|held| held.until);
        assert_eq!(
            self.alarm,
            absent.chain(waiting).min(),
            "the alarm is not what is due first"
        );
    }
}

/// The number and the data of an event, if the text has any: a stream begins with a number alone.
pub(crate) fn event(text: &str) -> (Option<u64>, Option<String>) {
    let field = |name: &str| {
        let values = text.lines().filter_map(|line| line.strip_prefix(name));
        values.map(str::to_owned).collect::<Vec<_>>().join("\n")
    };
    let data = Some(field("data: ")).filter(|data| !data.is_empty());
    (field("id: ").parse().ok(), data)
}

/// A signal without whom it was for.
fn said(signal: &RoutedSignal<'_>) -> (PeerId, String, Option<String>) {
    let RoutedSignal {
        from,
        signal_type,
        payload,
        ..
    } = signal;
    let payload = payload.as_ref().map(|payload| payload.to_string());
    (from.clone(), signal_type.to_string(), payload)
}
