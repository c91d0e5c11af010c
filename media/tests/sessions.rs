//! The life of sessions and tracks: timeouts, closes, panics, strangers.

use partyline_media::api::ErrorCode;
use partyline_media::calls::Call;
use serde_json::{Value, json};

use crate::world::{SECOND, World, new_tracks, parse};

fn look(world: &mut World, client: usize) -> Result<Value, ErrorCode> {
    let session = world.clients[client].session;
    world.call(Call::Look(session))
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
fn a_session_without_open_tracks_ends_after_30_seconds() {
    let mut world = World::new();
    let (device, mid) = world.device();
    world.send(device, mid, SECOND);
    let (viewer, received) = world.viewer(device);
    let session = world.clients[viewer].session;
    let close = json!({ "tracks": [{ "mid": received.to_string() }], "force": true });
    world
        .call(Call::CloseTracks(session, parse(close)))
        .unwrap();
    for _ in 0..29 {
        world.send(device, mid, SECOND);
    }
    assert_eq!(world.engine.health().sessions, 2);
    for _ in 0..2 {
        world.send(device, mid, SECOND);
    }
    assert_eq!(look(&mut world, viewer), Err(ErrorCode::SessionError));
    assert!(look(&mut world, device).is_ok(), "the device still sends");
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
    // The device continues from another address, as after a change of the network.
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
fn a_session_that_receives_datagrams_but_never_connects_is_gone_after_60_seconds() {
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
