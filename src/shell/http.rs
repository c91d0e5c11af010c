//! The Worker's part of the HTTP dialect: refuses requests, reads bodies, and holds event streams.

use futures_util::StreamExt;
use worker::web_sys::{Headers, Request, RequestInit, Response};
use worker::worker_sys::ext::ResponseExt;
use worker::{ByteStream, Env, Error, ResponseBuilder, WebSocket};

use super::answer::{self, Cors, EVENTS, respond};
use super::failure::Failure;
use super::forward::forward_to_room;
use super::platform::{ORIGIN, header};
use super::rate;
use super::request::authorize;
use super::stream::EventStream;
use crate::core::event::MAX_FRAME;
use crate::core::refusal::{Code, Refusal};
use crate::dialect::Dialect;
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
    let forwarded = room_request(request, "POST", None, &[])?;
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
    let body = read_body(request).await?;
    // The room also decodes the body. Decoding here refuses an invalid body without waking the
    // room.
    Dialect::Http.decode(&body)?;
    let forwarded = room_request(request, "POST", Some(&body), &[])?;
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
    let stream = EventStream::new(WebSocket::from(socket), settings.ping)?;
    let answer =
        ResponseBuilder::new().with_headers(worker::Headers(answer::headers(EVENTS, cors)?));
    Ok(answer.from_stream(stream)?.into())
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
    body: Option<&str>,
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
        init.set_body(&body.into());
    }
    Ok(Request::new_with_str_and_init(&request.url(), &init)?)
}

/// Reads a body as text. Returns an error as soon as more than [`MAX_FRAME`] bytes have arrived.
async fn read_body(request: &Request) -> Result<String, Failure> {
    let length = request.headers().get("Content-Length")?;
    let length = length.and_then(|length| length.parse::<usize>().ok());
    if let Some(length) = length
        && length > MAX_FRAME
    {
        return Err(too_large(&format!("{length} bytes")).into());
    }
    let mut bytes = Vec::new();
    if let Some(body) = request.body() {
        let mut chunks = ByteStream::from(body);
        while let Some(chunk) = chunks.next().await {
            bytes.extend(chunk?);
            if bytes.len() > MAX_FRAME {
                return Err(too_large(&format!("more than {MAX_FRAME} bytes")).into());
            }
        }
    }
    String::from_utf8(bytes).map_err(|_| {
        let message = "the body is not UTF-8: expected JSON in UTF-8. Encode the body as UTF-8";
        Refusal::malformed(message).into()
    })
}

fn too_large(size: &str) -> Refusal<'static> {
    let message =
        format!("the body has {size}: expected at most {MAX_FRAME} bytes. Send a smaller payload");
    Refusal::new(Code::TooLarge, message)
}
