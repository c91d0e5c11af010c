//! How often one address may join, by the rate limit that wrangler.toml sets up.
//!
//! Where there is no limit, or it cannot be asked, everybody may join: a limit that fails must not
//! close the house.

use worker::Env;
use worker::js_sys::{Function, Object, Promise, Reflect};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys::Headers;

use super::log;
use super::platform::{ADDRESS, header};
use crate::core::refusal::{Code, Refusal};
use crate::edge::admission::rate_limit_key;

/// Counts a join, if it is one that is counted: what is promised is for [`judge`].
pub(super) fn count(env: &Env, headers: &Headers) -> Option<Promise> {
    // What the platform puts there, over whatever a client has sent.
    let address = header(headers, &ADDRESS).ok().flatten()?;
    let key = rate_limit_key(&address)?;
    ask(env, &key).unwrap_or_else(|error| {
        complain(&error);
        None
    })
}

/// Says whether a join was one too many, by what the limit has answered, or by its error.
pub(super) fn judge(outcome: &JsValue) -> Result<(), Refusal<'static>> {
    let success = Reflect::get(outcome, &"success".into());
    match success.ok().and_then(|success| success.as_bool()) {
        Some(true) => Ok(()),
        Some(false) => {
            let message = "far too many joins from your address: try again in a minute";
            Err(Refusal::new(Code::TooFast, message))
        }
        None => {
            complain(outcome);
            Ok(())
        }
    }
}

/// Counts a join that was not refused before, and waits for what comes of it.
pub(super) async fn check(
    admitted: Result<(), Refusal<'static>>,
    env: &Env,
    headers: &Headers,
) -> Result<(), Refusal<'static>> {
    admitted?;
    match count(env, headers) {
        Some(outcome) => judge(&JsFuture::from(outcome).await.unwrap_or_else(|error| error)),
        None => Ok(()),
    }
}

fn ask(env: &Env, key: &str) -> Result<Option<Promise>, JsValue> {
    let limiter = Reflect::get(env, &"JOINS".into())?;
    if limiter.is_undefined() {
        return Ok(None);
    }
    let limit: Function = Reflect::get(&limiter, &"limit".into())?.dyn_into()?;
    let wanted = Object::new();
    Reflect::set(&wanted, &"key".into(), &key.into())?;
    Ok(Some(limit.call1(&limiter, &wanted)?.dyn_into()?))
}

fn complain(error: &JsValue) {
    log("rate-limit", &format!("{error:?}"));
}
