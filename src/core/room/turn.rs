//! One turn of a room: the handling of one event, and the steps that several handlers share.

use super::Room;
use crate::core::event::{Effect, Reply};
use crate::core::notice::Notice;
use crate::core::peer::{Socket, Time};
use crate::core::refusal::Refusal;

/// The effects of one event, in the order in which the shell performs them.
pub(super) type Effects<'a> = Vec<Effect<'a>>;

/// The state of a turn: the room, the time of the event, and the effects so far.
pub(super) struct Turn<'t, 'a> {
    pub(super) room: &'t mut Room,
    pub(super) now: Time,
    pub(super) effects: &'t mut Effects<'a>,
}

impl<'a> Turn<'_, 'a> {
    /// Replies to the HTTP request of the event.
    pub(super) fn reply(&mut self, reply: Result<Reply, Refusal<'a>>) {
        self.effects.push(Effect::Reply(reply));
    }

    /// Sends a notice without an event id.
    pub(super) fn push_send(&mut self, to: Vec<Socket>, notice: Notice<'a>) {
        self.effects.push(Effect::Send {
            to,
            event_id: None,
            notice,
        });
    }
}
