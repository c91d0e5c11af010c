//! Starts the calls of the media server through `media.js`, and decodes their results.

use std::rc::Rc;

use worker::wasm_bindgen::prelude::*;

use super::log::log;
use crate::core::live::{MediaCall, Outcome};
use crate::edge::live::{MediaServer, without_media_server};
use crate::edge::media::{Expected, MediaRequest, no_reply, request};
use crate::edge::settings::Settings;

#[wasm_bindgen(module = "/src/shell/media.js", wasm_bindgen = worker::wasm_bindgen, js_sys = worker::js_sys)]
extern "C" {
    /// The requests of one room to the media server.
    pub type MediaCalls;
    #[wasm_bindgen(method, catch)]
    fn start(
        this: &MediaCalls,
        context: &str,
        method: &str,
        url: &str,
        secret: &str,
        body: Option<&str>,
    ) -> Result<(), JsValue>;
}

/// The connection of one room to the media server.
pub(super) struct MediaClient {
    calls: MediaCalls,
    /// `None` if the settings are invalid.
    settings: Option<Rc<Settings>>,
}

impl MediaClient {
    pub(super) const fn new(calls: MediaCalls, settings: Option<Rc<Settings>>) -> Self {
        Self { calls, settings }
    }

    /// Starts a call. Returns the outcome if it failed immediately.
    #[inline(never)] // only live sessions have calls
    pub(super) fn start(&self, call: u64, request: &MediaCall) -> Option<Outcome> {
        self.try_start(call, request).err().map(logged)
    }

    fn try_start(&self, call: u64, call_request: &MediaCall) -> Result<(), Outcome> {
        let MediaServer { url, secret } = self
            .server()
            .ok_or_else(|| Outcome::Unavailable(without_media_server().message.into_owned()))?;
        let MediaRequest {
            method,
            path,
            body,
            expected,
        } = request(call_request)?;
        // The room may be restarted before the call ends, so the context contains all that is needed.
        let context = format!("{call} {expected}");
        let url = format!("{url}{path}");
        let started = self
            .calls
            .start(&context, method, &url, secret, body.as_deref());
        started.map_err(|error| no_reply(&format!("{error:?}")))
    }

    fn server(&self) -> Option<&MediaServer> {
        self.settings.as_ref()?.live.media.as_ref()
    }
}

/// Returns the number and the outcome of a call that has ended. `status`: 0 if there is no reply, and
/// `body` then contains the cause.
#[inline(never)]
pub(super) fn ended(context: &str, status: u16, body: &str) -> Option<(u64, Outcome)> {
    let (call, expected) = context.split_once(' ')?;
    let outcome = match status {
        0 => no_reply(body),
        status => Expected::parse(expected)?.outcome(status, body),
    };
    Some((call.parse().ok()?, logged(outcome)))
}

/// Logs a failure of the media server.
fn logged(outcome: Outcome) -> Outcome {
    if let Outcome::Unavailable(message) = &outcome {
        log("media-failed", message);
    }
    outcome
}
