use worker::console_error;

use crate::dialect::json::quote;

/// Logs a line of JSON. Log tools can filter the lines by `event`.
pub(super) fn log(event: &str, message: &str) {
    let (event, message) = (quote(event), quote(message));
    console_error!("{{\"event\":{event},\"message\":{message}}}");
}
