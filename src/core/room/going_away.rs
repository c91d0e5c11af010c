//! Pages that go away, and pages that stay after all.
//!
//! Firefox closes a WebSocket with 1001 when a navigation begins, even if the page stays. The peer is
//! therefore absent for a short time.

use super::turn::Turn;
use crate::core::peer::{Lock, Socket, Time};

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
        let short = self.short_grace();
        let (until, expires_at) = (self.now.plus(2 * short), self.now.plus(short).round_up());
        let Some(peer) = self.room.roster.by_socket(socket) else {
            return;
        };
        if !matches!(peer.member.lock, Lock::Locked(_)) {
            return self.handle_closed(socket);
        }
        // A page that stays returns within the first half of this time. If it goes away after all,
        // its new WebSocket can fail without a Close frame.
        peer.going_away_until = until;
        // The WebSocket of an absent peer has failed before this Close frame arrived.
        if peer.expires_at().is_some_and(|at| at > expires_at) {
            let (seat, sent) = (peer.member.seat, peer.sent());
            self.room.roster.set_absent(seat, expires_at, sent);
            self.save(seat);
        }
        self.disconnect(socket);
    }

    /// Returns the grace period of a peer whose page goes away, in milliseconds.
    pub(super) fn short_grace(&self) -> u64 {
        self.room.limits.grace.min(GOING_AWAY_MS)
    }

    /// Returns whether the page of a peer with this
    /// [`going_away_until`](super::roster::Peer::going_away_until) goes away. A time that is further
    /// ahead than any Close frame allows is from before the clock went backwards.
    pub(super) fn is_going_away(&self, until: Time) -> bool {
        self.now < until && until <= self.now.plus(2 * self.short_grace())
    }
}
