//! The dialect of `PeerJS` (1.5), whose clients call each other by id.
//!
//! | Direction | Frame | In the room |
//! |---|---|---|
//! | server → | `{"type":"OPEN"}` | welcome |
//! | → server | `{"type":"OFFER","dst":"ann","payload":…}` | the signal `offer` to `ann` |
//! | → server | `{"type":"ANSWER",…}`, `{"type":"CANDIDATE",…}` | `answer`, `candidate` |
//! | → server | `{"type":"LEAVE","dst":"ann"}`, `{"type":"EXPIRE",…}` | `leave`, `expire` |
//! | server → | `{"type":"OFFER","src":"bob","dst":"ann","payload":…}` | a signal from `bob` |
//! | server → | `{"type":"EXPIRE","src":"ann","dst":"bob"}` | `ann` is unavailable, to which `bob` has sent signals |
//! | → server | `{"type":"HEARTBEAT"}` | nothing; see [`family`](super::family) |
//! | server → | `{"type":"ID-TAKEN","payload":{"msg":"ID is taken"}}` | a join is refused as `id-taken` |
//! | server → | `{"type":"INVALID-KEY","payload":{"msg":"…"}}` | a join is refused as `unauthorized` |
//! | server → | `{"type":"ERROR","payload":{"msg":"…"}}` | a join is refused for another reason |
//!
//! The server sends nothing after it has refused a frame, because `ERROR` makes the client disconnect. It
//! sends nothing when a peer leaves, because `LEAVE` closes connections that still work. It ignores
//! frames of any other type, and the `src` in a frame from a client.
//!
//! An id of `PeerJS` may contain spaces, and never contains `~`. In the room, each space is a `~`.

use super::frame::payload;
use super::json::{Object, ObjectWriter};
use crate::core::event::Signal;
use crate::core::notice::{Notice, RoutedSignal};
use crate::core::peer::Time;
use crate::core::refusal::{Code, Refusal};

/// This dialect has a fixed set of types, so nothing is reserved.
pub(super) const RESERVED: &[&str] = &[];

/// The message of the refusals that the client never receives.
const IGNORED: &str = "the frame is no signal to a peer: expected `type` and `dst`";
/// The message with which the server of `PeerJS` refuses an incomplete join.
const INCOMPLETE: &str = "No id, token, or key supplied to websocket server";
/// The message with which the server of `PeerJS` refuses a join when it is full.
const FULL: &str = "Server has reached its concurrent user limit";

/// The time after its last heartbeat in which a client keeps its id, in milliseconds. Clients send a
/// heartbeat every 5 seconds, and hidden tabs of Chrome every minute.
const HEARTBEAT_TIMEOUT_MS: u64 = 120_000;

/// Returns the id in the room for an id of `PeerJS`.
#[must_use]
pub fn id_in_room(id: &str) -> String {
    swap(id, b' ', b'~')
}

/// Returns whether a client has stopped sending heartbeats, so that another client may take its id.
#[must_use]
pub fn has_stopped(last_heartbeat: Time, now: Time) -> bool {
    last_heartbeat.plus(HEARTBEAT_TIMEOUT_MS) < now
}

/// Returns the refusal of a join without an id, a key or a token that a room can use.
#[must_use]
pub fn incomplete() -> Refusal<'static> {
    Refusal::new(Code::BadId, INCOMPLETE)
}

pub(super) fn decode(text: &str) -> Result<Signal<'_>, Refusal<'static>> {
    let mut object = Object::read(text)?;
    let spelled = object.take_string("type")?;
    let to = object.take_string("dst")?.filter(|to| !to.is_empty());
    let signal_type = spelled.as_deref().and_then(type_in_room);
    let (Some(signal_type), Some(to)) = (signal_type, to) else {
        return Err(Refusal::malformed(IGNORED));
    };
    Ok(Signal {
        to: Some(id_in_room(&to).into()),
        signal_type: signal_type.into(),
        payload: payload(object.take("payload")),
        stated_sender: None,
        ack: None,
    })
}

pub(super) fn encode(notice: &Notice<'_>) -> Vec<String> {
    let frame = match notice {
        Notice::Welcome { .. } => ObjectWriter::new(0).string("type", "OPEN"),
        Notice::Signal(RoutedSignal {
            from,
            to,
            signal_type,
            payload,
        }) => {
            let to = to.as_ref().map(|to| id_outside(to.as_str()));
            let payload = payload.as_deref();
            ObjectWriter::new(payload.map_or(0, str::len))
                .string("type", &signal_type.to_ascii_uppercase())
                .string("src", &id_outside(from.as_str()))
                .optional_string("dst", to.as_deref())
                .optional_raw("payload", payload)
        }
        Notice::Unavailable { peer, to } => ObjectWriter::new(0)
            .string("type", "EXPIRE")
            .string("src", &id_outside(peer))
            .string("dst", &id_outside(to.as_str())),
        Notice::Joined { .. }
        | Notice::Left { .. }
        | Notice::Changes(_)
        | Notice::Acknowledged { .. }
        | Notice::Refused(_) => return Vec::new(),
    };
    vec![frame.end()]
}

/// Encodes the refusal of a join. The WebSocket is then closed.
pub(super) fn encode_rejection(refusal: &Refusal<'_>) -> String {
    let (frame_type, message) = match refusal.code {
        Code::IdTaken => ("ID-TAKEN", "ID is taken"),
        Code::Unauthorized => ("INVALID-KEY", &*refusal.message),
        Code::RoomFull => ("ERROR", FULL),
        _ => ("ERROR", &*refusal.message),
    };
    let message = ObjectWriter::new(0).string("msg", message).end();
    ObjectWriter::new(message.len())
        .string("type", frame_type)
        .raw("payload", &message)
        .end()
}

/// Returns the id of `PeerJS` for an id in the room.
fn id_outside(id: &str) -> String {
    swap(id, b'~', b' ')
}

/// Replaces each ASCII character `from` with the ASCII character `to`.
#[inline(never)]
fn swap(id: &str, from: u8, to: u8) -> String {
    let mut bytes = id.as_bytes().to_vec();
    for byte in &mut bytes {
        if *byte == from {
            *byte = to;
        }
    }
    // One ASCII character in place of another leaves the text valid.
    String::from_utf8(bytes).unwrap_or_default()
}

/// Returns the type of a signal in the room, or `None` for a frame that is no signal. In the dialect, the
/// same types have capital letters.
fn type_in_room(spelled: &str) -> Option<&'static str> {
    let types = ["offer", "answer", "candidate", "leave", "expire"];
    let is_same = |known: &&str| known.to_ascii_uppercase() == spelled;
    types.into_iter().find(is_same)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::peer::PeerId;

    #[test]
    fn an_id_with_spaces_is_restored() {
        for id in ["ann", "Ann of Green Gables", "a  b"] {
            assert_eq!(id_outside(&id_in_room(id)), id);
            let valid = PeerId::parse(&id_in_room(id));
            assert_eq!(valid.is_some(), id != " ", "{id:?}");
        }
        let frame = r#"{"type":"OFFER","dst":"a b","payload":1}"#;
        assert_eq!(decode(frame).unwrap().to.unwrap(), "a~b");
        let escaped = r#"{"type":"OFFER","dst":"a\u0020b","payload":1}"#;
        assert_eq!(decode(escaped).unwrap().to.unwrap(), "a~b");
    }

    #[test]
    fn a_frame_that_is_no_signal_to_a_peer_is_ignored() {
        for frame in [
            "",
            "null",
            "{}",
            r#"{"type": "HEARTBEAT"}"#,
            r#"{"type":"OPEN","dst":"ann"}"#,
            r#"{"type":"offer","dst":"ann"}"#,
            r#"{"type":"LEAVE"}"#,
            r#"{"type":"OFFER","dst":""}"#,
            r#"{"type":"OFFER","dst":null}"#,
            r#"{"dst":"ann","payload":1}"#,
        ] {
            let refusal = decode(frame).unwrap_err();
            assert_eq!(refusal.code, Code::Malformed, "{frame}");
            assert!(encode(&Notice::Refused(refusal)).is_empty());
        }
    }

    #[test]
    fn a_refused_join_is_encoded_in_the_words_of_the_client() {
        for (code, frame) in [
            (
                Code::IdTaken,
                r#"{"type":"ID-TAKEN","payload":{"msg":"ID is taken"}}"#,
            ),
            (
                Code::Unauthorized,
                r#"{"type":"INVALID-KEY","payload":{"msg":"why"}}"#,
            ),
            (
                Code::RoomFull,
                r#"{"type":"ERROR","payload":{"msg":"Server has reached its concurrent user limit"}}"#,
            ),
            (Code::Removed, r#"{"type":"ERROR","payload":{"msg":"why"}}"#),
        ] {
            assert_eq!(encode_rejection(&Refusal::new(code, "why")), frame);
        }
        assert!(encode_rejection(&incomplete()).contains("No id, token, or key supplied"));
    }

    #[test]
    fn a_client_keeps_its_id_for_two_minutes_after_a_heartbeat() {
        assert!(!has_stopped(Time(1), Time(120_001)));
        assert!(has_stopped(Time(1), Time(120_002)));
    }
}
