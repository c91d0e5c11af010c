//! Restores a room from what is stored.

use super::Room;
use super::backlog::Backlog;
use super::bans::Bans;
use super::calls::Calls;
use super::changes::Leavers;
use super::early::EarlySignals;
use super::held::HeldBroadcasts;
use super::live::Live;
use super::roster::{Peer, Presence, Roster};
#[cfg(doc)]
use crate::core::event::Event;
use crate::core::event::{Absent, Held, Limits, Notices, Row, RowKey};
use crate::core::live::Stage;
use crate::core::member::{Attached, Member};
use crate::core::outbox::{Entry, Numbered};
use crate::core::peer::{Seat, Time};
use crate::core::rate_limit::RateLimiter;

impl Room {
    /// Restores a room from the members stored with its WebSockets and from its stored rows, in any
    /// order. If there are no members and no rows, the room is new. If there are rows, the caller
    /// then passes [`Event::Wake`] to the room.
    ///
    /// If a peer has both a WebSocket and a row, the row is ignored. A held broadcast expires at
    /// the next event if its sender is not in the room.
    pub fn restore(
        name: &str,
        limits: Limits,
        now: Time,
        members: impl IntoIterator<Item = Attached>,
        rows: impl IntoIterator<Item = Row>,
    ) -> Self {
        let mut room = Self {
            name: name.into(),
            limits,
            roster: Roster::default(),
            backlog: Backlog::default(),
            held: HeldBroadcasts::default(),
            early: EarlySignals::default(),
            next_held: 0,
            leavers: Leavers::default(),
            last_number: 0,
            live: None,
            calls: Calls::default(),
            bans: Bans::default(),
            has_stored: false,
            orphans: Vec::new(),
            sweep_at: None,
            alarm: None,
            knows_alarm: false,
        };
        let (mut held, mut notices) = (Vec::new(), Vec::new());
        for row in rows {
            room.has_stored = true;
            match row {
                Row::Absent(absent) => room.restore_absent(absent, now),
                Row::Held(row) => held.push(row),
                Row::Notices(row) => notices.push(row),
                Row::Leavers(row) => room.leavers = Leavers::restore(row),
                Row::Bans(bans) if bans.is_empty() => room.orphans.push(RowKey::Bans),
                Row::Bans(bans) => room.bans = Bans::restore(bans),
                Row::Live(session) => room.live = Some(Box::new(Live::new(session))),
            }
        }
        for Attached { member, notices } in members {
            let seat = member.seat;
            room.restore_connected(member, now);
            for numbered in notices {
                room.restore_entry(seat, numbered, None);
            }
        }
        notices
            .into_iter()
            .for_each(|row| room.restore_notices(row));
        room.restore_held(held);
        room.restore_counters();
        room.alarm = room.next_expiry();
        // A connected peer whose token expires has an alarm, and no row.
        room.has_stored |= room.alarm.is_some();
        room
    }

    fn restore_absent(&mut self, absent: Absent, now: Time) {
        let Absent {
            member,
            expires_at,
            sent,
        } = absent;
        let rate_limiter = RateLimiter::new(now, &self.limits);
        let presence = Presence::Absent { expires_at, sent };
        self.roster
            .insert(Peer::new(member, presence, rate_limiter));
    }

    fn restore_connected(&mut self, member: Member, now: Time) {
        // The server was killed after the peer had reconnected, and before its row was erased.
        if self.roster.has_absent() && self.roster.by_id(member.id.as_str()).is_some() {
            self.orphans.push(RowKey::Absent(member.id.clone()));
        }
        let rate_limiter = RateLimiter::new(now, &self.limits);
        self.roster
            .insert(Peer::new(member, Presence::Connected, rate_limiter));
    }

    fn restore_entry(&mut self, seat: Seat, numbered: Numbered, row: Option<u64>) {
        let entry = Entry { numbered, row };
        if let Some(peer) = self.roster.by_seat_mut(seat) {
            self.backlog.add(&entry);
            peer.outbox.insert(entry);
        }
    }

    /// Restores the notices of a row for the receivers that still need them.
    fn restore_notices(&mut self, row: Notices) {
        let Notices { key, to, notices } = row;
        self.last_number = self.last_number.max(key);
        let mut is_needed = false;
        for notice in notices {
            for seat in &to {
                let peer = self.roster.by_seat(*seat);
                if peer.is_some_and(|peer| peer.needs(&notice, key)) {
                    is_needed = true;
                    self.restore_entry(*seat, notice.clone(), Some(key));
                }
            }
        }
        if !is_needed {
            self.orphans.push(RowKey::Notices(key));
        }
    }

    fn restore_held(&mut self, mut rows: Vec<Held>) {
        rows.sort_unstable_by_key(|row| row.number);
        for mut row in rows {
            self.next_held = row.number.saturating_add(1);
            if self.roster.by_id(row.from.as_str()).is_none() {
                row.expires_at = Time(0);
            }
            // The rows were within the limits when they were stored, so `push` succeeds again.
            let _ = self.held.push(row);
        }
    }

    /// Restores the highest number and the highest seat from everything that contains one.
    fn restore_counters(&mut self) {
        let mut last = self.last_number;
        let mut known = Seat(0);
        for leaver in self.leavers.iter() {
            last = last.max(leaver.number);
            known = known.max(leaver.seat);
        }
        for peer in self.roster.all() {
            if let Presence::Absent { sent, .. } = peer.presence {
                last = last.max(sent);
            }
            if let Some(media) = &peer.member.media
                && let Stage::Calling { call, until } = media.stage
            {
                last = last.max(call);
                let session = media.session.clone();
                self.calls.restore(call, session, peer.member.seat, until);
            }
            if let Some(stream) = &peer.member.stream {
                last = last.max(stream.opened).max(stream.dropped);
                known = known.max(stream.known_seat);
            }
            let newest = peer.outbox.iter().last();
            last = last.max(newest.map_or(0, |entry| entry.numbered.number));
        }
        self.last_number = last;
        if self.roster.len() > 0 {
            self.roster.reserve(known);
        }
    }
}

impl Peer {
    /// Returns whether a notice in a row, of which the peer is a receiver, is still in its outbox.
    fn needs(&self, notice: &Numbered, key: u64) -> bool {
        match &self.member.stream {
            Some(stream) => {
                // A stream that opens takes all joins and leaves out of the earlier rows.
                let is_taken = notice.notice.is_presence() && key < stream.opened;
                notice.number > stream.dropped && !is_taken
            }
            None => notice.number > self.sent(),
        }
    }
}
