//! The dialect of y-webrtc, which synchronizes the documents of Yjs. A topic is the name of a document.
//!
//! | Direction | Frame |
//! |---|---|
//! | → server | `{"type":"subscribe","topics":["doc"]}` |
//! | → server | `{"type":"unsubscribe","topics":["doc"]}` |
//! | → server | `{"type":"publish","topic":"doc","data":…}` |
//! | server → | `{"type":"publish","topic":"doc","data":…,"clients":2}` |
//!
//! The server sends a published frame to all subscribers of the topic, including its sender. All its
//! fields are forwarded, except `clients`, which is the number of subscribers. The first frame that a
//! client publishes after it subscribed is sent only to earlier subscribers; see
//! [`topics`](crate::core::topics).
//!
//! The client parses each frame as JSON, and does not handle errors. The server therefore sends no error
//! frames, and ignores frames of other types and frames that it cannot decode.
//!
//! This module does not decode the frame `{"type":"ping"}`, because the platform replies to it with
//! `{"type":"pong"}`.
//!
//! The protocol is that of bin/server.js in y-webrtc 10.3.0.

use std::borrow::Cow;

use super::json::{Object, ObjectWriter, list, unquote};
use crate::core::refusal::Refusal;
use crate::core::topics::{Call, Mark, Notice};

pub(super) fn decode(text: &str) -> Result<Call<'_>, Refusal<'static>> {
    let mut object = Object::read(text)?;
    let (mut frame_type, mut topic, mut topics) = (None, None, None);
    let mut body = ObjectWriter::new(text.len());
    while let Some((key, value)) = object.take_first() {
        match &*key {
            "type" => frame_type = unquote(value),
            "topic" => topic = unquote(value),
            "topics" => topics = Some(value),
            "clients" => continue,
            _ => {}
        }
        body = body.raw_at(&key, value);
    }
    Ok(match (frame_type.as_deref(), topic) {
        (Some("subscribe"), _) => Call::Subscribe(names(topics)?, Mark::Fresh),
        (Some("unsubscribe"), _) => Call::Unsubscribe(names(topics)?),
        (Some("publish"), Some(topic)) => Call::Publish {
            topic,
            body: body.end(),
        },
        _ => Call::Nothing,
    })
}

/// Reads the names of topics, without values that are not strings, which the server of y-webrtc skips.
fn names(topics: Option<&str>) -> Result<Vec<Cow<'_, str>>, Refusal<'static>> {
    let topics = list(topics.unwrap_or("[]"))?;
    Ok(topics.into_iter().filter_map(unquote).collect())
}

/// Adds the number of subscribers to a published frame. A client that receives another frame may fail, so
/// refusals are silent.
pub(super) fn encode(notice: &Notice) -> Vec<String> {
    let Notice::Post {
        body, subscribers, ..
    } = notice
    else {
        return Vec::new();
    };
    let fields = body.strip_suffix('}').unwrap_or(body);
    vec![format!(r#"{fields},"clients":{subscribers}}}"#)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn published(text: &str) -> String {
        match decode(text) {
            Ok(Call::Publish { body, .. }) => encode(&Notice::Post {
                body: body.into(),
                label: "".into(),
                subscribers: 2,
            })
            .concat(),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_client_subscribes_and_unsubscribes() {
        let topics = vec!["a".into(), "b\"".into()];
        let frame = |frame_type| format!(r#"{{"type":"{frame_type}","topics":["a",7,"b\""]}}"#);
        let subscribe = frame("subscribe");
        assert_eq!(
            decode(&subscribe),
            Ok(Call::Subscribe(topics.clone(), Mark::Fresh))
        );
        let unsubscribe = frame("unsubscribe");
        assert_eq!(decode(&unsubscribe), Ok(Call::Unsubscribe(topics)));
    }

    #[test]
    fn a_published_frame_is_forwarded_as_written_except_clients() {
        for (sent, expected) in [
            (
                r#"{"type":"publish","topic":"d","data":{ "b":1e400,"a":"\ud800" }}"#,
                r#"{"type":"publish","topic":"d","data":{ "b":1e400,"a":"\ud800" },"clients":2}"#,
            ),
            (
                r#"{"clients":99,"x":[ ],"topic":"d","type":"publish"}"#,
                r#"{"x":[ ],"topic":"d","type":"publish","clients":2}"#,
            ),
            (
                r#" { "\u0074ype" : "publish" , "topic" : "\u0064", "clients":{"}":1} } "#,
                r#"{"type":"publish","topic":"\u0064","clients":2}"#,
            ),
        ] {
            assert_eq!(published(sent), expected);
        }
    }

    #[test]
    fn other_frames_have_no_effect() {
        for text in [
            "{}",
            r#"{"type":"ping"}"#,
            r#"{"type": "ping"}"#,
            r#"{"type":"pong"}"#,
            r#"{"type":7,"topic":"d"}"#,
            r#"{"type":"publish"}"#,
            r#"{"type":"publish","topic":null}"#,
            r#"{"type":"publish","topic":"\ud800"}"#,
        ] {
            assert_eq!(decode(text), Ok(Call::Nothing), "{text}");
        }
        for text in [
            "",
            "ping",
            "[]",
            r#"{"type":"subscribe","topics":"d"}"#,
            r#"{"type":"subscribe","topics":{"0":"d"}}"#,
            r#"{"type":"publish","type":"publish","topic":"d"}"#,
        ] {
            assert!(decode(text).is_err(), "{text}");
        }
        let none = r#"{"type":"subscribe"}"#;
        assert_eq!(decode(none), Ok(Call::Subscribe(Vec::new(), Mark::Fresh)));
    }
}
