//! The in-memory state of an awake room, and how it is restored after hibernation or eviction.

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
    /// Higher than the number of any WebSocket that the platform still lists.
    pub(super) next_socket: u64,
}

impl AwakeRoom {
    /// Restores the room from its attachments and rows. Without any, the room is new.
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
        // The list includes closing WebSockets: the object may have been woken for the Close frame.
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
        // A deployment closes all WebSockets without an event. Delete the overflow rows whose WebSocket
        // is gone.
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
        // Without valid settings every request is refused, so these limits are never used.
        let limits = settings.map(|settings| settings.limits).unwrap_or_default();
        Self {
            room: Room::restore(&name, limits, now(), members, rows),
            sockets,
            next_socket,
        }
    }
}
