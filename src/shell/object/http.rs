//! The room's part of the HTTP dialect: registers peers, opens event streams, and handles posted
//! signals.

use worker::Error;
use worker::web_sys::{Headers, Response};

use super::super::answer::{Cors, JSON, respond};
use super::super::failure::Failure;
use super::super::http::{PROOF, SIGNED_KEY};
use super::super::platform::{now, random};
use super::super::rate::client_network;
use super::RoomObject;
use super::topics::Core;
use crate::core::event::{Event, Reply};
use crate::core::notice::Registered;
use crate::core::peer::{Address, Key, Lock, PeerId, Socket, Time};
use crate::core::refusal::Refusal;
use crate::dialect::Dialect;
use crate::dialect::http::registered;
use crate::edge::admission::key_expiry;
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
        // Both of these keys are valid, so `Lock::Open` is never used.
        let unconfirmed = |secret: &str| Key::new(secret).map_or(Lock::Open, Lock::Unconfirmed);
        let (sent, lock, secret, expires_at) = match (headers.get(SIGNED_KEY)?, key) {
            (Some(signed), _) => {
                let proof = headers.get(PROOF)?.and_then(|proof| Key::new(&proof));
                let expires_at = self.closes_at(&signed, &room, &id);
                (proof, unconfirmed(&signed), signed, expires_at)
            }
            (None, Some(KeyWithSecret { secret, key })) => {
                (Some(key), Lock::Locked(key), secret, None)
            }
            (None, None) => {
                let secret = PeerId::random(random()?).to_string();
                (None, unconfirmed(&secret), secret, None)
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

    /// Returns the time at which the streams of a peer are closed, because the token with which it got
    /// this key expires.
    fn closes_at(&self, key: &str, room: &str, id: &PeerId) -> Option<Time> {
        let settings = self.settings.as_ref().ok()?;
        let secrets = settings.secrets.as_ref()?;
        key_expiry(secrets, key, room, id).filter(|_| settings.close_expired)
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
        let HttpPeer { id, key, .. } = peer;
        let key = key.map(|key| key.key);
        let event = |socket| Event::Open {
            socket,
            id,
            key,
            last,
        };
        self.enter(Dialect::Http, event, headers)
    }

    /// Checks whether a peer may post a signal.
    pub(super) fn admits(&self, peer: &HttpPeer) -> Result<(), Refusal<'static>> {
        let key = peer.key.as_ref().map(|key| &key.key);
        match &self.awake.borrow().core {
            Core::Room(room) => room.admits(now(), &peer.id, key),
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
        let HttpPeer { id, key, .. } = peer;
        let key = key.map(|key| key.key);
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
