//! Live sessions with a media server whose responses the tests write.

use std::rc::Rc;

use partyline::core::close::Close;
use partyline::core::event::Limits;
use partyline::core::live::{LiveRequest, LiveStatus, MediaCall, Outcome, Tracks};
use partyline::core::peer::Socket;
use partyline::core::refusal::Code;
use partyline::dialect::Dialect;

use crate::rig::{Heard, LIMITS, Rig, event, id};

const HOUR: u64 = 3_600_000;
const VIDEO: Tracks = Tracks {
    audio: false,
    video: true,
};

fn create(rig: &mut Rig) -> LiveStatus {
    let expires_at = rig.now.plus(HOUR);
    let status = rig.live(LiveRequest::Create {
        device: id("camera"),
        tracks: Tracks::ALL,
        expires_at,
    });
    status.unwrap()
}

fn live_rig() -> Rig {
    let mut rig = Rig::new(LIMITS);
    assert!(create(&mut rig).is_new);
    rig
}

fn only_call(rig: &Rig) -> (u64, MediaCall) {
    let calls = rig.calls();
    assert_eq!(calls.len(), 1, "{calls:?}");
    calls.into_iter().next().unwrap()
}

/// Answers calls as a media server that works, until no call is in progress. The name of a session is
/// the number of its call.
fn serve(rig: &mut Rig) {
    while let Some((call, request)) = rig.calls().into_iter().next() {
        serve_call(rig, call, &request);
    }
}

fn serve_call(rig: &mut Rig, call: u64, request: &MediaCall) {
    let outcome = match request {
        MediaCall::Open => Outcome::Opened(format!("s{call}").into()),
        MediaCall::Publish { session, tracks }
        | MediaCall::Pull {
            session, tracks, ..
        } => {
            let mids = tracks.kinds().enumerate();
            Outcome::Offered {
                payload: format!(r#"{{"type":"offer","sdp":"{session}","session":"{session}"}}"#),
                mids: mids.map(|(n, _)| n.to_string().into()).collect(),
            }
        }
        MediaCall::Answer { .. } => Outcome::Answered {
            accepted: VIDEO,
            rejected: Tracks::default(),
        },
        MediaCall::Close { .. } => Outcome::Closed,
        MediaCall::Check { .. } => Outcome::Seen { is_active: true },
    };
    rig.end_call(call, outcome);
}

const ANSWER: &str = r#"{"type":"answer","to":"~live","payload":{"type":"answer","sdp":"x"}}"#;

/// Returns the types of the frames that a native client received, with their sender, state or id.
fn heard(rig: &mut Rig, socket: Socket) -> Vec<String> {
    let heard = rig.heard(socket).into_iter();
    let names = heard.map(|heard| match heard {
        Heard::Closed(close) => format!("closed {}", close.code()),
        Heard::Frame(text) => {
            let frame: serde_json::Value = serde_json::from_str(&text).unwrap();
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            let details = match frame["type"].as_str().unwrap() {
                "welcome" => {
                    let peers = frame["peers"].as_array().unwrap();
                    let peers: Vec<_> = peers.iter().map(|peer| text(&peer["id"])).collect();
                    peers.join(",")
                }
                "live" => text(&frame["payload"]["state"]),
                "error" => text(&frame["code"]),
                _ => [text(&frame["id"]), text(&frame["from"])].concat(),
            };
            format!("{} {details}", text(&frame["type"]))
        }
    });
    names.collect()
}

/// Lets the device join, and answer its offer.
fn device_goes_live(rig: &mut Rig) -> Socket {
    let device = rig.join("camera", Some("k"));
    serve(rig);
    rig.send(device, ANSWER);
    serve(rig);
    device
}

/// Lets a viewer join, and answer its offer.
fn watch(rig: &mut Rig, name: &str) -> Socket {
    let viewer = rig.join(name, Some(name));
    serve(rig);
    rig.send(viewer, ANSWER);
    serve(rig);
    rig.heard(viewer);
    viewer
}

fn state(rig: &mut Rig) -> &'static str {
    rig.live(LiveRequest::Status).unwrap().state
}

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
fn every_stage_survives_an_eviction() {
    for steps in 0..8 {
        let mut rig = live_rig();
        let early = rig.join("early", None);
        let device = rig.join("camera", None);
        let mut offered = Vec::new();
        for step in 0..8 {
            if step == steps {
                rig.sleep();
            }
            if let Some((call, request)) = rig.calls().into_iter().next() {
                serve_call(&mut rig, call, &request);
            } else if let Some(socket) = offered.pop() {
                rig.send(socket, ANSWER);
            }
            for socket in [early, device] {
                let frames = heard(&mut rig, socket);
                offered.extend(
                    frames
                        .iter()
                        .filter(|frame| *frame == "offer ~live")
                        .map(|_| socket),
                );
            }
        }
        // A restart in the middle of a call loses its outcome. The call is then made again.
        for _ in 0..3 {
            rig.lose_calls();
            rig.pass(15_000);
            for _ in 0..4 {
                serve(&mut rig);
                for socket in [device, early] {
                    if heard(&mut rig, socket).contains(&"offer ~live".to_owned()) {
                        rig.send(socket, ANSWER);
                    }
                }
            }
        }
        assert_eq!(state(&mut rig), "live", "evicted at step {steps}");
        let status = rig.live(LiveRequest::Stop).unwrap();
        assert_eq!(status.viewers, 1);
        let closed: Vec<_> = rig.calls().iter().map(|(_, call)| call.clone()).collect();
        assert_eq!(closed.len(), 2, "step {steps}: {closed:?}");
    }
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
fn a_device_that_is_back_within_its_grace_period_receives_nothing() {
    let mut rig = live_rig();
    let device = device_goes_live(&mut rig);
    let viewer = watch(&mut rig, "viewer");
    rig.lose(device);
    rig.pass(5_000);
    let calls = rig.called();
    let again = rig.join("camera", Some("k"));
    assert_eq!(heard(&mut rig, again), ["welcome viewer,~live"]);
    assert_eq!(rig.called(), calls);
    for expected in [10_000, 35_000] {
        rig.pass(expected - 1_000);
        assert_eq!(rig.called(), calls + usize::from(expected == 35_000));
        rig.pass(1_000);
        let (call, check) = only_call(&rig);
        assert!(matches!(check, MediaCall::Check { .. }));
        serve_call(&mut rig, call, &check);
    }
    rig.pass(HOUR / 2);
    assert_eq!(rig.called(), calls + 2);
    assert_eq!(heard(&mut rig, again), [] as [&str; 0]);
    assert_eq!(heard(&mut rig, viewer), [] as [&str; 0]);
}

#[test]
fn a_device_whose_tracks_ended_gets_a_new_offer_and_so_do_the_viewers() {
    let mut rig = live_rig();
    let device = device_goes_live(&mut rig);
    let viewer = watch(&mut rig, "viewer");
    rig.lose(device);
    let again = rig.join("camera", Some("k"));
    rig.heard(again);
    rig.pass(15_000);
    let (call, _) = only_call(&rig);
    rig.end_call(call, Outcome::Gone);
    assert_eq!(heard(&mut rig, viewer), ["live away"]);
    serve(&mut rig);
    assert_eq!(heard(&mut rig, again), ["live away", "offer ~live"]);
    rig.send(again, ANSWER);
    serve(&mut rig);
    assert_eq!(heard(&mut rig, viewer), ["live live", "offer ~live"]);
}

#[test]
fn a_device_that_has_left_ends_only_when_its_tracks_are_inactive() {
    let mut rig = live_rig();
    let device = device_goes_live(&mut rig);
    let viewer = watch(&mut rig, "viewer");
    rig.lose(device);
    rig.pass(15_000);
    assert_eq!(heard(&mut rig, viewer), ["peer-left camera"]);
    let (call, check) = only_call(&rig);
    assert!(matches!(check, MediaCall::Check { .. }));
    rig.end_call(call, Outcome::Seen { is_active: true });
    rig.pass(34_000);
    assert_eq!(rig.calls(), []);
    rig.sleep();
    rig.pass(1_000);
    let (call, _) = only_call(&rig);
    rig.end_call(call, Outcome::Seen { is_active: true });
    // The device continues without a WebSocket, and new viewers can watch.
    watch(&mut rig, "late");
    assert_eq!(state(&mut rig), "live");
    rig.pass(300_000);
    let (call, _) = only_call(&rig);
    rig.end_call(call, Outcome::Seen { is_active: false });
    assert_eq!(state(&mut rig), "away");
    assert_eq!(heard(&mut rig, viewer), ["live away"]);
    let closing = rig.calls();
    assert_eq!(closing.len(), 2, "the sessions of both viewers are closed");
    serve(&mut rig);
    device_goes_live(&mut rig);
    let frames = heard(&mut rig, viewer);
    assert_eq!(frames, ["peer-joined camera", "live live", "offer ~live"]);
}

#[test]
fn a_media_server_that_fails_is_asked_again_after_2_8_and_30_seconds() {
    let mut rig = live_rig();
    let device = rig.join("camera", None);
    rig.heard(device);
    for delay in [2_000, 8_000, 30_000, 120_000, 120_000] {
        let (call, _) = only_call(&rig);
        rig.end_call(call, Outcome::Unavailable("refused".into()));
        assert_eq!(heard(&mut rig, device), ["error media-unavailable"]);
        rig.pass(delay - 1);
        assert_eq!(rig.calls(), []);
        rig.sleep();
        rig.pass(1);
    }
    serve(&mut rig);
    assert_eq!(heard(&mut rig, device), ["offer ~live"]);
    // Signaling does not depend on the media server.
    let other = rig.join("other", None);
    rig.heard(device);
    rig.send(other, r#"{"type":"hi","to":"camera"}"#);
    assert_eq!(heard(&mut rig, device), ["hi other"]);
}

#[test]
fn a_viewer_waits_while_the_device_does_not_send_yet() {
    let mut rig = live_rig();
    device_goes_live(&mut rig);
    let viewer = rig.join("viewer", None);
    rig.heard(viewer);
    for delay in [1_000, 2_000, 4_000, 8_000] {
        let (call, _) = only_call(&rig);
        rig.end_call(call, Outcome::Opened(format!("v{delay}").into()));
        let (call, pull) = only_call(&rig);
        assert!(matches!(pull, MediaCall::Pull { .. }));
        rig.end_call(call, Outcome::NotReady);
        assert_eq!(heard(&mut rig, viewer), [] as [&str; 0]);
        rig.pass(delay);
    }
    serve(&mut rig);
    assert_eq!(heard(&mut rig, viewer), ["offer ~live"]);
}

#[test]
fn a_session_that_is_gone_begins_again_at_once() {
    let mut rig = live_rig();
    let device = rig.join("camera", None);
    serve(&mut rig);
    rig.heard(device);
    rig.send(device, ANSWER);
    let (call, _) = only_call(&rig);
    rig.end_call(call, Outcome::Gone);
    serve(&mut rig);
    assert_eq!(heard(&mut rig, device), ["offer ~live"]);
}

#[test]
fn an_invalid_answer_is_refused_and_can_be_repeated() {
    let mut rig = live_rig();
    let device = rig.join("camera", None);
    serve(&mut rig);
    rig.heard(device);
    rig.send(device, ANSWER);
    let (call, _) = only_call(&rig);
    rig.end_call(call, Outcome::Invalid("no sdp".into()));
    assert_eq!(heard(&mut rig, device), ["error malformed"]);
    rig.send(device, ANSWER);
    rig.send(device, ANSWER);
    assert_eq!(
        heard(&mut rig, device),
        ["error malformed"],
        "no offer is left"
    );
    serve(&mut rig);
    assert_eq!(state(&mut rig), "live");
    for refused in ["offer", "answer"] {
        rig.heard(device);
        rig.send(device, &format!(r#"{{"type":"{refused}","to":"~live"}}"#));
        assert!(heard(&mut rig, device)[0].starts_with("error"), "{refused}");
    }
    rig.send(device, r#"{"type":"candidate","to":"~live"}"#);
    assert_eq!(heard(&mut rig, device), [] as [&str; 0]);
}

#[test]
fn a_peer_that_answers_with_nonsense_must_wait_longer_each_time() {
    let mut rig = live_rig();
    let device = rig.join("camera", None);
    for delay in [0, 0, 30_000, 120_000] {
        serve(&mut rig);
        rig.send(device, ANSWER);
        let (call, _) = only_call(&rig);
        rig.end_call(call, Outcome::Invalid("no sdp".into()));
        let frames = heard(&mut rig, device);
        assert_eq!(frames.last().unwrap(), "error malformed");
        if delay > 0 {
            rig.send(device, ANSWER);
            assert_eq!(heard(&mut rig, device), ["error malformed"]);
            let closes = |call: &MediaCall| matches!(call, MediaCall::Close { .. });
            assert!(rig.calls().iter().all(|(_, call)| closes(call)));
            rig.pass(delay);
        }
    }
}

#[test]
fn a_viewer_that_supports_no_codec_is_informed() {
    let mut rig = live_rig();
    device_goes_live(&mut rig);
    let viewer = rig.join("viewer", None);
    serve(&mut rig);
    rig.heard(viewer);
    rig.send(viewer, ANSWER);
    let (call, _) = only_call(&rig);
    rig.end_call(
        call,
        Outcome::Answered {
            accepted: Tracks::default(),
            rejected: VIDEO,
        },
    );
    assert_eq!(heard(&mut rig, viewer), ["error unsupported-codec"]);
}

#[test]
fn a_late_outcome_of_an_earlier_attempt_is_ignored() {
    let mut rig = live_rig();
    let device = device_goes_live(&mut rig);
    let viewer = rig.join("viewer", None);
    let (call, _) = only_call(&rig);
    rig.end_call(call, Outcome::Opened("old".into()));
    let (pull, _) = only_call(&rig);
    // Meanwhile, the device begins again.
    rig.send(device, r#"{"type":"restart","to":"~live"}"#);
    rig.pass(2_000);
    while let Some((call, request)) = rig.calls().into_iter().find(|(call, _)| *call != pull) {
        serve_call(&mut rig, call, &request);
    }
    rig.send(device, ANSWER);
    while let Some((call, request)) = rig.calls().into_iter().find(|(call, _)| *call != pull) {
        serve_call(&mut rig, call, &request);
    }
    let frames = heard(&mut rig, viewer);
    assert_eq!(frames.last().unwrap(), "offer ~live");
    rig.end_call(
        pull,
        Outcome::Offered {
            payload: "{}".into(),
            mids: vec!["0".into()],
        },
    );
    assert_eq!(heard(&mut rig, viewer), [] as [&str; 0]);
    let (_, close) = only_call(&rig);
    let session: Rc<str> = "old".into();
    assert_eq!(close.session(), Some(&session), "the old session is closed");
}

#[test]
fn a_viewer_that_leaves_has_its_session_closed() {
    let mut rig = live_rig();
    device_goes_live(&mut rig);
    let viewer = watch(&mut rig, "viewer");
    rig.lose(viewer);
    assert_eq!(rig.calls(), []);
    rig.pass(15_000);
    assert!(matches!(only_call(&rig).1, MediaCall::Close { .. }));
}

#[test]
fn a_viewer_that_is_back_within_its_grace_period_keeps_its_connection() {
    let mut rig = live_rig();
    device_goes_live(&mut rig);
    let viewer = watch(&mut rig, "viewer");
    let calls = rig.called();
    rig.lose(viewer);
    rig.sleep();
    rig.pass(5_000);
    let again = rig.join("viewer", Some("viewer"));
    assert_eq!(
        heard(&mut rig, again),
        ["welcome camera,~live", "live live"]
    );
    assert_eq!(rig.called(), calls);
    // An offer that was not answered is made again.
    rig.send(again, r#"{"type":"restart","to":"~live"}"#);
    rig.pass(2_000);
    let (call, close) = rig.calls().remove(1);
    serve_call(&mut rig, call, &close);
    serve(&mut rig);
    assert_eq!(heard(&mut rig, again), ["offer ~live"]);
    rig.lose(again);
    let third = rig.join("viewer", Some("viewer"));
    serve(&mut rig);
    assert_eq!(heard(&mut rig, third).last().unwrap(), "offer ~live");
}

#[test]
fn a_client_that_moves_to_another_websocket_needs_no_new_offer() {
    let mut rig = live_rig();
    rig.join("camera", Some("k"));
    let (call, _) = only_call(&rig);
    let second = rig.move_over("camera", Some("k"));
    rig.end_call(call, Outcome::Opened("s".into()));
    serve(&mut rig);
    assert_eq!(heard(&mut rig, second), ["welcome ~live", "offer ~live"]);
    let third = rig.move_over("camera", Some("k"));
    rig.send(third, ANSWER);
    serve(&mut rig);
    assert_eq!(state(&mut rig), "live");
    assert_eq!(rig.called(), 3);
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
fn a_thousand_viewers_share_six_calls() {
    let mut rig = Rig::new(Limits {
        viewers: 1_000,
        ..LIMITS
    });
    create(&mut rig);
    let viewers: Vec<_> = (0..1_000)
        .map(|n| rig.join(&format!("v{n}"), None))
        .collect();
    device_goes_live(&mut rig);
    let offers = viewers.iter().filter(|viewer| {
        let frames = heard(&mut rig, **viewer);
        frames
            .iter()
            .filter(|frame| *frame == "offer ~live")
            .count()
            == 1
    });
    assert_eq!(offers.count(), 1_000);
}

#[test]
fn after_a_deployment_a_device_that_does_not_return_is_away() {
    let mut rig = live_rig();
    device_goes_live(&mut rig);
    rig.deploy();
    rig.sleep();
    assert_eq!(state(&mut rig), "live");
    rig.pass(15_000);
    let (call, _) = only_call(&rig);
    rig.end_call(call, Outcome::Seen { is_active: false });
    assert_eq!(state(&mut rig), "away");
}

#[test]
fn a_viewer_whose_session_was_closed_while_it_was_absent_gets_an_offer() {
    let mut rig = live_rig();
    let device = device_goes_live(&mut rig);
    let viewer = watch(&mut rig, "viewer");
    rig.lose(viewer);
    rig.send(device, r#"{"type":"restart","to":"~live"}"#);
    rig.pass(2_000);
    serve(&mut rig);
    rig.send(device, ANSWER);
    serve(&mut rig);
    rig.sleep();
    let again = rig.join("viewer", Some("viewer"));
    serve(&mut rig);
    assert_eq!(
        heard(&mut rig, again),
        ["welcome camera,~live", "live live", "offer ~live"]
    );
}

#[test]
fn a_device_that_is_back_is_asked_about_although_the_room_was_evicted() {
    let mut rig = live_rig();
    let device = device_goes_live(&mut rig);
    rig.lose(device);
    rig.pass(5_000);
    let again = rig.join("camera", Some("k"));
    rig.heard(again);
    for wait in [10_000, 35_000] {
        rig.sleep();
        rig.pass(wait);
        let (call, check) = only_call(&rig);
        assert!(matches!(check, MediaCall::Check { .. }), "{check:?}");
        serve_call(&mut rig, call, &check);
    }
    let calls = rig.called();
    rig.sleep();
    rig.pass(HOUR / 2);
    assert_eq!(rig.called(), calls, "the tracks are known to be active");
}

#[test]
fn after_a_deployment_evictions_do_not_postpone_the_check() {
    let mut rig = live_rig();
    device_goes_live(&mut rig);
    rig.deploy();
    rig.sleep();
    rig.pass(10_000);
    rig.sleep();
    rig.pass(5_000);
    let (call, check) = only_call(&rig);
    assert!(matches!(check, MediaCall::Check { .. }), "{check:?}");
    rig.end_call(call, Outcome::Seen { is_active: false });
    assert_eq!(state(&mut rig), "away");
}

#[test]
fn a_device_that_begins_again_and_never_answers_is_away() {
    let mut rig = live_rig();
    let device = device_goes_live(&mut rig);
    let viewer = watch(&mut rig, "viewer");
    rig.send(device, r#"{"type":"restart","to":"~live"}"#);
    rig.pass(2_000);
    serve(&mut rig);
    for _ in 0..10 {
        rig.pass(10_000);
        while let Some((call, request)) = rig.calls().into_iter().next() {
            match request {
                // The room has closed the session of the device.
                MediaCall::Check { .. } => rig.end_call(call, Outcome::Gone),
                MediaCall::Pull { .. } => rig.end_call(call, Outcome::NotReady),
                _ => serve_call(&mut rig, call, &request),
            }
        }
    }
    assert_eq!(state(&mut rig), "away");
    assert_eq!(heard(&mut rig, viewer), ["live away"]);
    rig.heard(device);
    rig.send(device, ANSWER);
    serve(&mut rig);
    assert_eq!(heard(&mut rig, device), ["live live"]);
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
fn a_session_that_could_not_be_closed_is_closed_later() {
    let mut rig = live_rig();
    device_goes_live(&mut rig);
    rig.live(LiveRequest::Stop).unwrap();
    for delay in [2_000, 8_000] {
        let (call, close) = only_call(&rig);
        assert!(matches!(close, MediaCall::Close { .. }), "{close:?}");
        rig.end_call(call, Outcome::Unavailable("busy".into()));
        rig.pass(delay - 1);
        assert_eq!(rig.calls(), []);
        rig.pass(1);
    }
    serve(&mut rig);
    rig.pass(HOUR);
    assert_eq!(rig.calls(), []);
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

#[test]
fn a_device_that_the_media_server_has_lost_gets_a_new_offer_when_a_viewer_waits() {
    let mut rig = live_rig();
    let device = device_goes_live(&mut rig);
    rig.heard(device);
    rig.join("viewer", None);
    for delay in [1_000, 2_000, 4_000, 8_000, 0] {
        let (call, _) = only_call(&rig);
        rig.end_call(call, Outcome::Opened(format!("v{delay}").into()));
        let (call, _) = only_call(&rig);
        rig.end_call(call, Outcome::NotReady);
        rig.pass(delay);
    }
    let (call, check) = only_call(&rig);
    assert!(matches!(check, MediaCall::Check { .. }), "{check:?}");
    rig.end_call(call, Outcome::Gone);
    serve(&mut rig);
    assert_eq!(
        heard(&mut rig, device),
        ["peer-joined viewer", "live away", "offer ~live"]
    );
}
