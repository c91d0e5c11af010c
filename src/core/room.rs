//! The room: handles joins and leaves, assigns the polite role in each pair of peers, and routes
//! signals.
//!
//! [`Room::handle`] takes one [`Event`] and appends the resulting [`Effect`]s. It reads no clock,
//! generates no random numbers, depends on no dialect and performs no I/O.

mod admit;
mod forward;
mod held;
mod join;
mod notify;
mod rate_limit;
mod register;
mod roster;
mod turn;
mod undelivered;

use std::rc::Rc;

pub use register::OPEN_STREAM_TIMEOUT_MS;

use self::held::HeldBroadcasts;
use self::rate_limit::RateLimiter;
use self::roster::{Peer, Presence, Roster};
use self::turn::Turn;
use crate::core::event::{Absent, Effect, Event, Limits, Row};
use crate::core::member::Member;
use crate::core::peer::Time;

/// The state of a room.
#[derive(Debug)]
pub struct Room {
    name: Rc<str>,
    limits: Limits,
    roster: Roster,
    /// Broadcasts from a peer that is alone. Empty unless the room has exactly one peer.
    held: HeldBroadcasts,
    /// Higher than the [`number`](crate::core::event::Held::number) of every held broadcast.
    next_held: u64,
    /// The time of the current alarm, which is the earliest `expires_at` in the room. `None` if no
    /// alarm is set or the alarm has fired.
    alarm: Option<Time>,
}

impl Room {
    /// Restores a room from the members stored with its WebSockets and from its stored rows, in any
    /// order. If there are no members and no rows, the room is new.
    ///
    /// If a peer has both a WebSocket and a row, the row is ignored. A held broadcast expires at
    /// the next event if its sender is not in the room.
    pub fn restore(
        name: &str,
        limits: Limits,
        now: Time,
        members: impl IntoIterator<Item = Member>,
        rows: impl IntoIterator<Item = Row>,
    ) -> Self {
        let mut roster = Roster::default();
        let mut insert = |member, presence| {
            roster.insert(Peer {
                member,
                presence,
                rate_limiter: RateLimiter::new(now),
            });
        };
        let mut rows_held = Vec::new();
        for row in rows {
            match row {
                Row::Absent(Absent { member, expires_at }) => {
                    insert(member, Presence::Absent(expires_at));
                }
                Row::Held(row) => rows_held.push(row),
            }
        }
        for member in members {
            insert(member, Presence::Connected);
        }
        let mut held = HeldBroadcasts::default();
        let mut next_held = 0;
        rows_held.sort_unstable_by_key(|row| row.number);
        for mut row in rows_held {
            next_held = row.number.saturating_add(1);
            if roster.by_id(row.from.as_str()).is_none() {
                row.expires_at = Time(0);
            }
            // The rows were within the limits when they were stored, so `push` succeeds again.
            let _ = held.push(row);
        }
        let mut room = Self {
            name: name.into(),
            limits,
            roster,
            held,
            next_held,
            alarm: None,
        };
        room.alarm = room.next_expiry();
        room
    }

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
            Event::Register { socket, id, lock } => turn.handle_register(socket, id, lock),
            Event::Open {
                socket,
                id,
                key,
                last,
            } => turn.handle_open(socket, &id, key.as_ref(), last),
            Event::Post { id, key, signal } => turn.handle_post(&id, key.as_ref(), signal),
            Event::Frame { socket, signal } => turn.handle_frame(socket, signal),
            Event::Closed(socket) => turn.handle_closed(socket),
            Event::Lost(socket) => turn.disconnect(socket),
            Event::Undelivered {
                socket,
                number,
                notice,
            } => turn.handle_undelivered(socket, number, notice),
            Event::Unencodable { posted, notice } => turn.handle_unencodable(posted, notice),
            Event::Tick => {}
        }
        turn.set_alarm();
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
