//! Telling peers things: those who are there at once, those who are not when they come back, and
//! those with a stream in such a way that they can say how far they got.

use std::borrow::Cow;

use super::roster::{Peer, Presence};
use super::{Effects, Room};
use crate::core::event::{Absent, Effect, Row};
use crate::core::notice::Notice;
use crate::core::outbox::Delivery;
use crate::core::peer::{PeerId, Seat, Socket, Time};
use crate::core::refusal::{Code, Refusal};

/// For how much longer than a peer may be absent a notice that went out to it is kept, in
/// milliseconds: as long as it may have been under way before the break.
const UNDER_WAY: u64 = 10_000;

impl Room {
    /// Tells one peer something. For one that is absent it is held, unless it is one that is told
    /// how things stand when it comes back: then that is enough, but for signals.
    ///
    /// # Errors
    ///
    /// [`Code::MailboxFull`], if no more can be held for it.
    pub(super) fn tell<'a>(
        &mut self,
        now: Time,
        seat: Seat,
        notice: Notice<'a>,
        effects: &mut Effects<'a>,
    ) -> Result<(), Code> {
        let keep = Delivery::Sent {
            keep_ms: self.limits.grace.saturating_add(UNDER_WAY),
        };
        let Some(Peer {
            member, presence, ..
        }) = self.roster.by_seat(seat)
        else {
            return Ok(());
        };
        match *presence {
            Presence::Connected if !member.has_stream => send(vec![member.socket], notice, effects),
            Presence::Connected => {
                let number = member.outbox.push(now, keep, notice.clone().into_owned())?;
                effects.push(Effect::Keep(member.clone()));
                effects.push(Effect::Send {
                    to: vec![member.socket],
                    number: Some(number),
                    notice,
                });
            }
            Presence::Absent(_) if !member.has_stream && !matches!(notice, Notice::Signal(_)) => {}
            Presence::Absent(until) => {
                member
                    .outbox
                    .push(now, Delivery::Queued, notice.into_owned())?;
                let member = member.clone();
                effects.push(Effect::Store(Row::Absent(Absent { member, until })));
            }
        }
        Ok(())
    }

    /// Tells all peers but one something, in seat order, and says for which of them no more can be
    /// held.
    pub(super) fn tell_all<'a>(
        &mut self,
        now: Time,
        but: Option<Seat>,
        notice: &Notice<'a>,
        effects: &mut Effects<'a>,
    ) -> Vec<Seat> {
        let (mut at_once, mut others) = (Vec::new(), Vec::new());
        for peer in self.roster.all() {
            match peer.reached_by() {
                _ if Some(peer.member.seat) == but => {}
                Some(socket) if !peer.member.has_stream => at_once.push(socket),
                _ => others.push(peer.member.seat),
            }
        }
        if !at_once.is_empty() {
            send(at_once, notice.clone(), effects);
        }
        others.retain(|seat| self.tell(now, *seat, notice.clone(), effects).is_err());
        others
    }

    /// Tells the sender of a signal why it goes nowhere; a sender that is away, and not told when it
    /// comes back, is not told.
    pub(super) fn refuse<'a>(
        &mut self,
        now: Time,
        sender: &PeerId,
        code: Code,
        message: &'static str,
        to: Option<Cow<'a, str>>,
        effects: &mut Effects<'a>,
    ) {
        if let Some(sender) = self.roster.by_id(sender.as_str()) {
            let seat = sender.member.seat;
            let refusal = Refusal {
                to,
                ..Refusal::new(code, message)
            };
            // If it has no place for it, it has enough to find out that something is wrong.
            let _ = self.tell(now, seat, Notice::Refused(refusal), effects);
        }
    }
}

/// Sends a notice that is not numbered.
pub(super) fn send<'a>(to: Vec<Socket>, notice: Notice<'a>, effects: &mut Effects<'a>) {
    effects.push(Effect::Send {
        to,
        number: None,
        notice,
    });
}
