//! Reads the JSON bodies of requests of back ends.

use std::borrow::Cow;

use crate::core::refusal::Refusal;
use crate::dialect::json::{JsonError, Object};
use crate::edge::route::HttpError;

/// The maximum size of a body, in bytes.
pub const MAX_BODY: usize = 16 * 1024;

/// Removes a field that must be present, and returns its value as a string.
pub(super) fn required<'a>(body: &mut Object<'a>, key: &str) -> Result<Cow<'a, str>, HttpError> {
    let value = body.take_string(key).map_err(malformed)?;
    value.ok_or_else(|| {
        let message = format!("missing field `{key}`: expected a string. Add the field");
        HttpError::refused(Refusal::malformed(message))
    })
}

/// Refuses the first field that is left. `known` names the fields that a body may have.
pub(super) fn deny_unknown(mut body: Object<'_>, known: &str) -> Result<(), HttpError> {
    match body.take_first() {
        None => Ok(()),
        Some((key, _)) => {
            let message = format!("unknown field `{key}`, expected {known}: remove it");
            Err(HttpError::refused(Refusal::quoting(message)))
        }
    }
}

/// Creates the error for a body that is not the expected JSON: 400 `malformed`.
pub(super) fn malformed(error: JsonError) -> HttpError {
    HttpError::refused(error.into())
}
