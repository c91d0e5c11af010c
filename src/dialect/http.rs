//! The HTTP dialect: bodies that are posted, and events that are streamed (Server-Sent Events, HTML
//! §9.2).
//!
//! | request | body |
//! |---|---|
//! | `POST /message/:room/:peer` | `{"type":"offer","payload":…,"target":"ann"}`, to all others without `target` |
//!
//! | event | when |
//! |---|---|
//! | `{"type":"new-peer","senderId":"bob"}` | somebody joined |
//! | `{"type":"peer-left","senderId":"bob"}` | somebody left |
//! | `{"type":"offer","payload":…,"senderId":"bob"}` | somebody sent a signal |
//! | `{"type":"error","code":"no-such-peer","message":"…","target":"zed"}` | a signal that was held went nowhere |
//! | `{"type":"ping","time":"2026-11-24T12:00:00.000Z"}` | all the time; the room sleeps on |
//!
//! Each event is the `data` of one without a name, with a number as its `id`. A stream begins with a
//! number alone, so that also who has got nothing yet can say from where it is to go on.
//!
//! | here | in a room |
//! |---|---|
//! | `target`, `senderId` | to, from |
//! | `ice-candidate` | `candidate` |
//! | `new-peer` | joined |
//! | the answer to `POST /register/:room/:peer` | welcome |

use std::borrow::Cow;

use super::{nothing_else, payload};
use crate::core::event::Signal;
use crate::core::notice::{Notice, RoutedSignal};
use crate::core::peer::PeerId;
use crate::core::refusal::Refusal;
use crate::dialect::json::{Object, quote};

pub(super) fn decode(text: &str) -> Result<Signal<'_>, Refusal<'_>> {
    let mut body = Object::read(text)?;
    let signal_type = body.take_string("type")?;
    let payload = payload(body.take("payload"));
    let to = body.take_string("target")?;
    nothing_else(body, "`type`, `payload` or `target`")?;
    let signal_type = match signal_type.ok_or_else(|| Refusal::malformed("missing field `type`"))? {
        signal_type if signal_type == "ice-candidate" => "candidate".into(),
        signal_type => signal_type,
    };
    Ok(Signal {
        to,
        signal_type,
        payload,
        stated_sender: None,
    })
}

pub(super) fn encode(notice: &Notice<'_>, number: Option<u64>) -> Option<Vec<String>> {
    let about =
        |signal_type: &str, id: &PeerId| format!(r#"{{"type":"{signal_type}","senderId":"{id}"}}"#);
    let data = match notice {
        // What a browser waits until it comes back by itself; without this, some wait longer than
        // others.
        Notice::Welcome { .. } => {
            let id = number.map_or_else(String::new, |number| format!("id: {number}\n"));
            return Some(vec![format!("retry: 1000\n{id}\n")]);
        }
        Notice::Joined { id, .. } => about("new-peer", id),
        Notice::Left { id } => about("peer-left", id),
        Notice::Signal(RoutedSignal { signal_type, .. })
            if ["new-peer", "ping"].contains(&&**signal_type) =>
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
                "ice-candidate"
            } else {
                signal_type
            };
            let (signal_type, payload) = (quote(spelled), payload.as_deref().unwrap_or("null"));
            let head = [r#"{"type":"#, &signal_type, r#","payload":"#].concat();
            [&*head, payload, r#","senderId":""#, from.as_str(), r#""}"#].concat()
        }
        Notice::Refused(Refusal { code, message, to }) => {
            let (code, message) = (code.as_str(), quote(message));
            let to = to
                .as_ref()
                .map_or_else(String::new, |to| format!(r#","target":{}"#, quote(to)));
            format!(r#"{{"type":"error","code":"{code}","message":{message}{to}}}"#)
        }
    };
    Some(vec![event(&data, number)])
}

/// An event with these data. Line feeds, which JSON may have between its tokens, are the only thing
/// in it that means something to the stream.
fn event(data: &str, number: Option<u64>) -> String {
    let id = number.map_or_else(String::new, |number| format!("id: {number}\n"));
    // One by one, since that is quicker than for both at once.
    let data: Cow<'_, str> = if data.contains('\n') || data.contains('\r') {
        data.replace("\r\n", "\n")
            .replace(['\r', '\n'], "\ndata: ")
            .into()
    } else {
        data.into()
    };
    format!("{id}data: {data}\n\n")
}

/// What is sent now and then, so that neither end nor anything between them takes the stream for
/// dead. It has no number, since nothing is lost with it.
#[must_use]
pub fn ping(time: &str) -> String {
    event(&format!(r#"{{"type":"ping","time":"{time}"}}"#), None)
}

/// What a peer that has registered is answered: `{"message":"session registered successfully",
/// "id":"bob","peers":[{"id":"ann","polite":false}],"key":"…"}`.
#[must_use]
pub fn registered(id: &PeerId, peers: &[(PeerId, bool)], key: &str) -> String {
    let seen = |(id, polite): &(PeerId, bool)| format!(r#"{{"id":"{id}","polite":{polite}}}"#);
    let peers: Vec<_> = peers.iter().map(seen).collect();
    let (peers, key) = (peers.join(","), quote(key));
    let message = "session registered successfully";
    format!(r#"{{"message":"{message}","id":"{id}","peers":[{peers}],"key":{key}}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::refusal::Code;

    #[test]
    fn a_body_is_a_signal() {
        let signal = decode(r#"{"type":"ice-candidate","payload":{"a": 1},"target":"ann"}"#);
        let signal = signal.unwrap();
        assert_eq!(signal.signal_type, "candidate");
        assert_eq!(signal.to.as_deref(), Some("ann"));
        assert_eq!(signal.payload.as_deref(), Some(r#"{"a": 1}"#));
        assert_eq!(decode(r#"{"type":"\u006f"}"#).unwrap().signal_type, "o");
    }

    #[test]
    fn a_body_that_is_no_signal_is_told_why() {
        for (text, what) in [
            ("", "expected an object"),
            ("[]", "expected an object"),
            ("{}", "missing field `type`"),
            (r#"{"type":"x","target":null}"#, "`target` is not a string"),
            (
                r#"{"type":"x","senderId":"eve"}"#,
                "unknown field `senderId`",
            ),
        ] {
            let refusal = decode(text).unwrap_err();
            assert_eq!(refusal.code, Code::Malformed, "{text}");
            assert!(
                refusal.message.contains(what),
                "{text}: {}",
                refusal.message
            );
        }
    }

    #[test]
    fn a_payload_of_many_lines_is_one_event() {
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
        let event = |data: &str| Some(vec![format!("id: 7\ndata: {data}\n\n")]);
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
