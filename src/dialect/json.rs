//! The bits of JSON that dialects have in common: objects whose keys are not known beforehand, and
//! strings.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::refusal::Refusal;

/// The longest explanation that quotes what a peer has sent, in characters.
const MAX_QUOTE: usize = 200;

/// The fields of an object in their order, each key once, each value as it was written.
pub(super) struct Object<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Object<'a> {
    /// Reads a frame that is one object.
    pub(super) fn read(text: &'a str) -> Result<Self, Refusal<'static>> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let object = deserializer.deserialize_map(Fields).and_then(|fields| {
            deserializer.end()?;
            Ok(Self(fields))
        });
        object.map_err(|error| unreadable(&error))
    }

    /// Takes out a field that is a string, if it is there.
    pub(super) fn take_string(
        &mut self,
        key: &str,
    ) -> Result<Option<Cow<'a, str>>, Refusal<'static>> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        match serde_json::from_str::<Text<'a>>(value.get()) {
            Ok(Text(text)) => Ok(Some(text)),
            Err(_) => Err(Refusal::malformed(format!("`{key}` is not a string"))),
        }
    }

    /// Takes out a field, if it is there.
    pub(super) fn take(&mut self, key: &str) -> Option<&'a RawValue> {
        let place = self.0.iter().position(|(known, _)| known == key)?;
        Some(self.0.remove(place).1)
    }

    /// The only field that is left, or what is wrong.
    pub(super) fn only(self) -> Result<(Cow<'a, str>, &'a RawValue), Refusal<'static>> {
        let mut fields = self.0.into_iter();
        match (fields.next(), fields.next()) {
            (Some(field), None) => Ok(field),
            (None, _) => Err(Refusal::malformed(
                "the frame says nothing: a key of its own is missing",
            )),
            (Some((one, _)), Some((two, _))) => Err(malformed(format!(
                "`{one}` and `{two}` are not to be in one frame"
            ))),
        }
    }
}

/// A string that is copied only where it has escapes.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// Reads a receiver. `null` is not the same as nothing here: whoever sends it has lost an id, and
/// hardly means everybody.
pub(super) fn not_null<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Text<'de>>, D::Error> {
    Text::deserialize(deserializer).map(Some)
}

struct Fields;

impl<'a> Visitor<'a> for Fields {
    type Value = Vec<(Cow<'a, str>, &'a RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields: Self::Value = Vec::new();
        while let Some((Text(key), value)) = map.next_entry::<Text<'a>, &'a RawValue>()? {
            // More than any frame has; an object with thousands would be compared thousands of times.
            if fields.len() >= 8 {
                return Err(A::Error::custom("too many keys"));
            }
            if fields.iter().any(|(known, _)| *known == key) {
                return Err(A::Error::custom(format_args!("duplicate field `{key}`")));
            }
            fields.push((key, value));
        }
        Ok(fields)
    }
}

/// A refusal that quotes what was sent, though not without end.
pub(super) fn malformed(message: String) -> Refusal<'static> {
    let short = message.chars().take(MAX_QUOTE).collect::<String>();
    Refusal::malformed(short)
}

/// What the JSON reader says is wrong.
pub(super) fn unreadable(error: &serde_json::Error) -> Refusal<'static> {
    malformed(error.to_string())
}

/// The payload of a signal: nothing and `null` are the same.
pub(super) fn payload(value: &RawValue) -> Option<Cow<'_, str>> {
    Some(value.get().into()).filter(|payload| payload != "null")
}

/// A text as a JSON string.
pub(crate) fn quote(text: &str) -> String {
    // Writing a string into memory has nothing to fail at.
    serde_json::to_string(text).unwrap_or_default()
}
