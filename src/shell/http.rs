//! The Worker's side of the HTTP dialect: it refuses what it can, reads what is posted, and holds the
//! streams.

use futures_util::StreamExt;
use worker::web_sys::{Headers, Request, RequestInit, Response};
use worker::worker_sys::ext::ResponseExt;
use worker::{ByteStream, Env, ResponseBuilder, Result, WebSocket};

use super::answer::{self, Cors, EVENTS, refuse, respond};
use super::platform::{ORIGIN, header};
use super::stream::Events;
use super::{check_token, hand_on, rate};
use crate::core::event::MAX_FRAME;
use crate::core::refusal::{Code, Refusal};
use crate::dialect::Dialect;
use crate::edge::route::{HttpError, HttpPeer};
use crate::edge::settings::Settings;

type Admission = std::result::Result<(), Refusal<'static>>;

/// Lets a peer register, which is to join without a socket.
pub(super) async fn register(
    peer: &HttpPeer,
    request: &Request,
    env: &Env,
    settings: &Settings,
    cors: &Cors,
) -> Result<Response> {
    let headers = request.headers();
    let admitted = check(peer, &headers, settings);
    if let Err(refusal) = rate::check(admitted, env, &headers).await {
        return refuse(&HttpError::refused(refusal), cors);
    }
    let asked = ask(request, "POST", None, &[])?;
    hand_on(env, &peer.room, &asked).await
}

/// Sends what a peer has posted.
pub(super) async fn message(
    peer: &HttpPeer,
    request: &Request,
    env: &Env,
    settings: &Settings,
    cors: &Cors,
) -> Result<Response> {
    if let Err(refusal) = check_or_key(peer, &request.headers(), settings) {
        return refuse(&HttpError::refused(refusal), cors);
    }
    let body = match read(request).await? {
        Ok(body) => body,
        Err(refusal) => return refuse(&HttpError::refused(refusal), cors),
    };
    if let Err(refusal) = Dialect::Http.decode(&body) {
        return refuse(&HttpError::refused(refusal), cors);
    }
    let asked = ask(request, "POST", Some(&body), &[])?;
    hand_on(env, &peer.room, &asked).await
}

/// Opens a peer's stream.
pub(super) async fn events(
    peer: &HttpPeer,
    last: Option<u64>,
    head: bool,
    request: &Request,
    env: &Env,
    settings: &Settings,
    cors: &Cors,
) -> Result<Response> {
    let headers = request.headers();
    let admitted = check_or_key(peer, &headers, settings);
    if let Err(refusal) = rate::check(admitted, env, &headers).await {
        return refuse(&HttpError::refused(refusal), cors);
    }
    if head {
        return respond(200, EVENTS, "", cors);
    }
    let last = last.map(|last| last.to_string());
    let mut extra = vec![("Upgrade", "websocket")];
    extra.extend(last.as_deref().map(|last| ("Last-Event-ID", last)));
    let asked = ask(request, "GET", None, &extra)?;
    let response = hand_on(env, &peer.room, &asked).await?;
    if response.status() != 101 {
        return Ok(response);
    }
    let Some(socket) = response.websocket() else {
        return Err("the room gave no socket for a stream".into());
    };
    let stream = Events::new(WebSocket::from(socket), settings.ping)?;
    let answer =
        ResponseBuilder::new().with_headers(worker::Headers(answer::headers(EVENTS, cors)?));
    Ok(answer.from_stream(stream)?.into())
}

/// Whoever registers needs a token, where one is asked for.
fn check(peer: &HttpPeer, headers: &Headers, settings: &Settings) -> Admission {
    let HttpPeer {
        room, id, token, ..
    } = peer;
    check_token(settings, headers, token.as_deref(), room, Some(id))
}

/// Whoever has registered needs it no more, if it shows the key that it got for that: a token may
/// have expired by then. Whether it is the right one is for the room to say.
fn check_or_key(peer: &HttpPeer, headers: &Headers, settings: &Settings) -> Admission {
    match peer.key {
        Some(_) => Ok(()),
        None => check(peer, headers, settings),
    }
}

/// Makes the request that the room gets: the same URL, and of the headers only those that it needs.
fn ask(
    request: &Request,
    method: &str,
    body: Option<&str>,
    extra: &[(&str, &str)],
) -> Result<Request> {
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

/// Reads a body as text, and no more of it than one may have.
async fn read(request: &Request) -> Result<std::result::Result<String, Refusal<'static>>> {
    let too_large = || {
        let message = format!("a body of more than {MAX_FRAME} bytes, which are the most");
        Ok(Err(Refusal::new(Code::TooLarge, message)))
    };
    let length = request.headers().get("Content-Length")?;
    let length = length.and_then(|length| length.parse::<usize>().ok());
    if length.is_some_and(|length| length > MAX_FRAME) {
        return too_large();
    }
    let mut bytes = Vec::new();
    if let Some(body) = request.body() {
        let mut chunks = ByteStream::from(body);
        while let Some(chunk) = chunks.next().await {
            bytes.extend(chunk?);
            if bytes.len() > MAX_FRAME {
                return too_large();
            }
        }
    }
    let text = String::from_utf8(bytes);
    Ok(text.map_err(|_| Refusal::malformed("the body is not UTF-8")))
}
