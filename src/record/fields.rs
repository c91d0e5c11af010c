//! The format of all stored text, and its reader and writer.
//!
//! A record is one or more lines, each followed by its bodies. A line has fields with spaces between
//! them and ends with a line feed. Fields that are free text are bodies: the line ends with the length
//! of each body in bytes, or `-` for an optional body that is absent, and the bodies follow it without
//! a separator:
//!
//! ```text
//! v1 1795251720000 ann 5 7
//! offer{"a":1}
//! ```
//!
//! The first field of a record is the version of its format, because stored text survives a
//! deployment. A record of another version, or of none, is unreadable: only deployments before the
//! first release wrote records without a version. Once there is a second version, the reader must
//! also accept the first.

use std::fmt::{Arguments, Write};
use std::str::Split;

use crate::core::peer::PeerId;

/// The version of the format that the current code writes.
const VERSION: &str = "v1";

/// Starts a record with the version of its format, and a space for the next field.
pub(super) fn start_record() -> String {
    // Most attachments fit.
    let mut text = String::with_capacity(160);
    text.push_str(VERSION);
    text.push(' ');
    text
}

/// Appends a line with these fields, the lengths of its bodies, and the bodies.
pub(super) fn write_line(text: &mut String, fields: Arguments<'_>, bodies: &[Option<&str>]) {
    // `write!` into a `String` cannot fail.
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
/// Each method returns `None` if the next part of the record is not what the method reads; then the
/// record is unreadable.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    /// The fields of the current line that have not been read.
    fields: Split<'a, char>,
    /// The text after the current line, without the bodies that have been read.
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// Starts to read a record behind its version.
    pub(super) fn new(text: &'a str) -> Option<Self> {
        let text = text.strip_prefix(VERSION)?.strip_prefix(' ')?;
        let (line, rest) = text.split_once('\n')?;
        let fields = line.split(' ');
        Some(Self { fields, rest })
    }

    /// Moves on to the next line. The current line must have been read completely.
    pub(super) fn next_line(&mut self) -> Option<()> {
        self.end_line()?;
        let (line, rest) = self.rest.split_once('\n')?;
        self.fields = line.split(' ');
        self.rest = rest;
        Some(())
    }

    /// Checks that the current line has been read completely.
    pub(super) fn end_line(&mut self) -> Option<()> {
        self.fields.next().is_none().then_some(())
    }

    /// `true` if no line or body follows the current line.
    pub(super) const fn is_last_line(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads a field.
    pub(super) fn field(&mut self) -> Option<&'a str> {
        self.fields.next()
    }

    /// Reads a number.
    pub(super) fn number(&mut self) -> Option<u64> {
        self.field()?.parse().ok()
    }

    /// Reads the id of a peer.
    pub(super) fn id(&mut self) -> Option<PeerId> {
        PeerId::parse(self.field()?)
    }

    /// Reads a body: its length from the line, and then the body itself.
    pub(super) fn body(&mut self) -> Option<&'a str> {
        self.optional_body()?
    }

    /// Reads an optional body; the inner `None` stands for an absent body.
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
    fn a_record_of_another_version_is_unreadable() {
        for text in [
            "", "v1", "v1\n", "v1 7", "7\n", "1 7\n", "v2 7\n", "v11 7\n",
        ] {
            assert!(Reader::new(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn a_line_with_unread_fields_does_not_end() {
        let mut reader = Reader::new("v1 7 8\n9\n").unwrap();
        reader.number().unwrap();
        assert_eq!(reader.next_line(), None);
    }

    #[test]
    fn a_body_is_unreadable_when_its_length_does_not_fit() {
        for line in ["v1 3\nab", "v1 1\nä", "v1 x\nab", "v1 -1\nab", "v1 -\nab"] {
            assert_eq!(Reader::new(line).unwrap().body(), None, "{line:?}");
        }
    }
}
