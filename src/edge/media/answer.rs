//! Reads the answer of a peer, and finds the tracks that it accepts.

use std::borrow::Cow;

use super::MAX_SDP;
use crate::core::live::Tracks;
use crate::dialect::json::{JsonError, Object, unquote};
use crate::edge::quote::shorten;

/// The payload that an error message asks for.
const EXPECTED: &str = r#"expected {"type":"answer","sdp":"…"}, or the SDP as a string. Send the answer to the last offer of the media server"#;

/// An SDP answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer<'a> {
    pub(super) sdp: Cow<'a, str>,
    /// The tracks that the peer sends or receives.
    pub(super) accepted: Tracks,
    /// The tracks that the peer rejects.
    pub(super) rejected: Tracks,
}

/// Reads the payload of an answer in the session `session`. Returns the message for the peer if the
/// payload is invalid.
pub(super) fn read_answer<'a>(session: &str, payload: &'a str) -> Result<Answer<'a>, String> {
    let sdp = match unquote(payload) {
        Some(sdp) => sdp,
        None => read_object(session, payload)?,
    };
    if sdp.len() > MAX_SDP {
        return Err(format!(
            "the SDP of the answer has {} bytes: expected at most {MAX_SDP}. Use fewer codecs or \
             candidates",
            sdp.len()
        ));
    }
    // Every SDP begins with its version (RFC 8866 §5.1).
    if !sdp.starts_with("v=0") {
        return Err(format!("`sdp` is {}: {EXPECTED}", shorten(&sdp)));
    }
    let (accepted, rejected) = media_sections(&sdp);
    Ok(Answer {
        sdp,
        accepted,
        rejected,
    })
}

/// Reads the SDP from an object.
fn read_object<'a>(session: &str, payload: &'a str) -> Result<Cow<'a, str>, String> {
    let invalid =
        |JsonError(fault): JsonError| format!("the answer is invalid, {fault}: {EXPECTED}");
    let mut object = Object::read(payload).map_err(invalid)?;
    if let Some(kind) = object.take_string("type").map_err(invalid)?
        && kind != "answer"
    {
        let kind = shorten(&kind);
        return Err(format!("the `type` of the answer is {kind}: {EXPECTED}"));
    }
    if let Some(answered) = object.take_string("session").map_err(invalid)?
        && answered != session
    {
        return Err(format!(
            "the answer is for the session {}, expected {}: answer the last offer of the media \
             server with a new RTCPeerConnection",
            shorten(&answered),
            shorten(session)
        ));
    }
    let sdp = object.take_string("sdp").map_err(invalid)?;
    sdp.ok_or_else(|| format!("the answer has no `sdp`: {EXPECTED}"))
}

/// Returns the accepted and the rejected tracks of an SDP answer.
///
/// A media section with port 0 is rejected (RFC 3264 §6). Browsers reject a section if they support
/// none of its codecs. Each offer of the media server has one direction: from the device, or to a
/// viewer. A section is therefore accepted unless it is `inactive`, which the direction of the session
/// may also declare (RFC 8866 §6.7).
fn media_sections(sdp: &str) -> (Tracks, Tracks) {
    let (mut accepted, mut rejected) = (Tracks::default(), Tracks::default());
    let mut lines = sdp.lines().map(str::trim_end).peekable();
    let mut is_session_inactive = false;
    while let Some(line) = lines.next_if(|line| !line.starts_with("m=")) {
        is_session_inactive |= line == "a=inactive";
    }
    while let Some(section) = lines.next() {
        let mut is_inactive = is_session_inactive;
        while let Some(line) = lines.next_if(|line| !line.starts_with("m=")) {
            match line {
                "a=inactive" => is_inactive = true,
                "a=sendrecv" | "a=sendonly" | "a=recvonly" => is_inactive = false,
                _ => {}
            }
        }
        let mut fields = section.strip_prefix("m=").unwrap_or(section).split(' ');
        let (kind, port) = (fields.next(), fields.next());
        // A port may be followed by the number of ports (RFC 8866 §5.14).
        let port = port.and_then(|port| port.split('/').next());
        let tracks = match port {
            Some("0") => &mut rejected,
            _ if is_inactive => continue,
            _ => &mut accepted,
        };
        match kind {
            Some("audio") => tracks.audio = true,
            Some("video") => tracks.video = true,
            _ => {}
        }
    }
    rejected.audio &= !accepted.audio;
    rejected.video &= !accepted.video;
    (accepted, rejected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const AUDIO: Tracks = Tracks {
        audio: true,
        video: false,
    };
    const VIDEO: Tracks = Tracks {
        audio: false,
        video: true,
    };
    const NONE: Tracks = Tracks {
        audio: false,
        video: false,
    };

    fn sections(media: &str) -> (Tracks, Tracks) {
        media_sections(&format!(
            "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n{media}"
        ))
    }

    #[test]
    fn a_track_is_accepted_unless_its_section_is_rejected_or_inactive() {
        let audio = |port, direction| {
            format!("m=audio {port} UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n{direction}")
        };
        let video = |port, direction| {
            format!("m=video {port} UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\n{direction}")
        };
        for (sdp, expected) in [
            (
                audio("9", "a=sendonly\r\n") + &video("9", "a=recvonly\r\n"),
                (Tracks::ALL, NONE),
            ),
            // Without a direction, a section is `sendrecv`.
            (audio("9", ""), (AUDIO, NONE)),
            (
                audio("9", "a=recvonly\r\n") + &video("0", "a=inactive\r\n"),
                (AUDIO, VIDEO),
            ),
            (
                audio("9", "a=inactive\r\n") + &video("40000/2", ""),
                (VIDEO, NONE),
            ),
            (video("0", "") + &video("9", ""), (VIDEO, NONE)),
            (
                "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n".into(),
                (NONE, NONE),
            ),
            (String::new(), (NONE, NONE)),
        ] {
            assert_eq!(sections(&sdp), expected, "{sdp}");
            assert_eq!(sections(&sdp.replace('\r', "")), expected, "{sdp}");
        }
        let inactive = format!(
            "a=inactive\r\n{}{}",
            audio("9", ""),
            video("9", "a=sendonly\r\n")
        );
        assert_eq!(sections(&inactive), (VIDEO, NONE));
    }

    #[test]
    fn the_sdp_is_read_from_an_object_or_a_string() {
        let sdp = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n";
        let expected = Answer {
            sdp: sdp.into(),
            accepted: AUDIO,
            rejected: NONE,
        };
        for payload in [
            json!(sdp),
            json!({ "sdp": sdp }),
            json!({ "type": "answer", "sdp": sdp, "session": "s1", "other": [7] }),
        ] {
            let payload = payload.to_string();
            assert_eq!(read_answer("s1", &payload).as_ref(), Ok(&expected));
        }
    }

    #[test]
    fn any_other_payload_is_refused_with_what_is_expected() {
        for (payload, reason) in [
            (json!(null), "expected a JSON object"),
            (json!(7), "expected a JSON object"),
            (json!([]), "expected a JSON object"),
            (json!("hello"), "`sdp` is \"hello\""),
            (json!({}), "has no `sdp`"),
            (json!({ "sdp": 7 }), "`sdp` is `7`"),
            (
                json!({ "type": "offer", "sdp": "v=0" }),
                "`type` of the answer is \"offer\"",
            ),
            (
                json!({ "sdp": "v=0", "session": "s2" }),
                "session \"s2\", expected \"s1\"",
            ),
            (
                json!({ "sdp": format!("v=0{}", "x".repeat(MAX_SDP)) }),
                "at most 65536",
            ),
        ] {
            let message = read_answer("s1", &payload.to_string()).unwrap_err();
            assert!(message.contains(reason), "{message}");
            assert!(message.len() < 500, "{message}");
        }
    }
}
