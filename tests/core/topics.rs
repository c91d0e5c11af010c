//! Topics, with clients of y-webrtc.

mod budget;
mod nostr;
mod properties;
mod stage;
mod swarm;
mod transcripts;

use partyline::core::close::Close;
use partyline::core::drive::SendError;
use partyline::core::event::{Limits, MAX_FRAME};
use partyline::core::peer::{Socket, Time};
use partyline::core::refusal::{Code, Refusal};
use partyline::core::topics::{MAX_SUBSCRIPTIONS, MAX_TOPIC, MAX_TOPICS};
use partyline::dialect::Dialect;

use self::stage::{LIMITS, Stage, received};
pub(crate) use self::transcripts::play;
use crate::rig::Heard;

fn subscribed(stage: &mut Stage, topic: &str) -> Socket {
    let socket = stage.join();
    stage.subscribe(socket, topic);
    socket
}

#[test]
fn of_two_clients_that_arrive_together_only_the_first_receives_an_announcement() {
    let mut stage = Stage::new(Dialect::YWebrtc, LIMITS);
    let (ann, bob) = (subscribed(&mut stage, "d"), subscribed(&mut stage, "d"));
    stage.publish(ann, "d", 1);
    stage.publish(bob, "d", 2);
    let (one, two) = (received("d", 1, 2), received("d", 2, 2));
    assert_eq!(stage.heard(ann), [one, two.clone()]);
    assert_eq!(stage.heard(bob), [two]);
    stage.publish(ann, "d", 3);
    let three = received("d", 3, 2);
    assert_eq!(stage.heard(ann), std::slice::from_ref(&three));
    assert_eq!(stage.heard(bob), [three], "later messages go to all");
}

#[test]
fn a_client_that_subscribes_again_is_fresh_and_last() {
    let mut stage = Stage::new(Dialect::YWebrtc, LIMITS);
    let (ann, bob) = (subscribed(&mut stage, "d"), subscribed(&mut stage, "d"));
    stage.publish(ann, "d", 1);
    stage.publish(bob, "d", 2);
    stage.subscribe(ann, "d");
    stage.all_heard();
    stage.publish(ann, "d", 3);
    assert_eq!(
        stage.heard(bob),
        [received("d", 3, 2)],
        "ann has the higher seat"
    );
    stage.subscribe(bob, "d");
    stage.subscribe(ann, "d");
    stage.publish(bob, "d", 4);
    assert_eq!(stage.heard(ann), [received("d", 3, 2)]);
}

#[test]
fn the_most_and_longest_topics_are_limited_for_a_client() {
    let mut stage = Stage::new(Dialect::YWebrtc, LIMITS);
    let (ann, bob) = (stage.join(), stage.join());
    let topics: Vec<_> = (0..=MAX_TOPICS).map(|n| format!("\"{n}\"")).collect();
    let list = |topics: &[String]| topics.join(",");
    let (first, last) = topics.split_at(1);
    for topics in [first, last] {
        let topics = list(topics);
        stage.send(
            ann,
            &format!(r#"{{"type":"subscribe","topics":[{topics}]}}"#),
        );
    }
    let heard = |stage: &mut Stage, topic: &str| {
        stage.publish(bob, topic, 1);
        !stage.heard(ann).is_empty()
    };
    assert!(heard(&mut stage, "0") && heard(&mut stage, &(MAX_TOPICS - 1).to_string()));
    assert!(!heard(&mut stage, &MAX_TOPICS.to_string()), "one too many");
    stage.unsubscribe(ann, "0");
    for (length, fits) in [(MAX_TOPIC + 1, false), (MAX_TOPIC, true)] {
        let topic = "x".repeat(length);
        stage.subscribe(ann, &topic);
        assert_eq!(heard(&mut stage, &topic), fits, "{length}");
    }
    // Of a frame, the first 100 topics count, also if they are the same.
    stage.unsubscribe(ann, "1");
    let same = format!("\"y\",{}", vec!["\"z\""; MAX_TOPICS].join(","));
    stage.send(
        ann,
        &format!(r#"{{"type":"unsubscribe","topics":[{same},"2"]}}"#),
    );
    assert!(heard(&mut stage, "2"));
}

#[test]
fn all_clients_together_have_a_limited_number_of_subscriptions() {
    let peers = MAX_SUBSCRIPTIONS / MAX_TOPICS + 2;
    let mut stage = Stage::new(Dialect::YWebrtc, Limits { peers, ..LIMITS });
    for client in 0..peers {
        let socket = stage.join();
        let topics = (0..MAX_TOPICS).map(|n| format!("\"{client} {n}\""));
        let topics = topics.collect::<Vec<_>>().join(",");
        stage.send(
            socket,
            &format!(r#"{{"type":"subscribe","topics":[{topics}]}}"#),
        );
    }
    let last = Socket(peers as u64 - 1);
    stage.publish(last, &format!("{} 0", peers - 1), 1);
    assert_eq!(stage.heard(last), [], "the stage checks the number");
    stage.end(Socket(0));
    stage.subscribe(last, "d");
    stage.publish(last, "d", 2);
    assert_eq!(stage.heard(last), [received("d", 2, 1)]);
}

#[test]
fn a_client_beyond_the_limit_is_refused_until_another_leaves() {
    let mut stage = Stage::new(Dialect::YWebrtc, LIMITS);
    let first = stage.join();
    for _ in 1..LIMITS.peers {
        stage.join();
    }
    let refused = stage.join();
    assert_eq!(stage.heard(refused), [Heard::Closed(Close::RoomFull)]);
    stage.end(first);
    let next = stage.join();
    assert!(stage.is_open(next));
}

#[test]
fn a_websocket_that_the_platform_does_not_accept_leaves_nothing() {
    let mut stage = Stage::new(Dialect::YWebrtc, LIMITS);
    stage.accept_nothing();
    stage.token_expires_at = Some(Time(2_000_000));
    stage.join();
    assert_eq!(stage.alarm(), None);
}

#[test]
fn a_flood_is_ignored_and_then_closed_with_4008() {
    let mut stage = Stage::new(Dialect::YWebrtc, LIMITS);
    let (ann, bob) = (subscribed(&mut stage, "d"), subscribed(&mut stage, "d"));
    stage.publish(ann, "d", 0);
    stage.all_heard();
    for n in 0..397 {
        stage.publish(ann, "d", n);
    }
    let heard = stage.heard(bob);
    assert_eq!(
        heard.len(),
        198,
        "200 frames pass, and the client is not told"
    );
    assert!(stage.is_open(ann));
    stage.publish(ann, "d", 0);
    let closed = stage.heard(ann).pop();
    assert_eq!(closed, Some(Heard::Closed(Close::TooFast)));
    stage.publish(bob, "d", 1);
    assert_eq!(stage.heard(bob), [received("d", 1, 1)], "ann has left");
}

#[test]
fn a_malformed_frame_is_ignored_and_a_large_frame_is_closed_with_1009() {
    let mut stage = Stage::new(Dialect::YWebrtc, LIMITS);
    let ann = subscribed(&mut stage, "d");
    for frame in [
        "",
        "ping",
        "[]",
        r#"{"type":"publish"}"#,
        r#"{"type":"x","topic":"d"}"#,
    ] {
        stage.send(ann, frame);
    }
    assert_eq!(stage.heard(ann), []);
    stage.send(ann, &"x".repeat(MAX_FRAME + 1));
    assert_eq!(stage.heard(ann), [Heard::Closed(Close::TooLarge)]);
}

#[test]
fn a_client_that_cannot_receive_is_removed() {
    for (error, heard) in [
        (SendError::Dead, vec![]),
        (SendError::Unread, vec![Heard::Closed(Close::Unread)]),
    ] {
        let mut stage = Stage::new(Dialect::YWebrtc, LIMITS);
        let (ann, bob) = (subscribed(&mut stage, "d"), subscribed(&mut stage, "d"));
        stage.publish(bob, "d", 1);
        stage.all_heard();
        stage.jam(ann, error);
        stage.publish(bob, "d", 2);
        assert_eq!(stage.heard(ann), heard);
        assert_eq!(stage.heard(bob), [received("d", 2, 2)]);
        stage.publish(bob, "d", 3);
        assert_eq!(stage.heard(bob), [received("d", 3, 1)]);
    }
}

#[test]
fn a_client_whose_token_expires_is_closed_with_4014() {
    for sleeps in [false, true] {
        let mut stage = Stage::new(Dialect::YWebrtc, LIMITS);
        let forever = subscribed(&mut stage, "d");
        stage.token_expires_at = Some(Time(1_010_500));
        let ann = subscribed(&mut stage, "d");
        assert_eq!(stage.alarm(), Some(Time(1_011_000)), "a whole second");
        stage.token_expires_at = Some(Time(u64::MAX));
        let late = stage.join();
        if sleeps {
            stage.sleep();
        }
        stage.ring();
        assert_eq!(stage.alarm(), Some(Time(1_011_000)), "the alarm was early");
        stage.pass(11_000);
        assert_eq!(stage.heard(ann), [Heard::Closed(Close::Expired)]);
        assert!(stage.is_open(forever) && stage.is_open(late));
        assert_eq!(
            stage.alarm(),
            None,
            "the token of late expires too far ahead"
        );
    }
}

#[test]
fn the_last_client_whose_token_expires_takes_the_alarm_along() {
    let mut stage = Stage::new(Dialect::YWebrtc, LIMITS);
    stage.token_expires_at = Some(Time(2_000_000));
    let (ann, bob) = (stage.join(), stage.join());
    stage.sleep();
    stage.end(ann);
    assert_eq!(stage.alarm(), Some(Time(2_000_000)));
    stage.end(bob);
    assert_eq!(stage.alarm(), None);
}

#[test]
fn a_client_with_an_expired_token_is_refused() {
    let mut stage = Stage::new(Dialect::YWebrtc, LIMITS);
    let expired = Refusal::new(Code::Unauthorized, "the token has expired");
    let ann = stage.join_with(Some(expired));
    assert_eq!(stage.heard(ann), [Heard::Closed(Close::Unauthorized)]);
}

#[test]
fn an_attachment_is_written_only_if_it_has_changed() {
    let mut stage = Stage::new(Dialect::YWebrtc, LIMITS);
    let ann = stage.join();
    let written = |stage: &mut Stage, frame: &str| {
        let before = stage.written();
        stage.send(ann, frame);
        stage.written() - before
    };
    let publish = r#"{"type":"publish","topic":"d"}"#;
    for (frame, expected) in [
        (publish, 0),
        (r#"{"type":"subscribe","topics":[]}"#, 0),
        (r#"{"type":"subscribe","topics":["d","e"]}"#, 1),
        (publish, 1),
        (publish, 0),
        (r#"{"type":"unsubscribe","topics":["x"]}"#, 0),
        (r#"{"type":"unsubscribe","topics":["d","x"]}"#, 1),
    ] {
        assert_eq!(written(&mut stage, frame), expected, "{frame}");
    }
}
