//! The shell: all that knows Cloudflare. Here is the Worker, which refuses, answers and hands on.
//!
//! It decides nothing that could be decided elsewhere. A request that is refused here has touched
//! no room.

mod answer;
mod http;
mod ice;
mod join;
mod object;
mod platform;
mod rate;
mod sockets;
mod storage;
mod stream;

use std::cell::OnceCell;
use std::rc::Rc;

use worker::js_sys::{Date, Object, Promise, Reflect};
use worker::wasm_bindgen::JsCast;
use worker::wasm_bindgen::prelude::*;
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys::{Headers, Request, Response, ResponseInit};
use worker::worker_sys::DurableObject;
use worker::worker_sys::ext::ResponseInitExt;
use worker::{Env, Result, WebSocketPair, console_error, event};

use self::answer::{Answer, Cors, JSON, preflight, refuse, respond};
use self::platform::{LAST_EVENT_ID, ORIGIN, PROTOCOLS, UPGRADE, header};

use crate::core::peer::{PeerId, Time};
use crate::core::refusal::{Code, Refusal};
use crate::dialect::json::quote;
use crate::edge::BadSetting;
use crate::edge::admission;
use crate::edge::route::{self, HttpError, Join, Route, route};
use crate::edge::settings::Settings;

/// Once for each instance of the module, so that a panic, should there be one, is logged.
#[event(start)]
fn start() {
    console_error_panic_hook::set_once();
}

/// Every request that is not for a file in `public/`. It has no attribute of `worker`, which would
/// wrap the request and the answer in more than is needed.
#[wasm_bindgen(wasm_bindgen = worker::wasm_bindgen)]
#[allow(unreachable_pub)] // wasm-bindgen wants it said
pub fn fetch(request: Request, env: Env, _context: JsValue) -> JsValue {
    answer(request, env).unwrap_or_else(Answer::failed).into()
}

fn answer(request: Request, env: Env) -> Result<Answer> {
    let settings = match settings(&env) {
        Ok(settings) => settings,
        Err(bad) => return refuse_setting(&bad).map(Answer::Now),
    };
    let headers = request.headers();
    let origin = header(&headers, &ORIGIN)?;
    let cors = Cors::new(&settings, origin.as_deref());
    if !admission::allows_origin(&settings.origins, origin.as_deref()) {
        let message = "pages of this origin may not use this server: see ALLOWED_ORIGINS";
        let error = HttpError::new(403, "forbidden-origin", message);
        return refuse(&error, &cors).map(Answer::Now);
    }
    match find_route(&request, &headers) {
        Ok(Route::Join(wanted)) => join::join(&wanted, &request, &headers, &env, &settings),
        Ok(other) => Ok(Answer::later(async move {
            answer_http(other, &request, &env, &settings, &cors).await
        })),
        Err(error) => refuse(&error, &cors).map(Answer::Now),
    }
}

/// Answers what is not a join.
async fn answer_http(
    route: Route,
    request: &Request,
    env: &Env,
    settings: &Settings,
    cors: &Cors,
) -> Result<Response> {
    match route {
        Route::Health => {
            let body = concat!(
                r#"{"status":"ok","version":""#,
                env!("CARGO_PKG_VERSION"),
                r#""}"#
            );
            respond(200, JSON, body, cors)
        }
        Route::Preflight(methods) => preflight(methods, cors),
        // A join never gets here; its room would answer it, too.
        Route::Join(Join { room, .. }) | Route::Status { room, .. } => {
            hand_on(env, &room, request).await
        }
        Route::Ice(wanted) => ice::ice_servers(&wanted, &request.headers(), settings, cors).await,
        Route::Register(peer) => http::register(&peer, request, env, settings, cors).await,
        Route::Message(peer) => http::message(&peer, request, env, settings, cors).await,
        Route::Events { peer, last, head } => {
            http::events(&peer, last, head, request, env, settings, cors).await
        }
    }
}

/// Hands a request on to its room. The room finds the route again by itself: that is cheaper than
/// telling it, and safer than trusting headers that could have come from outside.
async fn hand_on(env: &Env, room: &str, request: &Request) -> Result<Response> {
    let answer = room_of(env, room)?.fetch_with_request(request)?;
    Ok(JsFuture::from(answer).await?.unchecked_into())
}

fn room_of(env: &Env, room: &str) -> Result<DurableObject> {
    Ok(platform::rooms(env).get_by_name(room)?)
}

/// Waits for text.
async fn text(promise: Promise) -> Result<String> {
    Ok(JsFuture::from(promise)
        .await?
        .as_string()
        .unwrap_or_default())
}

/// What the request wants, as far as its own text tells.
fn find_route(request: &Request, headers: &Headers) -> std::result::Result<Route, HttpError> {
    let unreadable = |_| HttpError::new(400, "bad-header", "a header cannot be read");
    let (method, url) = (request.method(), request.url());
    let (path, query) = route::split(&url);
    let upgrade = header(headers, &UPGRADE).map_err(unreadable)?;
    // Each costs a little, and who wants a socket needs no more of them.
    let accept = match &upgrade {
        None => headers.get("Accept").map_err(unreadable)?,
        Some(_) => None,
    };
    let last_event_id = header(headers, &LAST_EVENT_ID).map_err(unreadable)?;
    route(&route::Request {
        method: &method,
        path,
        query,
        accept: accept.as_deref(),
        last_event_id: last_event_id.as_deref(),
        upgrade: upgrade.as_deref(),
    })
}

/// The settings. They are read once for each instance of the module: other values are another
/// deployment, and that is another instance.
fn settings(env: &Env) -> std::result::Result<Rc<Settings>, BadSetting> {
    thread_local! {
        static SETTINGS: OnceCell<std::result::Result<Rc<Settings>, BadSetting>> =
            const { OnceCell::new() };
    }
    SETTINGS.with(|known| {
        known
            .get_or_init(|| read_settings(env).map(Rc::new))
            .clone()
    })
}

/// Reads the settings out of the Worker's variables and secrets.
fn read_settings(env: &Env) -> std::result::Result<Settings, BadSetting> {
    Settings::read(|name| {
        let value = Reflect::get(env, &name.into()).ok()?;
        if value.is_undefined() {
            return None;
        }
        // A number without quotation marks in wrangler.toml arrives as a number. What is neither
        // is shown as it would be in JavaScript, for the reader to refuse.
        let text = || String::from(Object::from(value.clone()).to_string());
        Some(value.as_string().unwrap_or_else(text))
    })
}

/// Says, and logs, which setting keeps the server from working.
fn refuse_setting(bad: &BadSetting) -> Result<Response> {
    let message = bad.to_string();
    log("bad-setting", &message);
    refuse(
        &HttpError::new(500, "bad-setting", message),
        &Cors::default(),
    )
}

/// Checks the token of whoever wants to be `id` in `room`, if there has to be one.
fn check_token(
    settings: &Settings,
    headers: &Headers,
    in_url: Option<&str>,
    room: &str,
    id: Option<&PeerId>,
) -> std::result::Result<(), Refusal<'static>> {
    let Some(secret) = &settings.secret else {
        return Ok(());
    };
    let token = token_in(headers, in_url)?;
    admission::check_token(secret, token.as_deref(), now(), room, id)
}

/// The one token that a request brings, wherever it is.
fn token_in(
    headers: &Headers,
    in_url: Option<&str>,
) -> std::result::Result<Option<String>, Refusal<'static>> {
    let unreadable = |_| Refusal::new(Code::Unauthorized, "a header cannot be read");
    let protocols = header(headers, &PROTOCOLS)
        .map_err(unreadable)?
        .unwrap_or_default();
    let authorization = headers
        .get("Authorization")
        .map_err(unreadable)?
        .unwrap_or_default();
    let mut tokens = admission::token_in_protocols(&protocols)
        .into_iter()
        .chain(admission::token_in_authorization(&authorization))
        .chain(in_url);
    let token = tokens.next().map(str::to_owned);
    if tokens.next().is_some() {
        let message = "there are two tokens: send one";
        return Err(Refusal::new(Code::Unauthorized, message));
    }
    Ok(token)
}

/// Answers an upgrade with the client's end of a pair.
fn upgrade(pair: &WebSocketPair, headers: &Headers) -> Result<Response> {
    let offered = header(headers, &PROTOCOLS)?.unwrap_or_default();
    let mut protocols = offered.split(',').map(str::trim);
    let mut init = ResponseInit::new();
    init.set_status(101);
    if protocols.any(|protocol| protocol == PROTOCOL) {
        let answered = Headers::new()?;
        answered.set("Sec-WebSocket-Protocol", PROTOCOL)?;
        init.set_headers(&answered);
    }
    init.websocket(pair.client.as_ref())?;
    Ok(Response::new_with_opt_str_and_init(None, &init)?)
}

/// The subprotocol that a client offers in order to bring its token (RFC 6455 §1.9): a browser ends
/// a connection on which none of those it offered is chosen.
const PROTOCOL: &str = "partyline";

fn now() -> Time {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Whole, and after 1970.
    Time(Date::now() as u64)
}

/// One line of JSON, as those who read logs with programs like it.
fn log(event: &str, message: &str) {
    let (event, message) = (quote(event), quote(message));
    console_error!("{{\"event\":{event},\"message\":{message}}}");
}
