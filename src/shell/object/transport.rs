//! Performs the effects of a room through the API of Cloudflare's platform.

use litemap::LiteMap;
use worker::State;
use worker::web_sys::WebSocket;

use super::super::failure::{Error, Result};
use super::super::log::log;
use super::super::media::MediaClient;
use super::super::sockets::{Connection, close_socket, forget, keep, keep_listener, send};
use super::super::storage;
use crate::core::close::Close;
use crate::core::drive::{SendError, Sockets, Transport};
use crate::core::event::{Reply, Row, RowKey};
use crate::core::live::{MediaCall, Outcome};
use crate::core::member::Attached;
use crate::core::notice::Notice;
use crate::core::peer::{Socket, Time};
use crate::core::refusal::Refusal;
use crate::core::topics::{self, Listener};
use crate::dialect::{Dialect, Encoded};

/// The platform objects that one event needs.
pub(super) struct ObjectTransport<'e> {
    state: &'e State,
    now: Time,
    sockets: &'e mut LiteMap<Socket, Connection>,
    /// The WebSocket of a joining client, and the dialect of the client.
    joining: Option<(&'e WebSocket, Dialect)>,
    media: &'e MediaClient,
    /// The error of the platform if it did not accept the joining WebSocket.
    pub(super) accept_error: Option<Error>,
    /// The first reply to the request. Later replies are ignored.
    pub(super) reply: Option<std::result::Result<Reply, Refusal<'static>>>,
}

impl<'e> ObjectTransport<'e> {
    pub(super) const fn new(
        state: &'e State,
        now: Time,
        sockets: &'e mut LiteMap<Socket, Connection>,
        joining: Option<(&'e WebSocket, Dialect)>,
        media: &'e MediaClient,
    ) -> Self {
        Self {
            state,
            now,
            sockets,
            joining,
            media,
            accept_error: None,
            reply: None,
        }
    }
}

impl Sockets for ObjectTransport<'_> {
    fn accept(&mut self, socket: Socket) -> bool {
        let Some((ws, dialect)) = self.joining.take() else {
            return false;
        };
        // The call fails if the object has 32,768 WebSockets. The wrapper of the `worker` crate
        // would panic then, so the wrapper is not used.
        if let Err(error) = self.state.as_raw().accept_websocket(ws) {
            self.accept_error = Some(error.into());
            return false;
        }
        let connection = Connection::new(ws.clone(), socket, dialect);
        self.sockets.insert(socket, connection);
        true
    }

    fn reply(&mut self, reply: std::result::Result<Reply, Refusal<'_>>) {
        self.reply
            .get_or_insert_with(|| reply.map_err(Refusal::into_owned));
    }

    fn drop_socket(&mut self, socket: Socket) {
        if let Some(dead) = self.sockets.remove(&socket) {
            log_failure("forget", forget(&dead));
        }
    }

    fn close(&mut self, socket: Socket, close: Close) {
        if let Some(connection) = self.sockets.remove(&socket) {
            log_failure("effect", close_socket(&connection, close));
        }
    }

    fn set_alarm(&mut self, at: Option<Time>) {
        log_failure("effect", storage::set_alarm(self.state, at));
    }

    fn clear(&mut self) {
        log_failure("effect", storage::clear(self.state));
    }
}

impl Transport for ObjectTransport<'_> {
    fn send(
        &mut self,
        to: &[Socket],
        event_id: Option<u64>,
        notice: &Notice<'_>,
    ) -> Vec<(Socket, SendError)> {
        let encode = |dialect: Dialect| dialect.encode(notice, event_id);
        send(self.state, self.now, to, self.sockets, &encode)
    }

    fn call(&mut self, call: u64, request: MediaCall) -> Option<Outcome> {
        self.media.start(call, &request)
    }

    fn keep(&mut self, attached: Attached) {
        log_failure("effect", keep(attached, self.sockets));
    }

    fn store(&mut self, row: Row) {
        log_failure("effect", storage::store(self.state, &row));
    }

    fn erase(&mut self, key: RowKey) {
        log_failure("effect", storage::erase(self.state, &key));
    }
}

impl topics::Transport for ObjectTransport<'_> {
    fn send_topic_notice(
        &mut self,
        to: &[Socket],
        notice: &topics::Notice,
    ) -> Vec<(Socket, SendError)> {
        let encode = |dialect: Dialect| Encoded::Frames(dialect.encode_topic_notice(notice));
        send(self.state, self.now, to, self.sockets, &encode)
    }

    fn keep_listener(&mut self, listener: Listener) {
        log_failure("effect", keep_listener(listener, self.sockets));
    }
}

/// Logs an error. The remaining effects are still performed, because one failure must not stop
/// the others.
fn log_failure(event: &str, result: Result<()>) {
    if let Err(error) = result {
        log(event, &error.to_string());
    }
}
