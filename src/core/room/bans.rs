//! The ids and keys that the operator has removed from the room, and that are refused for some time.

use super::Room;
use super::turn::Turn;
use crate::core::event::{Ban, Effect, Row, RowKey};
use crate::core::peer::{Key, PeerId, Time};
use crate::core::refusal::{Code, Refusal};

/// The time for which an id and a key are refused, in milliseconds.
const BAN_MS: u64 = 600_000;
/// The maximum number of bans. Each removal writes all of them in one row of at most 40 KB.
const MAX_BANS: usize = 256;
/// The message for a removed client.
const REMOVED: &str = "the operator of the server has removed this peer from the room, and its id and key \
                       are refused for 10 minutes: ask the operator, or join again later";

/// The bans of a room, oldest first. Each id has at most one ban. A ban that has expired may still be
/// listed, because all bans are erased together.
#[derive(Debug, Default)]
pub(crate) struct Bans {
    bans: Vec<Ban>,
    /// The highest expiry.
    last_expiry: Option<Time>,
}

impl Bans {
    /// Restores the bans from their row.
    pub(crate) fn restore(bans: Vec<Ban>) -> Self {
        let last_expiry = bans.iter().map(|ban| ban.expires_at).max();
        Self { bans, last_expiry }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.bans.is_empty()
    }

    /// Returns the time at which the last ban expires.
    pub(crate) const fn last_expiry(&self) -> Option<Time> {
        self.last_expiry
    }

    fn push(&mut self, now: Time, id: PeerId, mut key: Option<Key>) {
        let mut bans = std::mem::take(self).bans;
        bans.retain(|ban| {
            let is_current = now < ban.expires_at;
            if is_current && ban.id == id {
                // A second removal may find no peer, and so no key.
                key = key.or(ban.key);
            }
            is_current && ban.id != id
        });
        let excess = bans.len().saturating_add(1).saturating_sub(MAX_BANS);
        bans.drain(..excess);
        bans.push(Ban {
            id,
            key,
            expires_at: latest_expiry(now),
        });
        *self = Self::restore(bans);
    }

    /// Limits the expiry of all bans. Returns whether any ban expires earlier now.
    fn limit_expiries(&mut self, latest: Time) -> bool {
        if self.last_expiry.is_none_or(|last| last <= latest) {
            return false;
        }
        for ban in &mut self.bans {
            ban.expires_at = ban.expires_at.min(latest);
        }
        self.last_expiry = Some(latest);
        true
    }
}

impl Room {
    /// Checks that the operator has removed neither the id nor the key of a client.
    pub(super) fn check_ban(
        &self,
        now: Time,
        id: &PeerId,
        key: Option<&Key>,
    ) -> Result<(), Refusal<'static>> {
        let is_same = |ban: &Ban| ban.id == *id || (key.is_some() && ban.key.as_ref() == key);
        let mut bans = self.bans.bans.iter();
        if bans.any(|ban| now < ban.expires_at && is_same(ban)) {
            return Err(Refusal::new(Code::Removed, REMOVED));
        }
        Ok(())
    }
}

impl Turn<'_, '_> {
    /// Refuses an id and a key from now on.
    pub(super) fn ban(&mut self, id: PeerId, key: Option<Key>) {
        self.room.bans.push(self.now, id, key);
        self.store_bans();
    }

    /// Erases all bans when the last one has expired.
    pub(super) fn expire_bans(&mut self) {
        let last_expiry = self.room.bans.last_expiry();
        if last_expiry.is_some_and(|last| last <= self.now) {
            self.room.bans = Bans::default();
            self.effects.push(Effect::Erase(RowKey::Bans));
        }
    }

    /// Limits the expiry of all bans. After the clock went backwards, they would otherwise last for
    /// hours.
    pub(super) fn limit_bans(&mut self) {
        if self.room.bans.limit_expiries(latest_expiry(self.now)) {
            self.store_bans();
        }
    }

    fn store_bans(&mut self) {
        let row = Row::Bans(self.room.bans.bans.clone());
        self.write_row(row);
    }
}

/// Returns the time at which a ban expires that begins now.
const fn latest_expiry(now: Time) -> Time {
    now.plus(BAN_MS).round_up()
}
