//! Reads the settings of the Worker from the variables and secrets of the platform.

use std::cell::OnceCell;
use std::rc::Rc;

use worker::Env;
use worker::js_sys::Reflect;

use super::platform::to_text;
use crate::edge::BadSetting;
use crate::edge::settings::Settings;

type Outcome = Result<Rc<Settings>, BadSetting>;

/// Returns the settings, which are cached for each instance of the module. New values require a
/// deployment, which starts new instances, so the cache is never outdated.
pub(super) fn settings(env: &Env) -> Outcome {
    thread_local! {
        static SETTINGS: OnceCell<Outcome> = const { OnceCell::new() };
    }
    SETTINGS.with(|cached| {
        cached
            .get_or_init(|| read_settings(env).map(Rc::new))
            .clone()
    })
}

fn read_settings(env: &Env) -> Result<Settings, BadSetting> {
    Settings::read(|name| {
        let value = Reflect::get(env, &name.into()).ok()?;
        if value.is_undefined() {
            return None;
        }
        // A TOML number arrives as a JavaScript number. Other types are also converted to text,
        // because the error message quotes the value.
        value.as_string().or_else(|| to_text(&value).ok())
    })
}
