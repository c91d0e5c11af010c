//! Passes the requests of Engine.IO, the transport of Socket.IO, to `engine/serve.js`. The sessions are
//! JavaScript, because a session must survive a trap.

use worker::Env;
use worker::js_sys::Promise;
use worker::wasm_bindgen::prelude::*;
use worker::web_sys::Request;

use super::answer::Answer;
use super::call::Call;
use super::failure::Failure;
use super::promise::Step;
use crate::edge::route::{EngineRequest, Transport};
use crate::edge::settings::Settings;

#[wasm_bindgen(
    module = "/src/shell/engine/serve.js",
    wasm_bindgen = worker::wasm_bindgen,
    js_sys = worker::js_sys
)]
extern "C" {
    /// Opens a session. `ping_interval` and `grace` are in milliseconds. `origin` is the value of the
    /// header `Access-Control-Allow-Origin`. Returns a promise of the response.
    #[wasm_bindgen(catch, js_name = openSession)]
    fn open_session(
        request: &Request,
        env: &Env,
        is_websocket: bool,
        room: &str,
        ping_interval: u32,
        grace: u32,
        origin: Option<&str>,
    ) -> Result<Promise, JsValue>;

    /// Continues a session. Returns a promise of the response.
    #[wasm_bindgen(catch, js_name = continueSession)]
    fn continue_session(
        request: &Request,
        env: &Env,
        is_websocket: bool,
        sid: &str,
        origin: Option<&str>,
    ) -> Result<Promise, JsValue>;
}

/// Opens or continues a session.
pub(super) fn serve(
    wanted: &EngineRequest,
    call: &Call,
    settings: &Settings,
) -> Result<Answer, Failure> {
    let Call { request, env } = call;
    let cors = call.cors();
    let origin = cors.origin();
    let is_websocket = |transport: &Transport| *transport == Transport::WebSocket;
    let response = match wanted {
        EngineRequest::Open { transport, room } => {
            let milliseconds = |time| u32::try_from(time).unwrap_or(u32::MAX);
            open_session(
                request,
                env,
                is_websocket(transport),
                room,
                milliseconds(settings.ping),
                milliseconds(settings.limits.grace),
                origin,
            )
        }
        EngineRequest::Continue { transport, sid } => {
            continue_session(request, env, is_websocket(transport), sid, origin)
        }
    }?;
    Ok(call.proceed_after(&response, Step::Answered))
}
