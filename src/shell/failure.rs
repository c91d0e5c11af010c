//! The error type of the shell.

use worker::Error;
use worker::wasm_bindgen::JsValue;

use crate::core::refusal::Refusal;
use crate::edge::BadSetting;
use crate::edge::route::HttpError;

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
