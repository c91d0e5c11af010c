//! What the platform has and `worker` does not wrap, or wraps in more than is needed where it matters.

use std::cell::OnceCell;
use std::thread::LocalKey;

use worker::js_sys::{Array, ArrayBuffer, Function, JsString, Object, Promise};
use worker::wasm_bindgen::JsCast;
use worker::wasm_bindgen::prelude::*;
use worker::web_sys::{Headers, Request, WebSocket};
use worker::worker_sys::DurableObjectNamespace;
use worker::{Env, State};

use super::answer::Answer;
use crate::core::event::MAX_FRAME;
use crate::core::peer::Socket;
use crate::core::refusal::Refusal;
use crate::dialect::Dialect;

#[wasm_bindgen(wasm_bindgen = worker::wasm_bindgen, js_sys = worker::js_sys)]
extern "C" {
    #[wasm_bindgen(extends = Object)]
    type Numbered;
    #[wasm_bindgen(method, structural, getter, js_name = partyline)]
    fn number(this: &Numbered) -> f64;
    #[wasm_bindgen(method, structural, setter, js_name = partyline)]
    fn set_number(this: &Numbered, number: f64);

    #[wasm_bindgen(method, catch, js_name = get)]
    fn get_named(this: &HeadersOf, name: &JsString) -> Result<Option<String>, JsValue>;
    #[wasm_bindgen(extends = Object)]
    type HeadersOf;

    #[wasm_bindgen(extends = Object)]
    type Bindings;
    #[wasm_bindgen(method, structural, getter, js_name = ROOM)]
    fn room(this: &Bindings) -> DurableObjectNamespace;

    type TextEncoder;
    #[wasm_bindgen(constructor)]
    fn new() -> TextEncoder;
    #[wasm_bindgen(method, js_name = encodeInto)]
    fn encode_into(this: &TextEncoder, text: &JsString, into: &mut [u8]) -> Encoded;
    type Encoded;
    #[wasm_bindgen(method, structural, getter)]
    fn read(this: &Encoded) -> u32;

    type Bindable;
    #[wasm_bindgen(method)]
    fn bind(this: &Bindable, context: &JsValue, request: &Request, env: &JsValue) -> Function;
    type Thenable;
    #[wasm_bindgen(method)]
    fn then(this: &Thenable, kept: &Function, broken: &Function) -> Promise;

    type Storage;
    #[wasm_bindgen(method, structural, getter)]
    fn kv(this: &Storage) -> Stored;

    /// The keys and values of an object. Of one that never had any, none of this touches the disk but
    /// `put`.
    pub(super) type Stored;
    #[wasm_bindgen(method, catch)]
    pub(super) fn put(this: &Stored, key: &str, text: &str) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    pub(super) fn delete(this: &Stored, key: &str) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch, js_name = list)]
    fn entries(this: &Stored) -> Result<JsValue, JsValue>;
}

/// What is done when a promise was kept or broken: it gets the request that it is about, and what
/// came of the promise, an error too.
pub(super) struct Step(Closure<dyn Fn(Request, Env, JsValue) -> JsValue>);

impl Step {
    pub(super) fn new(step: fn(Request, Env, JsValue) -> Answer) -> Self {
        let step = move |request, env, outcome| step(request, env, outcome).into();
        Self(Closure::new(step))
    }
}

/// Goes on behind a promise, once. What waits for a future would wait for ever, should the future trap;
/// this fails.
pub(super) fn then_once(
    promise: &Promise,
    step: impl FnOnce(JsValue) -> Answer + 'static,
) -> Answer {
    let step = Closure::once_into_js(move |outcome| JsValue::from(step(outcome)));
    let promise: &Thenable = promise.unchecked_ref();
    let step: &Function = step.unchecked_ref();
    Answer::Later(promise.then(step, step))
}

/// Goes on behind a promise.
pub(super) fn then(promise: &Promise, Step(step): &Step, request: &Request, env: &Env) -> Answer {
    let step: &Bindable = step.as_ref().unchecked_ref();
    let step = step.bind(&JsValue::NULL, request, env);
    let promise: &Thenable = promise.unchecked_ref();
    Answer::Later(promise.then(&step, &step))
}

impl Stored {
    /// Those of an object.
    pub(super) fn of(state: &State) -> Self {
        state.storage().as_raw().unchecked_ref::<Storage>().kv()
    }

    /// All of them.
    pub(super) fn list(&self) -> Result<Vec<(String, String)>, JsValue> {
        let texts = |entry: JsValue| {
            let entry: &Array = entry.unchecked_ref();
            entry.get(0).as_string().zip(entry.get(1).as_string())
        };
        // In one step: to ask an iterator from here takes seven for an empty list.
        Ok(Array::from(&self.entries()?)
            .iter()
            .filter_map(texts)
            .collect())
    }
}

thread_local! {
    // Names of headers that every join is asked for. They are made once: a text of Rust's is carried
    // over, and made one of JavaScript's, each time.
    pub(super) static ADDRESS: JsString = "CF-Connecting-IP".into();
    pub(super) static LAST_EVENT_ID: JsString = "Last-Event-ID".into();
    pub(super) static ORIGIN: JsString = "Origin".into();
    pub(super) static PROTOCOLS: JsString = "Sec-WebSocket-Protocol".into();
    pub(super) static UPGRADE: JsString = "Upgrade".into();
}

/// What a request has for one of these.
pub(super) fn header(
    headers: &Headers,
    name: &'static LocalKey<JsString>,
) -> Result<Option<String>, JsValue> {
    let headers: &HeadersOf = headers.unchecked_ref();
    name.with(|name| headers.get_named(name))
}

/// The rooms, by their names.
pub(super) fn rooms(env: &Env) -> DurableObjectNamespace {
    env.unchecked_ref::<Bindings>().room()
}

/// The number that was written on a socket. It lasts as long as the object is in memory, and costs
/// less to read than the attachment.
pub(super) fn number(ws: &WebSocket) -> Option<Socket> {
    // What has none gives `undefined`, which is no number.
    let number = ws.unchecked_ref::<Numbered>().number();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // We wrote it ourselves.
    (!number.is_nan()).then_some(Socket(number as u64))
}

/// Writes a number on a socket.
pub(super) fn set_number(ws: &WebSocket, Socket(number): Socket) {
    #[allow(clippy::cast_precision_loss)] // No object lives to see its 2⁵³rd socket.
    ws.unchecked_ref::<Numbered>().set_number(number as f64);
}

/// The text of a frame. One that is too long is not even copied: memory that was once taken is never
/// given back, and all the rooms of an isolate share it.
pub(super) fn text(message: &JsValue) -> Result<String, Refusal<'static>> {
    let Some(text) = message.dyn_ref::<JsString>() else {
        let bytes = message
            .dyn_ref::<ArrayBuffer>()
            .map(ArrayBuffer::byte_length);
        return Err(Dialect::refuse_binary(bytes.unwrap_or(0) as usize));
    };
    // In UTF-16, nothing is longer than in UTF-8.
    let length = text.length() as usize;
    if length > MAX_FRAME {
        return Err(Dialect::refuse_large());
    }
    Ok(copy(text, length))
}

/// Copies a text, which is mostly ASCII. wasm-bindgen would do so one character at a time.
fn copy(text: &JsString, length: usize) -> String {
    thread_local! {
        static ENCODER: OnceCell<TextEncoder> = const { OnceCell::new() };
    }
    let mut bytes = vec![0; length];
    let read = ENCODER.with(|encoder| {
        let encoder = encoder.get_or_init(TextEncoder::new);
        encoder.encode_into(text, &mut bytes).read()
    });
    let whole = read as usize == length;
    match String::from_utf8(bytes) {
        Ok(copied) if whole => copied,
        _ => String::from(text),
    }
}
