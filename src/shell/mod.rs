//! The shell: the only folder that depends on Cloudflare's platform. This module is the entry point
//! of the Worker. For each request, the Worker sends an error, sends a response, or forwards the
//! request to its room.
//!
//! Rules that do not depend on the platform belong in the other folders. A request that the Worker
//! refuses does not wake a room.

mod admin;
mod answer;
mod body;
mod call;
mod engine;
mod env;
mod failure;
mod http;
mod ice;
mod join;
mod live;
mod log;
mod media;
mod object;
mod platform;
mod promise;
mod rate;
mod request;
mod sockets;
mod storage;

use worker::wasm_bindgen::prelude::*;
use worker::web_sys::Request;
use worker::{Env, event};

use self::answer::{Answer, EVENTS, HTML, JSON, preflight, respond, respond_status};
use self::call::{Call, room_response};
use self::failure::Failure;
use self::join::refuse;
use self::platform::{ORIGIN, header};
use self::promise::Step;
use self::request::{authorize, find_route, may_see_room, new_id};
use crate::dialect::family::Family;
use crate::edge::admission;
use crate::edge::quote::shorten;
use crate::edge::rate_limit::RateLimit;
use crate::edge::route::{HttpError, Route, check_id, check_next};
use crate::edge::settings::Settings;
use crate::edge::status::Status;

/// Installs the panic hook, which logs panics. Runs once for each instance of the module.
#[event(start)]
fn start() {
    console_error_panic_hook::set_once();
}

/// Handles every request except requests for files in `public/`. The `event(fetch)` macro of the
/// `worker` crate would add unneeded wrappers for the request and the response.
#[wasm_bindgen(wasm_bindgen = worker::wasm_bindgen)]
#[allow(unreachable_pub)] // wasm-bindgen requires `pub`
pub fn fetch(request: Request, env: Env) -> JsValue {
    let call = Call { request, env };
    call.finish(handle(&call))
}

/// Continues to handle a request after a promise has settled. `outcome` is the value or the error
/// of the promise.
#[wasm_bindgen(wasm_bindgen = worker::wasm_bindgen)]
#[allow(unreachable_pub)] // wasm-bindgen requires `pub`
pub fn proceed(step: Step, request: Request, env: Env, outcome: JsValue) -> JsValue {
    let call = Call { request, env };
    let result = match step {
        Step::Counted => on_counted(&call, &outcome),
        Step::Answered => room_response(outcome).map(Answer::from),
        Step::Joined => join::on_answered(&call, outcome),
        Step::Refused => join::on_refused(&call, outcome),
        Step::Opened => http::on_opened(&call, outcome),
        Step::TurnAnswered => ice::on_answered(&call, outcome),
        Step::TurnRead => ice::on_read(&call, outcome),
        Step::BodyRead => live::on_read(&call, &outcome),
        Step::RemovalRead => admin::on_read(&call, &outcome),
        Step::SessionCreated => live::on_created(&call, outcome),
        Step::DeviceNotified => live::on_notified(&call, &outcome),
    };
    call.finish(result)
}

/// Checks the origin and the token of a request, and counts it for the rate limits.
fn handle(call: &Call) -> Result<Answer, Failure> {
    let settings = call.settings()?;
    let headers = call.request.headers();
    check_origin(&settings, header(&headers, &ORIGIN)?.as_deref())?;
    let route = find_route(&call.request, &headers)?;
    let allowed = authorize(&route, &headers, &settings);
    if let Err(refusal) = allowed.and_then(|()| check_id(&route, settings.secrets.is_some())) {
        return refuse(&route, &headers, refusal);
    }
    match rate::count(&call.env, &headers, RateLimit::of(&route)) {
        Some(outcome) => Ok(call.proceed_after(&outcome, Step::Counted)),
        None => serve(&route, call, &settings),
    }
}

fn on_counted(call: &Call, outcome: &JsValue) -> Result<Answer, Failure> {
    let route = call.route()?;
    match rate::check_outcome(RateLimit::of(&route), outcome) {
        Ok(()) => serve(&route, call, &*call.settings()?),
        Err(refusal) if matches!(route, Route::Join(_)) => {
            refuse(&route, &call.request.headers(), refusal)
        }
        Err(refusal) => Err(RateLimit::error(refusal).into()),
    }
}

/// Answers a request that is allowed, or forwards it to its room.
fn serve(route: &Route, call: &Call, settings: &Settings) -> Result<Answer, Failure> {
    match route {
        Route::Health => {
            let body = concat!(
                r#"{"status":"ok","version":""#,
                env!("CARGO_PKG_VERSION"),
                r#""}"#
            );
            Ok(respond(200, JSON, body, &call.cors())?.into())
        }
        Route::Preflight(methods) => Ok(preflight(methods, &call.cors())?.into()),
        Route::Status {
            room,
            family,
            html,
            tokens,
        } => {
            if may_see_room(&call.request.headers(), tokens, room, settings) {
                let object = family.unwrap_or(Family::Party).object(room);
                return Ok(call.forward(&object, &call.request, Step::Answered)?);
            }
            let status = Status {
                room,
                family: *family,
                room_facts: None,
            };
            Ok(respond_status(&status, *html, &call.cors())?.into())
        }
        Route::Join(join) => {
            check_next(join, settings.limits.peers)?;
            let object = join.dialect.family().object(&join.room);
            Ok(call.forward(&object, &call.request, Step::Joined)?)
        }
        Route::Rejected(_, refusal) => refuse(route, &call.request.headers(), refusal.clone()),
        Route::NewId { room, tokens } => {
            let id = new_id(room, tokens, &call.request.headers(), settings)?;
            Ok(respond(200, HTML, id.as_str(), &call.cors())?.into())
        }
        Route::Engine(Ok(wanted)) => engine::serve(wanted, call, settings),
        Route::Engine(Err(error)) => Ok(respond(400, JSON, &error.body(), &call.cors())?.into()),
        Route::Ice(wanted) => ice::ice_servers(wanted, call, settings),
        Route::Live(action) => live::start(action, call, settings),
        Route::Admin(wanted) => admin::start(wanted, call, settings),
        Route::Register(peer) => http::register(peer, call, settings),
        Route::Message(peer) => http::message(peer, call),
        Route::Events { head: true, .. } => Ok(respond(200, EVENTS, "", &call.cors())?.into()),
        Route::Events { peer, last, .. } => http::events(peer, *last, call),
    }
}

fn check_origin(settings: &Settings, origin: Option<&str>) -> Result<(), HttpError> {
    if admission::allows_origin(&settings.origins, origin) {
        return Ok(());
    }
    let origin = shorten(origin.unwrap_or_default());
    let message = format!(
        "the origin {origin} is not allowed: expected an origin in ALLOWED_ORIGINS. Ask the \
         operator of this server to allow your origin"
    );
    Err(HttpError::new(403, "forbidden-origin", message))
}
