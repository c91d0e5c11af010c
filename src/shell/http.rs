//! The Worker's part of the HTTP dialect: refuses requests, and holds event streams.

use worker::web_sys::{Headers, ReadableStream, Request, RequestInit, Response, ResponseInit};
use worker::worker_sys::ext::ResponseExt;
use worker::{Env, Error};

use super::answer::{self, Cors, EVENTS, respond};
use super::failure::Failure;
use super::forward::forward_to_room;
use super::platform::{ADDRESS, ORIGIN, header, open_stream};
use super::rate;
use super::request::authorize;
use crate::core::refusal::Refusal;
use crate::dialect::http::ping;
use crate::edge::route::HttpPeer;
use crate::edge::settings::Settings;

/// Registers a peer, which joins the room without a WebSocket.
pub(super) async fn register(
    peer: &HttpPeer,
    request: &Request,
    env: &Env,
    settings: &Settings,
) -> Result<Response, Failure> {
    let headers = request.headers();
    authorize_peer(peer, &headers, settings)?;
    rate::check(env, &headers).await?;
    // The room limits the peers of one network that have registered and not opened a stream.
    let address = header(&headers, &ADDRESS)?;
    let extra: Vec<_> = address
        .as_deref()
        .map(|address| ("CF-Connecting-IP", address))
        .into_iter()
        .collect();
    let forwarded = room_request(request, "POST", None, &extra)?;
    Ok(forward_to_room(env, &peer.room, &forwarded).await?)
}

/// Sends a signal that a peer has posted.
pub(super) async fn message(
    peer: &HttpPeer,
    request: &Request,
    env: &Env,
    settings: &Settings,
) -> Result<Response, Failure> {
    authorize_unless_keyed(peer, &request.headers(), settings)?;
    // The room reads the body after it has admitted the peer, so nobody can make the Worker wait.
    let forwarded = room_request(request, "POST", request.body(), &[])?;
    Ok(forward_to_room(env, &peer.room, &forwarded).await?)
}

/// Opens the event stream of a peer.
pub(super) async fn events(
    peer: &HttpPeer,
    last: Option<u64>,
    head: bool,
    request: &Request,
    env: &Env,
    settings: &Settings,
    cors: &Cors,
) -> Result<Response, Failure> {
    let headers = request.headers();
    authorize_unless_keyed(peer, &headers, settings)?;
    rate::check(env, &headers).await?;
    if head {
        return Ok(respond(200, EVENTS, "", cors)?);
    }
    let last = last.map(|last| last.to_string());
    let mut extra = vec![("Upgrade", "websocket")];
    extra.extend(last.as_deref().map(|last| ("Last-Event-ID", last)));
    let forwarded = room_request(request, "GET", None, &extra)?;
    let response = forward_to_room(env, &peer.room, &forwarded).await?;
    if response.status() != 101 {
        return Ok(response);
    }
    let Some(socket) = response.websocket() else {
        let error = "the room answered 101 without a WebSocket for the event stream";
        return Err(Error::from(error).into());
    };
    let ping_interval = u32::try_from(settings.ping).unwrap_or(u32::MAX);
    let stream = open_stream(&socket, ping_interval, &ping("{time}"))?;
    let headers = answer::headers(EVENTS, cors)?;
    let init = ResponseInit::new();
    init.set_headers(&headers);
    Ok(Response::new_with_opt_readable_stream_and_init(
        Some(&stream),
        &init,
    )?)
}

fn authorize_peer(
    peer: &HttpPeer,
    headers: &Headers,
    settings: &Settings,
) -> Result<(), Refusal<'static>> {
    let HttpPeer {
        room, id, tokens, ..
    } = peer;
    authorize(settings, headers, tokens, Some(room), Some(id))
}

/// Requires a token unless the request has a key. The room checks the key, so a registered peer can
/// continue after its token has expired.
fn authorize_unless_keyed(
    peer: &HttpPeer,
    headers: &Headers,
    settings: &Settings,
) -> Result<(), Refusal<'static>> {
    match peer.key {
        Some(_) => Ok(()),
        None => authorize_peer(peer, headers, settings),
    }
}

/// Creates the request to the room. The request has the URL of the client's request, and only the
/// headers that the room reads.
fn room_request(
    request: &Request,
    method: &str,
    body: Option<ReadableStream>,
    extra: &[(&str, &str)],
) -> worker::Result<Request> {
    let headers = Headers::new()?;
    if let Some(origin) = header(&request.headers(), &ORIGIN)? {
        headers.set("Origin", &origin)?;
    }
    for (name, value) in extra {
        headers.set(name, value)?;
    }
    let init = RequestInit::new();
    init.set_method(method);
    init.set_headers(&headers);
    if let Some(body) = body {
        init.set_body(&body);
    }
    Ok(Request::new_with_str_and_init(&request.url(), &init)?)
}
