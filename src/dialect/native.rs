//! The native dialect: JSON objects with `type`, `to` or `from`, and `payload`.
//!
//! | direction | frame |
//! |---|---|
//! | server → | `{"type":"welcome","id":"bob","room":"demo","peers":[{"id":"ann","polite":false}]}` |
//! | server → | `{"type":"peer-joined","id":"bob","polite":true}` |
//! | server → | `{"type":"peer-left","id":"bob"}` |
//! | → server | `{"type":"offer","to":"ann","payload":{…}}`, to all others without `to` |
//! | server → | `{"type":"offer","from":"bob","payload":{…}}` |
//! | server → | `{"type":"error","code":"no-such-peer","message":"…","to":"zed"}` |
//!
//! A frame may be a list of up to 32 signals: each is as good as a frame of its own, and is forwarded in
//! one. Candidates come in bunches, and to take a frame in is most of what it costs.
//!
//! The bare texts `ping` and `pong` never get here: the platform answers them.

use super::{nothing_else, payload};
use crate::core::event::Signal;
use crate::core::notice::{Notice, RoutedSignal};
use crate::core::refusal::Refusal;
use crate::dialect::json::{Object, WHITESPACE, list, quote};

/// The most signals in one frame.
const MOST: usize = 32;

/// The signals of a frame that is a list of them.
pub(super) fn signals(text: &str) -> Option<Vec<&str>> {
    let signals = is_list(text).then(|| list(text).ok())??;
    let fine =
        (1..=MOST).contains(&signals.len()) && signals.iter().all(|one| one.starts_with('{'));
    fine.then_some(signals)
}

fn is_list(text: &str) -> bool {
    text.trim_start_matches(WHITESPACE).starts_with('[')
}

pub(super) fn decode(text: &str) -> Result<Signal<'_>, Refusal<'_>> {
    let mut frame = match Object::read(text) {
        Err(_) if is_list(text) => {
            let message = format!("a list in one frame is one of 1 to {MOST} signals");
            return Err(Refusal::malformed(message));
        }
        read => read?,
    };
    let signal_type = frame.take_string("type")?;
    let to = frame.take_string("to")?;
    let payload = payload(frame.take("payload"));
    nothing_else(frame, "`type`, `to` or `payload`")?;
    Ok(Signal {
        to,
        signal_type: signal_type.ok_or_else(|| Refusal::malformed("missing field `type`"))?,
        payload,
        stated_sender: None,
    })
}

pub(super) fn encode(notice: &Notice<'_>) -> String {
    match notice {
        Notice::Welcome { id, room, peers } => {
            let room = quote(room);
            let peers: Vec<_> = peers
                .iter()
                .map(|(id, polite)| seen(id.as_str(), *polite))
                .collect();
            let peers = peers.join(",");
            format!(r#"{{"type":"welcome","id":"{id}","room":{room},"peers":[{peers}]}}"#)
        }
        Notice::Joined { id, polite } => {
            format!(r#"{{"type":"peer-joined","id":"{id}","polite":{polite}}}"#)
        }
        Notice::Left { id } => format!(r#"{{"type":"peer-left","id":"{id}"}}"#),
        Notice::Signal(RoutedSignal {
            from,
            signal_type,
            payload,
            ..
        }) => {
            let (key, payload) = match payload {
                Some(payload) => (r#"","payload":"#, &**payload),
                None => ("\"", ""),
            };
            let (signal_type, from) = (quote(signal_type), from.as_str());
            [
                r#"{"type":"#,
                &signal_type,
                r#","from":""#,
                from,
                key,
                payload,
                "}",
            ]
            .concat()
        }
        Notice::Refused(Refusal { code, message, to }) => {
            let (code, message) = (code.as_str(), quote(message));
            let to = to
                .as_ref()
                .map_or_else(String::new, |to| format!(r#","to":{}"#, quote(to)));
            format!(r#"{{"type":"error","code":"{code}","message":{message}{to}}}"#)
        }
    }
}

fn seen(id: &str, polite: bool) -> String {
    format!(r#"{{"id":"{id}","polite":{polite}}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::refusal::Code;

    fn why(text: &str) -> String {
        let refusal = decode(text).unwrap_err();
        assert_eq!(refusal.code, Code::Malformed, "{text}");
        refusal.message.into_owned()
    }

    #[test]
    fn a_signal_is_a_kind_a_receiver_and_a_payload() {
        let signal = decode(r#"{"type":"offer","to":"ann","payload":{"sdp":""}}"#).unwrap();
        assert_eq!(signal.signal_type, "offer");
        assert_eq!(signal.to.as_deref(), Some("ann"));
        assert_eq!(signal.payload.as_deref(), Some(r#"{"sdp":""}"#));
    }

    #[test]
    fn a_payload_is_kept_to_the_byte() {
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
    fn null_and_no_payload_are_the_same() {
        assert_eq!(
            decode(r#"{"type":"x","payload":null}"#),
            decode(r#"{"type":"x"}"#)
        );
    }

    #[test]
    fn a_frame_that_is_no_signal_is_told_why() {
        for (text, what) in [
            ("", "expected an object"),
            ("hello", "expected an object"),
            (r#"["offer","ann",{}]"#, "1 to 32 signals"),
            (" []", "1 to 32 signals"),
            ("7", "expected an object"),
            ("{}", "missing field `type`"),
            (r#"{"type":1}"#, "`type` is not a string"),
            (r#"{"type":null}"#, "`type` is not a string"),
            (r#"{"type":"x","to":7}"#, "`to` is not a string"),
            (r#"{"type":"x","to":null}"#, "`to` is not a string"),
            (r#"{"type":"x","from":"eve"}"#, "unknown field `from`"),
            (r#"{"type":"x","type":"y"}"#, "duplicate field `type`"),
            (r#"{"type":"x"}{"#, "trailing"),
            (r#"{"type":"x","payload":{"a":}}"#, "expected value"),
            (r#"{"type":"\ud800"}"#, "`type` is not a string"),
        ] {
            let why = why(text);
            assert!(why.contains(what), "{text}: {why}");
        }
    }

    #[test]
    fn a_list_is_split_into_its_signals_as_they_were_written() {
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
        Some(signals(text)?.into_iter().map(str::to_owned).collect())
    }

    #[test]
    fn an_explanation_does_not_quote_without_end() {
        let text = format!(r#"{{"{}":1}}"#, "ä".repeat(9_000));
        assert_eq!(why(&text).chars().count(), 200);
    }

    #[test]
    fn what_is_deep_is_not_followed() {
        let deep = format!(
            r#"{{"type":"x","payload":{}{}}}"#,
            "[".repeat(30_000),
            "]".repeat(30_000)
        );
        assert!(decode(&deep).is_ok());
    }

    #[test]
    fn what_peers_write_is_escaped() {
        let refusal = Refusal {
            to: Some("a\"\n".into()),
            ..Refusal::malformed("\u{1}")
        };
        assert_eq!(
            encode(&Notice::Refused(refusal)),
            r#"{"type":"error","code":"malformed","message":"\u0001","to":"a\"\n"}"#
        );
    }
}
