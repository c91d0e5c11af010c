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
use crate::core::notice::{Forwarded, Notice};
use crate::core::peer::PeerId;
use crate::core::refusal::Refusal;
use crate::dialect::json::{Object, quote};

pub(super) fn decode(text: &str) -> Result<Signal<'_>, Refusal<'static>> {
    let mut object = Object::read(text)?;
    let to = object.take_text("toId")?;
    let claims = object.take_text("fromId")?;
    let (kind, value) = only(object)?;
    Ok(Signal {
        to,
        kind,
        payload: payload(Some(value)),
        claims,
    })
}

pub(super) fn encode(notice: &Notice<'_>) -> Option<Vec<String>> {
    let about = |kind: &str, id: &PeerId| format!(r#"{{"kind":"{kind}","id":"{id}"}}"#);
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
        Notice::Signal(Forwarded { kind, .. }) if ["toId", "fromId", "kind"].contains(&&**kind) => {
            return None;
        }
        Notice::Signal(Forwarded {
            from,
            to,
            kind,
            payload,
        }) => {
            let to = to
                .as_ref()
                .map_or_else(String::new, |to| format!(r#""toId":"{to}","#));
            let (kind, payload) = (quote(kind), payload.as_deref().unwrap_or("null"));
            let head = [
                "{",
                &to,
                r#""fromId":""#,
                from.as_str(),
                r#"","#,
                &kind,
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
