//! JSON, as far as it is needed here: objects taken apart into their fields, and texts.
//!
//! Each value is checked by serde_json and left as it was written. What is not done is to make
//! anything of it: all that would have to know how to read and how to show a number is a sixth of the
//! Worker, and no number means anything here.

use std::borrow::Cow;

use crate::core::refusal::Refusal;

use serde_json::Deserializer;
use serde_json::value::RawValue;

/// The most fields that an object may have. They are compared with each other.
const MAX_FIELDS: usize = 64;

/// What is wrong with what was to be JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError(pub Cow<'static, str>);

/// The fields of an object in their order, each key once, each value as it was written.
#[derive(Debug)]
pub struct Object<'a>(Vec<(Cow<'a, str>, &'a str)>);

impl<'a> Object<'a> {
    /// Reads a text that is one object.
    ///
    /// # Errors
    ///
    /// For anything else, and for one that has a key twice.
    pub fn read(text: &'a str) -> Result<Self, JsonError> {
        let mut fields: Vec<(Cow<'a, str>, &'a str)> = Vec::new();
        each(text, ['{', '}'], "an object", |rest| {
            let (key, rest) = value(rest)?;
            let key = unquote(key).ok_or(JsonError("expected a key, in quotation marks".into()))?;
            let rest = rest.trim_start_matches(WHITESPACE).strip_prefix(':');
            let (value, rest) = value(rest.ok_or(JsonError("expected `:` behind a key".into()))?)?;
            if fields.iter().any(|(known, _)| *known == key) {
                return Err(JsonError(format!("duplicate field `{key}`").into()));
            }
            if fields.len() >= MAX_FIELDS {
                return Err(JsonError("too many keys".into()));
            }
            fields.push((key, value));
            Ok(rest)
        })?;
        Ok(Self(fields))
    }

    /// Takes out a field, if it is there.
    pub fn take(&mut self, key: &str) -> Option<&'a str> {
        let place = self.0.iter().position(|(known, _)| known == key)?;
        Some(self.0.remove(place).1)
    }

    /// Takes out a field that is a text, if it is there.
    ///
    /// # Errors
    ///
    /// For one that is something else, `null` too: who sends that has lost something.
    pub fn take_string(&mut self, key: &str) -> Result<Option<Cow<'a, str>>, JsonError> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        match unquote(value) {
            Some(text) => Ok(Some(text)),
            None => Err(JsonError(format!("`{key}` is not a string").into())),
        }
    }

    /// Takes out the next field, whichever it is.
    pub fn take_first(&mut self) -> Option<(Cow<'a, str>, &'a str)> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }
}

/// The values of a list, each as it was written.
///
/// # Errors
///
/// For anything else.
pub fn list(text: &str) -> Result<Vec<&str>, JsonError> {
    let mut values = Vec::new();
    each(text, ['[', ']'], "a list", |rest| {
        let (value, rest) = value(rest)?;
        values.push(value);
        Ok(rest)
    })?;
    Ok(values)
}

/// The text that stands in quotation marks, if that is what a value is. Copies it only if it has
/// escapes.
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
                let high = hexadecimal(&mut rest)?;
                // What is outside the first plane is written as two halves (RFC 8259 §7).
                let low = match high {
                    0xD800..=0xDBFF => {
                        rest = rest.strip_prefix("\\u")?;
                        Some(hexadecimal(&mut rest)?)
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

/// Takes four digits off the start of a text.
fn hexadecimal(rest: &mut &str) -> Option<u16> {
    let (digits, after) = rest.split_at_checked(4)?;
    *rest = after;
    u16::from_str_radix(digits, 16).ok()
}

/// A text as a JSON string.
#[must_use]
pub fn quote(text: &str) -> String {
    // Writing a string into memory has nothing to fail at.
    serde_json::to_string(text).unwrap_or_default()
}

/// White space of JSON.
pub const WHITESPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// Goes through what stands between two brackets, with commas between: `read` takes one off the start
/// of what is left, and answers what is left then.
fn each<'a>(
    text: &'a str,
    [open, close]: [char; 2],
    what: &str,
    mut read: impl FnMut(&'a str) -> Result<&'a str, JsonError>,
) -> Result<(), JsonError> {
    let expected = || JsonError(format!("expected {what}").into());
    let rest = text.trim_start_matches(WHITESPACE).strip_prefix(open);
    let mut rest = rest.ok_or_else(expected)?.trim_start_matches(WHITESPACE);
    if let Some(after) = rest.strip_prefix(close) {
        rest = after;
    } else {
        loop {
            rest = read(rest)?.trim_start_matches(WHITESPACE);
            if let Some(after) = rest.strip_prefix(',') {
                rest = after;
            } else if let Some(after) = rest.strip_prefix(close) {
                rest = after;
                break;
            } else {
                return Err(JsonError(format!("expected `,` or `{close}`").into()));
            }
        }
    }
    match rest.trim_start_matches(WHITESPACE) {
        "" => Ok(()),
        _ => Err(JsonError("trailing characters".into())),
    }
}

/// Takes one value off the start of a text.
fn value(text: &str) -> Result<(&str, &str), JsonError> {
    let text = text.trim_start_matches(WHITESPACE);
    // Keys, and many values, are texts without anything odd in them.
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
            // Where it is wrong would be counted from the start of this value.
            let told = error.to_string();
            let told = told
                .split_once(" at line ")
                .map_or(&*told, |(told, _)| told);
            return Err(JsonError(told.to_owned().into()));
        }
        None => return Err(JsonError("EOF while parsing a value".into())),
    };
    let rest = text.get(values.byte_offset()..).unwrap_or_default();
    Ok((value, rest))
}

impl From<JsonError> for Refusal<'_> {
    fn from(JsonError(message): JsonError) -> Self {
        Self::quoting(message.into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn an_object_is_taken_apart() {
        let mut object = Object::read(" { \"a\" : [1, 2] , \"\\u0062\":\"c\" }\n").unwrap();
        assert_eq!(object.take("a"), Some("[1, 2]"));
        assert_eq!(object.take("a"), None);
        assert_eq!(object.take_string("b"), Ok(Some("c".into())));
        assert_eq!(object.take_string("b"), Ok(None));
        assert_eq!(list("[ 1,[2] ]"), Ok(vec!["1", "[2]"]));
        assert_eq!(list("[]"), Ok(vec![]));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, why) in [
            ("", "expected an object"),
            ("[1]", "expected an object"),
            ("{", "EOF"),
            (r#"{"a""#, "expected `:`"),
            (r#"{"a":"#, "EOF"),
            (r#"{"a":1"#, "expected `,` or `}`"),
            (r#"{"a":1,}"#, "expected"),
            (r#"{"a":1,"a":2}"#, "duplicate field `a`"),
            (r#"{1:1}"#, "expected a key"),
            (r#"{"\ud800":1}"#, "expected a key"),
            (r#"{"a":01}"#, "invalid number"),
            (r#"{"a":1}}"#, "trailing"),
            ("{\"a\":\"\n\"}", "control character"),
        ] {
            let JsonError(told) = Object::read(text).unwrap_err();
            assert!(told.contains(why), "{text}: {told}");
        }
        let many: Vec<_> = (0..65).map(|n| format!("\"{n}\":0")).collect();
        assert!(Object::read(&format!("{{{}}}", many.join(","))).is_err());
    }

    /// The same, read by serde_json.
    fn known(text: &str) -> Option<BTreeMap<String, Box<RawValue>>> {
        serde_json::from_str(text).ok()
    }

    proptest! {
        #[test]
        fn what_is_an_object_and_what_is_not_serde_json_knows_too(
            text in r#"[{]?( ?("[ab\\nu0-9d]{0,4}"|1|-0|\[\]) ?[:,}]){0,6}[}]?"#
        ) {
            let Ok(Object(fields)) = Object::read(&text) else {
                let known = known(&text);
                // Only what has a key twice is read there, and not here.
                prop_assert!(known.is_none_or(|known| known.len() < text.matches(':').count()));
                return Ok(());
            };
            let known: Vec<_> = known(&text).unwrap().into_iter().collect();
            let mut fields: Vec<_> = fields
                .into_iter()
                .map(|(key, value)| (key.into_owned(), value.to_owned()))
                .collect();
            fields.sort();
            let known: Vec<_> = known.iter().map(|(key, raw)| (key.clone(), raw.get().to_owned())).collect();
            prop_assert_eq!(fields, known);
        }

        #[test]
        fn a_text_is_read_as_it_was_written(text in any::<String>()) {
            let quoted = quote(&text);
            prop_assert_eq!(unquote(&quoted), Some(text.into()));
        }

        #[test]
        fn escapes_mean_what_serde_json_takes_them_for(text in r#""(\\[bfnrtu"/\\]|\\u[d0-9][8-9a-f0][0-9]{2}|[a-c]){0,6}""#) {
            let known = serde_json::from_str::<String>(&text).ok();
            if serde_json::from_str::<&RawValue>(&text).is_ok() {
                prop_assert_eq!(unquote(&text).map(Cow::into_owned), known);
            }
        }
    }
}
