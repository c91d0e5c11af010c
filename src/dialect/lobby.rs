//! The lobby dialect. A signal contains the ids of its receiver and its sender, and the key of the
//! payload is the signal type.
//!
//! | Direction | Frame |
//! |---|---|
//! | server → | `{"kind":"self-connected","id":"bob"}` |
//! | server → | `{"kind":"connected","id":"ann"}`, for each peer in the room, and for each peer that joins |
//! | server → | `{"kind":"disconnected","id":"bob"}` |
//! | → server | `{"toId":"ann","fromId":"bob","offer":…}`, with any signal type as the key |
//! | server → | `{"toId":"ann","fromId":"bob","offer":…}` |
//! | server → | `{"kind":"error","code":"no-such-peer","message":"…"}` |
//!
//! In a frame from a client, `fromId` is optional. A frame without `toId` is a broadcast.
//!
//! | In the dialect | In the room |
//! |---|---|
//! | `self-connected`, and `connected` for each other peer | welcome |
//! | `connected` | joined |
//! | `disconnected` | left |
//! | `fromId` from a client | the stated sender; the room refuses any id but the client's own |

use super::frame::{error, payload, shown, single_field};
use super::json::{Object, ObjectWriter};
use crate::core::event::Signal;
use crate::core::notice::{Notice, RoutedSignal};
use crate::core::peer::PeerId;
use crate::core::refusal::Refusal;

/// Signal types that this dialect cannot encode. `toId` and `fromId` are keys of every signal, and
/// the key `kind` identifies frames from the server.
pub(super) const RESERVED: &[&str] = &["toId", "fromId", "kind"];

pub(super) fn decode(text: &str) -> Result<Signal<'_>, Refusal<'static>> {
    let mut object = Object::read(text)?;
    let to = object.take_string("toId")?;
    let stated_sender = object.take_string("fromId")?;
    let (signal_type, value) = single_field(object, "`toId` and `fromId`")?;
    Ok(Signal {
        to,
        signal_type,
        payload: payload(Some(value)),
        stated_sender,
        ack: None,
    })
}

pub(super) fn encode(notice: &Notice<'_>) -> Vec<String> {
    let frame = match notice {
        Notice::Welcome { id, peers, .. } => {
            let others = shown(peers).map(|id| peer_frame("connected", id));
            return std::iter::once(peer_frame("self-connected", id))
                .chain(others)
                .collect();
        }
        Notice::Joined { id, .. } => peer_frame("connected", id),
        Notice::Left { id, .. } => peer_frame("disconnected", id),
        // Only event streams get changes, and only Socket.IO clients get acknowledgements.
        Notice::Changes(_) | Notice::Acknowledged { .. } | Notice::Unavailable { .. } => {
            return Vec::new();
        }
        Notice::Signal(RoutedSignal {
            from,
            to,
            signal_type,
            payload,
        }) => {
            let payload = payload.as_deref().unwrap_or("null");
            ObjectWriter::new(payload.len())
                .optional_string("toId", to.as_ref().map(PeerId::as_str))
                .string("fromId", from.as_str())
                .raw_at(signal_type, payload)
                .end()
        }
        Notice::Refused(refusal) => error("kind", refusal).end(),
    };
    vec![frame]
}

fn peer_frame(kind: &str, id: &PeerId) -> String {
    ObjectWriter::new(0)
        .string("kind", kind)
        .string("id", id.as_str())
        .end()
}
