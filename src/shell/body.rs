//! Reads the bodies of requests through `body.js`.

use std::thread::LocalKey;

use worker::js_sys::Promise;
use worker::wasm_bindgen::prelude::*;
use worker::web_sys::Request;

use super::answer::Answer;
use super::call::Call;
use super::failure::Failure;
use super::platform;
use super::promise::Step;
use super::rate::client_network;
use crate::core::refusal::{Code, Refusal};
use crate::edge::route::HttpError;

#[wasm_bindgen(module = "/src/shell/body.js", wasm_bindgen = worker::wasm_bindgen, js_sys = worker::js_sys)]
extern "C" {
    /// The bodies in progress of one room, or of the Worker.
    pub(super) type Bodies;
    #[wasm_bindgen(constructor)]
    pub(super) fn new() -> Bodies;
    /// Reads a body. Returns a promise of the argument of [`text`].
    #[wasm_bindgen(method)]
    pub(super) fn read(this: &Bodies, request: &Request, peer: &str, limit: usize) -> Promise;
}

/// Reads the body of a request in the Worker, with limits for each network, and continues with `step`.
pub(super) fn read(
    call: &Call,
    bodies: &'static LocalKey<Bodies>,
    limit: usize,
    step: Step,
) -> Answer {
    let client = client_network(&call.request.headers()).unwrap_or_default();
    let body = bodies.with(|bodies| bodies.read(&call.request, &client, limit));
    call.proceed_after(&body, step)
}

/// Returns the text of a body, or the reason why it was refused. `limit` is the maximum size, in
/// bytes.
pub(super) fn text(outcome: &JsValue, limit: usize) -> Result<String, Failure> {
    if outcome.is_string() {
        return Ok(platform::text(outcome)?);
    }
    let refusal = match outcome.as_f64() {
        Some(400.0) => Refusal::malformed(
            "the body is not UTF-8: expected JSON in UTF-8. Encode the body as UTF-8",
        ),
        Some(408.0) => {
            let message = "the body did not arrive completely within 10 s. Send the request again";
            return Err(HttpError::new(408, "timeout", message).into());
        }
        Some(413.0) => {
            let message = format!(
                "the body is too large: expected at most {limit} bytes. Send a smaller payload"
            );
            Refusal::new(Code::TooLarge, message)
        }
        Some(429.0) => Refusal::new(
            Code::TooFast,
            "the server is receiving too many bodies: wait for the answer to each request before \
             you send the next request",
        ),
        _ => return Err(outcome.clone().into()),
    };
    Err(refusal.into())
}
