//! The attachment of a WebSocket: text that the platform keeps with the WebSocket while the room is
//! evicted.
//!
//! ```text
//! v1 7 3 native - bob
//! ```
//!
//! The fields are the version, socket, seat, dialect, key hash and id. `-` means that the peer has no
//! key. A key hash that begins with `?` is an unconfirmed key. The outbox follows unless it is empty. A
//! peer connected over a WebSocket always has an empty outbox.
//!
//! The attachment is a short text, because writing and reading a JavaScript object takes two to three
//! times as long (measured on workerd).

use super::fields::{Reader, start_record, write_line};
use crate::core::member::Member;
use crate::core::outbox::Outbox;
use crate::core::peer::{Key, Lock, Seat, Socket};
use crate::dialect::Dialect;

/// The stored state of one connection: a member and the dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The peer that uses the connection.
    pub member: Member,
    /// The dialect of the connection, which stays the same until the connection closes.
    pub dialect: Dialect,
}

impl Attachment {
    /// Writes the attachment as text.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = start_record();
        write_member(&mut text, &self.member, self.dialect);
        text
    }

    /// Reads the output of [`encode`](Self::encode). Returns `None` if the text is invalid.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        Self::read(Reader::new(text)?)
    }

    /// Reads the part of a record that [`write_member`] appended.
    pub(super) fn read(mut reader: Reader<'_>) -> Option<Self> {
        let socket = Socket(reader.number()?);
        let seat = Seat(reader.number()?);
        let dialect = Dialect::named(reader.field()?)?;
        let lock = match reader.field()? {
            "-" => Lock::Open,
            key => match key.strip_prefix('?') {
                Some(unconfirmed) => Lock::Unconfirmed(Key::from_hex(unconfirmed)?),
                None => Lock::Locked(Key::from_hex(key)?),
            },
        };
        let id = reader.id()?;
        let outbox = if reader.is_last_line() {
            reader.end_line()?;
            Outbox::default()
        } else {
            Outbox::read(&mut reader)?
        };
        let member = Member {
            socket,
            id,
            seat,
            lock,
            has_stream: dialect.is_stream(),
            outbox,
        };
        Some(Self { member, dialect })
    }
}

/// Appends the fields and the outbox to a record.
pub(super) fn write_member(text: &mut String, member: &Member, dialect: Dialect) {
    let Member {
        socket: Socket(socket),
        seat: Seat(seat),
        id,
        lock,
        outbox,
        has_stream: _,
    } = member;
    let dialect = dialect.name();
    match lock {
        Lock::Open => write_line(text, format_args!("{socket} {seat} {dialect} - {id}"), &[]),
        Lock::Unconfirmed(key) => {
            let fields = format_args!("{socket} {seat} {dialect} ?{key:x} {id}");
            write_line(text, fields, &[]);
        }
        Lock::Locked(key) => {
            let fields = format_args!("{socket} {seat} {dialect} {key:x} {id}");
            write_line(text, fields, &[]);
        }
    }
    if !outbox.is_empty() {
        outbox.write(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::notice::Notice;
    use crate::core::outbox::Delivery;
    use crate::core::peer::{PeerId, Time};

    #[test]
    fn an_attachment_is_read_as_it_was_written() {
        let key = Key::new("secret").unwrap();
        let id = PeerId::parse(&"a".repeat(64)).unwrap();
        let mut outbox = Outbox::default();
        let left = Notice::Left { id: id.clone() };
        outbox.push(Time(9), Delivery::Queued, left).unwrap();
        for (lock, dialect, outbox) in [
            (Lock::Open, Dialect::Native, Outbox::default()),
            (Lock::Unconfirmed(key), Dialect::Http, outbox.clone()),
            (Lock::Locked(key), Dialect::Lobby, outbox),
        ] {
            let member = Member {
                socket: Socket(u64::MAX),
                id: id.clone(),
                seat: Seat(u64::MAX),
                lock,
                has_stream: dialect.is_stream(),
                outbox,
            };
            let attachment = Attachment { member, dialect };
            assert_eq!(Attachment::decode(&attachment.encode()), Some(attachment));
        }
        let text = "v1 7 3 native - bob\n";
        assert_eq!(Attachment::decode(text).unwrap().encode(), text);
    }

    #[test]
    fn invalid_text_is_not_read_as_an_attachment() {
        for text in [
            "",
            "v1",
            "v1 7\n",
            "v1 7 3 native - \n",
            "v1 x 3 native - bob\n",
            "v1 7 3 klingon - bob\n",
            "v1 7 3 native k bob\n",
            "v1 7 3 native ? bob\n",
            "v1 7 3 native - bob x\n",
            "v1 7 3 native - bob",
            "v1 7 3 native - bob\n\n",
            "7 3 native - bob\n",
            "v2 7 3 native - bob\n",
        ] {
            assert_eq!(Attachment::decode(text), None, "{text:?}");
        }
    }
}
