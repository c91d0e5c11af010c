//! Restores the in-memory state of a room after hibernation or eviction.

use litemap::LiteMap;
use worker::State;
use worker::wasm_bindgen::JsValue;
use worker::web_sys::WebSocket;
use worker::worker_sys::ext::WebSocketExt;

use super::super::log::log;
use super::super::media::MediaClient;
use super::super::platform::now;
use super::super::sockets::{Connection, Restored, close_for_restart, restore};
use super::super::storage;
use super::transport::ObjectTransport;
use crate::core::drive::drive;
use crate::core::event::{Event, Row};
use crate::core::peer::Socket;
use crate::core::room::Room;
use crate::dialect::family::Family;
use crate::edge::settings::Settings;

/// The in-memory state of an awake room.
pub(super) struct AwakeRoom {
    pub(super) room: Room,
    pub(super) sockets: LiteMap<Socket, Connection>,
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
        let listed = state.as_raw().get_websockets().unwrap_or_default();
        let rows = storage::read(state).unwrap_or_else(|error| {
            log("restore", &error.to_string());
            Vec::new()
        });
        let mut next_socket = 0;
        let mut used = |Socket(number)| next_socket = number.saturating_add(1).max(next_socket);
        let mut sockets = LiteMap::default();
        let mut members = Vec::new();
        // The list includes closing WebSockets, because a Close frame can wake the object.
        for ws in listed {
            match restore(ws) {
                Restored::Attached(attached, connection) => {
                    used(attached.member.socket);
                    sockets.insert(attached.member.socket, connection);
                    members.push(attached);
                }
                Restored::Cleared => {}
                Restored::Unreadable { ws, length } => close_unreadable(&ws, length),
            }
        }
        for row in &rows {
            if let Row::Absent(absent) = row {
                used(absent.member.socket);
            }
        }
        // Every request is refused if the settings are invalid, so the default limits apply to
        // no peer.
        let limits = settings.map(|settings| settings.limits_of(family));
        let limits = limits.unwrap_or_default();
        let now = now();
        let has_rows = !rows.is_empty();
        let mut room = Room::restore(name, limits, now, members, rows);
        if has_rows && settings.is_some() {
            let mut transport = ObjectTransport::new(state, now, &mut sockets, None, media);
            drive(&mut room, now, Event::Wake, &mut transport);
        }
        Self {
            room,
            sockets,
            next_socket,
        }
    }
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
