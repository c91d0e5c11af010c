//! What transcripts cannot tell: sockets that take nothing, settings at their ends, and what is
//! written down.

use crate::rig::{Heard, LIMITS, Rig};
use partyline::core::event::Limits;
use partyline::core::outbox::{MAX_HELD, MAX_HELD_BYTES};

const OFFER: &str = r#"{"type":"offer","to":"bob","payload":1}"#;

/// Ann and bob, who have heard of each other.
fn pair(
    limits: Limits,
) -> (
    Rig,
    partyline::core::peer::Socket,
    partyline::core::peer::Socket,
) {
    let mut rig = Rig::new(limits);
    let (ann, bob) = (rig.join("ann", None), rig.join("bob", None));
    rig.heard(ann);
    rig.heard(bob);
    (rig, ann, bob)
}

#[test]
fn a_signal_to_a_socket_that_takes_nothing_is_held_until_its_peer_is_back() {
    let (mut rig, ann, bob) = pair(LIMITS);
    rig.jam(bob);
    rig.send(ann, OFFER);
    assert_eq!(rig.heard(ann), []);
    let bob = rig.join("bob", None);
    let heard = rig.frames(bob);
    assert_eq!(heard[1..], [r#"{"type":"offer","from":"ann","payload":1}"#]);
    assert_eq!(rig.heard(ann), [], "nobody was told");
}

#[test]
fn one_socket_that_takes_nothing_keeps_nobody_else_from_theirs() {
    let (mut rig, ann, bob) = pair(LIMITS);
    let eve = rig.join("eve", None);
    rig.jam(bob);
    rig.heard(eve);
    rig.send(ann, r#"{"type":"hello"}"#);
    assert_eq!(rig.frames(eve), [r#"{"type":"hello","from":"ann"}"#]);
}

#[test]
fn what_was_held_and_not_taken_is_held_again_in_its_order() {
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
fn a_close_frame_that_comes_after_its_socket_was_found_dead_still_counts() {
    let (mut rig, ann, bob) = pair(LIMITS);
    rig.jam(bob);
    rig.send(ann, OFFER);
    rig.close(bob);
    let heard = rig.frames(ann);
    assert!(
        heard[0].contains("no-such-peer"),
        "what was held for it is refused"
    );
    assert_eq!(heard[1], r#"{"type":"peer-left","id":"bob"}"#);
}

#[test]
fn without_grace_a_lost_peer_leaves_at_once() {
    let (mut rig, ann, bob) = pair(Limits { grace: 0, ..LIMITS });
    rig.lose(bob);
    assert_eq!(rig.frames(ann), [r#"{"type":"peer-left","id":"bob"}"#]);
    assert_eq!(rig.writes(), 0);
}

#[test]
fn without_grace_a_signal_that_does_not_arrive_is_refused() {
    let (mut rig, ann, bob) = pair(Limits { grace: 0, ..LIMITS });
    rig.jam(bob);
    rig.send(ann, OFFER);
    assert!(rig.frames(ann)[1].contains("no-such-peer"));
}

#[test]
fn an_ordinary_session_writes_nothing() {
    let (mut rig, ann, bob) = pair(LIMITS);
    rig.send(ann, OFFER);
    rig.send(bob, r#"{"type":"answer","to":"ann"}"#);
    rig.pass(60_000);
    rig.sleep();
    rig.send(bob, r#"{"type":"all"}"#);
    rig.close(bob);
    rig.close(ann);
    assert_eq!(rig.writes(), 0);
    assert_eq!(rig.len(), 0);
}

#[test]
fn a_lost_peer_leaves_when_its_grace_ends_and_not_before() {
    let (mut rig, ann, bob) = pair(LIMITS);
    rig.lose(bob);
    rig.pass(14_999);
    assert_eq!(rig.heard(ann), []);
    rig.pass(1);
    assert_eq!(rig.frames(ann), [r#"{"type":"peer-left","id":"bob"}"#]);
}

#[test]
fn an_alarm_that_rings_early_is_asked_for_again() {
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
fn a_mailbox_takes_64_signals_and_256_kib() {
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
    let told = rig.frames(ann);
    assert!(
        told[0].contains("mailbox-full") && told[0].contains(r#""to":"bob""#),
        "{told:?}"
    );
}

#[test]
fn a_lone_peer_cannot_make_the_room_remember_without_end() {
    let mut rig = Rig::new(LIMITS);
    let ann = rig.join("ann", None);
    rig.heard(ann);
    for _ in 0..MAX_HELD {
        rig.send(ann, r#"{"type":"hello"}"#);
    }
    assert_eq!(rig.heard(ann), []);
    rig.send(ann, r#"{"type":"hello"}"#);
    let told = rig.frames(ann);
    assert!(
        told[0].contains("mailbox-full") && !told[0].contains(r#""to""#),
        "{told:?}"
    );
}

#[test]
fn who_sends_too_fast_is_refused_and_then_closed() {
    let (mut rig, ann, bob) = pair(LIMITS);
    for _ in 0..399 {
        rig.send(ann, OFFER);
    }
    assert_eq!(rig.frames(bob).len(), 200);
    let told = rig.frames(ann);
    assert_eq!(told.len(), 199);
    assert!(
        told.iter()
            .all(|frame| frame.contains(r#""code":"too-fast""#))
    );
    rig.send(ann, OFFER);
    assert_eq!(
        rig.heard(ann)[1],
        Heard::Closed(partyline::core::close::Close::TooFast)
    );
    assert_eq!(rig.frames(bob), [r#"{"type":"peer-left","id":"ann"}"#]);
}

#[test]
fn each_signal_of_a_list_counts_as_a_frame() {
    let (mut rig, ann, bob) = pair(LIMITS);
    let list = format!("[{}]", [OFFER; 32].join(","));
    for _ in 0..7 {
        rig.send(ann, &list);
    }
    assert_eq!(rig.frames(bob).len(), 200);
    assert_eq!(rig.frames(ann).len(), 24, "too fast");
}

#[test]
fn a_frame_of_64_kib_passes_and_one_byte_more_ends_the_socket() {
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
    assert_eq!(
        heard[1],
        Heard::Closed(partyline::core::close::Close::TooLarge)
    );
    assert_eq!(rig.frames(bob), [r#"{"type":"peer-left","id":"ann"}"#]);
}

#[test]
fn a_peer_that_takes_its_id_over_many_times_is_one_peer() {
    let (mut rig, ann, mut bob) = pair(LIMITS);
    for _ in 0..100 {
        let next = rig.join("bob", None);
        assert_eq!(
            rig.heard(bob).last(),
            Some(&Heard::Closed(partyline::core::close::Close::Replaced))
        );
        bob = next;
    }
    assert_eq!(rig.heard(ann), []);
    assert_eq!(rig.len(), 2);
}

#[test]
fn an_id_with_a_key_is_taken_over_with_that_key_alone() {
    for away in [false, true] {
        let (mut rig, ann, _) = pair(LIMITS);
        let eve = rig.join("eve", Some("secret"));
        rig.heard(ann);
        if away {
            rig.lose(eve);
        }
        for wrong in [None, Some("guess"), Some("Secret")] {
            let thief = rig.join("eve", wrong);
            let heard = rig.heard(thief);
            assert!(
                matches!(&heard[0], Heard::Frame(text) if text.contains(r#""code":"id-taken""#))
            );
            assert_eq!(
                heard[1..],
                [Heard::Closed(partyline::core::close::Close::IdTaken)]
            );
        }
        let back = rig.join("eve", Some("secret"));
        assert_eq!(rig.frames(back).len(), 1);
        assert_eq!(rig.heard(ann), [], "nobody was told");
    }
}

#[test]
fn an_id_without_a_key_is_anybodys_and_then_its_new_owners() {
    let (mut rig, _, _) = pair(LIMITS);
    let bob = rig.join("bob", Some("mine"));
    assert_eq!(rig.frames(bob).len(), 1);
    let thief = rig.join("bob", None);
    assert!(rig.frames(thief)[0].contains("id-taken"));
}

#[test]
fn a_full_room_counts_its_absent_peers_and_lets_them_back_in() {
    let (mut rig, ann, bob) = pair(Limits { peers: 2, ..LIMITS });
    rig.lose(bob);
    let eve = rig.join("eve", None);
    let heard = rig.heard(eve);
    assert!(matches!(&heard[0], Heard::Frame(text) if text.contains(r#""code":"room-full""#)));
    assert_eq!(
        heard[1..],
        [Heard::Closed(partyline::core::close::Close::RoomFull)]
    );
    let bob = rig.join("bob", None);
    assert_eq!(rig.frames(bob).len(), 1);
    rig.close(bob);
    assert_eq!(rig.frames(ann), [r#"{"type":"peer-left","id":"bob"}"#]);
    let eve = rig.join("eve", None);
    assert!(rig.frames(eve)[0].contains("welcome"));
}

#[test]
fn a_peer_leaves_at_once_when_the_platform_does_not_accept_its_websocket() {
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
    assert_eq!(rig.writes(), 0);
}
