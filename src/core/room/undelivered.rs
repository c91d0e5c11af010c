//! Notices that could not be sent. A signal is queued for its receiver, or refused to its sender.

use super::forward::queue_full;
use super::leave::receiver_left;
use super::roster::Presence;
use super::turn::Turn;
use crate::core::notice::{Notice, RoutedSignal};
use crate::core::number::{GAP, number_of};
use crate::core::peer::Socket;
use crate::core::refusal::{Code, Refusal};

impl<'a> Turn<'_, 'a> {
    /// Handles a notice that could not be sent: disconnects the peer of the failed WebSocket. If
    /// the notice is a signal, it is queued, or refused to its sender.
    #[inline(never)]
    pub(super) fn handle_undelivered(
        &mut self,
        socket: Socket,
        event_id: Option<u64>,
        notice: Notice<'a>,
    ) {
        // A notice with an event id is already in the outbox.
        if let Some(event_id) = event_id {
            return self.unsend(socket, number_of(event_id));
        }
        self.disconnect(socket);
        let Notice::Signal(RoutedSignal { from, to, .. }) = &notice else {
            return;
        };
        let (from, to) = (from.clone(), to.clone());
        let receiver = self.room.roster.by_socket(socket);
        let receiver = receiver.map(|peer| (peer.member.seat, peer.member.id.clone()));
        let refusal = match receiver {
            Some((seat, id)) => match self.notify(seat, notice) {
                Ok(()) => return,
                Err(_) => queue_full(&id),
            },
            None => receiver_left(to.as_ref()),
        };
        let to = to.map(|to| to.to_string().into());
        self.refuse(&from, Refusal { to, ..refusal });
    }

    /// Records that a notice was not sent on a stream, and makes the peer of the stream absent.
    fn unsend(&mut self, socket: Socket, number: u64) {
        // The changes that a reopened stream gets have a number between this one and the last.
        let before = number.saturating_sub(GAP);
        let Some(peer) = self.room.roster.by_socket(socket) else {
            return;
        };
        let seat = peer.member.seat;
        match &mut peer.presence {
            Presence::Connected => self.disconnect_after(socket, before),
            Presence::Absent { sent, .. } if *sent > before => {
                *sent = before;
                self.save(seat);
            }
            Presence::Absent { .. } => {}
        }
    }

    /// Refuses a signal that cannot be encoded for its receiver. Encoding other notices never
    /// fails, because every dialect encodes or omits them.
    #[inline(never)]
    pub(super) fn handle_unencodable(&mut self, posted: bool, notice: Notice<'a>) {
        let Notice::Signal(signal) = notice else {
            return;
        };
        let message = format!(
            "the type `{}` is reserved in the receiver's dialect: choose another type",
            signal.signal_type
        );
        let refusal = Refusal {
            to: signal.to.map(|to| to.to_string().into()),
            ..Refusal::new(Code::ReservedType, message)
        };
        if posted {
            self.reply(Err(refusal));
        } else {
            self.refuse(&signal.from, refusal);
        }
    }
}
