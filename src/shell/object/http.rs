//! The room's part of the HTTP dialect: registers peers, opens event streams, and handles posted
//! signals.

use worker::web_sys::{Headers, Response};

use super::super::answer::{Cors, JSON, respond};
use super::super::failure::{Error, Failure};
use super::super::http::SIGNED_KEY;
use super::super::platform::{now, random};
use super::super::rate::client_network;
use super::RoomObject;
use super::topics::Core;
use crate::core::event::{Event, Reply};
use crate::core::notice::Registered;
use crate::core::peer::{Address, Key, Lock, PeerId, Socket};
use crate::core::refusal::Refusal;
use crate::dialect::Dialect;
use crate::dialect::http::registered;
use crate::edge::admission::HttpKey;
use crate::edge::route::{HttpError, HttpPeer, KeyWithSecret};

impl RoomObject {
    /// Registers a peer. The response lists the other peers, and contains the key of the peer: the key
    /// that the Worker has signed, that the client has sent, or a random one.
    #[inline(never)]
    pub(super) fn register(
        &self,
        peer: HttpPeer,
        headers: &Headers,
        cors: &Cors,
    ) -> Result<Response, Failure> {
        let address = client_network(headers).map(|network| Address::new(&network));
        let HttpPeer { room, id, key, .. } = peer;
        let sent = self.stored_key(&room, &id, key.as_ref());
        let unconfirmed = |key: Option<Key>| key.map_or(Lock::Open, Lock::Unconfirmed);
        let (sent, lock, secret, expires_at) = match (headers.get(SIGNED_KEY)?, key) {
            (Some(signed), _) => {
                let key = self.signed_key(&room, &id, &signed);
                let stored = key.and_then(|key| key.stored());
                let expires_at = key.map(|key| key.exp).filter(|_| self.closes_expired());
                // The Worker renews a key that it has signed, and ignores every other.
                match sent.filter(|sent| Some(*sent) == stored) {
                    Some(key) => (Some(key), Lock::Locked(key), signed, expires_at),
                    None => (None, unconfirmed(stored), signed, expires_at),
                }
            }
            (None, Some(KeyWithSecret { secret, key })) => {
                (Some(key), Lock::Locked(key), secret, None)
            }
            (None, None) => {
                let secret = PeerId::random(random()?).to_string();
                (None, unconfirmed(Key::new(&secret)), secret, None)
            }
        };
        let socket = self.reserve_socket();
        match self.handle(Event::Register {
            socket,
            id,
            key: sent,
            lock,
            expires_at,
            address,
        }) {
            Some(Ok(Reply::Registered(Registered { id, peers }))) => {
                Ok(respond(200, JSON, &registered(&id, &peers, &secret), cors)?)
            }
            Some(Err(refusal)) => Err(refusal.into()),
            _ => Err(Error::from("the room did not reply to a registering peer").into()),
        }
    }

    /// Returns the hash of a key as the room stores it: for a key that the server has signed, the part
    /// that stays the same when the key is renewed.
    pub(super) fn stored_key(
        &self,
        room: &str,
        id: &PeerId,
        key: Option<&KeyWithSecret>,
    ) -> Option<Key> {
        let KeyWithSecret { secret, key } = key?;
        let signed = self.signed_key(room, id, secret);
        signed.map_or(Some(*key), |signed| signed.stored())
    }

    fn signed_key(&self, room: &str, id: &PeerId, key: &str) -> Option<HttpKey> {
        let settings = self.settings.as_ref().ok()?;
        HttpKey::read(settings.secrets.as_ref()?, key, room, id)
    }

    fn closes_expired(&self) -> bool {
        let settings = self.settings.as_ref();
        settings.is_ok_and(|settings| settings.close_expired)
    }

    /// Accepts the WebSocket that connects a peer's event stream to the room, or refuses the
    /// request.
    #[inline(never)]
    pub(super) fn open(
        &self,
        peer: HttpPeer,
        last: Option<u64>,
        headers: &Headers,
    ) -> Result<Response, Failure> {
        let key = self.stored_key(&peer.room, &peer.id, peer.key.as_ref());
        let id = peer.id;
        let event = Event::Open {
            socket: self.next_socket(),
            id,
            key,
            last,
        };
        self.enter(Dialect::Http, None, event, headers)
    }

    /// Checks whether a peer may post a signal.
    pub(super) fn admits(&self, peer: &HttpPeer) -> Result<(), Refusal<'static>> {
        let key = self.stored_key(&peer.room, &peer.id, peer.key.as_ref());
        match &self.awake.borrow().core {
            Core::Room(room) => room.admits(now(), &peer.id, key.as_ref()),
            // Topics have no peers over HTTP.
            Core::Topics(_) => Ok(()),
        }
    }

    /// Handles a posted signal.
    pub(super) fn post(
        &self,
        peer: HttpPeer,
        body: &str,
        cors: &Cors,
    ) -> Result<Response, Failure> {
        let signal = Dialect::Http.decode(body);
        let key = self.stored_key(&peer.room, &peer.id, peer.key.as_ref());
        let id = peer.id;
        let bytes = body.len();
        let event = Event::Post {
            id,
            key,
            signal,
            bytes,
        };
        if let Some(Err(refusal)) = self.handle(event) {
            let limits = self.settings.as_ref().map(|settings| settings.limits);
            return Err(HttpError::refused_by_room(refusal, &limits.unwrap_or_default()).into());
        }
        Ok(respond(200, JSON, r#"{"message":"Message sent"}"#, cors)?)
    }

    /// Reserves a `Socket` id for a registering peer, which has no WebSocket yet.
    fn reserve_socket(&self) -> Socket {
        let awake = &mut *self.awake.borrow_mut();
        let socket = Socket(awake.next_socket);
        awake.next_socket = awake.next_socket.saturating_add(1);
        socket
    }
}
