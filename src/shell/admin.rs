//! The Worker's part of the requests of the operator: checks the token, and asks the room.

use worker::wasm_bindgen::prelude::*;

use super::answer::Answer;
use super::body::{self, Bodies};
use super::call::Call;
use super::failure::{Error, Failure};
use super::platform::now;
use super::promise::Step;
use super::request::find_token;
use crate::core::admin::AdminRequest;
use crate::edge::admin::{read_removal, url, without_secret};
use crate::edge::admission::check_admin_token;
use crate::edge::body::MAX_BODY;
use crate::edge::route::{AdminAction, AdminCall, Route};
use crate::edge::settings::Settings;

thread_local! {
    /// The bodies of requests whose token has been checked.
    static REMOVALS: Bodies = Bodies::new();
}

/// Handles a request of the operator.
#[inline(never)]
pub(super) fn start(
    wanted: &AdminCall,
    call: &Call,
    settings: &Settings,
) -> Result<Answer, Failure> {
    let AdminCall {
        room,
        family,
        action,
        tokens,
    } = wanted;
    let secrets = settings.secrets.as_ref().ok_or_else(without_secret)?;
    let token = find_token(&call.request.headers(), tokens)?;
    check_admin_token(secrets, token.as_deref(), now(), room)?;
    let object = family.object(room);
    match action {
        AdminAction::List => ask(call, &object, &AdminRequest::List),
        AdminAction::Close => ask(call, &object, &AdminRequest::Close),
        // Only now, so that strangers cannot make the Worker wait for a body.
        AdminAction::Remove => Ok(body::read(call, &REMOVALS, MAX_BODY, Step::RemovalRead)),
    }
}

/// Continues after the body of a request to remove a peer has arrived.
pub(super) fn on_read(call: &Call, outcome: &JsValue) -> Result<Answer, Failure> {
    let request = read_removal(&body::text(outcome, MAX_BODY)?)?;
    match call.route()? {
        Route::Admin(AdminCall { room, family, .. }) => ask(call, &family.object(&room), &request),
        _ => Err(Error::from("the request had a body, but parses differently now").into()),
    }
}

fn ask(call: &Call, object: &str, request: &AdminRequest) -> Result<Answer, Failure> {
    Ok(call.ask(object, &url(request), Step::Answered)?)
}
