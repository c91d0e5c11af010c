//! The stored rows of a room, and its alarm.
//!
//! A write costs more than everything else in a short session. A room therefore writes nothing
//! unless it has absent peers or held broadcasts. Listing empty storage does not touch the disk.
//!
//! Rows are stored as key-value pairs and not in SQL tables, because one SQL query costs a tenth of
//! a join.

use litemap::LiteMap;
use worker::js_sys::{Date, Promise};
use worker::wasm_bindgen::JsValue;
use worker::{Result, State};

use super::log::log;
use super::platform::Stored;
use crate::core::event::{Row, RowKey};
use crate::core::peer::{Socket, Time};

/// The key prefix of overflow rows. Stored rows use this prefix, so it must not change.
const OVERFLOW: &str = "outside ";

/// Writes a row. A row with the same key is replaced.
pub(super) fn store(state: &State, row: &Row) -> Result<()> {
    Ok(Stored::of(state)?.put(&row.key().encode(), &row.encode())?)
}

/// Deletes a row.
pub(super) fn erase(state: &State, key: &RowKey) -> Result<()> {
    Ok(Stored::of(state)?.delete(&key.encode())?)
}

/// Writes an overflow row, which holds the state of a member that does not fit into an attachment.
pub(super) fn store_overflow(state: &State, socket: Socket, text: &str) -> Result<()> {
    Ok(Stored::of(state)?.put(&overflow_key(socket), text)?)
}

/// Deletes an overflow row.
pub(super) fn erase_overflow(state: &State, socket: Socket) -> Result<()> {
    Ok(Stored::of(state)?.delete(&overflow_key(socket))?)
}

fn overflow_key(socket: Socket) -> String {
    format!("{OVERFLOW}{}", socket.0)
}

/// All stored rows of a room.
#[derive(Default)]
pub(super) struct StoredRows {
    /// The rows of absent peers and held broadcasts.
    pub(super) rows: Vec<Row>,
    /// The contents of the overflow rows, by the `Socket` id of the member.
    pub(super) overflow: LiteMap<Socket, String>,
}

/// Reads all rows. An unreadable row is logged and skipped.
pub(super) fn read(state: &State) -> Result<StoredRows> {
    let mut stored = StoredRows::default();
    for (key, text) in Stored::of(state)?.list()? {
        if let Some(socket) = key
            .strip_prefix(OVERFLOW)
            .and_then(|digits| digits.parse().ok())
        {
            stored.overflow.insert(Socket(socket), text);
        } else if let Some(row) = Row::decode(&key, &text) {
            stored.rows.push(row);
        } else {
            log_unreadable(&key, text.len());
        }
    }
    Ok(stored)
}

/// Logs the key and the length of an unreadable row. The text may contain payloads and a key hash,
/// so the text is not logged.
#[inline(never)]
fn log_unreadable(key: &str, length: usize) {
    let message = format!(
        "the row `{key}` of {length} bytes is unreadable: expected the format of this version. \
         Deploy the version that wrote the row"
    );
    log("unreadable-row", &message);
}

/// Sets or clears the alarm. The promise is not awaited, because the platform sends no output
/// before the write is durable.
pub(super) fn set_alarm(state: &State, at: Option<Time>) -> Result<()> {
    let storage = state.storage();
    let storage = storage.as_raw();
    let none = || JsValue::UNDEFINED.into();
    let _: Promise = match at {
        #[allow(clippy::cast_precision_loss)] // an `f64` is exact for 285,000 years of milliseconds
        Some(Time(millis)) => {
            storage.set_alarm(Date::new(&JsValue::from(millis as f64)), none())?
        }
        None => storage.delete_alarm(none())?,
    };
    Ok(())
}
