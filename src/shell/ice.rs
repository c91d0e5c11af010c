//! ICE servers over HTTP: checks who may have TURN credentials, and requests them from Cloudflare's
//! service.
//!
//! The Worker sends that request, because a pending request would keep a room from hibernating.

use std::sync::Once;

use worker::wasm_bindgen::JsCast;
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys::{AbortSignal, Headers, RequestInit, RequestRedirect, Response};

use super::answer::{Cors, JSON, respond};
use super::failure::Failure;
use super::log::log;
use super::platform::{global, now};
use super::promise::await_text;
use super::request::find_token;
use crate::core::refusal::Refusal;
use crate::edge::admission;
use crate::edge::ice::{Ice, Turn, TurnServer, TurnState, cloudflare_request};
use crate::edge::route::IceRequest;
use crate::edge::settings::Settings;

/// The timeout of the TURN service, in milliseconds. A page waits for the answer before it connects
/// to other peers.
const TIMEOUT_MS: u32 = 3_000;

/// Answers a request for ICE servers.
pub(super) async fn ice_servers(
    wanted: &IceRequest,
    headers: &Headers,
    settings: &Settings,
    cors: &Cors,
) -> Result<Response, Failure> {
    let Settings { ice, secret, .. } = settings;
    if let Some(secret) = secret {
        authorize_ice(secret, headers, wanted)?;
    }
    let state = match &ice.turn {
        None => TurnState::Off,
        Some(_) if secret.is_none() && !ice.open => {
            warn_once_about_closed_turn();
            TurnState::Off
        }
        Some(turn) => turn_state(turn, ice, wanted).await,
    };
    Ok(respond(
        200,
        JSON,
        &ice.answer(wanted.format, &state),
        cors,
    )?)
}

fn authorize_ice(
    secret: &str,
    headers: &Headers,
    wanted: &IceRequest,
) -> Result<(), Refusal<'static>> {
    let IceRequest {
        id, token, room, ..
    } = wanted;
    let token = find_token(headers, token.as_deref())?;
    let (token, id) = (token.as_deref(), id.as_ref());
    match room {
        Some(room) => admission::check_token(secret, token, now(), room, id),
        None => admission::check_token_for_any_room(secret, token, now(), id),
    }
}

fn warn_once_about_closed_turn() {
    static WARNED: Once = Once::new();
    WARNED.call_once(|| {
        let message = "TURN is configured, but no client gets credentials: no token is required, \
             and TURN_OPEN is not \"true\". Set ROOM_SECRET to give TURN to clients with a token, or \
             TURN_OPEN = \"true\" to give it to every client";
        log("turn-closed", message);
    });
}

/// Makes or requests TURN credentials. A failure is logged, and the answer then has STUN only.
async fn turn_state(turn: &Turn, ice: &Ice, wanted: &IceRequest) -> TurnState {
    let server = match turn {
        Turn::Shared { urls, secret } => {
            let server = TurnServer::shared(urls, secret, ice.ttl, now(), wanted.id.as_ref());
            server.ok_or_else(|| "TURN_SECRET is not usable as a key".to_owned())
        }
        Turn::Cloudflare { url, token } => match fetch_credentials(url, token, ice.ttl).await {
            Ok((200..=299, body)) => TurnServer::cloudflare(&body)
                .ok_or_else(|| "its answer contains no TURN server".to_owned()),
            Ok((status, _)) => Err(format!("it answered {status}")),
            Err(error) => Err(error.to_string()),
        },
    };
    match server {
        Ok(server) => TurnState::On(server),
        Err(cause) => {
            let message =
                format!("the TURN service failed, so clients get STUN servers only: {cause}");
            log("turn-failed", &message);
            TurnState::Degraded
        }
    }
}

/// Requests credentials from Cloudflare's TURN service. Returns status and body.
async fn fetch_credentials(url: &str, token: &str, ttl: u64) -> worker::Result<(u16, String)> {
    let headers = Headers::new()?;
    headers.set("Authorization", &format!("Bearer {token}"))?;
    headers.set("Content-Type", JSON)?;
    let init = RequestInit::new();
    init.set_method("POST");
    init.set_headers(&headers);
    init.set_body(&cloudflare_request(ttl).into());
    // Do not follow redirects: they would carry the API token to another host.
    init.set_redirect(RequestRedirect::Manual);
    // The timeout also covers a response whose body never ends.
    init.set_signal(Some(&AbortSignal::timeout_with_u32(TIMEOUT_MS)));
    let response = global().fetch_with_str_and_init(url, &init);
    let response: Response = JsFuture::from(response).await?.unchecked_into();
    Ok((response.status(), await_text(response.text()?).await?))
}
