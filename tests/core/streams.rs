//! Tests of peers with event streams: registration, resumption, keys, queues and refusals.

use crate::rig::{Heard, LIMITS, Rig, event};
use partyline::core::close::Close;
use partyline::core::outbox::MAX_HELD;
use partyline::core::peer::Socket;
use partyline::core::refusal::{Code, Refusal};
use partyline::core::room::OPEN_STREAM_TIMEOUT_MS;
use partyline::dialect::Dialect;

pub(crate) const OFFER: &str = r#"{"type":"offer","to":"bob","payload":1}"#;
pub(crate) const HEARD: &str = r#"{"type":"offer","payload":1,"senderId":"ann"}"#;

/// Returns the data of the events that arrived on a stream.
pub(crate) fn events(rig: &mut Rig, socket: Socket) -> Vec<String> {
    let frames = rig.frames(socket).into_iter();
    let events = frames.flat_map(|text| crate::rig::events(&text));
    events.filter_map(|(_, data)| data).collect()
}

/// Creates a room with ann, who has a WebSocket, and bob, who has registered.
pub(crate) fn registered() -> (Rig, Socket) {
    let mut rig = Rig::new(LIMITS);
    let ann = rig.join("ann", None);
    rig.register("bob", None).unwrap();
    rig.heard(ann);
    (rig, ann)
}

pub(crate) fn code<T: std::fmt::Debug>(answer: Result<T, Refusal<'_>>) -> Code {
    answer.unwrap_err().code
}

#[test]
fn a_registering_peer_gets_the_list_of_peers_and_is_announced() {
    let mut rig = Rig::new(LIMITS);
    let ann = rig.join("ann", None);
    rig.heard(ann);
    let peers = rig.register("bob", None).unwrap();
    assert_eq!(peers, [(crate::rig::id("ann"), false)]);
    let joined = r#"{"type":"peer-joined","id":"bob","polite":true}"#;
    assert_eq!(rig.frames(ann), [joined]);
    let eve = rig.join("eve", None);
    assert!(rig.frames(eve)[0].contains(r#"{"id":"bob","polite":false}"#));
}

#[test]
fn a_stream_starts_with_the_signals_sent_before_it_opened() {
    let (mut rig, ann) = registered();
    rig.send(ann, OFFER);
    rig.sleep();
    let bob = rig.open_stream("bob", None, None).unwrap();
    assert_eq!(events(&mut rig, bob), [HEARD]);
    assert_eq!(rig.heard(ann), []);
}

#[test]
fn a_held_broadcast_is_queued_for_the_next_peer_that_registers() {
    let mut rig = Rig::new(LIMITS);
    let ann = rig.join("ann", None);
    rig.send(ann, r#"{"type":"offer","payload":1}"#);
    rig.register("bob", None).unwrap();
    rig.pass(20_000);
    let eve = rig.join("eve", None);
    assert_eq!(rig.frames(eve).len(), 1, "a welcome, and no broadcast");
    let bob = rig.open_stream("bob", None, None).unwrap();
    let joined = r#"{"type":"new-peer","senderId":"eve"}"#;
    assert_eq!(events(&mut rig, bob), [joined, HEARD]);
}

#[test]
fn a_registered_peer_leaves_after_30_seconds_without_a_stream() {
    let (mut rig, ann) = registered();
    rig.send(ann, OFFER);
    rig.pass(OPEN_STREAM_TIMEOUT_MS - 1);
    assert_eq!(rig.heard(ann), []);
    rig.pass(1);
    let frames = rig.frames(ann);
    assert!(frames[0].contains("no-such-peer"), "{frames:?}");
    assert_eq!(frames[1], r#"{"type":"peer-left","id":"bob"}"#);
    let gone = rig.open_stream("bob", None, None);
    assert_eq!(code(gone), Code::NotRegistered);
}

#[test]
fn registering_again_keeps_the_seat_and_closes_the_old_stream() {
    let (mut rig, ann) = registered();
    let old = rig.open_stream("bob", None, None).unwrap();
    rig.heard(old);
    rig.register("bob", None).unwrap();
    assert_eq!(rig.heard(old), [Heard::Closed(Close::Replaced)]);
    rig.send(ann, OFFER);
    let new = rig.open_stream("bob", None, None).unwrap();
    assert_eq!(events(&mut rig, new), [HEARD]);
    assert_eq!(rig.heard(ann), [], "nobody joined or left");
}

#[test]
fn a_key_generated_by_the_server_is_required_once_it_was_sent() {
    let made = Some("made by the server");
    for first_use in ["opening", "posting"] {
        let (mut rig, _) = registered();
        assert!(
            rig.open_stream("bob", None, None).is_ok(),
            "the key was not sent yet"
        );
        if first_use == "opening" {
            rig.open_stream("bob", made, None).unwrap();
        } else {
            rig.post("bob", made, r#"{"type":"x"}"#).unwrap();
        }
        rig.sleep();
        for key in [None, Some("guess")] {
            assert_eq!(code(rig.open_stream("bob", key, None)), Code::IdTaken);
            let posted = rig.post("bob", key, r#"{"type":"x"}"#);
            assert_eq!(code(posted), Code::IdTaken, "{first_use}");
            assert_eq!(code(rig.register("bob", key)), Code::IdTaken, "{first_use}");
            let eve = rig.join("bob", key);
            assert_eq!(rig.heard(eve).len(), 2, "an error and a close");
        }
        assert!(rig.post("bob", made, r#"{"type":"x"}"#).is_ok());
    }
}

#[test]
fn a_key_generated_by_the_server_is_required_even_when_its_first_request_was_refused() {
    let (mut rig, _) = registered();
    let old = rig.open_stream("bob", None, None).unwrap();
    let (begun, _) = event(&rig.frames(old)[0]);
    rig.pass(1);
    rig.open_stream("bob", None, None).unwrap();
    let replaced = rig.open_stream("bob", Some("made by the server"), begun);
    assert_eq!(code(replaced), Code::Replaced);
    rig.sleep();
    assert_eq!(code(rig.open_stream("bob", None, None)), Code::IdTaken);
}

#[test]
fn a_key_of_the_client_is_required_from_the_start() {
    let mut rig = Rig::new(LIMITS);
    rig.register("bob", Some("mine")).unwrap();
    assert_eq!(code(rig.open_stream("bob", None, None)), Code::IdTaken);
    assert_eq!(
        code(rig.post("bob", None, r#"{"type":"x"}"#)),
        Code::IdTaken
    );
    assert!(rig.open_stream("bob", Some("mine"), None).is_ok());
}

#[test]
fn a_websocket_peer_can_neither_post_nor_open_a_stream() {
    let mut rig = Rig::new(LIMITS);
    rig.join("ann", None);
    let posted = rig.post("ann", None, r#"{"type":"x"}"#);
    assert_eq!(code(posted), Code::NotRegistered);
    let opened = rig.open_stream("ann", None, None);
    assert_eq!(code(opened), Code::NotRegistered);
}

#[test]
fn a_peer_that_changes_to_a_websocket_gets_its_queued_signals_only() {
    let (mut rig, ann) = registered();
    rig.send(ann, OFFER);
    rig.join("eve", None);
    let bob = rig.join("bob", None);
    let frames = rig.frames(bob);
    assert!(
        frames[0].contains(r#""peers":[{"id":"ann","polite":false},{"id":"eve","polite":true}]"#)
    );
    assert_eq!(
        frames[1..],
        [r#"{"type":"offer","from":"ann","payload":1}"#]
    );
    assert_eq!(
        code(rig.post("bob", None, r#"{"type":"x"}"#)),
        Code::NotRegistered
    );
}

#[test]
fn a_peer_that_changes_from_a_websocket_keeps_its_seat() {
    let mut rig = Rig::new(LIMITS);
    let ann = rig.join("ann", None);
    rig.join("bob", None);
    rig.heard(ann);
    assert_eq!(
        rig.register("ann", None).unwrap(),
        [(crate::rig::id("bob"), true)]
    );
    assert_eq!(rig.heard(ann), [Heard::Closed(Close::Replaced)]);
}

#[test]
fn a_signal_is_refused_when_the_queue_of_a_stream_is_full() {
    let (mut rig, ann) = registered();
    for _ in 0..MAX_HELD {
        rig.send(ann, OFFER);
    }
    assert_eq!(rig.heard(ann), []);
    rig.send(ann, OFFER);
    assert!(rig.frames(ann)[0].contains("mailbox-full"));
    rig.register("eve", None).unwrap();
    rig.heard(ann);
    let to_bob = r#"{"type":"offer","payload":1,"target":"bob"}"#;
    assert_eq!(code(rig.post("eve", None, to_bob)), Code::MailboxFull);
    let bob = rig.open_stream("bob", None, None).unwrap();
    let events = events(&mut rig, bob);
    assert_eq!(events[0], r#"{"type":"new-peer","senderId":"eve"}"#);
    assert_eq!(events[1..].len(), MAX_HELD);
}

#[test]
fn the_outbox_of_an_open_stream_is_never_full() {
    let (mut rig, ann) = registered();
    let bob = rig.open_stream("bob", None, None).unwrap();
    for _ in 0..10 * MAX_HELD {
        rig.pass(10);
        rig.send(ann, OFFER);
    }
    assert_eq!(events(&mut rig, bob).len(), 10 * MAX_HELD);
    assert_eq!(rig.heard(ann), []);
}

#[test]
fn a_peer_that_posts_too_fast_is_refused_and_then_disconnected() {
    let (mut rig, ann) = registered();
    let bob = rig.open_stream("bob", None, None).unwrap();
    let mut post = || rig.post("bob", None, r#"{"type":"x"}"#);
    let passed = (0..500).take_while(|_| post().is_ok()).count();
    assert_eq!(passed, 200);
    assert_eq!(code(post()), Code::TooFast);
    for _ in 0..200 {
        let _ = post();
    }
    assert_eq!(code(post()), Code::NotRegistered);
    assert_eq!(rig.heard(bob).last(), Some(&Heard::Closed(Close::TooFast)));
    assert!(rig.frames(ann).last().unwrap().contains("peer-left"));
}

#[test]
fn a_posted_signal_is_refused_in_the_reply_when_its_type_is_reserved() {
    let (mut rig, _) = registered();
    let bob = rig.open_stream("bob", None, None).unwrap();
    rig.join_speaking(Dialect::Lobby, "eve", None);
    rig.heard(bob);
    let posted = rig.post("bob", None, r#"{"type":"kind","target":"eve"}"#);
    assert_eq!(code(posted), Code::ReservedType);
    assert_eq!(rig.heard(bob), [], "the refusal is not sent on the stream");
}

#[test]
fn a_queued_signal_is_refused_on_the_stream_when_its_receiver_leaves() {
    let (mut rig, ann) = registered();
    let bob = rig.open_stream("bob", None, None).unwrap();
    rig.lose(ann);
    rig.post("bob", None, r#"{"type":"offer","target":"ann"}"#)
        .unwrap();
    rig.heard(bob);
    rig.pass(LIMITS.grace);
    let events = events(&mut rig, bob);
    assert!(events[0].starts_with(r#"{"type":"error","code":"no-such-peer","#));
    assert!(events[0].ends_with(r#","target":"ann"}"#));
    assert_eq!(events[1], r#"{"type":"peer-left","senderId":"ann"}"#);
}

#[test]
fn peers_with_streams_count_towards_the_limit() {
    let mut rig = Rig::new(LIMITS);
    for id in ["ann", "bob", "eve", "dan"] {
        rig.register(id, None).unwrap();
        rig.open_stream(id, None, None).unwrap();
    }
    assert_eq!(code(rig.register("fay", None)), Code::RoomFull);
    assert!(
        rig.register("dan", None).is_ok(),
        "a peer in the room may register again"
    );
}
