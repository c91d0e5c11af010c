//! What is true of every history, however odd: random ones, played by the [`Rig`].
//!
//! The Rig itself checks each step: nothing is sent to a socket that is gone, no held signal is
//! swallowed, the alarm is right. Here is what holds over a whole history.

mod support;

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::Config;
use serde_json::Value;
use support::{Heard, LIMITS, Rig};

const NAMES: [&str; 5] = ["ann", "bob", "eve", "dan", "fay"];

/// One thing that clients, the network or time can do. Sockets are meant by their place among those
/// that were ever opened, so that the dead are talked about, too.
#[derive(Clone, Debug)]
enum Step {
    Join { who: usize, key: Option<usize> },
    Signal { socket: usize, to: Option<usize> },
    Babble { socket: usize, text: String },
    Close(usize),
    Lose(usize),
    Jam(usize),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let socket = || 0..40_usize;
    prop_oneof![
        4 => (0..5_usize, prop_oneof![3 => Just(None), 1 => (0..2_usize).prop_map(Some)])
            .prop_map(|(who, key)| Step::Join { who, key }),
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
    sockets: Vec<partyline::peer::Socket>,
    said: u64,
    heard: BTreeMap<usize, Vec<Heard>>,
}

impl History {
    fn new() -> Self {
        Self {
            rig: Rig::new(LIMITS),
            sockets: Vec::new(),
            said: 0,
            heard: BTreeMap::new(),
        }
    }

    fn take(&mut self, step: &Step) {
        let place = |n: usize| n.checked_rem(self.sockets.len());
        let socket = |n: usize| place(n).map(|n| self.sockets[n]);
        match step {
            Step::Join { who, key } => {
                let key = key.map(|key| ["one", "two"][key]);
                let joined = self.rig.join(NAMES[*who], key);
                self.sockets.push(joined);
            }
            Step::Signal { socket: n, to } => {
                if let Some(socket) = socket(*n) {
                    let to =
                        to.map(|to| format!(r#","to":"{}""#, NAMES.get(to).unwrap_or(&"nobody")));
                    let (to, said) = (to.unwrap_or_default(), self.said);
                    self.said += 1;
                    self.rig
                        .send(socket, &format!(r#"{{"type":"say"{to},"payload":{said}}}"#));
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
            self.heard
                .entry(n)
                .or_default()
                .extend(self.rig.heard(*socket));
        }
    }
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
            let kind = text("type");
            assert!(
                n > 0 || kind == "welcome" || kind == "error",
                "first comes a welcome: {text:?}",
                text = frame
            );
            match &*kind {
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
        for _ in 0..2 {
            history.take(&Step::Pass(15_000));
            let open: Vec<_> = (0..history.sockets.len()).collect();
            open.iter().for_each(|n| history.take(&Step::Signal { socket: *n, to: None }));
        }
        history.take(&Step::Pass(15_000));
        let views: BTreeMap<usize, View> = history
            .heard
            .iter()
            .map(|(n, heard)| (*n, View::read(heard)))
            .filter(|(n, _)| history.rig.is_open(history.sockets[*n]))
            .collect();
        for view in views.values() {
            let others = views.values().filter(|other| other.me != view.me);
            let there: Vec<_> = others.clone().map(|other| &other.me).collect();
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
                Step::Lose(_) | Step::Jam(_) => {}
                Step::Close(n) if n % history.sockets.len() < 2 => {}
                Step::Join { who: 3 | 4, .. } => {}
                step => history.take(step),
            }
        }
        prop_assert_eq!(history.rig.writes, 0);
    }
}
