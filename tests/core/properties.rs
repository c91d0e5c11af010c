//! Property tests: random sequences of actions in a room, run on the [`Rig`].
//!
//! The Rig checks the invariants of the room after each event. These tests check the properties of
//! a whole sequence.

mod resume;

use std::collections::BTreeMap;

use crate::rig::{Heard, LIMITS, Rig, events};
use partyline::core::peer::Socket;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::Config;
use serde_json::Value;

const NAMES: [&str; 5] = ["ann", "bob", "eve", "dan", "fay"];

/// An action of a client, the network or the clock. A socket is an index into all sockets opened so
/// far, so that closed sockets are also used.
#[derive(Clone, Debug)]
enum Step {
    Join {
        who: usize,
        key: Option<usize>,
        /// The time for which the token of the client is valid, in milliseconds.
        token: Option<u64>,
        /// The meta of the client.
        meta: Option<usize>,
        /// Whether an offer travels with the join.
        offers: bool,
    },
    /// Joins with a key and an expired token.
    Return {
        who: usize,
        key: usize,
    },
    Register {
        who: usize,
        key: Option<usize>,
        token: Option<u64>,
    },
    /// The operator removes a peer.
    Remove(usize),
    /// The operator removes all peers.
    RemoveAll,
    /// The operator lists the peers.
    List,
    /// Opens a new stream, or resumes a stream from the event `back` positions before the last
    /// received event.
    Open {
        who: usize,
        back: Option<usize>,
    },
    Post {
        who: usize,
        to: Option<usize>,
    },
    Signal {
        socket: usize,
        to: Option<usize>,
    },
    Garbage {
        socket: usize,
        text: String,
    },
    Close(usize),
    GoAway(usize),
    Lose(usize),
    Jam(usize),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let socket = || 0..40_usize;
    let who = || 0..5_usize;
    let key = || prop_oneof![3 => Just(None), 1 => (0..2_usize).prop_map(Some)];
    let token = || prop_oneof![6 => Just(None), 1 => (0..20_000_u64).prop_map(Some)];
    prop_oneof![
        4 => (who(), key(), token(), proptest::option::of(0..3_usize), any::<bool>())
            .prop_map(|(who, key, token, meta, offers)| Step::Join { who, key, token, meta, offers }),
        1 => (who(), 0..2_usize).prop_map(|(who, key)| Step::Return { who, key }),
        2 => (who(), key(), token())
            .prop_map(|(who, key, token)| Step::Register { who, key, token }),
        3 => (who(), proptest::option::of(0..4_usize))
            .prop_map(|(who, back)| Step::Open { who, back }),
        4 => (who(), proptest::option::of(0..6_usize))
            .prop_map(|(who, to)| Step::Post { who, to }),
        8 => (socket(), prop_oneof![1 => Just(None), 3 => (0..6_usize).prop_map(Some)])
            .prop_map(|(socket, to)| Step::Signal { socket, to }),
        1 => (socket(), ".{0,20}").prop_map(|(socket, text)| Step::Garbage { socket, text }),
        2 => socket().prop_map(Step::Close),
        2 => socket().prop_map(Step::GoAway),
        3 => socket().prop_map(Step::Lose),
        1 => socket().prop_map(Step::Jam),
        3 => prop_oneof![Just(0), Just(1), 100..9_000_u64, Just(14_999), Just(15_000), Just(120_000), Just(600_000)]
            .prop_map(Step::Pass),
        1 => who().prop_map(Step::Remove),
        1 => prop_oneof![Just(Step::RemoveAll), Just(Step::List)],
    ]
}

/// A Rig, with the actions of its clients and the frames that they received.
struct History {
    rig: Rig,
    sockets: Vec<Socket>,
    /// The number of signals sent, which is the payload of the next signal.
    count: u64,
    heard: BTreeMap<usize, Vec<Heard>>,
    /// The peer of each event stream, by the index of its socket.
    streams: BTreeMap<usize, usize>,
    /// The event ids that each peer received.
    numbers: BTreeMap<usize, Vec<u64>>,
    /// The replies of the room to HTTP requests.
    answers: Vec<String>,
}

impl History {
    fn new() -> Self {
        Self {
            rig: Rig::new(LIMITS),
            sockets: Vec::new(),
            count: 0,
            heard: BTreeMap::new(),
            streams: BTreeMap::new(),
            numbers: BTreeMap::new(),
            answers: Vec::new(),
        }
    }

    fn play(&mut self, step: &Step) {
        // Event ids contain the time. Without this pause, a peer that leaves and registers again
        // could get the event ids of its earlier stream.
        self.rig.pass(1);
        let place = |n: usize| n.checked_rem(self.sockets.len());
        let socket = |n: usize| place(n).map(|n| self.sockets[n]);
        match step {
            Step::Join {
                who,
                key,
                token,
                meta,
                offers,
            } => {
                self.rig.meta = meta.map(|meta| ["", "7", r#"{"name":"Ä"}"#][meta].into());
                self.rig.offer = offers.then(|| self.count.to_string());
                self.count += 1;
                self.rig.token_expires_at = token.map(|millis| self.rig.now.plus(millis));
                let key = key.map(|key| ["one", "two"][key]);
                let joined = self.rig.join(NAMES[*who], key);
                self.sockets.push(joined);
            }
            Step::Return { who, key } => {
                let before = self.rig.len();
                self.rig.token_expires_at = None;
                let key = ["one", "two"][*key];
                let joined = self.rig.join_with_expired_token(NAMES[*who], Some(key));
                self.sockets.push(joined);
                assert!(self.rig.len() <= before, "a newcomer with an expired token");
            }
            Step::Register { who, key, token } => {
                self.rig.token_expires_at = token.map(|millis| self.rig.now.plus(millis));
                let key = key.map(|key| ["one", "two"][key]);
                let answer = self.rig.register(NAMES[*who], key);
                self.answers.push(format!("{answer:?}"));
            }
            Step::Remove(who) => {
                let before = self.rig.len();
                let removed = self.rig.remove(NAMES[*who]);
                assert_eq!(self.rig.len(), before - removed);
                assert_eq!(self.rig.remove(NAMES[*who]), 0);
            }
            Step::RemoveAll => {
                let before = self.rig.len();
                assert_eq!(self.rig.remove_all(), before);
                assert_eq!(self.rig.len(), 0);
            }
            Step::List => {
                let ids = self.rig.list();
                assert_eq!(ids.len(), self.rig.len());
                self.answers.push(format!("{ids:?}"));
            }
            Step::Open { who, back } => {
                let got = self.numbers.entry(*who).or_default();
                let last = back.and_then(|back| got.iter().rev().nth(back).copied());
                match self.rig.open_stream(NAMES[*who], None, last) {
                    Ok(socket) => {
                        self.streams.insert(self.sockets.len(), *who);
                        self.sockets.push(socket);
                    }
                    Err(refusal) => self.answers.push(format!("{refusal:?}")),
                }
            }
            Step::Post { who, to } => {
                let body = signal("target", *to, self.count);
                self.count += 1;
                let answer = self.rig.post(NAMES[*who], None, &body);
                self.answers.push(format!("{answer:?}"));
            }
            Step::Signal { socket: n, to } => {
                if let Some(socket) = socket(*n) {
                    let frame = signal("to", *to, self.count);
                    self.count += 1;
                    self.rig.send(socket, &frame);
                }
            }
            Step::Garbage { socket: n, text } => {
                socket(*n)
                    .into_iter()
                    .for_each(|socket| self.rig.send(socket, text));
            }
            Step::Close(n) => socket(*n)
                .into_iter()
                .for_each(|socket| self.rig.close(socket)),
            Step::GoAway(n) => {
                socket(*n)
                    .into_iter()
                    .for_each(|socket| self.rig.go_away(socket));
                // For these seconds, the room remembers the Close frame in memory only, because an
                // eviction needs ten seconds without an event.
                self.rig.pass(4_000);
            }
            Step::Lose(n) => socket(*n)
                .into_iter()
                .for_each(|socket| self.rig.lose(socket)),
            Step::Jam(n) => socket(*n)
                .into_iter()
                .for_each(|socket| self.rig.jam(socket)),
            Step::Pass(millis) => self.rig.pass(*millis),
        }
        for (n, socket) in self.sockets.iter().enumerate() {
            let heard = self.rig.heard(*socket);
            if let Some(who) = self.streams.get(&n) {
                let got = self.numbers.entry(*who).or_default();
                got.extend(heard.iter().filter_map(|heard| match heard {
                    Heard::Frame(text) => events(text).last().and_then(|(id, _)| *id),
                    Heard::Closed(_) => None,
                }));
            }
            self.heard.entry(n).or_default().extend(heard);
        }
    }
}

impl History {
    /// Returns what the clients heard, without the ids of events. A room may skip a number that it
    /// has used for nothing else before an eviction.
    fn without_ids(&self) -> BTreeMap<usize, Vec<Heard>> {
        let strip = |heard: &Heard| match heard {
            Heard::Frame(text) => {
                let lines = text.lines().filter(|line| !line.starts_with("id: "));
                Heard::Frame(lines.collect::<Vec<_>>().join("\n"))
            }
            closed @ Heard::Closed(_) => closed.clone(),
        };
        let heard = self.heard.iter();
        heard
            .map(|(n, heard)| (*n, heard.iter().map(strip).collect()))
            .collect()
    }
}

/// Returns a signal to a peer, to an id that no peer has, or to all peers.
fn signal(receiver: &str, to: Option<usize>, count: u64) -> String {
    let to = to.map(|to| NAMES.get(to).unwrap_or(&"nobody"));
    let to = to.map_or_else(String::new, |to| format!(r#","{receiver}":"{to}""#));
    format!(r#"{{"type":"say"{to},"payload":{count}}}"#)
}

/// The state of the room as one client derives it from its frames.
#[derive(Default)]
struct View {
    me: String,
    /// The other peers. The value is true if this client is polite to the peer.
    peers: BTreeMap<String, bool>,
    /// The counter in the payload of the last signal from each peer.
    last: BTreeMap<String, u64>,
}

impl View {
    fn read(heard: &[Heard]) -> Self {
        let mut view = Self::default();
        let frames = heard.iter().filter_map(|heard| match heard {
            Heard::Frame(text) => Some(text),
            Heard::Closed(_) => None,
        });
        for (n, text) in frames.enumerate() {
            let frame: Value = serde_json::from_str(text).expect("frames are JSON");
            let text = |key: &str| frame[key].as_str().unwrap_or_default().to_owned();
            let signal_type = text("type");
            assert!(
                n > 0 || signal_type == "welcome" || signal_type == "error",
                "the first frame is not a welcome: {text:?}",
                text = frame
            );
            match &*signal_type {
                "welcome" => {
                    assert_eq!(n, 0, "a second welcome");
                    view.me = text("id");
                    for peer in frame["peers"].as_array().expect("an array") {
                        let id = peer["id"].as_str().expect("an id").to_owned();
                        view.peers
                            .insert(id, peer["polite"].as_bool().expect("a role"));
                    }
                    let offered = text("offered");
                    assert!(offered.is_empty() || view.peers.contains_key(&offered));
                }
                "peer-joined" => {
                    let polite = frame["polite"].as_bool().expect("a role");
                    assert!(polite, "the peer that joined first is polite");
                    assert_eq!(view.peers.insert(text("id"), polite), None, "joined twice");
                }
                "peer-left" => assert!(view.peers.remove(&text("id")).is_some(), "left twice"),
                "error" => {}
                "say" | "offer" => {
                    let count = frame["payload"].as_u64().expect("a number");
                    if let Some(before) = view.last.insert(text("from"), count) {
                        assert!(before < count, "{before} came before {count}");
                    }
                }
                other => panic!("no peer sends {other}"),
            }
        }
        view
    }
}

fn config() -> Config {
    // proptest prints a failing sequence. Writing it to a file is disabled.
    Config {
        cases: 20_000,
        failure_persistence: None,
        ..Config::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_peer_knows_all_others_and_each_pair_has_opposite_roles(
        steps in vec(step(), 1..60),
    ) {
        let mut history = History::new();
        steps.iter().for_each(|step| history.play(step));
        // Let disconnected peers leave. Then let each peer send a signal, so that the room detects
        // every jammed WebSocket.
        history.play(&Step::Pass(30_000));
        for _ in 0..2 {
            history.play(&Step::Pass(15_000));
            let open: Vec<_> = (0..history.sockets.len()).collect();
            open.iter().for_each(|n| history.play(&Step::Signal { socket: *n, to: None }));
        }
        history.play(&Step::Pass(15_000));
        let views: BTreeMap<usize, View> = history
            .heard
            .iter()
            .filter(|(n, _)| !history.streams.contains_key(n))
            .map(|(n, heard)| (*n, View::read(heard)))
            .filter(|(n, _)| history.rig.is_open(history.sockets[*n]))
            .collect();
        let streams = history.streams.iter();
        let streams = streams.filter(|(n, _)| history.rig.is_open(history.sockets[**n]));
        let streams: Vec<_> = streams.map(|(_, who)| NAMES[*who].to_owned()).collect();
        for view in views.values() {
            let others = views.values().filter(|other| other.me != view.me);
            let there = others.clone().map(|other| &other.me);
            let there: Vec<_> = there.chain(&streams).collect();
            let mut known: Vec<_> = view.peers.keys().collect();
            known.sort_by_key(|id| there.iter().position(|other| other == id));
            prop_assert_eq!(&known, &there, "{} lists {:?}", view.me, view.peers);
            for other in others {
                prop_assert_ne!(view.peers[&other.me], other.peers[&view.me], "roles of a pair");
            }
        }
    }

    #[test]
    fn a_room_behaves_the_same_when_it_was_evicted(
        steps in vec((step(), any::<bool>()), 1..60),
    ) {
        let (mut awake, mut asleep) = (History::new(), History::new());
        for (step, sleeps) in &steps {
            if *sleeps {
                asleep.rig.sleep();
            }
            awake.play(step);
            asleep.play(step);
            prop_assert_eq!(awake.without_ids(), asleep.without_ids());
            prop_assert_eq!(&awake.answers, &asleep.answers);
            prop_assert_eq!(awake.rig.len(), asleep.rig.len());
        }
    }

    #[test]
    fn a_room_stores_nothing_when_no_peer_is_lost_or_alone(
        steps in vec(step(), 1..60),
    ) {
        let mut history = History::new();
        // Two peers always stay, so no peer is ever alone.
        for who in [3, 4] {
            history.play(&Step::Join { who, key: None, token: None, meta: None, offers: false });
        }
        for step in &steps {
            match step {
                Step::Lose(_) | Step::GoAway(_) | Step::Jam(_) | Step::Register { .. } => {}
                Step::Close(n) if n % history.sockets.len() < 2 => {}
                Step::Join { who: 3 | 4, .. } | Step::Join { token: Some(_), .. } => {}
                Step::Remove(_) | Step::RemoveAll => {}
                step => history.play(step),
            }
        }
        prop_assert_eq!(history.rig.written().rows, 0);
    }
}
