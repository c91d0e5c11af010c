//! The Rig: a room, a clock and clients, in memory.
//!
//! The room runs in the same event loop as in the shell, [`drive`]. The [`World`] replaces the
//! platform. After every event, it checks the invariants of the room.

mod requests;
mod world;

use std::collections::BTreeMap;
use std::rc::Rc;

use partyline::core::close::Close;
use partyline::core::drive::drive;
use partyline::core::event::{Event, Joining, Limits, Reply, Row};
use partyline::core::peer::{Key, PeerId, Socket, Time};
use partyline::core::refusal::{Code, Refusal};
use partyline::core::room::Room;
use partyline::dialect::Dialect;
use partyline::record::attachment::Attachment;

use self::world::World;
pub(crate) use self::world::Written;

pub(crate) const LIMITS: Limits = Limits {
    peers: 4,
    viewers: 4,
    grace: 15_000,
    hold: 120_000,
    hides_peers: false,
    group: 4,
    await_peer: 0,
};

/// A frame or a close code that a client received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Frame(String),
    Closed(Close),
}

pub(crate) struct Rig {
    name: String,
    room: Room,
    limits: Limits,
    pub(crate) now: Time,
    next_socket: u64,
    /// The time at which the tokens expire with which clients join and register from now on.
    pub(crate) token_expires_at: Option<Time>,
    /// The meta with which clients join from now on.
    pub(crate) meta: Option<Rc<str>>,
    /// The payload of the offer that travels with the next join.
    pub(crate) offer: Option<String>,
    /// The frames and close codes that each client received and the test has not read.
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
            name: name.to_owned(),
            room: Room::restore(name, limits, now, [], []),
            limits,
            now,
            next_socket: 0,
            token_expires_at: None,
            meta: None,
            offer: None,
            heard: BTreeMap::new(),
            world: World::default(),
        }
    }

    /// Lets a client join over a WebSocket in the native dialect.
    pub(crate) fn join(&mut self, id: &str, key: Option<&str>) -> Socket {
        self.join_speaking(Dialect::Native, id, key)
    }

    /// Lets a client move from a WebSocket that may be another one than that of its peer.
    pub(crate) fn move_from(&mut self, from: Socket, id: &str, key: Option<&str>) -> Socket {
        self.join_with(Dialect::Native, id, key, Some(from), None)
    }

    /// Lets a client move to another WebSocket.
    pub(crate) fn move_over(&mut self, id: &str, key: Option<&str>) -> Socket {
        let from = self.world.socket_of(&self::id(id));
        self.join_with(Dialect::Native, id, key, from, None)
    }

    /// Lets a client join over a WebSocket in the given dialect.
    pub(crate) fn join_speaking(
        &mut self,
        dialect: Dialect,
        id: &str,
        key: Option<&str>,
    ) -> Socket {
        self.join_with(dialect, id, key, None, None)
    }

    /// Lets a client join whose token has expired.
    pub(crate) fn join_with_expired_token(&mut self, id: &str, key: Option<&str>) -> Socket {
        let expired = Some(Refusal::new(Code::Unauthorized, "the token has expired"));
        self.join_with(Dialect::Native, id, key, None, expired)
    }

    fn join_with(
        &mut self,
        dialect: Dialect,
        id: &str,
        key: Option<&str>,
        moves: Option<Socket>,
        expired: Option<Refusal<'static>>,
    ) -> Socket {
        let socket = self.next_socket();
        let event = Event::Join(Box::new(Joining {
            socket,
            id: self::id(id),
            key: key.map(hash),
            moves,
            expired,
            expires_at: self.token_expires_at,
            meta: self.meta.clone(),
            offer: self.offer.take(),
        }));
        self.world.joining = Some((socket, dialect));
        if let Some(Err(refusal)) = self.handle(event) {
            // The Worker refuses a join by accepting a separate WebSocket, sending the error, and
            // closing the WebSocket.
            let close = Close::after(refusal.code).expect("a refused join closes the WebSocket");
            let frames = dialect
                .encode_rejection(refusal)
                .into_iter()
                .map(Heard::Frame);
            let heard = frames.chain([Heard::Closed(close)]).collect();
            self.heard.insert(socket, heard);
        }
        socket
    }

    fn next_socket(&mut self) -> Socket {
        let socket = Socket(self.next_socket);
        self.next_socket += 1;
        socket
    }

    pub(crate) fn send(&mut self, socket: Socket, text: &str) {
        // The shell ignores frames from a WebSocket that it has closed.
        let Some(dialect) = self.world.open.get(&socket).copied() else {
            return;
        };
        for signal in dialect.split_batch(text) {
            let bytes = signal.len();
            let signal = dialect.decode(signal);
            self.handle(Event::Frame {
                socket,
                signal,
                bytes,
            });
        }
    }

    /// Closes the WebSocket of a client with a Close frame. An event stream has no Close frame, so
    /// the stream breaks instead.
    pub(crate) fn close(&mut self, socket: Socket) {
        let event = if self.streams(socket) {
            Event::Lost
        } else {
            Event::Closed
        };
        self.world.forget(socket);
        self.handle(event(socket));
    }

    /// Closes the WebSocket of a client with the close code of a page that goes away.
    pub(crate) fn go_away(&mut self, socket: Socket) {
        if self.streams(socket) {
            return self.lose(socket);
        }
        self.world.forget(socket);
        self.handle(Event::GoingAway(socket));
    }

    /// Breaks a WebSocket or an event stream.
    pub(crate) fn lose(&mut self, socket: Socket) {
        self.world.forget(socket);
        self.handle(Event::Lost(socket));
    }

    /// Makes all further sends to this WebSocket fail. The room is not notified that the WebSocket
    /// is broken.
    pub(crate) fn jam(&mut self, socket: Socket) {
        if self.is_open(socket) {
            self.world.jammed.insert(socket);
        }
    }

    /// Makes the platform refuse all further WebSockets.
    pub(crate) fn accept_nothing(&mut self) {
        self.world.accepts_nothing = true;
    }

    /// Advances the clock, and fires the alarm when it is due.
    pub(crate) fn pass(&mut self, millis: u64) {
        let then = self.now.plus(millis);
        while let Some(alarm) = self.world.alarm.filter(|alarm| *alarm <= then) {
            self.now = self.now.max(alarm);
            self.ring();
            assert_ne!(self.world.alarm, Some(alarm), "the alarm rings forever");
        }
        self.now = then;
    }

    /// Turns the clock back, but not the clock of the platform's alarm.
    pub(crate) fn turn_back_only_the_clock(&mut self, millis: u64) {
        self.now = Time(self.now.0 - millis);
        self.world.rings_early = true;
    }

    /// Turns the clock back. The alarm of the platform rings by the real time, so it moves with it.
    pub(crate) fn turn_clock_back(&mut self, millis: u64) {
        self.now = Time(self.now.0 - millis);
        self.world.rings_early = true;
        self.world.alarm = self.world.alarm.map(|Time(at)| Time(at - millis));
    }

    /// Fires the alarm immediately, even if it is not due.
    pub(crate) fn ring(&mut self) {
        self.world.alarm = None;
        // The alarm was in the storage.
        self.world.used = true;
        self.handle(Event::Tick);
    }

    /// Closes all WebSockets without an event, and evicts the room, as a deployment does. Returns the
    /// number of stored rows, and whether an alarm will wake the room.
    pub(crate) fn deploy(&mut self) -> (usize, bool) {
        self.world.open.clear();
        self.world.jammed.clear();
        self.world.members.clear();
        let rows = self.world.absent.len() + self.world.notices.len() + self.world.held.len();
        (rows, self.world.alarm.is_some())
    }

    /// Evicts the room, and restores it from the text of its attachments and rows. A room that awaits a
    /// peer is never idle for long enough to be evicted.
    pub(crate) fn sleep(&mut self) {
        if self.room.awaits_peers() {
            return;
        }
        self.world.was_evicted = true;
        if let Some((call, _)) = self.world.calls.last_key_value() {
            self.world.last_call_before_restart = *call;
        }
        if self.world.rings_early {
            // Without a stream, the room forgets the numbers that are ahead of the clock.
            self.world.ever_written.clear();
        }
        let members = self.world.members.values().map(|attached| {
            let dialect = self.world.open[&attached.member.socket];
            let attached = attached.clone();
            let attachment = Attachment { attached, dialect };
            let text = attachment.encode();
            assert!(
                text.len() <= 8_000,
                "the platform allows 16,384 bytes: {text}"
            );
            let decoded = Attachment::decode(&text).unwrap();
            assert_eq!(decoded, attachment);
            decoded.attached
        });
        let absent = self.world.absent.values().cloned().map(Row::Absent);
        let notices = self.world.notices.values().cloned().map(Row::Notices);
        let leavers = self.world.leavers.iter().cloned().map(Row::Leavers);
        let live = self.world.live.iter().cloned().map(Row::Live);
        let bans = self.world.bans.iter().cloned().map(Row::Bans);
        // The platform lists the newest WebSocket first, and rows in any order. The members are
        // therefore reversed, and the rows reordered.
        let (odd, even): (Vec<_>, Vec<_>) = self
            .world
            .held
            .values()
            .cloned()
            .partition(|held| held.number % 2 == 1);
        let held = odd.into_iter().chain(even).map(Row::Held);
        let rows = held.chain(notices).chain(leavers).chain(live).chain(bans);
        let rows = rows.chain(absent);
        let rows = rows.inspect(|row| {
            let decoded = Row::decode(&row.key().encode(), &row.encode());
            assert_eq!(decoded.as_ref(), Some(row));
        });
        let rows: Vec<_> = rows.collect();
        let has_rows = !rows.is_empty();
        self.room = Room::restore(&self.name, self.limits, self.now, members.rev(), rows);
        if has_rows {
            self.handle(Event::Wake);
        }
    }

    /// Returns the frames and close codes that a client received since the last call.
    pub(crate) fn heard(&mut self, socket: Socket) -> Vec<Heard> {
        self.heard.remove(&socket).unwrap_or_default()
    }

    /// Returns the frames that a client received since the last call of this method or `heard`.
    pub(crate) fn frames(&mut self, socket: Socket) -> Vec<String> {
        let heard = self.heard(socket).into_iter();
        heard
            .filter_map(|heard| match heard {
                Heard::Frame(text) => Some(text),
                Heard::Closed(_) => None,
            })
            .collect()
    }

    /// Returns whether this WebSocket carries an event stream, even if the WebSocket is closed.
    pub(crate) fn streams(&self, socket: Socket) -> bool {
        self.world.streams.contains(&socket)
    }

    pub(crate) fn is_open(&self, socket: Socket) -> bool {
        self.world.open.contains_key(&socket)
    }

    /// Returns the number of peers in the room, including absent peers.
    pub(crate) fn len(&self) -> usize {
        self.room.peers()
    }

    /// Returns the time of the alarm.
    pub(crate) fn alarm(&self) -> Option<Time> {
        self.world.alarm
    }

    /// Returns what the room has written to its storage.
    pub(crate) fn written(&self) -> Written {
        self.world.written
    }

    /// Passes an event to the room, checks the invariants, and returns the first reply.
    fn handle(&mut self, event: Event<'_>) -> Option<Result<Reply, Refusal<'static>>> {
        self.world.begin();
        self.world.awaits_peers = self.limits.await_peer > 0;
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

/// Parses the id and the data of each event in a frame. The first event of a stream has no data.
pub(crate) fn events(text: &str) -> Vec<(Option<u64>, Option<String>)> {
    text.split_inclusive("\n\n").map(event).collect()
}

/// Parses the id and the data of an event.
pub(crate) fn event(text: &str) -> (Option<u64>, Option<String>) {
    let field = |name: &str| {
        let values = text.lines().filter_map(|line| line.strip_prefix(name));
        values.map(str::to_owned).collect::<Vec<_>>().join("\n")
    };
    let data = Some(field("data: ")).filter(|data| !data.is_empty());
    (field("id: ").parse().ok(), data)
}
