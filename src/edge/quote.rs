//! Quoting refused values in messages.

use crate::dialect::json::quote;

/// The longest part of a refused value that a message quotes, in characters.
const MAX_QUOTE: usize = 80;

/// Quotes a value as JSON. A long value is cut after 80 characters.
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
