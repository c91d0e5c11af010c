//! The rows in the storage of a room, as pairs of a key and a value, both strings. Each absent peer
//! and each held broadcast has a row.
//!
//! | key | value |
//! |---|---|
//! | `absent bob` | version, expiry time, and the fields of the peer's [`Attachment`] |
//! | `held 7` | version, expiry time, sender; then signal type and payload (optional) as bodies |

use super::fields::{Reader, start_record, write_line};
use crate::core::event::{Absent, Held, Row, RowKey};
use crate::core::peer::Time;
use crate::dialect::Dialect;
use crate::record::attachment::{Attachment, write_member};

impl RowKey {
    /// Returns the key as text.
    #[must_use]
    pub fn encode(&self) -> String {
        match self {
            Self::Absent(id) => format!("absent {id}"),
            Self::Held(number) => format!("held {number}"),
        }
    }
}

impl Row {
    /// Returns the key of the row.
    #[must_use]
    pub fn key(&self) -> RowKey {
        match self {
            Self::Absent(absent) => RowKey::Absent(absent.member.id.clone()),
            Self::Held(held) => RowKey::Held(held.number),
        }
    }

    /// Returns the value of the row, without its key.
    #[must_use]
    pub fn encode(&self) -> String {
        match self {
            Self::Absent(Absent { member, expires_at }) => {
                let mut text = start_record();
                text.push_str(&format!("{} ", expires_at.0));
                // The dialect only records whether the peer had an event stream.
                let dialect = if member.has_stream {
                    Dialect::Http
                } else {
                    Dialect::Native
                };
                write_member(&mut text, member, dialect);
                text
            }
            Self::Held(Held {
                from,
                expires_at,
                signal_type,
                payload,
                number: _,
            }) => {
                let mut text = start_record();
                let bodies = [Some(&**signal_type), payload.as_deref()];
                write_line(&mut text, format_args!("{} {from}", expires_at.0), &bodies);
                text
            }
        }
    }

    /// Reads a row from its key and value. Returns `None` if the key or the value is invalid.
    #[must_use]
    #[inline(never)]
    pub fn decode(key: &str, text: &str) -> Option<Self> {
        match key.split_once(' ')? {
            ("absent", _) => {
                let mut reader = Reader::new(text)?;
                let expires_at = Time(reader.number()?);
                let Attachment { member, .. } = Attachment::read(reader)?;
                Some(Self::Absent(Absent { member, expires_at }))
            }
            ("held", number) => {
                let mut reader = Reader::new(text)?;
                let held = Held {
                    number: number.parse().ok()?,
                    expires_at: Time(reader.number()?),
                    from: reader.id()?,
                    signal_type: reader.body()?.to_owned(),
                    payload: reader.optional_body()?.map(str::to_owned),
                };
                reader.end_line()?;
                reader.is_last_line().then_some(Self::Held(held))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::member::Member;
    use crate::core::notice::Notice;
    use crate::core::outbox::{Delivery, Outbox};
    use crate::core::peer::{Key, Lock, PeerId, Seat, Socket};

    #[test]
    fn a_row_is_read_as_it_was_written() {
        let id = |text| PeerId::parse(text).unwrap();
        let held = |payload: Option<&str>| {
            Row::Held(Held {
                number: u64::MAX,
                from: id("ann"),
                expires_at: Time(9),
                signal_type: "a b\n".to_owned(),
                payload: payload.map(str::to_owned),
            })
        };
        let mut outbox = Outbox::default();
        let left = Notice::Left { id: id("eve") };
        outbox.push(Time(9), Delivery::Queued, left).unwrap();
        let absent = Row::Absent(Absent {
            member: Member {
                socket: Socket(7),
                id: id("-"),
                seat: Seat(3),
                lock: Lock::Locked(Key::new("secret").unwrap()),
                has_stream: true,
                outbox,
            },
            expires_at: Time(u64::MAX),
        });
        for row in [
            held(None),
            held(Some("")),
            held(Some("{\n\"ä\":1}")),
            absent,
        ] {
            let read = Row::decode(&row.key().encode(), &row.encode());
            assert_eq!(read, Some(row));
        }
    }

    #[test]
    fn invalid_text_is_not_read_as_a_row() {
        for (key, text) in [
            ("", ""),
            ("held", "v1 9 ann 1 1\nab"),
            ("held x", "v1 9 ann 1 1\nab"),
            ("held 1", "9 ann 1 1\nab"),
            ("held 1", "v1 9 ann 1 1 ab"),
            ("held 1", "v1 9 a/b 1 1\nab"),
            ("held 1", "v1 9 ann 2 1\nab"),
            ("held 1", "v1 9 ann 1 1\nä"),
            ("held 1", "v1 9 ann 1 1\nabc"),
            ("held 1", "v1 9 ann 1\nab"),
            ("held 1", "v1 9 ann 1 1 -\nab"),
            ("absent ann", "v1 9\n"),
            ("absent ann", "v1 x 7 3 native - ann\n"),
            ("absent ann", "9 7 3 native - ann\n"),
            ("outside 1", "v1 7 3 native - ann\n"),
        ] {
            assert_eq!(Row::decode(key, text), None, "{key:?} {text:?}");
        }
    }
}
