//! Tests of the room that transcripts cannot express: failing sends, extreme limits, and storage.

use crate::rig::{Heard, LIMITS, Rig};
use partyline::core::close::Close;
use partyline::core::event::Limits;
use partyline::core::outbox::{MAX_HELD, MAX_HELD_BYTES};
use partyline::core::peer::Socket;

const OFFER: &str = r#"{"type":"offer","to":"bob","payload":1}"#;

/// Creates a room with ann and bob, and discards the frames of their joins.
fn pair(limits: Limits) -> (Rig, Socket, Socket) {
    let mut rig = Rig::new(limits);
    let (ann, bob) = (rig.join("ann", None), rig.join("bob", None));
    rig.heard(ann);
    rig.heard(bob);
    (rig, ann, bob)
}

#[test]
fn a_signal_is_queued_when_it_cannot_be_sent() {
    let (mut rig, ann, bob) = pair(LIMITS);
    rig.jam(bob);
    rig.send(ann, OFFER);
    assert_eq!(rig.heard(ann), []);
    let bob = rig.join("bob", None);
    let heard = rig.frames(bob);
    assert_eq!(heard[1..], [r#"{"type":"offer","from":"ann","payload":1}"#]);
    assert_eq!(rig.heard(ann), [], "no refusal, and nobody left");
}

#[test]
fn two_failed_websockets_leave_in_turn_without_a_grace_period() {
    let (mut rig, ann, bob) = pair(Limits { grace: 0, ..LIMITS });
    let eve = rig.join("eve", None);
    rig.heard(ann);
    rig.jam(bob);
    rig.jam(eve);
    rig.send(ann, r#"{"type":"hello"}"#);
    let frames = rig.frames(ann);
    let left = frames.iter().filter(|frame| frame.contains("peer-left"));
    assert_eq!(left.count(), 2, "{frames:?}");
}

#[test]
fn a_broadcast_reaches_the_other_peers_when_one_websocket_fails() {
    let (mut rig, ann, bob) = pair(LIMITS);
    let eve = rig.join("eve", None);
    rig.jam(bob);
    rig.heard(eve);
    rig.send(ann, r#"{"type":"hello"}"#);
    assert_eq!(rig.frames(eve), [r#"{"type":"hello","from":"ann"}"#]);
}

#[test]
fn queued_signals_are_queued_again_when_the_next_websocket_fails() {
    let (mut rig, ann, bob) = pair(LIMITS);
    rig.lose(bob);
    for n in 0..3 {
        rig.send(ann, &format!(r#"{{"type":"n","to":"bob","payload":{n}}}"#));
    }
    let bob = rig.join("bob", None);
    assert_eq!(rig.frames(bob).len(), 4);
    rig.jam(bob);
    rig.send(ann, OFFER);
    rig.send(ann, OFFER);
    let bob = rig.join("bob", None);
    assert_eq!(rig.frames(bob).len(), 3);
}

#[test]
fn a_late_close_frame_ends_the_grace_period() {
    let (mut rig, ann, bob) = pair(LIMITS);
    rig.jam(bob);
    rig.send(ann, OFFER);
    rig.close(bob);
    let heard = rig.frames(ann);
    assert!(
        heard[0].contains("no-such-peer"),
        "the queued signal is refused"
    );
    assert_eq!(heard[1], r#"{"type":"peer-left","id":"bob"}"#);
}

#[test]
fn a_disconnected_peer_leaves_immediately_without_a_grace_period() {
    let (mut rig, ann, bob) = pair(Limits { grace: 0, ..LIMITS });
    rig.lose(bob);
    assert_eq!(rig.frames(ann), [r#"{"type":"peer-left","id":"bob"}"#]);
    assert_eq!(rig.written().rows, 0);
}

#[test]
fn a_signal_that_cannot_be_sent_is_refused_without_a_grace_period() {
    let (mut rig, ann, bob) = pair(Limits { grace: 0, ..LIMITS });
    rig.jam(bob);
    rig.send(ann, OFFER);
    assert!(rig.frames(ann)[1].contains("no-such-peer"));
}

#[test]
fn an_ordinary_session_stores_nothing() {
    let (mut rig, ann, bob) = pair(LIMITS);
    rig.send(ann, OFFER);
    rig.send(bob, r#"{"type":"answer","to":"ann"}"#);
    rig.pass(60_000);
    rig.sleep();
    rig.send(bob, r#"{"type":"all"}"#);
    rig.close(bob);
    rig.close(ann);
    assert_eq!(rig.written().rows, 0);
    assert_eq!(rig.len(), 0);
}

#[test]
fn an_absent_peer_leaves_at_the_end_of_its_grace_period_and_not_before() {
    let (mut rig, ann, bob) = pair(LIMITS);
    rig.lose(bob);
    rig.pass(14_999);
    assert_eq!(rig.heard(ann), []);
    rig.pass(1);
    assert_eq!(rig.frames(ann), [r#"{"type":"peer-left","id":"bob"}"#]);
}

/// Creates a room with ann and bob, who has a key, and lets bob's page go away.
fn going_away(limits: Limits) -> (Rig, Socket, Socket) {
    let mut rig = Rig::new(limits);
    let (ann, bob) = (rig.join("ann", None), rig.join("bob", Some("bob's")));
    rig.heard(ann);
    rig.go_away(bob);
    (rig, ann, bob)
}

#[test]
fn a_peer_whose_page_goes_away_leaves_after_two_seconds_and_not_before() {
    let (mut rig, ann, _) = going_away(LIMITS);
    rig.pass(1_999);
    assert_eq!(rig.heard(ann), []);
    rig.pass(1);
    assert_eq!(rig.frames(ann), [r#"{"type":"peer-left","id":"bob"}"#]);
}

#[test]
fn a_peer_without_a_key_or_without_a_grace_period_leaves_when_its_page_goes_away() {
    let (mut rig, ann, bob) = pair(LIMITS);
    rig.go_away(bob);
    assert_eq!(rig.frames(ann), [r#"{"type":"peer-left","id":"bob"}"#]);
    let (mut rig, ann, _) = going_away(Limits { grace: 0, ..LIMITS });
    assert_eq!(rig.frames(ann), [r#"{"type":"peer-left","id":"bob"}"#]);
    let (mut rig, ann, _) = going_away(Limits {
        grace: 1_000,
        ..LIMITS
    });
    rig.pass(1_000);
    assert_eq!(rig.frames(ann), [r#"{"type":"peer-left","id":"bob"}"#]);
}

#[test]
fn a_page_that_stays_after_all_keeps_its_seat_and_its_signals() {
    let (mut rig, ann, _) = going_away(LIMITS);
    rig.send(ann, OFFER);
    rig.pass(1_999);
    let bob = rig.join("bob", Some("bob's"));
    let heard = rig.frames(bob);
    assert_eq!(heard[1..], [r#"{"type":"offer","from":"ann","payload":1}"#]);
    rig.pass(60_000);
    assert_eq!(rig.heard(ann), []);
    assert!(rig.is_open(bob));
}

#[test]
fn a_page_that_returns_and_goes_nevertheless_leaves_after_two_seconds() {
    let (mut rig, ann, _) = going_away(LIMITS);
    rig.pass(300);
    let bob = rig.join("bob", Some("bob's"));
    // The page was closed during the handshake, so no Close frame follows.
    rig.lose(bob);
    // Absences end at a whole second.
    rig.pass(2_699);
    assert_eq!(rig.heard(ann), []);
    rig.pass(1);
    assert_eq!(rig.frames(ann), [r#"{"type":"peer-left","id":"bob"}"#]);
}

#[test]
fn a_page_that_has_stayed_is_lost_like_any_other() {
    let (mut rig, ann, _) = going_away(LIMITS);
    rig.pass(300);
    let bob = rig.join("bob", Some("bob's"));
    rig.pass(3_700);
    rig.lose(bob);
    rig.pass(14_999);
    assert_eq!(rig.heard(ann), []);
    rig.pass(1_000);
    assert_eq!(rig.frames(ann), [r#"{"type":"peer-left","id":"bob"}"#]);
}

#[test]
fn a_page_that_has_stayed_is_lost_like_any_other_after_the_clock_went_back() {
    let mut rig = Rig::new(LIMITS);
    rig.pass(600_000);
    let (ann, bob) = (rig.join("ann", None), rig.join("bob", Some("bob's")));
    rig.heard(ann);
    rig.go_away(bob);
    let bob = rig.join("bob", Some("bob's"));
    rig.turn_clock_back(600_000);
    rig.pass(60_000);
    rig.lose(bob);
    rig.pass(14_999);
    assert_eq!(rig.heard(ann), []);
    rig.pass(1);
    assert_eq!(rig.frames(ann), [r#"{"type":"peer-left","id":"bob"}"#]);
}

#[test]
fn a_late_close_frame_of_a_page_that_goes_away_shortens_the_grace_period() {
    let mut rig = Rig::new(LIMITS);
    let (ann, bob) = (rig.join("ann", None), rig.join("bob", Some("bob's")));
    rig.jam(bob);
    rig.send(ann, OFFER);
    rig.heard(ann);
    rig.go_away(bob);
    rig.pass(1_999);
    assert_eq!(rig.heard(ann), []);
    rig.pass(1);
    assert_eq!(rig.frames(ann).len(), 2, "a refusal and peer-left");
}

#[test]
fn an_alarm_is_set_again_when_it_fires_early() {
    let (mut rig, ann, bob) = pair(LIMITS);
    rig.lose(bob);
    rig.pass(14_999);
    rig.ring();
    assert_eq!(rig.heard(ann), []);
    rig.pass(1);
    assert_eq!(rig.frames(ann).len(), 1);
    rig.ring();
}

#[test]
fn the_queue_of_an_absent_peer_is_full_after_64_signals_or_256_kib() {
    let (mut rig, ann, bob) = pair(LIMITS);
    rig.lose(bob);
    for _ in 0..MAX_HELD {
        rig.pass(10);
        rig.send(ann, OFFER);
    }
    assert_eq!(rig.heard(ann), []);
    rig.send(ann, OFFER);
    assert!(rig.frames(ann)[0].contains(r#""code":"mailbox-full""#));
    let bob = rig.join("bob", None);
    assert_eq!(rig.frames(bob).len(), 1 + MAX_HELD);

    rig.lose(bob);
    let eighth = "x".repeat(MAX_HELD_BYTES / 8 - "xx".len() - "big".len());
    let big = format!(r#"{{"type":"big","to":"bob","payload":"{eighth}"}}"#);
    for _ in 0..8 {
        rig.send(ann, &big);
        assert_eq!(rig.heard(ann), []);
    }
    rig.send(ann, &big);
    let refused = rig.frames(ann);
    assert!(
        refused[0].contains("mailbox-full") && refused[0].contains(r#""to":"bob""#),
        "{refused:?}"
    );
}

#[test]
fn a_peer_that_is_alone_can_have_64_broadcasts_held() {
    let mut rig = Rig::new(LIMITS);
    let ann = rig.join("ann", None);
    rig.heard(ann);
    for _ in 0..MAX_HELD {
        rig.send(ann, r#"{"type":"hello"}"#);
    }
    assert_eq!(rig.heard(ann), []);
    rig.send(ann, r#"{"type":"hello"}"#);
    let refused = rig.frames(ann);
    assert!(
        refused[0].contains("mailbox-full") && !refused[0].contains(r#""to""#),
        "{refused:?}"
    );
}

#[test]
fn a_peer_that_sends_too_fast_is_refused_and_then_disconnected() {
    let (mut rig, ann, bob) = pair(LIMITS);
    for _ in 0..399 {
        rig.send(ann, OFFER);
    }
    assert_eq!(rig.frames(bob).len(), 200);
    let refused = rig.frames(ann);
    assert_eq!(refused.len(), 199);
    assert!(
        refused
            .iter()
            .all(|frame| frame.contains(r#""code":"too-fast""#))
    );
    rig.send(ann, OFFER);
    assert_eq!(rig.heard(ann)[1], Heard::Closed(Close::TooFast));
    assert_eq!(rig.frames(bob), [r#"{"type":"peer-left","id":"ann"}"#]);
}

#[test]
fn each_signal_of_a_batch_counts_as_a_frame() {
    let (mut rig, ann, bob) = pair(LIMITS);
    let list = format!("[{}]", [OFFER; 32].join(","));
    for _ in 0..7 {
        rig.send(ann, &list);
    }
    assert_eq!(rig.frames(bob).len(), 200);
    assert_eq!(rig.frames(ann).len(), 24, "the rest is refused");
}

#[test]
fn a_frame_of_64_kib_passes_and_one_byte_more_closes_the_websocket() {
    let (mut rig, ann, bob) = pair(LIMITS);
    let frame = |len: usize| {
        let empty = r#"{"type":"x","payload":""}"#.len();
        format!(r#"{{"type":"x","payload":"{}"}}"#, "x".repeat(len - empty))
    };
    rig.send(ann, &frame(65_536));
    assert_eq!(rig.frames(bob).len(), 1);
    rig.send(ann, &frame(65_537));
    let heard = rig.heard(ann);
    assert!(matches!(&heard[0], Heard::Frame(text) if text.contains(r#""code":"too-large""#)));
    assert_eq!(heard[1], Heard::Closed(Close::TooLarge));
    assert_eq!(rig.frames(bob), [r#"{"type":"peer-left","id":"ann"}"#]);
}

#[test]
fn a_peer_that_takes_its_id_over_100_times_is_one_peer() {
    let (mut rig, ann, mut bob) = pair(LIMITS);
    for _ in 0..100 {
        let next = rig.join("bob", None);
        assert_eq!(rig.heard(bob).last(), Some(&Heard::Closed(Close::Replaced)));
        bob = next;
    }
    assert_eq!(rig.heard(ann), []);
    assert_eq!(rig.len(), 2);
}

#[test]
fn an_id_with_a_key_is_taken_over_only_with_that_key() {
    for absent in [false, true] {
        let (mut rig, ann, _) = pair(LIMITS);
        let eve = rig.join("eve", Some("secret"));
        rig.heard(ann);
        if absent {
            rig.lose(eve);
        }
        for wrong in [None, Some("guess"), Some("Secret")] {
            let thief = rig.join("eve", wrong);
            let heard = rig.heard(thief);
            assert!(
                matches!(&heard[0], Heard::Frame(text) if text.contains(r#""code":"id-taken""#))
            );
            assert_eq!(heard[1..], [Heard::Closed(Close::IdTaken)]);
        }
        let back = rig.join("eve", Some("secret"));
        assert_eq!(rig.frames(back).len(), 1);
        assert_eq!(rig.heard(ann), [], "no refusal, and nobody left");
    }
}

#[test]
fn an_id_without_a_key_can_be_taken_over_with_a_new_key() {
    let (mut rig, _, _) = pair(LIMITS);
    let bob = rig.join("bob", Some("mine"));
    assert_eq!(rig.frames(bob).len(), 1);
    let thief = rig.join("bob", None);
    assert!(rig.frames(thief)[0].contains("id-taken"));
}

/// Asserts that a join with an expired token is refused with the refusal of the token.
fn is_refused(rig: &mut Rig, id: &str, key: Option<&str>) {
    let socket = rig.join_with_expired_token(id, key);
    let heard = rig.heard(socket);
    let refusal = r#""code":"unauthorized","message":"the token has expired""#;
    assert!(
        matches!(&heard[0], Heard::Frame(text) if text.contains(refusal)),
        "{id} {key:?}: {heard:?}"
    );
    assert_eq!(heard[1..], [Heard::Closed(Close::Unauthorized)]);
}

#[test]
fn a_client_with_an_expired_token_returns_only_to_a_seat_with_its_key() {
    let (mut rig, ann, _) = pair(LIMITS);
    let eve = rig.join("eve", Some("secret"));
    rig.heard(ann);
    for absent in [false, true] {
        if absent {
            rig.lose(eve);
        }
        is_refused(&mut rig, "eve", None);
        is_refused(&mut rig, "eve", Some("guess"));
        is_refused(&mut rig, "dan", Some("secret"));
        // Everybody may take over the id of a peer without a key, so the id proves nothing.
        is_refused(&mut rig, "bob", None);
        is_refused(&mut rig, "bob", Some("secret"));
    }
    let back = rig.join_with_expired_token("eve", Some("secret"));
    assert_eq!(rig.frames(back).len(), 1, "the welcome");
    let again = rig.join_with_expired_token("eve", Some("secret"));
    assert_eq!(rig.frames(again).len(), 1, "the welcome");
    assert_eq!(rig.heard(back), [Heard::Closed(Close::Replaced)]);
    assert_eq!(rig.heard(ann), [], "nobody joined, and nobody left");
}

#[test]
fn a_client_with_an_expired_token_is_refused_after_its_seat_is_free() {
    let (mut rig, ..) = pair(LIMITS);
    let lost = rig.join("eve", Some("secret"));
    rig.lose(lost);
    rig.pass(LIMITS.grace);
    is_refused(&mut rig, "eve", Some("secret"));

    let left = rig.join("eve", Some("secret"));
    rig.close(left);
    is_refused(&mut rig, "eve", Some("secret"));

    rig.join("eve", Some("secret"));
    rig.deploy();
    rig.sleep();
    is_refused(&mut rig, "eve", Some("secret"));
}

#[test]
fn a_full_room_counts_absent_peers_and_lets_them_reconnect() {
    let (mut rig, ann, bob) = pair(Limits { peers: 2, ..LIMITS });
    rig.lose(bob);
    let eve = rig.join("eve", None);
    let heard = rig.heard(eve);
    assert!(matches!(&heard[0], Heard::Frame(text) if text.contains(r#""code":"room-full""#)));
    assert_eq!(heard[1..], [Heard::Closed(Close::RoomFull)]);
    let bob = rig.join("bob", None);
    assert_eq!(rig.frames(bob).len(), 1);
    rig.close(bob);
    assert_eq!(rig.frames(ann), [r#"{"type":"peer-left","id":"bob"}"#]);
    let eve = rig.join("eve", None);
    assert!(rig.frames(eve)[0].contains("welcome"));
}

#[test]
fn a_newcomer_to_a_full_room_takes_the_place_of_the_page_that_went_away_first() {
    let mut rig = Rig::new(LIMITS);
    let ann = rig.join("ann", None);
    let [bob, eve, dan] = ["bob", "eve", "dan"].map(|id| rig.join(id, Some("secret")));
    rig.lose(bob);
    rig.go_away(dan);
    rig.pass(1_000);
    rig.go_away(eve);
    rig.heard(ann);
    for (newcomer, leaver) in [("new1", "dan"), ("new2", "eve")] {
        let socket = rig.join(newcomer, None);
        assert!(rig.frames(socket)[0].contains("welcome"));
        let left = format!(r#"{{"type":"peer-left","id":"{leaver}"}}"#);
        let joined = format!(r#"{{"type":"peer-joined","id":"{newcomer}","polite":true}}"#);
        assert_eq!(rig.frames(ann), [left, joined]);
    }
    let late = rig.join("new3", None);
    assert_eq!(
        rig.heard(late).last(),
        Some(&Heard::Closed(Close::RoomFull))
    );
    let bob = rig.join("bob", Some("secret"));
    assert_eq!(rig.frames(bob).len(), 1, "a lost peer keeps its place");
    assert_eq!(rig.heard(ann), []);
}

#[test]
fn a_newcomer_takes_no_place_of_a_page_that_stayed_or_that_registered() {
    let (mut rig, ..) = going_away(Limits { peers: 2, ..LIMITS });
    rig.join("bob", Some("bob's"));
    let eve = rig.join("eve", None);
    assert_eq!(rig.heard(eve).last(), Some(&Heard::Closed(Close::RoomFull)));
    let (mut rig, ..) = going_away(Limits { peers: 2, ..LIMITS });
    rig.register("bob", Some("bob's")).unwrap();
    let eve = rig.join("eve", None);
    assert_eq!(rig.heard(eve).last(), Some(&Heard::Closed(Close::RoomFull)));
}

#[test]
fn a_peer_leaves_immediately_when_the_platform_does_not_accept_its_websocket() {
    let (mut rig, ann, bob) = pair(LIMITS);
    rig.accept_nothing();
    let eve = rig.join("eve", None);
    assert!(!rig.is_open(eve));
    let joined_and_left = [
        r#"{"type":"peer-joined","id":"eve","polite":true}"#,
        r#"{"type":"peer-left","id":"eve"}"#,
    ];
    assert_eq!(rig.frames(ann), joined_and_left);
    assert_eq!(rig.frames(bob), joined_and_left);
    assert_eq!(rig.len(), 2);
    assert_eq!(rig.written().rows, 0);
}
