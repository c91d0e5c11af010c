//! Quotes refused values in error messages.

use crate::dialect::json::quote;

/// The maximum length of a quoted value, in characters.
const MAX_QUOTE: usize = 80;

/// Quotes a value as JSON. A value of more than 80 characters is cut, and ends with "…".
#[must_use]
pub fn shorten(value: &str) -> String {
    match value.char_indices().nth(MAX_QUOTE) {
        Some((end, _)) => quote(&format!("{}…", value.get(..end).unwrap_or_default())),
        None => quote(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_cut_at_a_character() {
        assert_eq!(shorten("a\"b"), r#""a\"b""#);
        let long = "ä".repeat(MAX_QUOTE + 1);
        assert_eq!(shorten(&long), format!("\"{}…\"", "ä".repeat(MAX_QUOTE)));
    }
}
