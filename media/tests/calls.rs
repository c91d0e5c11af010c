//! The order, the limits and the errors of calls.

use partyline_media::api::ErrorCode;
use partyline_media::calls::Call;
use partyline_media::engine::Limits;
use serde_json::{Value, json};

use crate::world::{SECOND, World, new_tracks, parse};

#[test]
fn a_pull_waits_until_the_publisher_sends() {
    let mut world = World::new();
    let (device, mid) = world.device();
    let viewer = world.open();
    let call = new_tracks(viewer, world.remote(device));
    assert!(
        world.engine.call(&call, false, world.now).is_none(),
        "not yet"
    );
    let reply = world.call(call.clone()).unwrap();
    assert_eq!(reply["tracks"][0]["errorCode"], "empty_track_error");
    world.send(device, mid, SECOND);
    let reply = world
        .engine
        .call(&call, false, world.now)
        .unwrap()
        .unwrap()
        .1;
    assert_eq!(reply["requiresImmediateRenegotiation"], true);
}

#[test]
fn one_error_in_a_request_leaves_the_other_tracks() {
    let mut world = World::new();
    let (device, mid) = world.device();
    world.send(device, mid, SECOND);
    let viewer = world.client(|config| config);
    let mut tracks = world.remote(device);
    let mut absent = tracks[0].clone();
    absent["trackName"] = json!("absent");
    tracks.as_array_mut().unwrap().insert(0, absent);
    let (reply, accepted) = world.exchange(viewer, tracks);
    assert_eq!(reply["tracks"][0]["errorCode"], "not_found_track_error");
    assert!(reply["tracks"][1]["mid"].is_string(), "{reply}");
    assert_eq!(accepted, Ok(json!({})));
    world.run(SECOND);
    let sent = world.send(device, mid, SECOND);
    world.run(SECOND);
    assert_eq!(world.clients[viewer].frames.len(), sent);
}

#[test]
fn an_exchange_ends_before_the_next_one_begins() {
    let mut world = World::new();
    let device = world.open();
    let track = |name: &str| json!([{ "location": "local", "trackName": name, "kind": "video" }]);
    assert!(world.call(new_tracks(device, track("one"))).is_ok());
    let second = new_tracks(device, track("two"));
    assert_eq!(
        world.call(second.clone()),
        Err(ErrorCode::InvalidSessionDescription)
    );
    // A client that never answers must not block the session.
    world.run(31 * SECOND);
    assert!(world.call(second).is_ok());

    let answer = json!({ "sessionDescription": { "type": "answer", "sdp": "nonsense" } });
    let session = world.open();
    let early = world.call(Call::Renegotiate(session, parse(answer.clone())));
    assert_eq!(early, Err(ErrorCode::InvalidSessionDescription));
    let wrong = world.call(Call::Renegotiate(device, parse(answer)));
    assert_eq!(wrong, Err(ErrorCode::InvalidSessionDescription));
    assert!(world.call(Call::Look(device)).is_ok());
}

#[test]
fn a_second_exchange_waits_for_the_connection() {
    let mut world = World::new();
    let device = world.client(|config| config);
    let track = |name: &str| json!([{ "location": "local", "trackName": name, "kind": "video" }]);
    let (_, accepted) = world.exchange(device, track("one"));
    assert_eq!(accepted, Ok(json!({})));
    let session = world.clients[device].session;
    let second = new_tracks(session, track("two"));
    assert!(
        world.engine.call(&second, false, world.now).is_none(),
        "not yet"
    );
    let error = world
        .engine
        .call(&second, true, world.now)
        .unwrap()
        .unwrap_err();
    assert_eq!(
        (error.error_code, error.error_code.status()),
        (ErrorCode::NotConnected, 425)
    );
    world.run(SECOND);
    assert!(
        world
            .engine
            .call(&second, false, world.now)
            .unwrap()
            .is_ok()
    );
}

#[test]
fn names_of_tracks_are_unique_and_not_empty() {
    let mut world = World::new();
    let (device, _) = world.device();
    let session = world.clients[device].session;
    let long = "x".repeat(257);
    for name in ["video", "", &long] {
        let track = json!([{ "location": "local", "trackName": name, "kind": "video" }]);
        let reply = world.call(new_tracks(session, track)).unwrap();
        assert_eq!(reply["tracks"][0]["errorCode"], "invalid_params", "{name}");
    }
    let twice = json!({ "location": "local", "trackName": "new", "kind": "video" });
    let reply = world
        .call(new_tracks(session, json!([twice, twice])))
        .unwrap();
    assert_eq!(reply["tracks"][1]["errorCode"], "invalid_params");
    let kindless = json!([{ "location": "local", "trackName": "new" }]);
    let reply = world.call(new_tracks(session, kindless)).unwrap();
    assert_eq!(reply["tracks"][0]["errorCode"], "invalid_params");
}

#[test]
fn sessions_tracks_and_calls_have_limits() {
    let mut world = World::with(Limits {
        sessions: 2,
        ..Limits::default()
    });
    let session = world.open();
    world.open();
    assert_eq!(
        world.call(Call::Open),
        Err(ErrorCode::TemporarilyUnavailableError)
    );

    let track = |index: usize| {
        let name = index.to_string();
        json!({ "location": "local", "trackName": name, "kind": "audio" })
    };
    let too_many = Value::Array((0..65).map(track).collect());
    assert_eq!(
        world.call(new_tracks(session, too_many)),
        Err(ErrorCode::InvalidParams)
    );
    assert_eq!(
        world.call(new_tracks(session, json!([]))),
        Err(ErrorCode::InvalidParams)
    );
    let most = Value::Array((0..64).map(track).collect());
    assert!(world.call(new_tracks(session, most)).is_ok());

    let call = Call::Look(session);
    world.run(SECOND);
    let results: Vec<_> = (0..51)
        .map(|_| world.engine.admit(&call, world.now))
        .collect();
    assert!(results[..50].iter().all(Result::is_ok));
    let error = results[50].clone().unwrap_err();
    assert_eq!(
        (error.error_code, error.error_code.status()),
        (ErrorCode::RetryableTransientError, 429)
    );
    world.run(SECOND);
    assert!(world.engine.admit(&call, world.now).is_ok());
}

#[test]
fn sdp_with_too_many_media_sections_is_refused() {
    let mut world = World::new();
    let session = world.open();
    let sdp = format!(
        "v=0\r\n{}",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n".repeat(129)
    );
    let body =
        json!({ "autoDiscover": true, "sessionDescription": { "type": "offer", "sdp": sdp } });
    let error = world
        .engine
        .call(&Call::NewTracks(session, parse(body)), true, world.now);
    let error = error.unwrap().unwrap_err();
    assert_eq!(error.error_code, ErrorCode::InvalidSessionDescription);
    assert!(
        error.error_description.contains("more than 128"),
        "{}",
        error.error_description
    );
}
