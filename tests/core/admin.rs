//! Tests of the requests of the operator: to list the peers, to remove one, and to remove all.

use crate::rig::{Heard, LIMITS, Rig, id};
use crate::streams::{code, events};
use partyline::core::admin::AdminRequest;
use partyline::core::close::Close;
use partyline::core::event::{Absent, Ban, Effect, Event, Limits, Notices, Reply, Row, RowKey};
use partyline::core::member::{Attached, Member};
use partyline::core::notice::{Notice, RoutedSignal};
use partyline::core::outbox::Numbered;
use partyline::core::peer::{Lock, Seat, Socket, Time};
use partyline::core::refusal::Code;
use partyline::core::room::Room;

const OFFER: &str = r#"{"type":"offer","to":"bob","payload":1}"#;
/// The time for which an id and a key are refused, in milliseconds.
const BAN_MS: u64 = 600_000;
const REMOVED: Heard = Heard::Closed(Close::Removed);

/// Creates a room with ann and bob, who has a key, and discards the frames of their joins.
fn pair() -> (Rig, Socket, Socket) {
    let mut rig = Rig::new(LIMITS);
    let (ann, bob) = (rig.join("ann", None), rig.join("bob", Some("bob's")));
    rig.heard(ann);
    rig.heard(bob);
    (rig, ann, bob)
}

/// Returns whether a join is refused because the operator has removed the peer.
fn is_refused(rig: &mut Rig, id: &str, key: Option<&str>) -> bool {
    let socket = rig.join(id, key);
    let heard = rig.heard(socket);
    assert_eq!(heard.last() == Some(&REMOVED), !rig.is_open(socket));
    !rig.is_open(socket)
}

#[test]
fn the_owner_lists_connected_and_absent_peers() {
    let (mut rig, _, bob) = pair();
    rig.register("eve", None).unwrap();
    rig.lose(bob);
    assert_eq!(rig.list(), ["ann", "bob", "eve"]);
    rig.sleep();
    assert_eq!(rig.list(), ["ann", "bob", "eve"]);
    assert_eq!(Rig::new(LIMITS).list(), [] as [&str; 0]);
}

#[test]
fn a_removed_peer_leaves_and_its_websocket_is_closed() {
    let (mut rig, ann, bob) = pair();
    assert_eq!(rig.remove("bob"), 1);
    assert_eq!(rig.heard(bob), [REMOVED]);
    assert_eq!(rig.frames(ann), [r#"{"type":"peer-left","id":"bob"}"#]);
    assert_eq!(rig.list(), ["ann"]);
    rig.send(ann, OFFER);
    assert!(rig.frames(ann)[0].contains("no-such-peer"));
}

#[test]
fn the_signals_queued_for_a_removed_absent_peer_are_refused() {
    let (mut rig, ann, bob) = pair();
    rig.lose(bob);
    rig.send(ann, OFFER);
    assert_eq!(rig.remove("bob"), 1);
    let frames = rig.frames(ann);
    assert!(frames[0].contains("no-such-peer"), "{frames:?}");
    assert_eq!(frames[1], r#"{"type":"peer-left","id":"bob"}"#);
}

#[test]
fn the_id_and_the_key_of_a_removed_peer_are_refused_for_ten_minutes() {
    let (mut rig, ..) = pair();
    rig.remove("bob");
    for _ in 0..2 {
        for key in [None, Some("bob's"), Some("another")] {
            assert!(is_refused(&mut rig, "bob", key), "{key:?}");
            assert_eq!(code(rig.register("bob", key)), Code::Removed);
        }
        assert!(is_refused(&mut rig, "eve", Some("bob's")));
        assert_eq!(code(rig.register("eve", Some("bob's"))), Code::Removed);
        let returned = rig.join_with_expired_token("bob", Some("bob's"));
        assert_eq!(rig.heard(returned).last(), Some(&REMOVED));
        assert!(rig.register("dan", Some("another")).is_ok());
        rig.sleep();
    }
    rig.pass(BAN_MS - 1);
    assert!(is_refused(&mut rig, "bob", None));
    rig.pass(1);
    assert!(!is_refused(&mut rig, "bob", Some("bob's")));
}

#[test]
fn a_removed_peer_of_the_http_dialect_is_refused_in_every_request() {
    let mut rig = Rig::new(LIMITS);
    let made = Some("made by the server");
    rig.register("bob", None).unwrap();
    let bob = rig.open_stream("bob", None, None).unwrap();
    rig.register("eve", Some("mine")).unwrap();
    events(&mut rig, bob);
    assert_eq!(rig.remove("bob"), 1);
    assert_eq!(rig.heard(bob), [REMOVED]);
    assert_eq!(rig.remove("dan"), 0);
    // The key of bob is refused with the id of another peer, and each id with any key.
    for (id, key) in [("bob", None), ("bob", made), ("eve", made), ("dan", None)] {
        let posted = rig.post(id, key, r#"{"type":"x"}"#);
        assert_eq!(code(posted), Code::Removed, "{id}");
        assert_eq!(code(rig.admits(id, key)), Code::Removed, "{id}");
        assert_eq!(code(rig.open_stream(id, key, None)), Code::Removed, "{id}");
        assert_eq!(code(rig.register(id, key)), Code::Removed, "{id}");
    }
    assert!(rig.admits("eve", Some("mine")).is_ok());
    rig.pass(BAN_MS);
    assert_eq!(code(rig.admits("bob", made)), Code::NotRegistered);
}

#[test]
fn a_removed_peer_learns_so_before_it_learns_that_the_room_is_full_or_the_id_taken() {
    let mut rig = Rig::new(LIMITS);
    rig.join("bob", Some("bob's"));
    rig.remove("bob");
    for id in ["ann", "eve", "dan", "fay"] {
        rig.join(id, Some("key"));
    }
    assert!(is_refused(&mut rig, "bob", None), "the room is full");
    assert!(is_refused(&mut rig, "ann", Some("bob's")), "ann is taken");
    assert_eq!(code(rig.register("bob", None)), Code::Removed);
}

#[test]
fn an_id_that_no_peer_has_is_refused_and_a_second_removal_keeps_the_key() {
    let (mut rig, ..) = pair();
    assert_eq!(rig.remove("eve"), 0);
    assert!(is_refused(&mut rig, "eve", Some("any")));
    rig.join("fay", Some("fay's"));
    rig.remove("fay");
    rig.remove("bob");
    rig.pass(BAN_MS / 2);
    assert_eq!(rig.remove("bob"), 0);
    rig.pass(BAN_MS / 2);
    assert!(
        !is_refused(&mut rig, "eve", Some("any")),
        "its time is over"
    );
    // The ban of fay's key has expired, so it does not return with her id.
    assert_eq!(rig.remove("fay"), 0);
    assert!(!is_refused(&mut rig, "gus", Some("fay's")));
    for (id, key) in [("bob", None), ("dan", Some("bob's"))] {
        assert!(is_refused(&mut rig, id, key), "the time began again");
    }
}

#[test]
fn the_oldest_of_257_removed_ids_may_join_again() {
    let mut rig = Rig::new(LIMITS);
    for n in 0..257 {
        let before = rig.written().rows;
        rig.remove(&format!("p{n}"));
        assert_eq!(rig.written().rows, before + 1);
    }
    // The removal of the same id again takes no place of another.
    rig.remove("p256");
    rig.remove("p256");
    rig.sleep();
    assert!(!is_refused(&mut rig, "p0", None));
    assert!(is_refused(&mut rig, "p1", None));
    assert!(is_refused(&mut rig, "p256", None));
}

#[test]
fn bans_are_erased_with_one_alarm_after_the_last_of_them() {
    let mut rig = Rig::new(LIMITS);
    rig.join("ann", None);
    rig.remove("bob");
    rig.pass(BAN_MS - 1_000);
    rig.remove("eve");
    let before = rig.written();
    rig.pass(BAN_MS - 5_000);
    assert_eq!(rig.written().others, before.others);
    // The row of an absent peer stays, so the storage is not cleared.
    let dan = rig.join("dan", None);
    rig.lose(dan);
    rig.pass(4_999);
    assert!(is_refused(&mut rig, "eve", None));
    rig.pass(1);
    // The Rig checks that no row is left without an alarm.
    assert_eq!(rig.alarm(), Some(rig.now.plus(LIMITS.grace - 5_000)));
    assert!(!is_refused(&mut rig, "eve", None));
    rig.pass(LIMITS.grace);
    assert_eq!(rig.alarm(), None);
}

#[test]
fn no_ban_lasts_longer_than_ten_minutes_after_the_clock_went_back() {
    let six_hours = 6 * 3_600_000;
    let mut rig = Rig::new(LIMITS);
    rig.pass(six_hours);
    rig.join("ann", None);
    rig.remove("bob");
    rig.turn_clock_back(six_hours);
    for _ in 0..2 {
        // Another eviction does not begin the time again.
        rig.sleep();
        assert!(is_refused(&mut rig, "bob", None));
        rig.pass(BAN_MS / 2 + 500);
    }
    assert!(!is_refused(&mut rig, "bob", None));
    assert_eq!(rig.alarm(), None);
}

#[test]
fn an_empty_or_outdated_row_of_bans_is_erased() {
    let ban = Ban {
        id: id("bob"),
        key: None,
        expires_at: Time(1_000),
    };
    for bans in [vec![], vec![ban]] {
        for event in [Event::Wake, Event::Tick] {
            let bans = Row::Bans(bans.clone());
            let mut room = Room::restore("demo", LIMITS, Time(2_000), [], [bans]);
            let mut effects = Vec::new();
            room.handle(Time(2_000), Event::Wake, &mut effects);
            room.handle(Time(2_000), event, &mut effects);
            assert!(effects.contains(&Effect::Clear), "{effects:?}");
        }
    }
    // Another row stays, so the storage is not cleared.
    let rows = [Row::Bans(vec![]), absent_row(0)];
    let mut room = Room::restore("demo", LIMITS, Time(2_000), [], rows);
    let mut effects = Vec::new();
    room.handle(Time(2_000), Event::Wake, &mut effects);
    assert_eq!(effects, [Effect::Erase(RowKey::Bans)]);
}

#[test]
fn all_peers_are_removed_without_notices_of_each_other() {
    for has_ban in [false, true] {
        let (mut rig, ann, bob) = pair();
        if has_ban {
            // The row of the ban stays, so all other rows must be erased one by one.
            rig.remove("fay");
        }
        rig.register("eve", None).unwrap();
        let eve = rig.open_stream("eve", None, None).unwrap();
        rig.register("dan", None).unwrap();
        rig.lose(bob);
        rig.send(ann, OFFER);
        for socket in [ann, eve] {
            rig.heard(socket);
        }
        rig.sleep();
        assert_eq!(rig.remove_all(), 4);
        assert_eq!(rig.heard(ann), [REMOVED]);
        assert_eq!(rig.heard(eve), [REMOVED]);
        assert_eq!(rig.list(), [] as [&str; 0]);
        assert_eq!(rig.alarm().is_some(), has_ban);
        let bob = rig.join("bob", None);
        assert_eq!(rig.frames(bob).len(), 1, "only a welcome");
        assert_eq!(rig.remove_all(), 1);
        assert_eq!(rig.remove_all(), 0);
    }
}

#[test]
fn a_held_broadcast_is_dropped_when_all_peers_are_removed_and_a_ban_stays() {
    let mut rig = Rig::new(LIMITS);
    rig.remove("bob");
    let ann = rig.join("ann", None);
    rig.send(ann, r#"{"type":"held"}"#);
    assert_eq!(rig.remove_all(), 1);
    let eve = rig.join("eve", None);
    assert_eq!(rig.frames(eve).len(), 1, "only a welcome");
    rig.sleep();
    assert!(is_refused(&mut rig, "bob", None));
}

/// Returns the row of an absent peer.
fn absent_row(n: u64) -> Row {
    Row::Absent(Absent {
        member: member(n),
        expires_at: Time(9_000),
        sent: 0,
    })
}

fn member(n: u64) -> Member {
    Member {
        socket: Socket(n),
        id: id(&format!("p{n}")),
        seat: Seat(n),
        lock: Lock::Open,
        stream: None,
        token_expires_at: None,
        media: None,
        meta: None,
    }
}

#[test]
fn the_removal_of_16384_peers_has_one_effect_for_each() {
    const PEERS: u64 = 16_384;
    let limits = Limits {
        peers: 16_384,
        ..LIMITS
    };
    let connected = (0..PEERS / 2).map(|n| Attached {
        member: member(n),
        notices: Vec::new(),
    });
    let absent = (PEERS / 2..PEERS).flat_map(|n| {
        let notice = Notice::Signal(RoutedSignal {
            from: id("p0"),
            to: None,
            signal_type: "x".into(),
            payload: None,
        });
        let queued = Numbered {
            number: n,
            notice: notice.into(),
        };
        let notices = Row::Notices(Notices {
            key: n,
            to: vec![Seat(n)],
            notices: vec![queued],
        });
        [absent_row(n), notices]
    });
    let mut room = Room::restore("demo", limits, Time(1_000), connected, absent);
    let mut effects = Vec::new();
    room.handle(Time(1_000), Event::Admin(AdminRequest::Close), &mut effects);
    let closed = |effect: &&Effect<'_>| matches!(effect, Effect::Close(_, Close::Removed));
    assert_eq!(effects.iter().filter(closed).count() as u64, PEERS / 2);
    assert!(effects.contains(&Effect::Reply(Ok(Reply::Removed(16_384)))));
    // The rows need not be erased, because the storage is cleared.
    assert_eq!(effects.last(), Some(&Effect::Clear));
    assert_eq!(effects.len() as u64, PEERS / 2 + 2);
    assert_eq!(room.peers(), 0);
}
