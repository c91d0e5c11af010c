//! Replaces the crate `wasm-streams`, which converts between streams of JavaScript and of Rust.
//!
//! The crate `worker` requires `wasm-streams` for bodies that Rust code reads or writes piece by
//! piece. partyline has no such bodies. But `wasm-streams` exports JavaScript classes, and the linker
//! keeps exported functions with everything that they call: closures, and an executor for futures.
//! Without them, the WebAssembly module is 6 KB smaller with gzip, and a cold start loads less.
//!
//! This crate contains only what `worker` 0.8.7 calls. Its types have no values, so the compiler
//! removes all code that receives one. Functions that would have to return a value panic. To use
//! streams of `worker`, remove the section `[patch.crates-io]` from Cargo.toml, then run `cargo update
//! --package wasm-streams`.

use core::convert::Infallible;
use core::marker::PhantomData;

use futures_core::Stream;
use wasm_bindgen::JsValue;

/// The items of the streams in `worker`.
type Item = Result<JsValue, JsValue>;

/// A stream of JavaScript. It has no values.
#[derive(Debug)]
pub struct ReadableStream(Infallible);

impl ReadableStream {
    /// # Panics
    ///
    /// Always, because the type has no values.
    pub fn from_raw(_: web_sys::ReadableStream) -> Self {
        unsupported()
    }

    /// # Panics
    ///
    /// Always, because the type has no values.
    pub fn from_stream(_: impl Stream<Item = Item> + 'static) -> Self {
        unsupported()
    }

    /// Returns the stream of JavaScript.
    pub fn as_raw(&self) -> &web_sys::ReadableStream {
        match self.0 {}
    }

    /// Returns the stream of JavaScript.
    pub fn into_raw(self) -> web_sys::ReadableStream {
        match self.0 {}
    }

    /// Returns a stream of Rust with the same items.
    pub fn into_stream(self) -> readable::IntoStream<'static> {
        match self.0 {}
    }
}

/// Streams to read from.
pub mod readable {
    use core::pin::Pin;
    use core::task::{Context, Poll};

    use super::{Infallible, Item, PhantomData, Stream};

    /// A stream of Rust with the items of a stream of JavaScript. It has no values.
    #[derive(Debug)]
    pub struct IntoStream<'reader>(Infallible, PhantomData<&'reader ()>);

    impl Stream for IntoStream<'_> {
        type Item = Item;

        fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Item>> {
            match self.0 {}
        }
    }
}

fn unsupported() -> ! {
    panic!(
        "the streams of the crate worker are not supported: use `web_sys::ReadableStream`, or remove \
         [patch.crates-io] from Cargo.toml"
    )
}
