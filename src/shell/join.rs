//! A join, as the Worker sees it: it refuses what it can, hands on the rest, and tells a peer that its
//! room would not let in why that is.
//!
//! This is what a Worker does most, and a promise that Rust waits for costs several times as much as
//! one of JavaScript's own. So each step is a function that was made once, and gets all that it needs
//! from the request.

use worker::wasm_bindgen::JsCast;
use worker::wasm_bindgen::prelude::*;
use worker::web_sys::{Headers, Request, Response};
use worker::{Env, Error, Result, WebSocketPair};

use super::answer::Answer;
use super::platform::{Step, then};
use super::{check_token, find_route, rate, room_of, text, upgrade};
use crate::core::close::Close;
use crate::core::notice::Notice;
use crate::core::refusal::{Code, Refusal};
use crate::dialect::Encoded;
use crate::edge::route::{HttpError, Join, Route};
use crate::edge::settings::Settings;

thread_local! {
    static COUNTED: Step = Step::new(counted);
    static ANSWERED: Step = Step::new(answered);
}

/// Lets a peer into its room, or tells it why not.
pub(super) fn join(
    join: &Join,
    request: &Request,
    headers: &Headers,
    env: &Env,
    settings: &Settings,
) -> Result<Answer> {
    let Join {
        room, id, token, ..
    } = join;
    if let Err(refusal) = check_token(settings, headers, token.as_deref(), room, id.as_ref()) {
        return Ok(Answer::Now(turn_away(join, headers, refusal)?));
    }
    match rate::count(env, headers) {
        Some(outcome) => Ok(COUNTED.with(|step| then(&outcome, step, request, env))),
        None => hand_on(room, request, env),
    }
}

/// The join was counted.
fn counted(request: Request, env: Env, outcome: JsValue) -> Answer {
    let answer = again(&request).and_then(|join| match rate::judge(&outcome) {
        Ok(()) => hand_on(&join.room, &request, &env),
        Err(refusal) => Ok(Answer::Now(turn_away(&join, &request.headers(), refusal)?)),
    });
    answer.unwrap_or_else(Answer::failed)
}

/// Asks the room.
fn hand_on(room: &str, request: &Request, env: &Env) -> Result<Answer> {
    let answer = room_of(env, room)?.fetch_with_request(request)?;
    Ok(ANSWERED.with(|step| then(&answer, step, request, env)))
}

/// The room has answered, or failed to.
fn answered(request: Request, _: Env, answer: JsValue) -> Answer {
    match answer.dyn_into::<Response>() {
        Ok(response) if response.status() == 101 => Answer::Now(response),
        Ok(response) => Answer::later(async move {
            let body = text(response.text()?).await?;
            let refusal = refusal_of_room(&body).ok_or("the room did not answer a join")?;
            turn_away(&again(&request)?, &request.headers(), refusal)
        }),
        Err(error) => Answer::failed(error.into()),
    }
}

/// What the join asked for; it was found before.
fn again(request: &Request) -> Result<Join> {
    match find_route(request, &request.headers()) {
        Ok(Route::Join(join)) => Ok(join),
        _ => Err(Error::from("a join was none any more")),
    }
}

/// Tells a peer that it may not come in, in its own words: a browser shows a page neither the status
/// nor the body of a refused upgrade, but it does show a frame and a close code.
fn turn_away(join: &Join, headers: &Headers, refusal: Refusal<'_>) -> Result<Response> {
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

/// Reads why a room would not let somebody in: what [`HttpError::refused`] has made of it.
fn refusal_of_room(body: &str) -> Option<Refusal<'static>> {
    let (code, message) = HttpError::read(body)?;
    Some(Refusal::new(Code::named(&code)?, message))
}
