//! Code that the dialects share: the result of encoding, common frames, and checks of fields from
//! clients.

use std::borrow::Cow;

use super::json::{Object, ObjectWriter, array};
use crate::core::notice::Listed;
use crate::core::peer::PeerId;
use crate::core::refusal::Refusal;

/// The type of a signal that contains an ICE candidate, in the room.
const CANDIDATE: &str = "candidate";

/// A notice, encoded in one dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encoded {
    /// The frames of the notice, in the order of sending. Empty if the dialect has no frame for the
    /// notice.
    Frames(Vec<String>),
    /// The notice is a signal whose type the dialect reserves.
    Reserved,
}

/// Translates a signal type from a dialect whose name for `candidate` is `spelling`.
pub(super) fn type_from<'a>(spelling: &str, signal_type: Cow<'a, str>) -> Cow<'a, str> {
    if signal_type == spelling {
        CANDIDATE.into()
    } else {
        signal_type
    }
}

/// Translates a signal type into a dialect whose name for `candidate` is `spelling`.
pub(super) fn type_into<'a>(spelling: &'a str, signal_type: &'a str) -> &'a str {
    if signal_type == CANDIDATE {
        spelling
    } else {
        signal_type
    }
}

/// Converts the value of the payload field to the payload of a signal. `null` counts as no payload.
pub(super) fn payload(value: Option<&str>) -> Option<Cow<'_, str>> {
    value.filter(|value| *value != "null").map(Cow::Borrowed)
}

/// Starts an error frame: `{"type":"error","code":"no-such-peer","message":"…"}`. `type_key` is the
/// key of its first field.
pub(super) fn error(type_key: &'static str, refusal: &Refusal<'_>) -> ObjectWriter {
    error_fields(ObjectWriter::new(0).string(type_key, "error"), refusal)
}

/// Adds the fields `code` and `message` of a refusal.
pub(super) fn error_fields(object: ObjectWriter, refusal: &Refusal<'_>) -> ObjectWriter {
    object
        .string("code", refusal.code.as_str())
        .string("message", &refusal.message)
}

/// Encodes a JSON array of peers: `[{"id":"ann","polite":false,"meta":7}]`.
#[inline(never)]
pub(super) fn peer_list(peers: &[Listed], with_media_server: bool) -> String {
    let shown = |peer: &&Listed| with_media_server || !peer.id.is_media_server();
    array(peers.iter().filter(shown).map(|peer| {
        ObjectWriter::new(0)
            .string("id", peer.id.as_str())
            .boolean("polite", peer.polite)
            .optional_raw("meta", peer.meta.as_deref())
            .end()
    }))
}

/// Returns the ids of the peers in a welcome without the media server. A client that does not know media
/// servers would send an offer to it, but the media server makes all offers.
pub(super) fn shown(peers: &[Listed]) -> impl Iterator<Item = &PeerId> {
    let ids = peers.iter().map(|peer| &peer.id);
    ids.filter(|id| !id.is_media_server())
}

/// Takes the only remaining field of a frame. `taken` names the fields that the dialect has already
/// taken, for the error message.
pub(super) fn single_field<'a>(
    mut object: Object<'a>,
    taken: &str,
) -> Result<(Cow<'a, str>, &'a str), Refusal<'static>> {
    match (object.take_first(), object.take_first()) {
        (Some(field), None) => Ok(field),
        (None, _) => Err(Refusal::malformed(format!(
            "the payload is missing, expected one field in addition to {taken}: add a field \
             named after the signal type, such as `offer`"
        ))),
        (Some((first, _)), Some((second, _))) => Err(Refusal::quoting(format!(
            "the frame has the fields `{first}` and `{second}`, expected one in addition to {taken}: \
             send two frames"
        ))),
    }
}

/// Returns the refusal of a frame without `type`.
pub(super) fn missing_type() -> Refusal<'static> {
    Refusal::malformed("missing field `type`, expected a signal type such as `offer`")
}

/// Checks that a frame has no remaining field. `known` names the fields of the dialect, for the
/// error message.
pub(super) fn deny_unknown(mut object: Object<'_>, known: &str) -> Result<(), Refusal<'static>> {
    match object.take_first() {
        None => Ok(()),
        Some((key, _)) => {
            let message = format!(
                "unknown field `{key}`, expected {known}: remove it, or move it into `payload`"
            );
            Err(Refusal::quoting(message))
        }
    }
}
