//! Bindings to the platform. The `worker` crate lacks these calls, or its wrappers are too slow for
//! code that runs for each join and each frame.

use std::cell::OnceCell;
use std::thread::LocalKey;

use worker::js_sys::{Array, ArrayBuffer, Date, JsString, Object, Promise};
use worker::wasm_bindgen::JsCast;
use worker::wasm_bindgen::prelude::*;
use worker::web_sys::{AbortSignal, Headers, ReadableStream, RequestInit, WebSocket};
use worker::worker_sys::DurableObjectNamespace;
use worker::{Env, State};

use crate::core::event::MAX_FRAME;
use crate::core::peer::{Socket, Time};
use crate::core::refusal::Refusal;
use crate::dialect::Dialect;

#[wasm_bindgen(
    module = "/src/shell/stream.js",
    wasm_bindgen = worker::wasm_bindgen,
    js_sys = worker::js_sys
)]
extern "C" {
    /// Opens an event stream. `ping_interval` is in milliseconds. `ping` is the text of a ping, with
    /// `{time}` in place of the time.
    #[wasm_bindgen(catch, js_name = openStream)]
    pub(super) fn open_stream(
        socket: &WebSocket,
        ping_interval: u32,
        ping: &str,
    ) -> Result<ReadableStream, JsValue>;
}

// An exception that JavaScript throws does not unwind the Rust code that called it: values are not
// dropped, and a `RefCell` stays borrowed. Every function that can throw is therefore bound with
// `catch`. `tests/layout/glue.test.mjs` checks this.
#[wasm_bindgen(wasm_bindgen = worker::wasm_bindgen, js_sys = worker::js_sys)]
extern "C" {
    #[wasm_bindgen(catch, js_name = fetch)]
    fn fetch_raw(url: &str, init: &RequestInit) -> Result<Promise, JsValue>;
    #[wasm_bindgen(catch, js_namespace = AbortSignal, js_name = timeout)]
    fn abort_after(millis: u32) -> Result<AbortSignal, JsValue>;
    /// Converts a value to text. Throws for an object without `toString`.
    #[wasm_bindgen(catch, js_name = String)]
    pub(super) fn to_text(value: &JsValue) -> Result<String, JsValue>;
    #[wasm_bindgen(catch, js_namespace = Array, js_name = from)]
    fn array_from(iterable: &JsValue) -> Result<Array, JsValue>;

    /// A WebSocket with the property `partyline`, which holds the `Socket` id of the WebSocket.
    #[wasm_bindgen(extends = Object)]
    type TaggedSocket;
    #[wasm_bindgen(method, structural, getter, js_name = partyline)]
    fn number(this: &TaggedSocket) -> f64;
    #[wasm_bindgen(method, structural, setter, js_name = partyline)]
    fn set_number(this: &TaggedSocket, number: f64);

    #[wasm_bindgen(method, catch, js_name = get)]
    fn get_named(this: &HeadersOf, name: &JsString) -> Result<Option<String>, JsValue>;
    #[wasm_bindgen(extends = Object)]
    type HeadersOf;

    type ObjectState;
    #[wasm_bindgen(method, catch, js_name = getWebSocketAutoResponseTimestamp)]
    fn last_auto_response(this: &ObjectState, ws: &WebSocket) -> Result<Option<Date>, JsValue>;

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

    type Storage;
    #[wasm_bindgen(method, catch, structural, getter)]
    fn kv(this: &Storage) -> Result<Stored, JsValue>;

    /// The key-value storage of an object. Reading or deleting in storage that was never written
    /// does not touch the disk.
    pub(super) type Stored;
    #[wasm_bindgen(method, catch)]
    pub(super) fn put(this: &Stored, key: &str, text: &str) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    pub(super) fn delete(this: &Stored, key: &str) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch, js_name = list)]
    fn entries(this: &Stored) -> Result<JsValue, JsValue>;
}

impl Stored {
    /// Returns the key-value storage of a Durable Object.
    pub(super) fn of(state: &State) -> Result<Self, JsValue> {
        state.as_raw().storage()?.unchecked_ref::<Storage>().kv()
    }

    /// Lists all keys and values.
    pub(super) fn list(&self) -> Result<Vec<(String, String)>, JsValue> {
        let texts = |entry: JsValue| {
            let entry: &Array = entry.unchecked_ref();
            entry.get(0).as_string().zip(entry.get(1).as_string())
        };
        // `Array.from` is one call into JavaScript. Driving the iterator from Rust takes seven
        // calls for an empty list.
        Ok(array_from(&self.entries()?)?
            .iter()
            .filter_map(texts)
            .collect())
    }
}

/// The two ends of a new WebSocket.
pub(super) struct WebSocketPair {
    pub(super) client: WebSocket,
    pub(super) server: WebSocket,
}

impl WebSocketPair {
    pub(super) fn new() -> Result<Self, JsValue> {
        let mut pair = worker::worker_sys::WebSocketPair::new()?;
        let (client, server) = (pair.client()?, pair.server()?);
        Ok(Self { client, server })
    }
}

thread_local! {
    // The names of the headers that every join reads. Converting a name to a JavaScript string
    // copies the text, so each name is converted once.
    pub(super) static ADDRESS: JsString = "CF-Connecting-IP".into();
    pub(super) static LAST_EVENT_ID: JsString = "Last-Event-ID".into();
    pub(super) static ORIGIN: JsString = "Origin".into();
    pub(super) static PROTOCOLS: JsString = "Sec-WebSocket-Protocol".into();
    pub(super) static UPGRADE: JsString = "Upgrade".into();
}

/// Reads a header. `name` must be one of the constants above.
pub(super) fn header(
    headers: &Headers,
    name: &'static LocalKey<JsString>,
) -> Result<Option<String>, JsValue> {
    let headers: &HeadersOf = headers.unchecked_ref();
    name.with(|name| headers.get_named(name))
}

/// Returns the namespace of the rooms, which finds a room by its name.
pub(super) fn rooms(env: &Env) -> DurableObjectNamespace {
    env.unchecked_ref::<Bindings>().room()
}

/// Sends a request, which fails after `timeout` milliseconds.
pub(super) fn fetch(url: &str, init: &RequestInit, timeout: u32) -> Result<Promise, JsValue> {
    init.set_signal(Some(&abort_after(timeout)?));
    fetch_raw(url, init)
}

/// Returns the current time.
pub(super) fn now() -> Time {
    time(Date::now())
}

/// Returns the time at which the platform last answered a `ping` of this WebSocket.
pub(super) fn last_auto_response(state: &State, ws: &WebSocket) -> Option<Time> {
    let state: &ObjectState = state.as_raw().unchecked_ref();
    let date = state.last_auto_response(ws).ok().flatten()?;
    Some(time(date.get_time()))
}

/// Converts a time of JavaScript, which is a whole number of milliseconds after 1970.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
const fn time(millis: f64) -> Time {
    Time(millis as u64)
}

/// Reads the `Socket` id of a WebSocket from its property, which is cheaper than reading the
/// attachment. The property is lost when the object is evicted.
pub(super) fn number(ws: &WebSocket) -> Option<Socket> {
    // JavaScript returns `undefined` for an absent property, which wasm-bindgen converts to NaN.
    let number = ws.unchecked_ref::<TaggedSocket>().number();
    // `set_number` writes only whole numbers.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    (!number.is_nan()).then_some(Socket(number as u64))
}

/// Writes the `Socket` id of a WebSocket as a property.
pub(super) fn set_number(ws: &WebSocket, Socket(number): Socket) {
    #[allow(clippy::cast_precision_loss)] // no object reaches 2⁵³ WebSockets
    ws.unchecked_ref::<TaggedSocket>().set_number(number as f64);
}

/// Reads the text of a frame. A frame above the size limit is refused before it is copied, because
/// WebAssembly memory never shrinks. All rooms of an isolate share that memory.
pub(super) fn text(message: &JsValue) -> Result<String, Refusal<'static>> {
    let Some(text) = message.dyn_ref::<JsString>() else {
        let bytes = message
            .dyn_ref::<ArrayBuffer>()
            .map(ArrayBuffer::byte_length);
        return Err(Dialect::refuse_binary(bytes.unwrap_or(0) as usize));
    };
    // A string has at most as many UTF-16 units as UTF-8 bytes, so a frame within the limit is
    // never refused here.
    let length = text.length() as usize;
    if length > MAX_FRAME {
        return Err(Dialect::refuse_large());
    }
    Ok(copy(text, length))
}

/// Copies `text` into WebAssembly memory. `TextEncoder` copies ASCII text in one call, while
/// wasm-bindgen copies one character at a time.
fn copy(text: &JsString, length: usize) -> String {
    thread_local! {
        static ENCODER: OnceCell<TextEncoder> = const { OnceCell::new() };
    }
    let mut bytes = vec![0; length];
    let read = ENCODER.with(|encoder| {
        let encoder = encoder.get_or_init(TextEncoder::new);
        encoder.encode_into(text, &mut bytes).read()
    });
    let is_whole = read as usize == length;
    match String::from_utf8(bytes) {
        Ok(copied) if is_whole => copied,
        _ => String::from(text),
    }
}

/// Returns 128 bits from the platform's cryptographic generator.
pub(super) fn random() -> super::failure::Result<u128> {
    let mut bytes = [0; 16];
    getrandom::getrandom(&mut bytes)
        .map_err(|error| super::failure::Error::from(&*error.to_string()))?;
    Ok(u128::from_ne_bytes(bytes))
}
