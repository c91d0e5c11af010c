//! The Durable Object: one room, its sockets, and the performing of effects.
//!
//! No handler awaits anything but the body of its own request, so each is one step that nothing else
//! can come between, and nothing keeps the object from sleeping: no timer, no fetch, no stream.

mod http;

use std::cell::RefCell;
use std::collections::BTreeMap;

use worker::wasm_bindgen; // what `durable_object` writes names it
use worker::{
    DurableObject, Env, Error, Request, Response, Result, State, WebSocket,
    WebSocketIncomingMessage, WebSocketPair, WebSocketRequestResponsePair, durable_object,
};

use super::answer::{Cors, HTML, JSON, refuse, respond};
use super::sockets::{CLOSED, Connection, OPEN, end_socket, forget, keep, number, restore, send};
use super::storage::Written;
use super::{find_route, log, now, read_settings, refuse_setting, storage, upgrade};
use crate::close::{self, Answer};
use crate::dialect::Dialect;
use crate::event::{Effect, Event, Notice, Row};
use crate::peer::{PeerId, Socket};
use crate::refusal::Refusal;
use crate::room;
use crate::route::{HttpError, Join, Route};
use crate::settings::{BadSetting, Settings};
use crate::status::Status;

/// The class that wrangler.toml names.
#[durable_object]
pub struct Room {
    state: State,
    settings: std::result::Result<Settings, BadSetting>,
    /// When this value was built, in the form of ISO 8601.
    awake_since: String,
    /// Borrowed only within one handler, and handlers do not overlap.
    live: RefCell<Live>,
}

/// What is in memory while the object is awake.
struct Live {
    room: room::Room,
    sockets: BTreeMap<Socket, Connection>,
    /// Higher than the number of any socket that the platform still lists.
    next_socket: u64,
    /// Whoever waits for an answer right now.
    asker: Option<Asker>,
}

/// A request that is answered by what the room tells it, as if it were a socket.
struct Asker {
    socket: Socket,
    answer: Option<Notice<'static>>,
}

impl DurableObject for Room {
    fn new(state: State, env: Env) -> Self {
        if let Err(error) = answer_pings(&state) {
            log("auto-response", &error.to_string());
        }
        let settings = read_settings(&env);
        let live = Live::restore(&state, settings.as_ref().ok());
        let awake_since = worker::js_sys::Date::new_0().to_iso_string().into();
        Self {
            state,
            settings,
            awake_since,
            live: RefCell::new(live),
        }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let settings = match &self.settings {
            Ok(settings) => settings,
            Err(bad) => return refuse_setting(bad),
        };
        let origin = request.headers().get("Origin")?;
        let cors = Cors::new(settings, origin.as_deref());
        match find_route(&request) {
            Ok(Route::Join(join)) => self.join(join, &request, &cors),
            Ok(Route::Register(peer)) => self.register(peer, &cors),
            Ok(Route::Events { peer, last, .. }) => self.open(peer, last, &request, &cors),
            Ok(Route::Message(peer)) => {
                let body = request.text().await?;
                self.post(peer, &body, &cors)
            }
            Ok(Route::Status { room, html }) => {
                let peers = self.live.borrow().room.peers();
                let status = Status {
                    room: &room,
                    peers,
                    awake_since: &self.awake_since,
                };
                if html {
                    respond(200, HTML, status.html(), &cors)
                } else {
                    respond(200, JSON, status.json(), &cors)
                }
            }
            Ok(Route::Health | Route::Preflight(_) | Route::Ice(_)) => refuse(
                &HttpError::new(404, "not-found", "no room answers this"),
                &cors,
            ),
            Err(error) => refuse(&error, &cors),
        }
    }

    async fn websocket_message(
        &self,
        ws: WebSocket,
        message: WebSocketIncomingMessage,
    ) -> Result<()> {
        // One that was closed by us and does not answer can go on sending.
        if ws.as_ref().ready_state() != OPEN {
            return Ok(());
        }
        let Some((socket, dialect)) = self.find(&ws) else {
            return Ok(());
        };
        let signal = match &message {
            WebSocketIncomingMessage::String(text) => dialect.decode(text),
            WebSocketIncomingMessage::Binary(bytes) => Err(Dialect::refuse_binary(bytes.len())),
        };
        self.handle(Event::Frame { socket, signal });
        Ok(())
    }

    async fn websocket_close(
        &self,
        ws: WebSocket,
        code: usize,
        reason: String,
        was_clean: bool,
    ) -> Result<()> {
        let code = u16::try_from(code).unwrap_or(0);
        // Without our answer the client would wait in vain. It may have given up, too.
        if ws.as_ref().ready_state() != CLOSED {
            let answered = match close::answer(code, was_clean) {
                Answer::Code(code) => ws.close(Some(code), Some(reason)),
                Answer::Empty => ws.close::<&str>(None, None),
                Answer::Nothing => Ok(()),
            };
            if let Err(error) = answered {
                log("close", &error.to_string());
            }
        }
        let Some((socket, dialect)) = self.find(&ws) else {
            return Ok(());
        };
        self.end(socket);
        // Nobody says goodbye over a stream: it breaks.
        self.handle(if close::is_loss(code, was_clean) || dialect.resumes() {
            Event::Lost(socket)
        } else {
            Event::Closed(socket)
        });
        Ok(())
    }

    async fn websocket_error(&self, ws: WebSocket, _: Error) -> Result<()> {
        if let Some((socket, _)) = self.find(&ws) {
            self.end(socket);
            self.handle(Event::Lost(socket));
        }
        Ok(())
    }

    async fn alarm(&self) -> Result<Response> {
        self.handle(Event::Tick);
        Response::empty()
    }
}

impl Room {
    /// Lets a peer in, or says why not.
    fn join(&self, join: Join, request: &Request, cors: &Cors) -> Result<Response> {
        let Join {
            id, key, dialect, ..
        } = join;
        let id = match id {
            Some(id) => id,
            None => random_id()?,
        };
        let event = |socket| Event::Join { socket, id, key };
        self.enter(dialect, event, request, cors)
    }

    /// Lets a new socket in, or says why not. One that is turned away is left to the Worker: one that
    /// the room closed would keep it awake until the client answers, which it may never do.
    fn enter<'a>(
        &self,
        dialect: Dialect,
        event: impl FnOnce(Socket) -> Event<'a>,
        request: &Request,
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
        let connection = Connection {
            socket: pair.server.clone(),
            dialect,
            outside: None,
        };
        live.sockets.insert(socket, connection);
        self.perform_all(effects, live);
        upgrade(pair, request.headers())
    }

    /// Which socket of the room this is, and how it speaks; nothing for one that has ended.
    fn find(&self, ws: &WebSocket) -> Option<(Socket, Dialect)> {
        let socket = number(ws)?;
        let live = self.live.borrow();
        live.sockets
            .get(&socket)
            .map(|connection| (socket, connection.dialect))
    }

    /// A socket is at its end.
    fn end(&self, socket: Socket) {
        if let Some(ended) = self.live.borrow_mut().sockets.remove(&socket)
            && let Err(error) = forget(&self.state, &ended)
        {
            log("forget", &error.to_string());
        }
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

impl Live {
    /// Builds the room again out of what the platform kept: a new one if that is nothing.
    fn restore(state: &State, settings: Option<&Settings>) -> Self {
        let listed = state.as_raw().get_websockets().unwrap_or_default();
        let Written { rows, outside } = storage::read(state).unwrap_or_else(|error| {
            log("restore", &error.to_string());
            Written::default()
        });
        let mut next_socket = 0;
        let mut used = |Socket(number)| next_socket = number.saturating_add(1).max(next_socket);
        let mut sockets = BTreeMap::new();
        let mut members = Vec::new();
        // One that is closing counts, too: that may be just what the object was woken for.
        for ws in listed {
            let Some((member, connection)) = restore(WebSocket::from(ws), &outside) else {
                continue;
            };
            used(member.socket);
            sockets.insert(member.socket, connection);
            members.push(member);
        }
        for row in &rows {
            if let Row::Absent(absent) = row {
                used(absent.member.socket);
            }
        }
        let name = state.id().name().unwrap_or_default();
        // Without settings nothing is let in, so these limits are never used.
        let limits = settings.map(|settings| settings.limits).unwrap_or_default();
        let room = room::Room::restore(&name, limits, now(), members, rows);
        Self {
            room,
            sockets,
            next_socket,
            asker: None,
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
