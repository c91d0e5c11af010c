//! The native dialect of the client library: JSON objects with `type`, `to` or `from`, and `payload`.
//!
//! | Direction | Frame |
//! |---|---|
//! | server → | `{"type":"welcome","id":"bob","room":"demo","peers":[{"id":"ann","polite":false}]}` |
//! | server → | `{"type":"peer-joined","id":"bob","polite":true}` |
//! | server → | `{"type":"peer-left","id":"bob"}` |
//! | → server | `{"type":"offer","to":"ann","payload":{…}}` |
//! | server → | `{"type":"offer","from":"bob","payload":{…}}` |
//! | server → | `{"type":"error","code":"no-such-peer","message":"…","to":"zed"}` |
//!
//! A frame from a client without `to` is a broadcast.
//!
//! To a client that asks for metas, `peer-joined` and the entries of `peers` have the key `meta`. If an offer
//! has arrived with the join, `offered` in the welcome is the id of its receiver.
//!
//! A frame from a client may also be a batch: an array of up to 32 signals. Each signal is handled like
//! a separate frame. Batches save time, because browsers gather ICE candidates in bursts, and receiving
//! a frame costs more than handling a signal.
//!
//! This module does not decode the frame `ping`, because the platform replies to it with `pong`.

use super::frame::{deny_unknown, error, missing_type, payload, peer_list};
use super::json::{Object, ObjectWriter, list, trim_start};
use crate::core::event::Signal;
use crate::core::notice::{Notice, RoutedSignal};
use crate::core::peer::PeerId;
use crate::core::refusal::Refusal;

/// Empty, because the room already reserves the types of all frames from the server.
pub(super) const RESERVED: &[&str] = &[];

/// The maximum number of signals in one frame.
const MAX_BATCH: usize = 32;

/// Splits a batch into its signals. Returns `None` for any other frame.
pub(super) fn split_batch(text: &str) -> Option<Vec<&str>> {
    is_list(text).then(|| batch(text).ok())?
}

fn batch(text: &str) -> Result<Vec<&str>, Refusal<'static>> {
    let signals = list(text)?;
    if !(1..=MAX_BATCH).contains(&signals.len()) {
        let count = signals.len();
        return Err(Refusal::malformed(format!(
            "the array has {count} elements, expected 1 to {MAX_BATCH} signals in one frame"
        )));
    }
    match signals.iter().find(|signal| !signal.starts_with('{')) {
        None => Ok(signals),
        Some(other) => Err(Refusal::quoting(format!(
            "the array has an element that is not an object, expected signals: `{other}`"
        ))),
    }
}

fn is_list(text: &str) -> bool {
    trim_start(text).starts_with('[')
}

pub(super) fn decode(text: &str) -> Result<Signal<'_>, Refusal<'static>> {
    let mut frame = match Object::read(text) {
        // An array arrives here only if `split_batch` returned `None`, so `batch` returns an error.
        Err(error) if is_list(text) => {
            batch(text)?;
            return Err(error.into());
        }
        read => read?,
    };
    let signal_type = frame.take_string("type")?;
    let to = frame.take_string("to")?;
    let payload = payload(frame.take("payload"));
    deny_unknown(frame, "`type`, `to` or `payload`")?;
    Ok(Signal {
        to,
        signal_type: signal_type.ok_or_else(missing_type)?,
        payload,
        stated_sender: None,
        ack: None,
    })
}

pub(super) fn encode(notice: &Notice<'_>) -> Vec<String> {
    let frame = match notice {
        Notice::Welcome {
            id,
            room,
            peers,
            offered,
        } => ObjectWriter::new(0)
            .string("type", "welcome")
            .string("id", id.as_str())
            .string("room", room)
            .raw("peers", &peer_list(peers, true))
            .optional_string("offered", offered.as_ref().map(PeerId::as_str)),
        Notice::Joined {
            id, polite, meta, ..
        } => ObjectWriter::new(0)
            .string("type", "peer-joined")
            .string("id", id.as_str())
            .boolean("polite", *polite)
            .optional_raw("meta", meta.as_deref()),
        Notice::Left { id, .. } => ObjectWriter::new(0)
            .string("type", "peer-left")
            .string("id", id.as_str()),
        // Only event streams get changes, and only Socket.IO clients get acknowledgements.
        Notice::Changes(_) | Notice::Acknowledged { .. } | Notice::Unavailable { .. } => {
            return Vec::new();
        }
        Notice::Signal(RoutedSignal {
            from,
            signal_type,
            payload,
            ..
        }) => ObjectWriter::new(payload.as_ref().map_or(0, |payload| payload.len()))
            .string("type", signal_type)
            .string("from", from.as_str())
            .optional_raw("payload", payload.as_deref()),
        Notice::Refused(refusal) => {
            error("type", refusal).optional_string("to", refusal.to.as_deref())
        }
    };
    vec![frame.end()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::refusal::Code;

    fn fault_of(text: &str) -> String {
        let refusal = decode(text).unwrap_err();
        assert_eq!(refusal.code, Code::Malformed, "{text}");
        refusal.message.into_owned()
    }

    #[test]
    fn a_signal_has_a_type_a_receiver_and_a_payload() {
        let signal = decode(r#"{"type":"offer","to":"ann","payload":{"sdp":""}}"#).unwrap();
        assert_eq!(signal.signal_type, "offer");
        assert_eq!(signal.to.as_deref(), Some("ann"));
        assert_eq!(signal.payload.as_deref(), Some(r#"{"sdp":""}"#));
    }

    #[test]
    fn a_payload_is_forwarded_byte_for_byte() {
        for payload in [
            r#"{ "b" : 1,  "a":1e400, "a":"\u00e9\ud800" }"#,
            "12345678901234567890.10",
            "[ ]",
            r#""\/""#,
            "false",
        ] {
            let text = format!(r#"{{"payload": {payload} ,"type":"x"}}"#);
            assert_eq!(decode(&text).unwrap().payload.as_deref(), Some(payload));
        }
    }

    #[test]
    fn a_null_payload_means_the_same_as_no_payload() {
        assert_eq!(
            decode(r#"{"type":"x","payload":null}"#),
            decode(r#"{"type":"x"}"#)
        );
    }

    #[test]
    fn a_malformed_frame_is_refused_with_its_fault() {
        for (text, expected) in [
            ("", "expected a JSON object"),
            (
                "hello",
                "expected a JSON object, which starts with `{`, found `h`",
            ),
            (r#"["offer","ann",{}]"#, "expected signals: `\"offer\"`"),
            (" []", "the array has 0 elements, expected 1 to 32 signals"),
            ("[{},]", "expected value"),
            ("[{}] 7", "expected the end of the text after a JSON array"),
            ("7", "expected a JSON object"),
            ("{}", "missing field `type`"),
            (r#"{"type":1}"#, "`type` is `1`, expected a valid string"),
            (r#"{"type":null}"#, "`type` is `null`, expected"),
            (r#"{"type":"x","to":7}"#, "`to` is `7`, expected"),
            (r#"{"type":"x","to":null}"#, "`to` is `null`, expected"),
            (r#"{"type":"x","from":"eve"}"#, "unknown field `from`"),
            (r#"{"type":"x","type":"y"}"#, "duplicate field `type`"),
            (r#"{"type":"x"}{"#, "expected the end of the text"),
            (r#"{"type":"x","payload":{"a":}}"#, "expected value"),
            (r#"{"type":"\ud800"}"#, r#"`type` is `"\ud800"`, expected"#),
        ] {
            let fault = fault_of(text);
            assert!(fault.contains(expected), "{text}: {fault}");
        }
    }

    #[test]
    fn a_batch_is_split_into_its_signals_byte_for_byte() {
        let list = r#" [{"type":"x","payload":[1, 2]} ,
            {"type":7},{}]"#;
        let signals = [r#"{"type":"x","payload":[1, 2]}"#, r#"{"type":7}"#, "{}"];
        assert_eq!(signals_of(list), Some(signals.map(str::to_owned).to_vec()));
        let many = |count| format!("[{}]", vec!["{}"; count].join(","));
        assert_eq!(signals_of(&many(32)).map(|signals| signals.len()), Some(32));
        for text in [
            &many(33),
            "[]",
            "{}",
            "[[{}]]",
            "[{},7]",
            "[{}",
            "[{}]]",
            "[{},]",
            r#"[{"a":}]"#,
            "",
        ] {
            assert_eq!(signals_of(text), None, "{text}");
        }
    }

    fn signals_of(text: &str) -> Option<Vec<String>> {
        Some(split_batch(text)?.into_iter().map(str::to_owned).collect())
    }

    #[test]
    fn a_message_is_truncated_when_it_quotes_a_long_key() {
        let text = format!(r#"{{"{}":1}}"#, "ä".repeat(9_000));
        assert_eq!(fault_of(&text).chars().count(), 200);
    }

    #[test]
    fn a_deeply_nested_payload_is_forwarded_unparsed() {
        let deep = format!(
            r#"{{"type":"x","payload":{}{}}}"#,
            "[".repeat(30_000),
            "]".repeat(30_000)
        );
        assert!(decode(&deep).is_ok());
    }

    #[test]
    fn a_refusal_escapes_the_text_that_it_quotes() {
        let refusal = Refusal {
            to: Some("a\"\n".into()),
            ..Refusal::malformed("\u{1}")
        };
        assert_eq!(
            encode(&Notice::Refused(refusal)),
            [r#"{"type":"error","code":"malformed","message":"\u0001","to":"a\"\n"}"#]
        );
    }
}
