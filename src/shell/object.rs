//! The Durable Object: one room, its sockets, and the performing of effects.
//!
//! No handler awaits anything but the body of its own request, so each is one step that nothing else
//! can come between, and nothing keeps the object from sleeping: no timer, no fetch, no stream.
//!
//! The class is written by hand, where `worker` has a macro for it, whose handlers are asynchronous:
//! a promise and its settling cost more than all that is done with a signal here. Also, that macro
//! copies each frame into our memory before anybody can ask how long it is.

mod http;
mod live;

use std::cell::RefCell;
use std::rc::Rc;

use worker::js_sys::Date;
use worker::wasm_bindgen::prelude::*;
use worker::web_sys::{Headers, Request, Response, WebSocket};
use worker::worker_sys::DurableObjectState;
use worker::{
    Env, Error, Result, State, WebSocketPair, WebSocketRequestResponsePair, wasm_bindgen,
};

use self::live::Live;
use super::answer::{Answer, Cors, HTML, JSON, refuse, respond, upgrade};
use super::env::settings;
use super::failure::Failure;
use super::log::log;
use super::platform::{self, ORIGIN, header, now};
use super::promise::on_settled_once;
use super::request::find_route;
use super::sockets::{CLOSED, Connection, end_socket, forget, keep, send};
use super::storage;
use crate::core::close;
use crate::core::event::{Effect, Event};
use crate::core::notice::Notice;
use crate::core::peer::{PeerId, Socket};
use crate::core::refusal::Refusal;
use crate::dialect::Dialect;
use crate::edge::BadSetting;
use crate::edge::route::{HttpError, HttpPeer, Join, Route};
use crate::edge::settings::Settings;
use crate::edge::status::Status;

/// The class that wrangler.toml names, as the platform calls it.
#[wasm_bindgen(wasm_bindgen = worker::wasm_bindgen)]
pub struct Room(Rc<Object>);

#[wasm_bindgen(wasm_bindgen = worker::wasm_bindgen)]
impl Room {
    /// The object is needed: for the first time, or after it was evicted.
    #[wasm_bindgen(constructor)]
    pub fn new(state: DurableObjectState, env: Env) -> Self {
        Self(Rc::new(Object::new(state.into(), &env)))
    }

    /// A request, answered at once unless its body must be waited for.
    pub fn fetch(&self, request: Request) -> JsValue {
        let answer = self.0.fetch(&request);
        answer.unwrap_or_else(Answer::failed).into()
    }

    /// A frame of a socket.
    #[wasm_bindgen(js_name = webSocketMessage)]
    pub fn message(&self, ws: WebSocket, message: &JsValue) {
        self.0.message(&ws, message);
    }

    /// The end of a socket.
    #[wasm_bindgen(js_name = webSocketClose)]
    pub fn close(&self, ws: WebSocket, code: u32, reason: &str, was_clean: bool) {
        let code = u16::try_from(code).unwrap_or(0);
        self.0.close(&ws, code, reason, was_clean);
    }

    /// Another end of a socket.
    #[wasm_bindgen(js_name = webSocketError)]
    pub fn error(&self, ws: WebSocket) {
        self.0.ended(&ws, |_| true);
    }

    /// It is time for what was to be done at a time.
    pub fn alarm(&self) {
        self.0.handle(Event::Tick);
    }
}

/// The room and all that it lives among.
struct Object {
    state: State,
    settings: std::result::Result<Rc<Settings>, BadSetting>,
    /// When this value was built.
    awake_since: Date,
    /// Borrowed only within one handler, and handlers do not overlap.
    live: RefCell<Live>,
}

impl Object {
    fn new(state: State, env: &Env) -> Self {
        if let Err(error) = answer_pings(&state) {
            log("auto-response", &error.to_string());
        }
        let settings = settings(env);
        let live = Live::restore(&state, settings.as_deref().ok());
        Self {
            state,
            settings,
            awake_since: Date::new_0(),
            live: RefCell::new(live),
        }
    }

    fn fetch(self: &Rc<Self>, request: &Request) -> Result<Answer> {
        let settings = match &self.settings {
            Ok(settings) => settings,
            Err(bad) => {
                let failure = Failure::from(bad.clone());
                return Ok(Answer::refused(failure, &Cors::default()));
            }
        };
        let headers = request.headers();
        let origin = header(&headers, &ORIGIN)?;
        let cors = Cors::new(settings, origin.as_deref());
        let answer = match find_route(request, &headers) {
            Ok(Route::Join(join)) => self.join(join, &headers, &cors),
            Ok(Route::Register(peer)) => self.register(peer, &cors),
            Ok(Route::Events { peer, last, .. }) => self.open(peer, last, &headers, &cors),
            Ok(Route::Message(peer)) => return self.read(peer, request, cors),
            Ok(Route::Status { room, html }) => self.status(&room, html, &cors),
            Ok(Route::Health | Route::Preflight(_) | Route::Ice(_)) => refuse(
                &HttpError::new(404, "not-found", "no room answers this"),
                &cors,
            ),
            Err(error) => refuse(&error, &cors),
        };
        answer.map(Answer::Now)
    }

    /// Waits for a body, and sends what it says.
    fn read(self: &Rc<Self>, peer: HttpPeer, request: &Request, cors: Cors) -> Result<Answer> {
        let this = Rc::clone(self);
        Ok(on_settled_once(&request.text()?, move |body| {
            let answer = match body.as_string() {
                Some(body) => this.post(peer, &body, &cors),
                None => Err(body.into()),
            };
            answer.map_or_else(Answer::failed, Answer::Now)
        }))
    }

    #[inline(never)]
    fn status(&self, room: &str, html: bool, cors: &Cors) -> Result<Response> {
        let status = Status {
            room,
            peers: self.live.borrow().room.peers(),
            awake_since: &String::from(self.awake_since.to_iso_string()),
        };
        if html {
            respond(200, HTML, &status.html(), cors)
        } else {
            respond(200, JSON, &status.json(), cors)
        }
    }

    fn message(&self, ws: &WebSocket, message: &JsValue) {
        // One that was closed by us and does not answer can go on sending: it is not found.
        let Some((socket, dialect)) = self.find(ws) else {
            return;
        };
        let text = match platform::text(message) {
            Ok(text) => text,
            Err(refusal) => {
                let signal = Err(refusal);
                return self.handle(Event::Frame { socket, signal });
            }
        };
        for signal in dialect.split(&text) {
            let signal = dialect.decode(signal);
            self.handle(Event::Frame { socket, signal });
        }
    }

    fn close(&self, ws: &WebSocket, code: u16, reason: &str, was_clean: bool) {
        // Without our answer the client would wait in vain. It may have given up, too.
        if ws.ready_state() != CLOSED {
            let answered = match close::answer(code, was_clean) {
                close::Answer::Code(code) => ws.close_with_code_and_reason(code, reason),
                close::Answer::Empty => ws.close(),
                close::Answer::Nothing => Ok(()),
            };
            if let Err(error) = answered {
                log("close", &Error::from(error).to_string());
            }
        }
        // Nobody says goodbye over a stream: it breaks.
        self.ended(ws, |dialect| {
            close::is_loss(code, was_clean) || dialect.is_stream()
        });
    }

    /// A socket is at its end; whether its peer may come back can depend on how it spoke.
    fn ended(&self, ws: &WebSocket, is_loss: impl Fn(Dialect) -> bool) {
        let Some((socket, dialect)) = self.find(ws) else {
            return;
        };
        if let Some(ended) = self.live.borrow_mut().sockets.remove(&socket)
            && let Err(error) = forget(&self.state, &ended)
        {
            log("forget", &error.to_string());
        }
        self.handle(if is_loss(dialect) {
            Event::Lost(socket)
        } else {
            Event::Closed(socket)
        });
    }

    /// Lets a peer in, or says why not.
    fn join(&self, join: Join, headers: &Headers, cors: &Cors) -> Result<Response> {
        let Join {
            id, key, dialect, ..
        } = join;
        let id = match id {
            Some(id) => id,
            None => random_id()?,
        };
        let event = |socket| Event::Join { socket, id, key };
        self.enter(dialect, event, headers, cors)
    }

    /// Lets a new socket in, or says why not. One that is turned away is left to the Worker: one that
    /// the room closed would keep it awake until the client answers, which it may never do.
    fn enter<'a>(
        &self,
        dialect: Dialect,
        event: impl FnOnce(Socket) -> Event<'a>,
        headers: &Headers,
        cors: &Cors,
    ) -> Result<Response> {
        let pair = WebSocketPair::new()?;
        let live = &mut *self.live.borrow_mut();
        let socket = Socket(live.next_socket);
        let mut effects = Vec::new();
        live.room.handle(now(), event(socket), &mut effects);
        if let Some(refusal) = turned_away(&mut effects, socket) {
            self.perform_all(effects, live);
            return refuse(&HttpError::refused(refusal), cors);
        }
        // The wrapper of `worker` would panic where this gives an error: at 32,768 sockets.
        if let Err(error) = self.state.as_raw().accept_websocket(pair.server.as_ref()) {
            live.room.handle(now(), Event::Closed(socket), &mut effects);
            self.perform_all(effects, live);
            return Err(error.into());
        }
        live.next_socket = live.next_socket.saturating_add(1);
        let connection = Connection::new(pair.server.as_ref().clone(), socket, dialect, None);
        live.sockets.insert(socket, connection);
        self.perform_all(effects, live);
        upgrade(&pair, headers)
    }

    /// Which socket of the room this is, and how it speaks; nothing for one that has ended.
    fn find(&self, ws: &WebSocket) -> Option<(Socket, Dialect)> {
        let socket = platform::number(ws)?;
        let live = self.live.borrow();
        let known = live.sockets.get(&socket)?;
        // Another may have got the number of one that ended long ago.
        (known.socket == *ws).then_some((socket, known.dialect))
    }

    /// Lets the room take in what happened, and does what it says.
    fn handle(&self, event: Event<'_>) {
        let live = &mut *self.live.borrow_mut();
        let mut effects = Vec::new();
        live.room.handle(now(), event, &mut effects);
        self.perform_all(effects, live);
    }

    /// Performs effects, and what follows from those that could not be done, until there is nothing
    /// more to do. That comes: each round that finds a dead socket leaves one less to send to.
    fn perform_all<'a>(&self, mut effects: Vec<Effect<'a>>, live: &mut Live) {
        while !effects.is_empty() {
            let mut news = Vec::new();
            for effect in effects.drain(..) {
                self.perform(effect, live, &mut news);
            }
            for event in news {
                if let Event::Undelivered { socket, .. } = &event
                    && let Some(dead) = live.sockets.remove(socket)
                    && let Err(error) = forget(&self.state, &dead)
                {
                    log("forget", &error.to_string());
                }
                live.room.handle(now(), event, &mut effects);
            }
        }
    }

    fn perform<'a>(&self, effect: Effect<'a>, live: &mut Live, news: &mut Vec<Event<'a>>) {
        let Live { sockets, asker, .. } = live;
        let done = match effect {
            Effect::Send { to, number, notice } => {
                match asker {
                    Some(asker) if to == [asker.socket] => {
                        asker.answer.get_or_insert_with(|| notice.into_owned());
                    }
                    _ => {
                        let asker = asker.as_ref().map(|asker| asker.socket);
                        send(&to, number, notice, sockets, asker, news);
                    }
                }
                Ok(())
            }
            Effect::Close(socket, close) => match sockets.remove(&socket) {
                Some(connection) => end_socket(&self.state, &connection, close),
                None => Ok(()),
            },
            Effect::Keep(member) => keep(&self.state, member, sockets),
            Effect::Store(row) => storage::store(&self.state, &row),
            Effect::Erase(key) => storage::erase(&self.state, &key),
            Effect::Alarm(at) => storage::set_alarm(&self.state, at),
        };
        if let Err(error) = done {
            log("effect", &error.to_string());
        }
    }
}

/// Lets the platform answer `ping` with `pong` while the room sleeps on. It remembers that, and does
/// not mind being told again.
fn answer_pings(state: &State) -> Result<()> {
    let pair = WebSocketRequestResponsePair::new("ping", "pong")?;
    Ok(state.as_raw().set_websocket_auto_response(&pair)?)
}

/// Takes out of the effects what is for a socket that may not come in.
fn turned_away<'a>(effects: &mut Vec<Effect<'a>>, socket: Socket) -> Option<Refusal<'a>> {
    let place = effects.iter().position(|effect| match effect {
        Effect::Send {
            to,
            notice: Notice::Refused(_),
            ..
        } => *to == [socket],
        _ => false,
    })?;
    let Effect::Send {
        notice: Notice::Refused(refusal),
        ..
    } = effects.remove(place)
    else {
        return None;
    };
    effects.retain(|effect| !matches!(effect, Effect::Close(closed, _) if *closed == socket));
    Some(refusal)
}

fn random_id() -> Result<PeerId> {
    Ok(PeerId::random(random()?))
}

/// 128 bits that nobody can guess.
fn random() -> Result<u128> {
    let mut bytes = [0; 16];
    getrandom::getrandom(&mut bytes).map_err(|error| Error::RustError(error.to_string()))?;
    Ok(u128::from_ne_bytes(bytes))
}
