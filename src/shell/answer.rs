//! Creates HTTP responses, and sets their headers.

use worker::js_sys::Promise;
use worker::wasm_bindgen::prelude::*;
use worker::web_sys::{Headers, Response, ResponseInit};
use worker::worker_sys::ext::ResponseInitExt;
use worker::{Result, WebSocketPair};

use super::failure::Failure;
use super::log::log;
use super::platform::{ORIGIN, PROTOCOLS, header};
use crate::edge::admission;
use crate::edge::live::NOT_CONFIGURED;
use crate::edge::route::HttpError;
use crate::edge::settings::Settings;
use crate::edge::status::Status;

pub(super) const JSON: &str = "application/json";
pub(super) const HTML: &str = "text/html; charset=utf-8";
pub(super) const EVENTS: &str = "text/event-stream";

/// The subprotocol that a client offers together with its token (RFC 6455 §1.9). A browser closes
/// the WebSocket unless the server selects one of the offered subprotocols.
const PROTOCOL: &str = "partyline";

/// The return value of a `fetch` handler.
pub(super) enum Answer {
    Now(Response),
    /// In the Worker, a promise of a response. In a room, a promise of the body of a posted signal.
    Later(Promise),
}

impl Answer {
    /// Converts a failure into a response. Logs the failure if the server caused it.
    #[inline(never)] // errors are rare, and V8 would compile a copy in each caller
    pub(super) fn refused(failure: Failure, cors: &Cors) -> Self {
        let response = match failure {
            Failure::Refused(error) => {
                // Anybody can request what is not configured, so that must not fill the log.
                if error.status >= 500 && error.code != NOT_CONFIGURED {
                    log(error.code, &error.message);
                }
                refuse(&error, cors)
            }
            Failure::Setting(bad) => {
                // Only the log quotes the value, which may contain credentials by mistake.
                log("bad-setting", &bad.to_string());
                refuse(&HttpError::new(500, "bad-setting", bad.message()), cors)
            }
            Failure::Platform(error) => {
                log("request", &error.to_string());
                let message =
                    "a call to Cloudflare's platform failed during this request. Try again";
                let error = HttpError::new(500, "internal", message);
                // Every origin may read this response, because its text is constant.
                refuse(&error, &Cors(Some("*".to_owned())))
            }
        };
        match response {
            Ok(response) => Self::Now(response),
            Err(error) => Self::Later(Promise::reject(&error.into())),
        }
    }
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Self::Now(response)
    }
}

impl From<Answer> for JsValue {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Now(response) => response.into(),
            Answer::Later(promise) => promise.into(),
        }
    }
}

/// The value of `Access-Control-Allow-Origin`. `None`, the default: no other origin may read the
/// response.
#[derive(Default)]
pub(super) struct Cors(Option<String>);

impl Cors {
    /// `settings`: `None` if they are invalid. The allowed origins are then unknown.
    pub(super) fn new(settings: Option<&Settings>, headers: &Headers) -> Self {
        let Some(Settings { origins, .. }) = settings else {
            return Self::default();
        };
        if origins.is_empty() {
            return Self(Some("*".to_owned()));
        }
        let origin = header(headers, &ORIGIN).ok().flatten();
        Self(origin.filter(|origin| admission::allows_origin(origins, Some(origin))))
    }

    /// Returns the value of the header, or `None` for no header.
    pub(super) fn origin(&self) -> Option<&str> {
        self.0.as_deref()
    }

    fn add_to(&self, headers: &Headers) -> Result<()> {
        if let Self(Some(origin)) = self {
            headers.set("Access-Control-Allow-Origin", origin)?;
        }
        // The response depends on `Origin` and `Accept`, so a cache must store one response for
        // each pair of values.
        Ok(headers.set("Vary", "Origin, Accept")?)
    }
}

pub(super) fn respond(
    status: u16,
    content_type: &str,
    body: &str,
    cors: &Cors,
) -> Result<Response> {
    response(status, &headers(content_type, cors)?, body)
}

/// Responds with the status of a room, as HTML or as JSON.
pub(super) fn respond_status(status: &Status<'_>, html: bool, cors: &Cors) -> Result<Response> {
    if html {
        respond(200, HTML, &status.html(), cors)
    } else {
        respond(200, JSON, &status.json(), cors)
    }
}

fn response(status: u16, headers: &Headers, body: &str) -> Result<Response> {
    // The platform throws an exception for a 204 with a body, even if the body is empty.
    let body = (status != 204).then_some(body);
    let init = ResponseInit::new();
    init.set_status(status);
    init.set_headers(headers);
    Ok(Response::new_with_opt_str_and_init(body, &init)?)
}

/// Creates the headers of a response with this content type.
pub(super) fn headers(content_type: &str, cors: &Cors) -> Result<Headers> {
    let headers = common_headers(cors)?;
    headers.set("Content-Type", content_type)?;
    headers.set("Cache-Control", "no-store")?;
    headers.set("X-Content-Type-Options", "nosniff")?;
    if content_type == HTML {
        headers.set(
            "Content-Security-Policy",
            "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'",
        )?;
        headers.set("Cross-Origin-Opener-Policy", "same-origin")?;
    }
    Ok(headers)
}

/// Creates the headers that every response has, except the 101 response to a WebSocket upgrade.
fn common_headers(cors: &Cors) -> Result<Headers> {
    let headers = Headers::new()?;
    // Browsers ignore this header over plain HTTP, so `npm start` keeps working (RFC 6797 §8.1).
    headers.set("Strict-Transport-Security", "max-age=31536000")?;
    cors.add_to(&headers)?;
    Ok(headers)
}

fn refuse(error: &HttpError, cors: &Cors) -> Result<Response> {
    let headers = headers(JSON, cors)?;
    if let Some((name, value)) = &error.header {
        headers.set(name, value)?;
    }
    response(error.status, &headers, &error.body())
}

pub(super) fn preflight(methods: &str, cors: &Cors) -> Result<Response> {
    let headers = common_headers(cors)?;
    headers.set("Access-Control-Allow-Methods", methods)?;
    headers.set(
        "Access-Control-Allow-Headers",
        // Polyfills of `EventSource` send `Last-Event-ID` and `Cache-Control`.
        "Authorization, Content-Type, Last-Event-ID, Cache-Control",
    )?;
    headers.set("Access-Control-Max-Age", "86400")?;
    response(204, &headers, "")
}

/// Creates the 101 response to a WebSocket upgrade, with the client's end of the pair.
pub(super) fn upgrade(pair: &WebSocketPair, headers: &Headers) -> Result<Response> {
    let offered = header(headers, &PROTOCOLS)?.unwrap_or_default();
    let mut protocols = offered.split(',').map(str::trim);
    let mut init = ResponseInit::new();
    init.set_status(101);
    if protocols.any(|protocol| protocol == PROTOCOL) {
        let chosen = Headers::new()?;
        chosen.set("Sec-WebSocket-Protocol", PROTOCOL)?;
        init.set_headers(&chosen);
    }
    init.websocket(pair.client.as_ref())?;
    Ok(Response::new_with_opt_str_and_init(None, &init)?)
}
