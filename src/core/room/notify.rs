//! Notices to peers: sends them to connected peers, and queues them for absent peers.

use super::roster::{Peer, Presence};
use super::turn::{Effects, Turn, push_send, save};
use crate::core::event::Effect;
use crate::core::notice::Notice;
use crate::core::outbox::Delivery;
use crate::core::peer::{PeerId, Seat, Time};
use crate::core::refusal::{Code, Refusal};

/// The time for which a notice on a stream may be in transit, in milliseconds. The outbox keeps a
/// sent notice for the grace period plus this time, because the notice may be in transit when the
/// stream breaks.
const IN_FLIGHT_MS: u64 = 10_000;

impl Peer {
    /// Sends a notice to a connected peer, or queues it for an absent peer. A WebSocket peer gets a
    /// new welcome when it reconnects, so only signals are queued for it.
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
    /// Notifies all peers except one. Returns the ids of the peers whose outbox is full. Connected
    /// WebSocket peers are notified first, then the other peers in seat order.
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

    /// Notifies all peers with a stream and all absent peers, except one.
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

    /// Notifies the sender that its signal is refused. An absent WebSocket peer does not receive
    /// the notice.
    pub(super) fn refuse(&mut self, sender: &PeerId, refusal: Refusal<'a>) {
        let (now, grace) = (self.now, self.room.limits.grace);
        if let Some(sender) = self.room.roster.by_id_mut(sender.as_str()) {
            // If the sender's outbox is full, the refusal is dropped.
            let _ = sender.notify(now, grace, Notice::Refused(refusal), self.effects);
        }
    }
}
