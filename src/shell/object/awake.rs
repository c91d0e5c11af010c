//! Restores the in-memory state of a room after hibernation or eviction.

use litemap::LiteMap;
use worker::State;

use super::super::log::log;
use super::super::platform::now;
use super::super::sockets::{Connection, Restored, restore};
use super::super::storage::{self, StoredRows};
use crate::core::event::Row;
use crate::core::peer::Socket;
use crate::core::room::Room;
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
    pub(super) fn restore(state: &State, settings: Option<&Settings>) -> Self {
        let listed = state.as_raw().get_websockets().unwrap_or_default();
        let StoredRows { rows, overflow } = storage::read(state).unwrap_or_else(|error| {
            log("restore", &error.to_string());
            StoredRows::default()
        });
        let mut next_socket = 0;
        let mut used = |Socket(number)| next_socket = number.saturating_add(1).max(next_socket);
        let mut sockets = LiteMap::default();
        let mut members = Vec::new();
        // The list includes closing WebSockets, because a Close frame can wake the object.
        for ws in listed {
            match restore(ws, &overflow) {
                Restored::Member(member, connection) => {
                    used(member.socket);
                    sockets.insert(member.socket, connection);
                    members.push(member);
                }
                Restored::Cleared => {}
                Restored::Unreadable(reason) => log("unreadable-attachment", &reason),
            }
        }
        // A deployment closes all WebSockets without calling `webSocketClose`. The overflow rows of
        // these WebSockets are therefore deleted here.
        for orphan in overflow
            .keys()
            .filter(|socket| !sockets.contains_key(socket))
        {
            if let Err(error) = storage::erase_overflow(state, *orphan) {
                log("restore", &error.to_string());
            }
        }
        for row in &rows {
            if let Row::Absent(absent) = row {
                used(absent.member.socket);
            }
        }
        let name = state.id().name().unwrap_or_default();
        // Every request is refused if the settings are invalid, so the default limits apply to
        // no peer.
        let limits = settings.map(|settings| settings.limits).unwrap_or_default();
        Self {
            room: Room::restore(&name, limits, now(), members, rows),
            sockets,
            next_socket,
        }
    }
}
