//! Handles requests for ICE servers: checks who may receive TURN credentials, and requests the
//! credentials from Cloudflare's service.
//!
//! The Worker sends the request to the service. A pending request in a room would prevent the
//! room's hibernation.

use std::sync::Once;

use worker::js_sys::Promise;
use worker::wasm_bindgen::JsCast;
use worker::wasm_bindgen::prelude::*;
use worker::web_sys::{Headers, RequestInit, RequestRedirect, Response};

use super::answer::{Answer, JSON, respond};
use super::call::Call;
use super::failure::{Error, Failure};
use super::log::log;
use super::platform::{fetch, now};
use super::promise::Step;
use crate::edge::ice::{Turn, TurnServer, TurnState, cloudflare_request};
use crate::edge::route::{IceRequest, Route};
use crate::edge::settings::Settings;

/// The timeout of a request to the TURN service, in milliseconds. A page cannot connect to other
/// peers before it has the response.
const TIMEOUT_MS: u32 = 3_000;

/// Handles a request for ICE servers.
pub(super) fn ice_servers(
    wanted: &IceRequest,
    call: &Call,
    settings: &Settings,
) -> Result<Answer, Failure> {
    let Settings { ice, secrets, .. } = settings;
    let state = match &ice.turn {
        None => TurnState::Off,
        Some(_) if secrets.is_none() && !ice.open => {
            warn_once_about_closed_turn();
            TurnState::Off
        }
        Some(Turn::Shared { urls, secret }) => {
            let server = TurnServer::shared(urls, secret, ice.ttl, now(), wanted.id.as_ref());
            turn_state(server.ok_or_else(|| "TURN_SECRET cannot be used as an HMAC key".to_owned()))
        }
        Some(Turn::Cloudflare { url, token }) => match request_credentials(url, token, ice.ttl) {
            Ok(response) => return Ok(call.proceed_after(&response, Step::TurnAnswered)),
            Err(error) => turn_state(Err(request_failed(error))),
        },
    };
    answer(wanted, &state, call, settings)
}

fn warn_once_about_closed_turn() {
    static WARNED: Once = Once::new();
    WARNED.call_once(|| {
        let message = "TURN is configured, but no client receives credentials: expected \
             ROOM_SECRET, or TURN_OPEN = \"true\". Set ROOM_SECRET to give credentials to clients \
             with a token, or TURN_OPEN = \"true\" to give credentials to every client";
        log("turn-closed", message);
    });
}

/// Continues after the TURN service has responded or failed.
pub(super) fn on_answered(call: &Call, outcome: JsValue) -> Result<Answer, Failure> {
    match read_body(outcome) {
        Ok(body) => Ok(call.proceed_after(&body, Step::TurnRead)),
        Err(cause) => answer_later(call, Err(cause)),
    }
}

/// Continues after the body of the TURN service's response has arrived.
pub(super) fn on_read(call: &Call, outcome: JsValue) -> Result<Answer, Failure> {
    let server = match outcome.as_string() {
        Some(body) => TurnServer::cloudflare(&body)
            .ok_or_else(|| "the answer of the TURN service has no TURN server".to_owned()),
        None => Err(request_failed(outcome)),
    };
    answer_later(call, server)
}

/// Reads the body of the TURN service's response.
fn read_body(outcome: JsValue) -> Result<Promise, String> {
    let response: Response = outcome.dyn_into().map_err(request_failed)?;
    let status = response.status();
    if !(200..=299).contains(&status) {
        return Err(format!(
            "the TURN service answered with status {status}, expected 200 to 299"
        ));
    }
    response.text().map_err(request_failed)
}

fn request_failed(error: JsValue) -> String {
    let error = Error::from(error);
    format!("the request to the TURN service failed: {error}")
}

/// Answers a request that has waited for the TURN service.
fn answer_later(call: &Call, server: Result<TurnServer, String>) -> Result<Answer, Failure> {
    let Route::Ice(wanted) = call.route()? else {
        return Err(
            Error::from("the request was for ICE servers, but parses differently now").into(),
        );
    };
    answer(&wanted, &turn_state(server), call, &*call.settings()?)
}

fn answer(
    wanted: &IceRequest,
    state: &TurnState,
    call: &Call,
    settings: &Settings,
) -> Result<Answer, Failure> {
    let body = settings.ice.answer(wanted.format, state);
    Ok(respond(200, JSON, &body, &call.cors())?.into())
}

/// Returns the TURN part of the response. After a failure, which is logged, the response contains
/// only STUN servers.
fn turn_state(server: Result<TurnServer, String>) -> TurnState {
    match server {
        Ok(server) => TurnState::On(server),
        Err(cause) => {
            let message = format!(
                "{cause}. Clients receive only STUN servers. If this continues, check the TURN \
                 settings"
            );
            log("turn-failed", &message);
            TurnState::Degraded
        }
    }
}

/// Requests credentials from Cloudflare's TURN service.
fn request_credentials(url: &str, token: &str, ttl: u64) -> Result<Promise, JsValue> {
    let headers = Headers::new()?;
    headers.set("Authorization", &format!("Bearer {token}"))?;
    headers.set("Content-Type", JSON)?;
    let init = RequestInit::new();
    init.set_method("POST");
    init.set_headers(&headers);
    init.set_body(&cloudflare_request(ttl).into());
    // A redirect could send the API token to another host, so redirects are not followed.
    init.set_redirect(RequestRedirect::Manual);
    // The timeout also aborts a response whose body never ends.
    fetch(url, &init, TIMEOUT_MS)
}
