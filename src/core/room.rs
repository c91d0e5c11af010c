//! The room: who joins and leaves, who is polite to whom, and where a signal goes.
//!
//! [`Room::handle`] takes one [`Event`] and says in [`Effect`]s what is to be done. It reads no
//! clock, draws no random number, knows no dialect and performs nothing.

mod forward;
mod join;
mod mailbox;
mod pace;
mod roster;
mod tell;

use std::rc::Rc;

pub use join::REGISTERED;

use self::mailbox::Mailbox;
use self::pace::Pace;
use self::roster::{Peer, Presence, Roster};
use crate::core::event::{Absent, Effect, Event, Limits, Row, RowKey};
use crate::core::member::Member;
use crate::core::notice::Notice;
use crate::core::peer::{Seat, Socket, Time};
use crate::core::refusal::Code;

/// One room.
#[derive(Debug)]
pub struct Room {
    name: Rc<str>,
    limits: Limits,
    roster: Roster,
    /// What a peer that was alone has sent to all. Empty unless there is just one peer.
    waiting: Mailbox,
    /// Higher than the number of any signal in `waiting`.
    next_held: u64,
    /// The alarm that was asked for last and has not rung: the earliest `until` of all.
    alarm: Option<Time>,
}

/// What is to be done, as it is found out.
type Effects<'a> = Vec<Effect<'a>>;

impl Room {
    /// Builds a room out of what was kept: a new one from nothing, one that slept from its sockets'
    /// members and its rows, in any order. What makes no sense together is dropped, in time.
    pub fn restore(
        name: &str,
        limits: Limits,
        now: Time,
        members: impl IntoIterator<Item = Member>,
        rows: impl IntoIterator<Item = Row>,
    ) -> Self {
        let mut roster = Roster::default();
        let mut seat = |member, presence| {
            let pace = Pace::new(now);
            roster.insert(Peer {
                member,
                presence,
                pace,
            });
        };
        let mut held = Vec::new();
        for row in rows {
            match row {
                Row::Absent(Absent { member, until }) => seat(member, Presence::Absent(until)),
                Row::Held(row) => held.push(row),
            }
        }
        // A socket outweighs a row that says its peer is absent.
        for member in members {
            seat(member, Presence::Connected);
        }
        let mut waiting = Mailbox::default();
        let mut next_held = 0;
        held.sort_unstable_by_key(|held| held.number);
        for mut held in held {
            next_held = held.number.saturating_add(1);
            if roster.by_id(held.from.as_str()).is_none() {
                // Who sent it went without a trace: the next event erases it.
                held.until = Time(0);
            }
            // What fitted before fits again.
            let _ = waiting.push(held);
        }
        let mut room = Self {
            name: name.into(),
            limits,
            roster,
            waiting,
            next_held,
            alarm: None,
        };
        room.alarm = room.next_expiry();
        room
    }

    /// The name of the room.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many peers are in the room, absent ones counted.
    #[must_use]
    pub fn peers(&self) -> usize {
        self.roster.len()
    }

    /// Takes in what happened, and appends what is to be done, in order.
    ///
    /// It is total: no event, however odd or late, is an error or a panic, and one about a socket
    /// that the room does not know, or knows no longer, does nothing.
    ///
    /// What happens rarely is not inlined into it: a Worker that has just started would compile that,
    /// too, before anybody gets an answer.
    pub fn handle<'a>(&mut self, now: Time, event: Event<'a>, effects: &mut Vec<Effect<'a>>) {
        // An alarm that rang must be asked for again, even one that rang early.
        if matches!(event, Event::Tick) {
            self.alarm = None;
        }
        let due = self.alarm.or_else(|| self.next_expiry());
        if due.is_some_and(|due| due <= now) {
            self.expire(now, effects);
        }
        match event {
            Event::Join { socket, id, key } => self.join(now, socket, id, key, effects),
            Event::Register { asker, id, lock } => self.register(now, asker, id, lock, effects),
            Event::Open {
                socket,
                id,
                key,
                last,
            } => self.open(now, socket, &id, key.as_ref(), last, effects),
            Event::Post {
                asker,
                id,
                key,
                signal,
            } => self.post(now, asker, &id, key.as_ref(), signal, effects),
            Event::Frame { socket, signal } => self.frame(now, socket, signal, effects),
            Event::Closed(socket) => {
                let seat = self.roster.by_socket(socket).map(|peer| peer.member.seat);
                seat.into_iter()
                    .for_each(|seat| self.leave(now, seat, effects));
            }
            Event::Lost(socket) => self.lose(now, socket, effects),
            Event::Undelivered {
                socket,
                number,
                notice,
            } => self.undelivered(now, socket, number, notice, effects),
            Event::Unencodable { asker, notice } => self.unencodable(now, asker, notice, effects),
            Event::Tick => {}
        }
        self.set_alarm(effects);
    }

    /// A socket died without a Close frame: its peer is absent, and nobody is told.
    #[inline(never)]
    fn lose(&mut self, now: Time, socket: Socket, effects: &mut Effects<'_>) {
        let Some(peer) = self.roster.by_socket(socket) else {
            return;
        };
        if peer.presence != Presence::Connected {
            return;
        }
        let member = peer.member.clone();
        if self.limits.grace == 0 {
            return self.leave(now, member.seat, effects);
        }
        let until = now.plus(self.limits.grace);
        self.roster.make_absent(member.seat, until);
        effects.push(Effect::Store(Row::Absent(Absent { member, until })));
    }

    /// A peer goes for good: what was held for it is refused, what it had waiting goes with it, and
    /// those who are there are told.
    fn leave<'a>(&mut self, now: Time, seat: Seat, effects: &mut Effects<'a>) {
        let Some(Peer {
            member, presence, ..
        }) = self.roster.remove(seat)
        else {
            return;
        };
        if let Presence::Absent(_) = presence {
            effects.push(Effect::Erase(RowKey::Absent(member.id.clone())));
        }
        for unsent in member.outbox.unsent() {
            if let Notice::Signal(signal) = &unsent.notice {
                let message = "the peer did not come back, and has left";
                let to = Some(member.id.to_string().into());
                self.refuse(now, &signal.from, Code::NoSuchPeer, message, to, effects);
            }
        }
        for held in self.waiting.take() {
            effects.push(Effect::Erase(RowKey::Held(held.number)));
        }
        self.tell_all(now, None, &Notice::Left { id: member.id }, effects);
    }

    /// Does what is due: absent peers leave, and what waited in vain is refused to its sender.
    #[inline(never)]
    fn expire(&mut self, now: Time, effects: &mut Effects<'_>) {
        for held in self.waiting.take_expired(now) {
            effects.push(Effect::Erase(RowKey::Held(held.number)));
            let message = "nobody joined in time to get this signal";
            self.refuse(now, &held.from, Code::NoSuchPeer, message, None, effects);
        }
        let absent = self.roster.absent();
        let gone = absent.filter(|peer| peer.until().is_some_and(|until| until <= now));
        let gone: Vec<_> = gone.map(|peer| peer.member.seat).collect();
        gone.into_iter()
            .for_each(|seat| self.leave(now, seat, effects));
    }

    /// Asks for the alarm that is needed now, if it is not the one asked for before.
    fn set_alarm(&mut self, effects: &mut Effects<'_>) {
        let first = self.next_expiry();
        if self.alarm != first {
            self.alarm = first;
            effects.push(Effect::Alarm(first));
        }
    }

    /// When something is due next.
    fn next_expiry(&self) -> Option<Time> {
        self.roster
            .next_expiry()
            .into_iter()
            .chain(self.waiting.next_expiry())
            .min()
    }
}
