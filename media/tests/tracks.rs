//! Tracks: published, received and closed with the offers of either side.

use partyline_media::api::ErrorCode;
use partyline_media::calls::Call;
use serde_json::json;
use str0m::media::{Direction, MediaKind, Mid};

use crate::world::{SECOND, World, parse};

#[test]
fn clients_can_make_the_offers_for_publishing_and_receiving() {
    let mut world = World::new();
    let device = world.client(|config| config);
    let media = [
        (MediaKind::Video, Direction::SendOnly),
        (MediaKind::Audio, Direction::SendOnly),
    ];
    let (sdp, pending, mids) = world.offer(device, &media);
    let body =
        json!({ "autoDiscover": true, "sessionDescription": { "type": "offer", "sdp": sdp } });
    let session = world.clients[device].session;
    let reply = world.call(Call::NewTracks(session, parse(body))).unwrap();
    assert_eq!(reply["requiresImmediateRenegotiation"], false);
    assert_eq!(reply["tracks"].as_array().unwrap().len(), 2);
    assert_eq!(reply["tracks"][0]["mid"], mids[0].to_string());
    let name = reply["tracks"][0]["trackName"].clone();
    world.accept(device, pending, &reply);
    world.run(SECOND);
    world.send(device, mids[0], SECOND);

    // The same media section cannot publish a second track.
    let (sdp, _, _) = world.offer(device, &media[..1]);
    let track = json!({ "location": "local", "mid": mids[0].to_string(), "trackName": "second" });
    let body = json!({
        "sessionDescription": { "type": "offer", "sdp": sdp }, "tracks": [track],
    });
    let again = world.call(Call::NewTracks(session, parse(body))).unwrap();
    assert_eq!(again["tracks"][0]["errorCode"], "invalid_params", "{again}");

    let viewer = world.client(|config| config);
    let (sdp, pending, mids_of_viewer) = world.offer(
        viewer,
        &[
            (MediaKind::Audio, Direction::RecvOnly),
            (MediaKind::Video, Direction::RecvOnly),
        ],
    );
    let body = json!({
        "sessionDescription": { "type": "offer", "sdp": sdp },
        "tracks": [{ "location": "remote", "sessionId": session.to_string(), "trackName": name }],
    });
    let session = world.clients[viewer].session;
    let reply = world.call(Call::NewTracks(session, parse(body))).unwrap();
    assert_eq!(
        reply["tracks"][0]["mid"],
        mids_of_viewer[1].to_string(),
        "{reply}"
    );
    world.accept(viewer, pending, &reply);
    world.run(SECOND);
    let sent = world.send(device, mids[0], SECOND);
    world.run(SECOND);
    assert_eq!(world.clients[viewer].frames.len(), sent);
}

#[test]
fn a_closed_track_stops_at_the_viewer_and_the_session_continues() {
    let mut world = World::new();
    let (device, mid) = world.device();
    world.send(device, mid, SECOND);
    let (viewer, _) = world.viewer(device);
    let session = world.clients[viewer].session;
    for round in 0..4 {
        let sent = world.send(device, mid, SECOND);
        world.run(SECOND);
        assert_eq!(world.clients[viewer].frames.len(), sent, "round {round}");
        world.clients[viewer].frames.clear();
        let open: Vec<_> = {
            let state = world.call(Call::Look(session)).unwrap();
            let tracks = state["tracks"].as_array().unwrap().clone();
            tracks
                .into_iter()
                .filter(|track| track["status"] == "active")
                .collect()
        };
        assert_eq!(open.len(), 1);
        let close = json!({ "tracks": [{ "mid": open[0]["mid"] }], "force": true });
        let reply = world
            .call(Call::CloseTracks(session, parse(close.clone())))
            .unwrap();
        assert_eq!(reply["tracks"], json!([{ "mid": open[0]["mid"] }]));
        let again = world
            .call(Call::CloseTracks(session, parse(close)))
            .unwrap();
        assert_eq!(again["tracks"][0]["errorCode"], "close_track_error");
        world.send(device, mid, SECOND);
        assert!(world.clients[viewer].frames.is_empty());

        // The last closed track does not end the session.
        let tracks = world.remote(device);
        let (reply, accepted) = world.exchange(viewer, tracks);
        assert_eq!(accepted, Ok(json!({})));
        let sdp = reply["sessionDescription"]["sdp"].as_str().unwrap();
        assert_eq!(
            sdp.matches("\nm=video 9 ").count(),
            1,
            "the others are stopped: {sdp}"
        );
        world.run(SECOND);
    }
}

#[test]
fn a_negotiated_close_answers_the_offer_of_the_client() {
    let mut world = World::new();
    let (device, mid) = world.device();
    world.send(device, mid, SECOND);
    let session = world.clients[device].session;
    let mut change = world.clients[device].rtc.sdp_api();
    change.stop_media(mid);
    let (offer, pending) = change.apply().unwrap();
    let sdp = offer.to_sdp_string();
    let body = json!({
        "tracks": [{ "mid": mid.to_string() }],
        "force": false,
        "sessionDescription": { "type": "offer", "sdp": sdp },
    });
    let reply = world.call(Call::CloseTracks(session, parse(body))).unwrap();
    assert_eq!(reply["sessionDescription"]["type"], "answer");
    world.accept(device, pending, &reply);
    assert_eq!(world.engine.health().tracks, 0);
    let none = json!({ "tracks": [{ "mid": mid.to_string() }], "force": false });
    let error = world.call(Call::CloseTracks(session, parse(none)));
    assert_eq!(error, Err(ErrorCode::InvalidParams));
}

#[test]
fn a_bidirectional_media_section_sends_a_track_back_without_an_offer() {
    let mut world = World::new();
    let (device, mid) = world.device();
    world.send(device, mid, SECOND);
    let peer = world.client(|config| config);
    let track = json!([{
        "location": "local", "trackName": "own", "kind": "video", "bidirectionalMediaStream": true
    }]);
    let (reply, accepted) = world.exchange(peer, track);
    assert_eq!(accepted, Ok(json!({})));
    world.run(SECOND);
    let mut tracks = world.remote(device);
    tracks[0]["mid"] = json!("#own");
    let session = world.clients[peer].session;
    let call = Call::NewTracks(session, parse(json!({ "tracks": tracks })));
    let back = world.call(call).unwrap();
    assert_eq!(back["requiresImmediateRenegotiation"], false, "{back}");
    assert_eq!(back["tracks"][0]["mid"], reply["tracks"][0]["mid"]);
    let sent = world.send(device, mid, SECOND);
    world.run(SECOND);
    assert_eq!(world.clients[peer].frames.len(), sent);

    // Another track takes the place of the first.
    let (second, second_mid) = world.device();
    world.send(second, second_mid, SECOND);
    let mut tracks = world.remote(second);
    tracks[0]["mid"] = json!("#own");
    let call = Call::NewTracks(session, parse(json!({ "tracks": tracks })));
    world.call(call).unwrap();
    world.clients[peer].frames.clear();
    world.send(device, mid, SECOND);
    assert!(world.clients[peer].frames.is_empty());
    let sent = world.send(second, second_mid, SECOND);
    world.run(SECOND);
    assert_eq!(world.clients[peer].frames.len(), sent);
}

#[test]
fn a_device_that_refuses_to_send_is_reported() {
    let mut world = World::new();
    let device = world.client(|config| config);
    let tracks = json!([{ "location": "local", "trackName": "video", "kind": "video" }]);
    let (reply, answer) = world.answer(device, tracks);
    let answer = answer.replace("a=sendonly", "a=inactive");
    let accepted = world.renegotiate(device, &answer).unwrap();
    assert_eq!(accepted["tracks"][0]["trackName"], "video", "{accepted}");
    assert_eq!(
        accepted["tracks"][0]["errorCode"],
        "invalid_session_description"
    );
    assert_eq!(world.engine.health().tracks, 0);
    let mid = Mid::from(reply["tracks"][0]["mid"].as_str().unwrap());
    assert_eq!(accepted["tracks"][0]["mid"], mid.to_string());
}
