//! The parts that dialects share: the result of encoding, frames that look alike in several dialects,
//! and checks of the fields that a client sent.

use std::borrow::Cow;

use super::json::{Object, ObjectWriter, array};
use crate::core::peer::PeerId;
use crate::core::refusal::Refusal;

/// The type of a signal with an ICE candidate, as the room knows it.
const CANDIDATE: &str = "candidate";

/// A notice in one dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encoded {
    /// The frames of the notice, in the order of sending. Empty if the dialect omits the notice.
    Frames(Vec<String>),
    /// The notice is a signal, and its type is reserved in the dialect.
    Reserved,
}

/// Translates the type of a signal from a dialect that spells `candidate` as `spelling`.
pub(super) fn type_from<'a>(spelling: &str, signal_type: Cow<'a, str>) -> Cow<'a, str> {
    if signal_type == spelling {
        CANDIDATE.into()
    } else {
        signal_type
    }
}

/// Translates the type of a signal into a dialect that spells `candidate` as `spelling`.
pub(super) fn type_into<'a>(spelling: &'a str, signal_type: &'a str) -> &'a str {
    if signal_type == CANDIDATE {
        spelling
    } else {
        signal_type
    }
}

/// The payload of a signal: the value of a field, where `null` means the same as no field.
pub(super) fn payload(value: Option<&str>) -> Option<Cow<'_, str>> {
    value.filter(|value| *value != "null").map(Cow::Borrowed)
}

/// `{"type":"error","code":"no-such-peer","message":"…"`, to be continued; the key of the first field
/// depends on the dialect.
pub(super) fn error(type_key: &'static str, refusal: &Refusal<'_>) -> ObjectWriter {
    ObjectWriter::new(0)
        .string(type_key, "error")
        .string("code", refusal.code.as_str())
        .string("message", &refusal.message)
}

/// `[{"id":"ann","polite":false}]`
pub(super) fn peer_list(peers: &[(PeerId, bool)]) -> String {
    array(peers.iter().map(|(id, polite)| {
        ObjectWriter::new(0)
            .string("id", id.as_str())
            .boolean("polite", *polite)
            .end()
    }))
}

/// The only field that is left in a frame. `taken` lists the fields that the dialect has already
/// taken.
pub(super) fn single_field<'a>(
    mut object: Object<'a>,
    taken: &str,
) -> Result<(Cow<'a, str>, &'a str), Refusal<'static>> {
    match (object.take_first(), object.take_first()) {
        (Some(field), None) => Ok(field),
        (None, _) => Err(Refusal::malformed(format!(
            "the payload is missing, expected one field beside {taken}: add one named after the \
             signal type, such as `offer`"
        ))),
        (Some((first, _)), Some((second, _))) => Err(Refusal::quoting(format!(
            "the frame has the fields `{first}` and `{second}`, expected one beside {taken}: send \
             two frames"
        ))),
    }
}

/// Refuses a frame without `type`.
pub(super) fn missing_type() -> Refusal<'static> {
    Refusal::malformed("missing field `type`, expected a signal type such as `offer`")
}

/// Checks that no field is left in a frame. `known` lists the fields that the dialect has.
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
