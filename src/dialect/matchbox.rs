//! The dialect of matchbox (matchbox_socket 0.15), whose clients form groups.
//!
//! | Direction | Frame | Meaning |
//! |---|---|---|
//! | server → | `{"IdAssigned":"9f3c…"}` | the client has this id: the first frame, sent once |
//! | server → | `{"NewPeer":"9f3c…"}` | another client has entered the group; the receiver sends it an offer |
//! | server → | `{"PeerLeft":"9f3c…"}` | another client has left the group |
//! | → server | `{"Signal":{"receiver":"9f3c…","data":…}}` | a signal to a member of the group |
//! | server → | `{"Signal":{"sender":"9f3c…","data":…}}` | a signal from a member of the group |
//! | → server | `"KeepAlive"` | nothing |
//!
//! A client enters a group when it connects; see [`groups`](crate::core::topics::groups). The parameter
//! `next` of the URL is the size of the group. An id has 32 hexadecimal digits. The client reads it as a
//! UUID, which it writes with hyphens.
//!
//! The server sends nothing after a frame that it cannot decode, and after a signal to a client that is
//! not in the group. The client logs an error when it receives an unknown frame, and panics when it
//! receives a second `IdAssigned`.
//!
//! The protocol is that of the crates matchbox_protocol and matchbox_server 0.15.0.

use super::json::{Object, ObjectWriter, quote};
use crate::core::peer::PeerId;
use crate::core::refusal::Refusal;
use crate::core::topics::{Call, Notice};

/// The message of the refusals, which the client never receives.
const IGNORED: &str = "expected `Signal` with `receiver` and `data`";

pub(super) fn decode(text: &str) -> Result<Call<'_>, Refusal<'static>> {
    if text == r#""KeepAlive""# {
        return Ok(Call::Nothing);
    }
    let ignored = || Refusal::malformed(IGNORED);
    let signal = Object::read(text)?.take("Signal").ok_or_else(ignored)?;
    let mut signal = Object::read(signal)?;
    let receiver = signal.take_string("receiver")?.ok_or_else(ignored)?;
    let data = signal.take("data").ok_or_else(ignored)?;
    Ok(Call::Signal {
        group: None,
        stated_sender: None,
        to: receiver.replace('-', "").into(),
        body: data.to_owned(),
    })
}

pub(super) fn encode(notice: &Notice) -> Vec<String> {
    let event = |name, id: &PeerId| vec![ObjectWriter::new(0).string(name, id.as_str()).end()];
    match notice {
        Notice::Assigned(id) => event("IdAssigned", id),
        Notice::Entered { id, .. } => event("NewPeer", id),
        Notice::Left { id, .. } => event("PeerLeft", id),
        Notice::Signal { from, body } => {
            let sender = quote(from.as_str());
            vec![format!(
                r#"{{"Signal":{{"sender":{sender},"data":{body}}}}}"#
            )]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hyphens_of_a_receiver_are_removed() {
        let text = r#"{"Signal":{"receiver":"9f3c1b2a-0000-4000-8000-00000000000a","data":{ "Offer":"v=0" }}}"#;
        let expected = Call::Signal {
            group: None,
            stated_sender: None,
            to: "9f3c1b2a00004000800000000000000a".into(),
            body: r#"{ "Offer":"v=0" }"#.to_owned(),
        };
        assert_eq!(decode(text), Ok(expected));
    }

    #[test]
    fn a_heartbeat_has_no_effect_and_other_frames_are_refused() {
        assert_eq!(decode(r#""KeepAlive""#), Ok(Call::Nothing));
        for text in [
            "",
            "KeepAlive",
            "{}",
            r#"{"Signal":[]}"#,
            r#"{"Signal":{"data":1}}"#,
            r#"{"Signal":{"receiver":"a"}}"#,
            r#"{"Signal":{"receiver":1,"data":1}}"#,
        ] {
            assert!(decode(text).is_err(), "{text}");
        }
    }
}
