//! Coming in: joining with a socket, or registering and then opening a stream; for the first time,
//! again, or in the place of somebody who showed the same key.

use super::mailbox::Mailbox;
use super::pace::Pace;
use super::roster::{Peer, Presence};
use super::tell::send;
use super::{Effects, Room};
use crate::core::close::Close;
use crate::core::event::{Absent, Effect, Held, Row, RowKey};
use crate::core::member::Member;
use crate::core::notice::{Notice, RoutedSignal};
use crate::core::outbox::{Delivery, Outbox};
use crate::core::peer::{Key, Lock, PeerId, Seat, Socket, Time};
use crate::core::refusal::{Code, Refusal};

/// How long a peer that has registered may take to open its stream, in milliseconds.
pub const REGISTERED: u64 = 30_000;

impl Room {
    /// A socket asks to be a peer.
    pub(super) fn join(
        &mut self,
        now: Time,
        socket: Socket,
        id: PeerId,
        key: Option<Key>,
        effects: &mut Effects<'_>,
    ) {
        let old = match self.claim(&id, key.as_ref()) {
            Ok(old) => old,
            Err(refusal) => return refuse_join(socket, refusal, effects),
        };
        let held = old.map(|old| {
            vacate(&old, effects);
            old.member
        });
        let seat = held.as_ref().map(|old| old.seat);
        let member = Member {
            socket,
            id: id.clone(),
            seat: seat.unwrap_or(self.roster.next_seat()),
            lock: key.into(),
            has_stream: false,
            outbox: Outbox::default(),
        };
        effects.push(Effect::Keep(member.clone()));
        send(vec![socket], self.welcome(&member.id, member.seat), effects);
        self.seat(now, member, Presence::Connected);
        match held {
            // Who is there it has just been told.
            Some(old) => old
                .outbox
                .unsent()
                .filter(|unsent| matches!(unsent.notice, Notice::Signal(_)))
                .for_each(|unsent| send(vec![socket], unsent.notice.clone(), effects)),
            None => {
                self.announce(now, id, effects);
                for waited in hand_over(&mut self.waiting, effects) {
                    send(vec![socket], waited, effects);
                }
            }
        }
    }

    /// Somebody asks to be a peer, and will open a stream.
    #[inline(never)]
    pub(super) fn register(
        &mut self,
        now: Time,
        asker: Socket,
        id: PeerId,
        lock: Lock,
        effects: &mut Effects<'_>,
    ) {
        let shown = match &lock {
            Lock::Locked(key) => Some(key),
            Lock::Open | Lock::Unconfirmed(_) => None,
        };
        let old = match self.claim(&id, shown) {
            Ok(old) => old,
            Err(refusal) => return refuse_join(asker, refusal, effects),
        };
        let new = old.is_none();
        let (seat, mut outbox) = match old {
            Some(old) => {
                // The row of one that was absent is written over below.
                if let Presence::Connected = old.presence {
                    effects.push(Effect::Close(old.member.socket, Close::Replaced));
                }
                (old.member.seat, old.member.outbox)
            }
            None => (self.roster.next_seat(), Outbox::default()),
        };
        outbox.restart(now);
        for waited in new
            .then(|| hand_over(&mut self.waiting, effects))
            .into_iter()
            .flatten()
        {
            // As much as waits fits into an outbox that is empty.
            let _ = outbox.push(now, Delivery::Queued, waited);
        }
        send(vec![asker], self.welcome(&id, seat), effects);
        let member = Member {
            socket: asker,
            id: id.clone(),
            seat,
            lock,
            has_stream: true,
            outbox,
        };
        let until = now.plus(REGISTERED);
        self.seat(now, member.clone(), Presence::Absent(until));
        effects.push(Effect::Store(Row::Absent(Absent { member, until })));
        if new {
            self.announce(now, id, effects);
        }
    }

    /// A registered peer opens its stream.
    #[inline(never)]
    pub(super) fn open(
        &mut self,
        now: Time,
        socket: Socket,
        id: &PeerId,
        key: Option<&Key>,
        last: Option<u64>,
        effects: &mut Effects<'_>,
    ) {
        let seat = match self.registered(id, key, effects) {
            Ok(seat) => seat,
            Err(refusal) => return refuse_join(socket, refusal, effects),
        };
        let Some(Peer { member, .. }) = self.roster.by_seat(seat) else {
            return;
        };
        // A number that was never given is of no stream of this peer: what it wants is a new one.
        let [highest, ..] = member.outbox.numbers();
        let last = last.filter(|last| *last <= highest);
        if last.is_some_and(|last| !member.outbox.resume(now, last)) {
            let message = "this stream was replaced by a newer one of the same peer";
            return refuse_join(socket, Refusal::new(Code::Replaced, message), effects);
        }
        let from = last.unwrap_or_else(|| member.outbox.restart(now));
        let Some(old) = self.roster.remove(seat) else {
            return;
        };
        vacate(&old, effects);
        let mut member = old.member;
        member.socket = socket;
        // A stream that goes on gets again what may have got lost: all that is kept.
        let unsent: Vec<_> = member.outbox.kept().cloned().collect();
        member.outbox.send_all();
        effects.push(Effect::Keep(member.clone()));
        let welcome = self.welcome(&member.id, seat);
        self.seat(now, member, Presence::Connected);
        let unsent = unsent.into_iter().map(|one| (one.number, one.notice));
        for (number, notice) in std::iter::once((from, welcome)).chain(unsent) {
            effects.push(Effect::Send {
                to: vec![socket],
                number: Some(number),
                notice,
            });
        }
    }

    /// Finds the peer with a stream that somebody says it is. A key that was offered is asked for
    /// from the moment on that it is shown.
    pub(super) fn registered(
        &mut self,
        id: &PeerId,
        key: Option<&Key>,
        effects: &mut Effects<'_>,
    ) -> Result<Seat, Refusal<'static>> {
        let known = self.roster.by_id(id.as_str());
        let Some(seat) = known
            .filter(|peer| peer.member.has_stream)
            .map(|peer| peer.member.seat)
        else {
            let message =
                "no peer of this id has registered here, or it has left: POST to /register first";
            return Err(Refusal::new(Code::NotRegistered, message));
        };
        let Some(Peer {
            member, presence, ..
        }) = self.roster.by_seat(seat)
        else {
            return Ok(seat);
        };
        if !member.lock.opens_to(key) {
            return Err(taken());
        }
        if let (Lock::Unconfirmed(offered), Some(_)) = (member.lock, key) {
            member.lock = Lock::Locked(offered);
            let member = member.clone();
            effects.push(match *presence {
                Presence::Connected => Effect::Keep(member),
                Presence::Absent(until) => Effect::Store(Row::Absent(Absent { member, until })),
            });
        }
        Ok(seat)
    }

    /// Finds out whether somebody may be this peer, and if so, takes out the one that was, if there
    /// is one.
    fn claim(&mut self, id: &PeerId, key: Option<&Key>) -> Result<Option<Peer>, Refusal<'static>> {
        let Some(known) = self.roster.by_id(id.as_str()) else {
            if self.roster.len() >= self.limits.peers {
                let message = format!("all {} places in the room are taken", self.limits.peers);
                return Err(Refusal::new(Code::RoomFull, message));
            }
            return Ok(None);
        };
        if !known.member.lock.opens_to(key) {
            return Err(taken());
        }
        Ok(self.roster.remove(known.member.seat))
    }

    fn seat(&mut self, now: Time, member: Member, presence: Presence) {
        self.roster.insert(Peer {
            member,
            presence,
            pace: Pace::new(now),
        });
    }

    /// What a peer on this seat is told first. Who came first is polite.
    fn welcome(&self, id: &PeerId, seat: Seat) -> Notice<'static> {
        let others = self.roster.all().map(|peer| &peer.member);
        let others = others.filter(|other| other.seat != seat);
        Notice::Welcome {
            id: id.clone(),
            room: self.name.clone(),
            peers: others
                .map(|other| (other.id.clone(), seat < other.seat))
                .collect(),
        }
    }

    /// Tells those who are there of a newcomer.
    fn announce(&mut self, now: Time, id: PeerId, effects: &mut Effects<'_>) {
        let known = self.roster.by_id(id.as_str());
        let seat = known.map(|peer| peer.member.seat);
        self.tell_all(now, seat, &Notice::Joined { id, polite: true }, effects);
    }
}

/// Frees the place of a peer for the one that takes it over.
fn vacate(old: &Peer, effects: &mut Effects<'_>) {
    let Member { id, socket, .. } = &old.member;
    effects.push(match old.presence {
        Presence::Connected => Effect::Close(*socket, Close::Replaced),
        Presence::Absent(_) => Effect::Erase(RowKey::Absent(id.clone())),
    });
}

/// Takes out what waited for somebody to join.
fn hand_over(waiting: &mut Mailbox, effects: &mut Effects<'_>) -> Vec<Notice<'static>> {
    let signal = |held: Held| {
        effects.push(Effect::Erase(RowKey::Held(held.number)));
        Notice::Signal(RoutedSignal {
            from: held.from,
            to: None,
            signal_type: held.signal_type.into(),
            payload: held.payload.map(Into::into),
        })
    };
    waiting.take().into_iter().map(signal).collect()
}

fn taken() -> Refusal<'static> {
    let message = "this id is in the room under another key: show that key or choose another id";
    Refusal::new(Code::IdTaken, message)
}

/// Turns somebody away who never became a peer.
pub(super) fn refuse_join(socket: Socket, refusal: Refusal<'static>, effects: &mut Effects<'_>) {
    let close = Close::after(refusal.code);
    send(vec![socket], Notice::Refused(refusal), effects);
    effects.extend(close.map(|close| Effect::Close(socket, close)));
}
