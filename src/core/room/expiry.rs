//! Tokens that expire: the room closes the WebSockets of their clients, and keeps their seats for the
//! grace period. The clients can return with new tokens.

use super::turn::Turn;
use crate::core::close::Close;
use crate::core::event::Effect;
use crate::core::peer::{PeerId, Seat};
use crate::core::refusal::{Code, Refusal};

impl Turn<'_, '_> {
    /// Closes the WebSockets of the clients whose tokens have expired. Their peers become absent.
    pub(super) fn close_expired(&mut self) {
        for socket in self.room.roster.expired(self.now) {
            self.effects.push(Effect::Close(socket, Close::Expired));
            self.disconnect(socket);
        }
    }

    /// Checks that the token with which a peer registered has not expired. A stream that opened after
    /// that would be closed at once, again and again.
    ///
    /// # Errors
    ///
    /// [`Code::Unauthorized`] if the token has expired.
    pub(super) fn check_registration(
        &self,
        id: &PeerId,
        seat: Seat,
    ) -> Result<(), Refusal<'static>> {
        let peer = self.room.roster.by_seat(seat);
        let expires_at = peer.and_then(|peer| peer.member.token_expires_at);
        if expires_at.is_none_or(|at| self.now < at) {
            return Ok(());
        }
        let message = format!(
            "the token with which `{id}` registered has expired: POST to /register again with a new \
             token"
        );
        Err(Refusal::new(Code::Unauthorized, message))
    }
}
