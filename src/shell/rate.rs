//! Counts requests for the rate limits of one address, which `wrangler.toml` configures.
//!
//! If a limit is not configured or its limiter fails, the request is allowed. A failure of a limiter
//! must not make the server unavailable.

use worker::Env;
use worker::js_sys::{Array, Function, Object, Promise, Reflect};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::web_sys::Headers;

use super::log::log;
use super::platform::{ADDRESS, header};
use crate::core::refusal::Refusal;
use crate::edge::rate_limit::RateLimit;

/// Counts a request for the limits, unless its address is exempt. Returns a promise, whose settled
/// value [`check_outcome`] reads.
pub(super) fn count(env: &Env, headers: &Headers, limits: &[RateLimit]) -> Option<Promise> {
    let address = client_address(headers)?;
    let call = |limit: &RateLimit| {
        let key = limit.key(&address)?;
        call_limiter(env, limit.name(), &key).unwrap_or_else(|error| {
            log_failure(*limit, &error);
            None
        })
    };
    match limits {
        [] => None,
        [limit] => call(limit),
        limits => {
            let calls = Array::new();
            for limit in limits {
                calls.push(&call(limit).map_or(JsValue::UNDEFINED, JsValue::from));
            }
            // The failure of one limiter must not hide the outcome of the other.
            let is_counted = calls.iter().any(|call| !call.is_undefined());
            is_counted.then(|| Promise::all_settled(&calls))
        }
    }
}

/// Returns the network of the client, or `None` if it is exempt from limits.
pub(super) fn client_network(headers: &Headers) -> Option<String> {
    RateLimit::Joins.key(&client_address(headers)?)
}

fn client_address(headers: &Headers) -> Option<String> {
    // The platform overwrites this header, so clients cannot forge it.
    header(headers, &ADDRESS).ok().flatten()
}

/// Refuses a request that exceeds one of the limits with which it was [counted](count). `outcome` is
/// the result or the error of the limiter, or an array for several limits.
pub(super) fn check_outcome(
    limits: &[RateLimit],
    outcome: &JsValue,
) -> Result<(), Refusal<'static>> {
    if let [limit] = limits {
        return check_limit(*limit, outcome);
    }
    let outcomes: &Array = outcome.unchecked_ref();
    for (limit, settled) in limits.iter().zip(outcomes.iter()) {
        let part = |name: &str| Reflect::get(&settled, &name.into()).unwrap_or_default();
        let (value, reason) = (part("value"), part("reason"));
        // Both are undefined if the limit is not configured.
        if !(value.is_undefined() && reason.is_undefined()) {
            check_limit(
                *limit,
                if value.is_undefined() {
                    &reason
                } else {
                    &value
                },
            )?;
        }
    }
    Ok(())
}

fn check_limit(limit: RateLimit, outcome: &JsValue) -> Result<(), Refusal<'static>> {
    let success = Reflect::get(outcome, &"success".into());
    match success.ok().and_then(|success| success.as_bool()) {
        Some(true) => Ok(()),
        Some(false) => Err(limit.refusal()),
        None => {
            log_failure(limit, outcome);
            Ok(())
        }
    }
}

fn call_limiter(env: &Env, name: &str, key: &str) -> Result<Option<Promise>, JsValue> {
    let limiter = Reflect::get(env, &name.into())?;
    if limiter.is_undefined() {
        return Ok(None);
    }
    let limit: Function = Reflect::get(&limiter, &"limit".into())?.dyn_into()?;
    let options = Object::new();
    Reflect::set(&options, &"key".into(), &key.into())?;
    Ok(Some(limit.call1(&limiter, &options)?.dyn_into()?))
}

fn log_failure(limit: RateLimit, error: &JsValue) {
    let name = limit.name();
    let message = format!(
        "the rate limiter {name} failed, so the request is allowed: {error:?}. If this continues, \
         check [[ratelimits]] in wrangler.toml"
    );
    log("rate-limit", &message);
}
