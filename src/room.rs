//! The room: who joins and leaves, who is polite to whom, and where a signal goes.
//!
//! [`Room::handle`] takes one [`Event`] and says in [`Effect`]s what is to be done. It reads no
//! clock, draws no random number, knows no dialect and performs nothing.

mod forward;
mod mailbox;
mod pace;
mod roster;

use std::borrow::Cow;
use std::rc::Rc;

pub use mailbox::{MAX_HELD, MAX_HELD_BYTES};

use self::mailbox::Mailbox;
use self::pace::Pace;
use self::roster::{Peer, Presence, Roster};
use crate::close::Close;
use crate::event::{Absent, Effect, Event, Forwarded, Held, Limits, Notice, Row, RowKey};
use crate::peer::{Key, Member, PeerId, Seat, Socket, Time};
use crate::refusal::{Code, Refusal};

/// One room.
#[derive(Debug)]
pub struct Room {
    name: Rc<str>,
    limits: Limits,
    roster: Roster,
    /// What a peer that was alone has sent to all. Empty unless there is just one peer.
    waiting: Mailbox,
    /// Higher than the number of any held signal.
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
        let mut held = Vec::new();
        for row in rows {
            match row {
                Row::Absent(Absent { member, until }) => {
                    let mailbox = Mailbox::default();
                    roster.insert(member, Presence::Absent { until, mailbox });
                }
                Row::Held(row) => held.push(row),
            }
        }
        // A socket outweighs a row that says its peer is absent.
        for member in members {
            roster.insert(member, Presence::Here(Pace::new(now)));
        }
        let mut waiting = Mailbox::default();
        let mut next_held = 0;
        held.sort_by_key(|held| held.number);
        for mut held in held {
            next_held = held.number.saturating_add(1);
            let mailbox = held
                .to
                .as_ref()
                .and_then(|to| roster.mailbox_of(to.as_str()));
            // What fitted before fits again.
            let _ = match mailbox {
                Some((_, mailbox)) => mailbox.push(held),
                None => {
                    if held.to.is_some() || roster.by_id(held.from.as_str()).is_none() {
                        // Whom it was for, or who sent it, went without a trace: the next event
                        // erases it.
                        held.until = Time(0);
                    }
                    waiting.push(held)
                }
            };
        }
        let mut room = Self {
            name: name.into(),
            limits,
            roster,
            waiting,
            next_held,
            alarm: None,
        };
        room.alarm = room.first_until();
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
    pub fn handle<'a>(&mut self, now: Time, event: Event<'a>, effects: &mut Vec<Effect<'a>>) {
        // An alarm that rang must be asked for again, even one that rang early.
        if matches!(event, Event::Tick) {
            self.alarm = None;
        }
        let due = self.alarm.or_else(|| self.first_until());
        if due.is_some_and(|due| due <= now) {
            self.expire(now, effects);
        }
        match event {
            Event::Join { socket, id, key } => self.join(now, socket, id, key, effects),
            Event::Frame { socket, signal } => self.frame(now, socket, signal, effects),
            Event::Closed(socket) => {
                let seat = self.roster.by_socket(socket).map(|peer| peer.member.seat);
                seat.into_iter().for_each(|seat| self.leave(seat, effects));
            }
            Event::Lost(socket) => self.lose(now, socket, effects),
            Event::Undelivered(socket, notice) => self.undelivered(now, socket, notice, effects),
            Event::Unspeakable(notice) => self.unspeakable(notice, effects),
            Event::Tick => {}
        }
        self.set_alarm(effects);
    }

    fn join(
        &mut self,
        now: Time,
        socket: Socket,
        id: PeerId,
        key: Option<Key>,
        effects: &mut Effects<'_>,
    ) {
        let Some(known) = self.roster.by_id(id.as_str()) else {
            if self.roster.len() >= self.limits.peers {
                let message = format!("all {} places in the room are taken", self.limits.peers);
                return refuse_join(socket, Refusal::new(Code::RoomFull, message), effects);
            }
            let here = self.roster.present();
            let seat = self.roster.next_seat();
            self.admit(
                now,
                Member {
                    socket,
                    id: id.clone(),
                    seat,
                    key,
                },
                effects,
            );
            tell(here, Notice::Joined { id, polite: true }, effects);
            return hand_over(self.waiting.take(), socket, effects);
        };
        if known.member.key.is_some() && known.member.key != key {
            let message =
                "this id is in the room under another key: show that key or choose another id";
            return refuse_join(socket, Refusal::new(Code::IdTaken, message), effects);
        }
        let (seat, old) = (known.member.seat, known.member.socket);
        let held = match self.roster.remove(seat) {
            Some(Peer {
                presence: Presence::Absent { mut mailbox, .. },
                ..
            }) => {
                effects.push(Effect::Erase(RowKey::Absent(id.clone())));
                mailbox.take()
            }
            _ => {
                effects.push(Effect::Close(old, Close::Replaced));
                Vec::new()
            }
        };
        self.admit(
            now,
            Member {
                socket,
                id,
                seat,
                key,
            },
            effects,
        );
        hand_over(held, socket, effects);
    }

    /// Gives a peer its seat and tells it who else is there.
    fn admit(&mut self, now: Time, member: Member, effects: &mut Effects<'_>) {
        let Member {
            socket, id, seat, ..
        } = member.clone();
        let others = self.roster.all().map(|Peer { member, .. }| member);
        // Who came first is polite.
        let peers = others
            .map(|other| (other.id.clone(), seat < other.seat))
            .collect();
        effects.push(Effect::Keep(member.clone()));
        self.roster.insert(member, Presence::Here(Pace::new(now)));
        tell(
            vec![socket],
            Notice::Welcome {
                id,
                room: self.name.clone(),
                peers,
            },
            effects,
        );
    }

    /// A socket died without a Close frame: its peer is absent, and nobody is told.
    fn lose(&mut self, now: Time, socket: Socket, effects: &mut Effects<'_>) {
        let Some(Peer {
            member,
            presence: Presence::Here(_),
        }) = self.roster.by_socket(socket)
        else {
            return;
        };
        let member = member.clone();
        if self.limits.grace == 0 {
            return self.leave(member.seat, effects);
        }
        let until = now.plus(self.limits.grace);
        self.roster.make_absent(member.seat, until);
        effects.push(Effect::Store(Row::Absent(Absent { member, until })));
    }

    /// A peer goes for good: what was held for it is refused, what it had waiting goes with it, and
    /// those who are there are told.
    fn leave(&mut self, seat: Seat, effects: &mut Effects<'_>) {
        let Some(Peer { member, presence }) = self.roster.remove(seat) else {
            return;
        };
        if let Presence::Absent { mut mailbox, .. } = presence {
            effects.push(Effect::Erase(RowKey::Absent(member.id.clone())));
            for held in mailbox.take() {
                effects.push(Effect::Erase(RowKey::Held(held.number)));
                let message = "the peer did not come back, and has left";
                let to = Some(Cow::Owned(member.id.to_string()));
                self.refuse(&held.from, Code::NoSuchPeer, message, to, effects);
            }
        }
        for held in self.waiting.take() {
            effects.push(Effect::Erase(RowKey::Held(held.number)));
        }
        tell(
            self.roster.present(),
            Notice::Left { id: member.id },
            effects,
        );
    }

    /// Does what is due: absent peers leave, and what waited in vain is refused to its sender.
    fn expire(&mut self, now: Time, effects: &mut Effects<'_>) {
        for held in self.waiting.take_expired(now) {
            effects.push(Effect::Erase(RowKey::Held(held.number)));
            let message = "nobody joined in time to get this signal";
            self.refuse(&held.from, Code::NoSuchPeer, message, None, effects);
        }
        let absent = self.roster.absent();
        let gone = absent.filter(|peer| peer.until().is_some_and(|until| until <= now));
        let gone: Vec<_> = gone.map(|peer| peer.member.seat).collect();
        gone.into_iter().for_each(|seat| self.leave(seat, effects));
    }

    /// Asks for the alarm that is needed now, if it is not the one asked for before.
    fn set_alarm(&mut self, effects: &mut Effects<'_>) {
        let first = self.first_until();
        if self.alarm != first {
            self.alarm = first;
            effects.push(Effect::Alarm(first));
        }
    }

    /// When something is due next.
    fn first_until(&self) -> Option<Time> {
        self.roster
            .first_until()
            .into_iter()
            .chain(self.waiting.first_until())
            .min()
    }
}

/// Adds the sending of one notice to some sockets, unless there are none.
fn tell<'a>(to: Vec<Socket>, notice: Notice<'a>, effects: &mut Effects<'a>) {
    if !to.is_empty() {
        effects.push(Effect::Send { to, notice });
    }
}

/// Gives what was held to the one it was held for.
fn hand_over(held: Vec<Held>, socket: Socket, effects: &mut Effects<'_>) {
    for Held {
        number,
        from,
        to,
        kind,
        payload,
        ..
    } in held
    {
        effects.push(Effect::Erase(RowKey::Held(number)));
        let (kind, payload) = (kind.into(), payload.map(Cow::Owned));
        tell(
            vec![socket],
            Notice::Signal(Forwarded {
                from,
                to,
                kind,
                payload,
            }),
            effects,
        );
    }
}

/// Turns a socket away that never became a peer.
fn refuse_join(socket: Socket, refusal: Refusal<'static>, effects: &mut Effects<'_>) {
    let close = refusal.code.close();
    tell(vec![socket], Notice::Refused(refusal), effects);
    effects.extend(close.map(|close| Effect::Close(socket, close)));
}
