//! The forum dialect: actions that are forwarded, and types that arrive.
//!
//! | direction | frame |
//! |---|---|
//! | server → | `{"type":"connected-peers","peerIds":["ann"]}` |
//! | → server | `{"action":"forward-offer","offer":…,"toPeerId":"ann"}` |
//! | → server | `{"action":"forward-answer","answer":…,"toPeerId":"ann"}` |
//! | → server | `{"action":"forward-icecandidate","candidate":…,"toPeerId":"ann"}` |
//! | server → | `{"type":"offer","offer":…,"fromPeerId":"bob"}` |
//! | server → | `{"type":"answer","answer":…,"fromPeerId":"bob"}` |
//! | server → | `{"type":"icecandidate","candidate":…,"fromPeerId":"bob"}` |
//! | → server | `{"action":"forward-K","K":…,"toPeerId":"ann"}`, for any other kind K |
//! | server → | `{"type":"K","K":…,"fromPeerId":"bob"}` |
//! | server → | `{"type":"error","code":"no-such-peer","message":"…"}` |
//!
//! | here | in a room |
//! |---|---|
//! | `connected-peers` | welcome, without one's own id |
//! | `icecandidate` | `candidate` |
//! | nothing | joined, left: its peers learn of a newcomer by the newcomer's offer |

use super::{only, payload};
use crate::core::event::Signal;
use crate::core::notice::{Notice, RoutedSignal};
use crate::core::refusal::Refusal;
use crate::dialect::json::{Object, quote};

pub(super) fn decode(text: &str) -> Result<Signal<'_>, Refusal<'static>> {
    let mut object = Object::read(text)?;
    let action = object.take_string("action")?;
    let action = action.ok_or_else(|| Refusal::malformed("the frame has no `action`"))?;
    let spelled = action.strip_prefix("forward-").ok_or_else(|| {
        Refusal::quoting(format!(
            "there is no action `{action}`: they are `forward-offer` and the like"
        ))
    })?;
    let signal_type = if spelled == "icecandidate" {
        "candidate"
    } else {
        spelled
    };
    let to = object.take_string("toPeerId")?;
    let (key, value) = only(object)?;
    if key != signal_type {
        return Err(Refusal::quoting(format!(
            "`{action}` goes with `{signal_type}`, not with `{key}`"
        )));
    }
    Ok(Signal {
        to,
        signal_type: key,
        payload: payload(Some(value)),
        stated_sender: None,
    })
}

pub(super) fn encode(notice: &Notice<'_>) -> Option<Vec<String>> {
    let frame = match notice {
        Notice::Welcome { peers, .. } => {
            let ids: Vec<_> = peers.iter().map(|(id, _)| format!("\"{id}\"")).collect();
            format!(
                r#"{{"type":"connected-peers","peerIds":[{}]}}"#,
                ids.join(",")
            )
        }
        Notice::Joined { .. } | Notice::Left { .. } => return Some(Vec::new()),
        // As keys they are taken, as a type it is the server's.
        Notice::Signal(RoutedSignal { signal_type, .. })
            if ["type", "fromPeerId", "connected-peers"].contains(&&**signal_type) =>
        {
            return None;
        }
        Notice::Signal(RoutedSignal {
            from,
            signal_type,
            payload,
            ..
        }) => {
            let spelled = if *signal_type == "candidate" {
                "icecandidate"
            } else {
                signal_type
            };
            let (spelled, signal_type) = (quote(spelled), quote(signal_type));
            let (payload, from) = (payload.as_deref().unwrap_or("null"), from.as_str());
            let head = [r#"{"type":"#, &spelled, ",", &signal_type, ":"].concat();
            [&*head, payload, r#","fromPeerId":""#, from, r#""}"#].concat()
        }
        Notice::Refused(Refusal { code, message, .. }) => {
            let (code, message) = (code.as_str(), quote(message));
            format!(r#"{{"type":"error","code":"{code}","message":{message}}}"#)
        }
    };
    Some(vec![frame])
}
