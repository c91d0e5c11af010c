//! What is written down of a room, as the platform keeps it: a key and a text for each row.
//!
//! | key | text |
//! |---|---|
//! | `absent bob` | until when it waits for the peer, a space, and its [`Attachment`] |
//! | `held 7` | until when the signal waits, its sender, the lengths in bytes of its kind and its payload (`-` without one), a line feed, kind and payload |

use crate::core::event::{Absent, Held, Row, RowKey};
use crate::core::peer::{PeerId, Time};
use crate::record::attachment::Attachment;

impl RowKey {
    /// Writes the key.
    #[must_use]
    pub fn encode(&self) -> String {
        match self {
            Self::Absent(id) => format!("absent {id}"),
            Self::Held(number) => format!("held {number}"),
        }
    }
}

impl Row {
    /// Its key.
    #[must_use]
    pub fn key(&self) -> RowKey {
        match self {
            Self::Absent(absent) => RowKey::Absent(absent.member.id.clone()),
            Self::Held(held) => RowKey::Held(held.number),
        }
    }

    /// Writes the text.
    #[must_use]
    pub fn encode(&self) -> String {
        match self {
            Self::Absent(Absent { member, expires_at }) => {
                let member = Attachment::absent(member.clone()).encode();
                format!("{} {member}", expires_at.0)
            }
            Self::Held(Held {
                from,
                expires_at,
                signal_type,
                payload,
                number: _,
            }) => {
                let length = payload.as_ref().map(|payload| payload.len().to_string());
                let length = length.as_deref().unwrap_or("-");
                let payload = payload.as_deref().unwrap_or_default();
                format!(
                    "{} {from} {} {length}\n{signal_type}{payload}",
                    expires_at.0,
                    signal_type.len()
                )
            }
        }
    }

    /// Reads a row out of what its key and its text were written as; `None` for anything else.
    #[must_use]
    #[inline(never)]
    pub fn decode(key: &str, text: &str) -> Option<Self> {
        match key.split_once(' ')? {
            ("absent", _) => {
                let (expires_at, member) = text.split_once(' ')?;
                let expires_at = Time(expires_at.parse().ok()?);
                let Attachment { member, .. } = Attachment::decode(member)?;
                Some(Self::Absent(Absent { member, expires_at }))
            }
            ("held", number) => {
                let (head, body) = text.split_once('\n')?;
                let mut fields = head.split(' ');
                let expires_at = Time(fields.next()?.parse().ok()?);
                let from = PeerId::parse(fields.next()?)?;
                let (signal_type, rest) = body.split_at_checked(fields.next()?.parse().ok()?)?;
                let payload = match fields.next()? {
                    "-" => None,
                    length => Some(rest.get(..length.parse().ok()?)?.to_owned()),
                };
                Some(Self::Held(Held {
                    number: number.parse().ok()?,
                    from,
                    expires_at,
                    signal_type: signal_type.to_owned(),
                    payload,
                }))
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
    use crate::core::peer::{Key, Lock, Seat, Socket};

    #[test]
    fn a_row_survives_being_written() {
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
    fn what_is_not_a_row_is_nothing() {
        for (key, text) in [
            ("", ""),
            ("held", "9 ann 1 1\nab"),
            ("held x", "9 ann 1 1\nab"),
            ("held 1", "9 ann 1 1 ab"),
            ("held 1", "9 a/b 1 1\nab"),
            ("held 1", "9 ann 2 1\nab"),
            ("held 1", "9 ann 1 1\nä"),
            ("held 1", "9 ann 1\nab"),
            ("absent ann", "9"),
            ("absent ann", "x 7 3 native - ann"),
            ("outside 1", "7 3 native - ann"),
        ] {
            assert_eq!(Row::decode(key, text), None, "{key:?} {text:?}");
        }
    }
}
