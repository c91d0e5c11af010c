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
