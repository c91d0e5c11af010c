//! The bodies of requests about live sessions, and of the answers.

use std::borrow::Cow;

use super::{LiveSettings, stop_key};
use crate::core::live::{LiveStatus, Tracks};
use crate::core::peer::{PeerId, Time};
use crate::core::refusal::Refusal;
use crate::dialect::json::{Object, ObjectWriter, list, unquote};
use crate::edge::admission::{mint_token, mint_viewer_token};
use crate::edge::body::{deny_unknown, malformed, required};
use crate::edge::quote::shorten;
use crate::edge::route::{HttpError, bad_id, check_room_name};

/// The default of `expiresIn`, in seconds: four hours.
const DEFAULT_EXPIRES_IN: u64 = 4 * 60 * 60;
/// The maximum of `expiresIn`, in seconds: one day.
const MAX_EXPIRES_IN: u64 = 24 * 60 * 60;

/// A session that the back end asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSession {
    /// The name of the session, which is also the name of its room.
    pub session: String,
    /// The id of the device.
    pub device: PeerId,
    /// The tracks for which the device is asked.
    pub tracks: Tracks,
    /// The time at which the session ends, a whole second.
    pub expires_at: Time,
    /// The server that notifies the device. `None`: the device is not notified.
    pub notify: Option<String>,
}

impl NewSession {
    /// Reads the body of `POST /create-session`. `random` names the session if the body does not.
    ///
    /// # Errors
    ///
    /// 400: `malformed`, `bad-room` for an invalid `sessionId`, or `bad-id` for an invalid `deviceId`
    pub fn read(body: &str, now: Time, random: u128) -> Result<Self, HttpError> {
        let mut body = Object::read(body).map_err(malformed)?;
        let device = required(&mut body, "deviceId")?;
        let device = PeerId::parse(&device).ok_or_else(|| bad_id(&device))?;
        let session = body.take_string("sessionId").map_err(malformed)?;
        let session = match session {
            Some(session) => session.into_owned(),
            None => PeerId::random(random).to_string(),
        };
        check_room_name(&session)?;
        let notify = body.take_string("notify").map_err(malformed)?;
        let tracks = body.take("tracks").map_or(Ok(Tracks::ALL), read_tracks)?;
        let expires_in = body.take("expiresIn");
        let expires_in = expires_in.map_or(Ok(DEFAULT_EXPIRES_IN), read_expires_in)?;
        let known = "`deviceId`, `sessionId`, `notify`, `tracks` or `expiresIn`";
        deny_unknown(body, known)?;
        Ok(Self {
            session,
            device,
            tracks,
            expires_at: Time::from_seconds(now.to_seconds().saturating_add(expires_in)),
            notify: notify.map(Cow::into_owned),
        })
    }

    /// Returns the body of the answer. `secret` is `ROOM_SECRET`, and signs the tokens of the device
    /// and the viewers. Without it, joins need no token.
    #[must_use]
    pub fn answer(&self, live: &LiveSettings, secret: Option<&str>, notified: bool) -> String {
        let (session, device, exp) = (&self.session, &self.device, self.expires_at);
        let device_token = secret.and_then(|secret| mint_token(secret, session, device, exp));
        let viewer_token =
            secret.and_then(|secret| mint_viewer_token(secret, session, device, exp));
        let stop_key = live
            .key
            .as_deref()
            .and_then(|key| stop_key(key, &self.session));
        ObjectWriter::new(1024)
            .string("sessionId", &self.session)
            .string("deviceId", self.device.as_str())
            .boolean("notified", notified)
            .raw("socket", &self.socket())
            .optional_string("stopKey", stop_key.as_deref())
            .optional_string("deviceToken", device_token.as_deref())
            .optional_string("viewerToken", viewer_token.as_deref())
            .raw("expiresAt", &self.expires_at.to_seconds().to_string())
            .end()
    }

    /// Returns the body of the notification. `secret` is `ROOM_SECRET`.
    pub(super) fn notification(&self, secret: Option<&str>) -> String {
        let mint = |secret| mint_token(secret, &self.session, &self.device, self.expires_at);
        let token = secret.and_then(mint);
        ObjectWriter::new(512)
            .string("sessionId", &self.session)
            .string("deviceId", self.device.as_str())
            .raw("socket", &self.socket())
            .optional_string("token", token.as_deref())
            .raw("expiresAt", &self.expires_at.to_seconds().to_string())
            .end()
    }

    /// Returns the options with which a socket.io client connects to the session.
    fn socket(&self) -> String {
        let query = ObjectWriter::new(0).string("room", &self.session).end();
        ObjectWriter::new(query.len())
            .string("path", "/socket.io/")
            .raw("query", &query)
            .end()
    }
}

/// A request to stop a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopRequest {
    /// The name of the session.
    pub session: String,
    /// The key that stops this session.
    pub stop_key: Option<String>,
}

impl StopRequest {
    /// Reads the body of `POST /live/stop`.
    ///
    /// # Errors
    ///
    /// 400: `malformed`, or `bad-room` for an invalid `sessionId`
    pub fn read(body: &str) -> Result<Self, HttpError> {
        let mut body = Object::read(body).map_err(malformed)?;
        let session = required(&mut body, "sessionId")?.into_owned();
        check_room_name(&session)?;
        let stop_key = body.take_string("stopKey").map_err(malformed)?;
        deny_unknown(body, "`sessionId` or `stopKey`")?;
        Ok(Self {
            session,
            stop_key: stop_key.map(Cow::into_owned),
        })
    }
}

/// Returns the body of the answer to `GET /live/:sessionId`.
#[must_use]
pub fn status(session: &str, status: &LiveStatus) -> String {
    ObjectWriter::new(session.len())
        .string("sessionId", session)
        .string("device", status.state)
        .raw("viewers", &status.viewers.to_string())
        .end()
}

fn read_tracks(value: &str) -> Result<Tracks, HttpError> {
    let kinds = list(value).map_err(malformed)?;
    let kinds = kinds.into_iter().map(unquote).collect::<Option<Vec<_>>>();
    let tracks = kinds.and_then(|kinds| Tracks::from_kinds(kinds.iter().map(AsRef::as_ref)));
    let tracks = tracks.filter(|tracks| !tracks.is_empty());
    tracks.ok_or_else(|| {
        let value = shorten(value);
        let message = format!(
            "`tracks` is {value}: expected a list of \"audio\", \"video\" or both. Omit `tracks` for both"
        );
        HttpError::refused(Refusal::malformed(message))
    })
}

fn read_expires_in(value: &str) -> Result<u64, HttpError> {
    let seconds = value.parse().ok();
    let seconds = seconds.filter(|seconds| (1..=MAX_EXPIRES_IN).contains(seconds));
    seconds.ok_or_else(|| {
        let value = shorten(value);
        let message = format!(
            "`expiresIn` is {value}: expected a whole number of seconds from 1 to {MAX_EXPIRES_IN}. \
             Omit `expiresIn` for four hours"
        );
        HttpError::refused(Refusal::malformed(message))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NOW: Time = Time(1_000_000_999);

    fn read(body: &Value) -> Result<NewSession, HttpError> {
        NewSession::read(&body.to_string(), NOW, 7)
    }

    #[test]
    fn a_device_alone_makes_a_session() {
        let session = NewSession {
            session: format!("{:032x}", 7),
            device: PeerId::parse("camera").unwrap(),
            tracks: Tracks::ALL,
            expires_at: Time(1_014_400_000),
            notify: None,
        };
        assert_eq!(read(&json!({ "deviceId": "camera" })), Ok(session));
    }

    #[test]
    fn all_fields_are_read() {
        let session = read(&json!({
            "deviceId": "camera",
            "sessionId": "a b",
            "notify": "https://push.example",
            "tracks": ["video"],
            "expiresIn": 86_400,
        }));
        let expected = NewSession {
            session: "a b".into(),
            device: PeerId::parse("camera").unwrap(),
            tracks: Tracks {
                audio: false,
                video: true,
            },
            expires_at: Time(1_086_400_000),
            notify: Some("https://push.example".into()),
        };
        assert_eq!(session, Ok(expected));
    }

    #[test]
    fn an_invalid_body_is_refused_with_the_reason() {
        let with = |key: &str, value: Value| {
            let mut body = json!({ "deviceId": "camera" });
            body[key] = value;
            body
        };
        for (body, code, reason) in [
            (json!(7), "malformed", "a JSON object"),
            (json!({}), "malformed", "missing field `deviceId`"),
            (with("deviceId", json!(7)), "malformed", "`deviceId` is `7`"),
            (with("deviceId", json!("~live")), "bad-id", "\"~live\""),
            (with("sessionId", json!("")), "bad-room", "is empty"),
            (
                with("sessionId", json!("a\n")),
                "bad-room",
                "control character",
            ),
            (
                with("sessionId", json!("x".repeat(129))),
                "bad-room",
                "129 bytes",
            ),
            (
                with("sessionId", json!(null)),
                "malformed",
                "`sessionId` is `null`",
            ),
            (with("notify", json!(7)), "malformed", "`notify`"),
            (with("tracks", json!("video")), "malformed", "a JSON array"),
            (with("tracks", json!([])), "malformed", "`tracks` is"),
            (with("tracks", json!([""])), "malformed", "`tracks` is"),
            (
                with("tracks", json!(["screen"])),
                "malformed",
                "`tracks` is",
            ),
            (with("tracks", json!([7])), "malformed", "`tracks` is"),
            (with("expiresIn", json!(0)), "malformed", "from 1 to 86400"),
            (
                with("expiresIn", json!(86_401)),
                "malformed",
                "from 1 to 86400",
            ),
            (
                with("expiresIn", json!(1.5)),
                "malformed",
                "from 1 to 86400",
            ),
            (
                with("expiresIn", json!("60")),
                "malformed",
                "from 1 to 86400",
            ),
            (
                with("whip", json!(true)),
                "malformed",
                "unknown field `whip`",
            ),
        ] {
            let error = read(&body).unwrap_err();
            assert_eq!((error.status, error.code), (400, code), "{body}");
            assert!(error.message.contains(reason), "{body}: {}", error.message);
        }
    }

    #[test]
    fn the_answer_has_tokens_and_a_stop_key_only_with_their_secrets() {
        let session = read(&json!({ "deviceId": "camera", "sessionId": "a\"b" })).unwrap();
        let answer = |key: Option<&str>, secret| {
            let live = LiveSettings {
                key: key.map(str::to_owned),
                ..LiveSettings::default()
            };
            let answer = session.answer(&live, secret, true);
            serde_json::from_str::<Value>(&answer).unwrap()
        };
        let plain = json!({
            "sessionId": "a\"b",
            "deviceId": "camera",
            "notified": true,
            "socket": { "path": "/socket.io/", "query": { "room": "a\"b" } },
            "expiresAt": 1_014_400,
        });
        assert_eq!(answer(None, None), plain);
        let full = answer(Some("key"), Some("secret"));
        let expected = mint_token("secret", "a\"b", &session.device, session.expires_at);
        assert_eq!(full["deviceToken"], json!(expected));
        assert_eq!(
            full["viewerToken"],
            json!(mint_viewer_token(
                "secret",
                "a\"b",
                &session.device,
                session.expires_at
            ))
        );
        assert_eq!(full["stopKey"], json!(stop_key("key", "a\"b")));
    }

    #[test]
    fn a_request_to_stop_names_the_session() {
        let read = |body: Value| StopRequest::read(&body.to_string());
        let stop = read(json!({ "sessionId": "demo", "stopKey": "k" })).unwrap();
        assert_eq!(
            (stop.session.as_str(), stop.stop_key.as_deref()),
            ("demo", Some("k"))
        );
        for body in [
            json!({}),
            json!({ "sessionId": "" }),
            json!({ "sessionId": "demo", "stopKey": null }),
            json!({ "sessionId": "demo", "force": true }),
        ] {
            assert_eq!(read(body).unwrap_err().status, 400);
        }
    }

    #[test]
    fn the_status_is_json() {
        let live = LiveStatus {
            state: "waiting",
            viewers: 2,
            is_new: false,
        };
        assert_eq!(
            status("demo", &live),
            r#"{"sessionId":"demo","device":"waiting","viewers":2}"#
        );
    }
}
