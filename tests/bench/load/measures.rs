//! The measurements. Each measurement creates its own rooms, and all its peers leave at the end.
//!
//! The servers are measured alternately, for a few milliseconds each, because the speed of a shared
//! machine changes within seconds. These changes are larger than the differences between servers.
//!
//! No peer sends more than 200 frames in one measurement, because partyline allows a burst of 200
//! frames.

use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::clients::{joins, waiting};
use crate::process::{cpu, memory};
use crate::protocol::{Protocol, SignalType};
use crate::room::{Room, mark};

/// A server under test: its process, port and protocol.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Server {
    pub(crate) pid: u32,
    pub(crate) port: u16,
    pub(crate) protocol: Protocol,
    /// Whether the server is partyline, where a client finds its room and dialect in the path. The
    /// client's own server has one address for everybody.
    #[serde(default)]
    pub(crate) in_room: bool,
    /// Whether several candidates are sent as an array in one frame.
    #[serde(default)]
    pub(crate) lists: bool,
}

/// A measurement, parsed from one line of JSON.
#[derive(Debug, Deserialize)]
#[serde(
    tag = "measure",
    rename_all = "lowercase",
    rename_all_fields = "camelCase"
)]
pub(crate) enum Measure {
    /// Measures CPU time per signal, in rooms of two peers that all send concurrently.
    Signals {
        servers: Vec<Server>,
        signal_type: SignalType,
        rooms: usize,
        each: usize,
    },
    /// Measures the round-trip time in rooms of two peers, at a fixed total rate.
    Latency {
        server: Server,
        per_second: f64,
        trips: usize,
    },
    /// Measures CPU time per join and per leave, in rooms of two peers.
    Connections { servers: Vec<Server>, rooms: usize },
    /// Measures CPU time per connection setup: two joins, an offer, an answer, 16 candidates and
    /// two leaves.
    Setups { servers: Vec<Server>, count: usize },
    /// Measures the memory of rooms of two peers that hibernate, and the time to wake each room
    /// with a frame.
    Idle {
        servers: Vec<Server>,
        rooms: usize,
        seconds: u64,
    },
    /// Measures CPU time per join, signal and broadcast, in one room of increasing size.
    Growth {
        servers: Vec<Server>,
        sizes: Vec<usize>,
    },
    /// Measures the time of a join, one after the other, in new rooms of two peers.
    Joins { servers: Vec<Server>, rooms: usize },
    /// Measures the memory and the CPU time of connections that send only what their client sends
    /// while it waits.
    Waiting {
        servers: Vec<Server>,
        rooms: usize,
        seconds: u64,
    },
    /// Measures many concurrent joins to one room, and the latency that these joins cause in
    /// another room.
    Burst { server: Server, peers: usize },
}

pub(crate) fn perform(measure: &Measure) -> Value {
    match *measure {
        Measure::Signals {
            ref servers,
            signal_type,
            rooms,
            each,
        } => signals(servers, signal_type, rooms, each),
        Measure::Latency {
            server,
            per_second,
            trips,
        } => latency(server, per_second, trips),
        Measure::Connections { ref servers, rooms } => connections(servers, rooms),
        Measure::Setups { ref servers, count } => setups(servers, count),
        Measure::Idle {
            ref servers,
            rooms,
            seconds,
        } => idle(servers, rooms, seconds),
        Measure::Growth {
            ref servers,
            ref sizes,
        } => growth(servers, sizes),
        Measure::Joins { ref servers, rooms } => joins(servers, rooms),
        Measure::Waiting {
            ref servers,
            rooms,
            seconds,
        } => waiting(servers, rooms, seconds),
        Measure::Burst { server, peers } => burst(server, peers),
    }
}

/// The CPU time of each server at the previous call.
pub(crate) struct CpuTimes(Vec<(Server, f64)>);

impl CpuTimes {
    pub(crate) fn start(servers: &[Server]) -> Self {
        Self(
            servers
                .iter()
                .map(|server| (*server, cpu(server.pid)))
                .collect(),
        )
    }

    pub(crate) fn since_last(&mut self) -> Vec<f64> {
        let used = |(server, before): &mut (Server, f64)| {
            let now = cpu(server.pid);
            now - std::mem::replace(before, now)
        };
        self.0.iter_mut().map(used).collect()
    }
}

fn signals(servers: &[Server], signal_type: SignalType, rooms: usize, each: usize) -> Value {
    let mut all: Vec<_> = servers
        .iter()
        .map(|server| Room::filled(*server, rooms, 2))
        .collect();
    let mut took = vec![Duration::ZERO; servers.len()];
    let mut take_turns = |each: usize| {
        for turn in 0..each * 2 {
            for (rooms, took) in all.iter_mut().zip(&mut took) {
                let start = Instant::now();
                exchange(rooms, signal_type, turn % 2);
                *took += start.elapsed();
            }
        }
    };
    take_turns(each.div_ceil(10));
    let mut used = CpuTimes::start(servers);
    take_turns(each);
    let used = used.since_last();
    let count = (rooms * each * 2) as f64;
    let all_count = (rooms * (each + each.div_ceil(10)) * 2) as f64;
    all.iter_mut().for_each(|rooms| empty(rooms));
    let results = used.iter().zip(took).map(
        |(used, took)| json!({ "cpu": used / count, "perSecond": all_count / took.as_secs_f64() }),
    );
    results.collect()
}

/// Sends a signal from one peer of each room to the other peer, and waits until all signals arrive.
pub(crate) fn exchange(rooms: &mut [Room], signal_type: SignalType, from: usize) {
    exchange_list(rooms, signal_type, from, 1);
}

fn exchange_list(rooms: &mut [Room], signal_type: SignalType, from: usize, count: usize) {
    let to = 1 - from;
    let marks: Vec<_> = rooms
        .iter_mut()
        .map(|room| room.send_list(signal_type, from, to, count))
        .collect();
    for (room, mark) in rooms.iter_mut().zip(marks) {
        room.sockets[to].until(&mark);
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

/// Measures round trips. One peer sends on a schedule, and the other peer replies immediately.
fn round_trips(mut room: Room, start: Instant, pause: Duration, trips: usize) -> Vec<f64> {
    let protocol = room.server.protocol;
    let marks: Vec<_> = (0..trips).map(|_| (mark(), mark())).collect();
    let frame = |from: usize, mark: &str| {
        let (from, to) = (&room.ids[from], &room.ids[1 - from]);
        protocol.signal(SignalType::Candidate, &room.name, from, Some(to), mark)
    };
    let there: Vec<_> = marks.iter().map(|(mark, _)| frame(0, mark)).collect();
    let back: Vec<_> = marks.iter().map(|(_, mark)| frame(1, mark)).collect();
    let (mut bob, mut ann) = (room.sockets.pop().unwrap(), room.sockets.pop().unwrap());
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
    room.sockets = vec![ann, bob.join().unwrap()];
    empty(&mut [room]);
    times
}

fn connections(servers: &[Server], rooms: usize) -> Value {
    let mut used = CpuTimes::start(servers);
    let mut all: Vec<Vec<Room>> = servers.iter().map(|_| vec![]).collect();
    for _ in 0..rooms.div_ceil(4) {
        for (server, rooms) in servers.iter().zip(&mut all) {
            rooms.extend(Room::filled(*server, 4, 2));
        }
    }
    let joined = used.since_last();
    for some in 0..rooms.div_ceil(4) {
        for rooms in &mut all {
            empty(&mut rooms[some * 4..][..4]);
        }
    }
    let left = used.since_last();
    let count = (rooms.div_ceil(4) * 8) as f64;
    let each = |(join, leave): (f64, f64)| json!({ "join": join / count, "leave": leave / count });
    joined.into_iter().zip(left).map(each).collect()
}

fn setups(servers: &[Server], count: usize) -> Value {
    let mut used = CpuTimes::start(servers);
    for _ in 0..count.div_ceil(8) {
        for server in servers {
            let mut rooms = Room::filled(*server, 8, 2);
            // The newcomer sends the offer, as in the client library.
            exchange(&mut rooms, SignalType::Offer, 1);
            exchange(&mut rooms, SignalType::Answer, 0);
            // A browser gathers host candidates immediately, and other candidates only after
            // requests to STUN servers.
            let together: &[usize] = if server.lists { &[3, 3, 2] } else { &[1; 8] };
            for (count, from) in together.iter().flat_map(|count| [(*count, 0), (*count, 1)]) {
                exchange_list(&mut rooms, SignalType::Candidate, from, count);
            }
            empty(&mut rooms);
        }
    }
    let count = (count.div_ceil(8) * 8) as f64;
    used.since_last()
        .into_iter()
        .map(|used| json!({ "cpu": used / count }))
        .collect()
}

fn idle(servers: &[Server], rooms: usize, seconds: u64) -> Value {
    // The first rooms need more memory, because the server compiles code and fills caches. These
    // rooms are not measured.
    let first = servers
        .iter()
        .map(|server| Room::filled(*server, rooms / 4, 2));
    let mut first: Vec<_> = first.collect();
    for rooms in &mut first {
        exchange(rooms, SignalType::Candidate, 0);
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
            let mark = room.send(SignalType::Candidate, 0, 1);
            room.sockets[1].until(&mark);
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
    let mut used = CpuTimes::start(servers);
    for &size in sizes {
        for room in &mut rooms {
            while room.sockets.len() < size - 1 {
                room.begin_join();
                room.finish_join();
            }
        }
        // The last peer joins and leaves several times, to average the CPU time of a join.
        let mut joins = vec![0.0; servers.len()];
        for _ in 0..JOINS {
            used.since_last();
            for room in &mut rooms {
                room.begin_join();
                room.finish_join();
            }
            joins
                .iter_mut()
                .zip(used.since_last())
                .for_each(|(sum, used)| *sum += used);
            rooms.iter_mut().for_each(Room::leave);
        }
        for room in &mut rooms {
            room.begin_join();
            room.finish_join();
        }
        used.since_last();
        for turn in 0..SIGNALS {
            for room in &mut rooms {
                let (from, to) = if turn % 2 == 0 {
                    (0, size - 1)
                } else {
                    (size - 1, 0)
                };
                let mark = room.send(SignalType::Candidate, from, to);
                room.sockets[to].until(&mark);
            }
        }
        let signals = used.since_last();
        for _ in 0..BROADCASTS {
            rooms.iter_mut().for_each(Room::broadcast);
        }
        let broadcasts = used.since_last();
        for (place, results) in results.iter_mut().enumerate() {
            results.push(json!({
                "size": size,
                "join": joins[place] / f64::from(JOINS),
                "signal": signals[place] / f64::from(SIGNALS),
                "broadcast": broadcasts[place] / f64::from(BROADCASTS),
            }));
        }
        // Wait until the rate limit of the first peer has recovered.
        thread::sleep(Duration::from_secs(1));
    }
    rooms.iter_mut().for_each(hang_up);
    json!(results)
}

/// The number of repetitions for each room size.
const JOINS: u32 = 5;
const SIGNALS: u32 = 120;
const BROADCASTS: u32 = 10;

fn burst(server: Server, peers: usize) -> Value {
    let mut pair = Room::filled(server, 1, 2).pop().unwrap();
    let mut room = Room::new(server);
    let (over, ended) = std::sync::mpsc::channel::<()>();
    let talk = thread::spawn(move || {
        let mut times = vec![];
        while ended.try_recv().is_err() {
            let sent = Instant::now();
            let mark = pair.send(SignalType::Candidate, 0, 1);
            pair.sockets[1].until(&mark);
            let mark = pair.send(SignalType::Candidate, 1, 0);
            pair.sockets[0].until(&mark);
            times.push(micros(sent.elapsed()));
            // One signal per peer every 10 ms stays within the rate limit.
            thread::sleep(Duration::from_millis(10).saturating_sub(sent.elapsed()));
        }
        empty(&mut [pair]);
        times
    });
    let (used, start) = (cpu(server.pid), Instant::now());
    let frames = room.burst(peers);
    let (used, took) = (cpu(server.pid) - used, start.elapsed());
    over.send(()).unwrap();
    let bystander = percentiles(talk.join().unwrap());
    hang_up(&mut room);
    json!({ "cpu": used, "millis": took.as_secs_f64() * 1000.0, "frames": frames, "bystander": bystander })
}

/// Closes the connections of all peers, the last peer first, and reads all notices.
pub(crate) fn empty(rooms: &mut [Room]) {
    while rooms.iter().any(|room| !room.sockets.is_empty()) {
        rooms.iter_mut().for_each(Room::leave);
    }
}

/// Closes the connections of all peers concurrently, without reading the notices.
pub(crate) fn hang_up(room: &mut Room) {
    room.sockets
        .iter_mut()
        .for_each(crate::websocket::WebSocket::hang_up);
    room.sockets
        .drain(..)
        .for_each(crate::websocket::WebSocket::hung_up);
}

pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

pub(crate) fn percentiles(mut times: Vec<f64>) -> Value {
    times.sort_by(f64::total_cmp);
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    json!({ "p50": at(0.5), "p99": at(0.99), "most": at(1.0) })
}
