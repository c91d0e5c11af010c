//! The event loop of topics. It corresponds to [`drive`](crate::core::drive::drive) of a room.

use super::{Effect, Event, Listener, Notice, Topics};
use crate::core::close::Close;
use crate::core::drive::{SendError, Sockets};
use crate::core::peer::{Socket, Time};

/// The platform that performs the effects of topics.
pub trait Transport: Sockets {
    /// Sends a notice to each WebSocket, and returns the failures. A dialect may encode a notice as no
    /// frame. After a failure, the notice is still sent to the remaining receivers.
    fn send_topic_notice(&mut self, to: &[Socket], notice: &Notice) -> Vec<(Socket, SendError)>;

    /// Stores a listener with its WebSocket.
    fn keep_listener(&mut self, listener: Listener);
}

/// Passes an event to the topics, and performs effects until there are none. The loop always ends,
/// because a failed send removes its WebSocket.
pub fn drive(topics: &mut Topics, now: Time, event: Event<'_>, transport: &mut impl Transport) {
    let mut effects = Vec::new();
    topics.handle(now, event, &mut effects);
    while !effects.is_empty() {
        let mut ended = Vec::new();
        for effect in effects.drain(..) {
            perform(effect, transport, &mut ended);
        }
        for socket in ended {
            topics.handle(now, Event::Ended(socket), &mut effects);
        }
    }
}

/// Performs one effect, and appends each WebSocket that has ended.
fn perform(effect: Effect, transport: &mut impl Transport, ended: &mut Vec<Socket>) {
    match effect {
        Effect::Accept(socket) => {
            if !transport.accept(socket) {
                ended.push(socket);
            }
        }
        Effect::Refuse(refusal) => transport.reply(Err(refusal)),
        Effect::Send(to, notice) => {
            for (socket, error) in transport.send_topic_notice(&to, &notice) {
                if error == SendError::Unread {
                    transport.close(socket, Close::Unread);
                } else {
                    transport.drop_socket(socket);
                }
                ended.push(socket);
            }
        }
        Effect::Close(socket, close) => transport.close(socket, close),
        Effect::Keep(listener) => transport.keep_listener(listener),
        Effect::Alarm(at) => transport.set_alarm(Some(at)),
        Effect::Clear => transport.clear(),
    }
}
