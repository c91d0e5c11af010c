//! One setting: a whole number, or why it cannot be read.

use std::fmt;

/// A setting that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadSetting {
    /// Its name.
    pub name: &'static str,
    /// What it should be.
    pub expected: String,
}

impl fmt::Display for BadSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the setting {} cannot be read: it must be {}",
            self.name, self.expected
        )
    }
}

/// Reads a whole number; without one, it is `default`.
pub(crate) fn number(
    find: impl Fn(&str) -> Option<String>,
    name: &'static str,
    default: u64,
    least: u64,
    most: u64,
    unit: &str,
) -> Result<u64, BadSetting> {
    let Some(text) = find(name) else {
        return Ok(default);
    };
    // `parse` alone would take "+5".
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text
        .parse()
        .ok()
        .filter(|number| (least..=most).contains(number));
    number.filter(|_| digits).ok_or_else(|| BadSetting {
        name,
        expected: format!("a whole number {unit}from {least} to {most}"),
    })
}
