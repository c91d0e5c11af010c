//! The stored rows of a room, and its alarm.
//!
//! A write costs more than everything else in a short session. A room therefore writes nothing
//! unless it has absent peers, held broadcasts, or signals that do not fit into the attachments of
//! their receivers. Listing empty storage does not touch the disk.
//!
//! Rows are stored as key-value pairs and not in SQL tables, because one SQL query costs a tenth of
//! a join.

use worker::State;
use worker::js_sys::Date;
use worker::wasm_bindgen::JsValue;

use super::failure::Result;
use super::log::log;
use super::platform::Stored;
use super::promise::log_rejection;
use crate::core::event::{Row, RowKey};
use crate::core::peer::Time;

/// Writes a row. A row with the same key is replaced.
pub(super) fn store(state: &State, row: &Row) -> Result<()> {
    Ok(Stored::of(state)?.put(&row.key().encode(), &row.encode())?)
}

/// Deletes a row.
pub(super) fn erase(state: &State, key: &RowKey) -> Result<()> {
    Ok(Stored::of(state)?.delete(&key.encode())?)
}

/// Deletes all rows and the alarm, and with them the database, for which the operator of the server
/// would pay even if it is empty.
pub(super) fn clear(state: &State) -> Result<()> {
    log_rejection(&state.storage().as_raw().delete_all()?, "effect");
    Ok(())
}

/// Reads all rows. An unreadable row is logged and deleted, because no later deployment can read it
/// before the peers that it concerns have left.
pub(super) fn read(state: &State) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let stored = Stored::of(state)?;
    let entries = stored.list()?;
    let is_used = !entries.is_empty();
    for (key, text) in entries {
        if let Some(row) = Row::decode(&key, &text) {
            rows.push(row);
        } else {
            log_unreadable(&key, text.len());
            stored.delete(&key)?;
        }
    }
    if is_used && rows.is_empty() {
        clear(state)?;
    }
    Ok(rows)
}

/// Logs the key and the length of an unreadable row. The text may contain payloads and a key hash,
/// so the text is not logged.
#[inline(never)]
fn log_unreadable(key: &str, length: usize) {
    let message = format!(
        "the row `{key}` of {length} bytes is unreadable: expected the format of this version. The \
         row is deleted, and what it contained is lost"
    );
    log("unreadable-row", &message);
}

/// Sets or clears the alarm. The promise is not awaited, because the platform sends no output
/// before the write is durable.
pub(super) fn set_alarm(state: &State, at: Option<Time>) -> Result<()> {
    let storage = state.storage();
    let storage = storage.as_raw();
    let none = || JsValue::UNDEFINED.into();
    let written = match at {
        #[allow(clippy::cast_precision_loss)] // an `f64` is exact for 285,000 years of milliseconds
        Some(Time(millis)) => {
            storage.set_alarm(Date::new(&JsValue::from(millis as f64)), none())?
        }
        None => storage.delete_alarm(none())?,
    };
    log_rejection(&written, "effect");
    Ok(())
}
