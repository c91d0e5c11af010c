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
use crate::core::notice::{Forwarded, Notice};
use crate::core::refusal::Refusal;
use crate::dialect::json::{Object, quote};

pub(super) fn decode(text: &str) -> Result<Signal<'_>, Refusal<'static>> {
    let mut object = Object::read(text)?;
    let action = object.take_text("action")?;
    let action = action.ok_or_else(|| Refusal::malformed("the frame has no `action`"))?;
    let spelled = action.strip_prefix("forward-").ok_or_else(|| {
        Refusal::quoting(format!(
            "there is no action `{action}`: they are `forward-offer` and the like"
        ))
    })?;
    let kind = if spelled == "icecandidate" {
        "candidate"
    } else {
        spelled
    };
    let to = object.take_text("toPeerId")?;
    let (key, value) = only(object)?;
    if key != kind {
        return Err(Refusal::quoting(format!(
            "`{action}` goes with `{kind}`, not with `{key}`"
        )));
    }
    Ok(Signal {
        to,
        kind: key,
        payload: payload(Some(value)),
        claims: None,
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
        Notice::Signal(Forwarded { kind, .. })
            if ["type", "fromPeerId", "connected-peers"].contains(&&**kind) =>
        {
            return None;
        }
        Notice::Signal(Forwarded {
            from,
            kind,
            payload,
            ..
        }) => {
            let spelled = if *kind == "candidate" {
                "icecandidate"
            } else {
                kind
            };
            let (spelled, kind) = (quote(spelled), quote(kind));
            let (payload, from) = (payload.as_deref().unwrap_or("null"), from.as_str());
            let head = [r#"{"type":"#, &spelled, ",", &kind, ":"].concat();
            [&*head, payload, r#","fromPeerId":""#, from, r#""}"#].concat()
        }
        Notice::Refused(Refusal { code, message, .. }) => {
            let (code, message) = (code.as_str(), quote(message));
            format!(r#"{{"type":"error","code":"{code}","message":{message}}}"#)
        }
    };
    Some(vec![frame])
}
