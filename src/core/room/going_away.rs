//! Pages that go away, and pages that stay after all.
//!
//! Firefox closes a WebSocket with 1001 when a navigation begins, even if the page stays. The peer is
//! therefore absent for a short time.

use super::turn::Turn;
use crate::core::peer::{Lock, Seat, Socket, Time};

/// The time for which a peer keeps its seat after its page began to go away, in milliseconds. It is
/// long enough for a page that stays to join again: `room.js` waits half a second at most, and then
/// needs four round trips of up to 300 ms, as in slow mobile networks. The others see a page that has
/// really gone for this time, so it is no longer.
const GOING_AWAY_MS: u64 = 2_000;

impl Turn<'_, '_> {
    /// Handles the Close frame of a page that goes away, or that stays after all. A client with a key
    /// can prove that it is the same peer when it returns.
    #[inline(never)]
    pub(super) fn handle_going_away(&mut self, socket: Socket) {
        let until = self.latest_going_away();
        let expires_at = self.now.plus(self.short_grace()).round_up();
        let Some(peer) = self.room.roster.by_socket(socket) else {
            return;
        };
        if !matches!(peer.member.lock, Lock::Locked(_)) {
            return self.handle_closed(socket);
        }
        peer.going_away_until = until;
        // The WebSocket of an absent peer has failed before this Close frame arrived.
        if peer.expires_at().is_some_and(|at| at > expires_at) {
            let (seat, sent) = (peer.member.seat, peer.sent());
            self.room.roster.set_absent(seat, expires_at, sent);
            self.save(seat);
        }
        self.disconnect(socket);
    }

    /// Returns the peer that leaves for a newcomer when the room is full: of the absent peers whose pages
    /// go away, the one that would leave first. After a reload in Firefox, the newcomer is the new page
    /// of the same user. A device keeps its place, because it does not count as a viewer.
    pub(super) fn first_going_away(&self) -> Option<Seat> {
        let absent = self.room.roster.absent();
        absent
            .filter(|peer| {
                self.is_going_away(peer.going_away_until) && !self.is_device(&peer.member.id)
            })
            .min_by_key(|peer| peer.expires_at())
            .map(|peer| peer.member.seat)
    }

    /// Returns the grace period of a peer whose page goes away, in milliseconds.
    pub(super) fn short_grace(&self) -> u64 {
        self.room.limits.grace.min(GOING_AWAY_MS)
    }

    /// Returns whether the page of a peer with this
    /// [`going_away_until`](super::roster::Peer::going_away_until) goes away. A time that is further
    /// ahead than any Close frame allows is from before the clock went backwards.
    pub(super) fn is_going_away(&self, until: Time) -> bool {
        self.now < until && until <= self.latest_going_away()
    }

    /// Returns the end of the time in which a page goes away that has sent its Close frame now. A page
    /// that stays returns within the first half of it. If it goes away after all, its new WebSocket
    /// can fail without a Close frame.
    fn latest_going_away(&self) -> Time {
        let short = self.short_grace();
        self.now.plus(short).plus(short)
    }
}
