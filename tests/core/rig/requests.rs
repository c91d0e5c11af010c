//! The requests of the Rig over HTTP: of registered clients, of the back end, of the operator, and of the
//! media server.

use partyline::core::admin::AdminRequest;
use partyline::core::event::{Event, Reply};
use partyline::core::live::{LiveRequest, LiveStatus, MediaCall, Outcome, Stage};
use partyline::core::peer::{Address, Lock, PeerId, Socket};
use partyline::core::refusal::Refusal;
use partyline::dialect::Dialect;

use super::{Rig, hash, id as id_of};

impl Rig {
    /// Registers a client over HTTP. Returns the peers in the reply.
    pub(crate) fn register(
        &mut self,
        id: &str,
        key: Option<&str>,
    ) -> Result<Vec<(PeerId, bool)>, Refusal<'static>> {
        self.register_from(None, id, key)
    }

    /// Registers a client at a network address.
    pub(crate) fn register_from(
        &mut self,
        address: Option<&str>,
        id: &str,
        key: Option<&str>,
    ) -> Result<Vec<(PeerId, bool)>, Refusal<'static>> {
        let made = Lock::Unconfirmed(hash("made by the server"));
        let event = Event::Register {
            socket: self.next_socket(),
            id: id_of(id),
            key: key.map(hash),
            lock: key.map_or(made, |key| Lock::Locked(hash(key))),
            expires_at: self.token_expires_at,
            address: address.map(Address::new),
        };
        let reply = self.handle(event).expect("a reply");
        reply.map(|reply| match reply {
            Reply::Registered(registered) => {
                let listed = registered.peers.into_iter();
                listed.map(|peer| (peer.id, peer.polite)).collect()
            }
            other => panic!("{other:?}"),
        })
    }

    /// Opens the stream of a registered peer. If `last` is an event id, the stream is resumed after
    /// that event.
    pub(crate) fn open_stream(
        &mut self,
        id: &str,
        key: Option<&str>,
        last: Option<u64>,
    ) -> Result<Socket, Refusal<'static>> {
        let socket = self.next_socket();
        let event = Event::Open {
            socket,
            id: id_of(id),
            key: key.map(hash),
            last,
        };
        self.world.joining = Some((socket, Dialect::Http));
        match self.handle(event) {
            None => Ok(socket),
            Some(reply) => Err(reply.unwrap_err()),
        }
    }

    /// Posts a signal from a registered peer.
    pub(crate) fn post(
        &mut self,
        id: &str,
        key: Option<&str>,
        body: &str,
    ) -> Result<(), Refusal<'static>> {
        let event = Event::Post {
            id: id_of(id),
            key: key.map(hash),
            signal: Dialect::Http.decode(body),
            bytes: body.len(),
        };
        match self.handle(event) {
            None => Ok(()),
            Some(reply) => Err(reply.unwrap_err()),
        }
    }

    /// Passes a request of the back end to the room.
    pub(crate) fn live(&mut self, request: LiveRequest) -> Result<LiveStatus, Refusal<'static>> {
        let reply = self.handle(Event::Live(request)).expect("a reply");
        reply.map(|reply| match reply {
            Reply::Live(status) => status,
            other => panic!("{other:?}"),
        })
    }

    /// Returns the calls of the media server in progress, oldest first.
    pub(crate) fn calls(&self) -> Vec<(u64, MediaCall)> {
        let calls = self.world.calls.iter();
        calls
            .map(|(call, request)| (*call, request.clone()))
            .collect()
    }

    /// Returns the number of calls so far.
    pub(crate) fn called(&self) -> usize {
        self.world.called
    }

    /// Ends a call of the media server.
    pub(crate) fn end_call(&mut self, call: u64, outcome: Outcome) {
        let request = self.world.calls.remove(&call);
        let request = request.expect("the call is in progress");
        self.world.closes_again |=
            matches!(request, MediaCall::Close { .. }) && outcome != Outcome::Closed;
        self.handle(Event::Called { call, outcome });
    }

    /// Returns the progress of a connected peer's connection to the media server.
    pub(crate) fn stage(&self, socket: Socket) -> Option<Stage> {
        let attached = self.world.members.get(&socket)?;
        Some(attached.member.media.as_deref()?.stage)
    }

    /// Loses all calls in progress, as a restart of the room does.
    pub(crate) fn lose_calls(&mut self) {
        self.world.calls.clear();
    }

    /// Returns whether the room admits a signal from a registered peer, before its body is read.
    pub(crate) fn admits(&self, id: &str, key: Option<&str>) -> Result<(), Refusal<'static>> {
        let key = key.map(hash);
        self.room.admits(self.now, &id_of(id), key.as_ref())
    }

    /// Passes a request of the operator to the room.
    fn admin(&mut self, request: AdminRequest) -> Reply {
        let reply = self.handle(Event::Admin(request)).expect("a reply");
        reply.expect("the room refuses no request of the operator")
    }

    /// Lists the ids of the peers.
    pub(crate) fn list(&mut self) -> Vec<String> {
        match self.admin(AdminRequest::List) {
            Reply::Ids(ids) => ids.iter().map(PeerId::to_string).collect(),
            other => panic!("{other:?}"),
        }
    }

    /// Removes a peer for the operator. Returns the number of removed peers.
    pub(crate) fn remove(&mut self, id: &str) -> usize {
        match self.admin(AdminRequest::Remove(id_of(id))) {
            Reply::Removed(count) => count,
            other => panic!("{other:?}"),
        }
    }

    /// Removes all peers for the operator. Returns the number of removed peers.
    pub(crate) fn remove_all(&mut self) -> usize {
        match self.admin(AdminRequest::Close) {
            Reply::Removed(count) => count,
            other => panic!("{other:?}"),
        }
    }
}
