//! Runs a room: hands it an event, performs its effects, and reports the failures back to it.
//!
//! The shell drives rooms on Cloudflare's platform. `tests/core/rig.rs` drives them in memory, with
//! this same loop.

use crate::core::close::Close;
use crate::core::event::{Effect, Event, Row, RowKey};
use crate::core::member::Member;
use crate::core::notice::{Notice, Registered};
use crate::core::peer::{Socket, Time};
use crate::core::refusal::Refusal;
use crate::core::room::Room;

/// Performs the effects of a room. Each method performs the [`Effect`] of the same name.
pub trait Transport {
    /// Accepts the WebSocket that wants to join. Returns `false` if the platform cannot.
    fn accept(&mut self, socket: Socket) -> bool;

    /// Answers the request behind the event. Only the first reply counts.
    fn reply(&mut self, reply: Result<Registered, Refusal<'_>>);

    /// Sends a notice to each WebSocket, and returns the failures in the order of `to`. A failure must
    /// not keep the notice from the other receivers.
    fn send(
        &mut self,
        to: &[Socket],
        number: Option<u64>,
        notice: &Notice<'_>,
    ) -> Vec<(Socket, SendError)>;

    /// Drops a WebSocket that a notice could not be sent to, and what is kept with it.
    fn drop_socket(&mut self, socket: Socket);

    /// Closes a WebSocket, and drops what is kept with it.
    fn close(&mut self, socket: Socket, close: Close);

    /// Keeps a member with its WebSocket.
    fn keep(&mut self, member: Member);

    /// Writes a row.
    fn store(&mut self, row: Row);

    /// Deletes a row.
    fn erase(&mut self, key: RowKey);

    /// Sets or clears the alarm.
    fn set_alarm(&mut self, at: Option<Time>);
}

/// Why a notice could not be sent to a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The WebSocket is dead.
    Dead,
    /// The receiver's dialect reserves the type of the signal.
    Unencodable,
}

/// Hands an event to the room, and performs effects until there are none left.
///
/// All effects of one round are performed before the room hears of their failures. The loop ends,
/// because each round with a failure has one live WebSocket or one unanswered signal less.
pub fn drive(room: &mut Room, now: Time, event: Event<'_>, transport: &mut impl Transport) {
    let posted = matches!(event, Event::Post { .. });
    let mut effects = Vec::new();
    room.handle(now, event, &mut effects);
    while !effects.is_empty() {
        let mut failures = Vec::new();
        for effect in effects.drain(..) {
            perform(effect, posted, transport, &mut failures);
        }
        for failure in failures {
            if let Event::Undelivered { socket, .. } = &failure {
                transport.drop_socket(*socket);
            }
            room.handle(now, failure, &mut effects);
        }
    }
}

/// Performs one effect, and appends its failures as events.
fn perform<'a>(
    effect: Effect<'a>,
    posted: bool,
    transport: &mut impl Transport,
    failures: &mut Vec<Event<'a>>,
) {
    match effect {
        Effect::Accept(socket) => {
            if !transport.accept(socket) {
                failures.push(Event::Closed(socket));
            }
        }
        Effect::Reply(reply) => transport.reply(reply),
        Effect::Send { to, number, notice } => {
            for (socket, error) in transport.send(&to, number, &notice) {
                let notice = notice.clone();
                failures.push(match error {
                    SendError::Dead => Event::Undelivered {
                        socket,
                        number,
                        notice,
                    },
                    SendError::Unencodable => Event::Unencodable { posted, notice },
                });
            }
        }
        Effect::Close(socket, close) => transport.close(socket, close),
        Effect::Keep(member) => transport.keep(member),
        Effect::Store(row) => transport.store(row),
        Effect::Erase(key) => transport.erase(key),
        Effect::Alarm(at) => transport.set_alarm(at),
    }
}
