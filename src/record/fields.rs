//! The format of all stored text, and its reader and writer.
//!
//! A record is one or more lines. A line consists of fields separated by spaces, and ends with a line
//! feed. Free text is stored in bodies, which follow the line without a separator. The last fields of
//! the line are the lengths of its bodies in bytes. `-` instead of a length means that an optional body
//! is absent:
//!
//! ```text
//! v2 1795251720000 ann 5 7
//! offer{"a":1}
//! ```
//!
//! The first field of a record is the version of its format, because a new deployment reads the text
//! that an older deployment stored. A record with another version, or without a version, is invalid.
//! Only deployments before the first release wrote such records. When another version is added, the
//! reader must also accept this version.

use std::fmt::{Arguments, Write};
use std::str::Split;

use crate::core::peer::{MEDIA_SERVER, PeerId};

/// The version of the format that this code writes and reads.
const VERSION: &str = "v2";

/// Starts a record with the version and a space.
pub(super) fn start_record() -> String {
    // This capacity is enough for most attachments, which avoids a reallocation.
    let mut text = String::with_capacity(160);
    text.push_str(VERSION);
    text.push(' ');
    text
}

/// Appends a line with the fields and the lengths of the bodies, followed by the bodies.
pub(super) fn write_line(text: &mut String, fields: Arguments<'_>, bodies: &[Option<&str>]) {
    // Writing to a `String` cannot fail.
    let _ = text.write_fmt(fields);
    for body in bodies {
        let _ = match body {
            Some(body) => write!(text, " {}", body.len()),
            None => text.write_str(" -"),
        };
    }
    text.push('\n');
    text.extend(bodies.iter().copied().flatten());
}

/// Reads a record from its start to its end.
///
/// Each method returns `None` if the record does not continue with the expected part. The caller
/// then treats the record as invalid.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    /// The unread fields of the current line.
    fields: Split<'a, char>,
    /// The text after the current line, without the bodies that were already read.
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// Starts to read a record, after its version. Returns `None` if the version is unknown.
    pub(super) fn new(text: &'a str) -> Option<Self> {
        let text = text.strip_prefix(VERSION)?.strip_prefix(' ')?;
        let (line, rest) = text.split_once('\n')?;
        let fields = line.split(' ');
        Some(Self { fields, rest })
    }

    /// Moves to the next line. Returns `None` if the current line has unread fields.
    pub(super) fn next_line(&mut self) -> Option<()> {
        self.end_line()?;
        let (line, rest) = self.rest.split_once('\n')?;
        self.fields = line.split(' ');
        self.rest = rest;
        Some(())
    }

    /// Moves to the second field of the next line, if the text after the current line begins with `prefix`.
    /// Returns whether it does, or `None` if the current line has unread fields then.
    #[inline(never)] // most records have no such lines
    pub(super) fn skip_prefix(&mut self, prefix: &str) -> Option<bool> {
        if !self.rest.starts_with(prefix) {
            return Some(false);
        }
        self.next_line()?;
        self.field()?;
        Some(true)
    }

    /// Returns `None` if the current line has unread fields.
    pub(super) fn end_line(&mut self) -> Option<()> {
        self.fields.next().is_none().then_some(())
    }

    /// Returns whether the record ends after the current line and the bodies already read.
    pub(super) const fn is_last_line(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn field(&mut self) -> Option<&'a str> {
        self.fields.next()
    }

    /// Reads a field as a number.
    pub(super) fn number(&mut self) -> Option<u64> {
        self.field()?.parse().ok()
    }

    /// Reads a field as the id of a peer or of the media server.
    pub(super) fn id(&mut self) -> Option<PeerId> {
        match self.field()? {
            MEDIA_SERVER => Some(PeerId::media_server()),
            id => PeerId::parse(id),
        }
    }

    /// Reads a body: its length in the current line, then the body after the line.
    pub(super) fn body(&mut self) -> Option<&'a str> {
        self.optional_body()?
    }

    /// Reads an optional body. The inner `None` means that the body is absent.
    #[allow(clippy::option_option)]
    pub(super) fn optional_body(&mut self) -> Option<Option<&'a str>> {
        let length = self.field()?;
        if length == "-" {
            return Some(None);
        }
        let (body, rest) = self.rest.split_at_checked(length.parse().ok()?)?;
        self.rest = rest;
        Some(Some(body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let mut text = start_record();
        write_line(&mut text, format_args!("{} ann", u64::MAX), &[]);
        write_line(&mut text, format_args!("-"), &[Some("ä\n 7"), None]);
        write_line(&mut text, format_args!("last"), &[Some(""), Some("-")]);
        let mut reader = Reader::new(&text).unwrap();
        assert_eq!(reader.number(), Some(u64::MAX));
        assert_eq!(reader.id(), PeerId::parse("ann"));
        reader.next_line().unwrap();
        assert_eq!(reader.field(), Some("-"));
        assert_eq!(reader.body(), Some("ä\n 7"));
        assert_eq!(reader.optional_body(), Some(None));
        assert!(!reader.is_last_line());
        reader.next_line().unwrap();
        assert_eq!(reader.field(), Some("last"));
        assert_eq!(reader.optional_body(), Some(Some("")));
        assert_eq!(reader.body(), Some("-"));
        assert_eq!(reader.end_line(), Some(()));
        assert!(reader.is_last_line());
        assert_eq!(reader.next_line(), None);
    }

    #[test]
    fn a_record_of_another_version_is_invalid() {
        for text in [
            "", "v2", "v2\n", "v2 7", "7\n", "1 7\n", "v1 7\n", "v22 7\n",
        ] {
            assert!(Reader::new(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn a_line_with_unread_fields_does_not_end() {
        let mut reader = Reader::new("v2 7 8\n9\n").unwrap();
        reader.number().unwrap();
        assert_eq!(reader.next_line(), None);
    }

    #[test]
    fn a_body_is_invalid_when_its_length_does_not_fit() {
        for line in ["v2 3\nab", "v2 1\nä", "v2 x\nab", "v2 -1\nab", "v2 -\nab"] {
            assert_eq!(Reader::new(line).unwrap().body(), None, "{line:?}");
        }
    }
}
