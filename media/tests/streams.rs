//! Media from devices to viewers: key frames, losses, codecs, layers, changes of the source.

use std::time::Duration;

use partyline_media::calls::Call;
use serde_json::json;
use str0m::format::Codec;
use str0m::media::{
    Direction, KeyframeRequestKind, MediaKind, Mid, Rid, Simulcast, SimulcastLayer,
};

use crate::world::{SECOND, World, parse};

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
fn a_viewer_that_cannot_decode_the_codec_receives_an_error_and_others_are_not_affected() {
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
fn a_viewer_changes_to_another_device_without_sdp_and_its_media_time_continues() {
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
