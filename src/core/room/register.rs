//! Joins over HTTP: a client registers, then opens an event stream, and can later resume the
//! stream.

use super::admit::registered;
use super::join::release_old;
use super::roster::{Peer, Presence, Roster};
use super::turn::{Effects, Turn, save};
use crate::core::close::Close;
use crate::core::event::{Absent, Effect, Row};
use crate::core::member::Member;
use crate::core::notice::Registered;
use crate::core::outbox::{Delivery, Outbox};
use crate::core::peer::{Key, Lock, PeerId, Socket};
use crate::core::refusal::{Code, Refusal};

/// The time within which a registered peer must open its stream, in milliseconds.
pub const OPEN_STREAM_TIMEOUT_MS: u64 = 30_000;

impl Turn<'_, '_> {
    /// Handles a registration over HTTP. The client opens its stream in a later request.
    #[inline(never)]
    pub(super) fn handle_register(&mut self, socket: Socket, id: PeerId, lock: Lock) {
        let key = match &lock {
            Lock::Locked(key) => Some(key),
            Lock::Open | Lock::Unconfirmed(_) => None,
        };
        let old = match self.take_over(&id, key) {
            Ok(old) => old,
            Err(refusal) => return self.reply(Err(refusal)),
        };
        let is_new = old.is_none();
        let (seat, mut outbox) = match old {
            Some(old) => {
                // The row of an absent peer is not erased, because the new row below overwrites it.
                if let Presence::Connected = old.presence {
                    let close = Effect::Close(old.member.socket, Close::Replaced);
                    self.effects.push(close);
                }
                (old.member.seat, old.member.outbox)
            }
            None => (self.room.roster.next_seat(), Outbox::default()),
        };
        outbox.restart(self.now);
        if is_new {
            for signal in self.take_held() {
                // Held broadcasts and an outbox have the same limits, so every held broadcast fits
                // into the outbox.
                let _ = outbox.push(self.now, Delivery::Queued, signal);
            }
        }
        let peers = self.others(seat);
        let registered = Registered {
            id: id.clone(),
            peers,
        };
        self.reply(Ok(registered));
        let member = Member {
            socket,
            id: id.clone(),
            seat,
            lock,
            has_stream: true,
            outbox,
        };
        let expires_at = self.now.plus(OPEN_STREAM_TIMEOUT_MS);
        self.insert_peer(member.clone(), Presence::Absent(expires_at));
        let row = Row::Absent(Absent { member, expires_at });
        self.effects.push(Effect::Store(row));
        if is_new {
            self.announce(id, seat);
        }
    }

    /// Handles a request to open or resume an event stream.
    #[inline(never)]
    pub(super) fn handle_open(
        &mut self,
        socket: Socket,
        id: &PeerId,
        key: Option<&Key>,
        last: Option<u64>,
    ) {
        let peer = match find_registered(&mut self.room.roster, id, key, self.effects) {
            Ok(peer) => peer,
            Err(refusal) => return self.reply(Err(refusal)),
        };
        let outbox = &mut peer.member.outbox;
        // An event id above the last assigned number is not from this peer's stream. The client
        // then starts a new stream.
        let last = last.filter(|last| *last <= outbox.counters().last);
        if last.is_some_and(|last| !outbox.resume(self.now, last)) {
            let message = format!(
                "a newer stream of `{id}` has replaced this stream: use the newer stream, or open \
                 a stream without `Last-Event-ID`"
            );
            return self.reply(Err(Refusal::new(Code::Replaced, message)));
        }
        let start = last.unwrap_or_else(|| outbox.restart(self.now));
        // Any kept notice may be lost with the old stream, so all kept notices are sent again.
        let notices: Vec<_> = outbox.kept().cloned().collect();
        outbox.send_all();
        let outbox = std::mem::take(outbox);
        let member = Member {
            socket,
            outbox,
            ..peer.member.clone()
        };
        self.effects.push(Effect::Accept(socket));
        release_old(peer, self.effects);
        self.effects.push(Effect::Keep(member.clone()));
        let welcome = self.welcome(id, member.seat);
        self.insert_peer(member, Presence::Connected);
        let notices = notices.into_iter().map(|kept| (kept.number, kept.notice));
        for (number, notice) in std::iter::once((start, welcome)).chain(notices) {
            self.effects.push(Effect::Send {
                to: vec![socket],
                number: Some(number),
                notice,
            });
        }
    }
}

/// Finds a registered peer and checks its key. A key that the server generated becomes mandatory
/// once the client has sent it.
pub(super) fn find_registered<'p>(
    roster: &'p mut Roster,
    id: &PeerId,
    key: Option<&Key>,
    effects: &mut Effects<'_>,
) -> Result<&'p mut Peer, Refusal<'static>> {
    let peer = registered(roster.by_id_mut(id.as_str()), id, key)?;
    if let (Lock::Unconfirmed(made), Some(_)) = (peer.member.lock, key) {
        peer.member.lock = Lock::Locked(made);
        save(peer, effects);
    }
    Ok(peer)
}
