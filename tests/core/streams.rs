//! Peers that speak HTTP, on the core: whose id it is, what waits for them, and what they are told
//! when it cannot.

use crate::rig::{Heard, LIMITS, Rig, event};
use partyline::core::close::Close;
use partyline::core::outbox::MAX_HELD;
use partyline::core::peer::Socket;
use partyline::core::refusal::{Code, Refusal};
use partyline::core::room::OPEN_STREAM_TIMEOUT_MS;
use partyline::dialect::Dialect;

const OFFER: &str = r#"{"type":"offer","to":"bob","payload":1}"#;
const HEARD: &str = r#"{"type":"offer","payload":1,"senderId":"ann"}"#;

/// The data of all events that came.
fn events(rig: &mut Rig, socket: Socket) -> Vec<String> {
    let frames = rig.frames(socket).into_iter();
    frames.filter_map(|text| event(&text).1).collect()
}

/// Ann, with a WebSocket, and bob, who has registered.
fn registered() -> (Rig, Socket) {
    let mut rig = Rig::new(LIMITS);
    let ann = rig.join("ann", None);
    rig.register("bob", None).unwrap();
    rig.heard(ann);
    (rig, ann)
}

fn code<T: std::fmt::Debug>(answer: Result<T, Refusal<'_>>) -> Code {
    answer.unwrap_err().code
}

#[test]
fn who_registers_is_told_who_is_there_and_the_others_that_it_came() {
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
fn what_is_sent_before_the_stream_is_open_comes_first_on_it() {
    let (mut rig, ann) = registered();
    rig.send(ann, OFFER);
    rig.sleep();
    let bob = rig.open_stream("bob", None, None).unwrap();
    assert_eq!(events(&mut rig, bob), [HEARD]);
    assert_eq!(rig.heard(ann), []);
}

#[test]
fn what_waited_for_the_next_to_join_waits_on_for_one_that_has_registered() {
    let mut rig = Rig::new(LIMITS);
    let ann = rig.join("ann", None);
    rig.send(ann, r#"{"type":"offer","payload":1}"#);
    rig.register("bob", None).unwrap();
    rig.pass(20_000);
    let eve = rig.join("eve", None);
    assert_eq!(rig.frames(eve).len(), 1, "it was for bob");
    let bob = rig.open_stream("bob", None, None).unwrap();
    let came = r#"{"type":"new-peer","senderId":"eve"}"#;
    assert_eq!(events(&mut rig, bob), [HEARD, came]);
}

#[test]
fn who_registers_and_never_listens_leaves_after_thirty_seconds() {
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
fn registering_again_goes_on_with_the_seat_and_ends_the_older_stream() {
    let (mut rig, ann) = registered();
    let old = rig.open_stream("bob", None, None).unwrap();
    rig.heard(old);
    rig.register("bob", None).unwrap();
    assert_eq!(rig.heard(old), [Heard::Closed(Close::Replaced)]);
    rig.send(ann, OFFER);
    let new = rig.open_stream("bob", None, None).unwrap();
    assert_eq!(events(&mut rig, new), [HEARD]);
    assert_eq!(rig.heard(ann), [], "the others were told nothing");
}

#[test]
fn a_stream_that_was_replaced_does_not_come_back() {
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
        "the newer one is not disturbed"
    );
}

#[test]
fn a_stream_of_before_does_not_come_back_after_registering_again() {
    let (mut rig, _) = registered();
    let old = rig.open_stream("bob", None, None).unwrap();
    let (begun, _) = event(&rig.frames(old)[0]);
    rig.pass(1);
    rig.register("bob", None).unwrap();
    assert_eq!(code(rig.open_stream("bob", None, begun)), Code::Replaced);
    assert!(rig.open_stream("bob", None, None).is_ok());
}

#[test]
fn a_stream_goes_on_beside_one_that_only_looks_open() {
    let (mut rig, ann) = registered();
    let old = rig.open_stream("bob", None, None).unwrap();
    let (begun, _) = event(&rig.frames(old)[0]);
    rig.send(ann, OFFER);
    // It never came: the room has not noticed yet that the stream broke.
    let new = rig.open_stream("bob", None, begun).unwrap();
    assert_eq!(events(&mut rig, new), [HEARD]);
    assert!(!rig.is_open(old));
}

#[test]
fn a_number_that_nobody_gave_is_no_reason_to_get_less() {
    let (mut rig, ann) = registered();
    rig.send(ann, OFFER);
    let bob = rig.open_stream("bob", None, Some(u64::MAX)).unwrap();
    assert_eq!(events(&mut rig, bob), [HEARD]);
}

#[test]
fn an_offered_key_is_asked_for_once_it_was_shown() {
    let made = Some("made by the server");
    for show in ["opening", "posting"] {
        let (mut rig, _) = registered();
        assert!(
            rig.open_stream("bob", None, None).is_ok(),
            "nobody knows yet"
        );
        if show == "opening" {
            rig.open_stream("bob", made, None).unwrap();
        } else {
            rig.post("bob", made, r#"{"type":"x"}"#).unwrap();
        }
        rig.sleep();
        for key in [None, Some("guess")] {
            assert_eq!(code(rig.open_stream("bob", key, None)), Code::IdTaken);
            let posted = rig.post("bob", key, r#"{"type":"x"}"#);
            assert_eq!(code(posted), Code::IdTaken, "{show}");
            assert_eq!(code(rig.register("bob", key)), Code::IdTaken, "{show}");
            let eve = rig.join("bob", key);
            assert_eq!(rig.heard(eve).len(), 2, "an error and the end");
        }
        assert!(rig.post("bob", made, r#"{"type":"x"}"#).is_ok());
    }
}

#[test]
fn a_key_that_was_shown_is_asked_for_though_what_it_was_shown_for_was_refused() {
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
fn a_key_that_was_brought_is_asked_for_from_the_start() {
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
fn nobody_posts_as_a_peer_that_has_a_websocket() {
    let mut rig = Rig::new(LIMITS);
    rig.join("ann", None);
    let posted = rig.post("ann", None, r#"{"type":"x"}"#);
    assert_eq!(code(posted), Code::NotRegistered);
    let opened = rig.open_stream("ann", None, None);
    assert_eq!(code(opened), Code::NotRegistered);
}

#[test]
fn who_changes_to_a_websocket_gets_the_signals_that_waited_and_no_more() {
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
fn who_changes_from_a_websocket_keeps_its_seat() {
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
fn what_waits_for_a_stream_is_bounded_and_the_sender_is_told() {
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
    assert_eq!(events(&mut rig, bob).len(), MAX_HELD);
}

#[test]
fn a_stream_that_is_read_never_fills_up() {
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
fn who_posts_too_fast_is_refused_and_at_last_thrown_out() {
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
fn a_kind_that_has_no_words_is_refused_to_whoever_posted_it() {
    let (mut rig, _) = registered();
    let bob = rig.open_stream("bob", None, None).unwrap();
    rig.join_speaking(Dialect::Lobby, "eve", None);
    rig.heard(bob);
    let posted = rig.post("bob", None, r#"{"type":"kind","target":"eve"}"#);
    assert_eq!(code(posted), Code::ReservedType);
    assert_eq!(rig.heard(bob), [], "it is not told twice");
}

#[test]
fn a_signal_that_was_held_in_vain_is_refused_on_the_stream_of_its_sender() {
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
fn peers_with_streams_count_towards_a_full_room() {
    let mut rig = Rig::new(LIMITS);
    for id in ["ann", "bob", "eve", "dan"] {
        rig.register(id, None).unwrap();
    }
    assert_eq!(code(rig.register("fay", None)), Code::RoomFull);
    assert!(
        rig.register("dan", None).is_ok(),
        "who is in may come again"
    );
}
