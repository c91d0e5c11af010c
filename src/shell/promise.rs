//! Runs Rust callbacks after JavaScript promises settle.

use worker::js_sys::{Function, Promise};
use worker::wasm_bindgen::JsCast;
use worker::wasm_bindgen::prelude::*;
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys::Request;
use worker::{Env, Result};

use super::answer::Answer;

#[wasm_bindgen(wasm_bindgen = worker::wasm_bindgen, js_sys = worker::js_sys)]
extern "C" {
    type Bindable;
    #[wasm_bindgen(method)]
    fn bind(this: &Bindable, context: &JsValue, request: &Request, env: &JsValue) -> Function;

    type Thenable;
    #[wasm_bindgen(method)]
    fn then(this: &Thenable, fulfilled: &Function, rejected: &Function) -> Promise;
}

/// A reusable callback for promises. The callback receives the request, the environment, and the
/// value or the error of the settled promise.
pub(super) struct PromiseHandler(Closure<dyn Fn(Request, Env, JsValue) -> JsValue>);

impl PromiseHandler {
    pub(super) fn new(handler: fn(Request, Env, JsValue) -> Answer) -> Self {
        let handler = move |request, env, outcome| handler(request, env, outcome).into();
        Self(Closure::new(handler))
    }

    /// Runs the callback after the promise settles. Returns a promise of the response.
    pub(super) fn on_settled(&self, promise: &Promise, request: &Request, env: &Env) -> Answer {
        let Self(handler) = self;
        let handler: &Bindable = handler.as_ref().unchecked_ref();
        let handler = handler.bind(&JsValue::NULL, request, env);
        let promise: &Thenable = promise.unchecked_ref();
        Answer::Later(promise.then(&handler, &handler))
    }
}

/// Runs `handler` after the promise settles. Returns a promise of the response, which rejects if
/// the WebAssembly code traps. The promise of a Rust future would never settle after a trap.
pub(super) fn on_settled_once(
    promise: &Promise,
    handler: impl FnOnce(JsValue) -> Answer + 'static,
) -> Answer {
    let handler = Closure::once_into_js(move |outcome| JsValue::from(handler(outcome)));
    let promise: &Thenable = promise.unchecked_ref();
    let handler: &Function = handler.unchecked_ref();
    Answer::Later(promise.then(handler, handler))
}

/// Waits for a promise of text, such as the body of a response.
pub(super) async fn await_text(promise: Promise) -> Result<String> {
    Ok(JsFuture::from(promise)
        .await?
        .as_string()
        .unwrap_or_default())
}
