//! Bindings to the platform that the `worker` crate lacks, or whose wrapper is too slow for the paths
//! that each join and each frame take.

use std::cell::OnceCell;
use std::thread::LocalKey;

use worker::js_sys::{self, Array, ArrayBuffer, Date, JsString, Object};
use worker::wasm_bindgen::JsCast;
use worker::wasm_bindgen::prelude::*;
use worker::web_sys::{Headers, WebSocket, WorkerGlobalScope};
use worker::worker_sys::DurableObjectNamespace;
use worker::{Env, State};

use crate::core::event::MAX_FRAME;
use crate::core::peer::{Socket, Time};
use crate::core::refusal::Refusal;
use crate::dialect::Dialect;

#[wasm_bindgen(wasm_bindgen = worker::wasm_bindgen, js_sys = worker::js_sys)]
extern "C" {
    /// A WebSocket with a property of ours, the number of the socket.
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
    #[wasm_bindgen(method, structural, getter)]
    fn kv(this: &Storage) -> Stored;

    /// The key-value storage of an object. If it was never written, only `put` touches the disk.
    pub(super) type Stored;
    #[wasm_bindgen(method, catch)]
    pub(super) fn put(this: &Stored, key: &str, text: &str) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    pub(super) fn delete(this: &Stored, key: &str) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch, js_name = list)]
    fn entries(this: &Stored) -> Result<JsValue, JsValue>;
}

impl Stored {
    /// The storage of an object.
    pub(super) fn of(state: &State) -> Self {
        state.storage().as_raw().unchecked_ref::<Storage>().kv()
    }

    /// Lists all keys and values.
    pub(super) fn list(&self) -> Result<Vec<(String, String)>, JsValue> {
        let texts = |entry: JsValue| {
            let entry: &Array = entry.unchecked_ref();
            entry.get(0).as_string().zip(entry.get(1).as_string())
        };
        // One call: an iterator driven from Rust takes seven calls for an empty list.
        Ok(Array::from(&self.entries()?)
            .iter()
            .filter_map(texts)
            .collect())
    }
}

thread_local! {
    // Names of the headers that every join reads. They are converted to JavaScript strings once,
    // because each conversion copies the text.
    pub(super) static ADDRESS: JsString = "CF-Connecting-IP".into();
    pub(super) static LAST_EVENT_ID: JsString = "Last-Event-ID".into();
    pub(super) static ORIGIN: JsString = "Origin".into();
    pub(super) static PROTOCOLS: JsString = "Sec-WebSocket-Protocol".into();
    pub(super) static UPGRADE: JsString = "Upgrade".into();
}

/// Reads a header that has one of the names above.
pub(super) fn header(
    headers: &Headers,
    name: &'static LocalKey<JsString>,
) -> Result<Option<String>, JsValue> {
    let headers: &HeadersOf = headers.unchecked_ref();
    name.with(|name| headers.get_named(name))
}

/// The namespace of the rooms, which finds a room by its name.
pub(super) fn rooms(env: &Env) -> DurableObjectNamespace {
    env.unchecked_ref::<Bindings>().room()
}

/// The global scope, which has `fetch` and the timers.
pub(super) fn global() -> WorkerGlobalScope {
    js_sys::global().unchecked_into()
}

/// The current time.
pub(super) fn now() -> Time {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Whole, and after 1970.
    Time(Date::now() as u64)
}

/// Reads the number of a socket, a property that lasts until the object is evicted. That is cheaper
/// than reading the attachment.
pub(super) fn number(ws: &WebSocket) -> Option<Socket> {
    // Without the property, JavaScript returns `undefined`, which arrives as NaN.
    let number = ws.unchecked_ref::<TaggedSocket>().number();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // `set_number` wrote it.
    (!number.is_nan()).then_some(Socket(number as u64))
}

/// Writes the number of a socket as a property.
pub(super) fn set_number(ws: &WebSocket, Socket(number): Socket) {
    #[allow(clippy::cast_precision_loss)] // No object will count 2⁵³ sockets.
    ws.unchecked_ref::<TaggedSocket>().set_number(number as f64);
}

/// Reads the text of a frame. A frame that is too large is refused without a copy: WebAssembly memory
/// never shrinks, and all rooms of an isolate share it.
pub(super) fn text(message: &JsValue) -> Result<String, Refusal<'static>> {
    let Some(text) = message.dyn_ref::<JsString>() else {
        let bytes = message
            .dyn_ref::<ArrayBuffer>()
            .map(ArrayBuffer::byte_length);
        return Err(Dialect::refuse_binary(bytes.unwrap_or(0) as usize));
    };
    // A string never has more UTF-16 units than UTF-8 bytes, so no frame that fits is refused.
    let length = text.length() as usize;
    if length > MAX_FRAME {
        return Err(Dialect::refuse_large());
    }
    Ok(copy(text, length))
}

/// Copies a text that is mostly ASCII. wasm-bindgen would copy it one character at a time.
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
