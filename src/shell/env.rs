//! The settings of the Worker, from the variables and secrets that the platform passes.

use std::cell::OnceCell;
use std::rc::Rc;

use worker::Env;
use worker::js_sys::{Object, Reflect};

use crate::edge::BadSetting;
use crate::edge::settings::Settings;

type Outcome = Result<Rc<Settings>, BadSetting>;

/// Returns the settings. They are read once for each instance of the module, because other values
/// come with another deployment, which starts another instance.
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
        // A number without quotation marks in wrangler.toml arrives as a number. Other types are
        // converted to text like JavaScript does, so that the message can quote them.
        let convert = || String::from(Object::from(value.clone()).to_string());
        Some(value.as_string().unwrap_or_else(convert))
    })
}
