//! Notices to peers: sent at once, or queued for a peer that is absent.

use super::roster::{Peer, Presence};
use super::turn::{Effects, Turn, push_send, save};
use crate::core::event::Effect;
use crate::core::notice::Notice;
use crate::core::outbox::Delivery;
use crate::core::peer::{PeerId, Seat, Time};
use crate::core::refusal::{Code, Refusal};

/// How long a notice on a stream may be in flight, in milliseconds. It is kept for this long beyond
/// the grace period, because it may have been in flight when the stream broke.
const IN_FLIGHT_MS: u64 = 10_000;

impl Peer {
    /// Sends a notice, or queues it for an absent peer. A WebSocket peer gets a new welcome when it
    /// reconnects, so only signals are queued for it.
    ///
    /// # Errors
    ///
    /// [`Code::MailboxFull`] if the outbox is full.
    pub(super) fn notify<'a>(
        &mut self,
        now: Time,
        grace: u64,
        notice: Notice<'a>,
        effects: &mut Effects<'a>,
    ) -> Result<(), Code> {
        let member = &mut self.member;
        match self.presence {
            Presence::Connected if !member.has_stream => {
                push_send(vec![member.socket], notice, effects);
            }
            Presence::Connected => {
                let delivery = Delivery::Sent {
                    keep_ms: grace.saturating_add(IN_FLIGHT_MS),
                };
                let kept = notice.clone().into_owned();
                let number = member.outbox.push(now, delivery, kept)?;
                let socket = member.socket;
                save(self, effects);
                effects.push(Effect::Send {
                    to: vec![socket],
                    number: Some(number),
                    notice,
                });
            }
            Presence::Absent(_) if !member.has_stream && !matches!(notice, Notice::Signal(_)) => {}
            Presence::Absent(_) => {
                member
                    .outbox
                    .push(now, Delivery::Queued, notice.into_owned())?;
                save(self, effects);
            }
        }
        Ok(())
    }
}

impl<'a> Turn<'_, 'a> {
    /// Notifies all peers except one, and returns the peers whose outbox is full. Connected WebSocket
    /// peers come first, then the others in seat order.
    pub(super) fn broadcast(&mut self, except: Option<Seat>, notice: &Notice<'a>) -> Vec<PeerId> {
        let (mut sockets, mut others) = (Vec::new(), false);
        for peer in self.room.roster.all() {
            match peer.plain_socket() {
                _ if Some(peer.member.seat) == except => {}
                Some(socket) => sockets.push(socket),
                None => others = true,
            }
        }
        if !sockets.is_empty() {
            self.push_send(sockets, notice.clone());
        }
        if others {
            self.notify_others(except, notice)
        } else {
            Vec::new()
        }
    }

    /// Notifies the peers with a stream and the absent ones.
    #[inline(never)]
    fn notify_others(&mut self, except: Option<Seat>, notice: &Notice<'a>) -> Vec<PeerId> {
        let (now, grace) = (self.now, self.room.limits.grace);
        let mut full = Vec::new();
        for peer in self.room.roster.all_mut() {
            let skipped = Some(peer.member.seat) == except || peer.plain_socket().is_some();
            if !skipped
                && peer
                    .notify(now, grace, notice.clone(), self.effects)
                    .is_err()
            {
                full.push(peer.member.id.clone());
            }
        }
        full
    }

    /// Refuses a signal to its sender. An absent WebSocket peer is not notified.
    pub(super) fn refuse(&mut self, sender: &PeerId, refusal: Refusal<'a>) {
        let (now, grace) = (self.now, self.room.limits.grace);
        if let Some(sender) = self.room.roster.by_id_mut(sender.as_str()) {
            // If its outbox is full, the sender finds enough notices there to see that signals fail.
            let _ = sender.notify(now, grace, Notice::Refused(refusal), self.effects);
        }
    }
}
