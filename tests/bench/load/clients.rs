//! The measurements that compare partyline with the own servers of clients. The other measurements of
//! `npm run bench -- --clients` are in `measures.rs`.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::measures::{CpuTimes, Server, empty, exchange, hang_up, micros, percentiles};
use crate::process::memory;
use crate::protocol::SignalType;
use crate::room::Room;

pub(crate) fn joins(servers: &[Server], rooms: usize) -> Value {
    let mut times = vec![vec![]; servers.len()];
    for _ in 0..rooms {
        for (server, times) in servers.iter().zip(&mut times) {
            let mut room = Room::new(*server);
            for _ in 0..2 {
                let start = Instant::now();
                room.begin_join();
                room.finish_join();
                times.push(micros(start.elapsed()));
            }
            empty(&mut [room]);
        }
    }
    times.into_iter().map(percentiles).collect()
}

pub(crate) fn waiting(servers: &[Server], rooms: usize, seconds: u64) -> Value {
    let fill = |rooms: usize| -> Vec<Vec<Room>> {
        let filled = servers.iter().map(|server| Room::filled(*server, rooms, 2));
        filled.collect()
    };
    let memories = || -> Vec<f64> { servers.iter().map(|server| memory(server.pid)).collect() };
    // As in `idle`, the first rooms need more memory and are not measured.
    let mut first = fill(rooms);
    for rooms in &mut first {
        exchange(rooms, SignalType::Candidate, 0);
    }
    let before = memories();
    let mut all = fill(rooms);
    let after = memories();
    let mut used = CpuTimes::start(servers);
    let start = Instant::now();
    for second in 0..seconds {
        thread::sleep(Duration::from_secs(second + 1).saturating_sub(start.elapsed()));
        for filled in first.iter_mut().chain(&mut all) {
            for (place, room) in filled.iter_mut().enumerate() {
                room.wait(second, place as f64 / rooms as f64);
            }
        }
    }
    let used = used.since_last();
    let minutes = start.elapsed().as_secs_f64() / 60.0;
    let connections = (rooms * 2) as f64;
    let results = used.iter().enumerate().map(|(place, used)| {
        json!({
            "memory": (after[place] - before[place]) / connections,
            "cpuPerMinute": used / minutes / (connections * 2.0),
        })
    });
    let results = results.collect();
    for rooms in first.iter_mut().chain(&mut all) {
        rooms.iter_mut().for_each(hang_up);
    }
    results
}
