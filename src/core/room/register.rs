//! Joins over HTTP: a client registers, and opens its event stream in a later request.

use super::roster::{Peer, Presence};
use super::turn::Turn;
use crate::core::close::Close;
use crate::core::event::{Effect, Reply};
use crate::core::member::Member;
use crate::core::notice::Registered;
use crate::core::number::GAP;
use crate::core::peer::{Address, Key, Lock, PeerId, Socket, Time};
use crate::core::rate_limit::RateLimiter;
use crate::core::stream::Stream;

/// The time within which a registered peer must open its stream, in milliseconds.
pub const OPEN_STREAM_TIMEOUT_MS: u64 = 30_000;

impl Turn<'_, '_> {
    /// Handles a registration over HTTP. The client opens its stream in a later request.
    #[inline(never)]
    pub(super) fn handle_register(
        &mut self,
        socket: Socket,
        id: PeerId,
        key: Option<&Key>,
        lock: Lock,
        expires_at: Option<Time>,
        address: Option<Address>,
    ) {
        if let Err(refusal) = self.room.check_ban(self.now, &id, key) {
            return self.reply(Err(refusal));
        }
        let old = self.room.roster.by_id(id.as_str());
        let is_new = old.is_none();
        // A WebSocket peer that registers has not opened a stream either.
        let space = match old.and_then(|peer| peer.member.stream.as_ref()) {
            Some(_) => Ok(()),
            None => self.make_place(address),
        };
        let old = match space.and_then(|()| self.take_over(&id, key)) {
            Ok(old) => old,
            Err(refusal) => return self.reply(Err(refusal)),
        };
        let number = self.room.next_number(self.now);
        let member = Member {
            socket,
            id: id.clone(),
            seat: self.room.roster.next_seat(),
            lock,
            stream: Some(Stream {
                registered: number,
                opened: number,
                generation: 0,
                known_seat: self.room.roster.newest_seat(),
                dropped: number,
                address,
            }),
            token_expires_at: expires_at.and_then(|at| at.to_close_at(self.now)),
            media: None,
            meta: None,
        };
        let peer = match old {
            Some(old) => self.register_again(member, old),
            None => Peer::new(
                member,
                self.waiting_for_stream(number),
                RateLimiter::new(self.now, &self.room.limits),
            ),
        };
        let seat = peer.member.seat;
        self.room.roster.insert(peer);
        self.reply(Ok(Reply::Registered(Registered {
            id: id.clone(),
            peers: self.others(&id, seat, false),
        })));
        self.save(seat);
        if is_new {
            for signal in self.take_held() {
                // Held broadcasts and a queue have the same limits, so every held broadcast fits
                // into the queue.
                let _ = self.notify(seat, signal);
            }
            self.announce(id, seat, None);
        }
    }

    /// Returns the presence of a peer that has just registered.
    fn waiting_for_stream(&self, sent: u64) -> Presence {
        Presence::Absent {
            expires_at: self.now.plus(OPEN_STREAM_TIMEOUT_MS).round_up(),
            sent,
        }
    }

    /// Registers a peer that is already in the room. It keeps its seat, its rate limit and its
    /// queued signals.
    fn register_again(&mut self, member: Member, mut old: Peer) -> Peer {
        if let Some(socket) = old.open_socket() {
            self.effects.push(Effect::Close(socket, Close::Replaced));
        }
        // The row of an absent peer is not erased, because the new row overwrites it.
        let number = self.room.next_number(self.now);
        let sent = old.sent().min(number);
        for entry in old.outbox.take_presence() {
            self.erase_if_unused(&entry);
        }
        self.drop_sent(&mut old, sent);
        // The client is a new page, without a connection.
        if let Some(media) = old.member.media.take() {
            self.close_media(*media);
        }
        let mut stream = member.stream;
        if let Some(stream) = &mut stream {
            stream.dropped = sent;
            // The first event of the stream gets a number before the queued signals.
            let first = old.outbox.first().map(|entry| entry.numbered.number);
            stream.registered = first.map_or(number, |first| first.saturating_sub(GAP - 1));
            if let Some(before) = old.member.stream {
                stream.registered = before.registered;
                stream.address = before.address;
                stream.generation = before.generation;
                // A client that resumes the stream from before is refused.
                if before.generation > 0 {
                    stream.restart();
                }
            }
        }
        Peer {
            member: Member {
                seat: old.member.seat,
                stream,
                ..member
            },
            presence: self.waiting_for_stream(sent),
            going_away_until: Time::default(),
            ..old
        }
    }
}
