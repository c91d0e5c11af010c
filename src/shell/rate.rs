//! The rate limit for joins from one address, which `wrangler.toml` configures.
//!
//! If the limit is not configured or the limiter fails, every join is allowed. A failure of the
//! limiter must not make the server unavailable.

use worker::Env;
use worker::js_sys::{Function, Object, Promise, Reflect};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::web_sys::Headers;

use super::log::log;
use super::platform::{ADDRESS, header};
use crate::core::refusal::{Code, Refusal};
use crate::edge::admission::rate_limit_key;

/// Counts a join, unless the address is exempt. Returns the promise of the limiter, whose settled
/// value [`check_outcome`] reads.
pub(super) fn count(env: &Env, headers: &Headers) -> Option<Promise> {
    let key = client_network(headers)?;
    call_limiter(env, &key).unwrap_or_else(|error| {
        log_failure(&error);
        None
    })
}

/// Returns the network of the client, or `None` if it is exempt from limits.
pub(super) fn client_network(headers: &Headers) -> Option<String> {
    // The platform overwrites this header, so clients cannot forge it.
    let address = header(headers, &ADDRESS).ok().flatten()?;
    rate_limit_key(&address)
}

/// Refuses a join that exceeds the limit. `outcome` is the result or the error of the limiter.
pub(super) fn check_outcome(outcome: &JsValue) -> Result<(), Refusal<'static>> {
    let success = Reflect::get(outcome, &"success".into());
    match success.ok().and_then(|success| success.as_bool()) {
        Some(true) => Ok(()),
        Some(false) => {
            let message = "your IP address has sent too many joins: expected fewer joins within a \
                 minute. Try again in a minute";
            Err(Refusal::new(Code::TooFast, message))
        }
        None => {
            log_failure(outcome);
            Ok(())
        }
    }
}

fn call_limiter(env: &Env, key: &str) -> Result<Option<Promise>, JsValue> {
    let limiter = Reflect::get(env, &"JOINS".into())?;
    if limiter.is_undefined() {
        return Ok(None);
    }
    let limit: Function = Reflect::get(&limiter, &"limit".into())?.dyn_into()?;
    let options = Object::new();
    Reflect::set(&options, &"key".into(), &key.into())?;
    Ok(Some(limit.call1(&limiter, &options)?.dyn_into()?))
}

fn log_failure(error: &JsValue) {
    let message = format!(
        "the rate limiter failed, so the join is allowed: {error:?}. If this continues, check \
         [[ratelimits]] in wrangler.toml"
    );
    log("rate-limit", &message);
}
