//! The room: handles joins and leaves, assigns the polite role in each pair of peers, and routes
//! signals.
//!
//! [`Room::handle`] takes one [`Event`] and appends the resulting [`Effect`]s. It reads no clock,
//! generates no random numbers, depends on no dialect and performs no I/O.

mod admin;
mod admit;
mod backlog;
mod bans;
mod calls;
mod changes;
mod device;
mod early;
mod expiry;
mod forward;
mod going_away;
mod held;
mod join;
mod keep;
mod leave;
mod live;
mod media;
mod notify;
mod offer;
mod open;
mod outcome;
mod register;
mod restore;
mod roster;
mod storage;
mod turn;
mod undelivered;
mod waiting;

use std::rc::Rc;

pub use register::OPEN_STREAM_TIMEOUT_MS;

use self::backlog::Backlog;
use self::bans::Bans;
use self::calls::Calls;
use self::changes::Leavers;
use self::early::EarlySignals;
use self::held::HeldBroadcasts;
use self::live::Live;
use self::roster::Roster;
use self::turn::Turn;
use crate::core::event::{Effect, Event, Limits, RowKey};
use crate::core::number;
use crate::core::peer::{PeerId, Socket, Time};

/// The time by which the clock may seem to go backwards, in milliseconds, because numbers run ahead of
/// the clock during a flood.
const CLOCK_TOLERANCE_MS: u64 = 10_000;

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
    /// Signals to peers that are not in the room yet.
    early: EarlySignals,
    /// Higher than the [`number`](crate::core::event::Held::number) of every held broadcast.
    next_held: u64,
    /// The peers that left while a peer with a stream is absent, in the order of leaving.
    leavers: Leavers,
    /// The highest number that was assigned to a notice, a row or an event.
    last_number: u64,
    /// The live session of the room.
    live: Option<Box<Live>>,
    calls: Calls,
    /// The ids and keys that the operator has removed.
    bans: Bans,
    /// Whether the storage may contain data.
    has_stored: bool,
    /// Rows that no peer needs, to be erased when the room wakes.
    orphans: Vec<RowKey>,
    /// The time at which outdated notices of connected streams are dropped, so that their rows do not
    /// stay when nothing happens any more. `None` if there are no rows.
    sweep_at: Option<Time>,
    /// The time of the current alarm, which is the earliest `expires_at` in the room. `None` if no
    /// alarm is set or the alarm has fired.
    alarm: Option<Time>,
    /// Whether the room itself has set `alarm`. A restored room assumes an alarm, but the platform may
    /// have an earlier one.
    knows_alarm: bool,
}

impl Room {
    /// Returns the number of peers in the room, including absent peers.
    #[must_use]
    pub fn peers(&self) -> usize {
        self.roster.len()
    }

    /// Returns the WebSocket of the peer with this id, if the peer is connected.
    #[must_use]
    pub fn open_socket_of(&self, id: &PeerId) -> Option<Socket> {
        self.roster.by_id(id.as_str())?.open_socket()
    }

    /// Returns whether signals wait for a peer in memory only. The alarm wakes the room before the
    /// platform evicts it, so these signals are not lost.
    #[must_use]
    pub const fn awaits_peers(&self) -> bool {
        self.early.next_expiry().is_some()
    }

    /// Handles an event, and appends its effects in order.
    ///
    /// This method never fails or panics. An event from an unknown WebSocket has no effect.
    ///
    /// Handlers of rare events are `#[inline(never)]`. V8 compiles a function completely on its
    /// first call, so separate functions shorten the cold start of a Worker.
    pub fn handle<'a>(&mut self, now: Time, event: Event<'a>, effects: &mut Vec<Effect<'a>>) {
        let (now, due) = match event {
            Event::Tick => (self.now_of_tick(now), self.next_expiry()),
            // Each turn ends with the alarm at the next expiry.
            _ => (now, self.alarm),
        };
        let mut turn = Turn {
            room: self,
            now,
            effects,
        };
        if due.is_some_and(|due| due <= now) {
            turn.expire();
        }
        match event {
            Event::Join(joining) => turn.handle_join(*joining),
            Event::Register {
                socket,
                id,
                key,
                lock,
                expires_at,
                address,
            } => turn.handle_register(socket, id, key.as_ref(), lock, expires_at, address),
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
            Event::Live(request) => turn.handle_live(request),
            Event::Admin(request) => turn.handle_admin(request),
            Event::Called { call, outcome } => turn.handle_called(call, outcome),
            Event::Closed(socket) => turn.handle_closed(socket),
            Event::GoingAway(socket) => turn.handle_going_away(socket),
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
                turn.restore_checks();
            }
            Event::Tick => {
                // The alarm was in the storage, even if no row is.
                turn.room.has_stored = true;
                turn.limit_expiries();
            }
        }
        if turn.room.live.is_some() || !turn.room.calls.is_idle() {
            turn.start_calls();
        }
        turn.store_leavers();
        turn.plan_sweep();
        turn.set_alarm();
        if turn.room.has_stored {
            turn.clear_unused();
        }
    }

    /// Returns the time of a tick. If the clock went backwards, the alarm proves that its time has
    /// come. Absent peers would otherwise keep their places for hours.
    fn now_of_tick(&mut self, now: Time) -> Time {
        // The platform clears an alarm when it fires, so the alarm must be set again even if it fired
        // early.
        let alarm = self.alarm.take();
        let knows_alarm = std::mem::take(&mut self.knows_alarm);
        let went_back =
            knows_alarm && number::time_of(self.last_number) > now.plus(CLOCK_TOLERANCE_MS);
        alarm.filter(|_| went_back).unwrap_or(now).max(now)
    }

    /// Returns the number for the next notice.
    const fn next_number(&mut self, now: Time) -> u64 {
        self.last_number = number::next_number(self.last_number, now);
        self.last_number
    }

    /// Returns whether the storage contains a row.
    fn uses_storage(&self) -> bool {
        let has_held = self.held.next_expiry().is_some();
        self.roster.has_absent()
            || has_held
            || self.backlog.has_rows()
            || !self.leavers.is_empty()
            || self.live.is_some()
            || !self.bans.is_empty()
    }

    /// Returns the earliest time at which an absent peer leaves, the token of a connected peer expires, a
    /// held broadcast or an early signal expires, outdated notices are dropped, the last ban expires, or the live session or a
    /// call needs an alarm.
    fn next_expiry(&self) -> Option<Time> {
        self.roster
            .next_expiry()
            .into_iter()
            .chain(self.held.next_expiry())
            .chain(self.early.next_expiry())
            .chain(self.sweep_at)
            .chain(self.live.as_ref().map(|live| live.next_expiry()))
            .chain(self.calls.next_expiry())
            .chain(self.bans.last_expiry())
            .min()
    }
}
