//! The HTTP API of the running program, held to a hand-written schema of Cloudflare's API. The schema
//! is from the OpenAPI file `realtime-api-2024-05-21.yaml`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use str0m::RtcConfig;
use str0m::change::SdpOffer;
use str0m::crypto::from_feature_flags;
use str0m::media::{Direction, MediaKind};

const SECRET: &str = "secret";

/// A running program on free ports.
struct Program {
    child: Child,
    http: SocketAddr,
}

impl Program {
    fn start(options: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_partyline-media"))
            .args(["--listen", "127.0.0.1:0", "--udp", "127.0.0.1:0"])
            .args(options)
            .env("MEDIA_SECRET", SECRET)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        log.read_line(&mut line).unwrap();
        let entry: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
        assert_eq!(entry["message"], "listening");
        // The pipe must be read, or the program would block.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self {
            child,
            http: entry["http"].as_str().unwrap().parse().unwrap(),
        }
    }

    /// Sends bytes, and returns what the program sends until it closes the connection.
    fn raw(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.http).unwrap();
        let patience = Some(Duration::from_secs(14));
        stream.set_read_timeout(patience).unwrap();
        // The program may answer and close before it has read everything.
        let _ = stream.write_all(request);
        let mut reply = Vec::new();
        let end = stream.read_to_end(&mut reply);
        let timeout = end.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!timeout, "the program did not close the connection");
        String::from_utf8(reply).unwrap()
    }

    fn request(&self, method: &str, path: &str, secret: &str, body: &str) -> (u16, Value) {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: media\r\nauthorization: Bearer {secret}\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        let reply = self.raw(request.as_bytes());
        let (head, body) = reply
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("{reply:?}"));
        assert!(
            head.to_lowercase()
                .contains("content-type: application/json"),
            "{head}"
        );
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (
            status,
            serde_json::from_str(body).unwrap_or_else(|_| panic!("{body}")),
        )
    }

    fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.request(
            method,
            &format!("/v1/apps/partyline{path}"),
            SECRET,
            &body.to_string(),
        )
    }

    fn open(&self) -> String {
        let (status, body) = self.call("POST", "/sessions/new?correlationId=x", Value::Null);
        assert_eq!(status, 201);
        check(&body, &json!({ "sessionId": "string" }));
        body["sessionId"].as_str().unwrap().to_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Checks that a value has the fields of a schema and no others. A name that ends with `?` is optional.
fn check(value: &Value, schema: &Value) {
    match schema {
        Value::Object(fields) => {
            let object = value
                .as_object()
                .unwrap_or_else(|| panic!("{value} is no object"));
            for name in object.keys() {
                let known = fields.contains_key(name) || fields.contains_key(&format!("{name}?"));
                assert!(known, "unknown field {name} in {value}");
            }
            for (name, schema) in fields {
                let (name, optional) = match name.strip_suffix('?') {
                    Some(name) => (name, true),
                    None => (name.as_str(), false),
                };
                match object.get(name) {
                    Some(value) => check(value, schema),
                    None => assert!(optional, "no field {name} in {value}"),
                }
            }
        }
        Value::Array(items) => {
            let array = value
                .as_array()
                .unwrap_or_else(|| panic!("{value} is no array"));
            array.iter().for_each(|value| check(value, &items[0]));
        }
        Value::String(kind) => assert!(
            match kind.as_str() {
                "string" => value.is_string(),
                "boolean" => value.is_boolean(),
                one => one.split('|').any(|text| value == text),
            },
            "{value} is no {kind}"
        ),
        other => assert_eq!(value, other),
    }
}

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
            "tracks": [{ "mid": "string", "errorCode?": "close_track_error", "errorDescription?": "string" }],
        }),
    );
    assert!(closed["tracks"][0].get("errorCode").is_none());
    assert!(closed["tracks"][1].get("errorCode").is_some());
    assert_eq!(
        program.call("GET", &path(""), Value::Null).0,
        200,
        "the session goes on"
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
