//! Handles requests for ICE servers: checks who may receive TURN credentials, and requests the
//! credentials from Cloudflare's service.
//!
//! The Worker sends the request to the service. A pending request in a room would prevent the
//! room's hibernation.

use std::sync::Once;

use worker::wasm_bindgen::JsCast;
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys::{Headers, RequestInit, RequestRedirect, Response};

use super::answer::{Cors, JSON, respond};
use super::failure::Failure;
use super::log::log;
use super::platform::{fetch, now};
use super::promise::await_text;
use super::request::authorize;
use crate::edge::ice::{Ice, Turn, TurnServer, TurnState, cloudflare_request};
use crate::edge::route::IceRequest;
use crate::edge::settings::Settings;

/// The timeout of a request to the TURN service, in milliseconds. A page cannot connect to other
/// peers before it has the response.
const TIMEOUT_MS: u32 = 3_000;

/// Handles a request for ICE servers.
pub(super) async fn ice_servers(
    wanted: &IceRequest,
    headers: &Headers,
    settings: &Settings,
    cors: &Cors,
) -> Result<Response, Failure> {
    let Settings { ice, secret, .. } = settings;
    let IceRequest {
        id, tokens, room, ..
    } = wanted;
    authorize(settings, headers, tokens, room.as_deref(), id.as_ref())?;
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

fn warn_once_about_closed_turn() {
    static WARNED: Once = Once::new();
    WARNED.call_once(|| {
        let message = "TURN is configured, but no client receives credentials: expected \
             ROOM_SECRET, or TURN_OPEN = \"true\". Set ROOM_SECRET to give credentials to clients \
             with a token, or TURN_OPEN = \"true\" to give credentials to every client";
        log("turn-closed", message);
    });
}

/// Creates or requests TURN credentials. After a failure, which is logged, the response contains
/// only STUN servers.
async fn turn_state(turn: &Turn, ice: &Ice, wanted: &IceRequest) -> TurnState {
    let server = match turn {
        Turn::Shared { urls, secret } => {
            let server = TurnServer::shared(urls, secret, ice.ttl, now(), wanted.id.as_ref());
            server.ok_or_else(|| "TURN_SECRET cannot be used as an HMAC key".to_owned())
        }
        Turn::Cloudflare { url, token } => match fetch_credentials(url, token, ice.ttl).await {
            Ok((200..=299, body)) => TurnServer::cloudflare(&body)
                .ok_or_else(|| "the answer of the TURN service has no TURN server".to_owned()),
            Ok((status, _)) => Err(format!(
                "the TURN service answered with status {status}, expected 200 to 299"
            )),
            Err(error) => Err(format!("the request to the TURN service failed: {error}")),
        },
    };
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

/// Requests credentials from Cloudflare's TURN service. Returns the status and the body.
async fn fetch_credentials(url: &str, token: &str, ttl: u64) -> worker::Result<(u16, String)> {
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
    let response = fetch(url, &init, TIMEOUT_MS)?;
    let response: Response = JsFuture::from(response).await?.unchecked_into();
    Ok((response.status(), await_text(response.text()?).await?))
}
