//! The dialect of the WebRTC replication of `RxDB` (17.6), whose clients form groups. A group is the topic
//! of a replication.
//!
//! | Direction | Frame | Meaning |
//! |---|---|---|
//! | server → | `{"type":"init","yourPeerId":"9f3c…"}` | the client has this id: the first frame |
//! | → server | `{"type":"join","room":"heroes"}` | the client enters the group `heroes` |
//! | server → | `{"type":"joined","otherPeerIds":["9f3c…",…]}` | the ids of all members, including the receiver's, each time that a client enters or leaves |
//! | → server, server → | `{"type":"signal","room":"heroes","senderPeerId":"9f3c…","receiverPeerId":"07d1…","data":…}` | a signal to a member, forwarded as written |
//! | → server | `{"type":"ping"}` | nothing; see [`family`](super::family) |
//!
//! The name of a group has 6 to 99 characters, as in the server of `RxDB`. A client whose signal names
//! another sender is closed.
//!
//! The server sends nothing after a frame that it cannot decode, and after a signal to a client that is
//! not in the group. The server of `RxDB` would close the WebSocket after such a frame, and the client
//! would then connect and send it again, for ever.
//!
//! The protocol is that of `startSignalingServerSimplePeer` in rxdb 17.6.0.

use super::json::{Object, ObjectWriter, array, quote};
use crate::core::peer::PeerId;
use crate::core::refusal::Refusal;
use crate::core::topics::{Call, Notice};

pub(super) fn decode(text: &str) -> Result<Call<'_>, Refusal<'static>> {
    let mut object = Object::read(text)?;
    let frame_type = object.take_string("type")?;
    let room = object.take_string("room")?;
    match frame_type.as_deref() {
        Some("join") => match room.filter(|room| is_name(room)) {
            Some(room) => Ok(Call::Enter(room)),
            None => Err(Refusal::malformed(
                "expected a `room` of 6 to 99 characters",
            )),
        },
        Some("signal") => Ok(Call::Signal {
            group: room,
            // A frame without a sender names none of the ids.
            stated_sender: Some(object.take_string("senderPeerId")?.unwrap_or_default()),
            to: object.take_string("receiverPeerId")?.unwrap_or_default(),
            body: text.to_owned(),
        }),
        Some("ping") => Ok(Call::Nothing),
        _ => Err(Refusal::malformed("expected the `type` join or signal")),
    }
}

/// Returns whether the server of `RxDB` accepts the name of a group. It counts UTF-16 code units.
fn is_name(room: &str) -> bool {
    (6..=99).contains(&room.encode_utf16().count())
}

pub(super) fn encode(notice: &Notice) -> Vec<String> {
    let frame = |frame_type| ObjectWriter::new(0).string("type", frame_type);
    match notice {
        Notice::Assigned(id) => vec![frame("init").string("yourPeerId", id.as_str()).end()],
        Notice::Joined { members }
        | Notice::Entered { members, .. }
        | Notice::Left { members, .. } => {
            let ids = members.iter().map(PeerId::as_str).map(quote);
            vec![frame("joined").raw("otherPeerIds", &array(ids)).end()]
        }
        Notice::Signal { body, .. } => vec![body.to_string()],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_forwarded_as_written() {
        let text = r#" {"type":"signal","room":"heroes","senderPeerId":"a","receiverPeerId":"b","data":{ "x":1 }}"#;
        let expected = Call::Signal {
            group: Some("heroes".into()),
            stated_sender: Some("a".into()),
            to: "b".into(),
            body: text.to_owned(),
        };
        assert_eq!(decode(text), Ok(expected));
    }

    #[test]
    fn a_heartbeat_has_no_effect_and_other_frames_are_refused() {
        assert_eq!(decode(r#"{"type": "ping"}"#), Ok(Call::Nothing));
        for text in [
            "",
            "{}",
            "[]",
            r#"{"type":"leave","room":"heroes"}"#,
            r#"{"type":"join"}"#,
            r#"{"type":"join","room":"short"}"#,
            r#"{"type":"signal","senderPeerId":7}"#,
            r#"{"type":"signal","senderPeerId":"a","senderPeerId":"b"}"#,
        ] {
            assert!(decode(text).is_err(), "{text}");
        }
    }
}
