//! The requests of the operator: to list the peers, to remove one, or to remove all.

use super::turn::Turn;
use crate::core::admin::AdminRequest;
use crate::core::close::Close;
use crate::core::event::{Effect, Reply};
use crate::core::peer::PeerId;

impl Turn<'_, '_> {
    /// Handles a request of the operator.
    #[inline(never)]
    pub(super) fn handle_admin(&mut self, request: AdminRequest) {
        let reply = match request {
            AdminRequest::List => {
                let peers = self.room.roster.all();
                Reply::Ids(peers.map(|peer| peer.member.id.clone()).collect())
            }
            AdminRequest::Remove(id) => Reply::Removed(self.remove_and_ban(id)),
            AdminRequest::Close => Reply::Removed(self.remove_all(Close::Removed)),
        };
        self.reply(Ok(reply));
    }

    /// Removes the peer with this id, and refuses its id and key for some time. Returns the number of
    /// removed peers. If no peer has the id, the id is refused nevertheless.
    fn remove_and_ban(&mut self, id: PeerId) -> usize {
        let Some(peer) = self.room.roster.by_id(id.as_str()) else {
            self.ban(id, None);
            return 0;
        };
        let (seat, key) = (peer.member.seat, peer.member.lock.key());
        if let Some(socket) = peer.open_socket() {
            self.effects.push(Effect::Close(socket, Close::Removed));
        }
        self.leave(seat);
        self.ban(id, key);
        1
    }
}
