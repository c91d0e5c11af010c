//! A request to the Worker, which the Rust code handles in steps.
//!
//! Each step ends with a response or a promise. After the promise settles, `promise.js` calls the
//! Rust code with the next step and the same request, which is then parsed again.
//!
//! The Rust code holds nothing between two steps. If a client disconnects, the platform drops the
//! promises of its request without settling them. A future or a closure that waits for such a
//! promise would stay in WebAssembly memory, which never shrinks.

use std::rc::Rc;

use worker::Env;
use worker::js_sys::Promise;
use worker::wasm_bindgen::JsCast;
use worker::wasm_bindgen::prelude::*;
use worker::web_sys::{Headers, Request, RequestInit, Response};

use super::answer::{Answer, Cors};
use super::env::settings;
use super::failure::{Failure, Result};
use super::platform::{ORIGIN, header, rooms};
use super::promise::{Step, proceed_after};
use super::request::find_route;
#[cfg(doc)]
use crate::dialect::family::Family;
use crate::edge::BadSetting;
use crate::edge::route::{HttpError, Route};
use crate::edge::settings::Settings;

/// A request to the Worker.
pub(super) struct Call {
    pub(super) request: Request,
    pub(super) env: Env,
}

impl Call {
    pub(super) fn settings(&self) -> std::result::Result<Rc<Settings>, BadSetting> {
        settings(&self.env)
    }

    pub(super) fn route(&self) -> std::result::Result<Route, HttpError> {
        find_route(&self.request, &self.request.headers())
    }

    pub(super) fn cors(&self) -> Cors {
        Cors::new(self.settings().as_deref().ok(), &self.request.headers())
    }

    /// Continues with `step` after the promise settles.
    pub(super) fn proceed_after(&self, promise: &Promise, step: Step) -> Answer {
        Answer::Later(proceed_after(promise, step, &self.request, &self.env))
    }

    /// Sends a request to a room, and continues with `step` after the room has answered. `object` is
    /// the name of its object, which is the name of the room in [`Family::Party`]. The room parses the route again, which is cheaper than encoding the route. Clients could also forge a header that
    /// carries the route.
    pub(super) fn forward(&self, object: &str, request: &Request, step: Step) -> Result<Answer> {
        let response = rooms(&self.env)
            .get_by_name(object)?
            .fetch_with_request(request)?;
        Ok(self.proceed_after(&response, step))
    }

    /// Sends the object of a room a request of the Worker itself, and continues with `step` after the room has answered.
    /// The request of the next step is this one, so its URL is what the next step knows.
    pub(super) fn ask(&self, object: &str, url: &str, step: Step) -> Result<Answer> {
        let headers = Headers::new()?;
        // The response depends on the origin.
        if let Some(origin) = header(&self.request.headers(), &ORIGIN)? {
            headers.set("Origin", &origin)?;
        }
        let init = RequestInit::new();
        init.set_headers(&headers);
        let request = Request::new_with_str_and_init(url, &init)?;
        let env: Env = self.env.clone();
        let call = Self { request, env };
        call.forward(object, &call.request, step)
    }

    /// Converts the result of a step into the return value for JavaScript.
    pub(super) fn finish(&self, result: std::result::Result<Answer, Failure>) -> JsValue {
        result
            .unwrap_or_else(|failure| Answer::refused(failure, &self.cors()))
            .into()
    }
}

/// Returns the response of a room, or the error of the request to the room.
pub(super) fn room_response(outcome: JsValue) -> Result<Response, Failure> {
    Ok(outcome.dyn_into()?)
}
