//! The shell: all that knows Cloudflare. Here is the Worker, which refuses, answers and hands on.
//!
//! It decides nothing that could be decided elsewhere. A request that is refused here has touched
//! no room.

mod answer;
mod http;
mod ice;
mod joins;
mod object;
mod sockets;
mod storage;
mod stream;

use serde_json::json;
use worker::js_sys::Reflect;
use worker::{
    Context, Date, Env, Headers, Request, Response, Result, WebSocketPair, console_error, event,
};

use self::answer::{Cors, JSON, preflight, refuse, respond};

use crate::admission;
use crate::close::Close;
use crate::event::Notice;
use crate::peer::{PeerId, Time};
use crate::refusal::{Code, Refusal};
use crate::route::{self, HttpError, Join, Route, route};
use crate::settings::{BadSetting, Settings};

/// Once for each instance of the module, so that a panic, should there be one, is logged.
#[event(start)]
fn start() {
    console_error_panic_hook::set_once();
}

/// Every request that is not for a file in `public/`.
#[event(fetch)]
async fn fetch(request: Request, env: Env, _: Context) -> Result<Response> {
    let settings = match read_settings(&env) {
        Ok(settings) => settings,
        Err(bad) => return refuse_setting(&bad),
    };
    let origin = request.headers().get("Origin")?;
    let cors = Cors::new(&settings, origin.as_deref());
    answer(request, &env, &settings, origin, &cors)
        .await
        .or_else(|error| {
            log("request", &error.to_string());
            let message = "the platform failed: try again";
            refuse(&HttpError::new(500, "internal", message), &cors)
        })
}

async fn answer(
    request: Request,
    env: &Env,
    settings: &Settings,
    origin: Option<String>,
    cors: &Cors,
) -> Result<Response> {
    if !admission::allows_origin(&settings.origins, origin.as_deref()) {
        let message = "pages of this origin may not use this server: see ALLOWED_ORIGINS";
        return refuse(&HttpError::new(403, "forbidden-origin", message), cors);
    }
    let found = match find_route(&request) {
        Ok(found) => found,
        Err(error) => return refuse(&error, cors),
    };
    let join = match found {
        Route::Health => {
            let body = json!({ "status": "ok", "version": env!("CARGO_PKG_VERSION") });
            return respond(200, JSON, body.to_string(), cors);
        }
        Route::Preflight(methods) => return preflight(methods, cors),
        Route::Status { room, .. } => return hand_on(env, &room, request).await,
        Route::Ice(wanted) => {
            return ice::ice_servers(&wanted, request.headers(), settings, cors).await;
        }
        Route::Register(peer) => {
            return http::register(&peer, &request, env, settings, cors).await;
        }
        Route::Message(peer) => return http::message(&peer, request, env, settings, cors).await,
        Route::Events { peer, last, head } => {
            return http::events(&peer, last, head, &request, env, settings, cors).await;
        }
        Route::Join(join) => join,
    };
    let headers = request.headers().clone();
    let Join {
        room, id, token, ..
    } = &join;
    let admitted = match &settings.secret {
        Some(secret) => check_token(secret, &headers, token.as_deref(), room, id.as_ref()),
        None => Ok(()),
    };
    let admitted = match admitted {
        Ok(()) => joins::count(env, &headers).await,
        refused => refused,
    };
    if let Err(refusal) = admitted {
        return turn_away(&join, &headers, refusal);
    }
    let mut response = hand_on(env, &join.room, request).await?;
    if response.status_code() == 101 {
        return Ok(response);
    }
    match refusal_of_room(&response.text().await?) {
        Some(refusal) => turn_away(&join, &headers, refusal),
        None => Err("the room did not answer a join".into()),
    }
}

/// Hands a request on to its room. The room finds the route again by itself: that is cheaper than
/// telling it, and safer than trusting headers that could have come from outside.
async fn hand_on(env: &Env, room: &str, request: Request) -> Result<Response> {
    env.durable_object("ROOM")?
        .get_by_name(room)?
        .fetch_with_request(request)
        .await
}

/// What the request wants, as far as its own text tells.
fn find_route(request: &Request) -> std::result::Result<Route, HttpError> {
    let unreadable = |_| HttpError::new(400, "bad-header", "a header cannot be read");
    // `Request::url` would parse it all, and costs more than everything else here.
    let url = request.inner().url();
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let query = query.split_once('#').map_or(query, |(query, _)| query);
    let method = request.inner().method();
    route(&route::Request {
        method: &method,
        path: &request.path(),
        query,
        upgrade: request
            .headers()
            .get("Upgrade")
            .map_err(unreadable)?
            .as_deref(),
        accept: request
            .headers()
            .get("Accept")
            .map_err(unreadable)?
            .as_deref(),
        last_event_id: request
            .headers()
            .get("Last-Event-ID")
            .map_err(unreadable)?
            .as_deref(),
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
        let number = || value.as_f64().map(|number| number.to_string());
        Some(
            value
                .as_string()
                .or_else(number)
                .unwrap_or_else(|| format!("{value:?}")),
        )
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

/// Checks the token of whoever wants to be `id` in `room`.
fn check_token(
    secret: &str,
    headers: &Headers,
    in_url: Option<&str>,
    room: &str,
    id: Option<&PeerId>,
) -> std::result::Result<(), Refusal<'static>> {
    let token = token_in(headers, in_url)?;
    admission::check_token(secret, token.as_deref(), now(), room, id)
}

/// The one token that a request brings, wherever it is.
fn token_in(
    headers: &Headers,
    in_url: Option<&str>,
) -> std::result::Result<Option<String>, Refusal<'static>> {
    let unreadable = |_| Refusal::new(Code::Unauthorized, "a header cannot be read");
    let protocols = headers
        .get(PROTOCOLS)
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

/// Tells a peer that it may not come in, in its own words: a browser shows a page neither the status
/// nor the body of a refused upgrade, but it does show a frame and a close code.
fn turn_away(join: &Join, headers: &Headers, refusal: Refusal<'_>) -> Result<Response> {
    let close = refusal.code.close().unwrap_or(Close::TooFast);
    let pair = WebSocketPair::new()?;
    pair.server.accept()?;
    for frame in join
        .dialect
        .encode(&Notice::Refused(refusal), None)
        .into_iter()
        .flatten()
    {
        pair.server.send_with_str(frame)?;
    }
    pair.server
        .close(Some(close.code()), Some(close.reason()))?;
    upgrade(pair, headers)
}

/// Reads why a room would not let somebody in: what [`HttpError::refused`] has made of it.
fn refusal_of_room(body: &str) -> Option<Refusal<'static>> {
    let body: serde_json::Value = serde_json::from_str(body).ok()?;
    let error = body.get("error")?;
    let code = Code::named(error.get("code")?.as_str()?)?;
    Some(Refusal::new(
        code,
        error.get("message")?.as_str()?.to_owned(),
    ))
}

/// Answers an upgrade with the client's end of a pair.
fn upgrade(pair: WebSocketPair, headers: &Headers) -> Result<Response> {
    let response = Response::from_websocket(pair.client)?;
    let offered = headers.get(PROTOCOLS)?.unwrap_or_default();
    if offered
        .split(',')
        .any(|protocol| protocol.trim() == PROTOCOL)
    {
        response.headers().set(PROTOCOLS, PROTOCOL)?;
    }
    Ok(response)
}

/// The subprotocol that a client offers in order to bring its token (RFC 6455 §1.9): a browser ends
/// a connection on which none of those it offered is chosen.
const PROTOCOL: &str = "partyline";
const PROTOCOLS: &str = "Sec-WebSocket-Protocol";

fn now() -> Time {
    Time(Date::now().as_millis())
}

/// One line of JSON, as those who read logs with programs like it.
fn log(event: &str, message: &str) {
    console_error!("{}", json!({ "event": event, "message": message }));
}
