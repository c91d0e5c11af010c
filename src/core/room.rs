//! The room: handles joins and leaves, assigns the polite role in each pair of peers, and routes
//! signals.
//!
//! [`Room::handle`] takes one [`Event`] and appends the resulting [`Effect`]s. It reads no clock,
//! generates no random numbers, depends on no dialect and performs no I/O.

mod admit;
mod backlog;
mod changes;
mod forward;
mod held;
mod join;
mod keep;
mod leave;
mod notify;
mod open;
mod rate_limit;
mod register;
mod restore;
mod roster;
mod storage;
mod turn;
mod undelivered;
mod waiting;

use std::collections::VecDeque;
use std::rc::Rc;

pub use register::OPEN_STREAM_TIMEOUT_MS;

use self::backlog::Backlog;
use self::held::HeldBroadcasts;
use self::roster::Roster;
use self::turn::Turn;
use crate::core::event::{Effect, Event, Leaver, Limits, RowKey};
use crate::core::number;
use crate::core::peer::Time;

/// The state of a room.
#[derive(Debug)]
pub struct Room {
    name: Rc<str>,
    limits: Limits,
    roster: Roster,
    /// The notices kept for all peers.
    backlog: Backlog,
    /// Broadcasts from a peer that is alone. Empty unless the room has exactly one peer.
    held: HeldBroadcasts,
    /// Higher than the [`number`](crate::core::event::Held::number) of every held broadcast.
    next_held: u64,
    /// The peers that left while a peer with a stream is absent, in the order of leaving.
    leavers: VecDeque<Leaver>,
    /// The highest number that was assigned to a notice, a row or an event.
    last_number: u64,
    /// Whether the storage may contain data.
    has_stored: bool,
    /// Rows that no peer needs, to be erased when the room wakes.
    orphans: Vec<RowKey>,
    /// The time of the current alarm, which is the earliest `expires_at` in the room. `None` if no
    /// alarm is set or the alarm has fired.
    alarm: Option<Time>,
}

impl Room {
    /// Returns the number of peers in the room, including absent peers.
    #[must_use]
    pub fn peers(&self) -> usize {
        self.roster.len()
    }

    /// Handles an event, and appends its effects in order.
    ///
    /// This method never fails or panics. An event from an unknown WebSocket has no effect.
    ///
    /// Handlers of rare events are `#[inline(never)]`. V8 compiles a function completely on its
    /// first call, so separate functions shorten the cold start of a Worker.
    pub fn handle<'a>(&mut self, now: Time, event: Event<'a>, effects: &mut Vec<Effect<'a>>) {
        // The platform clears an alarm when it fires, so the alarm must be set again even if it
        // fired early.
        if matches!(event, Event::Tick) {
            self.alarm = None;
        }
        let due = self.alarm.or_else(|| self.next_expiry());
        let mut turn = Turn {
            room: self,
            now,
            effects,
        };
        if due.is_some_and(|due| due <= now) {
            turn.expire();
        }
        match event {
            Event::Join { socket, id, key } => turn.handle_join(socket, id, key),
            Event::Register {
                socket,
                id,
                lock,
                address,
            } => turn.handle_register(socket, id, lock, address),
            Event::Open {
                socket,
                id,
                key,
                last,
            } => turn.handle_open(socket, &id, key.as_ref(), last),
            Event::Post {
                id,
                key,
                signal,
                bytes,
            } => turn.handle_post(&id, key.as_ref(), signal, bytes),
            Event::Frame {
                socket,
                signal,
                bytes,
            } => turn.handle_frame(socket, signal, bytes),
            Event::Closed(socket) => turn.handle_closed(socket),
            Event::Lost(socket) => turn.disconnect(socket),
            Event::Undelivered {
                socket,
                event_id,
                notice,
            } => turn.handle_undelivered(socket, event_id, notice),
            Event::Unencodable { posted, notice } => turn.handle_unencodable(posted, notice),
            Event::Wake => {
                turn.erase_orphans();
                turn.limit_expiries();
            }
            Event::Tick => turn.limit_expiries(),
        }
        turn.forget_leavers();
        turn.set_alarm();
        if turn.room.has_stored {
            turn.clear_unused();
        }
    }

    /// Returns the number for the next notice.
    const fn next_number(&mut self, now: Time) -> u64 {
        self.last_number = number::next_number(self.last_number, now);
        self.last_number
    }

    /// Returns whether the storage contains a row.
    fn uses_storage(&self) -> bool {
        let has_held = self.held.next_expiry().is_some();
        self.roster.has_absent() || has_held || self.backlog.has_rows() || !self.leavers.is_empty()
    }

    /// Returns the earliest time at which an absent peer leaves or a held broadcast expires.
    fn next_expiry(&self) -> Option<Time> {
        self.roster
            .next_expiry()
            .into_iter()
            .chain(self.held.next_expiry())
            .min()
    }
}
