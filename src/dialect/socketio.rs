//! The Socket.IO dialect: packets of the Socket.IO protocol, revision 5, in the namespace `/`.
//!
//! The frames are the packets without the prefix `4` of Engine.IO. `src/shell/engine/` speaks Engine.IO
//! with the client, and connects the client to its room over a WebSocket.
//!
//! | Direction | Frame |
//! |---|---|
//! | server → | `0{"sid":"bob"}`; the Worker adds the `pid` with which the client returns to its seat |
//! | server → | `2["peers",[{"id":"ann","polite":false}]]` |
//! | server → | `2["new-peer",{"senderId":"bob"}]`, `2["peer-left",{"senderId":"bob"}]` |
//! | → server | `2["offerSdp",{…},"ann"]`; without `"ann"`, a broadcast |
//! | → server | `27["offerSdp",{…},"ann"]`, with the number 7 of an acknowledgement |
//! | server → | `37[{"ok":true}]` or `37[{"error":{"code":"no-such-peer","message":"…"}}]` |
//! | server → | `2["offerSdp",{…},"bob"]` |
//! | server → | `2["error",{"code":"no-such-peer","message":"…","to":"zed"}]` |
//! | server → | `4{"message":"…","data":{"code":"room-full"}}`, if the join is refused |
//!
//! | In the dialect | In the room |
//! |---|---|
//! | `offerSdp`, `answerSdp`, `ice-candidate` | `offer`, `answer`, `candidate` |
//! | CONNECT (`0`), `peers` | welcome |
//! | `new-peer` | joined |
//!
//! The media server has no name in this dialect. Clients send `answerSdp`, `ice-candidate` and
//! `restart` without a receiver to it, and its events have no sender. After its offer, the candidates
//! in the SDP follow as events, because some clients expect them separately.

use std::borrow::Cow;

use super::frame::{error_fields, payload, peer_list, type_from, type_into};
use super::json::{Object, ObjectWriter, list, quote, unquote};
use crate::core::event::Signal;
use crate::core::notice::{Notice, RoutedSignal};
use crate::core::peer::{MEDIA_SERVER, PeerId};
use crate::core::refusal::Refusal;
use crate::core::text::split_once;

/// Signal types that this dialect cannot encode for peers: the events of the server, and the events
/// that socket.io-client reserves for itself.
pub(super) const RESERVED: &[&str] = &[
    "peers",
    "new-peer",
    "live",
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
];

/// The dialect's names of signal types.
const OFFER: &str = "offerSdp";
const ANSWER: &str = "answerSdp";
const CANDIDATE: &str = "ice-candidate";

/// The types that are sent to the media server if the event has no receiver.
const TO_MEDIA_SERVER: [&str; 3] = [ANSWER, CANDIDATE, "restart"];

/// The close code with which a peer leaves. After any other close code, the peer may return.
const LEAVE: u16 = 1000;

/// Returns whether a peer may return after its WebSocket was closed with this code. The Worker closes
/// the WebSocket with 1000 only if the client has disconnected deliberately.
pub(super) const fn may_return(code: u16) -> bool {
    code != LEAVE
}

pub(super) fn decode(text: &str) -> Result<Signal<'_>, Refusal<'static>> {
    let Some(event) = text.strip_prefix('2') else {
        return Err(not_an_event(text));
    };
    let digits = event.bytes().take_while(u8::is_ascii_digit).count();
    let (ack, arguments) = event.split_at_checked(digits).unwrap_or((event, ""));
    let ack = match ack {
        "" => None,
        ack => Some(ack.parse().map_err(|_| {
            Refusal::quoting(format!(
                "the acknowledgement number is {ack}, expected a number below 2^64"
            ))
        })?),
    };
    let (name, value, to) = match *list(arguments)? {
        [name] => (name, None, None),
        [name, value] => (name, Some(value), None),
        [name, value, to] => (name, Some(value), Some(to)),
        ref other => {
            let count = other.len();
            return Err(Refusal::malformed(format!(
                "the event has {count} elements, expected a name, a payload and a receiver: \
                 call `emit(name, payload, receiver)`"
            )));
        }
    };
    let name = unquote(name).ok_or_else(|| {
        Refusal::quoting(format!(
            "the name of the event is `{name}`, expected a string"
        ))
    })?;
    // `emit` sends an `undefined` receiver as `null`.
    let to = match to {
        None | Some("null") => TO_MEDIA_SERVER
            .contains(&&*name)
            .then_some(MEDIA_SERVER.into()),
        Some(to) => Some(unquote(to).ok_or_else(|| {
            Refusal::quoting(format!(
                "the receiver is `{to}`, expected the id of a peer as a string"
            ))
        })?),
    };
    Ok(Signal {
        to,
        signal_type: room_type(name),
        payload: payload(value),
        stated_sender: None,
        ack,
    })
}

/// Creates the refusal of a packet that is not an event.
fn not_an_event(text: &str) -> Refusal<'static> {
    let problem = match text.as_bytes().first() {
        Some(b'0' | b'1') => "is only allowed for connecting and disconnecting",
        Some(b'3') => "acknowledges an event, but the server asks for no acknowledgements",
        Some(b'5' | b'6') => {
            "is binary, expected JSON: convert binary values to text, such as base64"
        }
        _ => "is not a packet of Socket.IO, expected an event such as `2[\"offerSdp\",{}]`",
    };
    let start: String = text.chars().take(20).collect();
    Refusal::quoting(format!("the packet `{start}` {problem}"))
}

fn room_type(name: Cow<'_, str>) -> Cow<'_, str> {
    match &*name {
        OFFER => "offer".into(),
        ANSWER => "answer".into(),
        _ => type_from(CANDIDATE, name),
    }
}

fn event_name(signal_type: &str) -> &str {
    match signal_type {
        "offer" => OFFER,
        "answer" => ANSWER,
        _ => type_into(CANDIDATE, signal_type),
    }
}

pub(super) fn encode(notice: &Notice<'_>) -> Vec<String> {
    let frame = match notice {
        Notice::Welcome { id, peers, .. } => {
            let sid = ObjectWriter::new(0).string("sid", id.as_str()).end();
            let peers = peer_list(peers, false);
            return vec![["0", &sid].concat(), event("peers", &peers)];
        }
        Notice::Joined { id, .. } if !id.is_media_server() => peer_event("new-peer", id),
        Notice::Left { id, .. } if !id.is_media_server() => peer_event("peer-left", id),
        // The media server has no name in this dialect. Only event streams get changes.
        Notice::Joined { .. }
        | Notice::Left { .. }
        | Notice::Changes(_)
        | Notice::Unavailable { .. } => return Vec::new(),
        Notice::Signal(signal) if signal.from.is_media_server() => {
            return from_media_server(signal);
        }
        Notice::Signal(RoutedSignal {
            from,
            signal_type,
            payload,
            ..
        }) => {
            let name = quote(event_name(signal_type));
            let payload = payload.as_deref().unwrap_or("null");
            ["2[", &name, ",", payload, ",", &quote(from.as_str()), "]"].concat()
        }
        Notice::Acknowledged { ack, result } => {
            let result = match result {
                Ok(()) => ObjectWriter::new(0).boolean("ok", true).end(),
                Err(refusal) => {
                    let error = error_fields(ObjectWriter::new(0), refusal).end();
                    ObjectWriter::new(error.len()).raw("error", &error).end()
                }
            };
            format!("3{ack}[{result}]")
        }
        Notice::Refused(refusal) => {
            let error = error_fields(ObjectWriter::new(0), refusal);
            let error = error.optional_string("to", refusal.to.as_deref());
            event("error", &error.end())
        }
    };
    vec![frame]
}

/// Encodes the refusal of a join as a CONNECT_ERROR packet.
pub(super) fn encode_rejection(refusal: &Refusal<'_>) -> String {
    let data = ObjectWriter::new(0).string("code", refusal.code.as_str());
    let error = ObjectWriter::new(0)
        .string("message", &refusal.message)
        .raw("data", &data.end());
    ["4", &error.end()].concat()
}

/// Encodes a signal from the media server. The candidates of an offer follow as events of their own.
/// `null` ends them.
fn from_media_server(signal: &RoutedSignal<'_>) -> Vec<String> {
    let payload = signal.payload.as_deref().unwrap_or("null");
    let first = event(event_name(&signal.signal_type), payload);
    if signal.signal_type != "offer" {
        return vec![first];
    }
    let candidates = candidates_in(payload).into_iter();
    let candidates = candidates.map(|candidate| event(CANDIDATE, &candidate));
    std::iter::once(first)
        .chain(candidates)
        .chain([event(CANDIDATE, "null")])
        .collect()
}

/// Returns the candidates in a session description, each in the form of an `RTCIceCandidateInit`.
fn candidates_in(description: &str) -> Vec<String> {
    let sdp = Object::read(description).and_then(|mut fields| fields.take_string("sdp"));
    let Ok(Some(sdp)) = sdp else {
        return Vec::new();
    };
    let mut candidates = Vec::new();
    // The part before the first media description has no candidates (RFC 8839 §5.1).
    let mut section = split_once(&sdp, "\nm=");
    let mut index = 0_usize;
    while let Some((_, rest)) = section {
        section = split_once(rest, "\nm=");
        let media = section.map_or(rest, |(media, _)| media);
        let attributes = || {
            media
                .trim_end()
                .lines()
                .filter_map(|line| line.strip_prefix("a="))
        };
        let mid = attributes().find_map(|attribute| attribute.strip_prefix("mid:"));
        for candidate in attributes().filter(|attribute| attribute.starts_with("candidate:")) {
            let candidate = ObjectWriter::new(candidate.len())
                .string("candidate", candidate)
                .optional_string("sdpMid", mid)
                .raw("sdpMLineIndex", &index.to_string());
            candidates.push(candidate.end());
        }
        index = index.saturating_add(1);
    }
    candidates
}

fn peer_event(name: &str, id: &PeerId) -> String {
    let sender = ObjectWriter::new(0).string("senderId", id.as_str());
    event(name, &sender.end())
}

/// Encodes an event with one argument.
fn event(name: &str, argument: &str) -> String {
    ["2[", &quote(name), ",", argument, "]"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::notice::Listed;
    use crate::core::refusal::Code;

    fn signal(text: &str) -> Signal<'_> {
        decode(text).unwrap_or_else(|refusal| panic!("{text}: {}", refusal.message))
    }

    #[test]
    fn an_event_has_a_name_a_payload_and_a_receiver() {
        let offer = signal(r#"212["offerSdp", {"sdp": "v=0"} ,"ann"]"#);
        assert_eq!(offer.signal_type, "offer");
        assert_eq!(offer.payload.as_deref(), Some(r#"{"sdp": "v=0"}"#));
        assert_eq!(offer.to.as_deref(), Some("ann"));
        assert_eq!(offer.ack, Some(12));
        let hello = signal(r#"2["hello"]"#);
        assert_eq!((hello.payload, hello.to, hello.ack), (None, None, None));
        for no_receiver in [r#"2["offerSdp",1]"#, r#"2["hello",1,null]"#] {
            assert_eq!(signal(no_receiver).to, None, "{no_receiver}");
        }
    }

    #[test]
    fn an_answer_without_a_receiver_is_for_the_media_server() {
        for (event, signal_type) in [
            (r#"2["answerSdp",{}]"#, "answer"),
            (r#"2["ice-candidate",null]"#, "candidate"),
            (r#"2["restart"]"#, "restart"),
        ] {
            let signal = signal(event);
            assert_eq!(signal.to.as_deref(), Some(MEDIA_SERVER), "{event}");
            assert_eq!(signal.signal_type, signal_type);
        }
        assert_eq!(
            signal(r#"2["answerSdp",{},"ann"]"#).to.as_deref(),
            Some("ann")
        );
    }

    #[test]
    fn a_malformed_packet_is_refused_with_its_fault() {
        for (text, expected) in [
            ("", "is not a packet of Socket.IO"),
            ("abc", "the packet `abc` is not a packet of Socket.IO"),
            ("0", "only allowed for connecting"),
            ("37[]", "the server asks for no acknowledgements"),
            (r#"51-["x",{"_placeholder":true,"num":0}]"#, "is binary"),
            ("61-[]", "is binary"),
            ("2", "expected a JSON array"),
            (
                "2{}",
                "expected a JSON array, which starts with `[`, found `{`",
            ),
            ("2[]", "the event has 0 elements"),
            (r#"2["x",1,"ann",2]"#, "the event has 4 elements"),
            ("2[7]", "the name of the event is `7`"),
            (r#"2["x",1,7]"#, "the receiver is `7`"),
            (r#"2/chat,["x"]"#, "found `/`"),
            (r#"2abc["x"]"#, "found `a`"),
            (r#"299999999999999999999["x"]"#, "below 2^64"),
            (r#"2["x",{]"#, "invalid value"),
        ] {
            let refusal = decode(text).unwrap_err();
            assert_eq!(refusal.code, Code::Malformed);
            assert!(
                refusal.message.contains(expected),
                "{text}: {}",
                refusal.message
            );
        }
    }

    fn from(sender: PeerId, signal_type: &'static str, payload: &'static str) -> Vec<String> {
        encode(&Notice::Signal(RoutedSignal {
            from: sender,
            to: None,
            signal_type: signal_type.into(),
            payload: Some(payload.into()),
        }))
    }

    #[test]
    fn an_offer_of_the_media_server_is_followed_by_its_candidates() {
        let offer = concat!(
            r#"{"type":"offer","sdp":"v=0\r\na=candidate:0 in no media\r\nm=audio 9\r\n"#,
            r#"a=candidate:1 1 udp\r\na=mid:a\r\nm=video 9\r\na=candidate:2 1 udp\r\n"}"#
        );
        assert_eq!(
            from(PeerId::media_server(), "offer", offer),
            [
                &*format!(r#"2["offerSdp",{offer}]"#),
                r#"2["ice-candidate",{"candidate":"candidate:1 1 udp","sdpMid":"a","sdpMLineIndex":0}]"#,
                r#"2["ice-candidate",{"candidate":"candidate:2 1 udp","sdpMLineIndex":1}]"#,
                r#"2["ice-candidate",null]"#,
            ]
        );
        for unreadable in ["null", "[]", r#"{"sdp":7}"#, r#"{"type":"offer"}"#] {
            let frames = from(PeerId::media_server(), "offer", unreadable);
            assert_eq!(frames.len(), 2, "{unreadable}");
        }
    }

    #[test]
    fn events_of_the_media_server_have_no_sender() {
        assert_eq!(
            from(PeerId::media_server(), "live", r#"{"state":"waiting"}"#),
            [r#"2["live",{"state":"waiting"}]"#]
        );
        let ann = PeerId::parse("ann").unwrap();
        assert_eq!(from(ann, "answer", "{}"), [r#"2["answerSdp",{},"ann"]"#]);
    }

    #[test]
    fn the_media_server_is_not_listed() {
        let id = PeerId::parse("bob").unwrap();
        let peers = vec![Listed {
            id: PeerId::media_server(),
            polite: true,
            meta: None,
        }];
        let welcome = encode(&Notice::Welcome {
            id,
            room: "demo".into(),
            peers,
            offered: None,
        });
        assert_eq!(welcome, [r#"0{"sid":"bob"}"#, r#"2["peers",[]]"#]);
    }

    #[test]
    fn an_acknowledgement_has_the_number_of_its_event() {
        let encode = |result| encode(&Notice::Acknowledged { ack: 7, result });
        assert_eq!(encode(Ok(())), [r#"37[{"ok":true}]"#]);
        assert_eq!(
            encode(Err(Refusal::malformed("\""))),
            [r#"37[{"error":{"code":"malformed","message":"\""}}]"#]
        );
    }

    #[test]
    fn a_refused_join_is_a_connect_error() {
        assert_eq!(
            encode_rejection(&Refusal::new(Code::RoomFull, "full")),
            r#"4{"message":"full","data":{"code":"room-full"}}"#
        );
    }
}
