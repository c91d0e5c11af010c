//! The Worker's part of a join over a WebSocket: if the room refuses the join, the client receives
//! the reason over a WebSocket.

use worker::wasm_bindgen::prelude::*;
use worker::web_sys::{Headers, Response};
use worker::worker_sys::ext::WebSocketExt;

use super::answer::{Answer, upgrade};
use super::call::{Call, room_response};
use super::failure::{self, Error, Failure};
use super::platform::WebSocketPair;
use super::promise::Step;
use crate::core::close::Close;
use crate::core::refusal::{Code, Refusal};
use crate::dialect::Dialect;
use crate::edge::route::{HttpError, Route};

/// Continues a join after the room has responded or failed.
pub(super) fn on_answered(call: &Call, outcome: JsValue) -> Result<Answer, Failure> {
    let response = room_response(outcome)?;
    if response.status() == 101 {
        return Ok(response.into());
    }
    Ok(call.proceed_after(&response.text()?, Step::Refused))
}

/// Refuses a join for the reason in the body of the room's response.
pub(super) fn on_refused(call: &Call, outcome: JsValue) -> Result<Answer, Failure> {
    let body = outcome.as_string().ok_or(outcome)?;
    let refusal = read_refusal(&body)
        .ok_or_else(|| Error::from("the room answered a join with an unreadable error"))?;
    refuse(&call.route()?, &call.request.headers(), refusal)
}

/// Refuses a join over a WebSocket if the client reads the reason there, and every other request over
/// HTTP.
pub(super) fn refuse(
    route: &Route,
    headers: &Headers,
    refusal: Refusal<'_>,
) -> Result<Answer, Failure> {
    let dialect = match route {
        Route::Join(join) => join.dialect,
        Route::Rejected(dialect, _) => *dialect,
        _ => return Err(refusal.into()),
    };
    if dialect.is_refused_over_http() {
        return Err(refusal.into());
    }
    Ok(reject_join(dialect, headers, refusal)?.into())
}

/// Refuses a join over a WebSocket: sends an error frame of the client's dialect, and closes the
/// WebSocket with a close code. Browsers hide the status and the body of a refused upgrade from the
/// page.
fn reject_join(
    dialect: Dialect,
    headers: &Headers,
    refusal: Refusal<'_>,
) -> failure::Result<Response> {
    let close = Close::after(refusal.code).unwrap_or(Close::TooFast);
    let pair = WebSocketPair::new()?;
    pair.server.accept()?;
    for frame in dialect.encode_rejection(refusal) {
        pair.server.send_with_str(&frame)?;
    }
    pair.server
        .close_with_code_and_reason(close.code(), close.reason())?;
    upgrade(&pair, headers)
}

/// Reads the refusal from the body of the room's response. The body has the form of an
/// [`HttpError`].
fn read_refusal(body: &str) -> Option<Refusal<'static>> {
    let (code, message) = HttpError::read(body)?;
    Some(Refusal::new(Code::named(&code)?, message))
}
