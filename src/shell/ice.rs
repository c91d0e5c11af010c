//! ICE servers over HTTP: who may have TURN credentials, and the one call that may take to make them.
//!
//! The call is made here, in the Worker: one that is under way would keep a room from sleeping.

use std::sync::Once;

use worker::Result;
use worker::wasm_bindgen::JsCast;
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys::{AbortSignal, Headers, RequestInit, RequestRedirect, Response};

use super::answer::{Cors, JSON, refuse, respond};
use super::stream::global;
use super::{log, now, text, token_in};
use crate::core::refusal::Refusal;
use crate::edge::admission;
use crate::edge::ice::{Ice, Relay, Turn, TurnState, cloudflare_request};
use crate::edge::route::{HttpError, IceRequest};
use crate::edge::settings::Settings;

/// How long a TURN service may take, in milliseconds. A page waits for the answer before it
/// connects to anybody.
const PATIENCE: u32 = 3_000;

/// Answers which ICE servers there are.
pub(super) async fn ice_servers(
    wanted: &IceRequest,
    headers: &Headers,
    settings: &Settings,
    cors: &Cors,
) -> Result<Response> {
    let Settings { ice, secret, .. } = settings;
    if let Some(secret) = secret
        && let Err(refusal) = check_token(secret, headers, wanted)
    {
        return refuse(&HttpError::refused(refusal), cors);
    }
    let relaying = match &ice.turn {
        None => TurnState::Off,
        Some(_) if secret.is_none() && !ice.open => {
            static TOLD: Once = Once::new();
            TOLD.call_once(|| {
                let message = "TURN is set up, but given to nobody: set ROOM_SECRET, so that only \
                     those with a token get it, or TURN_OPEN = \"true\" for everybody";
                log("turn-closed", message);
            });
            TurnState::Off
        }
        Some(turn) => relaying(turn, ice, wanted).await,
    };
    respond(200, JSON, &ice.answer(wanted.form, &relaying), cors)
}

fn check_token(
    secret: &str,
    headers: &Headers,
    wanted: &IceRequest,
) -> std::result::Result<(), Refusal<'static>> {
    let IceRequest {
        id, token, room, ..
    } = wanted;
    let token = token_in(headers, token.as_deref())?;
    let (token, id) = (token.as_deref(), id.as_ref());
    match room {
        Some(room) => admission::check_token(secret, token, now(), room, id),
        None => admission::check_token_for_any_room(secret, token, now(), id),
    }
}

async fn relaying(turn: &Turn, ice: &Ice, wanted: &IceRequest) -> TurnState {
    let relay = match turn {
        Turn::Shared { urls, secret } => {
            let relay = Relay::shared(urls, secret, ice.ttl, now(), wanted.id.as_ref());
            relay.ok_or_else(|| "the secret is no key".to_owned())
        }
        Turn::Cloudflare { url, token } => match ask(url, token, ice.ttl).await {
            Ok((200..=299, body)) => Relay::cloudflare(&body)
                .ok_or_else(|| "it did not answer with a TURN server".to_owned()),
            Ok((status, _)) => Err(format!("it answered {status}")),
            Err(error) => Err(error.to_string()),
        },
    };
    relay.map_or_else(
        |why| {
            let message = format!("the TURN service failed, so there is STUN alone: {why}");
            log("turn-failed", &message);
            TurnState::Degraded
        },
        TurnState::On,
    )
}

/// Asks Cloudflare's TURN service, and answers with its status and body.
async fn ask(url: &str, token: &str, ttl: u64) -> Result<(u16, String)> {
    let headers = Headers::new()?;
    headers.set("Authorization", &format!("Bearer {token}"))?;
    headers.set("Content-Type", JSON)?;
    let init = RequestInit::new();
    init.set_method("POST");
    init.set_headers(&headers);
    init.set_body(&cloudflare_request(ttl).into());
    // The token is for nobody else.
    init.set_redirect(RequestRedirect::Manual);
    // Also ends the reading of a body that never comes.
    init.set_signal(Some(&AbortSignal::timeout_with_u32(PATIENCE)));
    let answer = global().fetch_with_str_and_init(url, &init);
    let response: Response = JsFuture::from(answer).await?.unchecked_into();
    Ok((response.status(), text(response.text()?).await?))
}
