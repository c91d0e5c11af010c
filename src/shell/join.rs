//! The Worker's part of a join over a WebSocket: refuses the join, or forwards the join to its
//! room. If the room refuses, the client receives the reason over a WebSocket.
//!
//! Joins are the most frequent requests. Awaiting a promise in Rust costs several times as much as
//! a callback on a JavaScript promise. The callbacks here are therefore created once, and parse the
//! request again.

use worker::wasm_bindgen::JsCast;
use worker::wasm_bindgen::prelude::*;
use worker::web_sys::{Headers, Request, Response};
use worker::{Env, Error, Result, WebSocketPair};

use super::answer::{Answer, Cors, upgrade};
use super::failure::Failure;
use super::forward::room_stub;
use super::promise::{PromiseHandler, await_text};
use super::rate;
use super::request::{authorize, find_route};
use crate::core::close::Close;
use crate::core::notice::Notice;
use crate::core::refusal::{Code, Refusal};
use crate::dialect::Encoded;
use crate::edge::route::{HttpError, Join, Route};
use crate::edge::settings::Settings;

thread_local! {
    static ON_COUNTED: PromiseHandler = PromiseHandler::new(on_counted);
    static ON_ANSWERED: PromiseHandler = PromiseHandler::new(on_answered);
}

/// Checks the token, counts the join for the rate limit, and forwards the join to the room.
pub(super) fn join(
    join: &Join,
    request: &Request,
    headers: &Headers,
    env: &Env,
    settings: &Settings,
) -> std::result::Result<Answer, Failure> {
    let Join {
        room, id, tokens, ..
    } = join;
    if let Err(refusal) = authorize(settings, headers, tokens, Some(room), id.as_ref()) {
        return Ok(reject_join(join, headers, refusal)?.into());
    }
    match rate::count(env, headers) {
        Some(outcome) => Ok(ON_COUNTED.with(|handler| handler.on_settled(&outcome, request, env))),
        None => Ok(forward_join(room, request, env)?),
    }
}

/// Continues a join after the rate limiter has counted the join.
fn on_counted(request: Request, env: Env, outcome: JsValue) -> Answer {
    let answer = parse_again(&request).and_then(|join| match rate::check_outcome(&outcome) {
        Ok(()) => forward_join(&join.room, &request, &env),
        Err(refusal) => Ok(reject_join(&join, &request.headers(), refusal)?.into()),
    });
    answer.unwrap_or_else(Answer::failed)
}

fn forward_join(room: &str, request: &Request, env: &Env) -> Result<Answer> {
    let response = room_stub(env, room)?.fetch_with_request(request)?;
    Ok(ON_ANSWERED.with(|handler| handler.on_settled(&response, request, env)))
}

/// Continues a join after the room has responded or failed.
fn on_answered(request: Request, _: Env, outcome: JsValue) -> Answer {
    match outcome.dyn_into::<Response>() {
        Ok(response) if response.status() == 101 => response.into(),
        Ok(response) => Answer::later(Cors::default(), async move |_| {
            let body = await_text(response.text()?).await?;
            let refusal = read_refusal(&body)
                .ok_or_else(|| Error::from("the room answered a join with an unreadable error"))?;
            Ok(reject_join(
                &parse_again(&request)?,
                &request.headers(),
                refusal,
            )?)
        }),
        Err(error) => Answer::failed(error.into()),
    }
}

/// Parses the join of a request that has already been parsed once.
fn parse_again(request: &Request) -> Result<Join> {
    match find_route(request, &request.headers()) {
        Ok(Route::Join(join)) => Ok(join),
        _ => Err(Error::from(
            "the request was a join, but parses differently now",
        )),
    }
}

/// Refuses a join over a WebSocket: sends an error frame of the client's dialect, and closes the
/// WebSocket with a close code. Browsers hide the status and the body of a refused upgrade from the
/// page.
fn reject_join(join: &Join, headers: &Headers, refusal: Refusal<'_>) -> Result<Response> {
    let close = Close::after(refusal.code).unwrap_or(Close::TooFast);
    let pair = WebSocketPair::new()?;
    pair.server.accept()?;
    if let Encoded::Frames(frames) = join.dialect.encode(&Notice::Refused(refusal), None) {
        for frame in frames {
            pair.server.send_with_str(frame)?;
        }
    }
    pair.server
        .close(Some(close.code()), Some(close.reason()))?;
    upgrade(&pair, headers)
}

/// Reads the refusal from the body of the room's response. The body has the form of an
/// [`HttpError`].
fn read_refusal(body: &str) -> Option<Refusal<'static>> {
    let (code, message) = HttpError::read(body)?;
    Some(Refusal::new(Code::named(&code)?, message))
}
