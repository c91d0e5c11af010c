//! The Stage: topics, a clock and clients of one dialect, in memory. It corresponds to the Rig of rooms.

use std::collections::{BTreeMap, BTreeSet};

use partyline::core::close::Close;
use partyline::core::drive::{SendError, Sockets};
use partyline::core::event::{Limits, Reply};
use partyline::core::peer::{Socket, Time};
use partyline::core::refusal::Refusal;
use partyline::core::topics::{
    Call, Event, Listener, MAX_SUBSCRIPTIONS, MAX_TOPICS, Notice, Subscription, Topics, Transport,
    drive,
};
use partyline::dialect::Dialect;
use partyline::record::listener::ListenerAttachment;

use crate::rig::{self, Heard};

pub(crate) const LIMITS: Limits = Limits {
    peers: 4,
    ..rig::LIMITS
};

/// The state that the platform keeps.
struct World {
    dialect: Dialect,
    /// The attachment of each open WebSocket, or an empty text before the first is written.
    open: BTreeMap<Socket, String>,
    /// The open WebSockets to which every send fails, and the reason.
    jammed: BTreeMap<Socket, SendError>,
    alarm: Option<Time>,
    /// Whether the storage is in use.
    used: bool,
    accepts_nothing: bool,
    refusal: Option<Refusal<'static>>,
    heard: BTreeMap<Socket, Vec<Heard>>,
    /// The number of attachments written so far.
    written: usize,
}

impl World {
    const fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            open: BTreeMap::new(),
            jammed: BTreeMap::new(),
            alarm: None,
            used: false,
            accepts_nothing: false,
            refusal: None,
            heard: BTreeMap::new(),
            written: 0,
        }
    }
}

pub(crate) struct Stage {
    topics: Topics,
    limits: Limits,
    pub(crate) now: Time,
    next_socket: u64,
    /// The random bits of the next frames.
    pub(crate) random: u64,
    /// The time at which the tokens expire with which clients join from now on.
    pub(crate) token_expires_at: Option<Time>,
    world: World,
}

impl Stage {
    /// Creates topics without clients. All clients have the same dialect.
    pub(crate) fn new(dialect: Dialect, limits: Limits) -> Self {
        let now = Time(1_000_000);
        Self {
            topics: Topics::restore(limits, now, []),
            limits,
            now,
            next_socket: 0,
            random: 0,
            token_expires_at: None,
            world: World::new(dialect),
        }
    }

    pub(crate) fn join(&mut self) -> Socket {
        self.join_with(None)
    }

    pub(crate) fn join_with(&mut self, expired: Option<Refusal<'static>>) -> Socket {
        let socket = Socket(self.next_socket);
        self.next_socket += 1;
        self.handle(Event::Join {
            socket,
            expired,
            expires_at: self.token_expires_at,
        });
        if let Some(refusal) = self.world.refusal.take() {
            let close = Close::after(refusal.code).expect("a refused join closes the WebSocket");
            let said = self.world.dialect.encode_rejection(refusal);
            let said = said.into_iter().map(Heard::Frame);
            let heard = said.chain([Heard::Closed(close)]).collect();
            self.world.heard.insert(socket, heard);
        }
        socket
    }

    pub(crate) fn send(&mut self, socket: Socket, frame: &str) {
        if self.is_open(socket) {
            let (mut call, bytes) = (self.world.dialect.decode_call(frame), frame.len());
            if let Ok(Call::Announce(announce)) = &mut call {
                announce.random = self.random;
            }
            self.handle(Event::Frame {
                socket,
                call,
                bytes,
            });
        }
    }

    pub(crate) fn subscribe(&mut self, socket: Socket, topic: &str) {
        self.send(socket, &frame("subscribe", topic));
    }

    pub(crate) fn unsubscribe(&mut self, socket: Socket, topic: &str) {
        self.send(socket, &frame("unsubscribe", topic));
    }

    pub(crate) fn publish(&mut self, socket: Socket, topic: &str, data: usize) {
        self.send(socket, &published(topic, data));
    }

    /// Closes or loses a WebSocket, which is the same for topics.
    pub(crate) fn end(&mut self, socket: Socket) {
        if self.world.open.remove(&socket).is_some() {
            self.handle(Event::Ended(socket));
        }
    }

    /// Lets every later send to a client fail.
    pub(crate) fn jam(&mut self, socket: Socket, error: SendError) {
        self.world.jammed.insert(socket, error);
    }

    pub(crate) fn accept_nothing(&mut self) {
        self.world.accepts_nothing = true;
    }

    /// Moves the clock, and fires the alarm at its time.
    pub(crate) fn pass(&mut self, millis: u64) {
        let end = self.now.plus(millis);
        while let Some(at) = self.world.alarm.filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.ring();
        }
        self.now = end;
    }

    /// Fires the alarm now, even if it is early or not set.
    pub(crate) fn ring(&mut self) {
        self.world.alarm = None;
        self.handle(Event::Tick);
    }

    /// Evicts the topics, and restores them from the attachments, the newest first.
    pub(crate) fn sleep(&mut self) {
        let texts = self.world.open.values().rev();
        let listeners = texts.map(|text| {
            let attachment = ListenerAttachment::decode(text).expect(text);
            assert_eq!(attachment.dialect, self.world.dialect);
            attachment.listener
        });
        self.topics = Topics::restore(self.limits, self.now, listeners.collect::<Vec<_>>());
    }

    pub(crate) fn is_open(&self, socket: Socket) -> bool {
        self.world.open.contains_key(&socket)
    }

    /// Returns what a client received since the last call.
    pub(crate) fn heard(&mut self, socket: Socket) -> Vec<Heard> {
        self.world.heard.remove(&socket).unwrap_or_default()
    }

    /// Returns what all clients received since the last call.
    pub(crate) fn all_heard(&mut self) -> BTreeMap<Socket, Vec<Heard>> {
        std::mem::take(&mut self.world.heard)
    }

    pub(crate) fn alarm(&self) -> Option<Time> {
        self.world.alarm
    }

    /// Returns the number of attachments written so far.
    pub(crate) fn written(&self) -> usize {
        self.world.written
    }

    fn handle(&mut self, event: Event<'_>) {
        drive(&mut self.topics, self.now, event, &mut self.world);
        self.check_invariants();
    }

    fn check_invariants(&self) {
        let world = &self.world;
        assert_eq!(self.topics.clients(), world.open.len());
        assert!(world.open.len() <= self.limits.peers);
        let mut seats = BTreeSet::new();
        let mut next = None;
        let mut count = 0;
        for (socket, text) in &world.open {
            let listener = ListenerAttachment::decode(text).expect(text).listener;
            assert_eq!(listener.socket, *socket);
            assert!(listener.subscriptions.len() <= MAX_TOPICS);
            assert!(listener.subscriptions.is_sorted_by_key(|each| each.seat));
            let names = listener.subscriptions.iter();
            let names = names.map(|each| (&each.topic, &each.label));
            assert_eq!(
                names.collect::<BTreeSet<_>>().len(),
                listener.subscriptions.len()
            );
            for each in &listener.subscriptions {
                assert!(seats.insert(each.seat), "two subscriptions have a seat");
            }
            let weights = listener.subscriptions.iter().map(Subscription::weight);
            count += weights.sum::<usize>();
            // V8 adds a header of a few bytes to an attachment.
            assert!(text.chars().count() < 16_300, "{} bytes", text.len());
            next = next.into_iter().chain(listener.token_expires_at).min();
        }
        assert_eq!(self.topics.subscriptions(), count, "subscriptions leak");
        assert!(count <= MAX_SUBSCRIPTIONS);
        assert_eq!(world.alarm, next, "the alarm is at the earliest expiry");
        assert!(
            world.alarm.is_some() || !world.used,
            "an empty database is left"
        );
    }
}

impl Sockets for World {
    fn accept(&mut self, socket: Socket) -> bool {
        if !self.accepts_nothing {
            self.open.insert(socket, String::new());
        }
        !self.accepts_nothing
    }

    fn reply(&mut self, reply: Result<Reply, Refusal<'_>>) {
        self.refusal = reply.err().map(Refusal::into_owned);
    }

    fn drop_socket(&mut self, socket: Socket) {
        self.open.remove(&socket);
    }

    fn close(&mut self, socket: Socket, close: Close) {
        if self.open.remove(&socket).is_none() {
            // The last frame before the Close frame could not be sent.
            assert!(self.jammed.contains_key(&socket), "{socket:?} is not open");
            return;
        }
        self.heard
            .entry(socket)
            .or_default()
            .push(Heard::Closed(close));
    }

    fn set_alarm(&mut self, at: Option<Time>) {
        self.alarm = at;
        self.used = true;
    }

    fn clear(&mut self) {
        self.alarm = None;
        self.used = false;
    }
}

impl Transport for World {
    fn send_topic_notice(&mut self, to: &[Socket], notice: &Notice) -> Vec<(Socket, SendError)> {
        assert_eq!(to.iter().collect::<BTreeSet<_>>().len(), to.len(), "{to:?}");
        let frames = self.dialect.encode_topic_notice(notice);
        let mut failures = Vec::new();
        for socket in to {
            assert!(self.open.contains_key(socket), "{socket:?} is not open");
            if let Some(error) = self.jammed.get(socket) {
                failures.push((*socket, *error));
                continue;
            }
            for frame in &frames {
                let heard = self.heard.entry(*socket).or_default();
                heard.push(Heard::Frame(frame.clone()));
            }
        }
        failures
    }

    fn keep_listener(&mut self, listener: Listener) {
        let socket = listener.socket;
        let dialect = self.dialect;
        let text = ListenerAttachment { listener, dialect }.encode();
        if let Some(kept) = self.open.get_mut(&socket) {
            assert_ne!(*kept, text, "an attachment is written that has not changed");
            *kept = text;
            self.written += 1;
        }
    }
}

fn frame(frame_type: &str, topic: &str) -> String {
    format!(r#"{{"type":"{frame_type}","topics":["{topic}"]}}"#)
}

/// Returns the frame that publishes a number on a topic.
pub(crate) fn published(topic: &str, data: usize) -> String {
    format!(r#"{{"type":"publish","topic":"{topic}","data":{data}}}"#)
}

/// Returns the frame that subscribers receive.
pub(crate) fn received(topic: &str, data: usize, subscribers: usize) -> Heard {
    let sent = published(topic, data);
    let fields = sent.strip_suffix('}').unwrap();
    Heard::Frame(format!(r#"{fields},"clients":{subscribers}}}"#))
}
