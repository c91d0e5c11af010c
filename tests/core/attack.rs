//! Attacks on a room: what peers may not lose, and what they may not make the room write.

use crate::rig::{LIMITS, Rig, events};
use crate::streams::events as heard_events;
use partyline::core::event::Limits;
use partyline::core::peer::Socket;
use partyline::core::refusal::Code;

const LARGE: Limits = Limits {
    peers: 64,
    ..LIMITS
};

fn ids(rig: &mut Rig, socket: Socket) -> Vec<u64> {
    let frames = rig.frames(socket).into_iter();
    let all = frames.flat_map(|text| events(&text));
    all.filter_map(|(id, _)| id).collect()
}

/// Fills the outboxes of the room with queued signals for absent peers.
fn fill(rig: &mut Rig) {
    let payload = "x".repeat(65_000);
    let lost: Vec<_> = (0..34).map(|n| format!("l{n}")).collect();
    for id in &lost {
        let socket = rig.join(id, None);
        rig.lose(socket);
    }
    for (n, chunk) in lost.chunks(3).enumerate() {
        let sender = rig.join(&format!("s{n}"), None);
        for id in chunk {
            for _ in 0..4 {
                rig.send(
                    sender,
                    &format!(r#"{{"type":"x","to":"{id}","payload":"{payload}"}}"#),
                );
            }
        }
        rig.heard(sender);
    }
    let sender = rig.join("small", None);
    for bytes in [20_000, 5_000, 1_000, 300, 100, 30, 10, 1] {
        for id in &lost {
            let payload = "x".repeat(bytes);
            rig.send(
                sender,
                &format!(r#"{{"type":"x","to":"{id}","payload":"{payload}"}}"#),
            );
        }
        rig.pass(700);
    }
    rig.heard(sender);
}

#[test]
fn full_queues_of_absent_peers_do_not_cut_off_a_healthy_stream() {
    let mut rig = Rig::new(LARGE);
    let ann = rig.join("ann", None);
    rig.register("bob", None).unwrap();
    let bob = rig.open_stream("bob", None, None).unwrap();
    fill(&mut rig);
    rig.heard(bob);
    rig.heard(ann);
    let eve = rig.join("eve", None);
    rig.send(ann, r#"{"type":"offer","to":"bob","payload":1}"#);
    rig.close(eve);
    let heard = heard_events(&mut rig, bob);
    let refused = rig.frames(ann);
    assert_eq!(heard.len(), 3, "{heard:?} {refused:?}");
}

#[test]
fn a_broadcast_reaches_every_healthy_stream_of_a_large_room() {
    let mut rig = Rig::new(Limits {
        peers: 1000,
        ..LIMITS
    });
    let ann = rig.join("ann", None);
    let sockets: Vec<_> = (0..300)
        .map(|n| {
            let id = format!("p{n}");
            rig.register(&id, None).unwrap();
            rig.open_stream(&id, None, None).unwrap()
        })
        .collect();
    rig.pass(30_000);
    for socket in &sockets {
        rig.heard(*socket);
    }
    rig.heard(ann);
    let payload = "x".repeat(60_000);
    rig.send(ann, &format!(r#"{{"type":"x","payload":"{payload}"}}"#));
    let got = sockets
        .iter()
        .filter(|socket| !rig.frames(**socket).is_empty())
        .count();
    let told = rig.frames(ann);
    assert_eq!(got, 300, "{told:?}");
}

#[test]
fn changes_that_a_stream_no_longer_keeps_do_not_come_back_after_an_eviction() {
    for sleeps in [false, true] {
        let mut rig = Rig::new(LIMITS);
        let ann = rig.join("ann", None);
        rig.register("bob", None).unwrap();
        let bob = rig.open_stream("bob", None, None).unwrap();
        let first = ids(&mut rig, bob)[0];
        rig.send(ann, r#"{"type":"offer","to":"bob","payload":1}"#);
        rig.lose(bob);
        rig.join("eve", None);
        // Two signals and the changes move to one row.
        let bob = rig.open_stream("bob", None, Some(first)).unwrap();
        rig.heard(bob);
        rig.send(ann, r#"{"type":"offer","to":"bob","payload":2}"#);
        rig.lose(bob);
        // A new stream: everything that was sent counts as received.
        let bob = rig.open_stream("bob", None, None).unwrap();
        let start = ids(&mut rig, bob)[0];
        if sleeps {
            rig.sleep();
        }
        rig.lose(bob);
        let bob = rig.open_stream("bob", None, Some(start)).unwrap();
        let heard = heard_events(&mut rig, bob);
        assert!(
            !heard.iter().any(|event| event.contains("new-peer")),
            "{sleeps} {heard:?}"
        );
    }
}

/// Creates a room with bob, who has registered and never opened a stream. Returns an event id of
/// another stream that is newer than his registration.
fn never_opened() -> (Rig, u64) {
    let mut rig = Rig::new(LIMITS);
    let ann = rig.join("ann", None);
    rig.register("eve", None).unwrap();
    rig.register("bob", None).unwrap();
    let eve = rig.open_stream("eve", None, None).unwrap();
    rig.send(ann, r#"{"type":"offer","payload":1}"#);
    let other = *ids(&mut rig, eve).last().unwrap();
    (rig, other)
}

#[test]
fn an_id_that_no_stream_of_this_peer_had_starts_a_new_stream() {
    let (mut rig, other) = never_opened();
    let opened = rig.open_stream("bob", None, Some(other));
    assert!(opened.is_ok(), "{opened:?}");
}

#[test]
fn a_stream_never_has_the_generation_zero() {
    let (mut rig, other) = never_opened();
    // An id is a number × 16 + the generation.
    let bob = rig.open_stream("bob", None, Some(other / 16 * 16)).unwrap();
    let got = ids(&mut rig, bob);
    assert!(got.iter().all(|id| id % 16 > 0), "{got:?}");
}

#[test]
fn an_event_id_from_before_a_websocket_took_over_starts_a_new_stream() {
    let mut rig = Rig::new(LIMITS);
    rig.join("ann", None);
    rig.register("bob", None).unwrap();
    let bob = rig.open_stream("bob", None, None).unwrap();
    let last = ids(&mut rig, bob)[0];
    let bob = rig.join("bob", None);
    rig.lose(bob);
    rig.pass(1000);
    rig.register("bob", None).unwrap();
    let opened = rig.open_stream("bob", None, Some(last));
    assert_ne!(opened.map_err(|error| error.code), Err(Code::Replaced));
}

#[test]
fn a_small_broadcast_writes_a_small_row_in_a_large_room() {
    let mut rig = Rig::new(Limits {
        peers: 300,
        ..LIMITS
    });
    let ann = rig.join("ann", None);
    for n in 0..200 {
        let id = format!("p{n}");
        rig.register(&id, None).unwrap();
        rig.open_stream(&id, None, None).unwrap();
    }
    rig.pass(30_000);
    let eve = rig.join("eve", None);
    rig.lose(eve);
    let before = rig.written();
    rig.send(ann, r#"{"type":"x"}"#);
    let bytes = rig.written().bytes_of_notices - before.bytes_of_notices;
    assert!(bytes < 200, "{bytes}");
}

#[test]
fn reopening_a_stream_does_not_write_its_changes_again_and_again() {
    let mut rig = Rig::new(Limits {
        peers: 2000,
        ..LIMITS
    });
    rig.register("bob", None).unwrap();
    let bob = rig.open_stream("bob", None, None).unwrap();
    let first = ids(&mut rig, bob)[0];
    rig.lose(bob);
    for n in 0..1000 {
        rig.join(&format!("{n:064}"), None);
    }
    let before = rig.written();
    for _ in 0..10 {
        let bob = rig.open_stream("bob", None, Some(first)).unwrap();
        rig.heard(bob);
        rig.lose(bob);
    }
    let after = rig.written();
    let bytes = after.bytes_of_notices - before.bytes_of_notices;
    assert!(bytes < 2 * 70_000, "{bytes} bytes, {:?}", after);
}

#[test]
fn the_changes_of_a_stream_that_registered_after_a_failed_send_survive_an_eviction() {
    for sleeps in [false, true] {
        let mut rig = Rig::new(LIMITS);
        let ann = rig.join("ann", None);
        rig.register("bob", None).unwrap();
        let bob = rig.open_stream("bob", None, None).unwrap();
        rig.jam(bob);
        rig.send(ann, r#"{"type":"offer","to":"bob","payload":1}"#);
        rig.register("bob", None).unwrap();
        let bob = rig.open_stream("bob", None, None).unwrap();
        let first = ids(&mut rig, bob)[0];
        // The stream breaks before the signal arrives, and so does the next one.
        rig.lose(bob);
        rig.join("eve", None);
        let bob = rig.open_stream("bob", None, Some(first)).unwrap();
        rig.heard(bob);
        rig.lose(bob);
        if sleeps {
            rig.sleep();
        }
        let bob = rig.open_stream("bob", None, Some(first)).unwrap();
        let heard = heard_events(&mut rig, bob);
        let joined = r#"{"type":"new-peer","senderId":"eve"}"#;
        assert!(heard.contains(&joined.to_owned()), "{sleeps} {heard:?}");
    }
}

#[test]
fn a_websocket_peer_that_registers_takes_one_of_the_waiting_places() {
    let mut rig = Rig::new(LARGE);
    for n in 0..63 {
        rig.join(&format!("p{n}"), None);
    }
    let taken = (0..63).filter(|n| rig.register(&format!("p{n}"), None).is_ok());
    let taken = taken.count();
    assert!(taken <= 16, "{taken} peers wait, of at most 16");
}

#[test]
fn each_stream_of_a_full_room_keeps_256_kib_of_broadcasts() {
    let mut rig = Rig::new(LARGE);
    let ann = rig.join("ann", None);
    let mut firsts = Vec::new();
    for n in 0..63 {
        let id = format!("p{n}");
        rig.register(&id, None).unwrap();
        let socket = rig.open_stream(&id, None, None).unwrap();
        rig.pass(1_000);
        firsts.push((id, socket));
    }
    rig.pass(30_000);
    rig.send(ann, r#"{"type":"first"}"#);
    let last = ids(&mut rig, firsts[0].1).last().copied();
    let payload = "x".repeat(60_000);
    for _ in 0..4 {
        rig.send(ann, &format!(r#"{{"type":"x","payload":"{payload}"}}"#));
    }
    rig.lose(firsts[0].1);
    let again = rig.open_stream("p0", None, last).unwrap();
    assert_eq!(heard_events(&mut rig, again).len(), 4);
}

#[test]
fn peers_that_leave_together_write_one_row_of_leavers() {
    let mut rig = Rig::new(LARGE);
    rig.join("ann", None);
    let sockets: Vec<_> = (0..60)
        .map(|n| rig.join(&format!("{n:064}"), None))
        .collect();
    for socket in sockets {
        rig.lose(socket);
    }
    rig.register("bob", None).unwrap();
    let before = rig.written().rows;
    rig.pass(16_000);
    let rows = rig.written().rows - before;
    assert_eq!(rows, 1, "one event writes the row {rows} times");
}

#[test]
fn a_held_broadcast_expires_in_time_when_the_clock_goes_back() {
    let six_hours = 6 * 3_600_000;
    let mut rig = Rig::new(LIMITS);
    rig.pass(six_hours);
    let ann = rig.join("ann", None);
    rig.send(ann, r#"{"type":"x"}"#);
    rig.turn_clock_back(six_hours);
    rig.sleep();
    rig.pass(10 * 60_000);
    let told = rig.frames(ann);
    assert!(told.last().unwrap().contains("no-such-peer"), "{told:?}");
}

#[test]
fn joins_come_before_the_signals_of_the_peer_after_many_breaks() {
    let mut rig = Rig::new(LARGE);
    let ann = rig.join("ann", None);
    rig.register("bob", None).unwrap();
    let bob = rig.open_stream("bob", None, None).unwrap();
    let mut last = ids(&mut rig, bob)[0];
    rig.lose(bob);
    rig.send(ann, r#"{"type":"offer","to":"bob","payload":1}"#);
    for n in 0..4 {
        let guest = rig.join(&format!("g{n}"), None);
        rig.send(guest, r#"{"type":"hello","to":"bob"}"#);
        let bob = rig.open_stream("bob", None, Some(last)).unwrap();
        // Only the first frames arrive.
        let frames = rig.frames(bob);
        let all: Vec<_> = frames.iter().flat_map(|text| events(text)).collect();
        let names: Vec<_> = all.iter().filter_map(|(_, data)| data.clone()).collect();
        let joined = names.iter().position(|data| data.contains("new-peer"));
        let hello = names
            .iter()
            .position(|data| data.contains(&format!("g{n}")) && data.contains("hello"));
        assert!(joined < hello, "{n}: {names:?}");
        last = all
            .iter()
            .filter(|(id, _)| id.is_some())
            .nth(1)
            .unwrap()
            .0
            .unwrap();
        rig.lose(bob);
    }
}

#[test]
fn a_websocket_peer_that_registers_has_five_seconds_too() {
    let mut rig = Rig::new(LIMITS); // 2 may wait
    let eve = rig.join("eve", None);
    let ann = rig.join("ann", None);
    rig.lose(ann);
    rig.pass(14_000);
    rig.register("ann", None).unwrap();
    rig.register("bob", None).unwrap();
    assert!(rig.is_open(eve));
    let late = rig.register("late", None);
    assert_eq!(late.map_err(|error| error.code), Err(Code::RoomFull));
    assert!(rig.open_stream("ann", None, None).is_ok());
}

#[test]
fn rows_that_a_deployment_leaves_behind_are_deleted_though_nobody_returns() {
    let mut rig = Rig::new(LIMITS);
    let ann = rig.join("ann", None);
    rig.register("bob", None).unwrap();
    rig.open_stream("bob", None, None).unwrap();
    let payload = "x".repeat(60_000);
    rig.send(ann, &format!(r#"{{"type":"x","payload":"{payload}"}}"#));
    let (rows, has_alarm) = rig.deploy();
    assert!(rows == 0 || has_alarm, "{rows} rows stay forever");
}

#[test]
fn a_client_that_was_removed_or_whose_token_has_expired_tries_again_without_writing() {
    let mut rig = Rig::new(LIMITS);
    rig.join("eve", Some("eve's"));
    rig.token_expires_at = Some(rig.now.plus(1_000));
    rig.register("bob", Some("bob's")).unwrap();
    rig.remove("eve");
    rig.pass(2_000);
    let before = rig.written();
    for n in 0..1_000 {
        rig.join("eve", None);
        rig.join(&format!("p{n}"), Some("eve's"));
        assert!(rig.register("eve", None).is_err());
        assert!(rig.open_stream("bob", Some("bob's"), None).is_err());
    }
    let after = rig.written();
    assert_eq!((after.rows, after.others), (before.rows, before.others));
}
