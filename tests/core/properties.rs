//! What is true of every history, however odd: random ones, played by the [`Rig`].
//!
//! The Rig itself checks each step: nothing is sent to a socket that is gone, no held signal is
//! swallowed, the alarm is right. Here is what holds over a whole history.

use std::collections::BTreeMap;

use crate::rig::{Heard, LIMITS, Rig, event};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::Config;
use serde_json::Value;

const NAMES: [&str; 5] = ["ann", "bob", "eve", "dan", "fay"];

/// One thing that clients, the network or time can do. Sockets are meant by their place among those
/// that were ever opened, so that the dead are talked about, too.
#[derive(Clone, Debug)]
enum Step {
    Join {
        who: usize,
        key: Option<usize>,
    },
    Register {
        who: usize,
        key: Option<usize>,
    },
    /// Opens a stream, to go on so many events before the last that came, or anew.
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
    Babble {
        socket: usize,
        text: String,
    },
    Close(usize),
    Lose(usize),
    Jam(usize),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let socket = || 0..40_usize;
    let who = || 0..5_usize;
    let key = || prop_oneof![3 => Just(None), 1 => (0..2_usize).prop_map(Some)];
    prop_oneof![
        4 => (who(), key()).prop_map(|(who, key)| Step::Join { who, key }),
        2 => (who(), key()).prop_map(|(who, key)| Step::Register { who, key }),
        3 => (who(), proptest::option::of(0..4_usize))
            .prop_map(|(who, back)| Step::Open { who, back }),
        4 => (who(), proptest::option::of(0..6_usize))
            .prop_map(|(who, to)| Step::Post { who, to }),
        8 => (socket(), prop_oneof![1 => Just(None), 3 => (0..6_usize).prop_map(Some)])
            .prop_map(|(socket, to)| Step::Signal { socket, to }),
        1 => (socket(), ".{0,20}").prop_map(|(socket, text)| Step::Babble { socket, text }),
        2 => socket().prop_map(Step::Close),
        3 => socket().prop_map(Step::Lose),
        1 => socket().prop_map(Step::Jam),
        3 => prop_oneof![Just(0), Just(1), 100..9_000_u64, Just(14_999), Just(15_000), Just(120_000)]
            .prop_map(Step::Pass),
    ]
}

/// A rig, and what has been opened and said in it.
struct History {
    rig: Rig,
    sockets: Vec<partyline::core::peer::Socket>,
    said: u64,
    heard: BTreeMap<usize, Vec<Heard>>,
    /// Whose stream is at the end of a socket.
    streams: BTreeMap<usize, usize>,
    /// The numbers of the events that each peer has got.
    numbers: BTreeMap<usize, Vec<u64>>,
    /// What was answered to those who speak HTTP.
    answers: Vec<String>,
}

impl History {
    fn new() -> Self {
        Self {
            rig: Rig::new(LIMITS),
            sockets: Vec::new(),
            said: 0,
            heard: BTreeMap::new(),
            streams: BTreeMap::new(),
            numbers: BTreeMap::new(),
            answers: Vec::new(),
        }
    }

    fn take(&mut self, step: &Step) {
        // No two things happen at the very same time.
        self.rig.pass(1);
        let place = |n: usize| n.checked_rem(self.sockets.len());
        let socket = |n: usize| place(n).map(|n| self.sockets[n]);
        match step {
            Step::Join { who, key } => {
                let key = key.map(|key| ["one", "two"][key]);
                let joined = self.rig.join(NAMES[*who], key);
                self.sockets.push(joined);
            }
            Step::Register { who, key } => {
                let key = key.map(|key| ["one", "two"][key]);
                let answer = self.rig.register(NAMES[*who], key);
                self.answers.push(format!("{answer:?}"));
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
                let body = say("target", *to, self.said);
                self.said += 1;
                let answer = self.rig.post(NAMES[*who], None, &body);
                self.answers.push(format!("{answer:?}"));
            }
            Step::Signal { socket: n, to } => {
                if let Some(socket) = socket(*n) {
                    let frame = say("to", *to, self.said);
                    self.said += 1;
                    self.rig.send(socket, &frame);
                }
            }
            Step::Babble { socket: n, text } => {
                socket(*n)
                    .into_iter()
                    .for_each(|socket| self.rig.send(socket, text));
            }
            Step::Close(n) => socket(*n)
                .into_iter()
                .for_each(|socket| self.rig.close(socket)),
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
                    Heard::Frame(text) => event(text).0,
                    Heard::Closed(_) => None,
                }));
            }
            self.heard.entry(n).or_default().extend(heard);
        }
    }
}

fn say(receiver: &str, to: Option<usize>, said: u64) -> String {
    let to = to.map(|to| NAMES.get(to).unwrap_or(&"nobody"));
    let to = to.map_or_else(String::new, |to| format!(r#","{receiver}":"{to}""#));
    format!(r#"{{"type":"say"{to},"payload":{said}}}"#)
}

/// What one socket knows of the room, from its frames alone.
#[derive(Default)]
struct View {
    me: String,
    /// Who is there, and whether the reader is polite to them.
    peers: BTreeMap<String, bool>,
    /// The last thing heard from each.
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
                "first comes a welcome: {text:?}",
                text = frame
            );
            match &*signal_type {
                "welcome" => {
                    assert_eq!(n, 0, "one welcome a socket");
                    view.me = text("id");
                    for peer in frame["peers"].as_array().expect("a list") {
                        let id = peer["id"].as_str().expect("an id").to_owned();
                        view.peers
                            .insert(id, peer["polite"].as_bool().expect("a role"));
                    }
                }
                "peer-joined" => {
                    let polite = frame["polite"].as_bool().expect("a role");
                    assert!(polite, "who was there first is polite");
                    assert_eq!(view.peers.insert(text("id"), polite), None, "joined twice");
                }
                "peer-left" => assert!(view.peers.remove(&text("id")).is_some(), "left twice"),
                "error" => {}
                "say" => {
                    let said = frame["payload"].as_u64().expect("a number");
                    if let Some(before) = view.last.insert(text("from"), said) {
                        assert!(before < said, "{before} came before {said}");
                    }
                }
                other => panic!("nobody says {other}"),
            }
        }
        view
    }
}

fn config() -> Config {
    // A failing history is printed; nothing is written beside the sources.
    Config {
        cases: 20_000,
        failure_persistence: None,
        ..Config::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_peer_knows_who_is_there_and_the_two_of_a_pair_have_opposite_roles(
        steps in vec(step(), 1..60),
    ) {
        let mut history = History::new();
        steps.iter().for_each(|step| history.take(step));
        // Let all that are lost be lost, and those that are jammed be found out.
        history.take(&Step::Pass(30_000));
        for _ in 0..2 {
            history.take(&Step::Pass(15_000));
            let open: Vec<_> = (0..history.sockets.len()).collect();
            open.iter().for_each(|n| history.take(&Step::Signal { socket: *n, to: None }));
        }
        history.take(&Step::Pass(15_000));
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
            prop_assert_eq!(&known, &there, "{} knows {:?}", view.me, view.peers);
            for other in others {
                prop_assert_ne!(view.peers[&other.me], other.peers[&view.me], "roles of a pair");
            }
        }
    }

    #[test]
    fn a_room_that_slept_cannot_be_told_from_one_that_did_not(
        steps in vec((step(), any::<bool>()), 1..60),
    ) {
        let (mut awake, mut asleep) = (History::new(), History::new());
        for (step, sleeps) in &steps {
            if *sleeps {
                asleep.rig.sleep();
            }
            awake.take(step);
            asleep.take(step);
            prop_assert_eq!(&awake.heard, &asleep.heard);
            prop_assert_eq!(&awake.answers, &asleep.answers);
            prop_assert_eq!(awake.rig.len(), asleep.rig.len());
        }
    }

    #[test]
    fn a_room_of_peers_that_come_and_go_politely_writes_nothing(
        steps in vec(step(), 1..60),
    ) {
        let mut history = History::new();
        // Two that stay, so that nobody is ever alone.
        history.take(&Step::Join { who: 3, key: None });
        history.take(&Step::Join { who: 4, key: None });
        for step in &steps {
            match step {
                Step::Lose(_) | Step::Jam(_) | Step::Register { .. } => {}
                Step::Close(n) if n % history.sockets.len() < 2 => {}
                Step::Join { who: 3 | 4, .. } => {}
                step => history.take(step),
            }
        }
        prop_assert_eq!(history.rig.writes(), 0);
    }
}

/// What happens to a peer that listens to a stream.
#[derive(Clone, Debug)]
enum Life {
    /// Somebody tells it something, or all.
    Say {
        all: bool,
    },
    /// Somebody joins or leaves.
    Guest,
    /// Its stream breaks; so many of the events that came last did not come after all, and the room
    /// hears of it or does not.
    Break {
        lost: usize,
        noticed: bool,
    },
    /// It opens its stream again.
    Resume,
    /// The room is dropped and built again.
    Sleep,
    Pass(u64),
}

fn life() -> impl Strategy<Value = Life> {
    prop_oneof![
        6 => any::<bool>().prop_map(|all| Life::Say { all }),
        1 => Just(Life::Guest),
        3 => (0..4_usize, any::<bool>()).prop_map(|(lost, noticed)| Life::Break { lost, noticed }),
        2 => Just(Life::Resume),
        2 => Just(Life::Sleep),
        3 => prop_oneof![Just(1), Just(900), 1_000..7_000_u64].prop_map(Life::Pass),
    ]
}

/// A client with a stream: what it has read of it, and from where it would go on.
struct Listener {
    socket: Option<partyline::core::peer::Socket>,
    got: Vec<(u64, String)>,
    /// How many of those may still be under way: nothing has happened since they were sent.
    fresh: usize,
    last: u64,
    broken: u64,
}

impl Listener {
    fn read(&mut self, rig: &mut Rig) {
        let Some(socket) = self.socket else { return };
        for heard in rig.heard(socket) {
            let Heard::Frame(text) = heard else {
                panic!("{heard:?} though nobody else has opened its stream")
            };
            match event(&text) {
                (Some(number), Some(data)) => {
                    self.got.push((number, data));
                    self.fresh += 1;
                }
                (Some(number), None) => self.last = number,
                other => panic!("{other:?} is no event"),
            }
        }
    }

    fn last(&self) -> u64 {
        self.got
            .last()
            .map_or(self.last, |(number, _)| (*number).max(self.last))
    }

    fn resume(&mut self, rig: &mut Rig) {
        // An older socket that the room took for open is closed by this: nobody reads it.
        let socket = rig.open_stream("bob", None, Some(self.last()));
        self.socket = Some(socket.expect("the stream is the same"));
        self.broken = 0;
        self.fresh = 0;
        self.read(rig);
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_stream_that_breaks_anywhere_loses_nothing_and_brings_nothing_twice(
        lives in vec(life(), 1..50),
    ) {
        let mut rig = Rig::new(LIMITS);
        let ann = rig.join("ann", None);
        rig.register("bob", None).unwrap();
        let socket = Some(rig.open_stream("bob", None, None).unwrap());
        let mut bob = Listener {
            socket,
            got: Vec::new(),
            fresh: 0,
            last: 0,
            broken: 0,
        };
        bob.read(&mut rig);
        let (mut told, mut guest) = (Vec::new(), None);
        for (n, life) in lives.iter().enumerate() {
            match life {
                Life::Say { all } => {
                    let to = if *all { "" } else { r#","to":"bob""# };
                    rig.send(ann, &format!(r#"{{"type":"say"{to},"payload":{n}}}"#));
                    told.push(format!(r#"{{"type":"say","payload":{n},"senderId":"ann"}}"#));
                }
                Life::Guest => match guest.take() {
                    Some(socket) => {
                        rig.close(socket);
                        told.push(r#"{"type":"peer-left","senderId":"eve"}"#.to_owned());
                    }
                    None => {
                        guest = Some(rig.join("eve", None));
                        told.push(r#"{"type":"new-peer","senderId":"eve"}"#.to_owned());
                    }
                },
                Life::Break { lost, noticed } => {
                    if let Some(socket) = bob.socket.take() {
                        bob.broken = 0;
                        let lost = *lost.min(&bob.fresh);
                        bob.got.truncate(bob.got.len() - lost);
                        if *noticed {
                            rig.lose(socket);
                        }
                    }
                }
                Life::Resume => bob.resume(&mut rig),
                Life::Sleep => rig.sleep(),
                Life::Pass(millis) => {
                    // A break that is as long as the grace is another story.
                    if bob.socket.is_none() && bob.broken + millis >= LIMITS.grace {
                        bob.resume(&mut rig);
                    }
                    rig.pass(*millis);
                    bob.fresh = 0;
                    bob.broken += millis;
                }
            }
            bob.read(&mut rig);
        }
        bob.resume(&mut rig);
        let got: Vec<_> = bob.got.into_iter().map(|(_, data)| data).collect();
        prop_assert_eq!(got, told);
    }
}
