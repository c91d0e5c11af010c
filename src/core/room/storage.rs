//! Keeps the storage of a room up to date: the rows of its peers, its alarm, and the end of both.

use super::register::OPEN_STREAM_TIMEOUT_MS;
use super::roster::Presence;
use super::turn::Turn;
use crate::core::event::{Effect, Row};
use crate::core::peer::Seat;

impl Turn<'_, '_> {
    /// Stores the state of a peer.
    pub(super) fn save(&mut self, seat: Seat) {
        if let Some(peer) = self.room.roster.by_seat(seat) {
            self.room.has_stored |= peer.presence != Presence::Connected;
            self.effects.push(peer.save_effect());
        }
    }

    /// Writes a row.
    pub(super) fn write_row(&mut self, row: Row) {
        self.room.has_stored = true;
        self.effects.push(Effect::Store(row));
    }

    /// Sets the alarm to the earliest expiry, unless it is already set to that time.
    pub(super) fn set_alarm(&mut self) {
        let next = self.room.next_expiry();
        if self.room.alarm != next {
            self.room.alarm = next;
            self.room.knows_alarm = true;
            self.room.has_stored |= next.is_some();
            self.effects.push(Effect::Alarm(next));
        }
    }

    /// Plans to drop outdated notices while any are in rows. One alarm in the time for which a notice
    /// is kept costs little, even during a flood.
    pub(super) fn plan_sweep(&mut self) {
        if !self.room.backlog.has_rows() {
            self.room.sweep_at = None;
        } else if self.room.sweep_at.is_none() {
            let at = self.now.plus(self.room.keep_ms()).round_up();
            self.room.sweep_at = Some(at);
        }
    }

    /// Limits the expiry of absent peers, held broadcasts and bans. After the clock went backwards, they
    /// would otherwise stay for hours.
    #[inline(never)]
    pub(super) fn limit_expiries(&mut self) {
        let grace = self.room.limits.grace;
        let late = self.room.roster.absent().filter_map(|peer| {
            let keep_ms = match peer.member.stream {
                Some(_) => grace.max(OPEN_STREAM_TIMEOUT_MS),
                None => grace,
            };
            let latest = self.now.plus(keep_ms).round_up();
            let is_late = peer.expires_at().is_some_and(|at| at > latest);
            is_late.then_some((peer.member.seat, latest))
        });
        for (seat, latest) in late.collect::<Vec<_>>() {
            if let Some(peer) = self.room.roster.by_seat_mut(seat)
                && let Presence::Absent { expires_at, .. } = &mut peer.presence
            {
                *expires_at = latest;
            }
            self.save(seat);
        }
        let latest = self.now.plus(self.room.limits.hold);
        for held in self.room.held.limit_expiries(latest) {
            self.write_row(Row::Held(held));
        }
        let latest = self.latest_early_expiry();
        self.room.early.limit_expiries(latest);
        self.limit_bans();
    }

    /// Erases the rows of notices whose receivers are gone. A deployment closes all WebSockets
    /// without an event.
    #[inline(never)]
    pub(super) fn erase_orphans(&mut self) {
        let orphans = std::mem::take(&mut self.room.orphans);
        self.effects.extend(orphans.into_iter().map(Effect::Erase));
    }

    /// Clears the storage when no row and no alarm is left. Rows need not be erased then.
    #[inline(never)]
    pub(super) fn clear_unused(&mut self) {
        if self.room.alarm.is_some() || self.room.uses_storage() {
            return;
        }
        let is_needed =
            |effect: &Effect<'_>| !matches!(effect, Effect::Erase(_) | Effect::Alarm(None));
        self.effects.retain(is_needed);
        self.effects.push(Effect::Clear);
        self.room.has_stored = false;
    }
}
