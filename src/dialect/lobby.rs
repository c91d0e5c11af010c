//! The lobby dialect: frames that say whom they are for, whom they are from, and one thing more.
//!
//! | direction | frame |
//! |---|---|
//! | server → | `{"kind":"self-connected","id":"bob"}` |
//! | server → | `{"kind":"connected","id":"ann"}`, for each who is there, and for each who joins |
//! | server → | `{"kind":"disconnected","id":"bob"}` |
//! | → server | `{"toId":"ann","fromId":"bob","offer":…}`, or any other one key, which is the kind |
//! | server → | the same |
//! | server → | `{"kind":"error","code":"no-such-peer","message":"…"}` |
//!
//! | here | in a room |
//! |---|---|
//! | `self-connected`, `connected` | welcome |
//! | `connected` | joined |
//! | `disconnected` | left |
//! | `fromId` of a peer's own frame | a claim, which the room holds it to |

use super::{only, payload};
use crate::core::event::Signal;
use crate::core::notice::{Notice, RoutedSignal};
use crate::core::peer::PeerId;
use crate::core::refusal::Refusal;
use crate::dialect::json::{Object, quote};

pub(super) fn decode(text: &str) -> Result<Signal<'_>, Refusal<'static>> {
    let mut object = Object::read(text)?;
    let to = object.take_string("toId")?;
    let stated_sender = object.take_string("fromId")?;
    let (signal_type, value) = only(object)?;
    Ok(Signal {
        to,
        signal_type,
        payload: payload(Some(value)),
        stated_sender,
    })
}

pub(super) fn encode(notice: &Notice<'_>) -> Option<Vec<String>> {
    let about =
        |signal_type: &str, id: &PeerId| format!(r#"{{"kind":"{signal_type}","id":"{id}"}}"#);
    let frame = match notice {
        Notice::Welcome { id, peers, .. } => {
            let others = peers.iter().map(|(other, _)| about("connected", other));
            return Some(
                std::iter::once(about("self-connected", id))
                    .chain(others)
                    .collect(),
            );
        }
        Notice::Joined { id, .. } => about("connected", id),
        Notice::Left { id } => about("disconnected", id),
        // As keys they are taken, and `kind` is what notices are known by.
        Notice::Signal(RoutedSignal { signal_type, .. })
            if ["toId", "fromId", "kind"].contains(&&**signal_type) =>
        {
            return None;
        }
        Notice::Signal(RoutedSignal {
            from,
            to,
            signal_type,
            payload,
        }) => {
            let to = to
                .as_ref()
                .map_or_else(String::new, |to| format!(r#""toId":"{to}","#));
            let (signal_type, payload) = (quote(signal_type), payload.as_deref().unwrap_or("null"));
            let head = [
                "{",
                &to,
                r#""fromId":""#,
                from.as_str(),
                r#"","#,
                &signal_type,
                ":",
            ]
            .concat();
            [&*head, payload, "}"].concat()
        }
        Notice::Refused(Refusal { code, message, .. }) => {
            let (code, message) = (code.as_str(), quote(message));
            format!(r#"{{"kind":"error","code":"{code}","message":{message}}}"#)
        }
    };
    Some(vec![frame])
}
