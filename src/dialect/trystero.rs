//! The dialect of trystero with its strategy `ws-relay`. A topic is the hash of a room, or of a client in
//! it.
//!
//! | Direction | Frame |
//! |---|---|
//! | → server | `{"type":"subscribe","topic":"3k2j"}` |
//! | → server | `{"type":"unsubscribe","topic":"3k2j"}` |
//! | → server | `{"type":"publish","topic":"3k2j","payload":…}` |
//! | server → | `{"topic":"3k2j","payload":…}` |
//!
//! The server sends a published frame to all subscribers of the topic, including its sender. Other fields
//! are dropped, as the relay of trystero does. Clients announce themselves every few seconds, so the first
//! message of a client has no special rule.
//!
//! The client ignores frames without a topic. The server sends none, and ignores frames that it cannot
//! decode.
//!
//! The protocol is that of packages/ws-relay/src/server.ts in trystero 0.25.4.

use super::json::{Object, ObjectWriter, unquote};
use crate::core::refusal::Refusal;
use crate::core::topics::{Call, Mark, Notice};

pub(super) fn decode(text: &str) -> Result<Call<'_>, Refusal<'static>> {
    let mut object = Object::read(text)?;
    let frame_type = object.take("type").and_then(unquote);
    let written = object.take("topic").unwrap_or_default();
    let Some(topic) = unquote(written) else {
        return Ok(Call::Nothing);
    };
    Ok(match (frame_type.as_deref(), object.take("payload")) {
        (Some("subscribe"), _) => Call::Subscribe(vec![topic], Mark::None),
        (Some("unsubscribe"), _) => Call::Unsubscribe(vec![topic]),
        (Some("publish"), Some(payload)) => {
            let body = ObjectWriter::new(text.len()).raw("topic", written);
            let body = body.raw("payload", payload).end();
            Call::Publish { topic, body }
        }
        _ => Call::Nothing,
    })
}

pub(super) fn encode(notice: &Notice) -> Vec<String> {
    match notice {
        Notice::Post { body, .. } => vec![body.to_string()],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_subscribes_and_unsubscribes() {
        let frame = |frame_type| format!(r#"{{"topic":"a\"","type":"{frame_type}"}}"#);
        let topics = || vec!["a\"".into()];
        let subscribe = frame("subscribe");
        let subscribed = Call::Subscribe(topics(), Mark::None);
        assert_eq!(decode(&subscribe), Ok(subscribed));
        let unsubscribe = frame("unsubscribe");
        assert_eq!(decode(&unsubscribe), Ok(Call::Unsubscribe(topics())));
    }

    #[test]
    fn the_topic_and_the_payload_are_forwarded_as_written() {
        let sent = r#" { "payload" : { "b":1e400,"a":"\ud800" } , "x":1 , "topic":"\u0064", "type":"publish" } "#;
        let Ok(Call::Publish { topic, body }) = decode(sent) else {
            panic!("{sent}");
        };
        assert_eq!(topic, "d");
        let subscribers = 2;
        let (body, label) = (body.into(), "".into());
        let post = Notice::Post {
            body,
            label,
            subscribers,
        };
        assert_eq!(
            encode(&post),
            [r#"{"topic":"\u0064","payload":{ "b":1e400,"a":"\ud800" }}"#]
        );
    }

    #[test]
    fn other_frames_have_no_effect() {
        for text in [
            "{}",
            r#"{"type":"ping"}"#,
            r#"{"type":"subscribe"}"#,
            r#"{"type":"subscribe","topic":7}"#,
            r#"{"type":"subscribe","topic":["d"]}"#,
            r#"{"type":"publish","topic":"d"}"#,
            r#"{"type":"publish","topic":"\ud800","payload":1}"#,
            r#"{"type":"other","topic":"d","payload":1}"#,
            r#"{"topic":"d","payload":1}"#,
        ] {
            assert_eq!(decode(text), Ok(Call::Nothing), "{text}");
        }
        for text in ["", "ping", "[]", r#"{"type":"a","type":"b"}"#] {
            let refusal = decode(text).unwrap_err();
            assert_eq!(encode(&Notice::Refused(refusal)), [] as [&str; 0], "{text}");
        }
    }
}
