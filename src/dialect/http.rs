//! The HTTP dialect. Clients post signals as JSON, and receive notices as an event stream (Server-Sent
//! Events, HTML §9.2).
//!
//! | Request | Body |
//! |---|---|
//! | `POST /message/:room/:peer` | `{"type":"offer","payload":…,"target":"ann"}`; without `target`, a broadcast |
//!
//! | Data of an event | Cause |
//! |---|---|
//! | `{"type":"new-peer","senderId":"bob"}` | a peer joined |
//! | `{"type":"peer-left","senderId":"bob"}` | a peer left |
//! | `{"type":"offer","payload":…,"senderId":"bob"}` | a peer sent a signal |
//! | `{"type":"error","code":"no-such-peer","message":"…","target":"zed"}` | a signal could not be delivered |
//! | `{"type":"ping","time":"2026-11-24T12:00:00.000Z"}` | the ping interval passed; the Worker sends the ping without waking the room |
//!
//! Events have no `event` field, and their `id` is a number. A ping has no `id`. The first event of a
//! stream has an `id` but no data, so that a client can resume before it has received any data.
//!
//! | In the dialect | In the room |
//! |---|---|
//! | `target`, `senderId` | receiver, sender |
//! | `ice-candidate` | `candidate` |
//! | `new-peer` | joined |
//! | the response to `POST /register/:room/:peer` | welcome |

use std::borrow::Cow;

use super::frame::{deny_unknown, error, missing_type, payload, peer_list, type_from, type_into};
use super::json::{Object, ObjectWriter};
use crate::core::event::Signal;
use crate::core::notice::{Changes, Listed, Notice, RoutedSignal};
use crate::core::peer::PeerId;
use crate::core::refusal::Refusal;

/// Signal types that this dialect cannot encode, because the server sends events of these types.
pub(super) const RESERVED: &[&str] = &["new-peer", "ping"];

/// The dialect's name for the type `candidate`.
const CANDIDATE: &str = "ice-candidate";

pub(super) fn decode(text: &str) -> Result<Signal<'_>, Refusal<'static>> {
    let mut body = Object::read(text)?;
    let signal_type = body.take_string("type")?;
    let payload = payload(body.take("payload"));
    let to = body.take_string("target")?;
    deny_unknown(body, "`type`, `payload` or `target`")?;
    let signal_type = signal_type.ok_or_else(missing_type)?;
    Ok(Signal {
        to,
        signal_type: type_from(CANDIDATE, signal_type),
        payload,
        stated_sender: None,
        ack: None,
    })
}

pub(super) fn encode(notice: &Notice<'_>, event_id: Option<u64>) -> Vec<String> {
    let data = match notice {
        // `retry` sets the reconnect delay in milliseconds, because browsers have different
        // defaults.
        Notice::Welcome { .. } => {
            return vec![["retry: 1000\n", &id_line(event_id), "\n"].concat()];
        }
        Notice::Joined { id, .. } => peer_event("new-peer", id),
        Notice::Left { id, .. } => peer_event("peer-left", id),
        Notice::Changes(changes) => return vec![change_events(changes, event_id)],
        Notice::Signal(RoutedSignal {
            from,
            signal_type,
            payload,
            ..
        }) => {
            let payload = payload.as_deref().unwrap_or("null");
            ObjectWriter::new(payload.len())
                .string("type", type_into(CANDIDATE, signal_type))
                .raw("payload", payload)
                .string("senderId", from.as_str())
                .end()
        }
        // Only Socket.IO clients get acknowledgements.
        Notice::Acknowledged { .. } | Notice::Unavailable { .. } => return Vec::new(),
        Notice::Refused(refusal) => error("type", refusal)
            .optional_string("target", refusal.to.as_deref())
            .end(),
    };
    vec![event(&data, event_id)]
}

/// Encodes changes as one frame: first the joins, then the leaves. If a peer left and joined again, its
/// leave comes first. Only the last event has an id, so a client that resumes has received all
/// changes, or gets all of them again.
fn change_events(changes: &Changes, event_id: Option<u64>) -> String {
    let left = changes.left.iter().map(|(_, id)| id);
    let (again, gone): (Vec<_>, Vec<_>) = left.partition(|id| changes.joined.contains(id));
    let again = again.into_iter().map(|id| ("peer-left", id));
    let joined = changes.joined.iter().map(|id| ("new-peer", id));
    let gone = gone.into_iter().map(|id| ("peer-left", id));
    let events: Vec<_> = again.chain(joined).chain(gone).collect();
    let last = events.len().saturating_sub(1);
    let events = events.into_iter().enumerate();
    events
        .map(|(n, (name, id))| event(&peer_event(name, id), event_id.filter(|_| n == last)))
        .collect()
}

fn peer_event(event_type: &str, id: &PeerId) -> String {
    ObjectWriter::new(0)
        .string("type", event_type)
        .string("senderId", id.as_str())
        .end()
}

/// Encodes an event. JSON may contain line breaks between its tokens. A line break ends a field of
/// an event stream, so each line of the data gets its own `data` field.
fn event(data: &str, event_id: Option<u64>) -> String {
    let id = id_line(event_id);
    // Two searches for one byte each are faster than one search for two bytes.
    let data: Cow<'_, str> = if data.contains('\n') || data.contains('\r') {
        let lines: Vec<_> = data.lines().collect();
        lines.join("\n").replace(['\r', '\n'], "\ndata: ").into()
    } else {
        data.into()
    };
    [&*id, "data: ", &*data, "\n\n"].concat()
}

fn id_line(event_id: Option<u64>) -> String {
    event_id.map_or_else(String::new, |id| format!("id: {id}\n"))
}

/// Encodes a ping, which is sent at the ping interval to keep proxies from closing an idle stream.
/// It has no event id, because it is never sent again.
#[must_use]
pub fn ping(time: &str) -> String {
    let data = ObjectWriter::new(0)
        .string("type", "ping")
        .string("time", time);
    event(&data.end(), None)
}

/// Encodes the response to a registration: `{"message":"session registered successfully",
/// "id":"bob","peers":[{"id":"ann","polite":false}],"key":"…"}`.
#[must_use]
pub fn registered(id: &PeerId, peers: &[Listed], key: &str) -> String {
    ObjectWriter::new(0)
        .string("message", "session registered successfully")
        .string("id", id.as_str())
        .raw("peers", &peer_list(peers, true))
        .string("key", key)
        .end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::refusal::Code;

    #[test]
    fn a_body_is_read_as_a_signal() {
        let signal = decode(r#"{"type":"ice-candidate","payload":{"a": 1},"target":"ann"}"#);
        let signal = signal.unwrap();
        assert_eq!(signal.signal_type, "candidate");
        assert_eq!(signal.to.as_deref(), Some("ann"));
        assert_eq!(signal.payload.as_deref(), Some(r#"{"a": 1}"#));
        assert_eq!(decode(r#"{"type":"\u006f"}"#).unwrap().signal_type, "o");
    }

    #[test]
    fn a_malformed_body_is_refused_with_its_fault() {
        for (text, expected) in [
            ("", "expected a JSON object"),
            ("[]", "expected a JSON object"),
            ("{}", "missing field `type`"),
            (
                r#"{"type":"x","target":null}"#,
                "`target` is `null`, expected a valid string",
            ),
            (
                r#"{"type":"x","senderId":"eve"}"#,
                "unknown field `senderId`",
            ),
        ] {
            let refusal = decode(text).unwrap_err();
            assert_eq!(refusal.code, Code::Malformed, "{text}");
            assert!(
                refusal.message.contains(expected),
                "{text}: {}",
                refusal.message
            );
        }
    }

    #[test]
    fn a_payload_with_line_breaks_is_one_event() {
        let signal = |payload: &'static str| {
            let from = PeerId::parse("ann").unwrap();
            encode(
                &Notice::Signal(RoutedSignal {
                    from,
                    to: None,
                    signal_type: "x".into(),
                    payload: Some(payload.into()),
                }),
                Some(7),
            )
        };
        let event = |data: &str| vec![format!("id: 7\ndata: {data}\n\n")];
        assert_eq!(
            signal("{\r\n\"a\":\r1\n}"),
            event(
                "{\"type\":\"x\",\"payload\":{\ndata: \"a\":\ndata: 1\ndata: },\"senderId\":\"ann\"}"
            )
        );
        assert_eq!(
            signal(r#""\n""#),
            event(r#"{"type":"x","payload":"\n","senderId":"ann"}"#)
        );
    }
}
