//! The log of the Worker.

use worker::console_error;

use crate::dialect::json::quote;

/// Logs one line of JSON, which log tools can filter by `event`.
pub(super) fn log(event: &str, message: &str) {
    let (event, message) = (quote(event), quote(message));
    console_error!("{{\"event\":{event},\"message\":{message}}}");
}
