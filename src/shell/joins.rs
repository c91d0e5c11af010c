//! How often one address may join, by the rate limit that wrangler.toml sets up.

use worker::Env;
use worker::js_sys::{Function, Object, Promise, Reflect};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys::Headers;

use super::log;
use crate::admission::limited_as;
use crate::refusal::{Code, Refusal};

/// Counts a join that was not refused before, and says if it is one too many. Where there is no limit,
/// or it cannot be asked, everybody may join: a limit that fails must not close the house.
pub(super) async fn count(
    admitted: Result<(), Refusal<'static>>,
    env: &Env,
    headers: &Headers,
) -> Result<(), Refusal<'static>> {
    admitted?;
    // What the platform puts there, over whatever a client has sent.
    let address = headers.get("CF-Connecting-IP").ok().flatten();
    let Some(address) = address.as_deref().and_then(limited_as) else {
        return Ok(());
    };
    match ask(env, &address).await {
        Ok(false) => {
            let message = "far too many joins from your address: try again in a minute";
            Err(Refusal::new(Code::TooFast, message))
        }
        Ok(true) => Ok(()),
        Err(error) => {
            log("rate-limit", &format!("{error:?}"));
            Ok(())
        }
    }
}

/// Whether one more is within the limit.
async fn ask(env: &Env, key: &str) -> Result<bool, JsValue> {
    let limiter = Reflect::get(env, &"JOINS".into())?;
    if limiter.is_undefined() {
        return Ok(true);
    }
    let limit: Function = Reflect::get(&limiter, &"limit".into())?.dyn_into()?;
    let wanted = Object::new();
    Reflect::set(&wanted, &"key".into(), &key.into())?;
    let promise: Promise = limit.call1(&limiter, &wanted)?.dyn_into()?;
    let outcome = JsFuture::from(promise).await?;
    Ok(Reflect::get(&outcome, &"success".into())?.is_truthy())
}
