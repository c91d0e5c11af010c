//! Tests of tokens that expire while their clients are connected.

use crate::rig::{Heard, LIMITS, Rig};
use crate::streams::{code, events};
use partyline::core::close::Close;
use partyline::core::event::Limits;
use partyline::core::peer::{Socket, Time};
use partyline::core::refusal::Code;

const EXPIRED: Heard = Heard::Closed(Close::Expired);
const OFFER: &str = r#"{"type":"offer","to":"bob","payload":1}"#;

/// Creates a room with ann, and with bob, whose token expires in one minute.
fn pair(limits: Limits) -> (Rig, Socket, Socket) {
    let mut rig = Rig::new(limits);
    let ann = rig.join("ann", None);
    let bob = join_for(&mut rig, 60_000);
    rig.heard(ann);
    rig.heard(bob);
    (rig, ann, bob)
}

/// Lets bob join with a token that expires after this number of milliseconds.
fn join_for(rig: &mut Rig, millis: u64) -> Socket {
    rig.token_expires_at = Some(rig.now.plus(millis));
    rig.join("bob", Some("bob's"))
}

#[test]
fn a_websocket_is_closed_when_its_token_expires_and_the_seat_is_kept() {
    for sleeps in [false, true] {
        let (mut rig, ann, bob) = pair(LIMITS);
        if sleeps {
            rig.sleep();
        }
        rig.pass(59_999);
        assert_eq!(rig.heard(bob), []);
        rig.pass(1);
        assert_eq!(rig.heard(bob), [EXPIRED]);
        rig.send(ann, OFFER);
        rig.pass(10_000);
        let bob = join_for(&mut rig, 60_000);
        assert_eq!(rig.frames(bob).len(), 2, "a welcome and the queued signal");
        rig.pass(59_999);
        assert!(rig.is_open(bob), "the new token counts");
        assert_eq!(rig.heard(ann), [], "nobody left or joined");
        rig.pass(1);
        assert_eq!(rig.heard(bob), [EXPIRED]);
        rig.pass(LIMITS.grace);
        assert_eq!(rig.frames(ann), [r#"{"type":"peer-left","id":"bob"}"#]);
    }
}

#[test]
fn a_peer_whose_token_expires_leaves_immediately_without_a_grace_period() {
    let (mut rig, ann, bob) = pair(Limits { grace: 0, ..LIMITS });
    rig.pass(60_000);
    assert_eq!(rig.heard(bob), [EXPIRED]);
    assert_eq!(rig.frames(ann), [r#"{"type":"peer-left","id":"bob"}"#]);
}

#[test]
fn a_token_expires_with_the_next_event_when_the_alarm_is_late() {
    let (mut rig, ann, bob) = pair(LIMITS);
    rig.now = rig.now.plus(61_000);
    rig.send(ann, OFFER);
    assert_eq!(rig.heard(bob), [EXPIRED]);
    let bob = join_for(&mut rig, 60_000);
    assert_eq!(rig.frames(bob).len(), 2, "a welcome and the queued signal");
}

#[test]
fn nothing_is_closed_when_the_token_of_an_absent_peer_expires() {
    let (mut rig, ann, bob) = pair(LIMITS);
    rig.pass(50_000);
    rig.lose(bob);
    rig.pass(14_999);
    assert_eq!(rig.heard(bob), []);
    assert_eq!(rig.heard(ann), []);
    rig.pass(1);
    assert_eq!(rig.frames(ann), [r#"{"type":"peer-left","id":"bob"}"#]);
}

#[test]
fn a_client_that_joins_again_has_the_time_of_its_new_token() {
    let (mut rig, _, _) = pair(LIMITS);
    let bob = join_for(&mut rig, 120_000);
    rig.pass(119_999);
    assert!(rig.is_open(bob));
    rig.pass(1);
    assert!(!rig.is_open(bob));
    // Without a time, the WebSocket stays open.
    rig.token_expires_at = None;
    let bob = rig.join("bob", Some("bob's"));
    rig.pass(1_000_000);
    assert!(rig.is_open(bob));
}

#[test]
fn an_event_stream_is_closed_and_opens_again_only_after_a_new_registration() {
    let mut rig = Rig::new(LIMITS);
    let ann = rig.join("ann", None);
    rig.token_expires_at = Some(rig.now.plus(60_000));
    rig.register("bob", None).unwrap();
    let bob = rig.open_stream("bob", None, None).unwrap();
    rig.heard(ann);
    rig.pass(60_000);
    assert_eq!(rig.heard(bob).last(), Some(&EXPIRED));
    rig.send(ann, OFFER);
    let made = Some("made by the server");
    for _ in 0..2 {
        let refused = rig.open_stream("bob", made, None);
        assert_eq!(code(refused), Code::Unauthorized);
        rig.sleep();
    }
    let unconfirmed = rig.open_stream("bob", None, None);
    assert_eq!(code(unconfirmed), Code::IdTaken, "the key was sent");
    rig.token_expires_at = Some(rig.now.plus(60_000));
    rig.register("bob", made).unwrap();
    let bob = rig.open_stream("bob", made, None).unwrap();
    assert_eq!(events(&mut rig, bob).len(), 1, "the queued signal");
    assert_eq!(rig.heard(ann), [], "nobody left or joined");
    rig.pass(60_000);
    assert_eq!(rig.heard(bob), [EXPIRED]);
}

#[test]
fn a_stream_that_is_resumed_keeps_the_time_of_its_registration() {
    let mut rig = Rig::new(LIMITS);
    rig.token_expires_at = Some(rig.now.plus(60_000));
    rig.register("bob", None).unwrap();
    let bob = rig.open_stream("bob", None, None).unwrap();
    rig.pass(50_000);
    rig.lose(bob);
    rig.sleep();
    let bob = rig.open_stream("bob", None, None).unwrap();
    rig.sleep();
    rig.pass(10_000);
    assert_eq!(rig.heard(bob).last(), Some(&EXPIRED));
}

#[test]
fn a_token_that_expires_in_over_100_years_never_expires() {
    let year_9999 = Time(253_402_300_799_000);
    for expires_at in [year_9999, Time(u64::MAX), Time(u64::MAX - 1)] {
        let mut rig = Rig::new(LIMITS);
        rig.token_expires_at = Some(expires_at);
        let ann = rig.join("ann", None);
        rig.register("bob", None).unwrap();
        rig.open_stream("bob", None, None).unwrap();
        assert_eq!(rig.alarm(), None);
        rig.sleep();
        rig.pass(1_000_000);
        assert!(rig.is_open(ann));
    }
}

#[test]
fn a_token_that_has_already_expired_closes_its_websocket_with_the_alarm() {
    let (mut rig, ann, _) = pair(LIMITS);
    rig.token_expires_at = Some(Time(0));
    let eve = rig.join("eve", None);
    rig.pass(0);
    assert_eq!(rig.heard(eve).last(), Some(&EXPIRED));
    rig.pass(LIMITS.grace);
    assert!(rig.frames(ann).last().unwrap().contains("peer-left"));
}

#[test]
fn the_alarm_is_the_earliest_of_several_tokens_and_is_cleared_with_the_last() {
    let (mut rig, _, bob) = pair(LIMITS);
    let start = rig.now;
    rig.token_expires_at = Some(start.plus(30_500));
    let eve = rig.join("eve", None);
    assert_eq!(rig.alarm(), Some(start.plus(31_000)), "a whole second");
    rig.sleep();
    rig.close(eve);
    assert_eq!(rig.alarm(), Some(start.plus(60_000)));
    rig.sleep();
    rig.close(bob);
    // The Rig checks that the storage is cleared, too, although the restored room had no row.
    assert_eq!(rig.alarm(), None);
}
