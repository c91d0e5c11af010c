//! The Rig: a room, a clock, and clients, in memory.
//!
//! The room runs in the same loop as in the shell, [`drive`]. The [`World`] stands in for the platform,
//! and checks after every event that the room keeps its invariants.

#![allow(dead_code, reason = "no single test uses all methods")]

mod world;

use std::collections::BTreeMap;

use partyline::core::close::Close;
use partyline::core::drive::drive;
use partyline::core::event::{Absent, Event, Limits, Row};
use partyline::core::notice::{Notice, Registered};
use partyline::core::peer::{Key, Lock, PeerId, Socket, Time};
use partyline::core::refusal::Refusal;
use partyline::core::room::Room;
use partyline::dialect::Dialect;
use partyline::record::attachment::Attachment;

use self::world::World;

pub(crate) const LIMITS: Limits = Limits {
    peers: 4,
    grace: 15_000,
    hold: 120_000,
};

/// What a client receives on its WebSocket.
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
    /// What each client has received since the test last asked.
    heard: BTreeMap<Socket, Vec<Heard>>,
    world: World,
}

pub(crate) fn id(text: &str) -> PeerId {
    PeerId::parse(text).unwrap()
}

impl Rig {
    pub(crate) fn new(limits: Limits) -> Self {
        Self::named("demo", limits)
    }

    pub(crate) fn named(name: &str, limits: Limits) -> Self {
        let now = Time(1_000_000);
        Self {
            room: Room::restore(name, limits, now, [], []),
            limits,
            now,
            next_socket: 0,
            heard: BTreeMap::new(),
            world: World::default(),
        }
    }

    /// A client joins over a WebSocket in the native dialect.
    pub(crate) fn join(&mut self, id: &str, key: Option<&str>) -> Socket {
        self.join_speaking(Dialect::Native, id, key)
    }

    /// A client joins over a WebSocket in any dialect.
    pub(crate) fn join_speaking(
        &mut self,
        dialect: Dialect,
        id: &str,
        key: Option<&str>,
    ) -> Socket {
        let socket = self.next_socket();
        let event = Event::Join {
            socket,
            id: self::id(id),
            key: key.map(hash),
        };
        self.world.joining = Some((socket, dialect));
        if let Some(Err(refusal)) = self.handle(event) {
            // The Worker accepts a WebSocket of its own to tell the client.
            let close = Close::after(refusal.code).expect("a refused join closes the WebSocket");
            let frames = dialect.encode(&Notice::Refused(refusal), None);
            let frames = frames.into_iter().flatten().map(Heard::Frame);
            let heard = frames.chain([Heard::Closed(close)]).collect();
            self.heard.insert(socket, heard);
        }
        socket
    }

    /// A client registers, and is told who is in the room.
    pub(crate) fn register(
        &mut self,
        id: &str,
        key: Option<&str>,
    ) -> Result<Vec<(PeerId, bool)>, Refusal<'static>> {
        let made = Lock::Unconfirmed(hash("made by the server"));
        let event = Event::Register {
            socket: self.next_socket(),
            id: self::id(id),
            lock: key.map_or(made, |key| Lock::Locked(hash(key))),
        };
        let reply = self.handle(event).expect("a reply");
        reply.map(|registered| registered.peers)
    }

    /// A registered peer opens its stream, or resumes it after the notice `last`.
    pub(crate) fn open_stream(
        &mut self,
        id: &str,
        key: Option<&str>,
        last: Option<u64>,
    ) -> Result<Socket, Refusal<'static>> {
        let socket = self.next_socket();
        let event = Event::Open {
            socket,
            id: self::id(id),
            key: key.map(hash),
            last,
        };
        self.world.joining = Some((socket, Dialect::Http));
        match self.handle(event) {
            None => Ok(socket),
            Some(reply) => Err(reply.unwrap_err()),
        }
    }

    /// A registered peer posts a signal.
    pub(crate) fn post(
        &mut self,
        id: &str,
        key: Option<&str>,
        body: &str,
    ) -> Result<(), Refusal<'static>> {
        let event = Event::Post {
            id: self::id(id),
            key: key.map(hash),
            signal: Dialect::Http.decode(body).unwrap(),
        };
        match self.handle(event) {
            None => Ok(()),
            Some(reply) => Err(reply.unwrap_err()),
        }
    }

    fn next_socket(&mut self) -> Socket {
        let socket = Socket(self.next_socket);
        self.next_socket += 1;
        socket
    }

    /// A client sends a frame.
    pub(crate) fn send(&mut self, socket: Socket, text: &str) {
        // The shell ignores frames from a WebSocket that it has closed.
        let Some(dialect) = self.world.open.get(&socket).copied() else {
            return;
        };
        for signal in dialect.split(text) {
            let signal = dialect.decode(signal);
            self.handle(Event::Frame { socket, signal });
        }
    }

    /// A client sends a Close frame. A client with a stream cannot, so its stream breaks.
    pub(crate) fn close(&mut self, socket: Socket) {
        let event = if self.streams(socket) {
            Event::Lost
        } else {
            Event::Closed
        };
        self.world.forget(socket);
        self.handle(event(socket));
    }

    /// A WebSocket or a stream breaks.
    pub(crate) fn lose(&mut self, socket: Socket) {
        self.world.forget(socket);
        self.handle(Event::Lost(socket));
    }

    /// Sends to this WebSocket fail from now on, though the room has not heard that it broke.
    pub(crate) fn jam(&mut self, socket: Socket) {
        if self.is_open(socket) {
            self.world.jammed.insert(socket);
        }
    }

    /// The platform accepts no WebSockets from now on.
    pub(crate) fn accept_nothing(&mut self) {
        self.world.accepts_nothing = true;
    }

    /// Time passes, and the alarm fires when it is due.
    pub(crate) fn pass(&mut self, millis: u64) {
        let then = self.now.plus(millis);
        while let Some(alarm) = self.world.alarm.filter(|alarm| *alarm <= then) {
            self.now = self.now.max(alarm);
            self.ring();
        }
        self.now = then;
    }

    /// The alarm fires, due or not.
    pub(crate) fn ring(&mut self) {
        self.world.alarm = None;
        self.handle(Event::Tick);
    }

    /// The room is evicted, and restored from the text of its attachments and rows.
    pub(crate) fn sleep(&mut self) {
        let kept = |attachment: Attachment| {
            let decoded = Attachment::decode(&attachment.encode()).unwrap();
            assert_eq!(decoded, attachment);
            decoded.member
        };
        let members = self.world.members.values().map(|member| {
            let (member, dialect) = (member.clone(), self.world.open[&member.socket]);
            kept(Attachment { member, dialect })
        });
        let absent = self.world.absent.values().cloned();
        let absent = absent.map(|Absent { member, expires_at }| {
            let member = kept(Attachment::absent(member));
            Row::Absent(Absent { member, expires_at })
        });
        // The platform lists the newest WebSocket first, and rows in any order.
        let (odd, even): (Vec<_>, Vec<_>) = self
            .world
            .held
            .values()
            .cloned()
            .partition(|held| held.number % 2 == 1);
        let held = odd.into_iter().chain(even).map(Row::Held);
        let rows = held.chain(absent);
        let name = self.room.name().to_owned();
        self.room = Room::restore(&name, self.limits, self.now, members.rev(), rows);
    }

    /// What a client has received since this was last called.
    pub(crate) fn heard(&mut self, socket: Socket) -> Vec<Heard> {
        self.heard.remove(&socket).unwrap_or_default()
    }

    /// The frames that a client has received since this or `heard` was last called.
    pub(crate) fn frames(&mut self, socket: Socket) -> Vec<String> {
        let heard = self.heard(socket).into_iter();
        heard
            .filter_map(|heard| match heard {
                Heard::Frame(text) => Some(text),
                Heard::Closed(_) => None,
            })
            .collect()
    }

    /// All open WebSockets.
    pub(crate) fn open(&self) -> Vec<Socket> {
        self.world.open.keys().copied().collect()
    }

    /// Whether this WebSocket carries a stream, or did.
    pub(crate) fn streams(&self, socket: Socket) -> bool {
        self.world.streams.contains(&socket)
    }

    pub(crate) fn is_open(&self, socket: Socket) -> bool {
        self.world.open.contains_key(&socket)
    }

    /// The number of peers in the room.
    pub(crate) fn len(&self) -> usize {
        self.room.peers()
    }

    /// The number of rows written or erased, and of alarms set or cleared, so far.
    pub(crate) fn writes(&self) -> usize {
        self.world.writes
    }

    /// Runs the room for one event, checks its invariants, and returns the reply.
    fn handle(&mut self, event: Event<'_>) -> Option<Result<Registered, Refusal<'static>>> {
        self.world.begin();
        drive(&mut self.room, self.now, event, &mut self.world);
        self.world.check_invariants();
        for (socket, heard) in std::mem::take(&mut self.world.sent) {
            self.heard.entry(socket).or_default().extend(heard);
        }
        self.world.joining = None;
        self.world.reply.take()
    }
}

fn hash(key: &str) -> Key {
    Key::new(key).unwrap()
}

/// The id and the data of an event. The first event of a stream has no data.
pub(crate) fn event(text: &str) -> (Option<u64>, Option<String>) {
    let field = |name: &str| {
        let values = text.lines().filter_map(|line| line.strip_prefix(name));
        values.map(str::to_owned).collect::<Vec<_>>().join("\n")
    };
    let data = Some(field("data: ")).filter(|data| !data.is_empty());
    (field("id: ").parse().ok(), data)
}
