//! JSON: a reader that splits an object into its fields, and a writer.
//!
//! serde_json validates each value, and the reader returns the text of the value unchanged. Parsing
//! into a tree would add code for parsing and printing numbers, a sixth of the Worker's size. The
//! Worker does not need that code, because it forwards payloads as text.

mod writer;

use std::borrow::Cow;

use serde_json::Deserializer;
use serde_json::value::RawValue;

pub use self::writer::{ObjectWriter, array, quote};
use crate::core::refusal::Refusal;
use crate::core::text::split_once;

/// The maximum number of fields in an object. It limits the time to find duplicate keys, because
/// each key is compared with all earlier keys.
const MAX_FIELDS: usize = 64;

/// The maximum length of quoted input in an error message, in characters.
const MAX_EXCERPT: usize = 40;

/// Removes the whitespace of JSON (RFC 8259 §2) from the start of `text`. Bytes are compared, because
/// decoding characters takes longer.
#[must_use]
pub fn trim_start(text: &str) -> &str {
    let is_whitespace = |byte: u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    let start = text.bytes().position(|byte| !is_whitespace(byte));
    start
        .and_then(|start| text.get(start..))
        .unwrap_or_default()
}

/// The error message for a string that is not the expected JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError(pub Cow<'static, str>);

impl From<JsonError> for Refusal<'_> {
    fn from(JsonError(message): JsonError) -> Self {
        Self::quoting(message.into_owned())
    }
}

/// The fields of an object in order, each with its unparsed value. No key occurs twice.
#[derive(Debug)]
pub struct Object<'a>(Vec<(Cow<'a, str>, &'a str)>);

impl<'a> Object<'a> {
    /// Reads the object that `text` consists of.
    ///
    /// # Errors
    ///
    /// If `text` is not an object, if a key occurs twice, or if the object has more than 64 fields.
    pub fn read(text: &'a str) -> Result<Self, JsonError> {
        let mut fields: Vec<(Cow<'a, str>, &'a str)> = Vec::new();
        parse_sequence(text, ['{', '}'], "a JSON object", |rest| {
            let (key, rest) = take_value(rest)?;
            let key = unquote(key).ok_or_else(|| {
                let key = excerpt(key);
                JsonError(format!("the key `{key}` is invalid, expected a string").into())
            })?;
            let rest = trim_start(rest);
            let rest = rest.strip_prefix(':').ok_or_else(|| {
                let (key, found) = (excerpt(&key), start_of(rest));
                JsonError(format!("expected `:` after the key `{key}`, found {found}").into())
            })?;
            let (value, rest) = take_value(rest)?;
            if fields.iter().any(|(earlier, _)| *earlier == key) {
                let key = excerpt(&key);
                let message = format!("duplicate field `{key}`, expected each key once");
                return Err(JsonError(message.into()));
            }
            if fields.len() >= MAX_FIELDS {
                let message = format!(
                    "the object has more than {MAX_FIELDS} fields: move some into a nested object"
                );
                return Err(JsonError(message.into()));
            }
            fields.push((key, value));
            Ok(rest)
        })?;
        Ok(Self(fields))
    }

    /// Removes a field and returns its value.
    pub fn take(&mut self, key: &str) -> Option<&'a str> {
        let index = self.0.iter().position(|(existing, _)| existing == key)?;
        Some(self.0.remove(index).1)
    }

    /// Removes a field and returns its value as a string.
    ///
    /// # Errors
    ///
    /// If the value is not a string. `null` is also an error, because optional fields must be
    /// omitted, and `null` often indicates a bug in the client.
    pub fn take_string(&mut self, key: &str) -> Result<Option<Cow<'a, str>>, JsonError> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        match unquote(value) {
            Some(text) => Ok(Some(text)),
            None => {
                let value = excerpt(value);
                let message = format!("`{key}` is `{value}`, expected a valid string");
                Err(JsonError(message.into()))
            }
        }
    }

    /// Removes the first field and returns its key and value.
    pub fn take_first(&mut self) -> Option<(Cow<'a, str>, &'a str)> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }
}

/// Splits a JSON array into its values, as unparsed JSON.
///
/// # Errors
///
/// If `text` is not an array.
pub fn list(text: &str) -> Result<Vec<&str>, JsonError> {
    let mut values = Vec::new();
    parse_sequence(text, ['[', ']'], "a JSON array", |rest| {
        let (value, rest) = take_value(rest)?;
        values.push(value);
        Ok(rest)
    })?;
    Ok(values)
}

/// Returns the value that `text` consists of, without the whitespace around it. Returns `None` if `text` is
/// not JSON.
#[must_use]
pub fn value(text: &str) -> Option<&str> {
    let (value, rest) = take_value(text).ok()?;
    trim_start(rest).is_empty().then_some(value)
}

/// Decodes a JSON string. Returns `None` if the value is not a string. Copies the string only if it
/// contains escapes.
#[must_use]
pub fn unquote(value: &str) -> Option<Cow<'_, str>> {
    let inner = value.strip_prefix('"')?.strip_suffix('"')?;
    let Some(first) = inner.find('\\') else {
        return Some(inner.into());
    };
    let (plain, mut rest) = inner.split_at_checked(first)?;
    let mut text = plain.to_owned();
    while let Some((plain, escaped)) = rest.split_once('\\') {
        text.push_str(plain);
        let (escaped, after) = escaped.split_at_checked(1)?;
        rest = after;
        text.push(match escaped {
            "b" => '\u{8}',
            "f" => '\u{c}',
            "n" => '\n',
            "r" => '\r',
            "t" => '\t',
            "u" => {
                let high = take_hex(&mut rest)?;
                // A character above U+FFFF is escaped as a surrogate pair (RFC 8259 §7).
                let low = match high {
                    0xD800..=0xDBFF => {
                        rest = rest.strip_prefix("\\u")?;
                        Some(take_hex(&mut rest)?)
                    }
                    _ => None,
                };
                char::decode_utf16([high].into_iter().chain(low))
                    .next()?
                    .ok()?
            }
            plain => plain.chars().next()?,
        });
    }
    text.push_str(rest);
    Some(text.into())
}

/// Removes four hexadecimal digits from the start of `rest` and returns their value.
fn take_hex(rest: &mut &str) -> Option<u16> {
    let (digits, after) = rest.split_at_checked(4)?;
    *rest = after;
    u16::from_str_radix(digits, 16).ok()
}

/// Parses a comma-separated sequence between two brackets. `read` parses one element at the start
/// of its argument and returns the rest of the argument.
fn parse_sequence<'a>(
    text: &'a str,
    [open, close]: [char; 2],
    what: &str,
    mut read: impl FnMut(&'a str) -> Result<&'a str, JsonError>,
) -> Result<(), JsonError> {
    let text = trim_start(text);
    let rest = text.strip_prefix(open).ok_or_else(|| {
        let found = start_of(text);
        JsonError(format!("expected {what}, which starts with `{open}`, found {found}").into())
    })?;
    let mut rest = trim_start(rest);
    if let Some(after) = rest.strip_prefix(close) {
        rest = after;
    } else {
        loop {
            rest = trim_start(read(rest)?);
            if let Some(after) = rest.strip_prefix(',') {
                rest = after;
            } else if let Some(after) = rest.strip_prefix(close) {
                rest = after;
                break;
            } else {
                let found = start_of(rest);
                let message = format!("expected `,` or `{close}`, found {found}");
                return Err(JsonError(message.into()));
            }
        }
    }
    match trim_start(rest) {
        "" => Ok(()),
        trailing => {
            let found = start_of(trailing);
            let message = format!("expected the end of the text after {what}, found {found}");
            Err(JsonError(message.into()))
        }
    }
}

/// Returns the start of `text`, for an error message.
fn excerpt(text: &str) -> &str {
    let end = text.char_indices().nth(MAX_EXCERPT).map(|(end, _)| end);
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// Returns the first character of `text`, enclosed in backticks, for an error message.
fn start_of(text: &str) -> Cow<'static, str> {
    match text.chars().next() {
        Some(first) => format!("`{first}`").into(),
        None => "the end of the text".into(),
    }
}

/// Parses one value at the start of `text`. Returns the value and the rest of `text`.
fn take_value(text: &str) -> Result<(&str, &str), JsonError> {
    let text = trim_start(text);
    // Fast path: most keys, and many values, are strings without escapes.
    let quoted = text.strip_prefix('"').and_then(|text| text.split_once('"'));
    if let Some((plain, rest)) = quoted
        && plain.bytes().all(|byte| byte >= b' ' && byte != b'\\')
        && let Some(value) = text.get(..plain.len().saturating_add(2))
    {
        return Ok((value, rest));
    }
    let mut values = Deserializer::from_str(text).into_iter::<&RawValue>();
    let value = match values.next() {
        Some(Ok(value)) => value.get(),
        Some(Err(error)) => {
            // serde_json appends a position that it counts from the start of this value. A reader
            // would count from the start of the frame, so the position is removed.
            let message = error.to_string();
            let fault = split_once(&message, " at line ");
            let fault = fault.map_or(&*message, |(fault, _)| fault);
            let value = excerpt(text);
            return Err(JsonError(
                format!("invalid value `{value}`: {fault}").into(),
            ));
        }
        None => {
            return Err(JsonError(
                "expected a value, found the end of the text".into(),
            ));
        }
    };
    let rest = text.get(values.byte_offset()..).unwrap_or_default();
    Ok((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn an_object_is_split_into_its_fields() {
        let mut object = Object::read(" { \"a\" : [1, 2] , \"\\u0062\":\"c\" }\n").unwrap();
        assert_eq!(object.take("a"), Some("[1, 2]"));
        assert_eq!(object.take("a"), None);
        assert_eq!(object.take_string("b"), Ok(Some("c".into())));
        assert_eq!(object.take_string("b"), Ok(None));
        assert_eq!(list("[ 1,[2] ]"), Ok(vec!["1", "[2]"]));
        assert_eq!(list("[]"), Ok(vec![]));
    }

    #[test]
    fn a_malformed_object_is_refused_with_its_fault() {
        for (text, expected) in [
            (
                "",
                "expected a JSON object, which starts with `{`, found the end of the text",
            ),
            ("[1]", "found `[`"),
            ("{", "expected a value, found the end of the text"),
            (r#"{"a" 1"#, "expected `:` after the key `a`, found `1`"),
            (r#"{"a":"#, "expected a value, found the end of the text"),
            (
                r#"{"a":1"#,
                "expected `,` or `}`, found the end of the text",
            ),
            (r#"{"a":1,}"#, "invalid value `}`: expected value"),
            (r#"{"a":1,"a":2}"#, "duplicate field `a`"),
            (r#"{1:1}"#, "the key `1` is invalid"),
            (r#"{"\ud800":1}"#, "is invalid, expected a string"),
            (r#"{"a":01}"#, "invalid number"),
            (r#"{"a":1}}"#, "expected the end of the text"),
            ("{\"a\":\"\n\"}", "control character"),
        ] {
            let JsonError(fault) = Object::read(text).unwrap_err();
            assert!(fault.contains(expected), "{text}: {fault}");
        }
        let many: Vec<_> = (0..65).map(|n| format!("\"{n}\":0")).collect();
        assert!(Object::read(&format!("{{{}}}", many.join(","))).is_err());
    }

    /// Returns the fields of an object, read by serde_json.
    fn serde_fields(text: &str) -> Option<BTreeMap<String, Box<RawValue>>> {
        serde_json::from_str(text).ok()
    }

    proptest! {
        #[test]
        fn the_reader_accepts_the_objects_that_serde_json_accepts(
            text in r#"[{]?( ?("[ab\\nu0-9d]{0,4}"|1|-0|\[\]) ?[:,}]){0,6}[}]?"#
        ) {
            let Ok(Object(fields)) = Object::read(&text) else {
                let expected = serde_fields(&text);
                // serde_json accepts an object with duplicate keys. This reader refuses it.
                prop_assert!(expected.is_none_or(|fields| fields.len() < text.matches(':').count()));
                return Ok(());
            };
            let expected = serde_fields(&text).unwrap();
            let mut fields: Vec<_> = fields
                .into_iter()
                .map(|(key, value)| (key.into_owned(), value.to_owned()))
                .collect();
            fields.sort();
            let expected: Vec<_> = expected.iter().map(|(key, raw)| (key.clone(), raw.get().to_owned())).collect();
            prop_assert_eq!(fields, expected);
        }

        #[test]
        fn an_encoded_string_is_decoded_unchanged(text in any::<String>()) {
            let quoted = quote(&text);
            prop_assert_eq!(&quoted, &serde_json::to_string(&text).unwrap());
            prop_assert_eq!(unquote(&quoted), Some(text.into()));
        }

        #[test]
        fn the_reader_reads_escapes_like_serde_json(text in r#""(\\[bfnrtu"/\\]|\\u[d0-9][8-9a-f0][0-9]{2}|[a-c]){0,6}""#) {
            let expected = serde_json::from_str::<String>(&text).ok();
            if serde_json::from_str::<&RawValue>(&text).is_ok() {
                prop_assert_eq!(unquote(&text).map(Cow::into_owned), expected);
            }
        }
    }
}
