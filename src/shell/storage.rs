//! The rows of one room in the database of its object, and its alarm.
//!
//! An ordinary session comes here for nothing but a look whether there is anything, for which the
//! platform does not go to the disk: each write costs more than all the rest of it. To the platform
//! they are keys and values, since a question in SQL would cost a tenth of a join.

use litemap::LiteMap;
use worker::js_sys::{Date, Promise};
use worker::wasm_bindgen::JsValue;
use worker::{Result, State};

use super::platform::Stored;
use crate::core::event::{Row, RowKey};
use crate::core::peer::{Socket, Time};

/// Writes a row, over the one with the same key if there is one.
pub(super) fn store(state: &State, row: &Row) -> Result<()> {
    Ok(Stored::of(state).put(&row.key().encode(), &row.encode())?)
}

/// Deletes a row.
pub(super) fn erase(state: &State, key: &RowKey) -> Result<()> {
    Ok(Stored::of(state).delete(&key.encode())?)
}

/// Writes what is too long for the attachment of a socket.
pub(super) fn store_outside(state: &State, socket: Socket, text: &str) -> Result<()> {
    Ok(Stored::of(state).put(&outside(socket), text)?)
}

/// Deletes it.
pub(super) fn erase_outside(state: &State, socket: Socket) -> Result<()> {
    Ok(Stored::of(state).delete(&outside(socket))?)
}

fn outside(socket: Socket) -> String {
    format!("outside {}", socket.0)
}

/// All that was written down.
#[derive(Default)]
pub(super) struct Written {
    /// For the room.
    pub(super) rows: Vec<Row>,
    /// What was too long for the attachments of sockets.
    pub(super) outside: LiteMap<Socket, String>,
}

/// Reads all rows. One that cannot be read is left out.
pub(super) fn read(state: &State) -> Result<Written> {
    let mut written = Written::default();
    for (key, text) in Stored::of(state).list()? {
        if let Some(socket) = key.strip_prefix("outside ") {
            if let Ok(socket) = socket.parse() {
                written.outside.insert(Socket(socket), text);
            }
        } else {
            written.rows.extend(Row::decode(&key, &text));
        }
    }
    Ok(written)
}

/// Asks for the alarm, or takes it back. The answer is not waited for: the platform lets nothing out
/// before such a write is safe.
pub(super) fn set_alarm(state: &State, at: Option<Time>) -> Result<()> {
    let storage = state.storage();
    let storage = storage.as_raw();
    let none = || JsValue::UNDEFINED.into();
    let _: Promise = match at {
        #[allow(clippy::cast_precision_loss)] // Exact for some 285,000 years.
        Some(Time(millis)) => {
            storage.set_alarm(Date::new(&JsValue::from(millis as f64)), none())?
        }
        None => storage.delete_alarm(none())?,
    };
    Ok(())
}
