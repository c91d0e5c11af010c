//! Signals to peers that are not in the room yet. In rooms of some families, a client may call a peer
//! that is just joining.
//!
//! These signals are kept in memory only, so that a stranger cannot make the room write rows. The room is
//! evicted after ten seconds without an event, when they have expired. The alarm of the next sweep stays
//! when its signals are gone, so that the room sets at most one alarm a second.

use std::borrow::Cow;

use super::turn::Turn;
use crate::core::event::MAX_FRAME;
use crate::core::notice::{Notice, RoutedSignal};
use crate::core::peer::{PeerId, Socket, Time};

/// The maximum number of early signals of one peer.
const MAX_SIGNALS: usize = 16;
/// The maximum size of all early signals in a room, in bytes.
const MAX_BYTES: usize = 256 * 1024;
/// The maximum size of all early signals of one peer, in bytes. The largest signal fits.
const MAX_BYTES_OF_ONE: usize = MAX_FRAME + OVERHEAD;
/// The part of this size that every signal uses, in bytes. It limits the number of short signals.
const OVERHEAD: usize = 128;
/// The types of signals that end a connection. A peer that joins has no connection yet.
const ENDS: [&str; 2] = ["leave", "expire"];

/// A signal to a peer that is not in the room yet.
#[derive(Debug)]
struct EarlySignal {
    signal: RoutedSignal<'static>,
    /// The id of the receiver, as the sender wrote it.
    to: String,
    /// The time at which the sender learns that the receiver has not joined. A whole second.
    expires_at: Time,
}

/// All early signals of a room, oldest first.
#[derive(Debug, Default)]
pub(crate) struct EarlySignals {
    signals: Vec<EarlySignal>,
    /// The sum of the [`size`]s of `signals`.
    bytes: usize,
    /// The time at which expired signals are removed. `None` only if there are no signals.
    sweep_at: Option<Time>,
}

impl EarlySignals {
    /// Returns the time at which expired signals are removed.
    pub(crate) const fn next_expiry(&self) -> Option<Time> {
        self.sweep_at
    }

    /// Limits the expiry of all signals. After the clock went backwards, they would otherwise stay for
    /// hours.
    pub(crate) fn limit_expiries(&mut self, latest: Time) {
        for early in &mut self.signals {
            early.expires_at = early.expires_at.min(latest);
        }
        self.sweep_at = self.sweep_at.map(|at| at.min(latest));
    }

    /// Removes the signals of a peer that leaves.
    pub(crate) fn forget(&mut self, sender: &PeerId) {
        self.take(&|early| early.signal.from == *sender);
    }

    /// Adds a signal. Returns whether it is within the limits.
    fn push(&mut self, early: EarlySignal) -> bool {
        let bytes = self.bytes.saturating_add(size(&early));
        let others = self.signals.iter();
        let same = others.filter(|other| other.signal.from == early.signal.from);
        let sizes = same.clone().map(size);
        let bytes_of_one = sizes.fold(size(&early), usize::saturating_add);
        if bytes > MAX_BYTES || bytes_of_one > MAX_BYTES_OF_ONE || same.count() >= MAX_SIGNALS {
            return false;
        }
        self.bytes = bytes;
        self.sweep_at.get_or_insert(early.expires_at);
        self.signals.push(early);
        true
    }

    /// Removes some of the signals and returns them, oldest first.
    #[inline(never)]
    fn take(&mut self, is_taken: &dyn Fn(&EarlySignal) -> bool) -> Vec<EarlySignal> {
        let mut taken = Vec::new();
        for early in std::mem::take(&mut self.signals) {
            if is_taken(&early) {
                self.bytes = self.bytes.saturating_sub(size(&early));
                taken.push(early);
            } else {
                self.signals.push(early);
            }
        }
        taken
    }
}

impl<'a> Turn<'_, 'a> {
    /// Keeps a signal to a peer that is not in the room yet. If it cannot be kept, its sender learns at
    /// once that the peer is not there.
    #[inline(never)]
    pub(super) fn wait_for_peer(&mut self, to: Cow<'a, str>, signal: RoutedSignal<'a>) {
        if ENDS.contains(&&*signal.signal_type) {
            return;
        }
        let sender = signal.from.clone();
        let early = EarlySignal {
            to: to.clone().into_owned(),
            signal: signal.into_owned(),
            expires_at: self.latest_early_expiry(),
        };
        if !self.room.early.push(early) {
            self.tell_unavailable(&sender, to);
        }
    }

    /// Sends a peer that has joined the signals that were sent to it before.
    #[inline(never)]
    pub(super) fn send_early(&mut self, id: &PeerId, socket: Socket) {
        for early in self.room.early.take(&|early| early.to == id.as_str()) {
            let to = Some(id.clone());
            let signal = RoutedSignal { to, ..early.signal };
            self.push_send(vec![socket], Notice::Signal(signal));
        }
    }

    /// Tells the senders of expired signals that the receivers are not in the room, once for each pair.
    pub(super) fn expire_early(&mut self) {
        let now = self.now;
        if self.room.early.sweep_at.is_none_or(|at| at > now) {
            return;
        }
        let expired = self.room.early.take(&|early| early.expires_at <= now);
        let rest = self.room.early.signals.iter();
        self.room.early.sweep_at = rest.map(|early| early.expires_at).min();
        for (n, early) in expired.iter().enumerate() {
            let is_same = |other: &EarlySignal| {
                other.signal.from == early.signal.from && other.to == early.to
            };
            if !expired.iter().take(n).any(is_same) {
                self.tell_unavailable(&early.signal.from, early.to.clone().into());
            }
        }
    }

    /// Tells a connected peer that the receiver of its signals is not in the room.
    pub(super) fn tell_unavailable(&mut self, sender: &PeerId, peer: Cow<'a, str>) {
        let known = self.room.roster.by_id(sender.as_str());
        if let Some(socket) = known.and_then(|known| known.open_socket()) {
            let to = sender.clone();
            self.push_send(vec![socket], Notice::Unavailable { peer, to });
        }
    }

    /// Returns the time at which a signal expires that arrives now: 5 to 6 seconds later in rooms of
    /// `PeerJS`.
    pub(super) fn latest_early_expiry(&self) -> Time {
        self.now.plus(self.room.limits.await_peer).round_up()
    }
}

/// Returns the size of a signal, in bytes of text, with its part of the memory for each signal.
fn size(early: &EarlySignal) -> usize {
    let signal = &early.signal;
    let payload = signal.payload.as_ref().map_or(0, |payload| payload.len());
    let text = [signal.signal_type.len(), early.to.len(), payload];
    text.into_iter().fold(OVERHEAD, usize::saturating_add)
}
