//! Finds the route and the token of a request.

use worker::web_sys::{Headers, Request};

use super::failure::Failure;
use super::platform::{LAST_EVENT_ID, PROTOCOLS, UPGRADE, header, now, random};
use crate::core::peer::PeerId;
use crate::core::refusal::{Code, Refusal};
use crate::edge::admission::{self, Admission, Secrets};
use crate::edge::header::{find_in_protocols, token_in_authorization};
use crate::edge::route::{self, HttpError, HttpPeer, Join, Route, route, split_url};
use crate::edge::settings::Settings;

const UNREADABLE_HEADER: &str =
    "a request header is not readable as text: expected ASCII. Send only ASCII in headers";

/// Finds the route of a request from its URL and headers.
pub(super) fn find_route(request: &Request, headers: &Headers) -> Result<Route, HttpError> {
    let unreadable = |_| unreadable_header();
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

/// Returns the error for a header that is not readable as text: 400 `bad-header`.
pub(super) fn unreadable_header() -> HttpError {
    HttpError::new(400, "bad-header", UNREADABLE_HEADER)
}

/// Checks the token of a request. Every request is authorized if the server requires no tokens.
pub(super) fn authorize(
    route: &Route,
    headers: &Headers,
    settings: &Settings,
) -> Result<(), Refusal<'static>> {
    let Some(secrets) = &settings.secrets else {
        return Ok(());
    };
    let (tokens, room, id) = match route {
        Route::Join(join) => return admit(join, headers, settings).map(drop),
        Route::Ice(wanted) => (&wanted.tokens, wanted.room.as_ref(), wanted.id.as_ref()),
        Route::Message(peer) | Route::Events { peer, .. } => {
            return authorize_peer(peer, headers, secrets);
        }
        Route::Register(peer) => (&peer.tokens, Some(&peer.room), Some(&peer.id)),
        // `live.rs` checks who may control a live session, and `admin.rs` checks the owner. `new_id`
        // checks the token that an id is for. The token of a Socket.IO client follows in its first packet.
        Route::Health
        | Route::Rejected(..)
        | Route::NewId { .. }
        | Route::Preflight(_)
        | Route::Status { .. }
        | Route::Live(_)
        | Route::Admin(_)
        | Route::Engine(_) => {
            return Ok(());
        }
    };
    let token = find_token(headers, tokens)?;
    let room = room.map(String::as_str);
    admission::check_token(secrets, token.as_deref(), now(), room, id).map(drop)
}

/// Checks the key or the token of a registered peer. One valid credential is enough.
fn authorize_peer(
    peer: &HttpPeer,
    headers: &Headers,
    secrets: &Secrets,
) -> Result<(), Refusal<'static>> {
    let HttpPeer {
        room,
        id,
        key,
        tokens,
    } = peer;
    let now = now();
    let key = key.as_ref().map(|key| &*key.secret);
    let by_key = key.map(|key| admission::check_key(secrets, key, now, room, id));
    if let Some(Ok(())) = by_key {
        return Ok(());
    }
    let token = find_token(headers, tokens)?;
    match (token, by_key) {
        (None, Some(by_key)) => by_key,
        (token, _) => {
            admission::check_token(secrets, token.as_deref(), now, Some(room), Some(id)).map(drop)
        }
    }
}

/// The keys of a registration on a server that requires tokens.
pub(super) struct SignedKeys {
    /// The key that the peer receives.
    pub(super) new: String,
    /// The key of an earlier registration, with which the peer proves that the id is its own.
    pub(super) proof: Option<String>,
}

/// Creates the key for a registration, valid as long as the token. Returns `None` if the server requires
/// no tokens: the room then handles the key.
pub(super) fn sign_keys(
    peer: &HttpPeer,
    headers: &Headers,
    settings: &Settings,
) -> Result<Option<SignedKeys>, Failure> {
    let Some(secrets) = &settings.secrets else {
        return Ok(None);
    };
    let HttpPeer {
        room,
        id,
        key,
        tokens,
    } = peer;
    let token = find_token(headers, tokens)?;
    let exp = admission::check_token(secrets, token.as_deref(), now(), Some(room), Some(id))?;
    let sent = key.as_ref().map(|key| key.secret.clone());
    // A key that the client has made up is ignored. An expired key still proves whose the id is.
    let proof = sent.filter(|key| admission::key_expiry(secrets, key, room, id).is_some());
    let new = admission::sign_key(secrets, exp, room, id, random()?);
    Ok(new.map(|new| SignedKeys { new, proof }))
}

/// Returns whether the client may see the number of peers in a room: it has a token for the room, or
/// the server requires no tokens.
pub(super) fn may_see_room(
    headers: &Headers,
    tokens: &[String],
    room: &str,
    settings: &Settings,
) -> bool {
    let Some(secrets) = &settings.secrets else {
        return true;
    };
    let token = find_token(headers, tokens);
    token.is_ok_and(|token| {
        admission::check_status_token(secrets, token.as_deref(), now(), room).is_ok()
    })
}

/// Creates the id of a client that has none, or returns the id that its token is for.
#[inline(never)]
pub(super) fn new_id(
    room: &str,
    tokens: &[String],
    headers: &Headers,
    settings: &Settings,
) -> Result<PeerId, Failure> {
    let mut id = None;
    if let Some(secrets) = &settings.secrets {
        let token = find_token(headers, tokens)?;
        id = admission::check_new_id(secrets, token.as_deref(), now(), room)?;
    }
    match id {
        Some(id) => Ok(id),
        None => Ok(PeerId::random(random()?)),
    }
}

/// Checks the token of a join.
pub(super) fn admit(
    join: &Join,
    headers: &Headers,
    settings: &Settings,
) -> Result<Admission, Refusal<'static>> {
    let Some(secrets) = &settings.secrets else {
        return Ok(Admission::default());
    };
    let token = find_token(headers, &join.tokens)?;
    let close_expired = settings.close_expired;
    admission::check_join(secrets, token.as_deref(), now(), join, close_expired)
}

/// Finds the token of a request in its headers or its URL. A request with more than one token is
/// refused.
pub(super) fn find_token(
    headers: &Headers,
    in_url: &[String],
) -> Result<Option<String>, Refusal<'static>> {
    let unreadable = |_| Refusal::new(Code::Unauthorized, UNREADABLE_HEADER);
    let protocols = header(headers, &PROTOCOLS)
        .map_err(unreadable)?
        .unwrap_or_default();
    let authorization = headers
        .get("Authorization")
        .map_err(unreadable)?
        .unwrap_or_default();
    let mut tokens = find_in_protocols(&protocols, "token.")
        .chain(token_in_authorization(&authorization))
        .chain(in_url.iter().map(String::as_str));
    let token = tokens.next().map(str::to_owned);
    if tokens.next().is_some() {
        let message = "the request has more than one token: expected one, in the URL, in \
             `Authorization` or in `Sec-WebSocket-Protocol`. Send the token in one place";
        return Err(Refusal::new(Code::Unauthorized, message));
    }
    Ok(token)
}
