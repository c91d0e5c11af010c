//! Decodes the offers of the media server.

use std::rc::Rc;

use super::MAX_SDP;
use crate::core::live::Outcome;
use crate::dialect::json::{Object, ObjectWriter, list, unquote};
use crate::edge::quote::shorten;

/// The maximum length of a `mid`. The room stores the `mid`s.
const MAX_MID: usize = 16;
/// The maximum number of tracks in a reply: one of each kind.
const MAX_TRACKS: usize = 2;

/// Decodes an offer of the media server.
pub(super) fn offer(session: &str, mut reply: Object<'_>) -> Result<Outcome, &'static str> {
    let mut mids = Vec::new();
    for mut track in tracks(&mut reply)? {
        if let Some(code) = track.take("errorCode").and_then(unquote) {
            // The room begins again with a new session, so an offer of the other track is not needed.
            return Ok(match &*code {
                code if is_too_early(code) || code == "session_error" => Outcome::NotReady,
                code => Outcome::Unavailable(format!(
                    "the media server refused a track with the error {}. If this continues, check \
                     the media server",
                    shorten(code)
                )),
            });
        }
        let mid = track.take("mid").and_then(unquote);
        let mid = mid.filter(|mid| is_id(mid, MAX_MID));
        mids.push(Rc::from(mid.ok_or("a valid `mid` for each track")?));
    }
    if !(1..=MAX_TRACKS).contains(&mids.len()) {
        return Err("one track of each kind");
    }
    let description = reply.take("sessionDescription");
    let description = description.and_then(|text| Object::read(text).ok());
    let mut description = description.ok_or("`sessionDescription`")?;
    if description.take("type") != Some(r#""offer""#) {
        return Err("a `sessionDescription` of the type `offer`");
    }
    let sdp = description.take("sdp").and_then(unquote);
    let sdp = sdp.filter(|sdp| (1..=MAX_SDP).contains(&sdp.len()));
    let sdp = sdp.ok_or("an `sdp` of at most 64 KiB")?;
    let payload = ObjectWriter::new(sdp.len())
        .string("type", "offer")
        .string("sdp", &sdp)
        .string("session", session)
        .end();
    Ok(Outcome::Offered { payload, mids })
}

/// Reads the field `tracks`.
pub(super) fn tracks<'a>(reply: &mut Object<'a>) -> Result<Vec<Object<'a>>, &'static str> {
    const EXPECTED: &str = "`tracks` as an array of objects";
    let tracks = list(reply.take("tracks").ok_or(EXPECTED)?).map_err(|_| EXPECTED)?;
    let tracks = tracks.into_iter().map(Object::read);
    tracks.collect::<Result<_, _>>().map_err(|_| EXPECTED)
}

/// Returns whether a track has this error because the device does not send it yet.
pub(super) fn is_too_early(code: &str) -> bool {
    matches!(code, "empty_track_error" | "not_found_track_error")
}

/// Returns whether the text is safe in a path and in a stored record.
pub(super) fn is_id(text: &str, max: usize) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
    let fits = (1..=max).contains(&text.len());
    // `.` and `..` would change the path.
    let is_dots = text.bytes().all(|byte| byte == b'.');
    // A record contains `-` in place of an absent session.
    fits && !is_dots && text != "-" && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::super::Expected;
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
    fn an_incomplete_reply_is_a_failure_of_the_media_server() {
        let session = |id: &str| json!({ "sessionId": id });
        let offered = |kind: &str, sdp: &str, tracks: Value| json!({ "sessionDescription": { "type": kind, "sdp": sdp }, "tracks": tracks });
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
