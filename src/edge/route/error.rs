//! HTTP requests that are refused: a status, and the one shape that all errors have.

use std::borrow::Cow;

use crate::core::refusal::{Code, Refusal};
use crate::dialect::json::{Object, quote};

/// An HTTP request that is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpError {
    /// The status.
    pub status: u16,
    /// What programs read.
    pub code: &'static str,
    /// What people read.
    pub message: Cow<'static, str>,
    /// A header that the status asks for, and its value.
    pub header: Option<(&'static str, &'static str)>,
}

impl HttpError {
    /// An error without a header of its own.
    #[must_use]
    pub fn new(status: u16, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            header: None,
        }
    }

    /// What a room, or a dialect, has refused.
    #[must_use]
    pub fn refused(refusal: Refusal<'_>) -> Self {
        let (status, header) = match refusal.code {
            Code::Malformed | Code::ReservedType => (400, None),
            Code::Unauthorized => (401, Some(("WWW-Authenticate", "Bearer"))), // RFC 9110 §15.5.2
            Code::NoSuchPeer => (404, None),
            Code::RoomFull | Code::IdTaken | Code::NotRegistered => (409, None),
            Code::TooLarge => (413, None),
            Code::TooFast => (429, Some(("Retry-After", "1"))),
            Code::MailboxFull => (429, Some(("Retry-After", "15"))),
            // What makes an EventSource stay away (HTML §9.2.3).
            Code::Replaced => (204, None),
        };
        let error = Self::new(status, refusal.code.as_str(), refusal.message);
        Self { header, ..error }
    }

    /// The body: `{"error":{"code":"…","message":"…"}}`.
    #[must_use]
    pub fn body(&self) -> String {
        let Self { code, message, .. } = self;
        let (code, message) = (quote(code), quote(message));
        format!(r#"{{"error":{{"code":{code},"message":{message}}}}}"#)
    }

    /// Reads the code and the message in such a body.
    #[must_use]
    pub fn read(body: &str) -> Option<(String, String)> {
        let mut body = Object::read(body).ok()?;
        let mut error = Object::read(body.take("error")?).ok()?;
        let mut text = |key| Some(error.take_string(key).ok()??.into_owned());
        Some((text("code")?, text("message")?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_one_shape() {
        let error = HttpError::new(400, "bad-id", "say \"please\"");
        assert_eq!(
            error.body(),
            r#"{"error":{"code":"bad-id","message":"say \"please\""}}"#
        );
        let read = Some(("bad-id".to_owned(), "say \"please\"".to_owned()));
        assert_eq!(HttpError::read(&error.body()), read);
        assert_eq!(HttpError::read("<html>"), None);
    }
}
