//! Tests of rooms of PeerJS clients: signals that wait for peers, and what clients hear of each other.

use std::collections::BTreeMap;

use crate::rig::{LIMITS, Rig};
use partyline::core::event::{Effect, Event, Joining, Limits};
use partyline::core::notice::Notice;
use partyline::core::peer::{PeerId, Socket, Time};
use partyline::core::room::Room;
use partyline::dialect::Dialect;
use partyline::dialect::family::Family;
use partyline::edge::settings::Settings;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::Config;

const NAMES: [&str; 4] = ["ann", "bob", "eve", "dan"];

fn limits() -> Limits {
    let settings = Settings::read(|_| None).unwrap();
    let limits = settings.limits_of(Family::PeerJs);
    assert_eq!(limits.peers, 5_000);
    // A room that is full lets a newcomer replace a peer whose page goes away, unless it was evicted in
    // these two seconds. No eviction is that fast.
    Limits {
        peers: NAMES.len(),
        ..limits
    }
}

fn join(rig: &mut Rig, id: &str) -> Socket {
    rig.join_speaking(Dialect::PeerJs, id, Some(id))
}

fn offer(to: &str, payload: &str) -> String {
    format!(r#"{{"type":"OFFER","dst":"{to}","payload":{payload}}}"#)
}

fn expire(of: &str, to: &str) -> String {
    format!(r#"{{"type":"EXPIRE","src":"{of}","dst":"{to}"}}"#)
}

/// A room with ann, who has received `OPEN`.
fn ann() -> (Rig, Socket) {
    let mut rig = Rig::new(limits());
    let ann = join(&mut rig, "ann");
    assert_eq!(rig.frames(ann), [r#"{"type":"OPEN"}"#]);
    (rig, ann)
}

#[test]
fn a_peer_is_unavailable_after_five_to_six_seconds_and_once_for_all_its_signals() {
    for begin in [0, 1, 500, 999] {
        let (mut rig, ann) = ann();
        rig.pass(begin);
        for n in 0..3 {
            rig.send(ann, &offer("bob", &n.to_string()));
        }
        rig.pass(4_999);
        assert_eq!(rig.frames(ann), [""; 0], "{begin}");
        rig.pass(1_001);
        assert_eq!(rig.frames(ann), [expire("bob", "ann")], "{begin}");
    }
}

#[test]
fn signals_wait_for_a_peer_in_memory_only() {
    let (mut rig, ann) = ann();
    for second in 0..100 {
        for n in 0..10 {
            rig.send(ann, &offer(&format!("x{second}.{n}"), "1"));
            rig.pass(100);
        }
    }
    let written = rig.written();
    assert_eq!(written.rows, 0);
    // Each second has one alarm that is set, and one that is cleared with the storage.
    assert!(written.others <= 2 * 110, "{written:?}");
    rig.pass(10_000);
    assert_eq!(rig.alarm(), None);
}

#[test]
fn at_most_16_signals_of_a_peer_wait_and_the_others_are_refused_at_once() {
    let (mut rig, ann) = ann();
    let bob = join(&mut rig, "bob");
    rig.frames(bob);
    for n in 0..17 {
        rig.send(ann, &offer(&format!("x{n}"), "1"));
    }
    assert_eq!(rig.frames(ann), [expire("x16", "ann")]);
    rig.send(bob, &offer("x16", "1"));
    assert_eq!(rig.frames(bob), [""; 0], "each peer has its own limit");
    rig.pass(6_000);
    assert_eq!(rig.frames(ann).len(), 16);
    assert_eq!(rig.frames(bob).len(), 1);
    rig.send(ann, &offer("x16", "1"));
    assert_eq!(rig.frames(ann), [""; 0], "there is space again");
}

#[test]
fn at_most_256_kib_wait_in_a_room() {
    let mut rig = Rig::new(Limits {
        peers: 6,
        ..limits()
    });
    let text = format!(r#""{}""#, "x".repeat(60 * 1024));
    let senders = ["p1", "p2", "p3", "p4", "p5"].map(|id| join(&mut rig, id));
    for sender in senders {
        rig.frames(sender);
        rig.send(sender, &offer("bob", &text));
    }
    let frames = senders.map(|sender| rig.frames(sender).len());
    assert_eq!(frames, [0, 0, 0, 0, 1], "`EXPIRE` to the last one");
    let bob = join(&mut rig, "bob");
    assert_eq!(rig.frames(bob).len(), 1 + 4);
    rig.send(senders[4], &offer("eve", &text));
    assert_eq!(rig.frames(senders[4]), [""; 0], "there is space again");
}

#[test]
fn at_most_64_kib_of_a_peer_wait() {
    let (mut rig, ann) = ann();
    let text = |frame: &str| format!(r#""{}""#, "x".repeat(64 * 1024 - frame.len()));
    let largest = offer("bob", &text(&offer("bob", r#""""#)));
    assert_eq!(largest.len(), 64 * 1024);
    rig.send(ann, &largest);
    assert_eq!(rig.frames(ann), [""; 0], "the largest frame fits");
    rig.send(ann, &offer("eve", "1"));
    assert_eq!(rig.frames(ann), [expire("eve", "ann")]);
    let bob = join(&mut rig, "bob");
    assert_eq!(rig.frames(bob).len(), 1 + 1);
    rig.send(ann, &offer("eve", "1"));
    assert_eq!(rig.frames(ann), [""; 0], "there is space again");
}

#[test]
fn what_waits_is_forgotten_when_its_sender_leaves_or_is_removed() {
    let (mut rig, ann) = ann();
    rig.send(ann, &offer("bob", "1"));
    rig.close(ann);
    let bob = join(&mut rig, "bob");
    assert_eq!(rig.frames(bob), [r#"{"type":"OPEN"}"#]);
    rig.send(bob, &offer("ann", "1"));
    assert_eq!(rig.remove_all(), 1);
    let ann = join(&mut rig, "ann");
    assert_eq!(rig.frames(ann), [r#"{"type":"OPEN"}"#]);
    rig.pass(10_000);
    assert_eq!(rig.frames(ann), [""; 0]);
}

#[test]
fn what_waits_ends_although_the_clock_goes_backwards() {
    let (mut rig, ann) = ann();
    rig.send(ann, &offer("bob", "1"));
    rig.turn_clock_back(600_000);
    rig.pass(20_000);
    assert_eq!(rig.frames(ann), [expire("bob", "ann")]);
    assert_eq!(rig.alarm(), None);
}

#[test]
fn a_join_and_a_leave_send_nothing_to_the_others() {
    let mut room = Room::restore("demo", limits(), Time(0), [], []);
    let mut handle = |event| {
        let mut effects = Vec::new();
        room.handle(Time(0), event, &mut effects);
        let sends = effects.into_iter().filter_map(|effect| match effect {
            Effect::Send { to, notice, .. } => Some((to, notice)),
            _ => None,
        });
        sends.collect::<Vec<_>>()
    };
    for (n, name) in NAMES.into_iter().enumerate() {
        let socket = Socket(n as u64);
        let sends = handle(Event::Join(Box::new(Joining {
            socket,
            id: PeerId::parse(name).unwrap(),
            key: None,
            moves: None,
            expired: None,
            expires_at: None,
            meta: None,
            offer: Some("{}".to_owned()),
        })));
        let [(to, Notice::Welcome { peers, .. })] = &sends[..] else {
            panic!("{sends:?}");
        };
        assert_eq!((&to[..], peers.len()), (&[socket][..], 0));
    }
    assert_eq!(handle(Event::Closed(Socket(0))), []);
}

#[test]
fn a_signal_to_nobody_is_refused_at_once_in_other_families() {
    let mut rig = Rig::new(LIMITS);
    let ann = rig.join("ann", None);
    rig.frames(ann);
    rig.send(ann, r#"{"type":"offer","to":"bob"}"#);
    assert!(rig.frames(ann)[0].contains("no-such-peer"));
    assert_eq!(rig.alarm(), None);
}

/// An action of a client, the network or the clock. A socket is an index into all sockets so far.
#[derive(Clone, Debug)]
enum Step {
    Join(usize),
    Signal { socket: usize, to: usize },
    Leave { socket: usize, to: usize },
    Garbage { socket: usize, text: String },
    Close(usize),
    GoAway(usize),
    Lose(usize),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let socket = || 0..20_usize;
    let who = || 0..NAMES.len();
    prop_oneof![
        5 => who().prop_map(Step::Join),
        9 => (socket(), who()).prop_map(|(socket, to)| Step::Signal { socket, to }),
        1 => (socket(), who()).prop_map(|(socket, to)| Step::Leave { socket, to }),
        1 => (socket(), ".{0,20}").prop_map(|(socket, text)| Step::Garbage { socket, text }),
        2 => socket().prop_map(Step::Close),
        1 => socket().prop_map(Step::GoAway),
        2 => socket().prop_map(Step::Lose),
        4 => prop_oneof![Just(1), 100..3_000_u64, Just(5_000), Just(15_000)].prop_map(Step::Pass),
    ]
}

struct History {
    rig: Rig,
    /// Each WebSocket so far, and its peer.
    sockets: Vec<(Socket, usize)>,
    /// The number of signals sent, which is the payload of the next signal.
    count: usize,
    /// The sender and the receiver of each signal.
    sent: BTreeMap<usize, (usize, usize)>,
    heard: Vec<Vec<String>>,
}

impl History {
    fn new() -> Self {
        Self {
            rig: Rig::new(limits()),
            sockets: Vec::new(),
            count: 0,
            sent: BTreeMap::new(),
            heard: Vec::new(),
        }
    }

    fn play(&mut self, step: &Step) {
        let socket = |n: usize| n.checked_rem(self.sockets.len()).map(|n| self.sockets[n]);
        match step {
            Step::Join(who) => {
                let joined = join(&mut self.rig, NAMES[*who]);
                self.sockets.push((joined, *who));
                self.heard.push(Vec::new());
            }
            Step::Signal { socket: n, to } => {
                if let Some((socket, who)) = socket(*n)
                    && self.rig.is_open(socket)
                {
                    self.sent.insert(self.count, (who, *to));
                    self.rig
                        .send(socket, &offer(NAMES[*to], &self.count.to_string()));
                    self.count += 1;
                }
            }
            Step::Leave { socket: n, to } => {
                if let Some((socket, _)) = socket(*n) {
                    let frame = format!(r#"{{"type":"LEAVE","dst":"{}"}}"#, NAMES[*to]);
                    self.rig.send(socket, &frame);
                }
            }
            Step::Garbage { socket: n, text } => {
                if let Some((socket, _)) = socket(*n) {
                    self.rig.send(socket, text);
                }
            }
            Step::Close(n) => drop(socket(*n).map(|(socket, _)| self.rig.close(socket))),
            Step::GoAway(n) => drop(socket(*n).map(|(socket, _)| self.rig.go_away(socket))),
            Step::Lose(n) => drop(socket(*n).map(|(socket, _)| self.rig.lose(socket))),
            Step::Pass(millis) => self.rig.pass(*millis),
        }
        for (n, (socket, _)) in self.sockets.iter().enumerate() {
            self.heard[n].extend(self.rig.frames(*socket));
        }
    }

    /// Returns the frames of all peers with this name.
    fn heard_by(&self, who: usize) -> impl Iterator<Item = &String> {
        let sockets = self.sockets.iter().enumerate();
        let same = sockets.filter(move |(_, (_, name))| *name == who);
        same.flat_map(|(n, _)| &self.heard[n])
    }
}

proptest! {
    #![proptest_config(Config { cases: 4_000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn every_signal_arrives_once_or_expires_or_its_sender_leaves(
        steps in vec(step(), 1..60),
    ) {
        let mut history = History::new();
        for step in &steps {
            history.play(step);
        }
        // The last grace period and the last wait end.
        history.play(&Step::Pass(30_000));
        let has_left = steps.iter().any(|step| {
            matches!(step, Step::Close(_) | Step::GoAway(_) | Step::Lose(_))
        });
        for (n, (from, to)) in &history.sent {
            let frame = format!(
                r#"{{"type":"OFFER","src":"{}","dst":"{}","payload":{n}}}"#,
                NAMES[*from], NAMES[*to]
            );
            let arrived = history.heard_by(*to).filter(|heard| **heard == frame).count();
            let expired = expire(NAMES[*to], NAMES[*from]);
            let has_expired = history.heard_by(*from).any(|heard| *heard == expired);
            prop_assert!(arrived <= 1);
            prop_assert!(arrived == 1 || has_expired || has_left, "{frame}");
            for who in (0..NAMES.len()).filter(|who| who != to) {
                prop_assert!(history.heard_by(who).all(|heard| *heard != frame));
            }
        }
        prop_assert_eq!(history.rig.alarm(), None);
    }

    #[test]
    fn a_client_hears_nothing_but_signals_to_it(steps in vec(step(), 1..60)) {
        let mut history = History::new();
        for step in &steps {
            history.play(step);
        }
        for (n, (_, who)) in history.sockets.iter().enumerate() {
            prop_assert_eq!(&history.heard[n][0], r#"{"type":"OPEN"}"#);
            for frame in &history.heard[n][1..] {
                let to = format!(r#""dst":"{}""#, NAMES[*who]);
                prop_assert!(frame.contains(&to), "{frame}");
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
                // The platform evicts a room after ten seconds without an event.
                awake.play(&Step::Pass(10_000));
                asleep.play(&Step::Pass(10_000));
                asleep.rig.sleep();
            }
            awake.play(step);
            asleep.play(step);
            prop_assert_eq!(&awake.heard, &asleep.heard);
            prop_assert_eq!(awake.rig.len(), asleep.rig.len());
        }
    }

    #[test]
    fn a_room_stores_nothing_when_no_peer_is_lost(steps in vec(step(), 1..60)) {
        let mut history = History::new();
        for step in &steps {
            match step {
                Step::Lose(_) | Step::GoAway(_) => {}
                step => history.play(step),
            }
        }
        prop_assert_eq!(history.rig.written().rows, 0);
    }
}
