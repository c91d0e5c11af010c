//! Sends on the WebSockets of a room, closes WebSockets, and keeps the state of each member in an
//! attachment. Attachments survive hibernation.

use litemap::LiteMap;
use worker::wasm_bindgen::JsValue;
use worker::web_sys::WebSocket;
use worker::worker_sys::ext::WebSocketExt;
use worker::{Result, State};

use super::platform::set_number;
use super::storage;
use crate::core::close::Close;
use crate::core::drive::SendError;
use crate::core::member::Member;
use crate::core::notice::Notice;
use crate::core::peer::Socket;
use crate::dialect::{Dialect, Encoded};
use crate::record::attachment::Attachment;

/// `WebSocket.OPEN`, the only state in which a frame can be sent.
const OPEN: u16 = 1;
/// `WebSocket.CLOSED`: the closing handshake is complete, or the connection is lost.
pub(super) const CLOSED: u16 = 3;

/// An open WebSocket.
pub(super) struct Connection {
    pub(super) socket: WebSocket,
    pub(super) dialect: Dialect,
    /// If the state of the member is in an overflow row, the `Socket` id that names the row.
    /// `None`: the state is in the attachment.
    pub(super) overflow: Option<Socket>,
}

impl Connection {
    pub(super) fn new(
        ws: WebSocket,
        socket: Socket,
        dialect: Dialect,
        overflow: Option<Socket>,
    ) -> Self {
        set_number(&ws, socket);
        Self {
            socket: ws,
            dialect,
            overflow,
        }
    }
}

/// Sends a notice to each WebSocket, and returns the failures in the order of `to`. The notice is
/// encoded once for each dialect.
pub(super) fn send(
    to: &[Socket],
    number: Option<u64>,
    notice: &Notice<'_>,
    sockets: &LiteMap<Socket, Connection>,
) -> Vec<(Socket, SendError)> {
    let mut encoded: Vec<(Dialect, Encoded)> = Vec::new();
    let mut failures = Vec::new();
    let mut found_dead = false;
    for socket in to {
        let Some(Connection {
            socket: ws,
            dialect,
            ..
        }) = sockets.get(socket)
        else {
            failures.push((*socket, SendError::Dead));
            continue;
        };
        if !encoded.iter().any(|(known, _)| known == dialect) {
            encoded.push((*dialect, dialect.encode(notice, number)));
        }
        let Some((_, frames)) = encoded.iter().find(|(known, _)| known == dialect) else {
            continue;
        };
        let Encoded::Frames(frames) = frames else {
            failures.push((*socket, SendError::Unencodable));
            continue;
        };
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
pub(super) fn close_socket(state: &State, connection: &Connection, close: Close) -> Result<()> {
    forget(state, connection)?;
    let ws = &connection.socket;
    Ok(ws.close_with_code_and_reason(close.code(), close.reason())?)
}

/// Clears the attachment of a WebSocket that is closed or lost. The platform may still list the
/// WebSocket. Without the attachment, the room does not restore the peer.
pub(super) fn forget(state: &State, connection: &Connection) -> Result<()> {
    if let Some(socket) = connection.overflow {
        storage::erase_overflow(state, socket)?;
    }
    Ok(connection.socket.serialize_attachment(JsValue::NULL)?)
}

/// Writes the state of a member into the attachment of its WebSocket. A state that is too long is
/// written into an overflow row. The attachment is then `@` and the `Socket` id of the WebSocket.
pub(super) fn keep(
    state: &State,
    member: Member,
    sockets: &mut LiteMap<Socket, Connection>,
) -> Result<()> {
    let socket = member.socket;
    let Some(connection) = sockets.get_mut(&socket) else {
        return Ok(());
    };
    let dialect = connection.dialect;
    let mut text = Attachment { member, dialect }.encode();
    if !fits(&text) {
        storage::store_overflow(state, socket, &text)?;
        connection.overflow = Some(socket);
        text = format!("@{}", socket.0);
    } else if connection.overflow.take().is_some() {
        storage::erase_overflow(state, socket)?;
    }
    Ok(connection.socket.serialize_attachment(text.into())?)
}

/// Returns whether `text` fits into an attachment of 16,384 bytes. V8 serializes ASCII text with
/// one byte for each character, and other text as UTF-16.
fn fits(text: &str) -> bool {
    const MAX: usize = 16_000;
    text.len() <= if text.is_ascii() { MAX } else { MAX / 2 }
}

/// The result of reading an attachment.
pub(super) enum Restored {
    Member(Member, Connection),
    /// The attachment is empty, because the WebSocket is closed or lost.
    Cleared,
    /// The attachment or its overflow row cannot be decoded. The string is the reason.
    Unreadable(String),
}

/// Restores a member from the attachment of its WebSocket, or from the overflow row that the
/// attachment names.
#[inline(never)]
pub(super) fn restore(ws: WebSocket, overflow: &LiteMap<Socket, String>) -> Restored {
    let attached = ws.deserialize_attachment();
    let Some(text) = attached.ok().and_then(|attached| attached.as_string()) else {
        return Restored::Cleared;
    };
    let (number, text) = match text.strip_prefix('@') {
        None => (None, Some(&text)),
        Some(digits) => {
            let number = digits.parse().ok().map(Socket);
            (number, number.and_then(|number| overflow.get(&number)))
        }
    };
    let Some(text) = text else {
        return Restored::Unreadable(
            "the overflow row of a WebSocket is missing: expected the state of its peer. \
             The client must reconnect"
                .to_owned(),
        );
    };
    // The text contains a key hash, so the text is not logged.
    let Some(Attachment { member, dialect }) = Attachment::decode(text) else {
        let length = text.len();
        return Restored::Unreadable(format!(
            "an attachment of {length} bytes is unreadable: expected the format of this version. \
             The client must reconnect"
        ));
    };
    let connection = Connection::new(ws, member.socket, dialect, number);
    Restored::Member(member, connection)
}
