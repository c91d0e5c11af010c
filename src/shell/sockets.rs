//! The sockets of one room: what is sent to them, what is kept with them, how they end.

use litemap::LiteMap;
use worker::wasm_bindgen::JsValue;
use worker::web_sys::WebSocket;
use worker::worker_sys::ext::WebSocketExt;
use worker::{Result, State};

use super::platform::set_number;
use super::storage;
use crate::core::close::Close;
use crate::core::event::Event;
use crate::core::member::Member;
use crate::core::notice::Notice;
use crate::core::peer::Socket;
use crate::dialect::{Dialect, Encoded};
use crate::record::attachment::Attachment;

/// `WebSocket.OPEN`. All other states mean that nothing can be sent any more.
const OPEN: u16 = 1;
/// `WebSocket.CLOSED`.
pub(super) const CLOSED: u16 = 3;

/// A socket that a notice may be sent to.
pub(super) struct Connection {
    pub(super) socket: WebSocket,
    pub(super) dialect: Dialect,
    /// Its own number, if what is kept with it is too long for its attachment.
    pub(super) outside: Option<Socket>,
}

impl Connection {
    pub(super) fn new(
        ws: WebSocket,
        socket: Socket,
        dialect: Dialect,
        outside: Option<Socket>,
    ) -> Self {
        set_number(&ws, socket);
        Self {
            socket: ws,
            dialect,
            outside,
        }
    }
}

/// Sends a notice to each of some sockets, written once for each dialect. One that cannot take it
/// never keeps the others from theirs; what comes of it is appended to `news`, for `asker` if somebody
/// waits for an answer.
pub(super) fn send<'a>(
    to: &[Socket],
    number: Option<u64>,
    notice: Notice<'a>,
    sockets: &LiteMap<Socket, Connection>,
    asker: Option<Socket>,
    news: &mut Vec<Event<'a>>,
) {
    let mut written: Vec<(Dialect, Encoded)> = Vec::new();
    let mut refused = false;
    for socket in to {
        let undelivered = || Event::Undelivered {
            socket: *socket,
            number,
            notice: notice.clone(),
        };
        let Some(Connection {
            socket: ws,
            dialect,
            ..
        }) = sockets.get(socket)
        else {
            news.push(undelivered());
            continue;
        };
        if !written.iter().any(|(known, _)| known == dialect) {
            written.push((*dialect, dialect.encode(&notice, number)));
        }
        let Some((_, frames)) = written.iter().find(|(known, _)| known == dialect) else {
            continue;
        };
        let Encoded::Frames(frames) = frames else {
            news.push(Event::Unencodable {
                asker,
                notice: notice.clone(),
            });
            continue;
        };
        // To be refused costs an exception with its stack. Where one socket is dead, there are more.
        let open = !refused || ws.ready_state() == OPEN;
        if !open || frames.iter().any(|frame| ws.send_with_str(frame).is_err()) {
            refused = true;
            news.push(undelivered());
        }
    }
}

/// Ends a socket. The platform goes on listing it until the client answers, which it may never do.
pub(super) fn end_socket(state: &State, connection: &Connection, close: Close) -> Result<()> {
    forget(state, connection)?;
    let ws = &connection.socket;
    Ok(ws.close_with_code_and_reason(close.code(), close.reason())?)
}

/// Forgets whose socket it was: one that is listed long after its end must not be taken for a peer's.
pub(super) fn forget(state: &State, connection: &Connection) -> Result<()> {
    if let Some(socket) = connection.outside {
        storage::erase_outside(state, socket)?;
    }
    Ok(connection.socket.serialize_attachment(JsValue::NULL)?)
}

/// Writes what is to be kept of a member into its socket's attachment, or, if that is too small, into
/// a row to which the attachment points.
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
        storage::store_outside(state, socket, &text)?;
        connection.outside = Some(socket);
        text = format!("@{}", socket.0);
    } else if connection.outside.take().is_some() {
        storage::erase_outside(state, socket)?;
    }
    Ok(connection.socket.serialize_attachment(text.into())?)
}

/// Does a text fit into an attachment? One may have 16,384 bytes. The platform writes text of
/// ASCII alone with one byte a character, and other text with two for each unit of UTF-16.
fn fits(text: &str) -> bool {
    const MOST: usize = 16_000;
    text.len() <= if text.is_ascii() { MOST } else { MOST / 2 }
}

/// What was kept with a socket, in its attachment or among the rows to which those point.
#[inline(never)]
pub(super) fn restore(
    ws: WebSocket,
    outside: &LiteMap<Socket, String>,
) -> Option<(Member, Connection)> {
    let text = attached(&ws)?;
    let pointed = text.strip_prefix('@');
    let pointed = match pointed {
        Some(digits) => Some(Socket(digits.parse().ok()?)),
        None => None,
    };
    let Attachment { member, dialect } = match &pointed {
        Some(socket) => Attachment::decode(outside.get(socket)?)?,
        None => Attachment::decode(&text)?,
    };
    let connection = Connection::new(ws, member.socket, dialect, pointed);
    Some((member, connection))
}

fn attached(ws: &WebSocket) -> Option<String> {
    ws.deserialize_attachment().ok()?.as_string()
}
