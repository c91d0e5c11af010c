//! Notices to peers: sends them to connected peers, and queues them for absent peers.

use super::roster::{Peer, Presence};
use super::turn::Turn;
use crate::core::notice::Notice;
use crate::core::peer::{PeerId, Seat};
use crate::core::refusal::{Code, Refusal};

impl<'a> Turn<'_, 'a> {
    /// Sends a notice to a connected peer, or queues it for an absent peer. An absent peer learns of
    /// joins and leaves when it reconnects, and an absent WebSocket peer also of refusals, so these
    /// notices are not queued.
    ///
    /// # Errors
    ///
    /// [`Code::MailboxFull`] if no more notices can be kept for the peer.
    pub(super) fn notify(&mut self, seat: Seat, notice: Notice<'a>) -> Result<(), Code> {
        let Some(peer) = self.room.roster.by_seat(seat) else {
            return Ok(());
        };
        if let Some(socket) = peer.plain_socket() {
            self.push_send(vec![socket], notice);
            return Ok(());
        }
        let is_absent = peer.presence != Presence::Connected;
        let is_signal = is_queued_signal(&notice);
        let queued = is_signal || (peer.member.stream.is_some() && !notice.is_presence());
        if is_absent && !queued {
            return Ok(());
        }
        if self.deliver(&[seat], &notice).is_empty() {
            Ok(())
        } else {
            Err(Code::MailboxFull)
        }
    }

    /// Notifies all peers except one. Returns the seats of the peers for which the notice cannot be
    /// kept. Connected WebSocket peers are notified first, then the other peers.
    /// `asks`: notifies only the peers that ask for the meta of others, or only those that do not.
    pub(super) fn broadcast(
        &mut self,
        except: Option<Seat>,
        asks: Option<bool>,
        notice: &Notice<'a>,
    ) -> Vec<Seat> {
        if self.room.live.is_some() && self.is_about_viewer(notice) {
            return self.notify_device(asks, notice);
        }
        let is_signal = matches!(notice, Notice::Signal(_));
        let (mut sockets, mut others) = (Vec::new(), Vec::new());
        let sort = |peer: &Peer| match peer.plain_socket() {
            _ if Some(peer.member.seat) == except => {}
            Some(socket) => sockets.push(socket),
            None if is_signal || peer.presence == Presence::Connected => {
                others.push(peer.member.seat);
            }
            None => {}
        };
        match asks {
            None => self.room.roster.all().for_each(sort),
            Some(asks) => (self.room.roster.all())
                .filter(|peer| asks == peer.member.meta.is_some())
                .for_each(sort),
        }
        if !sockets.is_empty() {
            self.push_send(sockets, notice.clone());
        }
        if others.is_empty() {
            return Vec::new();
        }
        self.deliver(&others, notice)
    }

    /// Notifies the device, which is the only peer that learns of a viewer. Returns its seat if the
    /// notice cannot be kept for it.
    #[inline(never)]
    fn notify_device(&mut self, asks: Option<bool>, notice: &Notice<'a>) -> Vec<Seat> {
        let Some(seat) = self.device_seat() else {
            return Vec::new();
        };
        let device = self.room.roster.by_seat(seat);
        let has_asked = device.is_some_and(|device| device.member.meta.is_some());
        if asks.is_some_and(|asks| asks != has_asked) {
            return Vec::new();
        }
        match self.notify(seat, notice.clone()) {
            Ok(()) => Vec::new(),
            Err(_) => vec![seat],
        }
    }

    /// Notifies the sender that its signal is refused. An absent WebSocket peer does not receive
    /// the notice.
    pub(super) fn refuse(&mut self, sender: &PeerId, refusal: Refusal<'a>) {
        if self.room.limits.await_peer > 0
            && let (Code::NoSuchPeer, Some(to)) = (refusal.code, refusal.to.clone())
        {
            return self.tell_unavailable(sender, to);
        }
        if let Some(sender) = self.room.roster.by_id(sender.as_str()) {
            let seat = sender.member.seat;
            // If the sender's outbox is full, the refusal is dropped.
            let _ = self.notify(seat, Notice::Refused(refusal));
        }
    }
}

/// Returns whether a notice is a signal that is queued for an absent WebSocket peer. An offer of the
/// media server is made again when the peer returns.
fn is_queued_signal(notice: &Notice<'_>) -> bool {
    matches!(notice, Notice::Signal(signal) if !signal.from.is_media_server())
}
