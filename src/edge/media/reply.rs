//! Decodes the replies of the media server.
//!
//! An error is `{"errorCode":"…","errorDescription":"…"}`. A reply of status 200 may contain the same
//! two fields for each track. Unknown fields are ignored.

use super::Expected;
use super::offer::{is_id, is_too_early, offer, tracks};
use crate::core::live::{MediaSession, Outcome};
use crate::dialect::json::{Object, quote, unquote};
use crate::edge::quote::shorten;

/// The maximum length of a session id of the media server. The room stores the id.
const MAX_SESSION: usize = 128;

impl Expected {
    /// Decodes the reply to a request.
    #[must_use]
    pub fn outcome(&self, status: u16, body: &str) -> Outcome {
        let mut reply = Object::read(body).ok();
        let mut text = |key| {
            let value = reply.as_mut()?.take_string(key).ok()??;
            Some(value.into_owned())
        };
        let (code, description) = (text("errorCode"), text("errorDescription"));
        match reply {
            Some(reply) if matches!(status, 200 | 201) && code.is_none() => {
                self.success(reply).unwrap_or_else(unreadable)
            }
            None if matches!(status, 200 | 201) => unreadable("a JSON object"),
            _ => self.failure(status, code.as_deref(), description.as_deref()),
        }
    }

    /// Decodes a reply without an error code. Returns the name of the missing part if the reply is
    /// incomplete.
    fn success(&self, mut reply: Object<'_>) -> Result<Outcome, &'static str> {
        match self {
            Self::Session => {
                let session = reply.take("sessionId").and_then(unquote);
                let session = session.filter(|session| is_id(session, MAX_SESSION));
                let session = session.ok_or("a valid `sessionId`")?;
                Ok(Outcome::Opened(MediaSession::from(session)))
            }
            Self::Offer(session) => offer(session, reply),
            Self::Acceptance { accepted, rejected } => Ok(Outcome::Answered {
                accepted: *accepted,
                rejected: *rejected,
            }),
            // A track that cannot be closed is closed already.
            Self::End => Ok(Outcome::Closed),
            Self::Status => {
                let tracks = tracks(&mut reply)?;
                let is_active = |mut track: Object<'_>| track.take("status") == Some(r#""active""#);
                let is_active = tracks.into_iter().any(is_active);
                Ok(Outcome::Seen { is_active })
            }
        }
    }

    /// Decodes an error.
    fn failure(&self, status: u16, code: Option<&str>, description: Option<&str>) -> Outcome {
        match (status, code) {
            (410, _) | (404, Some("session_error")) => match self {
                // The session has ended, and its tracks with it.
                Self::End => Outcome::Closed,
                _ => Outcome::Gone,
            },
            (425, _) => Outcome::NotReady,
            (_, Some(code)) if is_too_early(code) => Outcome::NotReady,
            (_, Some("close_track_error")) if *self == Self::End => Outcome::Closed,
            (401 | 403 | 404, _) | (_, Some("unauthorized" | "not_found")) => {
                let problem = describe(status, code);
                Outcome::Unavailable(format!(
                    "the media server refused the request with {problem}: expected an app that \
                     exists, and its secret. Check MEDIA_URL, MEDIA_APP and MEDIA_SECRET"
                ))
            }
            (400 | 406 | 413 | 422, _) if matches!(self, Self::Acceptance { .. }) => {
                let reason = shorten(description.unwrap_or("invalid SDP"));
                Outcome::Invalid(format!(
                    "the media server refused the answer, {reason}: expected the SDP answer to its \
                     last offer. Create the answer from that offer"
                ))
            }
            _ => {
                // The description may quote an SDP, which the log must not contain.
                let problem = describe(status, code);
                Outcome::Unavailable(format!(
                    "the media server replied with {problem}, expected status 200 or 201. If this \
                     continues, check the media server"
                ))
            }
        }
    }
}

fn describe(status: u16, code: Option<&str>) -> String {
    match code {
        Some(code) => format!("status {status} and the error {}", shorten(code)),
        None => format!("status {status}"),
    }
}

fn unreadable(expected: &str) -> Outcome {
    Outcome::Unavailable(format!(
        "the reply of the media server is unreadable: expected {expected}. Check that MEDIA_URL is the \
         URL of the media server"
    ))
}

/// Returns the outcome of a call that got no reply. `cause` is for the log.
#[must_use]
pub fn no_reply(cause: &str) -> Outcome {
    let cause = quote(cause);
    Outcome::Unavailable(format!(
        "the request to the media server failed, {cause}: expected a reply within 10 s. Check that the \
         media server runs, and MEDIA_URL"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::MAX_SDP;
    use super::*;
    use crate::core::live::Tracks;
    use serde_json::{Value, json};

    const ACCEPTANCE: Expected = Expected::Acceptance {
        accepted: Tracks::ALL,
        rejected: Tracks {
            audio: false,
            video: false,
        },
    };

    fn offer() -> Expected {
        Expected::Offer("s1".into())
    }

    fn outcome(expected: &Expected, status: u16, body: &Value) -> Outcome {
        expected.outcome(status, &body.to_string())
    }

    fn error(code: &str) -> Value {
        json!({ "errorCode": code, "errorDescription": "why: m=video 9", "later": 7 })
    }

    /// Returns the message of an unavailable media server.
    fn unavailable(expected: &Expected, status: u16, body: &Value) -> String {
        match outcome(expected, status, body) {
            Outcome::Unavailable(message) => message,
            other => panic!("{status} {body}: {other:?}"),
        }
    }

    #[test]
    fn a_successful_reply_is_decoded_and_unknown_fields_are_ignored() {
        let offered = json!({
            "requiresImmediateRenegotiation": true,
            "sessionDescription": { "type": "offer", "sdp": "v=0\r\n\"", "later": 1 },
            "tracks": [{ "mid": "0", "trackName": "audio" }, { "mid": "1", "later": {} }],
            "later": [],
        });
        let status = |tracks| json!({ "tracks": tracks, "dataChannels": [] });
        let seen = |is_active| Outcome::Seen { is_active };
        for (expected, code, body, decoded) in [
            (
                Expected::Session,
                201,
                json!({ "sessionId": "a.B_c~9-", "later": 7 }),
                Outcome::Opened("a.B_c~9-".into()),
            ),
            (
                offer(),
                200,
                offered,
                Outcome::Offered {
                    payload: r#"{"type":"offer","sdp":"v=0\r\n\"","session":"s1"}"#.into(),
                    mids: vec!["0".into(), "1".into()],
                },
            ),
            (
                ACCEPTANCE,
                200,
                json!({}),
                Outcome::Answered {
                    accepted: Tracks::ALL,
                    rejected: Tracks::default(),
                },
            ),
            (
                Expected::End,
                200,
                json!({ "tracks": [error("close_track_error")] }),
                Outcome::Closed,
            ),
            (Expected::Status, 200, status(json!([])), seen(false)),
            (
                Expected::Status,
                200,
                status(json!([{ "status": "inactive" }, { "status": "active" }])),
                seen(true),
            ),
            (
                Expected::Status,
                200,
                status(json!([{ "status": "inactive" }])),
                seen(false),
            ),
        ] {
            assert_eq!(outcome(&expected, code, &body), decoded, "{body}");
        }
    }

    #[test]
    fn each_error_has_its_outcome() {
        let all = [Expected::Session, offer(), ACCEPTANCE, Expected::Status];
        for expected in &all {
            for (status, code, decoded) in [
                (410, "session_error", Outcome::Gone),
                (404, "session_error", Outcome::Gone),
                (425, "session_error", Outcome::NotReady),
                (404, "not_found_track_error", Outcome::NotReady),
                (406, "empty_track_error", Outcome::NotReady),
            ] {
                assert_eq!(
                    outcome(expected, status, &error(code)),
                    decoded,
                    "{status} {code}"
                );
            }
            for (status, code) in [
                (401, "unauthorized"),
                (403, "x"),
                (404, "not_found"),
                (400, "not_found"),
            ] {
                let message = unavailable(expected, status, &error(code));
                assert!(message.contains("MEDIA_APP and MEDIA_SECRET"), "{message}");
            }
            for (status, code) in [
                (429, "retryable_transient_error"),
                (500, "internal_error"),
                (503, "temporarily_unavailable_error"),
                (302, "x"),
                (204, "x"),
            ] {
                let message = unavailable(expected, status, &error(code));
                assert!(message.contains(&status.to_string()) && message.contains(code));
                assert!(
                    !message.contains("m=video"),
                    "the description may quote an SDP"
                );
            }
            assert_eq!(expected.outcome(410, ""), Outcome::Gone);
            assert!(matches!(
                expected.outcome(502, "<html>"),
                Outcome::Unavailable(_)
            ));
        }
        for (status, code) in [(410, "session_error"), (406, "close_track_error")] {
            assert_eq!(
                outcome(&Expected::End, status, &error(code)),
                Outcome::Closed
            );
        }
    }

    #[test]
    fn an_answer_that_the_media_server_refuses_is_invalid() {
        for (status, code) in [
            (406, "invalid_session_description"),
            (400, "decoding_error"),
            (413, "payload_too_large"),
        ] {
            match outcome(&ACCEPTANCE, status, &error(code)) {
                Outcome::Invalid(message) => assert!(message.contains("\"why: m=video 9\"")),
                other => panic!("{other:?}"),
            }
            let other = outcome(&offer(), status, &error(code));
            assert!(matches!(other, Outcome::Unavailable(_)), "{other:?}");
        }
    }

    #[test]
    fn a_call_without_a_reply_is_unavailable() {
        let Outcome::Unavailable(message) = no_reply("connection refused") else {
            panic!();
        };
        assert!(message.contains("\"connection refused\"") && message.contains("MEDIA_URL"));
    }

    #[test]
    fn an_incomplete_reply_is_a_failure_of_the_media_server() {
        let session = |id: &str| json!({ "sessionId": id });
        let offered = |kind: &str, sdp: &str, tracks: Value| {
            let description = json!({ "type": kind, "sdp": sdp });
            json!({ "sessionDescription": description, "tracks": tracks })
        };
        let mid = |mid: &str| json!([{ "mid": mid }]);
        let three = json!([{ "mid": "0" }, { "mid": "1" }, { "mid": "2" }]);
        for (expected, body) in [
            (Expected::Session, json!({})),
            (Expected::Session, json!([])),
            (Expected::Session, session("")),
            (Expected::Session, session("a b")),
            (Expected::Session, session("a/b")),
            (Expected::Session, session("..")),
            (Expected::Session, session("-")),
            (Expected::Session, session(&"x".repeat(129))),
            (offer(), offered("answer", "v=0", mid("0"))),
            (offer(), offered("offer", "", mid("0"))),
            (
                offer(),
                offered("offer", &"x".repeat(MAX_SDP + 1), mid("0")),
            ),
            (offer(), offered("offer", "v=0", mid(""))),
            (offer(), offered("offer", "v=0", mid("0 1"))),
            (offer(), offered("offer", "v=0", mid(&"1".repeat(17)))),
            (offer(), offered("offer", "v=0", json!([]))),
            (offer(), offered("offer", "v=0", json!([7]))),
            (offer(), offered("offer", "v=0", three)),
            (offer(), json!({ "tracks": [{ "mid": "0" }] })),
            (
                offer(),
                json!({ "sessionDescription": { "type": "offer", "sdp": "v=0" } }),
            ),
            (Expected::Status, json!({})),
        ] {
            let message = unavailable(&expected, 200, &body);
            assert!(message.contains("unreadable"), "{message}");
        }
        for body in ["", "<html>", "null", "{"] {
            let outcome = ACCEPTANCE.outcome(200, body);
            assert!(matches!(outcome, Outcome::Unavailable(_)), "{body}");
        }
    }

    #[test]
    fn an_error_of_a_track_within_a_success_is_found() {
        let tracks = |code| {
            json!({
                "sessionDescription": { "type": "offer", "sdp": "v=0" },
                "tracks": [{ "mid": "0" }, error(code)],
            })
        };
        for code in [
            "empty_track_error",
            "not_found_track_error",
            "session_error",
        ] {
            assert_eq!(
                outcome(&offer(), 200, &tracks(code)),
                Outcome::NotReady,
                "{code}"
            );
        }
        let message = unavailable(&offer(), 200, &tracks("internal_error"));
        assert!(message.contains("\"internal_error\"") && !message.contains("m=video"));
        let message = unavailable(&ACCEPTANCE, 200, &error("internal_error"));
        assert!(message.contains("\"internal_error\""));
    }
}
