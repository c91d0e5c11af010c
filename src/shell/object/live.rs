//! What is in memory while a room is awake, and how that is built again after it has slept.

use litemap::LiteMap;
use worker::State;

use super::super::log::log;
use super::super::platform::now;
use super::super::sockets::{Connection, restore};
use super::super::storage::{self, Written};
use crate::core::event::Row;
use crate::core::notice::Notice;
use crate::core::peer::Socket;
use crate::core::room;
use crate::edge::settings::Settings;

/// What is in memory while the object is awake.
pub(super) struct Live {
    pub(super) room: room::Room,
    pub(super) sockets: LiteMap<Socket, Connection>,
    /// Higher than the number of any socket that the platform still lists.
    pub(super) next_socket: u64,
    /// Whoever waits for an answer right now.
    pub(super) asker: Option<Asker>,
}

/// A request that is answered by what the room tells it, as if it were a socket.
pub(super) struct Asker {
    pub(super) socket: Socket,
    pub(super) answer: Option<Notice<'static>>,
}

impl Live {
    /// Builds the room again out of what the platform kept: a new one if that is nothing.
    pub(super) fn restore(state: &State, settings: Option<&Settings>) -> Self {
        let listed = state.as_raw().get_websockets().unwrap_or_default();
        let Written { rows, outside } = storage::read(state).unwrap_or_else(|error| {
            log("restore", &error.to_string());
            Written::default()
        });
        let mut next_socket = 0;
        let mut used = |Socket(number)| next_socket = number.saturating_add(1).max(next_socket);
        let mut sockets = LiteMap::default();
        let mut members = Vec::new();
        // One that is closing counts, too: that may be just what the object was woken for.
        for ws in listed {
            let Some((member, connection)) = restore(ws, &outside) else {
                continue;
            };
            used(member.socket);
            sockets.insert(member.socket, connection);
            members.push(member);
        }
        // A deployment ends all sockets without a word; what was kept beside theirs goes now.
        for orphan in outside
            .keys()
            .filter(|socket| !sockets.contains_key(socket))
        {
            if let Err(error) = storage::erase_outside(state, *orphan) {
                log("restore", &error.to_string());
            }
        }
        for row in &rows {
            if let Row::Absent(absent) = row {
                used(absent.member.socket);
            }
        }
        let name = state.id().name().unwrap_or_default();
        // Without settings nothing is let in, so these limits are never used.
        let limits = settings.map(|settings| settings.limits).unwrap_or_default();
        let room = room::Room::restore(&name, limits, now(), members, rows);
        Self {
            room,
            sockets,
            next_socket,
            asker: None,
        }
    }
}
