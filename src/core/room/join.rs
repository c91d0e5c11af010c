//! Joins over a WebSocket, as a new peer or as an existing peer with the same key.

use std::rc::Rc;

use super::offer::JoinOffer;
use super::roster::{Peer, Presence};
use super::turn::{Effects, Turn};
use crate::core::close::Close;
use crate::core::event::{Effect, Held, Joining, RowKey};
use crate::core::member::{Attached, Member};
use crate::core::notice::{Listed, Notice, RoutedSignal};
use crate::core::peer::{Key, PeerId, Seat};
use crate::core::rate_limit::RateLimiter;
use crate::core::refusal::{Code, Refusal};

/// The maximum size of all metas in a welcome, in bytes. The peers after those are listed without. Otherwise
/// strangers could fill a room of thousands with a welcome that exceeds the limit of unread bytes.
const MAX_META_BYTES: usize = 1024 * 1024;

/// The refusal of a client that moves from a WebSocket that its peer no longer has.
const MOVED: &str = "another connection of this peer has replaced this one: use the other one";

impl Turn<'_, '_> {
    /// Handles a request to join over a WebSocket.
    pub(super) fn handle_join(&mut self, joining: Joining) {
        let Joining {
            socket,
            id,
            key,
            moves,
            expired,
            expires_at,
            meta,
            offer,
        } = joining;
        if let Err(refusal) = self.room.check_ban(self.now, &id, key.as_ref()) {
            return self.reply(Err(refusal));
        }
        if let Some(expired) = expired.filter(|_| !self.holds_seat(&id, key.as_ref())) {
            return self.reply(Err(expired));
        }
        if moves.is_some() && moves != self.room.open_socket_of(&id) {
            return self.reply(Err(Refusal::new(Code::Replaced, MOVED)));
        }
        let mut old = match self.take_over(&id, key.as_ref()) {
            Ok(old) => old,
            Err(refusal) => return self.reply(Err(refusal)),
        };
        self.effects.push(Effect::Accept(socket));
        let mut new = RateLimiter::new(self.now, &self.room.limits);
        let (seat, rate_limiter) = match &mut old {
            Some(old) => {
                release_connection(old, self.effects);
                (old.member.seat, &mut old.rate_limiter)
            }
            None => (self.room.roster.next_seat(), &mut new),
        };
        let offer = offer.and_then(|payload| self.plan_offer(payload, rate_limiter));
        let kept = old.as_ref().and_then(|old| old.member.meta.as_ref());
        let member = Member {
            socket,
            id: id.clone(),
            seat,
            lock: key.into(),
            stream: None,
            token_expires_at: expires_at.and_then(|at| at.to_close_at(self.now)),
            media: old.as_ref().and_then(|old| old.member.media.clone()),
            meta: match (&meta, kept) {
                (Some(empty), Some(kept)) if empty.is_empty() => Some(kept.clone()),
                _ => meta,
            },
        };
        self.effects.push(Effect::Keep(Attached {
            member: member.clone(),
            notices: Vec::new(),
        }));
        let offered = offer.as_ref().and_then(JoinOffer::receiver);
        let welcome = self.welcome(&member, offered);
        self.push_send(vec![socket], welcome);
        match old {
            Some(old) => self.join_again(member, old, moves.is_some()),
            None => {
                let meta = member.shown_meta();
                self.room
                    .roster
                    .insert(Peer::new(member, Presence::Connected, new));
                if self.room.limits.await_peer > 0 {
                    self.send_early(&id, socket);
                }
                self.announce(id, seat, meta);
                for signal in self.take_held() {
                    self.push_send(vec![socket], signal);
                }
                self.tell_state(vec![socket]);
            }
        }
        if let Some(offer) = offer {
            self.forward_offer(seat, socket, offer);
        }
    }

    /// Returns whether a client holds a seat: a peer with this id is in the room, connected or absent,
    /// and has the client's key. Such a client may return although its token has expired.
    fn holds_seat(&self, id: &PeerId, key: Option<&Key>) -> bool {
        let peer = self.room.roster.by_id(id.as_str());
        peer.is_some_and(|peer| peer.member.lock.protects_with(key))
    }

    /// Replaces a peer that is already in the room. It keeps its rate limit, and gets its queued
    /// signals. The welcome lists the current peers, so it needs no other queued notices.
    fn join_again(&mut self, member: Member, mut old: Peer, moves: bool) {
        let (socket, seat) = (member.socket, member.seat);
        let sent = old.sent();
        self.drop_sent(&mut old, sent);
        let queued = self.take_queued(&mut old, sent);
        let absent_until = old.expires_at();
        self.room.roster.insert(Peer {
            member,
            presence: Presence::Connected,
            ..old
        });
        for notice in queued {
            if let Notice::Signal(_) = &*notice {
                self.push_send(vec![socket], Rc::unwrap_or_clone(notice));
            }
        }
        let has_moved = moves && absent_until.is_none();
        if self.room.live.is_some() && !has_moved {
            let after = absent_until.unwrap_or(self.now.plus(self.room.limits.grace));
            self.media_returned(seat, after);
        }
    }

    /// Checks that a client may use this id. Removes the peer that currently has the id, and
    /// returns it.
    pub(super) fn take_over(
        &mut self,
        id: &PeerId,
        key: Option<&Key>,
    ) -> Result<Option<Peer>, Refusal<'static>> {
        let Some(old) = self.room.roster.by_id(id.as_str()) else {
            self.check_capacity(id)?;
            return Ok(None);
        };
        if !old.member.lock.opens_to(key) {
            return Err(id_taken(id));
        }
        let seat = old.member.seat;
        self.drop_outdated(seat);
        Ok(self.room.roster.remove(seat))
    }

    /// Returns the welcome for a peer.
    pub(super) fn welcome(&self, member: &Member, offered: Option<PeerId>) -> Notice<'static> {
        let mut peers = if self.room.limits.hides_peers {
            Vec::new()
        } else {
            self.others(&member.id, member.seat, member.meta.is_some())
        };
        if self.room.live.is_some() {
            // The media server makes all offers, so every peer is polite to it.
            peers.push(Listed {
                id: PeerId::media_server(),
                polite: true,
                meta: None,
            });
        }
        Notice::Welcome {
            id: member.id.clone(),
            room: self.room.name.clone(),
            peers,
            offered,
        }
    }

    /// Returns the peers that are visible to the peer with this id and seat, in seat order. In each pair,
    /// the peer that joined first is polite. `with_meta`: whether the client asks for the meta of the others.
    pub(super) fn others(&self, id: &PeerId, seat: Seat, with_meta: bool) -> Vec<Listed> {
        let members = self.room.roster.all().map(|peer| &peer.member);
        let knows_all = self.room.live.is_none() || self.is_device(id);
        let mut space = if with_meta { MAX_META_BYTES } else { 0 };
        let listed = |other: &Member| {
            let meta = other.shown_meta().and_then(|meta| {
                space = space.checked_sub(meta.len())?;
                Some(meta)
            });
            Listed {
                id: other.id.clone(),
                polite: seat < other.seat,
                meta,
            }
        };
        members
            .filter(|other| other.seat != seat && (knows_all || self.is_device(&other.id)))
            .map(listed)
            .collect()
    }

    /// Notifies the other peers that a peer has joined. Only those that ask for it get its meta.
    pub(super) fn announce(&mut self, id: PeerId, seat: Seat, meta: Option<Rc<str>>) {
        if self.room.limits.hides_peers {
            return;
        }
        let asks = meta.as_ref().map(|_| true);
        let mut notice = Notice::Joined {
            id,
            polite: true,
            seat,
            meta,
        };
        self.broadcast(Some(seat), asks, &notice);
        if asks.is_some()
            && let Notice::Joined { meta, .. } = &mut notice
        {
            *meta = None;
            self.broadcast(Some(seat), Some(false), &notice);
        }
    }

    /// Removes the held broadcasts and returns them as signals.
    pub(super) fn take_held(&mut self) -> Vec<Notice<'static>> {
        let signal = |held: Held| {
            self.effects.push(Effect::Erase(RowKey::Held(held.number)));
            Notice::Signal(RoutedSignal {
                from: held.from,
                to: None,
                signal_type: held.signal_type.into(),
                payload: held.payload.map(Into::into),
            })
        };
        self.room.held.take().into_iter().map(signal).collect()
    }
}

/// Releases the connection of a peer that is taken over: closes its WebSocket, or erases its row if
/// the peer is absent.
pub(super) fn release_connection(old: &Peer, effects: &mut Effects<'_>) {
    let Member { id, socket, .. } = &old.member;
    effects.push(match old.presence {
        Presence::Connected => Effect::Close(*socket, Close::Replaced),
        Presence::Absent { .. } => Effect::Erase(RowKey::Absent(id.clone())),
    });
}

/// Returns the refusal of a client whose key does not match the key of the peer.
pub(super) fn id_taken(id: &PeerId) -> Refusal<'static> {
    let message =
        format!("the id `{id}` is in use with another key: send that key, or choose another id");
    Refusal::new(Code::IdTaken, message)
}
