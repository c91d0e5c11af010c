//! The event loop of a room: passes an event to the room, performs the effects, and reports
//! failures back to the room.
//!
//! The shell uses this loop on Cloudflare, and `tests/core/rig.rs` uses it in memory.

use crate::core::close::Close;
use crate::core::event::{Effect, Event, Reply, Row, RowKey};
use crate::core::live::{MediaCall, Outcome};
use crate::core::member::Attached;
use crate::core::notice::Notice;
use crate::core::peer::{Socket, Time};
use crate::core::refusal::Refusal;
use crate::core::room::Room;

/// The part of the platform that [rooms](Transport) and
/// [topics](crate::core::topics::Transport) share. Each method performs the [`Effect`] of the same
/// name.
pub trait Sockets {
    /// Accepts the WebSocket of a join. Returns `false` if the platform cannot accept it.
    fn accept(&mut self, socket: Socket) -> bool;

    /// Replies to the HTTP request of the event. Further calls for the same event have no effect.
    fn reply(&mut self, reply: Result<Reply, Refusal<'_>>);

    /// Removes a dead WebSocket, and the text stored with it.
    fn drop_socket(&mut self, socket: Socket);

    /// Closes a WebSocket, and removes the text stored with it.
    fn close(&mut self, socket: Socket, close: Close);

    /// Sets the alarm, or clears it if `at` is `None`.
    fn set_alarm(&mut self, at: Option<Time>);

    /// Deletes all stored data.
    fn clear(&mut self);
}

/// The platform that performs the effects of a room. Each method performs the [`Effect`] of the
/// same name.
pub trait Transport: Sockets {
    /// Sends a notice to each WebSocket, and returns the failures in the order of `to`. After a
    /// failure, the notice is still sent to the remaining receivers.
    fn send(
        &mut self,
        to: &[Socket],
        event_id: Option<u64>,
        notice: &Notice<'_>,
    ) -> Vec<(Socket, SendError)>;

    /// Starts a call of the media server. Returns the outcome if the call failed immediately.
    fn call(&mut self, call: u64, request: MediaCall) -> Option<Outcome>;

    /// Stores a member with its WebSocket.
    fn keep(&mut self, attached: Attached);

    /// Writes a row.
    fn store(&mut self, row: Row);

    /// Deletes a row.
    fn erase(&mut self, key: RowKey);
}

/// The reason why a notice could not be sent to a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The WebSocket no longer works.
    Dead,
    /// The client does not read what it was sent.
    Unread,
    /// The receiver's dialect reserves the type of the signal.
    Unencodable,
}

/// Passes an event to the room, and performs effects until the room returns none.
///
/// All effects of a round are performed before their failures are passed to the room. The loop
/// always ends, because a failed send removes its WebSocket or refuses its signal, and is never
/// repeated.
pub fn drive(room: &mut Room, now: Time, event: Event<'_>, transport: &mut impl Transport) {
    let posted = matches!(event, Event::Post { .. });
    let mut effects = Vec::new();
    room.handle(now, event, &mut effects);
    while !effects.is_empty() {
        let mut failures = Vec::new();
        for effect in effects.drain(..) {
            perform(effect, posted, transport, &mut failures);
        }
        for (failure, error) in failures {
            if let Event::Undelivered { socket, .. } = &failure {
                if error == Some(SendError::Unread) {
                    transport.close(*socket, Close::Unread);
                } else {
                    transport.drop_socket(*socket);
                }
            }
            room.handle(now, failure, &mut effects);
        }
    }
}

/// Performs one effect, and appends each failure as an event.
fn perform<'a>(
    effect: Effect<'a>,
    posted: bool,
    transport: &mut impl Transport,
    failures: &mut Vec<(Event<'a>, Option<SendError>)>,
) {
    match effect {
        Effect::Accept(socket) => {
            if !transport.accept(socket) {
                failures.push((Event::Closed(socket), None));
            }
        }
        Effect::Reply(reply) => transport.reply(reply),
        Effect::Send {
            to,
            event_id,
            notice,
        } => {
            for (socket, error) in transport.send(&to, event_id, &notice) {
                let notice = notice.clone();
                let failure = match error {
                    SendError::Dead | SendError::Unread => Event::Undelivered {
                        socket,
                        event_id,
                        notice,
                    },
                    SendError::Unencodable => Event::Unencodable { posted, notice },
                };
                failures.push((failure, Some(error)));
            }
        }
        Effect::Call { call, request } => {
            if let Some(outcome) = transport.call(call, request) {
                failures.push((Event::Called { call, outcome }, None));
            }
        }
        Effect::Close(socket, close) => transport.close(socket, close),
        Effect::Keep(attached) => transport.keep(attached),
        Effect::Store(row) => transport.store(row),
        Effect::Erase(key) => transport.erase(key),
        Effect::Alarm(at) => transport.set_alarm(at),
        Effect::Clear => transport.clear(),
    }
}
