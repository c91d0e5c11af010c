//! A device that disconnects, returns, or stops sending.

use partyline::core::live::{MediaCall, Outcome};

use super::stage::{
    ANSWER, HOUR, device_goes_live, heard, live_rig, only_call, serve, serve_call, state, watch,
};

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
