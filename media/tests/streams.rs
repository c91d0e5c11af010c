//! Media from devices to viewers: key frames, losses, codecs, layers, changes of the source.

use std::time::Duration;

use partyline_media::api::ErrorCode;
use partyline_media::calls::Call;
use serde_json::json;
use str0m::format::Codec;
use str0m::media::{
    Direction, KeyframeRequestKind, MediaKind, Mid, Rid, Simulcast, SimulcastLayer,
};

use crate::world::{World, parse};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn every_viewer_receives_every_frame_of_the_device() {
    let mut world = World::new();
    let (device, mid) = world.device();
    world.send(device, mid, SECOND);
    let viewers = [world.viewer(device).0, world.viewer(device).0];
    let sent = world.send(device, mid, 2 * SECOND);
    world.run(SECOND);
    for viewer in viewers {
        let frames = &world.clients[viewer].frames;
        assert_eq!(frames.len(), sent);
        assert!(frames[0].is_keyframe());
        assert!(frames.iter().skip(1).all(|frame| frame.contiguous));
        assert_eq!(frames[0].data.len(), 3000);
    }
    let health = world.engine.health();
    assert_eq!(
        (health.connected, health.tracks, health.subscriptions),
        (3, 1, 2)
    );
    assert_eq!(health.frames_forwarded, 2 * sent as u64);
}

#[test]
fn a_new_viewer_gets_a_key_frame_and_many_viewers_share_the_requests() {
    let mut world = World::new();
    let (device, mid) = world.device();
    world.send(device, mid, SECOND);
    // The viewer connects some seconds after its answer.
    let viewer = world.client(|config| config);
    let address = world.clients[viewer].address;
    let tracks = world.remote(device);
    let (reply, accepted) = world.exchange(viewer, tracks);
    assert_eq!(accepted, Ok(json!({})));
    let viewer_mid = Mid::from(reply["tracks"][0]["mid"].as_str().unwrap());
    world.lose = Box::new(move |datagram| datagram.from == address);
    world.run(3 * SECOND);
    world.lose = Box::new(|_| false);
    let before = world.clients[device].key_frame_requests.len();
    world.run(4 * SECOND);
    assert!(world.clients[viewer].connected);
    assert!(
        world.clients[device].key_frame_requests.len() > before,
        "asked when a viewer connects"
    );

    let before = world.clients[device].key_frame_requests.len();
    for _ in 0..30 {
        let writer = world.clients[viewer].rtc.writer(viewer_mid);
        writer
            .unwrap()
            .request_keyframe(None, KeyframeRequestKind::Pli)
            .unwrap();
        world.frame(device, mid, None, false);
        world.run(Duration::from_millis(100));
    }
    let requests = &world.clients[device].key_frame_requests[before..];
    assert!(
        (5..=7).contains(&requests.len()),
        "{} in 3 s",
        requests.len()
    );
    let gaps = requests.windows(2).map(|pair| pair[1].0 - pair[0].0);
    assert!(gaps.min().unwrap() > Duration::from_millis(450));
}

#[test]
fn lost_packets_are_sent_again_in_both_directions() {
    let mut world = World::new();
    let (device, mid) = world.device();
    world.send(device, mid, SECOND);
    let (viewer, _) = world.viewer(device);
    let mut count = 0;
    world.lose = Box::new(move |datagram| {
        count += usize::from(datagram.is_media());
        datagram.is_media() && count % 10 == 0
    });
    let sent = world.send(device, mid, 4 * SECOND);
    world.lose = Box::new(|_| false);
    world.run(SECOND);
    let frames = &world.clients[viewer].frames;
    assert_eq!(frames.len(), sent);
    assert!(frames.iter().skip(1).all(|frame| frame.contiguous));
}

#[test]
fn a_frame_that_is_lost_for_good_makes_the_server_ask_for_a_key_frame() {
    let mut world = World::new();
    let (device, mid) = world.device();
    world.send(device, mid, SECOND);
    let before = world.clients[device].key_frame_requests.len();
    // The first frame is lost, and so are all repetitions, which have an SSRC of their own.
    let mut first_ssrc = None;
    let mut count = 0;
    world.lose = Box::new(move |datagram| {
        let media = datagram.is_media();
        count += usize::from(media);
        media && (count <= 3 || *first_ssrc.get_or_insert(datagram.ssrc()) != datagram.ssrc())
    });
    for _ in 0..100 {
        world.frame(device, mid, None, false);
        world.run(Duration::from_millis(40));
    }
    assert!(world.clients[device].key_frame_requests.len() > before);
}

#[test]
fn a_viewer_that_cannot_decode_the_codec_is_told_and_others_are_not_affected() {
    let mut world = World::new();
    let (device, mid) = world.device();
    world.send(device, mid, SECOND);
    let viewer = world.client(|config| {
        config
            .clear_codecs()
            .enable_h264(true)
            .enable_opus(true, false)
    });
    let tracks = world.remote(device);
    let (reply, accepted) = world.exchange(viewer, tracks);
    let accepted = accepted.unwrap();
    let error = &accepted["tracks"][0];
    assert_eq!(error["mid"], reply["tracks"][0]["mid"]);
    assert_eq!(error["trackName"], "video");
    assert_eq!(error["errorCode"], "invalid_session_description");
    assert!(
        error["errorDescription"].as_str().unwrap().contains("VP8"),
        "{error}"
    );

    let (other, _) = world.viewer(device);
    let sent = world.send(device, mid, SECOND);
    world.run(SECOND);
    assert_eq!(world.clients[other].frames.len(), sent);
    assert!(world.clients[viewer].frames.is_empty());
}

#[test]
fn a_device_can_publish_h264() {
    let mut world = World::new();
    let (device, mid) = world.device_with(|config| {
        config
            .clear_codecs()
            .enable_h264(true)
            .enable_opus(true, false)
    });
    world.send(device, mid, SECOND);
    let (viewer, _) = world.viewer(device);
    let sent = world.send(device, mid, SECOND);
    world.run(SECOND);
    let frames = &world.clients[viewer].frames;
    assert!(frames.len() >= sent - 1);
    assert_eq!(frames[0].params.spec().codec, Codec::H264);
}

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
fn a_viewer_changes_to_another_device_without_sdp_and_its_media_time_goes_on() {
    let mut world = World::new();
    let (first, first_mid) = world.device();
    world.send(first, first_mid, 2 * SECOND);
    let (second, second_mid) = world.device();
    world.send(second, second_mid, SECOND);
    let (viewer, mid) = world.viewer(first);
    let sent = world.send(first, first_mid, SECOND);
    let mut tracks = world.remote(second);
    tracks[0]["mid"] = json!(mid.to_string());
    let session = world.clients[viewer].session;
    let reply = world
        .call(Call::UpdateTracks(
            session,
            parse(json!({ "tracks": tracks })),
        ))
        .unwrap();
    assert_eq!(reply["requiresImmediateRenegotiation"], false);
    assert!(reply["tracks"][0].get("errorCode").is_none(), "{reply}");
    let before = world.clients[second].key_frame_requests.len();
    world.run(Duration::from_millis(40));
    assert!(
        world.clients[second].key_frame_requests.len() > before,
        "asked at once"
    );
    world.frame(first, first_mid, None, false);
    let more = world.send(second, second_mid, SECOND);
    world.run(SECOND);
    let frames = &world.clients[viewer].frames;
    assert_eq!(frames.len(), sent + more);
    let times: Vec<_> = frames.iter().map(|frame| frame.time.numer()).collect();
    let steps: Vec<_> = times
        .windows(2)
        .map(|pair| pair[1].wrapping_sub(pair[0]))
        .collect();
    assert!(
        steps.iter().all(|step| (1..=3 * 3600).contains(step)),
        "{steps:?}"
    );

    let wrong = json!({ "tracks": [{ "mid": "nope", "location": "remote" }] });
    let reply = world
        .call(Call::UpdateTracks(session, parse(wrong)))
        .unwrap();
    assert_eq!(reply["tracks"][0]["errorCode"], "update_track_error");
}

#[test]
fn a_viewer_receives_the_simulcast_layer_that_it_prefers() {
    let mut world = World::new();
    let device = world.client(|config| config);
    let mut simulcast = Simulcast::new();
    for rid in ["f", "h"] {
        simulcast.add_send_layer(SimulcastLayer::new(rid));
    }
    let mut change = world.clients[device].rtc.sdp_api();
    let mid = change.add_media(
        MediaKind::Video,
        Direction::SendOnly,
        None,
        None,
        Some(simulcast),
    );
    let (offer, pending) = change.apply().unwrap();
    let body = json!({
        "sessionDescription": { "type": "offer", "sdp": offer.to_sdp_string() },
        "tracks": [{ "location": "local", "mid": mid.to_string(), "trackName": "video" }],
    });
    let session = world.clients[device].session;
    let reply = world.call(Call::NewTracks(session, parse(body))).unwrap();
    world.accept(device, pending, &reply);
    world.run(SECOND);
    let (f, h) = (Some(Rid::from("f")), Some(Rid::from("h")));
    let both = |world: &mut World, key| {
        for rid in [f, h] {
            world.frame(device, mid, rid, key);
            world.run(Duration::from_millis(20));
        }
    };
    (0..25).for_each(|index| both(&mut world, index == 0));
    let viewer = world.client(|config| config);
    let mut tracks = world.remote(device);
    tracks[0]["simulcast"] = json!({ "preferredRid": "h" });
    let (reply, accepted) = world.exchange(viewer, tracks.clone());
    assert_eq!(accepted, Ok(json!({})));
    world.run(SECOND);
    (0..25).for_each(|index| both(&mut world, index == 0));
    world.run(SECOND);
    assert_eq!(world.clients[viewer].frames.len(), 25, "one layer of two");

    // The other layer begins with its next key frame, which the server requests.
    let before = world.clients[device].key_frame_requests.len();
    tracks[0]["mid"] = reply["tracks"][0]["mid"].clone();
    tracks[0]["simulcast"] = json!({ "preferredRid": "f" });
    let session = world.clients[viewer].session;
    world
        .call(Call::UpdateTracks(
            session,
            parse(json!({ "tracks": tracks })),
        ))
        .unwrap();
    both(&mut world, false);
    world.run(Duration::from_millis(100));
    let requests = &world.clients[device].key_frame_requests[before..];
    assert!(
        requests.iter().any(|(_, request)| request.rid == f),
        "{requests:?}"
    );
    both(&mut world, true);
    world.run(SECOND);
    let frames = &world.clients[viewer].frames;
    assert_eq!(
        frames.len(),
        27,
        "the last frame of h, then the key frame of f"
    );
    assert!(frames[26].is_keyframe());
    assert_eq!((frames[25].data.len(), frames[26].data.len()), (2000, 3000));
}

#[test]
fn a_closed_track_stops_at_the_viewer_and_the_session_goes_on() {
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
