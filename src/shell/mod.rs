//! The shell: the only folder that depends on Cloudflare's platform. This module is the entry point
//! of the Worker. For each request, the Worker sends an error, sends a response, or forwards the
//! request to its room.
//!
//! Rules that do not depend on the platform belong in the other folders. A request that the Worker
//! refuses does not wake a room.

mod answer;
mod env;
mod failure;
mod forward;
mod http;
mod ice;
mod join;
mod log;
mod object;
mod platform;
mod promise;
mod rate;
mod request;
mod sockets;
mod storage;

use worker::wasm_bindgen::prelude::*;
use worker::web_sys::{Request, Response};
use worker::{Env, event};

use self::answer::{Answer, Cors, JSON, preflight, respond};
use self::env::settings;
use self::failure::Failure;
use self::forward::forward_to_room;
use self::platform::{ORIGIN, header};
use self::request::find_route;
use crate::edge::admission;
use crate::edge::quote::shorten;
use crate::edge::route::{HttpError, Join, Route};
use crate::edge::settings::Settings;

/// Installs the panic hook, which logs panics. Runs once for each instance of the module.
#[event(start)]
fn start() {
    console_error_panic_hook::set_once();
}

/// Handles every request except requests for files in `public/`. The `event(fetch)` macro of the
/// `worker` crate would add unneeded wrappers for the request and the response.
#[wasm_bindgen(wasm_bindgen = worker::wasm_bindgen)]
#[allow(unreachable_pub)] // wasm-bindgen requires `pub`
pub fn fetch(request: Request, env: Env, _context: JsValue) -> JsValue {
    // `handle` refuses a request only if the settings are invalid. The allowed origins are then
    // unknown, so the response has no CORS header.
    Answer::new(handle(request, env), &Cors::default()).into()
}

fn handle(request: Request, env: Env) -> Result<Answer, Failure> {
    let settings = settings(&env)?;
    let headers = request.headers();
    let origin = header(&headers, &ORIGIN)?;
    let cors = Cors::new(&settings, origin.as_deref());
    let route =
        check_origin(&settings, origin.as_deref()).and_then(|()| find_route(&request, &headers));
    match route {
        Ok(Route::Join(join)) => join::join(&join, &request, &headers, &env, &settings),
        Ok(route) => Ok(Answer::later(cors, async move |cors| {
            answer_http(route, &request, &env, &settings, cors).await
        })),
        Err(error) => Ok(Answer::refused(error.into(), &cors)),
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

/// Handles every route except a join.
async fn answer_http(
    route: Route,
    request: &Request,
    env: &Env,
    settings: &Settings,
    cors: &Cors,
) -> Result<Response, Failure> {
    match route {
        Route::Health => {
            let body = concat!(
                r#"{"status":"ok","version":""#,
                env!("CARGO_PKG_VERSION"),
                r#""}"#
            );
            Ok(respond(200, JSON, body, cors)?)
        }
        Route::Preflight(methods) => Ok(preflight(methods, cors)?),
        // `handle` processes every join, so this function is never called for a join.
        Route::Join(Join { room, .. }) | Route::Status { room, .. } => {
            Ok(forward_to_room(env, &room, request).await?)
        }
        Route::Ice(wanted) => ice::ice_servers(&wanted, &request.headers(), settings, cors).await,
        Route::Register(peer) => http::register(&peer, request, env, settings).await,
        Route::Message(peer) => http::message(&peer, request, env, settings).await,
        Route::Events { peer, last, head } => {
            http::events(&peer, last, head, request, env, settings, cors).await
        }
    }
}
