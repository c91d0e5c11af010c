//! The error types of the shell.

use std::fmt;

use worker::js_sys::Error as JsError;
use worker::wasm_bindgen::JsValue;

use super::platform::to_text;
use crate::core::refusal::Refusal;
use crate::edge::BadSetting;
use crate::edge::route::HttpError;

/// The result of a call to the platform.
pub(super) type Result<T, E = Error> = std::result::Result<T, E>;

/// The text of an exception from the platform, such as `TypeError: Invalid URL`. The error type of the
/// `worker` crate, which converts all errors of its dependencies, would add 8 KB to the module.
pub(super) struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Error {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<JsValue> for Error {
    #[inline(never)] // exceptions are rare, and most calls to the platform can throw one
    fn from(exception: JsValue) -> Self {
        Self(to_text(&exception).unwrap_or_else(|_| "an exception without a text".to_owned()))
    }
}

impl From<Error> for JsValue {
    fn from(Error(text): Error) -> Self {
        JsError::new(&text).into()
    }
}

/// The reason why a handler cannot fulfill a request.
/// [`Answer::refused`](super::answer::Answer::refused) converts it into a response.
pub(super) enum Failure {
    /// The request is refused.
    Refused(HttpError),
    /// A setting is invalid.
    Setting(BadSetting),
    /// A call to the platform failed.
    Platform(Error),
}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        Self::Refused(error)
    }
}

impl From<Refusal<'_>> for Failure {
    fn from(refusal: Refusal<'_>) -> Self {
        Self::Refused(HttpError::refused(refusal))
    }
}

impl From<BadSetting> for Failure {
    fn from(bad: BadSetting) -> Self {
        Self::Setting(bad)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Platform(error)
    }
}

impl From<JsValue> for Failure {
    fn from(error: JsValue) -> Self {
        Self::Platform(error.into())
    }
}
