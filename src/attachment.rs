//! What the platform keeps with each socket while the room sleeps, as one short string.
//!
//! `7 3 native - bob`: socket, seat, dialect, key (`-` without one), id. A string is written and read
//! two to three times faster than an object (measured on workerd), and is far below the 16,384
//! bytes that an attachment may have.

use crate::dialect::Dialect;
use crate::peer::{Key, Member, PeerId, Seat, Socket};

/// A member, and how its socket speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Who it is.
    pub member: Member,
    /// What it speaks.
    pub dialect: Dialect,
}

impl Attachment {
    /// Writes it.
    #[must_use]
    pub fn encode(&self) -> String {
        let Member {
            socket: Socket(socket),
            seat: Seat(seat),
            id,
            key,
        } = &self.member;
        let dialect = self.dialect.name();
        match key {
            Some(key) => format!("{socket} {seat} {dialect} {key:x} {id}"),
            None => format!("{socket} {seat} {dialect} - {id}"),
        }
    }

    /// Reads what [`encode`](Self::encode) wrote; `None` for anything else.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let mut fields = text.split(' ');
        let socket = Socket(fields.next()?.parse().ok()?);
        let seat = Seat(fields.next()?.parse().ok()?);
        let dialect = Dialect::named(fields.next()?)?;
        let key = match fields.next()? {
            "-" => None,
            hex => Some(Key::from_hex(hex)?),
        };
        let id = PeerId::parse(fields.next()?)?;
        let member = Member {
            socket,
            id,
            seat,
            key,
        };
        fields.next().is_none().then_some(Self { member, dialect })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attachment_survives_being_written() {
        for key in [None, Key::new("secret")] {
            let id = PeerId::parse(&"a".repeat(64)).unwrap();
            let member = Member {
                socket: Socket(u64::MAX),
                id,
                seat: Seat(u64::MAX),
                key,
            };
            let attachment = Attachment {
                member,
                dialect: Dialect::Native,
            };
            assert_eq!(Attachment::decode(&attachment.encode()), Some(attachment));
        }
        assert_eq!(
            Attachment::decode("7 3 native - bob").unwrap().encode(),
            "7 3 native - bob"
        );
    }

    #[test]
    fn what_is_not_an_attachment_is_nothing() {
        for text in [
            "",
            "7",
            "7 3 native - ",
            "x 3 native - bob",
            "7 3 klingon - bob",
            "7 3 native k bob",
            "7 3 native - bob x",
        ] {
            assert_eq!(Attachment::decode(text), None, "{text}");
        }
    }
}
