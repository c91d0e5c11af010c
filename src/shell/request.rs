//! Finds the route and the token of a request.

use worker::web_sys::{Headers, Request};

use super::platform::{LAST_EVENT_ID, PROTOCOLS, UPGRADE, header, now};
use crate::core::peer::PeerId;
use crate::core::refusal::{Code, Refusal};
use crate::edge::admission;
use crate::edge::route::{self, HttpError, Route, route, split_url};
use crate::edge::settings::Settings;

const UNREADABLE_HEADER: &str =
    "a request header is not readable as text: expected ASCII. Send only ASCII in headers";

/// Finds the route of a request from its URL and headers.
pub(super) fn find_route(request: &Request, headers: &Headers) -> Result<Route, HttpError> {
    let unreadable = |_| HttpError::new(400, "bad-header", UNREADABLE_HEADER);
    let (method, url) = (request.method(), request.url());
    let (path, query) = split_url(&url);
    let upgrade = header(headers, &UPGRADE).map_err(unreadable)?;
    // Reading a header is a call into JavaScript. `Accept` matters only without an upgrade, and
    // the subprotocols only with one.
    let (accept, protocols) = match &upgrade {
        None => (headers.get("Accept").map_err(unreadable)?, None),
        Some(_) => (None, header(headers, &PROTOCOLS).map_err(unreadable)?),
    };
    let last_event_id = header(headers, &LAST_EVENT_ID).map_err(unreadable)?;
    route(&route::Request {
        method: &method,
        path,
        query,
        accept: accept.as_deref(),
        last_event_id: last_event_id.as_deref(),
        upgrade: upgrade.as_deref(),
        protocols: protocols.as_deref(),
    })
}

/// Checks the token of a client that joins `room` as `id`. Every client is authorized if the server
/// requires no tokens.
pub(super) fn authorize(
    settings: &Settings,
    headers: &Headers,
    in_url: &[String],
    room: Option<&str>,
    id: Option<&PeerId>,
) -> Result<(), Refusal<'static>> {
    let Some(secret) = &settings.secret else {
        return Ok(());
    };
    let token = find_token(headers, in_url)?;
    admission::check_token(secret, token.as_deref(), now(), room, id)
}

/// Finds the token of a request in its headers or its URL. A request with more than one token is
/// refused.
fn find_token(headers: &Headers, in_url: &[String]) -> Result<Option<String>, Refusal<'static>> {
    let unreadable = |_| Refusal::new(Code::Unauthorized, UNREADABLE_HEADER);
    let protocols = header(headers, &PROTOCOLS)
        .map_err(unreadable)?
        .unwrap_or_default();
    let authorization = headers
        .get("Authorization")
        .map_err(unreadable)?
        .unwrap_or_default();
    let mut tokens = admission::find_in_protocols(&protocols, "token.")
        .chain(admission::token_in_authorization(&authorization))
        .chain(in_url.iter().map(String::as_str));
    let token = tokens.next().map(str::to_owned);
    if tokens.next().is_some() {
        let message = "the request has more than one token: expected one, in the URL, in \
             `Authorization` or in `Sec-WebSocket-Protocol`. Send the token in one place";
        return Err(Refusal::new(Code::Unauthorized, message));
    }
    Ok(token)
}
