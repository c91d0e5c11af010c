//! The HTTP API of the media server: encodes a [`MediaCall`] as a request, and decodes the reply as an
//! [`Outcome`].
//!
//! The API is that of [Cloudflare's Realtime SFU](https://developers.cloudflare.com/realtime/sfu/api/).
//! No other module knows its paths, fields and error codes. All paths are below
//! `MEDIA_URL/apps/MEDIA_APP`, and all bodies are JSON:
//!
//! | Call | Request | Body |
//! |---|---|---|
//! | Open | `POST /sessions/new` | – |
//! | Publish | `POST /sessions/:id/tracks/new` | `{"tracks":[{"location":"local","trackName":"audio","kind":"audio"}]}` |
//! | Pull | `POST /sessions/:id/tracks/new` | `{"tracks":[{"location":"remote","sessionId":"…","trackName":"audio"}]}` |
//! | Answer | `PUT /sessions/:id/renegotiate` | `{"sessionDescription":{"type":"answer","sdp":"…"}}` |
//! | Close | `PUT /sessions/:id/tracks/close` | `{"tracks":[{"mid":"0"}],"force":true}` |
//! | Check | `GET /sessions/:id` | – |
//!
//! A track is named after its kind: `audio` or `video`.

mod answer;
mod offer;
mod reply;

use std::fmt;

pub use self::reply::no_reply;

use self::answer::{Answer, read_answer};
use crate::core::event::MAX_FRAME;
use crate::core::live::{MediaCall, Outcome, Tracks};
use crate::dialect::json::{ObjectWriter, array};

/// The maximum size of an SDP, in bytes.
const MAX_SDP: usize = MAX_FRAME;

/// An HTTP request to the media server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaRequest {
    /// The method, such as `POST`.
    pub method: &'static str,
    /// The path below `MEDIA_URL/apps/MEDIA_APP`. It needs no percent-encoding.
    pub path: String,
    /// The body, as JSON text.
    pub body: Option<String>,
    /// The expected reply.
    pub expected: Expected,
}

/// The reply that a request expects, with everything that is needed to decode it. Its text form is kept
/// with the request, because the room may be restarted before the reply arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A new session.
    Session,
    /// An offer of the media server for this session.
    Offer(String),
    /// The acceptance of an answer.
    Acceptance {
        /// The tracks that the answer accepts.
        accepted: Tracks,
        /// The tracks that the answer rejects.
        rejected: Tracks,
    },
    /// The end of tracks.
    End,
    /// The status of tracks.
    Status,
}

/// Encodes a call as an HTTP request.
///
/// # Errors
///
/// [`Outcome::Invalid`] if the call passes on an answer that is no SDP answer.
pub fn request(call: &MediaCall) -> Result<MediaRequest, Outcome> {
    let (method, path, body, expected) = match call {
        MediaCall::Open => ("POST", "/sessions/new".to_owned(), None, Expected::Session),
        MediaCall::Publish { session, tracks } => {
            let local =
                |kind| object(&[("location", "local"), ("trackName", kind), ("kind", kind)]);
            let body = track_list(tracks.kinds().map(local)).end();
            let path = format!("/sessions/{session}/tracks/new");
            (
                "POST",
                path,
                Some(body),
                Expected::Offer(session.to_string()),
            )
        }
        MediaCall::Pull {
            session,
            device,
            tracks,
        } => {
            let remote = |kind| {
                object(&[
                    ("location", "remote"),
                    ("sessionId", device),
                    ("trackName", kind),
                ])
            };
            let body = track_list(tracks.kinds().map(remote)).end();
            let path = format!("/sessions/{session}/tracks/new");
            (
                "POST",
                path,
                Some(body),
                Expected::Offer(session.to_string()),
            )
        }
        MediaCall::Answer { session, payload } => {
            let Answer {
                sdp,
                accepted,
                rejected,
            } = read_answer(session, payload).map_err(Outcome::Invalid)?;
            let description = object(&[("type", "answer"), ("sdp", &sdp)]);
            let body = ObjectWriter::new(description.len())
                .raw("sessionDescription", &description)
                .end();
            let path = format!("/sessions/{session}/renegotiate");
            let expected = Expected::Acceptance { accepted, rejected };
            ("PUT", path, Some(body), expected)
        }
        MediaCall::Close { session, mids } => {
            let tracks = mids.iter().map(|mid| object(&[("mid", mid)]));
            let body = track_list(tracks).boolean("force", true).end();
            let path = format!("/sessions/{session}/tracks/close");
            ("PUT", path, Some(body), Expected::End)
        }
        MediaCall::Check { session } => (
            "GET",
            format!("/sessions/{session}"),
            None,
            Expected::Status,
        ),
    };
    Ok(MediaRequest {
        method,
        path,
        body,
        expected,
    })
}

/// Starts an object with the field `tracks`.
fn track_list(tracks: impl Iterator<Item = String>) -> ObjectWriter {
    ObjectWriter::new(128).raw("tracks", &array(tracks))
}

/// Encodes an object whose values are strings. One function for all calls keeps the Worker small.
#[inline(never)]
fn object(fields: &[(&'static str, &str)]) -> String {
    let writer =
        |writer: ObjectWriter, (key, value): &(&'static str, &str)| writer.string(key, value);
    fields.iter().fold(ObjectWriter::new(0), writer).end()
}

impl Expected {
    /// Reads the text form. Returns `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split(' ');
        let expected = match fields.next()? {
            "session" => Self::Session,
            "offer" => Self::Offer(fields.next()?.to_owned()),
            "acceptance" => Self::Acceptance {
                accepted: Tracks::parse(fields.next()?)?,
                rejected: Tracks::parse(fields.next()?)?,
            },
            "end" => Self::End,
            "status" => Self::Status,
            _ => return None,
        };
        fields.next().is_none().then_some(expected)
    }
}

impl fmt::Display for Expected {
    /// Writes the text form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Session => f.write_str("session"),
            Self::Offer(session) => write!(f, "offer {session}"),
            Self::Acceptance { accepted, rejected } => {
                write!(f, "acceptance {accepted} {rejected}")
            }
            Self::End => f.write_str("end"),
            Self::Status => f.write_str("status"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const AUDIO: Tracks = Tracks {
        audio: true,
        video: false,
    };
    const VIDEO: Tracks = Tracks {
        audio: false,
        video: true,
    };

    /// Encodes a call, and returns the request as `method path body`.
    fn encoded(call: &MediaCall) -> (String, Value) {
        let request = request(call).unwrap();
        let body = request
            .body
            .map(|body| serde_json::from_str(&body).unwrap());
        let line = format!("{} {}", request.method, request.path);
        (line, body.unwrap_or_default())
    }

    #[test]
    fn each_call_is_the_documented_request() {
        for (call, line, body) in [
            (MediaCall::Open, "POST /sessions/new", Value::Null),
            (
                MediaCall::Publish {
                    session: "s1".into(),
                    tracks: Tracks::ALL,
                },
                "POST /sessions/s1/tracks/new",
                json!({ "tracks": [
                    { "location": "local", "trackName": "audio", "kind": "audio" },
                    { "location": "local", "trackName": "video", "kind": "video" },
                ] }),
            ),
            (
                MediaCall::Pull {
                    session: "s2".into(),
                    device: "s1".into(),
                    tracks: VIDEO,
                },
                "POST /sessions/s2/tracks/new",
                json!({ "tracks": [
                    { "location": "remote", "sessionId": "s1", "trackName": "video" },
                ] }),
            ),
            (
                MediaCall::Answer {
                    session: "s2".into(),
                    payload: r#"{"type":"answer","sdp":"v=0\r\n\"","session":"s2"}"#.into(),
                },
                "PUT /sessions/s2/renegotiate",
                json!({ "sessionDescription": { "type": "answer", "sdp": "v=0\r\n\"" } }),
            ),
            (
                MediaCall::Close {
                    session: "s2".into(),
                    mids: vec!["0".into(), "1".into()],
                },
                "PUT /sessions/s2/tracks/close",
                json!({ "tracks": [{ "mid": "0" }, { "mid": "1" }], "force": true }),
            ),
            (
                MediaCall::Check {
                    session: "s1".into(),
                },
                "GET /sessions/s1",
                Value::Null,
            ),
        ] {
            assert_eq!(encoded(&call), (line.to_owned(), body));
        }
    }

    #[test]
    fn an_answer_that_is_no_sdp_is_refused_without_a_request() {
        let call = MediaCall::Answer {
            session: "s".into(),
            payload: "7".into(),
        };
        assert!(matches!(request(&call), Err(Outcome::Invalid(_))));
    }

    #[test]
    fn the_expected_reply_is_read_from_its_text() {
        let accepts = |accepted, rejected| Expected::Acceptance { accepted, rejected };
        for expected in [
            Expected::Session,
            Expected::Offer("s~1".into()),
            accepts(Tracks::ALL, Tracks::default()),
            accepts(AUDIO, VIDEO),
            Expected::End,
            Expected::Status,
        ] {
            let text = expected.to_string();
            assert_eq!(Expected::parse(&text), Some(expected), "{text}");
            assert_eq!(Expected::parse(&format!("{text} x")), None, "{text}");
        }
        for text in [
            "",
            "offer",
            "acceptance audio",
            "acceptance data video",
            "x",
        ] {
            assert_eq!(Expected::parse(text), None, "{text}");
        }
    }
}
