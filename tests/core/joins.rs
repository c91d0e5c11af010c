//! Stories of joins with a meta and an offer that transcripts cannot express: floods, failures, live sessions
//! and large rooms.

use crate::rig::{LIMITS, Rig, id};
use partyline::core::event::Limits;
use partyline::core::live::{LiveRequest, Tracks};
use partyline::core::peer::Socket;
use partyline::edge::route::{Request, Route, route};

const META: &str = r#"{"name":"Bob"}"#;

/// Lets a client join whose offer travels with the join.
fn join_with_offer(rig: &mut Rig, id: &str, payload: &str) -> Socket {
    rig.offer = Some(payload.to_owned());
    rig.join(id, None)
}

/// Creates a live session whose device is the peer `camera`.
fn create_session(rig: &mut Rig) {
    let expires_at = rig.now.plus(86_400_000);
    let device = id("camera");
    let tracks = Tracks::ALL;
    let status = rig.live(LiveRequest::Create {
        device,
        tracks,
        expires_at,
    });
    status.unwrap();
}

#[test]
fn an_offer_with_a_join_counts_as_a_signal_and_is_refused_like_one() {
    let mut rig = Rig::new(LIMITS);
    let ann = rig.join("ann", None);
    join_with_offer(&mut rig, "bob", "0");
    rig.frames(ann);
    let offers = |frames: Vec<String>| frames.iter().filter(|f| f.contains("offer")).count();
    // The first offer has used one of 200 tokens, and a peer that returns keeps its bucket.
    for n in 1..200 {
        let bob = join_with_offer(&mut rig, "bob", &n.to_string());
        let frames = rig.frames(bob);
        assert!(frames[0].contains(r#""offered":"ann""#), "{frames:?}");
        assert_eq!(frames.len(), 1, "{frames:?}");
    }
    assert_eq!(offers(rig.frames(ann)), 199);
    let mut bob = join_with_offer(&mut rig, "bob", "200");
    let frames = rig.frames(bob);
    assert!(!frames[0].contains("offered"), "{frames:?}");
    assert!(frames[1].contains("too-fast"), "{frames:?}");
    assert_eq!((frames.len(), offers(rig.frames(ann))), (2, 0));
    // A client that ignores the refusals is disconnected.
    for n in 201..400 {
        assert!(rig.is_open(bob), "{n}");
        bob = join_with_offer(&mut rig, "bob", "1");
    }
    assert!(!rig.is_open(bob));
    assert_eq!(offers(rig.frames(ann)), 0);
    assert_eq!(rig.len(), 1);
}

#[test]
fn an_offer_with_a_join_to_a_broken_websocket_waits_like_a_signal() {
    let mut rig = Rig::new(LIMITS);
    let ann = rig.join("ann", None);
    rig.jam(ann);
    let bob = join_with_offer(&mut rig, "bob", "7");
    let [welcome] = &rig.frames(bob)[..] else {
        panic!("the offer is refused");
    };
    assert!(welcome.ends_with(r#""offered":"ann"}"#), "{welcome}");
    rig.sleep();
    let ann = rig.join("ann", None);
    let offer = r#"{"type":"offer","from":"bob","payload":7}"#;
    assert_eq!(rig.frames(ann)[1..], [offer]);

    // If its receiver does not return, the newcomer learns of it.
    rig.close(bob);
    rig.jam(ann);
    let bob = join_with_offer(&mut rig, "bob", "8");
    rig.frames(bob);
    rig.pass(20_000);
    let frames = rig.frames(bob);
    let is_refusal =
        |frame: &String| frame.contains("no-such-peer") && frame.contains(r#""to":"ann""#);
    assert!(frames.iter().any(is_refusal), "{frames:?}");
}

#[test]
fn an_offer_with_a_refused_join_reaches_nobody() {
    let mut rig = Rig::new(LIMITS);
    let ann = rig.join("ann", Some("key"));
    rig.join("bob", None);
    rig.frames(ann);
    let eve = join_with_offer(&mut rig, "ann", "1");
    assert!(rig.frames(eve)[0].contains("id-taken"));
    assert_eq!(rig.frames(ann), [] as [String; 0]);
}

#[test]
fn in_a_live_session_no_offer_is_forwarded_and_only_the_device_sees_metas() {
    for (device_asks, sees) in [(None, false), (Some(""), true)] {
        let mut rig = Rig::new(LIMITS);
        create_session(&mut rig);
        rig.meta = device_asks.map(Into::into);
        let camera = rig.join("camera", None);
        rig.meta = Some(META.into());
        let bob = join_with_offer(&mut rig, "bob", "1");
        let eve = join_with_offer(&mut rig, "eve", "2");
        for viewer in [bob, eve] {
            let frames = rig.frames(viewer).concat();
            assert!(!frames.contains("offered"), "{frames}");
            assert!(!frames.contains(META), "{frames}");
        }
        let frames = rig.frames(camera).concat();
        let seen = frames.matches(META).count();
        assert_eq!(seen, if sees { 2 } else { 0 }, "{frames}");
        assert!(!frames.contains(r#""from":"bob""#), "{frames}");
    }
}

#[test]
fn a_welcome_lists_at_most_a_mebibyte_of_metas() {
    let limits = Limits {
        peers: 4_096,
        ..LIMITS
    };
    let mut rig = Rig::new(limits);
    let meta = format!("\"{}\"", "m".repeat(1_022));
    rig.meta = Some(meta.clone().into());
    for n in 0..1_030 {
        rig.join(&format!("peer{n}"), None);
    }
    let ann = rig.join("ann", None);
    let [welcome] = &rig.frames(ann)[..] else {
        panic!("one welcome");
    };
    assert_eq!(welcome.matches(&meta).count(), 1_024);
    let last = r#"{"id":"peer1029","polite":false}]}"#;
    assert!(welcome.ends_with(last), "the others are listed without");
}

#[test]
fn the_largest_meta_fits_an_attachment_and_a_row() {
    // The Rig checks the sizes.
    let mut rig = Rig::new(LIMITS);
    // The base64url of a string of 1,022 times `i`.
    let query = format!("meta=Imlp{}Ig", "aWlp".repeat(340));
    let request = Request {
        method: "GET",
        path: "/parties/main/demo",
        query: &query,
        upgrade: Some("websocket"),
        ..Request::default()
    };
    let Ok(Route::Join(join)) = route(&request) else {
        panic!("the meta is refused");
    };
    let meta = join.meta.unwrap();
    assert_eq!(meta.len(), 1_024);
    rig.meta = Some(meta.clone().into());
    let ann = rig.join(&"a".repeat(64), Some("key"));
    rig.join("bob", None);
    rig.lose(ann);
    rig.sleep();
    let eve = rig.join("eve", None);
    assert_eq!(rig.frames(eve).concat().matches(&meta).count(), 2);
}
