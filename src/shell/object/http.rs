//! The room's side of the HTTP dialect: requests that it answers, and streams that it feeds.

use worker::Result;
use worker::web_sys::{Headers, Response};

use super::super::answer::{Cors, JSON, refuse, respond};
use super::super::platform::now;
use super::live::Asker;
use super::{Object, random};
use crate::core::event::Event;
use crate::core::notice::Notice;
use crate::core::peer::{Key, Lock, PeerId, Socket};
use crate::dialect::Dialect;
use crate::dialect::http::registered;
use crate::edge::route::{HttpError, HttpPeer, KeyWithSecret};

impl Object {
    /// Lets a peer in that has no socket yet, and tells it who is there. Without a key of its own, it
    /// is given one.
    #[inline(never)]
    pub(super) fn register(&self, peer: HttpPeer, cors: &Cors) -> Result<Response> {
        let HttpPeer { id, key, .. } = peer;
        let (lock, secret) = match key {
            Some(KeyWithSecret { secret, key }) => (Lock::Locked(key), secret),
            None => {
                let secret = PeerId::random(random()?).to_string();
                // It has 32 characters, so it is a key.
                let lock = Key::new(&secret).map_or(Lock::Open, Lock::Unconfirmed);
                (lock, secret)
            }
        };
        match self.ask(|asker| Event::Register { asker, id, lock }) {
            Some(Notice::Welcome { id, peers, .. }) => {
                respond(200, JSON, &registered(&id, &peers, &secret), cors)
            }
            Some(Notice::Refused(refusal)) => refuse(&HttpError::refused(refusal), cors),
            _ => Err("the room did not answer a peer that registers".into()),
        }
    }

    /// Opens a peer's stream, or says why not.
    #[inline(never)]
    pub(super) fn open(
        &self,
        peer: HttpPeer,
        last: Option<u64>,
        headers: &Headers,
        cors: &Cors,
    ) -> Result<Response> {
        let HttpPeer { id, key, .. } = peer;
        let key = key.map(|shown| shown.key);
        let event = |socket| Event::Open {
            socket,
            id,
            key,
            last,
        };
        self.enter(Dialect::Http, event, headers, cors)
    }

    /// Sends a signal, or says why not.
    pub(super) fn post(&self, peer: HttpPeer, body: &str, cors: &Cors) -> Result<Response> {
        let signal = match Dialect::Http.decode(body) {
            Ok(signal) => signal,
            Err(refusal) => return refuse(&HttpError::refused(refusal), cors),
        };
        let HttpPeer { id, key, .. } = peer;
        let key = key.map(|shown| shown.key);
        let answer = self.ask(|asker| Event::Post {
            asker,
            id,
            key,
            signal,
        });
        match answer {
            Some(Notice::Refused(refusal)) => {
                let limits = self.settings.as_ref().map(|settings| settings.limits);
                let limits = limits.unwrap_or_default();
                refuse(&HttpError::refused_by_room(refusal, &limits), cors)
            }
            _ => respond(200, JSON, r#"{"message":"Message sent"}"#, cors),
        }
    }

    /// Lets the room take in what a request asks, does what it says, and answers the first thing that
    /// it told the request.
    fn ask<'a>(&self, event: impl FnOnce(Socket) -> Event<'a>) -> Option<Notice<'static>> {
        let live = &mut *self.live.borrow_mut();
        let socket = Socket(live.next_socket);
        live.next_socket = live.next_socket.saturating_add(1);
        live.asker = Some(Asker {
            socket,
            answer: None,
        });
        let mut effects = Vec::new();
        live.room.handle(now(), event(socket), &mut effects);
        self.perform_all(effects, live);
        live.asker.take().and_then(|asker| asker.answer)
    }
}
