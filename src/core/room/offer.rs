//! The offer that travels with a join. It saves the newcomer a round trip: the offer is sent before the
//! newcomer knows who is in the room.

use super::forward::{Sender, Source};
use super::roster::Presence;
use super::turn::Turn;
use crate::core::event::Signal;
use crate::core::peer::{PeerId, Seat, Socket};
use crate::core::rate_limit::{Decision, RateLimiter};

/// An offer whose receiver is known.
pub(super) struct JoinOffer {
    to: PeerId,
    payload: String,
    decision: Decision,
}

impl JoinOffer {
    /// Returns the receiver, or `None` if the rate limit refuses the offer.
    pub(super) fn receiver(&self) -> Option<PeerId> {
        (self.decision == Decision::Pass).then(|| self.to.clone())
    }
}

impl Turn<'_, '_> {
    /// Finds the receiver of an offer before its sender is in the room, and counts the offer for the rate
    /// limit. Returns `None` if nobody is connected. In a live session, only the media server makes offers.
    #[inline(never)]
    pub(super) fn plan_offer(
        &self,
        payload: String,
        rate_limiter: &mut RateLimiter,
    ) -> Option<JoinOffer> {
        if self.room.live.is_some() || self.room.limits.hides_peers {
            return None;
        }
        let mut peers = self.room.roster.all();
        let first = peers.find(|peer| peer.presence == Presence::Connected)?;
        Some(JoinOffer {
            to: first.member.id.clone(),
            decision: rate_limiter.check(self.now, payload.len()),
            payload,
        })
    }

    /// Forwards or refuses an offer, like a signal that the newcomer sends after its welcome.
    #[inline(never)]
    pub(super) fn forward_offer(&mut self, seat: Seat, socket: Socket, offer: JoinOffer) {
        let signal = Signal {
            to: Some(offer.to.as_str().to_owned().into()),
            signal_type: "offer".into(),
            payload: Some(offer.payload.into()),
            stated_sender: None,
            ack: None,
        };
        if let Some(peer) = self.room.roster.by_seat(seat) {
            let sender = Sender::new(peer, Source::WebSocket(socket, None));
            self.accept_signal(sender, offer.decision, Ok(signal));
        }
    }
}
