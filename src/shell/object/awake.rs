//! Restores the in-memory state of an object after hibernation or eviction.

use worker::State;
use worker::wasm_bindgen::JsValue;
use worker::web_sys::WebSocket;
use worker::worker_sys::ext::WebSocketExt;

use super::super::log::log;
use super::super::media::MediaClient;
use super::super::platform::now;
use super::super::sockets::{Connections, Decode, Restored, close_for_restart, restore};
use super::super::storage;
use super::topics::Core;
use super::transport::ObjectTransport;
use crate::core::drive::drive;
use crate::core::event::{Event, Limits, Row};
use crate::core::peer::{Socket, Time};
use crate::core::room::Room;
use crate::core::topics::Topics;
use crate::dialect::family::Family;
use crate::edge::settings::Settings;
use crate::record::attachment::Attachment;
use crate::record::listener::ListenerAttachment;

/// The in-memory state of an awake object.
pub(super) struct AwakeRoom {
    pub(super) core: Core,
    pub(super) sockets: Connections,
    /// The `Socket` id of the next WebSocket. It is higher than the ids of all WebSockets that the
    /// platform lists.
    pub(super) next_socket: u64,
}

impl AwakeRoom {
    /// Restores the room from the attachments of its WebSockets and from its stored rows. If there
    /// are no attachments and no rows, the room is new.
    pub(super) fn restore(
        state: &State,
        name: &str,
        family: Family,
        settings: Option<&Settings>,
        media: &MediaClient,
    ) -> Self {
        // Every request is refused if the settings are invalid, so the default limits apply to
        // no peer.
        let limits = settings.map(|settings| settings.limits_of(family));
        let limits = limits.unwrap_or_default();
        let now = now();
        if family.has_topics() {
            return Self::restore_topics(state, now, limits);
        }
        let rows = storage::read(state).unwrap_or_else(|error| {
            log("restore", &error.to_string());
            Vec::new()
        });
        let (mut sockets, members) = restore_sockets(state, |text| {
            let Attachment { attached, dialect } = Attachment::decode(text)?;
            let socket = attached.member.socket;
            Some((attached, socket, dialect))
        });
        let absent = rows.iter().filter_map(|row| match row {
            Row::Absent(absent) => Some(absent.member.socket),
            _ => None,
        });
        let next_socket =
            next_socket(absent.chain(sockets.by_socket.last().map(|(socket, _)| *socket)));
        let has_rows = !rows.is_empty();
        let mut room = Room::restore(name, limits, now, members, rows);
        if has_rows && settings.is_some() {
            let mut transport = ObjectTransport::new(state, now, &mut sockets, None, media);
            drive(&mut room, now, Event::Wake, &mut transport);
        }
        Self {
            core: Core::Room(Box::new(room)),
            sockets,
            next_socket,
        }
    }

    /// Closes the WebSockets of all event streams after a trap, because the trap may have prevented
    /// a send. The clients resume their streams, and receive what the room has kept.
    pub(super) fn close_streams(&self) {
        for connection in self.sockets.by_socket.values() {
            if connection.dialect.is_stream()
                && let Err(error) = close_for_restart(&connection.socket)
            {
                log("close", &error.to_string());
            }
        }
    }

    /// Restores topics from the attachments of their WebSockets. Topics store no rows.
    #[inline(never)]
    fn restore_topics(state: &State, now: Time, limits: Limits) -> Self {
        let (sockets, listeners) = restore_sockets(state, |text| {
            let ListenerAttachment { listener, dialect } = ListenerAttachment::decode(text)?;
            let socket = listener.socket;
            Some((listener, socket, dialect))
        });
        Self {
            core: Core::Topics(Topics::restore(limits, now, listeners)),
            next_socket: next_socket(sockets.by_socket.last().map(|(socket, _)| *socket)),
            sockets,
        }
    }
}

/// Restores the WebSockets of an object, and what is kept with each.
fn restore_sockets<T>(state: &State, decode: Decode<T>) -> (Connections, Vec<T>) {
    let listed = state.as_raw().get_websockets().unwrap_or_default();
    let mut sockets = Connections::default();
    let mut kept = Vec::new();
    // The list includes closing WebSockets, because a Close frame can wake the object. It begins with the
    // newest, and appending to the map is faster than inserting in front.
    for ws in listed.into_iter().rev() {
        match restore(ws, decode) {
            Restored::Attached(attached, socket, connection) => {
                sockets.by_socket.insert(socket, connection);
                kept.push(attached);
            }
            Restored::Cleared => {}
            Restored::Unreadable { ws, length } => close_unreadable(&ws, length),
        }
    }
    (sockets, kept)
}

/// Returns the lowest `Socket` id that is higher than all ids in use.
fn next_socket(used: impl IntoIterator<Item = Socket>) -> u64 {
    let numbers = used
        .into_iter()
        .map(|Socket(number)| number.saturating_add(1));
    numbers.max().unwrap_or_default()
}

/// Closes a WebSocket whose peer cannot be restored, so that its client reconnects. The attachment
/// contains a key hash, so only its length is logged.
#[inline(never)]
fn close_unreadable(ws: &WebSocket, length: usize) {
    let message = format!(
        "an attachment of {length} bytes is unreadable: expected the format of this version. The \
         WebSocket is closed, and its client must reconnect"
    );
    log("unreadable-attachment", &message);
    // Both fail only if the WebSocket is already closed.
    let _ = ws.serialize_attachment(JsValue::NULL);
    let _ = close_for_restart(ws);
}
