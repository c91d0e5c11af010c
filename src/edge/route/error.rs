//! HTTP errors. Every error has a status, and a JSON body with a code and a message.

use std::borrow::Cow;
use std::time::Duration;

use crate::core::event::Limits;
use crate::core::refusal::{Code, Refusal};
use crate::dialect::json::{Object, quote};

/// The response to a refused HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpError {
    /// The HTTP status, such as 404.
    pub status: u16,
    /// The error code, such as `not-found`. Programs compare the code.
    pub code: &'static str,
    /// The explanation for the developer of the client.
    pub message: Cow<'static, str>,
    /// The name and the value of the header that the status requires, such as `Allow` for 405.
    pub header: Option<(&'static str, Cow<'static, str>)>,
}

impl HttpError {
    /// Creates an error without an additional header.
    #[must_use]
    pub fn new(status: u16, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            header: None,
        }
    }

    /// Adds the header that the status requires.
    #[must_use]
    pub fn with_header(self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        let header = Some((name, value.into()));
        Self { header, ..self }
    }

    /// Creates the error for a refusal by the admission checks or by a dialect.
    #[must_use]
    pub fn refused(refusal: Refusal<'_>) -> Self {
        let code = refusal.code;
        let status = match code {
            Code::Malformed | Code::ReservedType | Code::BadId => 400,
            Code::Removed => 403,
            Code::Unauthorized => 401,
            Code::NoSuchPeer | Code::NoSuchSession => 404,
            Code::RoomFull | Code::IdTaken | Code::NotRegistered | Code::SessionExists => 409,
            Code::TooLarge => 413,
            Code::TooFast | Code::MailboxFull => 429,
            // An answer that the media server cannot use. Over HTTP, the room reports it in an event.
            Code::UnsupportedCodec => 415,
            Code::MediaUnavailable => 503,
            // An `EventSource` stops reconnecting after any status other than 200 (HTML §9.2.3).
            Code::Replaced => 204,
        };
        let error = Self::new(status, code.as_str(), refusal.message);
        match code {
            // A 401 response requires this header (RFC 9110 §15.5.2).
            Code::Unauthorized => error.with_header("WWW-Authenticate", "Bearer"),
            Code::TooFast => error.with_header("Retry-After", "1"),
            _ => error,
        }
    }

    /// Creates the error for a refusal by the room.
    ///
    /// Only an absent peer has a full queue. The peer reconnects or leaves within the grace period,
    /// so `Retry-After` is the grace period.
    #[must_use]
    pub fn refused_by_room(refusal: Refusal<'_>, limits: &Limits) -> Self {
        let is_full = refusal.code == Code::MailboxFull;
        let error = Self::refused(refusal);
        if !is_full {
            return error;
        }
        let seconds = Duration::from_millis(limits.grace).as_secs().max(1);
        error.with_header("Retry-After", seconds.to_string())
    }

    /// Returns the body: `{"error":{"code":"…","message":"…"}}`.
    #[must_use]
    pub fn body(&self) -> String {
        let Self { code, message, .. } = self;
        let (code, message) = (quote(code), quote(message));
        format!(r#"{{"error":{{"code":{code},"message":{message}}}}}"#)
    }

    /// Reads the code and the message from the output of [`body`](Self::body). Returns `None` for
    /// any other string.
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
    fn the_body_of_an_error_can_be_read_back() {
        let error = HttpError::new(400, "bad-id", "say \"please\"");
        assert_eq!(
            error.body(),
            r#"{"error":{"code":"bad-id","message":"say \"please\""}}"#
        );
        let read = Some(("bad-id".to_owned(), "say \"please\"".to_owned()));
        assert_eq!(HttpError::read(&error.body()), read);
        assert_eq!(HttpError::read("<html>"), None);
    }

    #[test]
    fn retry_after_follows_the_grace_period_when_an_outbox_is_full() {
        for (grace, seconds) in [(0, "1"), (15_000, "15"), (3_600_000, "3600")] {
            let limits = Limits {
                grace,
                ..Limits::default()
            };
            let refused = |code| HttpError::refused_by_room(Refusal::new(code, ""), &limits).header;
            let header = |value: &'static str| Some(("Retry-After", Cow::Borrowed(value)));
            assert_eq!(refused(Code::MailboxFull), header(seconds));
            assert_eq!(refused(Code::TooFast), header("1"));
            assert_eq!(refused(Code::NoSuchPeer), None);
        }
    }
}
