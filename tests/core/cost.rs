//! Limits on the rows, bytes and places that peers can use in a room.

use crate::rig::{Heard, LIMITS, Rig, events};
use partyline::core::event::Limits;
use partyline::core::outbox::MAX_ROOM_BYTES;
use partyline::core::peer::Socket;
use partyline::core::refusal::Code;

/// A room as large as the default.
const LARGE: Limits = Limits {
    peers: 64,
    ..LIMITS
};

/// A signal to all other peers with a payload of `bytes` bytes.
fn broadcast(bytes: usize) -> String {
    format!(r#"{{"type":"x","payload":"{}"}}"#, "x".repeat(bytes))
}

/// Creates a room with ann, who has a WebSocket, and peers with open streams.
fn streams(count: usize) -> (Rig, Socket, Vec<Socket>) {
    let mut rig = Rig::new(LARGE);
    let ann = rig.join("ann", None);
    let mut sockets = Vec::new();
    for n in 0..count {
        let id = format!("p{n}");
        rig.register(&id, None).unwrap();
        sockets.push(rig.open_stream(&id, None, None).unwrap());
        rig.pass(1_000);
    }
    rig.heard(ann);
    (rig, ann, sockets)
}

#[test]
fn a_small_signal_to_an_open_stream_writes_no_row() {
    let (mut rig, ann, _) = streams(1);
    let before = rig.written().rows;
    for _ in 0..100 {
        rig.send(ann, &broadcast(500));
        rig.pass(3_000);
    }
    assert_eq!(rig.written().rows, before);
}

#[test]
fn a_broadcast_to_63_streams_writes_one_row() {
    let (mut rig, ann, sockets) = streams(63);
    let before = rig.written();
    for _ in 0..100 {
        rig.send(ann, &broadcast(4_000));
        rig.pass(100);
    }
    let after = rig.written();
    assert!(after.rows - before.rows <= 100, "{after:?}");
    let bytes = after.bytes_of_notices - before.bytes_of_notices;
    assert!(bytes < 100 * 4_600, "{bytes}");
    for socket in sockets {
        let frames = rig.frames(socket);
        let big = frames.iter().filter(|frame| frame.contains("xxxx"));
        assert_eq!(big.count(), 100);
    }
}

#[test]
fn a_registration_writes_three_rows_at_most_however_many_peers_are_in_the_room() {
    let mut rig = Rig::new(LARGE);
    let ann = rig.join("ann", None);
    for n in 0..60 {
        let before = rig.written().rows;
        rig.register(&format!("p{n}"), None).unwrap();
        assert!(rig.written().rows - before <= 3, "registration {n}");
        let socket = rig.open_stream(&format!("p{n}"), None, None).unwrap();
        // Half of the peers are absent, and the others have full attachments.
        if n % 2 == 0 {
            rig.lose(socket);
        }
        rig.pass(100);
        rig.send(ann, &broadcast(3_000));
    }
    let before = rig.written().rows;
    rig.pass(60_000);
    let leaves = rig.written().rows - before;
    assert!(leaves <= 60, "{leaves} rows for 30 leaves");
}

#[test]
fn a_notice_is_not_written_again_when_its_receiver_is_lost_again() {
    let (mut rig, ann, sockets) = streams(1);
    let mut stream = sockets[0];
    let (first, _) = events(&rig.frames(stream)[0])[0].clone();
    rig.send(ann, &broadcast(1_000));
    rig.send(ann, &broadcast(10_000));
    let before = rig.written().bytes_of_notices;
    for _ in 0..10 {
        rig.lose(stream);
        rig.sleep();
        stream = rig.open_stream("p0", None, first).unwrap();
        assert_eq!(rig.frames(stream).len(), 3, "both signals are sent again");
    }
    let written = rig.written().bytes_of_notices - before;
    assert!(written < 1_500, "{written} bytes");
}

#[test]
fn peers_that_are_lost_within_a_second_leave_together() {
    let mut rig = Rig::new(LARGE);
    rig.join("ann", None);
    rig.pass(1);
    let sockets: Vec<_> = (0..20).map(|n| rig.join(&format!("p{n}"), None)).collect();
    for socket in sockets {
        rig.lose(socket);
        rig.pass(40);
    }
    let before = rig.written().others;
    rig.pass(20_000);
    assert_eq!(rig.len(), 1);
    assert_eq!(
        rig.written().others,
        before,
        "the alarm rings once, and everything is cleared"
    );
}

#[test]
fn peers_whose_pages_go_away_within_a_second_leave_together() {
    for are_absent in [false, true] {
        let mut rig = Rig::new(LARGE);
        rig.join("ann", None);
        rig.pass(1);
        let join = |n| rig.join(&format!("p{n}"), Some("key"));
        let sockets: Vec<_> = (0..50).map(join).collect();
        if are_absent {
            sockets.iter().for_each(|socket| rig.jam(*socket));
            rig.send(sockets[0], r#"{"type":"x"}"#);
        }
        let before = rig.written().others;
        for socket in sockets {
            rig.go_away(socket);
            rig.pass(17);
        }
        rig.pass(3_000);
        assert_eq!(rig.len(), 1);
        // The alarm is set, and everything is cleared when it has rung.
        let most = if are_absent { 3 } else { 2 };
        let others = rig.written().others - before;
        assert!(others <= most, "{others}");
    }
}

#[test]
fn absent_peers_leave_in_time_when_the_clock_goes_back_six_hours() {
    let six_hours = 6 * 3_600_000;
    let mut rig = Rig::new(LARGE);
    rig.pass(six_hours);
    let ann = rig.join("ann", None);
    let bob = rig.join("bob", None);
    rig.register("eve", None).unwrap();
    rig.lose(bob);
    rig.turn_clock_back(six_hours);
    rig.sleep();
    rig.send(ann, r#"{"type":"x"}"#);
    rig.pass(16_000);
    assert_eq!(rig.len(), 2, "bob has left");
    rig.pass(15_000);
    assert_eq!(rig.len(), 1, "eve has left");
}

#[test]
fn a_quarter_of_the_places_is_for_peers_that_never_opened_a_stream() {
    let mut rig = Rig::new(LARGE);
    for n in 0..16 {
        rig.register(&format!("p{n}"), None).unwrap();
    }
    let refused = rig.register("late", None).unwrap_err();
    assert_eq!(refused.code, Code::RoomFull);
    let ann = rig.join("ann", None);
    assert!(rig.frames(ann)[0].contains("welcome"));
    rig.pass(5_000);
    rig.open_stream("p0", None, None).unwrap();
    rig.register("late", None).unwrap();
    assert_eq!(
        rig.frames(ann),
        [r#"{"type":"peer-joined","id":"late","polite":true}"#]
    );
    rig.register("later", None).unwrap();
    let left = r#"{"type":"peer-left","id":"p1"}"#;
    let joined = r#"{"type":"peer-joined","id":"later","polite":true}"#;
    assert_eq!(rig.frames(ann), [left, joined], "the oldest leaves");
    assert!(
        rig.register("later", None).is_ok(),
        "a peer may register again"
    );
}

#[test]
fn half_of_these_places_is_for_one_address() {
    let mut rig = Rig::new(LARGE);
    let mut register = |address, n: usize| rig.register_from(address, &format!("p{n}"), None);
    for n in 0..8 {
        register(Some("203.0.113.7"), n).unwrap();
    }
    let refused = register(Some("203.0.113.7"), 8).unwrap_err();
    assert_eq!(refused.code, Code::RoomFull);
    for n in 8..16 {
        register(Some("203.0.113.8"), n).unwrap();
    }
    assert_eq!(
        register(Some("203.0.113.9"), 16).unwrap_err().code,
        Code::RoomFull
    );
    rig.sleep();
    rig.pass(6_000);
    rig.register_from(Some("203.0.113.8"), "new", None).unwrap();
    assert!(rig.open_stream("p0", None, None).is_ok());
    let gone = rig.open_stream("p8", None, None).unwrap_err();
    assert_eq!(
        gone.code,
        Code::NotRegistered,
        "the oldest of the same address left"
    );
}

#[test]
fn without_pressure_a_registered_peer_has_30_seconds() {
    let mut rig = Rig::new(LARGE);
    rig.register("ann", None).unwrap();
    rig.pass(29_000);
    for n in 0..15 {
        rig.register(&format!("p{n}"), None).unwrap();
    }
    assert!(rig.open_stream("ann", None, None).is_ok());
}

#[test]
fn a_burst_of_one_mib_passes_and_registering_again_does_not_refill_it() {
    let mut rig = Rig::new(LIMITS);
    rig.register("bob", None).unwrap();
    rig.register("eve", None).unwrap();
    rig.open_stream("eve", None, None).unwrap();
    let body = format!(r#"{{"type":"x","payload":"{}"}}"#, "x".repeat(60_000));
    let passed = |rig: &mut Rig| {
        (0..30)
            .filter(|_| rig.post("bob", None, &body).is_ok())
            .count()
    };
    assert_eq!(passed(&mut rig), 17);
    rig.register("bob", None).unwrap();
    assert_eq!(passed(&mut rig), 0);
    let refused = rig.post("bob", None, &body).unwrap_err();
    assert_eq!(refused.code, Code::TooFast);
    assert!(
        refused.message.contains("256 KiB a second"),
        "{}",
        refused.message
    );
    rig.pass(1_000);
    assert_eq!(passed(&mut rig), 4);
}

#[test]
fn a_websocket_that_joins_again_keeps_its_rate_limit() {
    let mut rig = Rig::new(LIMITS);
    let mut ann = rig.join("ann", None);
    let bob = rig.join("bob", None);
    for _ in 0..4 {
        for _ in 0..60 {
            rig.send(ann, r#"{"type":"x"}"#);
        }
        ann = rig.join("ann", None);
    }
    let heard = rig.frames(bob);
    assert_eq!(
        heard
            .iter()
            .filter(|frame| frame.contains(r#""type":"x""#))
            .count(),
        200
    );
}

#[test]
fn the_outboxes_of_a_room_hold_8_mb_together() {
    const BYTES: usize = 60_000;
    let mut rig = Rig::new(LARGE);
    let senders: Vec<_> = (0..8).map(|n| rig.join(&format!("s{n}"), None)).collect();
    for n in 0..50 {
        let lost = rig.join(&format!("p{n}"), None);
        rig.lose(lost);
    }
    let mut kept = 0;
    for round in 0..4 {
        for n in 0..50 {
            let sender = senders[n % 8];
            rig.send(
                sender,
                &format!(
                    r#"{{"type":"x","to":"p{n}","payload":"{}"}}"#,
                    "x".repeat(BYTES)
                ),
            );
            let refused = rig
                .frames(sender)
                .iter()
                .any(|frame| frame.contains("mailbox-full"));
            kept += usize::from(!refused);
        }
        rig.pass(2_000);
        assert!(round < 3 || kept < 200);
    }
    let most = MAX_ROOM_BYTES / BYTES;
    assert!((most - 2..=most).contains(&kept), "{kept} of {most}");
}

#[test]
fn a_room_at_its_limit_drops_what_its_streams_have_been_sent_for_a_new_signal() {
    let (mut rig, ann, sockets) = streams(63);
    for socket in &sockets {
        rig.heard(*socket);
    }
    for n in 0..400 {
        rig.send(
            ann,
            &format!(
                r#"{{"type":"x","to":"p{}","payload":"{}"}}"#,
                n % 63,
                "x".repeat(40_000)
            ),
        );
        rig.pass(160);
        assert_eq!(rig.heard(ann), [], "signal {n} is not refused");
    }
}

#[test]
fn a_broadcast_past_full_queues_is_refused_once_with_their_number() {
    let mut rig = Rig::new(LARGE);
    let ann = rig.join("ann", None);
    for n in 0..10 {
        let lost = rig.join(&format!("p{n}"), None);
        rig.lose(lost);
    }
    rig.heard(ann);
    for _ in 0..64 {
        rig.send(ann, r#"{"type":"x"}"#);
    }
    assert_eq!(rig.heard(ann), []);
    rig.send(ann, r#"{"type":"x"}"#);
    let heard = rig.heard(ann);
    assert!(
        matches!(&heard[..], [Heard::Frame(text)] if text.contains("mailbox-full") && text.contains("10 peers")),
        "{heard:?}"
    );
}

#[test]
fn absent_peers_leave_when_the_alarm_of_the_platform_rings_though_the_clock_went_back() {
    let six_hours = 6 * 3_600_000;
    let mut rig = Rig::new(LARGE);
    rig.pass(six_hours);
    rig.join("ann", None);
    let bob = rig.join("bob", None);
    rig.lose(bob);
    rig.turn_back_only_the_clock(six_hours);
    rig.ring();
    assert_eq!(rig.len(), 1, "bob has left");
}

#[test]
fn the_removal_of_a_connected_peer_writes_one_row() {
    let (mut rig, ..) = streams(2);
    let before = rig.written();
    assert_eq!(rig.remove("ann"), 1);
    let after = rig.written();
    assert_eq!(after.rows - before.rows, 1);
    assert_eq!(after.others - before.others, 1, "one alarm");
}

#[test]
fn tokens_of_connected_peers_write_no_row_and_expire_with_one_alarm() {
    let mut rig = Rig::new(LARGE);
    rig.token_expires_at = Some(rig.now.plus(60_000));
    for n in 0..64 {
        rig.join(&format!("p{n}"), None);
        rig.pass(10);
    }
    rig.pass(59_000);
    assert_eq!((rig.written().rows, rig.written().others), (0, 1));
    rig.pass(1_000);
    assert_eq!(rig.written().rows, 64, "the rows of the absent peers");
    assert_eq!(rig.written().others, 2, "and the end of the grace period");
}
