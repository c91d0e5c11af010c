//! Bindings to `promise.js`.

use worker::js_sys::Promise;
use worker::wasm_bindgen::prelude::*;
use worker::web_sys::Request;
use worker::{Env, wasm_bindgen};

/// The step that follows a promise.
#[wasm_bindgen]
#[derive(Clone, Copy)]
pub enum Step {
    /// The rate limiters have counted the request.
    Counted,
    /// The room has answered a request whose client receives the answer unchanged.
    Answered,
    /// The room has answered a join.
    Joined,
    /// The reason why the room refused a join has arrived.
    Refused,
    /// The room has answered the request for an event stream.
    Opened,
    /// The TURN service has answered.
    TurnAnswered,
    /// The body of the TURN service's answer has arrived.
    TurnRead,
    /// The body of a request about a live session has arrived.
    BodyRead,
    /// The body of a request of the operator has arrived.
    RemovalRead,
    /// The room has created a live session.
    SessionCreated,
    /// The device of a live session has been notified.
    DeviceNotified,
}

#[wasm_bindgen(
    module = "/src/shell/promise.js",
    wasm_bindgen = worker::wasm_bindgen,
    js_sys = worker::js_sys
)]
extern "C" {
    /// Calls [`proceed`](super::proceed) after the promise settles. Returns a promise of its result.
    #[wasm_bindgen(js_name = proceedAfter)]
    pub(super) fn proceed_after(
        promise: &Promise,
        step: Step,
        request: &Request,
        env: &Env,
    ) -> Promise;

    /// Logs the error if the promise rejects.
    #[wasm_bindgen(js_name = logRejection)]
    pub(super) fn log_rejection(promise: &Promise, event: &str);
}
