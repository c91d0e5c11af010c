//! Reads one setting: returns a whole number, or an error that names the setting.

use std::fmt;

use super::quote::shorten;
use crate::core::text::split_once;

/// A setting with an invalid value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadSetting {
    /// The name of the setting.
    pub name: &'static str,
    /// The problem with the value, such as `is "many"`. The text never contains a secret.
    pub problem: String,
    /// The expected values, such as `a whole number from 1 to 16384`.
    pub expected: String,
    /// The next step for the operator of the server.
    pub fix: String,
}

impl BadSetting {
    /// Creates the error for a variable in `wrangler.toml`. The message quotes the value.
    pub(super) fn variable(name: &'static str, value: &str, expected: impl Into<String>) -> Self {
        Self {
            name,
            problem: format!("is {}", shorten(value)),
            expected: expected.into(),
            fix: format!("Correct {name} in wrangler.toml and deploy again"),
        }
    }

    /// Creates the error for a secret, or for a variable whose value may be a secret. The message
    /// never quotes the value.
    pub(super) fn secret(
        name: &'static str,
        problem: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self {
            name,
            problem: problem.into(),
            expected: expected.into(),
            fix: format!("Set it with `npx wrangler secret put {name}`"),
        }
    }
}

/// The minimum length of a secret that clients could guess offline, in bytes. RFC 7518 §3.2 requires a
/// key at least as long as the hash.
const MIN_SECRET: usize = 32;

/// Reads a secret of at least 32 bytes.
pub(super) fn strong_secret(
    name: &'static str,
    value: Option<String>,
) -> Result<Option<String>, BadSetting> {
    match value {
        Some(secret) if secret.len() < MIN_SECRET => {
            let problem = format!("has {} bytes", secret.len());
            let expected = format!("at least {MIN_SECRET} bytes long");
            Err(BadSetting::secret(name, problem, expected))
        }
        value => Ok(value),
    }
}

/// Reads a setting that is `"true"` or `"false"`. Returns `false` if the setting is absent.
pub(super) fn boolean(
    find: impl Fn(&str) -> Option<String>,
    name: &'static str,
) -> Result<bool, BadSetting> {
    match find(name).as_deref() {
        Some("true") => Ok(true),
        Some("false") | None => Ok(false),
        Some(other) => {
            let expected = r#""true" or "false", as text"#;
            Err(BadSetting::variable(name, other, expected))
        }
    }
}

/// Checks a token that is sent in the header `Authorization`.
pub(super) fn bearer_token(name: &'static str, token: String) -> Result<String, BadSetting> {
    if token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(token);
    }
    let problem = "has spaces or characters outside ASCII";
    let expected = "visible ASCII characters, because it is sent in a header";
    Err(BadSetting::secret(name, problem, expected))
}

/// Checks the base URL of a server, and removes slashes at its end.
pub(super) fn http_url(name: &'static str, url: &str, example: &str) -> Result<String, BadSetting> {
    let mut schemes = ["https://", "http://"].iter();
    let rest = schemes.find_map(|scheme| url.strip_prefix(scheme));
    if rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(['?', '#', ' '])) {
        return Ok(url.trim_end_matches('/').to_owned());
    }
    let expected = format!("a URL without a query, such as {example}");
    Err(BadSetting::variable(name, url, expected))
}

/// Returns whether the text is an origin in lower case, without a path or a wildcard.
pub(super) fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = split_once(text, "://") else {
        return false;
    };
    let is_plain = !host.is_empty() && !host.contains(['/', '?', '#', '@', '*', ' ']);
    !scheme.is_empty() && is_plain && text == text.to_ascii_lowercase()
}

impl BadSetting {
    /// The message for clients, without the value.
    #[must_use]
    pub fn message(&self) -> String {
        let Self {
            name,
            expected,
            fix,
            ..
        } = self;
        format!("the setting {name} is invalid: it must be {expected}. {fix}")
    }
}

impl fmt::Display for BadSetting {
    /// The message for the log, which also says what is wrong with the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name,
            problem,
            expected,
            fix,
        } = self;
        write!(
            f,
            "the setting {name} {problem}: it must be {expected}. {fix}"
        )
    }
}

/// The default, the range and the unit of a numeric setting.
pub(super) struct Range {
    pub(super) default: u64,
    pub(super) min: u64,
    pub(super) max: u64,
    /// The unit that messages name. `None` for a count.
    pub(super) unit: Option<&'static str>,
}

/// Reads a whole number. Returns the default if the setting is absent.
pub(super) fn number(
    find: impl Fn(&str) -> Option<String>,
    name: &'static str,
    range: &Range,
) -> Result<u64, BadSetting> {
    let Range {
        default,
        min,
        max,
        unit,
    } = range;
    let Some(text) = find(name) else {
        return Ok(*default);
    };
    // `parse` accepts "+5", which is not a valid setting.
    let has_only_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if has_only_digits && (min..=max).contains(&&number) => Ok(number),
        _ => {
            let unit = unit.map(|unit| format!("of {unit} ")).unwrap_or_default();
            let expected = format!("a whole number {unit}from {min} to {max}");
            Err(BadSetting::variable(name, &text, expected))
        }
    }
}
