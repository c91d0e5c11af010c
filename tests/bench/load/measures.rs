//! What is measured. Each measure uses rooms of its own, and leaves none behind.
//!
//! All servers are measured together, and take turns every few milliseconds: how fast a shared machine
//! is changes from one second to the next, by more than what is to be told apart.
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
    /// Whether candidates that come together go in one frame, as a list.
    #[serde(default)]
    pub(crate) lists: bool,
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
        servers: Vec<Server>,
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
    /// Rooms of two that fill and empty: processor time a connection.
    Connections { servers: Vec<Server>, rooms: usize },
    /// Two joins, offer, answer, 16 candidates, two leaves.
    Introductions { servers: Vec<Server>, count: usize },
    /// Rooms of two that sleep.
    Idle {
        servers: Vec<Server>,
        rooms: usize,
        seconds: u64,
    },
    /// One room that grows.
    Growth {
        servers: Vec<Server>,
        sizes: Vec<usize>,
    },
    /// Very many that join one room at once, and a pair in another room that goes on talking.
    Storm { server: Server, peers: usize },
}

pub(crate) fn perform(measure: &Measure) -> Value {
    match *measure {
        Measure::Signals {
            ref servers,
            kind,
            rooms,
            each,
        } => signals(servers, kind, rooms, each),
        Measure::Latency {
            server,
            per_second,
            trips,
        } => latency(server, per_second, trips),
        Measure::Connections { ref servers, rooms } => connections(servers, rooms),
        Measure::Introductions { ref servers, count } => introductions(servers, count),
        Measure::Idle {
            ref servers,
            rooms,
            seconds,
        } => idle(servers, rooms, seconds),
        Measure::Growth {
            ref servers,
            ref sizes,
        } => growth(servers, sizes),
        Measure::Storm { server, peers } => storm(server, peers),
    }
}

/// The processor time that each server has used since it was last asked.
struct Used(Vec<(Server, f64)>);

impl Used {
    fn since_now(servers: &[Server]) -> Self {
        Self(
            servers
                .iter()
                .map(|server| (*server, cpu(server.pid)))
                .collect(),
        )
    }

    fn by_now(&mut self) -> Vec<f64> {
        let used = |(server, before): &mut (Server, f64)| {
            let now = cpu(server.pid);
            now - std::mem::replace(before, now)
        };
        self.0.iter_mut().map(used).collect()
    }
}

fn signals(servers: &[Server], kind: Kind, rooms: usize, each: usize) -> Value {
    let mut all: Vec<_> = servers
        .iter()
        .map(|server| Room::filled(*server, rooms, 2))
        .collect();
    let mut took = vec![Duration::ZERO; servers.len()];
    let mut turn_about = |each: usize| {
        for turn in 0..each * 2 {
            for (rooms, took) in all.iter_mut().zip(&mut took) {
                let start = Instant::now();
                exchange(rooms, kind, turn % 2);
                *took += start.elapsed();
            }
        }
    };
    turn_about(each.div_ceil(10));
    let mut used = Used::since_now(servers);
    turn_about(each);
    let used = used.by_now();
    let count = (rooms * each * 2) as f64;
    let all_count = (rooms * (each + each.div_ceil(10)) * 2) as f64;
    all.iter_mut().for_each(|rooms| empty(rooms));
    let results = used.iter().zip(took).map(
        |(used, took)| json!({ "cpu": used / count, "perSecond": all_count / took.as_secs_f64() }),
    );
    results.collect()
}

/// One peer of each room sends a signal to the other.
fn exchange(rooms: &mut [Room], kind: Kind, from: usize) {
    exchange_together(rooms, kind, from, 1);
}

fn exchange_together(rooms: &mut [Room], kind: Kind, from: usize, count: usize) {
    let to = 1 - from;
    let marks: Vec<_> = rooms
        .iter_mut()
        .map(|room| room.send_together(kind, from, to, count))
        .collect();
    for (room, mark) in rooms.iter_mut().zip(marks) {
        room.lines[to].until(&mark);
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

fn connections(servers: &[Server], rooms: usize) -> Value {
    let mut used = Used::since_now(servers);
    let mut all: Vec<Vec<Room>> = servers.iter().map(|_| vec![]).collect();
    for _ in 0..rooms.div_ceil(4) {
        for (server, rooms) in servers.iter().zip(&mut all) {
            rooms.extend(Room::filled(*server, 4, 2));
        }
    }
    let joined = used.by_now();
    for some in 0..rooms.div_ceil(4) {
        for rooms in &mut all {
            empty(&mut rooms[some * 4..][..4]);
        }
    }
    let left = used.by_now();
    let count = (rooms.div_ceil(4) * 8) as f64;
    let each = |(join, leave): (f64, f64)| json!({ "join": join / count, "leave": leave / count });
    joined.into_iter().zip(left).map(each).collect()
}

fn introductions(servers: &[Server], count: usize) -> Value {
    let mut used = Used::since_now(servers);
    for _ in 0..count.div_ceil(8) {
        for server in servers {
            let mut rooms = Room::filled(*server, 8, 2);
            // Who came second offers.
            exchange(&mut rooms, Kind::Offer, 1);
            exchange(&mut rooms, Kind::Answer, 0);
            // A browser finds some of its candidates at once, and has to ask for others.
            let together: &[usize] = if server.lists { &[3, 3, 2] } else { &[1; 8] };
            for (count, from) in together.iter().flat_map(|count| [(*count, 0), (*count, 1)]) {
                exchange_together(&mut rooms, Kind::Candidate, from, count);
            }
            empty(&mut rooms);
        }
    }
    let count = (count.div_ceil(8) * 8) as f64;
    used.by_now()
        .into_iter()
        .map(|used| json!({ "cpu": used / count }))
        .collect()
}

fn idle(servers: &[Server], rooms: usize, seconds: u64) -> Value {
    // What the first of them take is not what each takes: code that is compiled, caches that fill.
    let first = servers
        .iter()
        .map(|server| Room::filled(*server, rooms / 4, 2));
    let mut first: Vec<_> = first.collect();
    for rooms in &mut first {
        exchange(rooms, Kind::Candidate, 0);
    }
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
        empty(&mut first[place]);
    }
    json!(results)
}

fn growth(servers: &[Server], sizes: &[usize]) -> Value {
    let mut rooms: Vec<_> = servers.iter().map(|server| Room::new(*server)).collect();
    let mut results = vec![vec![]; servers.len()];
    let mut used = Used::since_now(servers);
    for &size in sizes {
        for room in &mut rooms {
            while room.lines.len() < size - 1 {
                room.ask();
                room.join();
            }
        }
        // The last one comes and goes a few times.
        let mut joins = vec![0.0; servers.len()];
        for _ in 0..JOINS {
            used.by_now();
            for room in &mut rooms {
                room.ask();
                room.join();
            }
            joins
                .iter_mut()
                .zip(used.by_now())
                .for_each(|(sum, used)| *sum += used);
            rooms.iter_mut().for_each(Room::leave);
        }
        for room in &mut rooms {
            room.ask();
            room.join();
        }
        used.by_now();
        for turn in 0..SIGNALS {
            for room in &mut rooms {
                let (from, to) = if turn % 2 == 0 {
                    (0, size - 1)
                } else {
                    (size - 1, 0)
                };
                let mark = room.send(Kind::Candidate, from, to);
                room.lines[to].until(&mark);
            }
        }
        let signals = used.by_now();
        for _ in 0..BROADCASTS {
            rooms.iter_mut().for_each(Room::broadcast);
        }
        let broadcasts = used.by_now();
        for (place, results) in results.iter_mut().enumerate() {
            results.push(json!({
                "size": size,
                "join": joins[place] / f64::from(JOINS),
                "signal": signals[place] / f64::from(SIGNALS),
                "broadcast": broadcasts[place] / f64::from(BROADCASTS),
            }));
        }
        // The first peer has used up a part of its burst.
        thread::sleep(Duration::from_secs(1));
    }
    rooms.iter_mut().for_each(hang_up);
    json!(results)
}

/// How often each thing is done in a room of one size.
const JOINS: u32 = 5;
const SIGNALS: u32 = 120;
const BROADCASTS: u32 = 10;

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
