//! The HTTP API of the running program, held to a hand-written schema of Cloudflare's API. The
//! schema is from the OpenAPI file `realtime-api-2024-05-21.yaml`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use str0m::RtcConfig;
use str0m::change::SdpOffer;
use str0m::crypto::from_feature_flags;
use str0m::media::{Direction, MediaKind};

use crate::program::{Program, SECRET, check};

fn error() -> Value {
    json!({ "errorCode": "string", "errorDescription": "string" })
}

fn description(kind: &str) -> Value {
    json!({ "type": kind, "sdp": "string" })
}

/// An endpoint that makes SDP but never connects.
fn endpoint() -> str0m::Rtc {
    RtcConfig::new()
        .set_crypto_provider(Arc::new(from_feature_flags()))
        .build(Instant::now())
}

fn offer(kind: MediaKind, direction: Direction) -> (String, String) {
    let mut rtc = endpoint();
    let mut change = rtc.sdp_api();
    let mid = change.add_media(kind, direction, None, None, None);
    (change.apply().unwrap().0.to_sdp_string(), mid.to_string())
}

#[test]
fn the_secret_the_app_and_the_route_are_checked() {
    let program = Program::start(&["--app", "other-app"]);
    let new = "/v1/apps/other-app/sessions/new";
    for (secret, path, status, code) in [
        ("wrong", new, 401, "unauthorized"),
        ("", new, 401, "unauthorized"),
        ("secret2", new, 401, "unauthorized"),
        (SECRET, "/v1/apps/partyline/sessions/new", 404, "not_found"),
        (SECRET, "/v1/apps/other-app/sessions", 404, "not_found"),
        (SECRET, "/", 404, "not_found"),
    ] {
        let (actual, body) = program.request("POST", path, secret, "");
        assert_eq!(
            (actual, &body["errorCode"]),
            (status, &json!(code)),
            "{secret} {path}"
        );
        check(&body, &error());
    }
    let wrong_method = program.request("DELETE", new, SECRET, "");
    assert_eq!(wrong_method.0, 404);
    assert_eq!(program.request("POST", new, SECRET, "").0, 201);
    let bare = program
        .raw(format!("POST {new} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes());
    assert!(bare.starts_with("HTTP/1.1 401"), "{bare}");
}

#[test]
fn without_a_secret_programs_may_call_and_web_pages_may_not() {
    let program = Program::with_secret("", &[]);
    let new = "/v1/apps/partyline/sessions/new";
    assert_eq!(program.request("POST", new, "", "").0, 201);
    let page = format!(
        "POST {new} HTTP/1.1\r\nhost: 127.0.0.1\r\norigin: https://evil.example\r\n\
         connection: close\r\ncontent-length: 0\r\n\r\n"
    );
    let reply = program.raw(page.as_bytes());
    assert!(reply.starts_with("HTTP/1.1 401"), "{reply}");
}

#[test]
fn the_server_offers_for_publishing_and_the_replies_have_the_documented_fields() {
    let program = Program::start(&[]);
    let id = program.open();
    let path = |rest: &str| format!("/sessions/{id}{rest}");
    let track = json!({ "location": "local", "trackName": "cam", "kind": "video", "unknown": [1] });
    let (status, reply) = program.call("POST", &path("/tracks/new"), json!({ "tracks": [track] }));
    assert_eq!(
        (status, &reply["requiresImmediateRenegotiation"]),
        (200, &json!(true))
    );
    check(
        &reply,
        &json!({
            "requiresImmediateRenegotiation": true,
            "sessionDescription": description("offer"),
            "tracks": [{ "mid": "string", "trackName": "string" }],
        }),
    );
    let sdp = reply["sessionDescription"]["sdp"].as_str().unwrap();
    assert!(
        sdp.contains("a=ice-lite") && sdp.contains(" 127.0.0.1 "),
        "{sdp}"
    );
    assert!(sdp.contains("a=recvonly"), "{sdp}");
    let offer = SdpOffer::from_sdp_string(sdp).unwrap();
    let answer = endpoint()
        .sdp_api()
        .accept_offer(offer)
        .unwrap()
        .to_sdp_string();
    let body = json!({ "sessionDescription": { "type": "answer", "sdp": answer } });
    assert_eq!(
        program.call("PUT", &path("/renegotiate"), body.clone()),
        (200, json!({}))
    );
    let (status, again) = program.call("PUT", &path("/renegotiate"), body);
    assert_eq!(
        (status, &again["errorCode"]),
        (406, &json!("invalid_session_description"))
    );

    let (status, state) = program.call("GET", &path(""), Value::Null);
    assert_eq!(status, 200);
    let published = json!({
        "location": "local", "mid": "string", "trackName": "cam", "status": "active|inactive",
    });
    check(
        &state,
        &json!({ "tracks": [published], "dataChannels": [{}] }),
    );
    assert_eq!(state["tracks"].as_array().unwrap().len(), 1);

    let mid = &state["tracks"][0]["mid"];
    let close = json!({ "tracks": [{ "mid": mid }, { "mid": "none" }], "force": true });
    let (status, closed) = program.call("PUT", &path("/tracks/close"), close);
    assert_eq!(status, 200);
    check(
        &closed,
        &json!({
            "requiresImmediateRenegotiation": false,
            "tracks": [{
                "mid": "string",
                "errorCode?": "close_track_error",
                "errorDescription?": "string",
            }],
        }),
    );
    assert!(closed["tracks"][0].get("errorCode").is_none());
    assert!(closed["tracks"][1].get("errorCode").is_some());
    assert_eq!(
        program.call("GET", &path(""), Value::Null).0,
        200,
        "the session continues"
    );
}

#[test]
fn the_client_offers_for_publishing() {
    let program = Program::start(&[]);
    for named in [true, false] {
        let id = program.open();
        let (sdp, mid) = offer(MediaKind::Audio, Direction::SendOnly);
        let mut body = json!({ "sessionDescription": { "type": "offer", "sdp": sdp } });
        if named {
            body["tracks"] = json!([{ "location": "local", "mid": mid, "trackName": "mic" }]);
        } else {
            body["autoDiscover"] = json!(true);
        }
        let (status, reply) = program.call("POST", &format!("/sessions/{id}/tracks/new"), body);
        assert_eq!(status, 200, "{reply}");
        check(
            &reply,
            &json!({
                "requiresImmediateRenegotiation": false,
                "sessionDescription": description("answer"),
                "tracks": [{ "mid": mid, "trackName": "string" }],
            }),
        );
        assert_eq!(reply["tracks"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn errors_of_tracks_are_inside_of_a_200() {
    let program = Program::start(&[]);
    let (device, viewer) = (program.open(), program.open());
    let remote = json!({ "location": "remote", "sessionId": device, "trackName": "cam" });
    let path = format!("/sessions/{viewer}/tracks/new");
    let failed = |code: &str| {
        json!({
            "requiresImmediateRenegotiation": false,
            "tracks": [{
                "sessionId": "string", "trackName": "string",
                "errorCode": code, "errorDescription": "string",
            }],
        })
    };
    let (status, reply) = program.call("POST", &path, json!({ "tracks": [remote] }));
    assert_eq!(status, 200);
    check(&reply, &failed("not_found_track_error"));

    // A publisher that has sent no media. The server waits five seconds for it.
    let (sdp, mid) = offer(MediaKind::Video, Direction::SendOnly);
    let body = json!({
        "sessionDescription": { "type": "offer", "sdp": sdp },
        "tracks": [{ "location": "local", "mid": mid, "trackName": "cam" }],
    });
    let published = program.call("POST", &format!("/sessions/{device}/tracks/new"), body);
    assert_eq!(published.0, 200);
    let (status, reply) = program.call("POST", &path, json!({ "tracks": [remote] }));
    assert_eq!(status, 200);
    check(&reply, &failed("empty_track_error"));

    let update = json!({ "tracks": [{ "location": "remote", "mid": "7" }] });
    let (status, reply) = program.call("PUT", &format!("/sessions/{viewer}/tracks/update"), update);
    assert_eq!(
        (status, &reply["tracks"][0]["errorCode"]),
        (200, &json!("update_track_error"))
    );
}

#[test]
fn bodies_and_session_ids_are_checked() {
    let program = Program::start(&[]);
    let id = program.open();
    let path = format!("/sessions/{id}/tracks/new");
    for (path, body, status, code) in [
        (path.as_str(), json!("no object"), 400, "decoding_error"),
        (
            &path,
            json!({ "tracks": [{ "location": "nowhere" }] }),
            400,
            "decoding_error",
        ),
        (
            &path,
            json!({ "tracks": [{ "trackName": "cam" }] }),
            406,
            "invalid_params",
        ),
        (&path, json!({}), 406, "invalid_params"),
        (
            "/sessions/nonsense/tracks/new",
            json!({}),
            410,
            "session_error",
        ),
        (
            "/sessions/0123456789abcdef0123456789abcdef/tracks/new",
            json!({}),
            410,
            "session_error",
        ),
        (
            &format!("/sessions/{id}/datachannels/new"),
            json!({}),
            501,
            "not_implemented_error",
        ),
        (
            "/adapters/websocket/new",
            json!({}),
            501,
            "not_implemented_error",
        ),
    ] {
        let (actual, reply) = program.call("POST", path, body);
        assert_eq!(
            (actual, &reply["errorCode"]),
            (status, &json!(code)),
            "{path} {reply}"
        );
        check(&reply, &error());
    }
    let offer = json!({
        "autoDiscover": true,
        "sessionDescription": { "type": "offer", "sdp": "nonsense" },
    });
    let (status, reply) = program.call("POST", &path, offer);
    assert_eq!(
        (status, &reply["errorCode"]),
        (406, &json!("invalid_session_description"))
    );
    let large = json!({ "tracks": [], "filler": "x".repeat(256 * 1024) });
    let (status, reply) = program.call("POST", &path, large);
    assert_eq!(
        (status, &reply["errorCode"]),
        (413, &json!("payload_too_large"))
    );
}

#[test]
fn a_request_that_does_not_arrive_is_given_up() {
    let program = Program::start(&[]);
    let id = program.open();
    let body = format!(
        "POST /v1/apps/partyline/sessions/{id}/tracks/new HTTP/1.1\r\nhost: x\r\n\
         authorization: Bearer {SECRET}\r\ncontent-length: 10\r\n\r\n{{"
    );
    std::thread::scope(|scope| {
        let silent = scope.spawn(|| program.raw(b""));
        let no_end = scope.spawn(|| program.raw(b"POST /v1 HTTP/1.1\r\nhost: x\r\n"));
        let reply = program.raw(body.as_bytes());
        assert!(
            reply.starts_with("HTTP/1.1 400") && reply.contains("decoding_error"),
            "{reply}"
        );
        assert_eq!(silent.join().unwrap(), "");
        let reply = no_end.join().unwrap();
        assert!(
            reply.is_empty() || reply.starts_with("HTTP/1.1 408"),
            "{reply}"
        );
    });
}

#[test]
fn health_needs_no_secret_and_sessions_expire() {
    let program = Program::start(&["--unused", "0.1"]);
    let health = || program.request("GET", "/health", "", "");
    assert_eq!(
        health(),
        (
            200,
            json!({
                "sessions": 0, "connected": 0, "tracks": 0, "subscriptions": 0,
                "framesForwarded": 0, "panics": 0,
            })
        )
    );
    let id = program.open();
    let end = Instant::now() + Duration::from_secs(10);
    while health().1["sessions"] != 0 {
        assert!(Instant::now() < end, "the session never expired");
        std::thread::sleep(Duration::from_millis(20));
    }
    let (status, reply) = program.call("GET", &format!("/sessions/{id}"), Value::Null);
    assert_eq!(
        (status, &reply["errorCode"]),
        (410, &json!("session_error"))
    );
}
