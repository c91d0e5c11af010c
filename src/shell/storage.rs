//! The rows of one room in its object's SQLite database, and its alarm.
//!
//! An ordinary session comes here for nothing but a look whether there is anything: each write costs
//! more than all the rest of it. The tables are made with the first row.

use worker::js_sys::{Date, Promise};
use worker::wasm_bindgen::JsValue;
use worker::{Error, Result, SqlStorageValue, State};

use crate::event::{Absent, Held, Row, RowKey};
use crate::peer::{Key, Member, PeerId, Seat, Socket, Time};

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS absent (
        id TEXT PRIMARY KEY, seat INTEGER, socket INTEGER, key TEXT, until INTEGER
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS held (
        number INTEGER PRIMARY KEY, sender TEXT, receiver TEXT, until INTEGER, kind TEXT, payload TEXT
    );";

/// Writes a row, over the one with the same key if there is one.
pub(super) fn store(state: &State, row: &Row) -> Result<()> {
    let (insert, values) = match row {
        Row::Absent(Absent {
            member:
                Member {
                    socket,
                    id,
                    seat,
                    key,
                },
            until,
        }) => (
            "INSERT OR REPLACE INTO absent VALUES (?, ?, ?, ?, ?)",
            vec![
                id.as_str().into(),
                integer(seat.0)?,
                integer(socket.0)?,
                key.map(|key| format!("{key:x}")).into(),
                integer(until.0)?,
            ],
        ),
        Row::Held(Held {
            number,
            from,
            to,
            until,
            kind,
            payload,
        }) => (
            "INSERT OR REPLACE INTO held VALUES (?, ?, ?, ?, ?, ?)",
            vec![
                integer(*number)?,
                from.as_str().into(),
                to.as_ref().map(PeerId::as_str).into(),
                integer(until.0)?,
                kind.as_str().into(),
                payload.as_deref().into(),
            ],
        ),
    };
    let sql = state.storage().sql();
    sql.exec(TABLES, None)?;
    sql.exec(insert, values).map(drop)
}

/// Deletes a row.
pub(super) fn erase(state: &State, key: &RowKey) -> Result<()> {
    let (delete, value) = match key {
        RowKey::Absent(id) => ("DELETE FROM absent WHERE id = ?", id.as_str().into()),
        RowKey::Held(number) => ("DELETE FROM held WHERE number = ?", integer(*number)?),
    };
    state.storage().sql().exec(delete, vec![value]).map(drop)
}

/// Reads all rows. One that cannot be read is left out.
pub(super) fn read(state: &State) -> Result<Vec<Row>> {
    let sql = state.storage().sql();
    let tables = "SELECT name FROM sqlite_master WHERE name = 'held'";
    if sql.exec(tables, None)?.raw().next().is_none() {
        return Ok(Vec::new());
    }
    let absent = sql.exec("SELECT id, seat, socket, key, until FROM absent", None)?;
    let held = "SELECT number, sender, receiver, until, kind, payload FROM held";
    let held = sql.exec(held, None)?;
    let absent = absent
        .raw()
        .flatten()
        .filter_map(|row| read_absent(row).map(Row::Absent));
    let held = held
        .raw()
        .flatten()
        .filter_map(|row| read_held(row).map(Row::Held));
    Ok(absent.chain(held).collect())
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
    let id = PeerId::parse(&text(fields.next()?)?)?;
    let seat = Seat(number(&fields.next()?)?);
    let socket = Socket(number(&fields.next()?)?);
    let key = text(fields.next()?).and_then(|hex| Key::from_hex(&hex));
    let until = Time(number(&fields.next()?)?);
    Some(Absent {
        member: Member {
            socket,
            id,
            seat,
            key,
        },
        until,
    })
}

fn read_held(row: Vec<SqlStorageValue>) -> Option<Held> {
    let mut fields = row.into_iter();
    let number_ = number(&fields.next()?)?;
    let from = PeerId::parse(&text(fields.next()?)?)?;
    let to = text(fields.next()?).and_then(|id| PeerId::parse(&id));
    let until = Time(number(&fields.next()?)?);
    let kind = text(fields.next()?)?;
    let payload = text(fields.next()?);
    Some(Held {
        number: number_,
        from,
        to,
        until,
        kind,
        payload,
    })
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
