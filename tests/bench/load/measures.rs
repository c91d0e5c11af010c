//! What is measured. Each measure uses rooms of its own, and leaves none behind.
//!
//! No peer sends more than 200 frames in one measure: that is the burst that partyline allows.

use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::process::{cpu, memory};
use crate::room::{Room, mark};
use crate::speech::{Kind, Speech};

/// Where a server is.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Server {
    pub(crate) pid: u32,
    pub(crate) port: u16,
    pub(crate) speech: Speech,
}

/// What is asked for: one line of JSON.
#[derive(Debug, Deserialize)]
#[serde(
    tag = "measure",
    rename_all = "lowercase",
    rename_all_fields = "camelCase"
)]
pub(crate) enum Measure {
    /// Rooms of two, all of which signal at once: processor time a signal.
    Signals {
        server: Server,
        kind: Kind,
        rooms: usize,
        each: usize,
    },
    /// Rooms of two that send a signal and wait for the answer, so many times a second in all.
    Latency {
        server: Server,
        per_second: f64,
        trips: usize,
    },
    /// Rooms of two that fill and empty: processor time and memory a connection.
    Connections { server: Server, rooms: usize },
    /// Two joins, offer, answer, 16 candidates, two leaves.
    Introductions { server: Server, count: usize },
    /// Rooms of two that sleep, in several servers at the same time.
    Idle {
        servers: Vec<Server>,
        rooms: usize,
        seconds: u64,
    },
    /// One room that grows.
    Growth { server: Server, sizes: Vec<usize> },
    /// Very many that join one room at once, and a pair in another room that goes on talking.
    Storm { server: Server, peers: usize },
}

pub(crate) fn perform(measure: &Measure) -> Value {
    match *measure {
        Measure::Signals {
            server,
            kind,
            rooms,
            each,
        } => signals(server, kind, rooms, each),
        Measure::Latency {
            server,
            per_second,
            trips,
        } => latency(server, per_second, trips),
        Measure::Connections { server, rooms } => connections(server, rooms),
        Measure::Introductions { server, count } => introductions(server, count),
        Measure::Idle {
            ref servers,
            rooms,
            seconds,
        } => idle(servers, rooms, seconds),
        Measure::Growth { server, ref sizes } => growth(server, sizes),
        Measure::Storm { server, peers } => storm(server, peers),
    }
}

fn signals(server: Server, kind: Kind, rooms: usize, each: usize) -> Value {
    let mut rooms = Room::filled(server, rooms, 2);
    exchange(&mut rooms, kind, each.div_ceil(10));
    let (used, start) = (cpu(server.pid), Instant::now());
    exchange(&mut rooms, kind, each);
    let (used, took) = (cpu(server.pid) - used, start.elapsed());
    let count = (rooms.len() * each * 2) as f64;
    empty(&mut rooms);
    json!({ "cpu": used / count, "perSecond": count / took.as_secs_f64() })
}

/// Each peer of each room sends so many signals, in turns.
fn exchange(rooms: &mut [Room], kind: Kind, each: usize) {
    for turn in 0..each * 2 {
        let (from, to) = (turn % 2, 1 - turn % 2);
        let marks: Vec<_> = rooms
            .iter_mut()
            .map(|room| room.send(kind, from, to))
            .collect();
        for (room, mark) in rooms.iter_mut().zip(marks) {
            room.lines[to].until(&mark);
        }
    }
}

fn latency(server: Server, per_second: f64, trips: usize) -> Value {
    let rooms = Room::filled(server, 50, 2);
    let pause = Duration::from_secs_f64(rooms.len() as f64 / (per_second / 2.0));
    let start = Instant::now();
    let threads = rooms.into_iter().enumerate().map(|(place, room)| {
        let start = start + pause.mul_f64(place as f64 / 50.0);
        thread::spawn(move || round_trips(room, start, pause, trips))
    });
    let threads: Vec<_> = threads.collect();
    let times = threads
        .into_iter()
        .flat_map(|thread| thread.join().unwrap());
    percentiles(times.collect())
}

/// One peer sends at its times and waits for the answer; the other answers at once.
fn round_trips(mut room: Room, start: Instant, pause: Duration, trips: usize) -> Vec<f64> {
    let speech = room.server.speech;
    let marks: Vec<_> = (0..trips).map(|_| (mark(), mark())).collect();
    let frame =
        |to, mark: &str| speech.signal(Kind::Candidate, &room.name, Some(&Room::id(to)), mark);
    let there: Vec<_> = marks.iter().map(|(mark, _)| frame(1, mark)).collect();
    let back: Vec<_> = marks.iter().map(|(_, mark)| frame(0, mark)).collect();
    let (mut bob, mut ann) = (room.lines.pop().unwrap(), room.lines.pop().unwrap());
    let (asked, answered): (Vec<_>, Vec<_>) = marks.into_iter().unzip();
    let bob = thread::spawn(move || {
        for (asked, answer) in asked.iter().zip(&back) {
            bob.until(asked);
            bob.send(answer);
        }
        bob
    });
    let mut times = Vec::with_capacity(trips);
    for (turn, (frame, answer)) in there.iter().zip(&answered).enumerate() {
        let due = start + pause.mul_f64(turn as f64);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let sent = Instant::now();
        ann.send(frame);
        ann.until(answer);
        times.push(micros(sent.elapsed()));
    }
    room.lines = vec![ann, bob.join().unwrap()];
    empty(&mut [room]);
    times
}

fn connections(server: Server, rooms: usize) -> Value {
    let memory_before = memory(server.pid);
    let before = cpu(server.pid);
    let mut rooms = Room::filled(server, rooms, 2);
    let full = cpu(server.pid);
    let memory_full = memory(server.pid);
    empty(&mut rooms);
    let after = cpu(server.pid);
    let count = (rooms.len() * 2) as f64;
    json!({
        "join": (full - before) / count,
        "leave": (after - full) / count,
        "kib": (memory_full - memory_before) / count,
    })
}

fn introductions(server: Server, count: usize) -> Value {
    let before = cpu(server.pid);
    let mut left = count;
    while left > 0 {
        let mut rooms = Room::filled(server, left.min(16), 2);
        left -= rooms.len();
        // Who came second offers.
        let mut say = |kind, from: usize, to: usize| {
            let marks: Vec<_> = rooms
                .iter_mut()
                .map(|room| room.send(kind, from, to))
                .collect();
            for (room, mark) in rooms.iter_mut().zip(marks) {
                room.lines[to].until(&mark);
            }
        };
        say(Kind::Offer, 1, 0);
        say(Kind::Answer, 0, 1);
        for _ in 0..8 {
            say(Kind::Candidate, 1, 0);
            say(Kind::Candidate, 0, 1);
        }
        empty(&mut rooms);
    }
    json!({ "cpu": (cpu(server.pid) - before) / count as f64 })
}

fn idle(servers: &[Server], rooms: usize, seconds: u64) -> Value {
    let before: Vec<_> = servers.iter().map(|server| memory(server.pid)).collect();
    let mut all: Vec<_> = servers
        .iter()
        .map(|server| Room::filled(*server, rooms, 2))
        .collect();
    let awake: Vec<_> = servers.iter().map(|server| memory(server.pid)).collect();
    thread::sleep(Duration::from_secs(seconds));
    let asleep: Vec<_> = servers.iter().map(|server| memory(server.pid)).collect();
    let mut results = vec![];
    for (place, (server, rooms)) in servers.iter().zip(&mut all).enumerate() {
        let used = cpu(server.pid);
        let times = rooms.iter_mut().map(|room| {
            let sent = Instant::now();
            let mark = room.send(Kind::Candidate, 0, 1);
            room.lines[1].until(&mark);
            micros(sent.elapsed())
        });
        let times = times.collect();
        let used = cpu(server.pid) - used;
        let count = rooms.len() as f64;
        results.push(json!({
            "awakeKib": (awake[place] - before[place]) / count,
            "asleepKib": (asleep[place] - before[place]) / count,
            "wake": percentiles(times),
            "wakeCpu": used / count,
        }));
        empty(rooms);
    }
    json!(results)
}

fn growth(server: Server, sizes: &[usize]) -> Value {
    let mut room = Room::new(server);
    let mut results = vec![];
    for &size in sizes {
        while room.lines.len() < size - 1 {
            room.ask();
            room.join();
        }
        // The last one comes and goes a few times.
        let mut joins: Vec<_> = (0..9)
            .map(|turn| {
                if turn > 0 {
                    room.leave();
                }
                room.ask();
                let used = cpu(server.pid);
                room.join();
                cpu(server.pid) - used
            })
            .collect();
        joins.sort_by(f64::total_cmp);
        let last = size - 1;
        let used = cpu(server.pid);
        for _ in 0..60 {
            for (from, to) in [(0, last), (last, 0)] {
                let mark = room.send(Kind::Candidate, from, to);
                room.lines[to].until(&mark);
            }
        }
        let signal = (cpu(server.pid) - used) / 120.0;
        let times = 10;
        let used = cpu(server.pid);
        (0..times).for_each(|_| room.broadcast());
        let broadcast = (cpu(server.pid) - used) / f64::from(times);
        let join = joins[joins.len() / 2];
        results
            .push(json!({ "size": size, "join": join, "signal": signal, "broadcast": broadcast }));
        // The first peer has used up a part of its burst.
        thread::sleep(Duration::from_secs(1));
    }
    hang_up(&mut room);
    json!(results)
}

fn storm(server: Server, peers: usize) -> Value {
    let mut pair = Room::filled(server, 1, 2).pop().unwrap();
    let mut room = Room::new(server);
    let (over, ended) = std::sync::mpsc::channel::<()>();
    let talk = thread::spawn(move || {
        let mut times = vec![];
        while ended.try_recv().is_err() {
            let sent = Instant::now();
            let mark = pair.send(Kind::Candidate, 0, 1);
            pair.lines[1].until(&mark);
            let mark = pair.send(Kind::Candidate, 1, 0);
            pair.lines[0].until(&mark);
            times.push(micros(sent.elapsed()));
            // At the pace that it may keep up for ever.
            thread::sleep(Duration::from_millis(10).saturating_sub(sent.elapsed()));
        }
        empty(&mut [pair]);
        times
    });
    let (used, start) = (cpu(server.pid), Instant::now());
    let frames = room.storm(peers);
    let (used, took) = (cpu(server.pid) - used, start.elapsed());
    over.send(()).unwrap();
    let bystander = percentiles(talk.join().unwrap());
    hang_up(&mut room);
    json!({ "cpu": used, "millis": took.as_secs_f64() * 1000.0, "frames": frames, "bystander": bystander })
}

/// All leave, the last first.
fn empty(rooms: &mut [Room]) {
    while rooms.iter().any(|room| !room.lines.is_empty()) {
        rooms.iter_mut().for_each(Room::leave);
    }
}

/// All leave at once, and nobody listens to who else does.
fn hang_up(room: &mut Room) {
    room.lines.iter_mut().for_each(crate::line::Line::hang_up);
    room.lines.drain(..).for_each(crate::line::Line::hung_up);
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn percentiles(mut times: Vec<f64>) -> Value {
    times.sort_by(f64::total_cmp);
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    json!({ "p50": at(0.5), "p99": at(0.99), "most": at(1.0) })
}
