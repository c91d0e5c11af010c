//! The attachment of a WebSocket whose client uses topics.
//!
//! ```text
//! v2 7 - y-webrtc - -
//! t 1795251720000
//! 3 fresh - 4
//! demo9 - - 5
//! other
//! ```
//!
//! The first line has the fields of the [attachment](super::attachment) of a peer. A client of topics has
//! no seat in a room and no key, and only clients of groups have an id. If the WebSocket is closed when
//! the token of the client expires, a line with that time follows. A line for each subscription follows:
//! its seat, its mark or `-`, the length of its label or `-` if it has none, and the length of the topic,
//! and then both texts.
//!
//! Both are written as one character for each byte of its UTF-8. V8 stores text whose characters are
//! all below U+0100 in one byte for each character, and all other text in two. 100 topics of 128 bytes
//! therefore fit into an attachment, which has at most 16,384 bytes.

use super::attachment::{read_token_line, write_token_line};
use super::fields::{Reader, start_record, write_line};
use crate::core::peer::{PeerId, Socket};
use crate::core::topics::{Listener, Mark, Subscription};
use crate::dialect::Dialect;

/// The stored state of one connection: a listener, and the dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerAttachment {
    /// The client that uses the connection.
    pub listener: Listener,
    /// The dialect of the connection.
    pub dialect: Dialect,
}

impl ListenerAttachment {
    /// Writes the attachment as text.
    #[must_use]
    pub fn encode(&self) -> String {
        let Listener {
            socket: Socket(socket),
            id,
            token_expires_at,
            subscriptions,
        } = &self.listener;
        let mut text = start_record();
        let dialect = self.dialect.name();
        let id = id.as_ref().map_or("-", PeerId::as_str);
        write_line(&mut text, format_args!("{socket} - {dialect} - {id}"), &[]);
        write_token_line(&mut text, *token_expires_at);
        for Subscription {
            topic,
            label,
            seat,
            mark,
        } in subscriptions
        {
            let mark = mark_name(*mark);
            let (label, topic) = (to_characters(label), to_characters(topic));
            let label = (!label.is_empty()).then_some(&*label);
            write_line(
                &mut text,
                format_args!("{seat} {mark}"),
                &[label, Some(&topic)],
            );
        }
        text
    }

    /// Reads the output of [`encode`](Self::encode). Returns `None` if the text is invalid.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let mut reader = Reader::new(text)?;
        let socket = Socket(reader.number()?);
        let is_empty = |reader: &mut Reader<'_>| (reader.field()? == "-").then_some(());
        is_empty(&mut reader)?;
        let dialect = Dialect::named(reader.field()?)?;
        is_empty(&mut reader)?;
        let id = match reader.field()? {
            "-" => None,
            id => Some(PeerId::parse(id)?),
        };
        let token_expires_at = read_token_line(&mut reader)?;
        let mut subscriptions = Vec::new();
        while !reader.is_last_line() {
            reader.next_line()?;
            subscriptions.push(read_subscription(&mut reader)?);
        }
        reader.end_line()?;
        let listener = Listener {
            socket,
            id,
            token_expires_at,
            subscriptions,
        };
        Some(Self { listener, dialect })
    }
}

fn read_subscription(reader: &mut Reader<'_>) -> Option<Subscription> {
    let seat = reader.number()?;
    let name = reader.field()?;
    let mark = MARKS.into_iter().find(|mark| mark_name(*mark) == name)?;
    let label = match reader.optional_body()? {
        Some(label) => of_characters(label)?,
        None => String::new(),
    };
    let topic = of_characters(reader.body()?)?;
    Some(Subscription {
        topic: topic.into(),
        label: label.into(),
        seat,
        mark,
    })
}

/// All marks.
const MARKS: [Mark; 4] = [Mark::None, Mark::Fresh, Mark::Filters, Mark::Complete];

const fn mark_name(mark: Mark) -> &'static str {
    match mark {
        Mark::None => "-",
        Mark::Fresh => "fresh",
        Mark::Filters => "filters",
        Mark::Complete => "complete",
    }
}

/// Writes each byte of the UTF-8 as one character.
fn to_characters(text: &str) -> String {
    text.bytes().map(char::from).collect()
}

/// Reads the output of [`to_characters`].
fn of_characters(text: &str) -> Option<String> {
    let bytes = text.chars().map(u8::try_from);
    String::from_utf8(bytes.collect::<Result<_, _>>().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::peer::Time;
    use crate::core::topics::groups::MAX_GROUPS;
    use crate::core::topics::{MAX_TOPIC, MAX_TOPICS};

    fn subscription(topic: &str, seat: u64, mark: Mark) -> Subscription {
        Subscription {
            topic: topic.into(),
            label: "".into(),
            seat,
            mark,
        }
    }

    #[test]
    fn an_attachment_is_read_as_it_was_written() {
        for (token_expires_at, subscriptions) in [
            (None, vec![]),
            (Some(Time(u64::MAX)), vec![]),
            (None, vec![subscription("ä\n3 - - 1\n€", 3, Mark::Fresh)]),
            (
                Some(Time(7)),
                vec![
                    subscription("", 0, Mark::None),
                    Subscription {
                        label: "€ \n".into(),
                        ..subscription("t 1", 9, Mark::Fresh)
                    },
                ],
            ),
        ] {
            let listener = Listener {
                socket: Socket(u64::MAX),
                id: token_expires_at.map(|_| PeerId::random(7)),
                token_expires_at,
                subscriptions,
            };
            let dialect = Dialect::YWebrtc;
            let attachment = ListenerAttachment { listener, dialect };
            let text = attachment.encode();
            assert_eq!(ListenerAttachment::decode(&text), Some(attachment));
        }
        let text = "v2 7 - y-webrtc - -\nt 1795251720000\n3 fresh - 4\ndemo9 - - 5\nother";
        assert_eq!(ListenerAttachment::decode(text).unwrap().encode(), text);
    }

    #[test]
    fn the_most_subscriptions_fit_into_an_attachment() {
        let names = ["€".repeat(MAX_TOPIC / 3), "x".repeat(MAX_TOPIC)];
        let names = names.iter().cycle().take(MAX_TOPICS);
        let topics = names.map(|name| subscription(name, u64::from(u32::MAX), Mark::Fresh));
        let group = subscription(&"€".repeat(99), u64::MAX, Mark::None);
        let id = "é".repeat(20);
        let peer = Subscription {
            label: id.as_str().into(),
            ..subscription(&id, u64::MAX, Mark::Complete)
        };
        for (dialect, subscriptions, least) in [
            (Dialect::YWebrtc, topics.collect(), 14_000),
            (Dialect::RxDb, vec![group; MAX_GROUPS], 1_200),
            (Dialect::Tracker, vec![peer; MAX_TOPICS], 10_000),
        ] {
            let listener = Listener {
                socket: Socket(u64::MAX),
                id: Some(PeerId::random(u128::MAX)),
                token_expires_at: Some(Time(u64::MAX)),
                subscriptions,
            };
            let text = ListenerAttachment { listener, dialect }.encode();
            assert!(text.chars().all(|each| u32::from(each) < 0x100));
            // V8 adds a header of a few bytes.
            let length = text.chars().count();
            assert!((least..16_300).contains(&length), "{dialect:?}: {length}");
        }
    }

    #[test]
    fn invalid_text_is_not_read_as_an_attachment() {
        for text in [
            "",
            "v2 7 - y-webrtc - -",
            "v2 x - y-webrtc - -\n",
            "v2 7 3 y-webrtc - -\n",
            "v2 7 - klingon - -\n",
            "v2 7 - y-webrtc k -\n",
            "v2 7 - rxdb - b/b\n",
            "v2 7 - y-webrtc - - -\n",
            "v2 7 - y-webrtc - -\nt x\n",
            "v2 7 - y-webrtc - -\n3 fresh -\n",
            "v2 7 - y-webrtc - -\n3 stale - 4\ndemo",
            "v2 7 - y-webrtc - -\n3 fresh - 5\ndemo",
            "v2 7 - y-webrtc - -\n3 fresh - 4 -\ndemo",
            "v2 7 - y-webrtc - -\n3 fresh - 4\ndemo\n",
            "v2 7 - y-webrtc - -\n3 fresh - 3\n€",
            "v2 7 - y-webrtc - -\n3 fresh 3 1\n€d",
            "v2 7 - y-webrtc - -\n3 fresh - 2\nÿ",
            "v1 7 - y-webrtc - -\n",
        ] {
            assert_eq!(ListenerAttachment::decode(text), None, "{text:?}");
        }
    }
}
