//! The forum dialect. Frames from clients have an `action`, frames from the server have a `type`, and
//! the key of the payload is the signal type.
//!
//! | Direction | Frame |
//! |---|---|
//! | server → | `{"type":"connected-peers","peerIds":["ann"]}` |
//! | → server | `{"action":"forward-offer","offer":…,"toPeerId":"ann"}` |
//! | → server | `{"action":"forward-answer","answer":…,"toPeerId":"ann"}` |
//! | → server | `{"action":"forward-icecandidate","candidate":…,"toPeerId":"ann"}` |
//! | server → | `{"type":"offer","offer":…,"fromPeerId":"bob"}` |
//! | server → | `{"type":"answer","answer":…,"fromPeerId":"bob"}` |
//! | server → | `{"type":"icecandidate","candidate":…,"fromPeerId":"bob"}` |
//! | → server | `{"action":"forward-T","T":…,"toPeerId":"ann"}`, for any other signal type T |
//! | server → | `{"type":"T","T":…,"fromPeerId":"bob"}` |
//! | server → | `{"type":"error","code":"no-such-peer","message":"…"}` |
//!
//! A frame from a client without `toPeerId` is a broadcast.
//!
//! | In the dialect | In the room |
//! |---|---|
//! | `connected-peers` | welcome; the frame omits the receiver's own id |
//! | `icecandidate` | `candidate` |
//! | no frame | joined, left; a client discovers a new peer when that peer sends an offer |

use super::frame::{error, payload, shown, single_field, type_from, type_into};
use super::json::{Object, ObjectWriter, array, quote};
use crate::core::event::Signal;
use crate::core::notice::{Notice, RoutedSignal};
use crate::core::refusal::Refusal;

/// Signal types that this dialect cannot encode. `type` and `fromPeerId` are keys of every frame,
/// and `connected-peers` is the type of a frame from the server.
pub(super) const RESERVED: &[&str] = &["type", "fromPeerId", "connected-peers"];

/// The dialect's name for the type `candidate`, used in `action` and `type`. The key of the payload
/// stays `candidate`.
const CANDIDATE: &str = "icecandidate";

pub(super) fn decode(text: &str) -> Result<Signal<'_>, Refusal<'static>> {
    let mut object = Object::read(text)?;
    let action = object.take_string("action")?;
    let action = action.ok_or_else(|| {
        Refusal::malformed("missing field `action`, expected an action such as `forward-offer`")
    })?;
    let spelled = action.strip_prefix("forward-").ok_or_else(|| {
        Refusal::quoting(format!(
            "unknown action `{action}`, expected `forward-` and a signal type, such as \
             `forward-offer`"
        ))
    })?;
    let signal_type = type_from(CANDIDATE, spelled.into());
    let to = object.take_string("toPeerId")?;
    let (key, value) = single_field(object, "`action` and `toPeerId`")?;
    if key != signal_type {
        return Err(Refusal::quoting(format!(
            "the action `{action}` needs the field `{signal_type}`, found `{key}`"
        )));
    }
    Ok(Signal {
        to,
        signal_type: key,
        payload: payload(Some(value)),
        stated_sender: None,
        ack: None,
    })
}

pub(super) fn encode(notice: &Notice<'_>) -> Vec<String> {
    let frame = match notice {
        Notice::Welcome { peers, .. } => ObjectWriter::new(0)
            .string("type", "connected-peers")
            .raw("peerIds", &array(shown(peers).map(|id| quote(id.as_str())))),
        Notice::Joined { .. }
        | Notice::Left { .. }
        | Notice::Changes(_)
        | Notice::Acknowledged { .. }
        | Notice::Unavailable { .. } => return Vec::new(),
        Notice::Signal(RoutedSignal {
            from,
            signal_type,
            payload,
            ..
        }) => {
            let payload = payload.as_deref().unwrap_or("null");
            ObjectWriter::new(payload.len())
                .string("type", type_into(CANDIDATE, signal_type))
                .raw_at(signal_type, payload)
                .string("fromPeerId", from.as_str())
        }
        Notice::Refused(refusal) => error("type", refusal),
    };
    vec![frame.end()]
}
