//! Connections to a media server that works, fails, or has lost a session.

use std::rc::Rc;

use partyline::core::event::Limits;
use partyline::core::live::{LiveRequest, MediaCall, Outcome, Tracks};

use super::stage::{
    ANSWER, HOUR, VIDEO, create, device_goes_live, heard, live_rig, only_call, serve, serve_call,
    state, watch,
};
use crate::rig::{LIMITS, Rig};

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
    // A move from a WebSocket that was replaced comes too late.
    let late = rig.move_from(second, "camera", Some("k"));
    assert_eq!(heard(&mut rig, late), ["error replaced", "closed 4001"]);
    assert!(rig.is_open(third));
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
fn a_restart_during_the_call_for_an_answer_closes_the_session_after_the_call() {
    for (restarts_room, calls_after) in [(true, 0), (false, 1)] {
        let mut rig = live_rig();
        let device = rig.join("camera", Some("k"));
        serve(&mut rig);
        rig.send(device, ANSWER);
        let (answer, request) = only_call(&rig);
        assert!(matches!(request, MediaCall::Answer { .. }), "{request:?}");
        rig.send(device, r#"{"type":"restart","to":"~live"}"#);
        if restarts_room {
            rig.pass(1);
            rig.sleep();
            // The Rig checks that no session has a second call.
            rig.join("camera", Some("k"));
        }
        serve_call(&mut rig, answer, &request);
        let closes = rig.calls().into_iter();
        let closes = closes.filter(|(_, call)| matches!(call, MediaCall::Close { .. }));
        assert_eq!(closes.count(), calls_after);
    }
}

#[test]
fn a_session_that_waits_to_be_closed_again_causes_no_alarm_while_there_is_no_space() {
    let mut rig = Rig::new(Limits {
        viewers: 8,
        ..LIMITS
    });
    create(&mut rig);
    device_goes_live(&mut rig);
    let viewer = watch(&mut rig, "viewer");
    rig.close(viewer);
    let (call, _) = only_call(&rig);
    rig.end_call(call, Outcome::Unavailable("busy".into()));
    for n in 0..6 {
        rig.join(&format!("v{n}"), None);
    }
    assert_eq!(rig.calls().len(), 6);
    // The Rig checks that the alarm does not ring again at the same time.
    rig.pass(9_000);
    assert_eq!(rig.calls().len(), 6);
    let (call, open) = rig.calls().remove(0);
    rig.end_call(call, Outcome::Unavailable("busy".into()));
    assert_eq!(open, MediaCall::Open);
    let is_close = |(_, call): &(u64, MediaCall)| matches!(call, MediaCall::Close { .. });
    assert!(rig.calls().iter().any(is_close));
}
