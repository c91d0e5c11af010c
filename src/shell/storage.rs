//! The rows of one room in its object's SQLite database, and its alarm.
//!
//! An ordinary session comes here for nothing but a look whether there is anything, which does not
//! get as far as the disk: each write costs more than all the rest of it. The tables are made with
//! the first row.

use std::collections::BTreeMap;

use worker::js_sys::{Date, Promise};
use worker::wasm_bindgen::JsValue;
use worker::{Error, Result, SqlStorageValue, State};

use super::platform::{is_marked, mark};
use crate::attachment::Attachment;
use crate::event::{Absent, Held, Row, RowKey};
use crate::peer::{PeerId, Socket, Time};

/// Is set when the tables are made: to ask the database for them would cost a fifth of a join.
const MARK: &str = "tables";

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS absent_peer (id TEXT PRIMARY KEY, member TEXT, until INTEGER) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS held_signal (
        number INTEGER PRIMARY KEY, sender TEXT, until INTEGER, kind TEXT, payload TEXT
    );
    CREATE TABLE IF NOT EXISTS outside (socket INTEGER PRIMARY KEY, text TEXT);";

/// Writes a row, over the one with the same key if there is one.
pub(super) fn store(state: &State, row: &Row) -> Result<()> {
    match row {
        Row::Absent(Absent { member, until }) => {
            let id = member.id.as_str().into();
            let member = Attachment::absent(member.clone()).encode().into();
            let values = vec![id, member, integer(until.0)?];
            write(
                state,
                "INSERT OR REPLACE INTO absent_peer VALUES (?, ?, ?)",
                values,
            )
        }
        Row::Held(Held {
            number,
            from,
            until,
            kind,
            payload,
        }) => {
            let values = vec![
                integer(*number)?,
                from.as_str().into(),
                integer(until.0)?,
                kind.as_str().into(),
                payload.as_deref().into(),
            ];
            write(
                state,
                "INSERT OR REPLACE INTO held_signal VALUES (?, ?, ?, ?, ?)",
                values,
            )
        }
    }
}

/// Deletes a row.
pub(super) fn erase(state: &State, key: &RowKey) -> Result<()> {
    let (delete, value) = match key {
        RowKey::Absent(id) => ("DELETE FROM absent_peer WHERE id = ?", id.as_str().into()),
        RowKey::Held(number) => (
            "DELETE FROM held_signal WHERE number = ?",
            integer(*number)?,
        ),
    };
    state.storage().sql().exec(delete, vec![value]).map(drop)
}

/// Writes what is too long for the attachment of a socket.
pub(super) fn store_outside(state: &State, socket: Socket, text: &str) -> Result<()> {
    let values = vec![integer(socket.0)?, text.into()];
    write(
        state,
        "INSERT OR REPLACE INTO outside VALUES (?, ?)",
        values,
    )
}

/// Deletes it.
pub(super) fn erase_outside(state: &State, socket: Socket) -> Result<()> {
    let delete = "DELETE FROM outside WHERE socket = ?";
    let values = vec![integer(socket.0)?];
    state.storage().sql().exec(delete, values).map(drop)
}

fn write(state: &State, insert: &str, values: Vec<SqlStorageValue>) -> Result<()> {
    let sql = state.storage().sql();
    if !is_marked(state.storage().as_raw(), MARK)? {
        sql.exec(TABLES, None)?;
        mark(state.storage().as_raw(), MARK)?;
    }
    sql.exec(insert, values).map(drop)
}

/// All that was written down.
#[derive(Default)]
pub(super) struct Written {
    /// For the room.
    pub(super) rows: Vec<Row>,
    /// What was too long for the attachments of sockets.
    pub(super) outside: BTreeMap<Socket, String>,
}

/// Reads all rows. One that cannot be read is left out.
pub(super) fn read(state: &State) -> Result<Written> {
    if !is_marked(state.storage().as_raw(), MARK)? {
        return Ok(Written::default());
    }
    let sql = state.storage().sql();
    let absent = sql.exec("SELECT member, until FROM absent_peer", None)?;
    let held = "SELECT number, sender, until, kind, payload FROM held_signal";
    let held = sql.exec(held, None)?;
    let outside = sql.exec("SELECT socket, text FROM outside", None)?;
    let absent = absent
        .raw()
        .flatten()
        .filter_map(|row| read_absent(row).map(Row::Absent));
    let held = held
        .raw()
        .flatten()
        .filter_map(|row| read_held(row).map(Row::Held));
    Ok(Written {
        rows: absent.chain(held).collect(),
        outside: outside.raw().flatten().filter_map(read_outside).collect(),
    })
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

fn read_absent(row: Vec<SqlStorageValue>) -> Option<Absent> {
    let mut fields = row.into_iter();
    let Attachment { member, .. } = Attachment::decode(&text(fields.next()?)?)?;
    let until = Time(number(&fields.next()?)?);
    Some(Absent { member, until })
}

fn read_held(row: Vec<SqlStorageValue>) -> Option<Held> {
    let mut fields = row.into_iter();
    Some(Held {
        number: number(&fields.next()?)?,
        from: PeerId::parse(&text(fields.next()?)?)?,
        until: Time(number(&fields.next()?)?),
        kind: text(fields.next()?)?,
        payload: text(fields.next()?),
    })
}

fn read_outside(row: Vec<SqlStorageValue>) -> Option<(Socket, String)> {
    let mut fields = row.into_iter();
    let socket = Socket(number(&fields.next()?)?);
    Some((socket, text(fields.next()?)?))
}

fn text(value: SqlStorageValue) -> Option<String> {
    match value {
        SqlStorageValue::String(text) => Some(text),
        _ => None,
    }
}

fn number(value: &SqlStorageValue) -> Option<u64> {
    match value {
        SqlStorageValue::Integer(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

/// A number as SQLite keeps it. Ours are far from the largest.
fn integer(number: u64) -> Result<SqlStorageValue> {
    let number = i64::try_from(number).map_err(|error| Error::RustError(error.to_string()))?;
    SqlStorageValue::try_from_i64(number)
}
