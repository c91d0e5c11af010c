//! The rows in the storage of a room, as pairs of a key and a value, both strings.
//!
//! | key | value |
//! |---|---|
//! | `absent bob` | version, expiry time, highest sent number, and the fields of the peer's [`Attachment`](super::attachment) without notices |
//! | `held 7` | version, expiry time, sender; then signal type and payload (optional) as bodies |
//! | `notices 114896102408064` | version, seats of the receivers; then the [notices](super::notices) |
//! | `left` | version; then a line for each peer that left: number, seat, id |
//! | `live` | version; then the live session |
//! | `bans` | version; then a line for each id that is refused: expiry time, key hash or `-`, id |

use super::attachment::{read_member, write_member};
use super::fields::{Reader, start_record, write_line};
use super::live::{read_session, write_session};
use super::notices::{read_notices, write_notices};
use crate::core::event::{Absent, Ban, Held, Leaver, Notices, Row, RowKey};
use crate::core::peer::{Key, Seat, Time};
use crate::dialect::Dialect;

impl RowKey {
    /// Returns the key as text.
    #[must_use]
    pub fn encode(&self) -> String {
        match self {
            Self::Absent(id) => format!("absent {id}"),
            Self::Held(number) => format!("held {number}"),
            Self::Notices(key) => format!("notices {key}"),
            Self::Leavers => "left".to_owned(),
            Self::Live => "live".to_owned(),
            Self::Bans => "bans".to_owned(),
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
            Self::Notices(notices) => RowKey::Notices(notices.key),
            Self::Leavers(_) => RowKey::Leavers,
            Self::Live(_) => RowKey::Live,
            Self::Bans(_) => RowKey::Bans,
        }
    }

    /// Returns the value of the row, without its key.
    #[must_use]
    pub fn encode(&self) -> String {
        match self {
            Self::Absent(Absent {
                member,
                expires_at,
                sent,
            }) => {
                let mut text = start_record();
                text.push_str(&format!("{} {sent} ", expires_at.0));
                // The dialect only records whether the peer had an event stream.
                let dialect = match member.stream {
                    Some(_) => Dialect::Http,
                    None => Dialect::Native,
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
            Self::Notices(Notices {
                key: _,
                to,
                notices,
            }) => {
                let mut text = start_record();
                let seats: Vec<_> = to.iter().map(|Seat(seat)| seat.to_string()).collect();
                write_line(&mut text, format_args!("{}", seats.join(" ")), &[]);
                write_notices(&mut text, notices);
                text
            }
            Self::Live(session) => {
                let mut text = start_record();
                write_session(&mut text, session);
                text
            }
            Self::Leavers(leavers) => {
                let mut text = start_record();
                text.push('\n');
                for Leaver { number, seat, id } in leavers {
                    write_line(&mut text, format_args!("{number} {} {id}", seat.0), &[]);
                }
                text
            }
            Self::Bans(bans) => {
                let mut text = start_record();
                text.push('\n');
                for Ban {
                    id,
                    key,
                    expires_at: Time(at),
                } in bans
                {
                    let key = key.map_or_else(|| "-".to_owned(), |key| format!("{key:x}"));
                    write_line(&mut text, format_args!("{at} {key} {id}"), &[]);
                }
                text
            }
        }
    }

    /// Reads a row from its key and value. Returns `None` if the key or the value is invalid.
    #[must_use]
    #[inline(never)]
    pub fn decode(key: &str, text: &str) -> Option<Self> {
        let mut reader = Reader::new(text)?;
        match key.split_once(' ') {
            Some(("absent", _)) => read_absent(&mut reader).map(Self::Absent),
            Some(("held", number)) => read_held(&mut reader, number.parse().ok()?).map(Self::Held),
            Some(("notices", key)) => {
                read_row_of_notices(&mut reader, key.parse().ok()?).map(Self::Notices)
            }
            None if key == "left" => read_leavers(&mut reader).map(Self::Leavers),
            None if key == "live" => read_session(&mut reader).map(Self::Live),
            None if key == "bans" => read_bans(&mut reader).map(Self::Bans),
            _ => None,
        }
    }
}

fn read_absent(reader: &mut Reader<'_>) -> Option<Absent> {
    let expires_at = Time(reader.number()?);
    let sent = reader.number()?;
    let (member, _) = read_member(reader)?;
    reader.is_last_line().then_some(Absent {
        member,
        expires_at,
        sent,
    })
}

fn read_held(reader: &mut Reader<'_>, number: u64) -> Option<Held> {
    let held = Held {
        number,
        expires_at: Time(reader.number()?),
        from: reader.id()?,
        signal_type: reader.body()?.to_owned(),
        payload: reader.optional_body()?.map(str::to_owned),
    };
    reader.end_line()?;
    reader.is_last_line().then_some(held)
}

fn read_row_of_notices(reader: &mut Reader<'_>, key: u64) -> Option<Notices> {
    let mut to = Vec::new();
    while let Some(seat) = reader.field() {
        to.push(Seat(seat.parse().ok()?));
    }
    let notices = read_notices(reader)?;
    Some(Notices { key, to, notices })
}

fn read_leavers(reader: &mut Reader<'_>) -> Option<Vec<Leaver>> {
    read_lines(reader, |reader| {
        Some(Leaver {
            number: reader.number()?,
            seat: Seat(reader.number()?),
            id: reader.id()?,
        })
    })
}

fn read_bans(reader: &mut Reader<'_>) -> Option<Vec<Ban>> {
    read_lines(reader, |reader| {
        Some(Ban {
            expires_at: Time(reader.number()?),
            key: match reader.field()? {
                "-" => None,
                hash => Some(Key::from_hex(hash)?),
            },
            id: reader.id()?,
        })
    })
}

/// Reads the lines after an empty first line.
fn read_lines<'a, T>(
    reader: &mut Reader<'a>,
    read: impl Fn(&mut Reader<'a>) -> Option<T>,
) -> Option<Vec<T>> {
    let mut lines = Vec::new();
    if !reader.field()?.is_empty() {
        return None;
    }
    while !reader.is_last_line() {
        reader.next_line()?;
        lines.push(read(reader)?);
    }
    reader.end_line()?;
    Some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::member::Member;
    use crate::core::notice::Notice;
    use crate::core::outbox::Numbered;
    use crate::core::peer::{Lock, PeerId, Socket};
    use crate::core::stream::Stream;
    use std::rc::Rc;

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
        let absent = |stream: Option<Stream>| {
            Row::Absent(Absent {
                member: Member {
                    socket: Socket(7),
                    id: id("-"),
                    seat: Seat(3),
                    lock: Lock::Locked(Key::new("secret").unwrap()),
                    token_expires_at: stream.as_ref().map(|_| Time(u64::MAX)),
                    stream,
                    media: None,
                    meta: Some("{\n}".into()),
                },
                expires_at: Time(u64::MAX),
                sent: u64::MAX,
            })
        };
        let stream = Stream {
            registered: 1,
            opened: 2,
            generation: 3,
            known_seat: Seat(4),
            dropped: 5,
            address: None,
        };
        let numbered = |number| Numbered {
            number,
            notice: Rc::new(Notice::Left {
                id: id("eve"),
                seat: Seat(1),
            }),
        };
        let notices = Notices {
            key: 9,
            to: vec![Seat(0), Seat(u64::MAX)],
            notices: vec![numbered(8), numbered(9)],
        };
        let leaver = |number| Leaver {
            number,
            seat: Seat(2),
            id: id("-"),
        };
        let ban = |key| Ban {
            id: id("-"),
            key,
            expires_at: Time(u64::MAX),
        };
        for row in [
            held(None),
            held(Some("")),
            held(Some("{\n\"ä\":1}")),
            absent(None),
            absent(Some(stream)),
            Row::Notices(notices),
            Row::Leavers(vec![]),
            Row::Leavers(vec![leaver(1), leaver(2)]),
            Row::Bans(vec![]),
            Row::Bans(vec![ban(None), ban(Key::new("secret"))]),
        ] {
            let read = Row::decode(&row.key().encode(), &row.encode());
            assert_eq!(read, Some(row));
        }
    }

    #[test]
    fn invalid_text_is_not_read_as_a_row() {
        for (key, text) in [
            ("", ""),
            ("held", "v2 9 ann 1 1\nab"),
            ("held x", "v2 9 ann 1 1\nab"),
            ("held 1", "9 ann 1 1\nab"),
            ("held 1", "v2 9 ann 1 1 ab"),
            ("held 1", "v2 9 a/b 1 1\nab"),
            ("held 1", "v2 9 ann 2 1\nab"),
            ("held 1", "v2 9 ann 1 1\nä"),
            ("held 1", "v2 9 ann 1 1\nabc"),
            ("held 1", "v2 9 ann 1\nab"),
            ("held 1", "v2 9 ann 1 1 -\nab"),
            ("absent ann", "v2 9\n"),
            ("absent ann", "v2 9 x 7 3 native - ann\n"),
            ("absent ann", "v2 x 8 7 3 native - ann\n"),
            ("absent ann", "9 8 7 3 native - ann\n"),
            ("absent ann", "v2 9 8 7 3 native - ann\nl 1 ann 1\n"),
            ("notices 1", "v2 x\nl 1 ann 1\n"),
            ("notices x", "v2 1\nl 1 ann 1\n"),
            ("notices 1", "v2 1\nl 1 ann 1"),
            ("left", "v2 1 2 ann\n"),
            ("left", "v2 \n1 2\n"),
            ("left 1", "v2 \n1 2 ann\n"),
            ("bans", "v2 \n9 - \n"),
            ("bans", "v2 \n9 k ann\n"),
            ("bans", "v2 \nx - ann\n"),
            ("bans", "v2 9 - ann\n"),
            ("bans", "v2 \n9 - ann"),
            ("bans ann", "v2 \n9 - ann\n"),
            ("outside 1", "v2 7 3 native - ann\n"),
        ] {
            assert_eq!(Row::decode(key, text), None, "{key:?} {text:?}");
        }
    }
}
