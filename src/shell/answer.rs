//! Answers over HTTP: their headers, and who may read them.

use worker::js_sys::Promise;
use worker::wasm_bindgen::prelude::*;
use worker::wasm_bindgen_futures::future_to_promise;
use worker::web_sys::{Headers, Response, ResponseInit};
use worker::{Error, Result};

use super::log;
use crate::edge::admission;
use crate::edge::route::HttpError;
use crate::edge::settings::Settings;

pub(super) const JSON: &str = "application/json";
pub(super) const HTML: &str = "text/html; charset=utf-8";
pub(super) const EVENTS: &str = "text/event-stream";

/// An answer to a request, or the promise of one.
pub(super) enum Answer {
    Now(Response),
    Later(Promise),
}

impl Answer {
    /// What a future will answer.
    pub(super) fn later(answer: impl Future<Output = Result<Response>> + 'static) -> Self {
        Self::Later(future_to_promise(async {
            let answer = answer.await.map(Self::Now);
            Ok(answer.unwrap_or_else(Self::failed).into())
        }))
    }

    /// Says and logs that something failed that should not.
    pub(super) fn failed(error: Error) -> Self {
        log("request", &error.to_string());
        let error = HttpError::new(500, "internal", "the platform failed: try again");
        // Everybody may read that: it says nothing of anybody.
        match refuse(&error, &Cors(Some("*".to_owned()))) {
            Ok(response) => Self::Now(response),
            Err(error) => Self::Later(Promise::reject(&error.into())),
        }
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

/// Which pages may read an answer.
#[derive(Default)]
pub(super) struct Cors(Option<String>);

impl Cors {
    pub(super) fn new(settings: &Settings, origin: Option<&str>) -> Self {
        if settings.origins.is_empty() {
            return Self(Some("*".to_owned()));
        }
        let allowed = origin.filter(|_| admission::allows_origin(&settings.origins, origin));
        Self(allowed.map(str::to_owned))
    }

    fn add_to(&self, headers: &Headers) -> Result<()> {
        if let Self(Some(origin)) = self {
            headers.set("Access-Control-Allow-Origin", origin)?;
        }
        // What is answered depends on who asks, so no cache may give it to somebody else.
        Ok(headers.set("Vary", "Origin, Accept")?)
    }
}

pub(super) fn respond(
    status: u16,
    content_type: &str,
    body: &str,
    cors: &Cors,
) -> Result<Response> {
    answer(status, &headers(content_type, cors)?, body)
}

fn answer(status: u16, headers: &Headers, body: &str) -> Result<Response> {
    // The platform takes no body with a 204, not even an empty one.
    let body = (status != 204).then_some(body);
    let init = ResponseInit::new();
    init.set_status(status);
    init.set_headers(headers);
    Ok(Response::new_with_opt_str_and_init(body, &init)?)
}

/// The headers of an answer of this type.
pub(super) fn headers(content_type: &str, cors: &Cors) -> Result<Headers> {
    let headers = Headers::new()?;
    headers.set("Content-Type", content_type)?;
    headers.set("Cache-Control", "no-store")?;
    headers.set("X-Content-Type-Options", "nosniff")?;
    if content_type == HTML {
        headers.set(
            "Content-Security-Policy",
            "default-src 'none'; style-src 'self'; img-src 'self'",
        )?;
    }
    cors.add_to(&headers)?;
    Ok(headers)
}

pub(super) fn refuse(error: &HttpError, cors: &Cors) -> Result<Response> {
    let headers = headers(JSON, cors)?;
    if let Some((name, value)) = error.header {
        headers.set(name, value)?;
    }
    answer(error.status, &headers, &error.body())
}

pub(super) fn preflight(methods: &str, cors: &Cors) -> Result<Response> {
    let headers = Headers::new()?;
    headers.set("Access-Control-Allow-Methods", methods)?;
    headers.set(
        "Access-Control-Allow-Headers",
        // The last two are what stand-ins for `EventSource` send.
        "Authorization, Content-Type, Last-Event-ID, Cache-Control",
    )?;
    headers.set("Access-Control-Max-Age", "86400")?;
    cors.add_to(&headers)?;
    answer(204, &headers, "")
}
