//! Random histories of several streams, with breaks at any frame.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::Config;

use crate::rig::{Heard, Rig, events};
use partyline::core::event::Limits;
use partyline::core::peer::Socket;

const LIMITS: Limits = Limits {
    peers: 16,
    viewers: 16,
    grace: 15_000,
    hold: 120_000,
    hides_peers: false,
    group: 4,
    await_peer: 0,
};
const STREAMS: [&str; 3] = ["bob", "cat", "dan"];
const GUESTS: [&str; 3] = ["x", "y", "z"];
const SIZES: [usize; 5] = [0, 900, 3_000, 7_500, 20_000];

#[derive(Clone, Debug)]
enum Life {
    /// ann or a guest sends to a stream, or to all.
    Signal {
        from: usize,
        to: Option<usize>,
        size: usize,
    },
    /// A stream peer posts to another or to all.
    Post {
        from: usize,
        to: Option<usize>,
        size: usize,
    },
    Guest(usize),
    Break {
        who: usize,
        lost: usize,
        noticed: bool,
    },
    Jam(usize),
    Resume(usize),
    Fresh(usize),
    Register(usize),
    TakeOver(usize),
    Pass(u64),
    Back(u64),
}

fn life() -> impl Strategy<Value = (Life, bool)> {
    let s = || 0..3_usize;
    let to = || prop_oneof![1 => Just(None), 3 => (0..3_usize).prop_map(Some)];
    let size = || 0..5_usize;
    let life = prop_oneof![
        6 => (0..4_usize, to(), size()).prop_map(|(from, to, size)| Life::Signal { from, to, size }),
        2 => (s(), to(), size()).prop_map(|(from, to, size)| Life::Post { from, to, size }),
        3 => (0..3_usize).prop_map(Life::Guest),
        4 => (s(), 0..6_usize, any::<bool>())
            .prop_map(|(who, lost, noticed)| Life::Break { who, lost, noticed }),
        1 => s().prop_map(Life::Jam),
        4 => s().prop_map(Life::Resume),
        1 => s().prop_map(Life::Fresh),
        1 => s().prop_map(Life::Register),
        1 => s().prop_map(Life::TakeOver),
        3 => prop_oneof![Just(1), Just(900), 1_000..7_000_u64, Just(14_000)].prop_map(Life::Pass),
        1 => (1..20_000_u64).prop_map(Life::Back),
    ];
    (life, prop_oneof![3 => Just(false), 1 => Just(true)])
}

struct Client {
    id: &'static str,
    socket: Option<Socket>,
    plain: bool,
    /// Frames: arrival time, id, data.
    got: Vec<(u64, u64, Vec<String>)>,
    last: u64,
    broken_since: Option<u64>,
    /// Signals that may be repeated from here on, because the client opened without an id.
    repeats: bool,
    /// Signals that may be lost, because the client started anew: their sender must be told.
    excused: BTreeSet<u64>,
    expected: Vec<u64>,
    view: BTreeSet<String>,
    /// The view is unknown, since the client opened a stream without an id.
    blind: bool,
    seen: Vec<u64>,
}

impl Client {
    fn read(&mut self, rig: &mut Rig, clock: u64) {
        let Some(socket) = self.socket else { return };
        for heard in rig.heard(socket) {
            let Heard::Frame(text) = heard else { continue };
            if self.plain {
                self.plain_frame(&text);
                continue;
            }
            let (ids, data): (Vec<_>, Vec<_>) = events(&text).into_iter().unzip();
            let Some(id) = ids.last().copied().flatten() else {
                panic!("no id: {text}")
            };
            let data: Vec<_> = data.into_iter().flatten().collect();
            self.got.push((clock, id, data));
        }
    }

    fn plain_frame(&mut self, text: &str) {
        let frame: serde_json::Value = serde_json::from_str(text).unwrap();
        match frame["type"].as_str().unwrap() {
            "welcome" => {
                self.view.clear();
                for peer in frame["peers"].as_array().unwrap() {
                    self.view.insert(peer["id"].as_str().unwrap().to_owned());
                }
            }
            "peer-joined" => drop(self.view.insert(frame["id"].as_str().unwrap().to_owned())),
            "peer-left" => drop(self.view.remove(frame["id"].as_str().unwrap())),
            "say" => self.seen.push(frame["payload"]["n"].as_u64().unwrap()),
            _ => {}
        }
    }

    /// The first event of a new stream certainly arrives, because a client without it does not know
    /// that the stream opened.
    fn opened(&mut self, rig: &mut Rig, clock: u64) {
        self.broken_since = None;
        self.read(rig, clock);
        let (_, id, data) = self.got.remove(0);
        assert_eq!(data, [] as [String; 0]);
        self.last = id;
    }

    #[allow(dead_code)]
    fn last(&self) -> u64 {
        self.got.last().map_or(self.last, |(_, id, _)| *id)
    }

    /// Takes everything that arrived for certain into account.
    fn digest(&mut self) {
        for (_, id, data) in std::mem::take(&mut self.got) {
            self.last = id;
            for data in data {
                let event: serde_json::Value = serde_json::from_str(&data).unwrap();
                let sender = || event["senderId"].as_str().unwrap().to_owned();
                match event["type"].as_str().unwrap() {
                    "new-peer" => {
                        let new = self.view.insert(sender());
                        assert!(new || self.blind, "{}: {} joined twice", self.id, sender());
                    }
                    "peer-left" => {
                        let known = self.view.remove(&sender());
                        assert!(known || self.blind, "{}: {} left twice", self.id, sender());
                    }
                    "say" => {
                        let n = event["payload"]["n"].as_u64().unwrap();
                        if self.repeats && self.seen.contains(&n) {
                            continue;
                        }
                        assert!(!self.seen.contains(&n), "{}: {n} is repeated", self.id);
                        self.seen.push(n);
                    }
                    "error" => {}
                    other => panic!("{other}"),
                }
            }
        }
    }
}

fn config() -> Config {
    Config {
        cases: 1_000,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Config::default()
    }
}

fn play(lives: &[(Life, bool)]) {
    let mut rig = Rig::new(LIMITS);
    rig.pass(100_000);
    let mut clock = 0;
    let ann = rig.join("ann", None);
    let mut clients: Vec<Client> = STREAMS
        .iter()
        .map(|id| {
            let peers = rig.register(id, None).unwrap();
            let socket = rig.open_stream(id, None, None).unwrap();
            Client {
                id,
                socket: Some(socket),
                plain: false,
                got: Vec::new(),
                last: 0,
                broken_since: None,
                repeats: false,
                excused: BTreeSet::new(),
                expected: Vec::new(),
                view: peers.iter().map(|(id, _)| id.to_string()).collect(),
                blind: false,
                seen: Vec::new(),
            }
        })
        .collect();
    for client in &mut clients {
        client.opened(&mut rig, 0);
    }
    let mut guests: BTreeMap<usize, Socket> = BTreeMap::new();
    let mut bytes = 0;
    for (n, (life, sleeps)) in lives.iter().enumerate() {
        let n64 = n as u64;
        if *sleeps {
            rig.pass(1);
            rig.sleep();
        }
        let mut signal = |to: Option<usize>, target: &str, size: usize| {
            let mut size = SIZES[size];
            if bytes + size > 150_000 {
                size = 0;
            }
            bytes += size;
            let to = to.map_or_else(String::new, |to| {
                format!(r#","{target}":"{}""#, STREAMS[to])
            });
            let pad = "x".repeat(size);
            format!(r#"{{"type":"say"{to},"payload":{{"n":{n},"p":"{pad}"}}}}"#)
        };
        match life {
            Life::Signal { from, to, size } => {
                let socket = if *from == 3 {
                    Some(ann)
                } else {
                    guests.get(from).copied()
                };
                let socket = socket.unwrap_or(ann);
                rig.send(socket, &signal(*to, "to", *size));
                for (c, client) in clients.iter_mut().enumerate() {
                    if to.is_none_or(|to| to == c) {
                        client.expected.push(n64);
                    }
                }
            }
            Life::Post { from, to, size } => {
                if clients[*from].plain {
                    continue;
                }
                let body = signal(*to, "target", *size);
                rig.post(STREAMS[*from], None, &body).unwrap();
                for (c, client) in clients.iter_mut().enumerate() {
                    if to.map_or(c != *from, |to| to == c) {
                        client.expected.push(n64);
                    }
                }
            }
            Life::Guest(g) => match guests.remove(g) {
                Some(socket) => rig.close(socket),
                None => drop(guests.insert(*g, rig.join(GUESTS[*g], None))),
            },
            Life::Break { who, lost, noticed } => {
                let client = &mut clients[*who];
                client.read(&mut rig, clock);
                if client.plain {
                    continue;
                }
                if let Some(socket) = client.socket.take() {
                    // Frames of the last 10 seconds may be lost.
                    for _ in 0..*lost {
                        if client
                            .got
                            .last()
                            .is_some_and(|(at, ..)| at + 9_999 >= clock)
                        {
                            client.got.pop();
                        }
                    }
                    client.digest();
                    client.broken_since = Some(clock);
                    if *noticed {
                        rig.lose(socket);
                    }
                }
            }
            Life::Jam(who) => {
                let client = &mut clients[*who];
                client.read(&mut rig, clock);
                if let Some(socket) = client.socket.take() {
                    client.digest();
                    client.broken_since = Some(clock);
                    rig.jam(socket);
                    if client.plain {
                        rig.lose(socket);
                    }
                }
            }
            Life::Resume(who) => resume(&mut clients[*who], &mut rig, clock),
            Life::Fresh(who) => {
                let client = &mut clients[*who];
                client.read(&mut rig, clock);
                client.digest();
                if client.plain {
                    continue;
                }
                client.repeats = true;
                client.blind = true;
                client.socket = Some(rig.open_stream(client.id, None, None).unwrap());
                client.opened(&mut rig, clock);
            }
            Life::Register(who) => {
                let client = &mut clients[*who];
                client.read(&mut rig, clock);
                client.digest();
                let peers = rig.register(client.id, None).unwrap();
                client.view = peers.iter().map(|(id, _)| id.to_string()).collect();
                client.blind = false;
                client.plain = false;
                let missing: Vec<_> = client.expected.clone();
                let missing = missing.into_iter().filter(|n| !client.seen.contains(n));
                client.excused.extend(missing.collect::<Vec<_>>());
                client.socket = Some(rig.open_stream(client.id, None, None).unwrap());
                client.opened(&mut rig, clock);
            }
            Life::TakeOver(who) => {
                let client = &mut clients[*who];
                client.read(&mut rig, clock);
                client.digest();
                let missing: Vec<_> = client.expected.clone();
                let missing = missing.into_iter().filter(|n| !client.seen.contains(n));
                client.excused.extend(missing.collect::<Vec<_>>());
                client.plain = true;
                client.socket = Some(rig.join(client.id, None));
                client.broken_since = None;
                client.read(&mut rig, clock);
            }
            Life::Pass(millis) => {
                for client in &mut clients {
                    if client
                        .broken_since
                        .is_some_and(|at| at + LIMITS.grace <= clock + millis)
                    {
                        resume(client, &mut rig, clock);
                    }
                }
                rig.pass(*millis);
                clock += millis;
            }
            Life::Back(millis) => rig.turn_clock_back((*millis).min(rig.now.0 - 1_000_000)),
        }
        for client in &mut clients {
            client.read(&mut rig, clock);
        }
    }
    for client in &mut clients {
        if client.socket.is_none() {
            resume(client, &mut rig, clock);
        }
        client.read(&mut rig, clock);
        client.digest();
        let missing: Vec<_> = client
            .expected
            .iter()
            .filter(|n| !client.seen.contains(n) && !client.excused.contains(n))
            .collect();
        assert!(missing.is_empty(), "{}: {missing:?} are lost", client.id);
        assert!(
            client.repeats || client.seen.is_sorted(),
            "{}: {:?} are out of order",
            client.id,
            client.seen
        );
    }
    let mut all: BTreeSet<_> = STREAMS.iter().map(|id| (*id).to_owned()).collect();
    all.insert("ann".to_owned());
    all.extend(guests.keys().map(|g| GUESTS[*g].to_owned()));
    for client in &mut clients {
        let mut others = all.clone();
        others.remove(client.id);
        assert!(
            client.blind || client.view == others,
            "{}: {:?} instead of {others:?}",
            client.id,
            client.view
        );
    }
    // Everything is erased when all have left.
    for client in &mut clients {
        if let Some(socket) = client.socket.take() {
            rig.lose(socket);
        }
    }
    rig.pass(60_000);
    for (_, socket) in guests {
        rig.close(socket);
    }
    rig.close(ann);
    rig.pass(60_000);
    assert_eq!(rig.len(), 0);
    let before = rig.written().rows;
    let eve = rig.join("eve", None);
    let dan = rig.join("new", None);
    rig.close(eve);
    rig.close(dan);
    assert_eq!(rig.written().rows, before);
}

fn resume(client: &mut Client, rig: &mut Rig, clock: u64) {
    client.read(rig, clock);
    if client.plain {
        if client.socket.is_none() {
            client.socket = Some(rig.join(client.id, None));
            client.broken_since = None;
            client.read(rig, clock);
        }
        return;
    }
    client.digest();
    let socket = rig.open_stream(client.id, None, Some(client.last));
    client.socket = Some(socket.expect("the stream can be resumed"));
    client.opened(rig, clock);
}

#[test]
fn an_alarm_that_a_restored_room_did_not_set_ends_no_grace_period() {
    let large = Life::Post {
        from: 0,
        to: None,
        size: 3,
    };
    let to_all = Life::Signal {
        from: 0,
        to: None,
        size: 0,
    };
    let breaks = Life::Break {
        who: 1,
        lost: 0,
        noticed: true,
    };
    play(&[
        (Life::Back(35_000), false),
        (large, false),
        (Life::Pass(14_000), false),
        (breaks, false),
        (to_all, true),
        (Life::Pass(14_000), false),
    ]);
}

#[test]
fn a_leave_that_a_new_stream_gets_again_is_kept_in_the_row() {
    let to_all = || Life::Signal {
        from: 0,
        to: None,
        size: 0,
    };
    let breaks = |noticed| Life::Break {
        who: 0,
        lost: 3,
        noticed,
    };
    let lives = [
        to_all(),
        to_all(),
        breaks(false),
        to_all(),
        Life::Resume(0),
        breaks(false),
        Life::Resume(0),
        Life::Fresh(0),
        breaks(true),
        Life::Guest(0),
    ];
    play(&lives.map(|life| (life, false)));
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn streams_lose_nothing_and_repeat_nothing(lives in vec(life(), 1..60)) {
        play(&lives);
    }
}
