//! The JSON writer. It appends values to one string, without building a tree.

/// Encodes `text` as a JSON string.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len().saturating_add(2));
    push_quoted(&mut quoted, text);
    quoted
}

fn push_quoted(json: &mut String, text: &str) {
    let plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    if text.bytes().all(plain) {
        json.push('"');
        json.push_str(text);
        json.push('"');
    } else {
        // Serializing a string cannot fail.
        json.push_str(&serde_json::to_string(text).unwrap_or_default());
    }
}

/// Encodes an array of values that are JSON already.
#[must_use]
pub fn array(values: impl IntoIterator<Item = String>) -> String {
    let mut json = String::from("[");
    for (index, value) in values.into_iter().enumerate() {
        if index > 0 {
            json.push(',');
        }
        json.push_str(&value);
    }
    json.push(']');
    json
}

/// Writes an object, one field after the other. The keys are literals that need no escapes.
#[derive(Debug)]
pub struct ObjectWriter(String);

impl ObjectWriter {
    /// Starts an object. `extra` is the expected total size of the long values, in bytes.
    #[must_use]
    pub fn new(extra: usize) -> Self {
        // This is enough for two to four short fields. Larger objects are reallocated.
        const SHORT_FIELDS: usize = 96;
        Self(String::with_capacity(extra.saturating_add(SHORT_FIELDS)))
    }

    /// Adds a field with a string value.
    #[must_use]
    pub fn string(mut self, key: &'static str, value: &str) -> Self {
        self.push_key(key);
        push_quoted(&mut self.0, value);
        self
    }

    /// Adds a field with a string value, if there is a value.
    #[must_use]
    pub fn optional_string(self, key: &'static str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.string(key, value),
            None => self,
        }
    }

    /// Adds a field with a boolean value.
    #[must_use]
    pub fn boolean(self, key: &'static str, value: bool) -> Self {
        self.raw(key, if value { "true" } else { "false" })
    }

    /// Adds a field with a value that is JSON already.
    #[must_use]
    pub fn raw(mut self, key: &'static str, json: &str) -> Self {
        self.push_key(key);
        self.0.push_str(json);
        self
    }

    /// Adds a field with a key that may need escapes and a value that is JSON already.
    #[must_use]
    pub fn raw_at(mut self, key: &str, json: &str) -> Self {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        push_quoted(&mut self.0, key);
        self.0.push(':');
        self.0.push_str(json);
        self
    }

    /// Adds a field with a value that is JSON already, if there is a value.
    #[must_use]
    pub fn optional_raw(self, key: &'static str, json: Option<&str>) -> Self {
        match json {
            Some(json) => self.raw(key, json),
            None => self,
        }
    }

    /// Ends the object and returns its text.
    #[must_use]
    pub fn end(mut self) -> String {
        if self.0.is_empty() {
            self.0.push('{');
        }
        self.0.push('}');
        self.0
    }

    fn push_key(&mut self, key: &'static str) {
        self.0
            .push_str(if self.0.is_empty() { "{\"" } else { ",\"" });
        self.0.push_str(key);
        self.0.push_str("\":");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_written_field_by_field() {
        assert_eq!(ObjectWriter::new(0).end(), "{}");
        let object = ObjectWriter::new(9)
            .string("a", "b\"")
            .optional_string("c", Some("d"))
            .optional_string("e", None)
            .boolean("f", true)
            .boolean("g", false)
            .raw_at("h\n", &array([]))
            .optional_raw("i", Some(&array(["1".to_owned(), "{}".to_owned()])))
            .optional_raw("j", None)
            .end();
        assert_eq!(
            object,
            r#"{"a":"b\"","c":"d","f":true,"g":false,"h\n":[],"i":[1,{}]}"#
        );
    }
}
