//! The heartbeats of clients, which the platform answers without waking the object.

use worker::State;
use worker::worker_sys::WebSocketRequestResponsePair;

use super::super::failure::Result;
use super::super::platform::{last_auto_response, now};
use super::RoomObject;
use super::topics::Core;
use super::transport::ObjectTransport;
use crate::core::close::Close;
use crate::core::drive::{Sockets, drive};
use crate::core::event::Event;
use crate::core::peer::PeerId;
use crate::dialect::family::Family;
use crate::dialect::peerjs::has_stopped;

/// Configures the platform to reply to the heartbeats of a family, which does not wake the room.
/// Repeating the call after hibernation has no effect. The platform keeps the pair with the object.
pub(super) fn set_auto_response(state: &State, family: Family) -> Result<()> {
    let Some((heartbeat, answer)) = family.heartbeat() else {
        return Ok(());
    };
    let pair = WebSocketRequestResponsePair::new(heartbeat, answer)?;
    Ok(state.as_raw().set_websocket_auto_response(&pair)?)
}

impl RoomObject {
    /// Closes the WebSocket of a client of `PeerJS` that has stopped sending heartbeats, so that another
    /// client can take its id. A WebSocket can stay open for long after its network has gone.
    #[inline(never)]
    pub(super) fn end_stopped(&self, id: &PeerId) {
        let awake = &mut *self.awake.borrow_mut();
        let Core::Room(room) = &mut awake.core else {
            return;
        };
        let Some(socket) = room.open_socket_of(id) else {
            return;
        };
        let now = now();
        let is_stopped = awake
            .sockets
            .by_socket
            .get(&socket)
            .is_some_and(|connection| {
                // A client that never sends heartbeats cannot stop.
                let last = last_auto_response(&self.state, &connection.socket);
                last.is_some_and(|last| has_stopped(last, now))
            });
        if !is_stopped {
            return;
        }
        let sockets = &mut awake.sockets;
        let mut transport = ObjectTransport::new(&self.state, now, sockets, None, &self.media);
        transport.close(socket, Close::Replaced);
        drive(room, now, Event::Closed(socket), &mut transport);
    }
}
