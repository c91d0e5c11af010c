//! The Worker's part of the HTTP dialect: forwards requests to rooms, and holds event streams.

use worker::wasm_bindgen::prelude::*;
use worker::web_sys::{Headers, ReadableStream, Request, RequestInit, Response, ResponseInit};
use worker::worker_sys::ext::ResponseExt;

use super::answer::{self, Answer, EVENTS};
use super::call::{Call, room_response};
use super::failure::{self, Error, Failure};
use super::platform::{ADDRESS, ORIGIN, header, open_stream};
use super::promise::Step;
use super::request::sign_key;
use crate::dialect::http::ping;
use crate::edge::route::HttpPeer;
use crate::edge::settings::Settings;

/// The header in which a room receives the key that the Worker has signed for a registering peer. No
/// client can send it to a room, because the Worker builds this request itself.
pub(super) const SIGNED_KEY: &str = "X-Key";

/// Registers a peer, which joins the room without a WebSocket.
pub(super) fn register(
    peer: &HttpPeer,
    call: &Call,
    settings: &Settings,
) -> Result<Answer, Failure> {
    let headers = call.request.headers();
    // The room limits the peers of one network that have registered and not opened a stream.
    let address = header(&headers, &ADDRESS)?;
    let key = sign_key(peer, &headers, settings)?;
    let extra = [("CF-Connecting-IP", address), (SIGNED_KEY, key)];
    let extra = extra
        .iter()
        .filter_map(|(name, value)| Some((*name, value.as_deref()?)));
    let request = room_request(&call.request, "POST", None, &Vec::from_iter(extra))?;
    Ok(call.forward(&peer.room, &request, Step::Answered)?)
}

/// Sends a signal that a peer has posted.
pub(super) fn message(peer: &HttpPeer, call: &Call) -> Result<Answer, Failure> {
    // The room reads the body after it has admitted the peer, so nobody can make the Worker wait.
    let request = room_request(&call.request, "POST", call.request.body(), &[])?;
    Ok(call.forward(&peer.room, &request, Step::Answered)?)
}

/// Opens the event stream of a peer.
pub(super) fn events(peer: &HttpPeer, last: Option<u64>, call: &Call) -> Result<Answer, Failure> {
    let last = last.map(|last| last.to_string());
    let mut extra = vec![("Upgrade", "websocket")];
    extra.extend(last.as_deref().map(|last| ("Last-Event-ID", last)));
    let request = room_request(&call.request, "GET", None, &extra)?;
    Ok(call.forward(&peer.room, &request, Step::Opened)?)
}

/// Continues the request for an event stream after the room has responded or failed.
pub(super) fn on_opened(call: &Call, outcome: JsValue) -> Result<Answer, Failure> {
    let response = room_response(outcome)?;
    if response.status() != 101 {
        return Ok(response.into());
    }
    let Some(socket) = response.websocket() else {
        let error = "the room answered 101 without a WebSocket for the event stream";
        return Err(Error::from(error).into());
    };
    let ping_interval = u32::try_from(call.settings()?.ping).unwrap_or(u32::MAX);
    let stream = open_stream(&socket, ping_interval, &ping("{time}"))?;
    let headers = answer::headers(EVENTS, &call.cors())?;
    let init = ResponseInit::new();
    init.set_headers(&headers);
    let stream = Response::new_with_opt_readable_stream_and_init(Some(&stream), &init)?;
    Ok(stream.into())
}

/// Creates the request to the room. The request has the URL of the client's request, and only the
/// headers that the room reads.
fn room_request(
    request: &Request,
    method: &str,
    body: Option<ReadableStream>,
    extra: &[(&str, &str)],
) -> failure::Result<Request> {
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
