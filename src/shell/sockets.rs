//! The sockets of one room: what is sent to them, what is kept with them, how they end.

use std::collections::BTreeMap;

use worker::wasm_bindgen::JsValue;
use worker::worker_sys::ext::WebSocketExt;
use worker::{Result, WebSocket};

use crate::attachment::Attachment;
use crate::close::Close;
use crate::dialect::Dialect;
use crate::event::{Event, Notice};
use crate::peer::{Member, Socket};

/// `WebSocket.OPEN`. All other states mean that nothing can be sent any more, and that nothing that
/// still comes in counts.
pub(super) const OPEN: u16 = 1;
/// `WebSocket.CLOSED`.
pub(super) const CLOSED: u16 = 3;

/// A socket that a notice may be sent to.
pub(super) struct Connection {
    pub(super) socket: WebSocket,
    pub(super) dialect: Dialect,
}

/// Sends a notice to each of some sockets, written once for each dialect. One that cannot take it
/// never keeps the others from theirs; what comes of it is appended to `news`.
pub(super) fn send<'a>(
    to: &[Socket],
    notice: Notice<'a>,
    sockets: &BTreeMap<Socket, Connection>,
    news: &mut Vec<Event<'a>>,
) {
    let mut written: Vec<(Dialect, Option<Vec<String>>)> = Vec::new();
    for socket in to {
        let Some(Connection {
            socket: ws,
            dialect,
        }) = sockets.get(socket)
        else {
            news.push(Event::Undelivered(*socket, notice.clone()));
            continue;
        };
        if !written.iter().any(|(known, _)| known == dialect) {
            written.push((*dialect, dialect.encode(&notice)));
        }
        let Some((_, frames)) = written.iter().find(|(known, _)| known == dialect) else {
            continue;
        };
        let Some(frames) = frames else {
            news.push(Event::Unspeakable(notice.clone()));
            continue;
        };
        // To ask is cheap; to be refused costs an exception with its stack.
        let open = ws.as_ref().ready_state() == OPEN;
        if !open || frames.iter().any(|frame| ws.send_with_str(frame).is_err()) {
            news.push(Event::Undelivered(*socket, notice.clone()));
        }
    }
}

/// Ends a socket. The platform goes on listing it until the client answers, which it may never do.
pub(super) fn end_socket(ws: &WebSocket, close: Close) -> Result<()> {
    forget(ws)?;
    ws.close(Some(close.code()), Some(close.reason()))
}

/// Forgets whose socket it was: one that is listed long after its end must not be taken for a peer's.
pub(super) fn forget(ws: &WebSocket) -> Result<()> {
    Ok(ws.as_ref().serialize_attachment(JsValue::NULL)?)
}

/// Writes what is to be kept of a member into its socket's attachment.
pub(super) fn keep(member: Member, sockets: &BTreeMap<Socket, Connection>) -> Result<()> {
    let Some(Connection { socket, dialect }) = sockets.get(&member.socket) else {
        return Ok(());
    };
    let text = Attachment {
        member,
        dialect: *dialect,
    }
    .encode();
    Ok(socket.as_ref().serialize_attachment(text.into())?)
}

/// What was kept with a socket; nothing for one that was turned away.
pub(super) fn attachment(ws: &WebSocket) -> Option<Attachment> {
    let text = ws.as_ref().deserialize_attachment().ok()?.as_string()?;
    Attachment::decode(&text)
}
