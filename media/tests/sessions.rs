//! The life of sessions and tracks: limits, timeouts, order of calls, errors, panics, strangers.

use std::time::Duration;

use partyline_media::api::ErrorCode;
use partyline_media::calls::Call;
use partyline_media::engine::Limits;
use partyline_media::session::SessionId;
use serde_json::{Value, json};

use crate::world::{World, parse};

const SECOND: Duration = Duration::from_secs(1);

fn look(world: &mut World, client: usize) -> Result<Value, ErrorCode> {
    let session = world.clients[client].session;
    world.call(Call::Look(session))
}

fn new_tracks(session: SessionId, tracks: Value) -> Call {
    Call::NewTracks(session, parse(json!({ "tracks": tracks })))
}

#[test]
fn a_track_without_packets_for_30_seconds_is_inactive_and_cannot_be_received() {
    let mut world = World::new();
    let (device, mid) = world.device();
    world.send(device, mid, SECOND);
    let (viewer, _) = world.viewer(device);
    world.run(28 * SECOND);
    assert_eq!(
        look(&mut world, device).unwrap()["tracks"][0]["status"],
        "active"
    );
    world.run(3 * SECOND);
    // The device is still connected.
    assert_eq!(
        look(&mut world, device).unwrap()["tracks"][0]["status"],
        "inactive"
    );
    assert_eq!(
        look(&mut world, viewer).unwrap()["tracks"][0]["status"],
        "inactive"
    );
    let tracks = world.remote(device);
    let session = world.clients[viewer].session;
    let reply = world.call(new_tracks(session, tracks)).unwrap();
    assert_eq!(reply["tracks"][0]["errorCode"], "not_found_track_error");
    assert!(reply.get("sessionDescription").is_none());
    // Its frames come too late.
    world.send(device, mid, SECOND);
    assert!(world.clients[viewer].frames.is_empty());
    assert_eq!(world.engine.health().tracks, 0);
}

#[test]
fn a_session_without_connectivity_for_30_seconds_is_gone() {
    let mut world = World::new();
    let (device, mid) = world.device();
    world.send(device, mid, SECOND);
    let (viewer, _) = world.viewer(device);
    let silent = world.clients[device].address;
    world.lose = Box::new(move |datagram| datagram.from == silent);
    world.run(29 * SECOND);
    assert!(look(&mut world, device).is_ok());
    world.run(2 * SECOND);
    assert_eq!(look(&mut world, device), Err(ErrorCode::SessionError));
    assert_eq!(ErrorCode::SessionError.status(), 410);
    assert_eq!(
        look(&mut world, viewer).unwrap()["tracks"][0]["status"],
        "inactive"
    );
}

#[test]
fn a_session_survives_29_seconds_without_connectivity() {
    let mut world = World::new();
    let (device, mid) = world.device();
    world.send(device, mid, SECOND);
    let (viewer, _) = world.viewer(device);
    let silent = world.clients[device].address;
    world.lose = Box::new(move |datagram| datagram.from == silent);
    world.run(15 * SECOND);
    world.lose = Box::new(|_| false);
    world.run(SECOND);
    let sent = world.send(device, mid, SECOND);
    world.run(SECOND);
    assert!(world.clients[viewer].frames.len() >= sent - 1);
}

#[test]
fn a_client_can_restart_ice_and_the_stream_goes_on() {
    let mut world = World::new();
    let (device, mid) = world.device();
    world.send(device, mid, SECOND);
    let (viewer, _) = world.viewer(device);
    let mut change = world.clients[device].rtc.sdp_api();
    change.ice_restart(true);
    let (offer, pending) = change.apply().unwrap();
    let sdp = offer.to_sdp_string();
    let body = json!({
        "autoDiscover": true,
        "sessionDescription": { "type": "offer", "sdp": sdp },
    });
    let session = world.clients[device].session;
    let reply = world.call(Call::NewTracks(session, parse(body))).unwrap();
    assert_eq!(reply["tracks"], json!([]), "no new track");
    world.accept(device, pending, &reply);
    world.run(SECOND);
    // The device goes on from another address, as after a change of the network.
    world.clients[device].address.set_port(50_001);
    world.run(20 * SECOND);
    world.clients[viewer].frames.clear();
    let sent = world.send(device, mid, SECOND);
    world.run(SECOND);
    assert!(world.clients[viewer].frames.len() >= sent - 1);
}

#[test]
fn a_session_that_never_connects_is_gone_60_seconds_after_its_last_call() {
    let mut world = World::new();
    let session = world.open();
    world.run(59 * SECOND);
    let track = json!([{ "location": "local", "trackName": "video", "kind": "video" }]);
    assert!(world.call(new_tracks(session, track)).is_ok());
    world.run(59 * SECOND);
    assert!(world.call(Call::Look(session)).is_ok());
    world.run(2 * SECOND);
    assert_eq!(
        world.call(Call::Look(session)),
        Err(ErrorCode::SessionError)
    );
    assert_eq!(world.engine.health().sessions, 0);
    assert_eq!(
        world.engine.deadline(),
        None,
        "without sessions, nothing wakes the server"
    );
}

#[test]
fn a_client_that_closes_its_connection_ends_its_session_at_once() {
    let mut world = World::new();
    let (device, mid) = world.device();
    world.send(device, mid, SECOND);
    let (viewer, _) = world.viewer(device);
    world.clients[device].rtc.close().unwrap();
    world.run(SECOND);
    assert_eq!(look(&mut world, device), Err(ErrorCode::SessionError));
    assert_eq!(
        look(&mut world, viewer).unwrap()["tracks"][0]["status"],
        "inactive"
    );
}

#[test]
fn a_shutdown_tells_all_clients() {
    let mut world = World::new();
    let (device, mid) = world.device();
    world.send(device, mid, SECOND);
    let (viewer, _) = world.viewer(device);
    world.engine.shut_down(world.now);
    assert_eq!(world.engine.health().sessions, 0);
    world.run(SECOND);
    assert!(world.clients[device].closed && world.clients[viewer].closed);
}

#[test]
fn a_panic_in_one_session_ends_no_other() {
    let mut world = World::new();
    let (device, mid) = world.device();
    world.send(device, mid, SECOND);
    let victim = world.viewer(device).0;
    let other = world.viewer(device).0;
    let session = world.clients[victim].session;
    let result = world.engine.step(session, world.now, |_| -> () {
        panic!("a bug in one session")
    });
    assert!(result.is_none());
    assert_eq!(look(&mut world, victim), Err(ErrorCode::SessionError));
    let sent = world.send(device, mid, SECOND);
    world.run(SECOND);
    assert_eq!(world.clients[other].frames.len(), sent);
    let health = world.engine.health();
    assert_eq!(
        (health.panics, health.sessions, health.subscriptions),
        (1, 2, 1)
    );
}

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
    // A client that never answers cannot block the session for ever.
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

    let track = |index: usize| json!({ "location": "local", "trackName": index.to_string(), "kind": "audio" });
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

#[test]
fn nobody_takes_over_the_address_of_another_session() {
    let mut world = World::new();
    let (device, mid) = world.device();
    world.send(device, mid, SECOND);
    let (viewer, _) = world.viewer(device);
    let (thief, _) = world.viewer(device);
    // The thief sends its own valid connectivity checks from the device's address.
    world.clients[thief].address = world.clients[device].address;
    world.clients[viewer].frames.clear();
    let sent = world.send(device, mid, 9 * SECOND);
    world.run(SECOND);
    assert_eq!(world.clients[viewer].frames.len(), sent);
}

#[test]
fn a_session_that_is_heard_but_never_connects_is_gone_after_60_seconds() {
    let mut world = World::new();
    let device = world.client(|config| config);
    let track = json!([{ "location": "local", "trackName": "video", "kind": "video" }]);
    let (_, answer) = world.answer(device, track);
    // Both sides now wait for the other to begin the handshake.
    assert!(answer.contains("a=setup:passive"));
    let answer = answer.replace("a=setup:passive", "a=setup:active");
    assert_eq!(world.renegotiate(device, &answer), Ok(json!({})));
    world.run(59 * SECOND);
    assert!(look(&mut world, device).is_ok());
    world.run(2 * SECOND);
    assert_eq!(look(&mut world, device), Err(ErrorCode::SessionError));
}
