//! Live sessions: creation, states, visibility, limits and the end.

mod device;
mod media;
mod stage;

use std::rc::Rc;

use partyline::core::close::Close;
use partyline::core::event::Limits;
use partyline::core::live::{LiveRequest, MediaCall, Outcome, Tracks};
use partyline::core::refusal::Code;
use partyline::dialect::Dialect;

use self::stage::{
    ANSWER, HOUR, VIDEO, create, device_goes_live, heard, live_rig, only_call, serve, watch,
};
use crate::rig::{LIMITS, Rig, event, id};

#[test]
fn the_device_is_relayed_to_a_viewer_that_came_first() {
    let mut rig = live_rig();
    let early = rig.join("early", None);
    assert_eq!(heard(&mut rig, early), ["welcome ~live", "live waiting"]);
    assert_eq!(rig.calls(), [], "a viewer waits for the device");

    let device = rig.join("camera", None);
    let welcome = heard(&mut rig, device);
    assert_eq!(welcome, ["welcome early,~live", "live waiting"]);
    assert_eq!(heard(&mut rig, early), ["peer-joined camera"]);
    serve(&mut rig);
    assert_eq!(heard(&mut rig, device), ["offer ~live"]);
    rig.send(device, ANSWER);
    let (call, answer) = only_call(&rig);
    let MediaCall::Answer { session, payload } = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(payload, r#"{"type":"answer","sdp":"x"}"#);
    rig.end_call(
        call,
        Outcome::Answered {
            accepted: VIDEO,
            rejected: Tracks::default(),
        },
    );
    assert_eq!(heard(&mut rig, device), ["live live"]);
    let (call, open) = only_call(&rig);
    assert_eq!(open, MediaCall::Open);
    rig.end_call(call, Outcome::Opened("v".into()));
    let pull = MediaCall::Pull {
        session: "v".into(),
        device: session,
        tracks: VIDEO,
    };
    assert_eq!(only_call(&rig).1, pull);
    serve(&mut rig);
    assert_eq!(heard(&mut rig, early), ["live live", "offer ~live"]);
    rig.send(early, ANSWER);
    serve(&mut rig);
    assert_eq!(heard(&mut rig, early), [] as [&str; 0]);
    assert_eq!(rig.called(), 6, "three calls for each peer");
    let written = rig.written();
    assert_eq!((written.rows, written.others), (2, 1), "and one alarm");
}

#[test]
fn viewers_are_not_introduced_to_each_other() {
    let mut rig = live_rig();
    let device = device_goes_live(&mut rig);
    let one = watch(&mut rig, "one");
    let two = rig.join("two", None);
    assert_eq!(heard(&mut rig, two), ["welcome camera,~live", "live live"]);
    assert_eq!(heard(&mut rig, one), [] as [&str; 0]);
    rig.heard(device);
    rig.send(two, r#"{"type":"hi"}"#);
    assert_eq!(heard(&mut rig, device), ["hi two"]);
    assert_eq!(heard(&mut rig, one), [] as [&str; 0]);
    rig.send(device, r#"{"type":"hi"}"#);
    assert_eq!(heard(&mut rig, one), ["hi camera"]);
    rig.close(two);
    assert_eq!(heard(&mut rig, one), [] as [&str; 0]);
    assert_eq!(heard(&mut rig, device), ["peer-left two"]);
    rig.close(device);
    assert_eq!(heard(&mut rig, one), ["peer-left camera"]);
}

#[test]
fn the_other_dialects_first_hear_of_the_media_server_in_its_offer() {
    let mut rig = live_rig();
    device_goes_live(&mut rig);
    for dialect in [Dialect::Forum, Dialect::Lobby] {
        let viewer = rig.join_speaking(dialect, dialect.name(), None);
        let before = rig.frames(viewer).join(" ");
        assert!(!before.contains("~live"), "{before}");
        serve(&mut rig);
        let [offer] = &rig.frames(viewer)[..] else {
            panic!("one offer");
        };
        assert!(
            offer.contains(r#""sdp""#) && offer.contains("~live"),
            "{offer}"
        );
    }
    let peers = rig.register("http", None).unwrap();
    assert_eq!(peers, [(id("camera"), false)]);
    assert_eq!(rig.calls(), [], "a peer without a stream gets no offer");
    let stream = rig.open_stream("http", None, None).unwrap();
    serve(&mut rig);
    let frames = rig.frames(stream);
    let offers: Vec<_> = frames.iter().filter_map(|frame| event(frame).1).collect();
    assert_eq!(offers.len(), 1, "{offers:?}");
    assert!(offers[0].contains(r#""senderId":"~live""#), "{offers:?}");
    let answer = r#"{"type":"answer","target":"~live","payload":{"type":"answer","sdp":"x"}}"#;
    rig.post("http", None, answer).unwrap();
    assert!(matches!(only_call(&rig).1, MediaCall::Answer { .. }));
}

#[test]
fn a_stop_closes_everything_even_in_the_middle_of_a_call() {
    let mut rig = live_rig();
    let device = device_goes_live(&mut rig);
    let viewer = watch(&mut rig, "viewer");
    let half = rig.join("half", None);
    rig.register("http", None).unwrap();
    let (call, _) = only_call(&rig);
    rig.end_call(call, Outcome::Opened("h".into()));
    let (pull, _) = only_call(&rig);
    for socket in [device, viewer, half] {
        rig.heard(socket);
    }
    assert_eq!(rig.live(LiveRequest::Stop).unwrap().viewers, 3);
    for socket in [device, viewer, half] {
        let code = Close::LiveOver.code();
        assert_eq!(
            heard(&mut rig, socket),
            ["live stopped".into(), format!("closed {code}")]
        );
    }
    assert_eq!(rig.len(), 0);
    rig.end_call(
        pull,
        Outcome::Offered {
            payload: "{}".into(),
            mids: vec!["0".into()],
        },
    );
    let closed: Vec<_> = rig.calls().into_iter().map(|(_, call)| call).collect();
    assert_eq!(closed.len(), 3, "{closed:?}");
    assert!(
        closed
            .iter()
            .all(|call| matches!(call, MediaCall::Close { .. }))
    );
    serve(&mut rig);
    assert_eq!(
        rig.live(LiveRequest::Stop).unwrap_err().code,
        Code::NoSuchSession
    );
}

#[test]
fn a_session_ends_at_its_time() {
    let mut rig = live_rig();
    let device = device_goes_live(&mut rig);
    rig.heard(device);
    rig.sleep();
    rig.pass(HOUR);
    assert_eq!(heard(&mut rig, device), ["live stopped", "closed 4011"]);
    assert_eq!(
        rig.live(LiveRequest::Status).unwrap_err().code,
        Code::NoSuchSession
    );
}

#[test]
fn the_same_session_can_be_created_again_but_not_for_another_device() {
    let mut rig = live_rig();
    assert!(!create(&mut rig).is_new);
    let other = rig.live(LiveRequest::Create {
        device: id("other"),
        tracks: Tracks::ALL,
        expires_at: rig.now.plus(HOUR),
    });
    assert_eq!(other.unwrap_err().code, Code::SessionExists);
}

#[test]
fn a_session_in_a_room_with_peers_begins_at_once() {
    let mut rig = Rig::new(LIMITS);
    let device = rig.join("camera", None);
    let viewer = rig.join("viewer", None);
    rig.heard(device);
    rig.heard(viewer);
    create(&mut rig);
    let expected = ["peer-joined ~live", "live waiting"];
    assert_eq!(heard(&mut rig, device), expected);
    assert_eq!(heard(&mut rig, viewer), expected);
    serve(&mut rig);
    assert_eq!(heard(&mut rig, device), ["offer ~live"]);
}

#[test]
fn viewers_have_a_limit_of_their_own() {
    let mut rig = Rig::new(Limits {
        peers: 1,
        viewers: 2,
        ..LIMITS
    });
    create(&mut rig);
    let viewers = ["one", "two", "three"].map(|name| rig.join(name, None));
    let heard_by = |rig: &mut Rig, n: usize| heard(rig, viewers[n]).pop().unwrap();
    assert_eq!(heard_by(&mut rig, 1), "live waiting");
    assert_eq!(heard_by(&mut rig, 2), "closed 4003");
    let device = rig.join("camera", None);
    assert_eq!(heard(&mut rig, device)[1], "live waiting");
    assert_eq!(rig.live(LiveRequest::Status).unwrap().viewers, 2);
}

#[test]
fn a_newcomer_takes_the_place_of_a_viewer_that_goes_away_and_never_that_of_the_device() {
    let mut rig = Rig::new(Limits {
        viewers: 1,
        ..LIMITS
    });
    let [one, two] = ["one", "two"].map(|name| rig.join(name, Some("key")));
    create(&mut rig);
    let device = rig.join("camera", Some("key"));
    for socket in [device, one, two] {
        rig.go_away(socket);
    }
    let newcomer = |rig: &mut Rig| {
        let socket = rig.join("new", None);
        heard(rig, socket).swap_remove(0)
    };
    assert_eq!(
        newcomer(&mut rig),
        "error room-full",
        "there are two viewers"
    );
    rig.close(two);
    let one = rig.join("one", Some("key"));
    assert_eq!(newcomer(&mut rig), "error room-full", "the device is away");
    rig.go_away(one);
    assert_eq!(newcomer(&mut rig), "welcome camera,~live");
    assert_eq!(rig.live(LiveRequest::Status).unwrap().viewers, 1);
}

#[test]
fn the_owner_ends_a_live_session_with_its_room() {
    let mut rig = live_rig();
    let device = device_goes_live(&mut rig);
    let viewer = watch(&mut rig, "one");
    let lost = watch(&mut rig, "two");
    rig.lose(lost);
    rig.remove("nobody");
    rig.heard(device);
    assert_eq!(rig.remove_all(), 3);
    assert_eq!(heard(&mut rig, device), ["live stopped", "closed 4012"]);
    assert_eq!(heard(&mut rig, viewer), ["live stopped", "closed 4012"]);
    let closes = rig.calls().into_iter();
    let closes = closes.filter(|(_, call)| matches!(call, MediaCall::Close { .. }));
    assert_eq!(closes.count(), 3, "the sessions of all peers");
    serve(&mut rig);
    let ended = rig.live(LiveRequest::Status).unwrap_err();
    assert_eq!(ended.code, Code::NoSuchSession);
    let refused = rig.join("nobody", None);
    assert_eq!(heard(&mut rig, refused), ["error removed", "closed 4012"]);
}

#[test]
fn a_viewer_and_a_device_that_the_owner_removes_leave_as_if_they_had_closed_their_websockets() {
    let mut rig = live_rig();
    let device = device_goes_live(&mut rig);
    let viewer = watch(&mut rig, "one");
    rig.heard(device);
    assert_eq!(rig.remove("one"), 1);
    assert_eq!(heard(&mut rig, viewer), ["closed 4012"]);
    assert_eq!(heard(&mut rig, device), ["peer-left one"]);
    assert!(matches!(only_call(&rig).1, MediaCall::Close { .. }));
    serve(&mut rig);
    assert_eq!(rig.remove("camera"), 1);
    assert_eq!(heard(&mut rig, device), ["closed 4012"]);
    assert!(matches!(only_call(&rig).1, MediaCall::Check { .. }));
}

#[test]
fn a_stop_with_http_peers_leaves_no_row() {
    let mut rig = live_rig();
    let device = device_goes_live(&mut rig);
    for name in ["one", "two"] {
        rig.register(name, None).unwrap();
    }
    let stream = rig.open_stream("one", None, None).unwrap();
    serve(&mut rig);
    let big = "x".repeat(6_000);
    for _ in 0..4 {
        rig.send(device, &format!(r#"{{"type":"hi","payload":"{big}"}}"#));
    }
    rig.lose(stream);
    rig.send(device, r#"{"type":"hi"}"#);
    rig.live(LiveRequest::Stop).unwrap();
    serve(&mut rig);
    assert_eq!(rig.deploy(), (0, false));
}

#[test]
fn a_stop_closes_the_session_of_the_device_first() {
    let mut rig = Rig::new(Limits {
        viewers: 20,
        ..LIMITS
    });
    create(&mut rig);
    let viewers: Vec<_> = (0..20).map(|n| rig.join(&format!("v{n}"), None)).collect();
    let device = rig.join("camera", None);
    let (call, _) = only_call(&rig);
    let state: Rc<str> = "camera".into();
    rig.end_call(call, Outcome::Opened(Rc::clone(&state)));
    serve(&mut rig);
    for socket in [device].into_iter().chain(viewers) {
        rig.send(socket, ANSWER);
        serve(&mut rig);
    }
    rig.live(LiveRequest::Stop).unwrap();
    let (_, first) = rig.calls().remove(0);
    assert_eq!(first.session(), Some(&state));
}
