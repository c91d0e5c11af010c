//! Event streams: a registered peer opens a stream, and resumes it after a break.

use std::rc::Rc;

use super::join::release_connection;
use super::roster::Presence;
use super::turn::Turn;
use crate::core::event::Effect;
use crate::core::notice::{Changes, Notice};
use crate::core::number::{GAP, number_of};
use crate::core::outbox::{Entry, Numbered, kept_bytes};
use crate::core::peer::{Key, PeerId, Seat, Socket};
use crate::core::refusal::{Code, Refusal};

impl Turn<'_, '_> {
    /// Handles a request to open or resume an event stream.
    #[inline(never)]
    pub(super) fn handle_open(
        &mut self,
        socket: Socket,
        id: &PeerId,
        key: Option<&Key>,
        last: Option<u64>,
    ) {
        let (seat, is_confirmed) = match self.find_registered(id, key) {
            Ok(found) => found,
            Err(refusal) => return self.reply(Err(refusal)),
        };
        if let Err(refusal) = self.check_registration(id, seat) {
            if is_confirmed {
                self.save(seat);
            }
            return self.reply(Err(refusal));
        }
        let last_number = self.room.last_number;
        self.drop_outdated(seat);
        let Some(peer) = self.room.roster.by_seat_mut(seat) else {
            return;
        };
        let Some(stream) = &mut peer.member.stream else {
            return;
        };
        // A client that sends an event id from an earlier peer with the same id, or an id that no
        // stream had, starts a new stream.
        let last = last.filter(|last| {
            let number = number_of(*last);
            stream.generation > 0 && stream.registered <= number && number <= last_number
        });
        match last {
            Some(last) if !stream.is_current(last) => {
                if is_confirmed {
                    self.save(seat);
                }
                let message = format!(
                    "a newer stream of `{id}` has replaced this stream: use the newer stream, or \
                     open a stream without `Last-Event-ID`"
                );
                return self.reply(Err(Refusal::new(Code::Replaced, message)));
            }
            Some(last) => self.drop_through(seat, number_of(last)),
            None => stream.restart(),
        }
        self.effects.push(Effect::Accept(socket));
        let mut expires_at = None;
        if let Some(peer) = self.room.roster.by_seat(seat) {
            expires_at = peer.expires_at();
            release_connection(peer, self.effects);
        }
        let got = last.map(number_of);
        let changes = self.take_changes(seat, got);
        let first = self.connect(seat, socket);
        // The numbers of the first two events are before those of the kept notices.
        let last_number = self.room.last_number;
        let start =
            got.unwrap_or_else(|| first.map_or(last_number, |first| first.saturating_sub(GAP - 1)));
        let changes = changes.map(|changes| {
            // Restored notices up to `dropped` count as dropped.
            let next = start.max(self.dropped(seat)).saturating_add(1);
            let number = match first {
                Some(first) if next < first => next.max(first.saturating_sub(GAP - 2)),
                // No notice is kept, or breaks at this point have used all numbers before it.
                _ => self.room.next_number(self.now),
            };
            self.keep_changes(seat, number, &changes);
            (number, Notice::Changes(changes))
        });
        self.save(seat);
        self.send_kept(seat, start, changes);
        if let Some(at) = expires_at
            && self.device_seat() == Some(seat)
        {
            self.plan_device_checks(at);
        }
    }

    /// Connects a peer to the WebSocket of its opened stream. Returns the number of the first kept
    /// notice.
    fn connect(&mut self, seat: Seat, socket: Socket) -> Option<u64> {
        let opened = self.room.next_number(self.now);
        let newest = self.room.roster.newest_seat();
        let mut peer = self.room.roster.remove(seat)?;
        peer.member.socket = socket;
        peer.presence = Presence::Connected;
        if let Some(stream) = &mut peer.member.stream {
            stream.opened = opened;
            stream.known_seat = newest;
        }
        let first = peer.outbox.first().map(|entry| entry.numbered.number);
        self.room.roster.insert(peer);
        first
    }

    /// Sends the kept notices on an opened stream, after a first event with the number `start`. Any
    /// of them may be lost with the old stream, so all are sent again.
    fn send_kept(&mut self, seat: Seat, start: u64, changes: Option<(u64, Notice<'static>)>) {
        let Some(peer) = self.room.roster.by_seat(seat) else {
            return;
        };
        let Some(stream) = &peer.member.stream else {
            return;
        };
        let welcome = self.welcome(&peer.member, None);
        let kept = peer.outbox.iter().map(|entry| &entry.numbered);
        let kept = kept.filter(|kept| !kept.notice.is_presence());
        let kept = kept.map(|kept| (kept.number, (*kept.notice).clone()));
        let mut notices: Vec<_> = kept.collect();
        if let Some((number, changes)) = changes {
            let at = notices.partition_point(|(other, _)| *other < number);
            notices.insert(at, (number, changes));
        }
        for (number, notice) in std::iter::once((start, welcome)).chain(notices) {
            self.effects.push(Effect::Send {
                to: vec![peer.member.socket],
                event_id: Some(stream.event_id(number)),
                notice,
            });
        }
    }

    /// Keeps the changes that an opened stream gets until its client has received them. Their number
    /// is unique only in this outbox, so it cannot name a row.
    fn keep_changes(&mut self, seat: Seat, number: u64, changes: &Changes) {
        let notice = Rc::new(Notice::Changes(Changes {
            joined: Vec::new(),
            ..changes.clone()
        }));
        let bytes = kept_bytes(&notice);
        let peer = self.room.roster.by_seat(seat);
        let fits = peer.is_some_and(|peer| peer.outbox.fits_attachment(bytes));
        let row = (!fits).then(|| self.room.next_number(self.now));
        let numbered = Numbered { number, notice };
        if let Some(key) = row {
            self.store_notices(key, vec![seat], vec![numbered.clone()]);
        }
        let entry = Entry { numbered, row };
        if let Some(peer) = self.room.roster.by_seat_mut(seat) {
            self.room.backlog.add(&entry);
            peer.outbox.insert(entry);
        }
    }

    /// Returns the number through which the notices of a stream were dropped.
    fn dropped(&self, seat: Seat) -> u64 {
        let peer = self.room.roster.by_seat(seat);
        let stream = peer.and_then(|peer| peer.member.stream.as_ref());
        stream.map_or(0, |stream| stream.dropped)
    }

    /// Drops the notices that the client has received.
    fn drop_through(&mut self, seat: Seat, number: u64) {
        while let Some(peer) = self.room.roster.by_seat(seat)
            && let Some(first) = peer.outbox.first()
            && first.numbered.number <= number
        {
            self.drop_first(seat);
        }
    }
}
