//! Tests of streams that open again: what their clients receive, with and without an event id.

use crate::rig::{LIMITS, Rig, event, events as parse};
use crate::streams::{HEARD, OFFER, code, events, registered};
use partyline::core::event::Limits;
use partyline::core::refusal::Code;

#[test]
fn a_stream_cannot_be_resumed_after_it_was_replaced() {
    let (mut rig, ann) = registered();
    let old = rig.open_stream("bob", None, None).unwrap();
    let (begun, _) = event(&rig.frames(old)[0]);
    rig.pass(1);
    let new = rig.open_stream("bob", None, None).unwrap();
    assert_eq!(code(rig.open_stream("bob", None, begun)), Code::Replaced);
    rig.send(ann, OFFER);
    assert_eq!(
        events(&mut rig, new),
        [HEARD],
        "the newer stream still works"
    );
}

#[test]
fn a_stream_cannot_be_resumed_after_registering_again() {
    let (mut rig, _) = registered();
    let old = rig.open_stream("bob", None, None).unwrap();
    let (begun, _) = event(&rig.frames(old)[0]);
    rig.pass(1);
    rig.register("bob", None).unwrap();
    assert_eq!(code(rig.open_stream("bob", None, begun)), Code::Replaced);
    assert!(rig.open_stream("bob", None, None).is_ok());
}

#[test]
fn a_stream_is_resumed_when_the_room_has_not_detected_its_break() {
    let (mut rig, ann) = registered();
    let old = rig.open_stream("bob", None, None).unwrap();
    let (begun, _) = event(&rig.frames(old)[0]);
    rig.send(ann, OFFER);
    // The old stream broke before the event arrived, and the room has not detected the break.
    let new = rig.open_stream("bob", None, begun).unwrap();
    assert_eq!(events(&mut rig, new), [HEARD]);
    assert!(!rig.is_open(old));
}

#[test]
fn a_new_stream_starts_when_the_last_event_id_is_unknown() {
    let (mut rig, ann) = registered();
    rig.send(ann, OFFER);
    let bob = rig.open_stream("bob", None, Some(u64::MAX)).unwrap();
    assert_eq!(events(&mut rig, bob), [HEARD]);
}

#[test]
fn a_reopened_stream_gets_the_joins_then_the_leaves_then_what_was_kept() {
    let (mut rig, ann) = registered();
    let old = rig.join("old", None);
    let bob = rig.open_stream("bob", None, None).unwrap();
    let last = parse(rig.frames(bob).last().unwrap())[0].0;
    rig.lose(bob);
    rig.send(ann, OFFER);
    rig.close(old);
    rig.join("eve", None);
    let gone = rig.join("gone", None);
    rig.close(gone);
    rig.sleep();
    rig.pass(5_000);
    rig.join("dan", None);
    for last in [last, None] {
        let bob = rig.open_stream("bob", None, last).unwrap();
        let expected: &[&str] = if last.is_some() {
            &[
                r#"{"type":"new-peer","senderId":"eve"}"#,
                r#"{"type":"peer-left","senderId":"old"}"#,
                HEARD,
            ]
        } else {
            &[HEARD]
        };
        let events = events(&mut rig, bob);
        let events: Vec<_> = events
            .iter()
            .filter(|event| !event.contains("dan"))
            .collect();
        assert_eq!(events, expected);
    }
}

#[test]
fn a_peer_that_left_and_joined_again_during_an_absence_leaves_first() {
    let mut rig = Rig::new(LIMITS);
    let ann = rig.join("ann", None);
    rig.register("bob", None).unwrap();
    rig.open_stream("bob", None, None).unwrap();
    rig.register("bob", None).unwrap();
    rig.close(ann);
    rig.join("ann", None);
    let bob = rig.open_stream("bob", None, None).unwrap();
    let left = r#"{"type":"peer-left","senderId":"ann"}"#;
    let joined = r#"{"type":"new-peer","senderId":"ann"}"#;
    assert_eq!(events(&mut rig, bob), [left, joined]);
}

#[test]
fn an_event_id_from_an_earlier_life_of_the_peer_starts_a_new_stream() {
    let (mut rig, ann) = registered();
    let old = rig.open_stream("bob", None, None).unwrap();
    let earlier = parse(&rig.frames(old)[0])[0].0;
    rig.lose(old);
    rig.pass(60_000);
    rig.register("bob", None).unwrap();
    rig.send(ann, OFFER);
    for last in [earlier, Some(0), Some(1)] {
        let bob = rig.open_stream("bob", None, last).unwrap();
        assert_eq!(events(&mut rig, bob), [HEARD], "{last:?}");
    }
}

#[test]
fn signals_that_went_into_a_dead_stream_reach_the_peer_without_an_event_id() {
    for is_noticed in [false, true] {
        let (mut rig, ann) = registered();
        let dead = rig.open_stream("bob", None, None).unwrap();
        rig.send(ann, OFFER);
        rig.pass(12_000);
        if is_noticed {
            rig.lose(dead);
            rig.sleep();
        }
        let bob = rig.open_stream("bob", None, None).unwrap();
        assert_eq!(events(&mut rig, bob), [HEARD]);
        assert_eq!(rig.heard(ann), []);
    }
}

#[test]
fn the_sender_is_told_of_signals_that_a_client_may_have_lost_when_it_registers_again() {
    for join in [false, true] {
        let (mut rig, ann) = registered();
        let dead = rig.open_stream("bob", None, None).unwrap();
        rig.send(ann, OFFER);
        rig.send(ann, OFFER);
        rig.lose(dead);
        rig.send(ann, OFFER);
        if join {
            let bob = rig.join("bob", None);
            assert_eq!(rig.frames(bob).len(), 2, "a welcome, and the queued signal");
        } else {
            rig.register("bob", None).unwrap();
            let bob = rig.open_stream("bob", None, None).unwrap();
            assert_eq!(events(&mut rig, bob), [HEARD]);
        }
        let told = rig.frames(ann);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains(r#""code":"no-such-peer""#));
        assert!(told[0].contains(r#""to":"bob""#));
    }
}

#[test]
fn the_last_64_leavers_are_reported_and_forgotten_when_nobody_is_absent() {
    let mut rig = Rig::new(Limits {
        peers: 200,
        ..LIMITS
    });
    let peers: Vec<_> = (0..70).map(|n| rig.join(&format!("p{n}"), None)).collect();
    rig.register("bob", None).unwrap();
    for peer in peers {
        rig.close(peer);
        rig.pass(10);
    }
    rig.sleep();
    let bob = rig.open_stream("bob", None, None).unwrap();
    let left = events(&mut rig, bob);
    assert_eq!(left.len(), 64);
    assert_eq!(left[0], r#"{"type":"peer-left","senderId":"p6"}"#);
    let again = rig.open_stream("bob", None, None).unwrap();
    assert_eq!(events(&mut rig, again), [] as [&str; 0]);
}
