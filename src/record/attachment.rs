//! The attachment of a WebSocket: text that the platform keeps with the WebSocket while the room is
//! evicted.
//!
//! ```text
//! v2 7 3 native - bob
//! ```
//!
//! The fields are the version, socket, seat, dialect, key hash and id. `-` means that the peer has no
//! key. A key hash that begins with `?` is an unconfirmed key. If the dialect has an event stream, a
//! line with the state of the stream follows: the numbers at which the peer registered, at which the
//! stream was opened, and through which notices were dropped; the generation, the highest seat that
//! the client was told of, and the hash of the client's address or `-`. If the WebSocket is closed when
//! the token of the client expires, a line with that time follows: `t 1795251720000`. In a live session,
//! a line with the state of the connection to the media server follows. If the client asks for the meta of
//! the others, a line with its own meta as a body follows: `meta 14`. Then follow the kept notices that are
//! in no row, as [`notices`](super::notices) describes.
//!
//! The attachment is a short text, because writing and reading a JavaScript object takes two to three
//! times as long (measured on workerd).

use super::fields::{Reader, start_record, write_line};
use super::live::{MEDIA_LINE, read_media, write_media};
use super::notices::{read_notices, write_notices};
use crate::core::member::{Attached, Member};
use crate::core::peer::{Address, Key, Lock, Seat, Socket, Time};
use crate::core::stream::Stream;
use crate::dialect::Dialect;

/// The beginning of the line with the time at which a token expires.
const TOKEN_LINE: &str = "t ";

/// The beginning of the line with the length of the meta.
const META_LINE: &str = "meta ";

/// The stored state of one connection: a member with its notices, and the dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The peer that uses the connection, and its notices.
    pub attached: Attached,
    /// The dialect of the connection, which stays the same until the connection closes.
    pub dialect: Dialect,
}

impl Attachment {
    /// Writes the attachment as text.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = start_record();
        write_member(&mut text, &self.attached.member, self.dialect);
        write_notices(&mut text, &self.attached.notices);
        text
    }

    /// Reads the output of [`encode`](Self::encode). Returns `None` if the text is invalid.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let mut reader = Reader::new(text)?;
        let (member, dialect) = read_member(&mut reader)?;
        let notices = read_notices(&mut reader)?;
        let attached = Attached { member, notices };
        Some(Self { attached, dialect })
    }
}

/// Appends the fields of a member to a record.
pub(super) fn write_member(text: &mut String, member: &Member, dialect: Dialect) {
    let Member {
        socket: Socket(socket),
        seat: Seat(seat),
        id,
        lock,
        stream,
        token_expires_at,
        media,
        meta,
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
    if let Some(stream) = stream {
        write_stream(text, stream);
    }
    write_token_line(text, *token_expires_at);
    if let Some(media) = media {
        write_media(text, media);
    }
    if let Some(meta) = meta {
        write_line(text, format_args!("meta"), &[Some(meta)]);
    }
}

#[inline(never)] // joins over WebSockets never write a stream
fn write_stream(text: &mut String, stream: &Stream) {
    let Stream {
        registered,
        opened,
        dropped,
        generation,
        known_seat: Seat(told),
        address,
    } = stream;
    let address = address.map_or_else(|| "-".to_owned(), |Address(hash)| hash.to_string());
    let fields = format_args!("{registered} {opened} {dropped} {generation} {told} {address}");
    write_line(text, fields, &[]);
}

/// Reads the part of a record that [`write_member`] appended, up to the end of its last line.
pub(super) fn read_member(reader: &mut Reader<'_>) -> Option<(Member, Dialect)> {
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
    let stream = match dialect.is_stream() {
        true => Some(read_stream(reader)?),
        false => None,
    };
    let token_expires_at = read_token_line(reader)?;
    let media = match reader.skip_prefix(MEDIA_LINE)? {
        true => Some(Box::new(read_media(reader)?)),
        false => None,
    };
    let meta = match reader.skip_prefix(META_LINE)? {
        true => Some(reader.body()?.into()),
        false => None,
    };
    reader.end_line()?;
    let member = Member {
        socket,
        id,
        seat,
        lock,
        stream,
        token_expires_at,
        media,
        meta,
    };
    Some((member, dialect))
}

/// Appends the line with the time at which a token expires, if it expires.
pub(super) fn write_token_line(text: &mut String, token_expires_at: Option<Time>) {
    if let Some(Time(at)) = token_expires_at {
        write_line(text, format_args!("{TOKEN_LINE}{at}"), &[]);
    }
}

/// Reads the line with the time at which a token expires, if it follows. The inner `None` means that the
/// token does not expire.
#[allow(clippy::option_option)]
pub(super) fn read_token_line(reader: &mut Reader<'_>) -> Option<Option<Time>> {
    match reader.skip_prefix(TOKEN_LINE)? {
        true => Some(Some(Time(reader.number()?))),
        false => Some(None),
    }
}

fn read_stream(reader: &mut Reader<'_>) -> Option<Stream> {
    reader.next_line()?;
    Some(Stream {
        registered: reader.number()?,
        opened: reader.number()?,
        dropped: reader.number()?,
        generation: reader.number()?,
        known_seat: Seat(reader.number()?),
        address: match reader.field()? {
            "-" => None,
            hash => Some(Address(hash.parse().ok()?)),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::notice::Notice;
    use crate::core::outbox::Numbered;
    use crate::core::peer::PeerId;
    use std::rc::Rc;

    #[test]
    fn an_attachment_is_read_as_it_was_written() {
        let key = Key::new("secret").unwrap();
        let id = PeerId::parse(&"a".repeat(64)).unwrap();
        let stream = |address| Stream {
            registered: u64::MAX,
            opened: 8,
            dropped: 4,
            generation: 31,
            known_seat: Seat(9),
            address,
        };
        let left = Notice::Left {
            id: id.clone(),
            seat: Seat(1),
        };
        let left = Numbered {
            number: 9,
            notice: Rc::new(left),
        };
        let address = Some(Address::new("203.0.113.7"));
        let expiry = Some(Time(u64::MAX));
        for (lock, dialect, stream, token_expires_at, notices) in [
            (Lock::Open, Dialect::Native, None, None, vec![]),
            (Lock::Open, Dialect::Native, None, expiry, vec![]),
            (Lock::Open, Dialect::Http, Some(stream(None)), None, vec![]),
            (
                Lock::Unconfirmed(key),
                Dialect::Http,
                Some(stream(address)),
                expiry,
                vec![left],
            ),
            (Lock::Locked(key), Dialect::Lobby, None, None, vec![]),
        ] {
            let member = Member {
                socket: Socket(u64::MAX),
                id: id.clone(),
                seat: Seat(u64::MAX),
                lock,
                stream,
                token_expires_at,
                media: None,
                meta: None,
            };
            let attached = Attached { member, notices };
            let attachment = Attachment { attached, dialect };
            assert_eq!(Attachment::decode(&attachment.encode()), Some(attachment));
        }
        for text in [
            "v2 7 3 native - bob\n",
            "v2 7 3 native - bob\nt 1795251720000\n",
            "v2 7 3 native - bob\nmeta 0\n",
            "v2 7 3 native - bob\nt 1\nm offered 0 s1 0 1\nmeta 11\n{\"a\":\n\"ä\"}",
        ] {
            assert_eq!(Attachment::decode(text).unwrap().encode(), text);
        }
    }

    #[test]
    fn invalid_text_is_not_read_as_an_attachment() {
        for text in [
            "",
            "v2",
            "v2 7\n",
            "v2 7 3 native - \n",
            "v2 x 3 native - bob\n",
            "v2 7 3 klingon - bob\n",
            "v2 7 3 native k bob\n",
            "v2 7 3 native ? bob\n",
            "v2 7 3 native - bob x\n",
            "v2 7 3 native - bob",
            "v2 7 3 native - bob\n\n",
            "v2 7 3 http - bob\n",
            "v2 7 3 http - bob\n1 2 3 4 5\n",
            "v2 7 3 http - bob\n1 2 3 4 5 x\n",
            "v2 7 3 http - bob\n1 2 3 4 5 - 6\n",
            "v2 7 3 native - bob\nt \n",
            "v2 7 3 native - bob\nt x\n",
            "v2 7 3 native - bob\nt 1 2\n",
            "v2 7 3 native - bob\nt 1\nt 1\n",
            "v2 7 3 native - bob\nmeta \n",
            "v2 7 3 native - bob\nmeta -\n",
            "v2 7 3 native - bob\nmeta 2\n1",
            "v2 7 3 native - bob\nmeta 1 2\n1",
            "v2 7 3 native - bob\nmeta 0\nt 1\n",
            "v2 7 3 http - bob\nt 1\n1 2 3 4 5 -\n",
            "7 3 native - bob\n",
            "v1 7 3 native - bob\n",
        ] {
            assert_eq!(Attachment::decode(text), None, "{text:?}");
        }
    }
}
