//! Sends on the WebSockets of a room, closes WebSockets, and keeps the state of each member in an
//! attachment. Attachments survive hibernation. An attachment has at most 16,384 bytes, which
//! `core/outbox.rs` takes into account.

use litemap::LiteMap;
use worker::State;
use worker::wasm_bindgen::JsValue;
use worker::web_sys::WebSocket;
use worker::worker_sys::ext::WebSocketExt;

use super::failure::Result;
use super::platform::{last_auto_response, set_number};
use crate::core::close::Close;
use crate::core::drive::SendError;
use crate::core::member::Attached;
use crate::core::peer::{Socket, Time};
use crate::core::topics::Listener;
use crate::core::unread::{AllUnread, Unread};
use crate::dialect::{Dialect, Encoded};
use crate::record::attachment::Attachment;
use crate::record::listener::ListenerAttachment;

/// `WebSocket.OPEN`, the only state in which a frame can be sent.
const OPEN: u16 = 1;
/// `WebSocket.CLOSED`: the closing handshake is complete, or the connection is lost.
pub(super) const CLOSED: u16 = 3;

/// The open WebSockets of an object.
#[derive(Default)]
pub(super) struct Connections {
    pub(super) by_socket: LiteMap<Socket, Connection>,
    unread: AllUnread,
}

/// An open WebSocket.
pub(super) struct Connection {
    pub(super) socket: WebSocket,
    pub(super) dialect: Dialect,
    /// The bytes that the client has not read. They are counted from zero again after hibernation,
    /// because a room hibernates only after ten seconds without a frame.
    pub(super) unread: Unread,
}

impl Connection {
    pub(super) fn new(ws: WebSocket, socket: Socket, dialect: Dialect) -> Self {
        set_number(&ws, socket);
        Self {
            socket: ws,
            dialect,
            unread: Unread::default(),
        }
    }

    /// Counts the bytes of a frame. Returns whether the client has left too much unread. An event
    /// stream is read by the Worker, which has its own limit.
    fn leaves_unread(
        &mut self,
        state: &State,
        all: &mut AllUnread,
        now: Time,
        bytes: usize,
    ) -> bool {
        if self.dialect.is_stream() {
            return false;
        }
        self.unread.send(all, now, bytes);
        if !self.unread.exceeds(all) {
            return false;
        }
        // The platform answers `ping` itself, so only the platform knows the time of the last one.
        if let Some(at) = last_auto_response(state, &self.socket) {
            self.unread.record_ping(at, bytes);
        }
        let exceeds = self.unread.exceeds(all);
        if exceeds {
            self.unread.remove_from(all);
        }
        exceeds
    }
}

/// Sends the frames that `encode` returns to each WebSocket, and returns the failures in the order of
/// `to`. The frames are encoded once for each dialect.
pub(super) fn send(
    state: &State,
    now: Time,
    to: &[Socket],
    sockets: &mut Connections,
    encode: &dyn Fn(Dialect) -> Encoded,
) -> Vec<(Socket, SendError)> {
    let mut encoded: Vec<(Dialect, Encoded)> = Vec::new();
    let mut failures = Vec::new();
    let mut found_dead = false;
    let Connections { by_socket, unread } = sockets;
    unread.update(now, by_socket.len());
    for socket in to {
        let Some(connection) = by_socket.get_mut(socket) else {
            failures.push((*socket, SendError::Dead));
            continue;
        };
        let dialect = &connection.dialect;
        if !encoded.iter().any(|(known, _)| known == dialect) {
            encoded.push((*dialect, encode(*dialect)));
        }
        let Some((_, frames)) = encoded.iter().find(|(known, _)| known == dialect) else {
            continue;
        };
        let Encoded::Frames(frames) = frames else {
            failures.push((*socket, SendError::Unencodable));
            continue;
        };
        let bytes = frames.iter().map(String::len).sum();
        if connection.leaves_unread(state, unread, now, bytes) {
            failures.push((*socket, SendError::Unread));
            continue;
        }
        let ws = &connection.socket;
        // A failed send throws an exception, which is slow. Several WebSockets often die together,
        // so after the first failure, `readyState` is checked before each send.
        let open = !found_dead || ws.ready_state() == OPEN;
        if !open || frames.iter().any(|frame| ws.send_with_str(frame).is_err()) {
            found_dead = true;
            failures.push((*socket, SendError::Dead));
        }
    }
    failures
}

/// Closes a WebSocket, and clears its attachment. The platform lists the WebSocket until the client
/// replies with a Close frame, and the client may never reply.
pub(super) fn close_socket(connection: &Connection, close: Close) -> Result<()> {
    forget(connection)?;
    let ws = &connection.socket;
    Ok(ws.close_with_code_and_reason(close.code(), close.reason())?)
}

/// Closes a WebSocket whose client must reconnect. The code 1012 is registered for a restart of the
/// server (WebSocket Close Code Number Registry).
pub(super) fn close_for_restart(ws: &WebSocket) -> Result<()> {
    Ok(ws.close_with_code_and_reason(1012, "the server has restarted")?)
}

/// Clears the attachment of a WebSocket that is closed or lost. The platform may still list the
/// WebSocket. Without the attachment, the room does not restore the peer.
pub(super) fn forget(connection: &Connection) -> Result<()> {
    Ok(connection.socket.serialize_attachment(JsValue::NULL)?)
}

/// Writes the state of a listener into the attachment of its WebSocket.
pub(super) fn keep_listener(listener: Listener, sockets: &Connections) -> Result<()> {
    let Some(connection) = sockets.by_socket.get(&listener.socket) else {
        return Ok(());
    };
    let dialect = connection.dialect;
    let text = ListenerAttachment { listener, dialect }.encode();
    Ok(connection.socket.serialize_attachment(text.into())?)
}

/// Writes the state of a member into the attachment of its WebSocket.
pub(super) fn keep(attached: Attached, sockets: &Connections) -> Result<()> {
    let Some(connection) = sockets.by_socket.get(&attached.member.socket) else {
        return Ok(());
    };
    let dialect = connection.dialect;
    let text = Attachment { attached, dialect }.encode();
    Ok(connection.socket.serialize_attachment(text.into())?)
}

/// Reads the text of an attachment: the state of a client, its socket and its dialect.
pub(super) type Decode<T> = fn(&str) -> Option<(T, Socket, Dialect)>;

/// The result of reading an attachment.
pub(super) enum Restored<T> {
    Attached(T, Socket, Connection),
    /// The attachment is empty, because the WebSocket is closed or lost.
    Cleared,
    /// The attachment cannot be decoded. Its length is in bytes.
    Unreadable {
        ws: WebSocket,
        length: usize,
    },
}

/// Restores the state of a client from the attachment of its WebSocket. `decode` reads the text.
pub(super) fn restore<T>(ws: WebSocket, decode: Decode<T>) -> Restored<T> {
    let attached = ws.deserialize_attachment();
    let Some(text) = attached.ok().and_then(|attached| attached.as_string()) else {
        return Restored::Cleared;
    };
    let Some((kept, socket, dialect)) = decode(&text) else {
        let length = text.len();
        return Restored::Unreadable { ws, length };
    };
    let connection = Connection::new(ws, socket, dialect);
    Restored::Attached(kept, socket, connection)
}
