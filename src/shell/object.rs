//! The Durable Object of one room and one family, with its WebSockets and the handlers that the platform calls.
//!
//! A handler awaits only the body of its own request, for at most ten seconds. Handlers therefore
//! never interleave. Besides, a call of the media server keeps the object in memory, for at most ten
//! seconds. No other timer, fetch or stream prevents its hibernation.
//!
//! The `worker` crate has a macro for Durable Object classes, but the handlers that the macro
//! generates are asynchronous. Creating and settling a promise costs more than handling a signal.
//! The macro also copies each frame into WebAssembly memory before the handler can check the
//! length.

mod admin;
mod awake;
mod heartbeat;
mod http;
mod live;
mod topics;
mod transport;

use std::cell::RefCell;
use std::rc::Rc;

use worker::js_sys::Date;
use worker::wasm_bindgen::prelude::*;
use worker::web_sys::{Headers, Request, Response, WebSocket};
use worker::worker_sys::DurableObjectState;
use worker::{Env, State, wasm_bindgen};

use self::awake::AwakeRoom;
use self::heartbeat::set_auto_response;
use self::transport::{Joining, ObjectTransport};
use super::answer::{Answer, Cors, respond_status, upgrade};
use super::body::{self, Bodies};
use super::env::settings;
use super::failure::{Error, Failure};
use super::log::log;
use super::media::{MediaCalls, MediaClient};
use super::platform::{self, WebSocketPair, now, random};
use super::request::{admit, find_route};
use super::sockets::{CLOSED, forget};
use crate::core::close;
use crate::core::event::{self, Event, MAX_FRAME, Reply};
use crate::core::peer::{PeerId, Socket};
use crate::core::refusal::Refusal;
use crate::core::topics::groups::Group;
use crate::dialect::Dialect;
use crate::dialect::family::Family;
use crate::edge::BadSetting;
use crate::edge::admission::Admission;
use crate::edge::route::{HttpError, Join, Route, read_offer};
use crate::edge::settings::Settings;
use crate::edge::status::{RoomFacts, Status};

/// The Durable Object class that `wrangler.toml` names. The platform calls its methods.
#[wasm_bindgen(wasm_bindgen = worker::wasm_bindgen)]
pub struct Room(RoomObject);

#[wasm_bindgen(wasm_bindgen = worker::wasm_bindgen)]
impl Room {
    /// Creates the object: for a new room, after hibernation or eviction, and after a trap
    /// (`is_restart`). `calls` are the requests of this room to the media server.
    #[wasm_bindgen(constructor)]
    pub fn new(state: DurableObjectState, env: Env, is_restart: bool, calls: MediaCalls) -> Self {
        let object = RoomObject::new(state.into(), &env, calls);
        if is_restart {
            object.awake.borrow().close_streams();
        }
        Self(object)
    }

    /// Handles a request. Returns a promise of the body of a posted signal, and a response to every
    /// other request.
    pub fn fetch(&self, request: Request) -> JsValue {
        self.0.answer(&request, None)
    }

    /// Handles a posted signal after its body has arrived.
    pub fn post(&self, request: Request, body: &JsValue) -> JsValue {
        self.0.answer(&request, Some(body))
    }

    /// Handles a frame from a WebSocket.
    #[wasm_bindgen(js_name = webSocketMessage)]
    pub fn message(&self, ws: WebSocket, message: &JsValue) {
        self.0.handle_message(&ws, message);
    }

    /// Handles a Close frame from a client, or the loss of a connection.
    #[wasm_bindgen(js_name = webSocketClose)]
    pub fn close(&self, ws: WebSocket, code: u32, reason: &str, was_clean: bool) {
        let code = u16::try_from(code).unwrap_or(0);
        self.0.handle_close(&ws, code, reason, was_clean);
    }

    /// Handles an error of a WebSocket, which counts as the loss of its connection.
    #[wasm_bindgen(js_name = webSocketError)]
    pub fn error(&self, ws: WebSocket) {
        self.0.handle_end(&ws, |_| Event::Lost);
    }

    /// Handles the end of a call of the media server. `status`: the status of the reply, or 0 if there
    /// is none, and `body` then contains the cause.
    pub fn called(&self, context: &str, status: u16, body: &str) {
        self.0.handle_called(context, status, body);
    }

    /// Handles an alarm: removes expired peers and broadcasts.
    pub fn alarm(&self) {
        self.0.handle(Event::Tick);
    }
}

/// The state of [`Room`].
struct RoomObject {
    state: State,
    settings: Result<Rc<Settings>, BadSetting>,
    /// The time at which the object was loaded into memory.
    awake_since: Date,
    /// The restored room. Handlers never interleave, and no borrow outlives a handler, so borrowing
    /// never fails.
    awake: RefCell<AwakeRoom>,
    bodies: Bodies,
    media: MediaClient,
}

impl RoomObject {
    fn new(state: State, env: &Env, calls: MediaCalls) -> Self {
        let name = state.id().name().unwrap_or_default();
        let (family, room) = Family::of_object(&name);
        if let Err(error) = set_auto_response(&state, family) {
            log("auto-response", &error.to_string());
        }
        let settings = settings(env);
        let media = MediaClient::new(calls, settings.as_ref().ok().cloned());
        let awake = AwakeRoom::restore(&state, room, family, settings.as_deref().ok(), &media);
        Self {
            state,
            settings,
            awake_since: Date::new_0(),
            awake: RefCell::new(awake),
            bodies: Bodies::new(),
            media,
        }
    }

    /// Answers a request. `body`: the body of a posted signal, once it has arrived.
    fn answer(&self, request: &Request, body: Option<&JsValue>) -> JsValue {
        let headers = request.headers();
        let cors = Cors::new(self.settings.as_deref().ok(), &headers);
        self.handle_request(request, &headers, body, &cors)
            .unwrap_or_else(|failure| Answer::refused(failure, &cors))
            .into()
    }

    fn handle_request(
        &self,
        request: &Request,
        headers: &Headers,
        body: Option<&JsValue>,
        cors: &Cors,
    ) -> Result<Answer, Failure> {
        self.settings.as_ref().map_err(Clone::clone)?;
        let route = match find_route(request, headers) {
            Ok(route) => route,
            // The Worker forwards no unknown path, so it has sent this request itself.
            Err(error) => {
                let url = request.url();
                let response = self.live(&url, cors).or_else(|| self.admin(&url, cors));
                return Ok(response.ok_or(error)??.into());
            }
        };
        let response = match route {
            Route::Join(join) => self.join(join, headers)?,
            Route::Register(peer) => self.register(peer, headers, cors)?,
            Route::Events { peer, last, .. } => self.open(peer, last, headers)?,
            Route::Message(peer) => match body {
                // The peer may have left since the last check, so the room checks it again.
                Some(body) => self.post(peer, &body::text(body, MAX_FRAME)?, cors)?,
                None => {
                    self.admits(&peer)?;
                    let body = self.bodies.read(request, peer.id.as_str(), MAX_FRAME);
                    return Ok(Answer::Later(body));
                }
            },
            Route::Status {
                room, family, html, ..
            } => self.status(&room, family, html, cors)?,
            Route::Health
            | Route::Rejected(..)
            | Route::NewId { .. }
            | Route::Preflight(_)
            | Route::Ice(_)
            | Route::Live(_)
            | Route::Admin(_)
            | Route::Engine(_) => {
                let message = "a room does not serve this path: expected the path of a room or a \
                     peer. Send the request to the Worker";
                return Err(HttpError::new(404, "not-found", message).into());
            }
        };
        Ok(response.into())
    }

    #[inline(never)]
    fn status(
        &self,
        room: &str,
        family: Option<Family>,
        html: bool,
        cors: &Cors,
    ) -> Result<Response, Failure> {
        let status = Status {
            room,
            family,
            room_facts: Some(RoomFacts {
                peers: self.awake.borrow().core.clients(),
                awake_since: &String::from(self.awake_since.to_iso_string()),
            }),
        };
        Ok(respond_status(&status, html, cors)?)
    }

    fn handle_message(&self, ws: &WebSocket, message: &JsValue) {
        // After the server closes a WebSocket, frames can arrive until the client replies with a
        // Close frame. `find` returns `None` for a closed WebSocket, so these frames are ignored.
        let Some((socket, dialect)) = self.find(ws) else {
            return;
        };
        let text = match platform::text(message) {
            Ok(text) => text,
            Err(refusal) => {
                let signal = Err(refusal);
                // The refusal closes the WebSocket or counts as one frame, whatever its size.
                self.handle(Event::Frame {
                    socket,
                    signal,
                    bytes: 0,
                });
                return;
            }
        };
        if dialect.family().has_topics() {
            return self.handle_call(socket, dialect, &text);
        }
        for signal in dialect.split_batch(&text) {
            let bytes = signal.len();
            let signal = dialect.decode(signal);
            self.handle(Event::Frame {
                socket,
                signal,
                bytes,
            });
        }
    }

    fn handle_close(&self, ws: &WebSocket, code: u16, reason: &str, was_clean: bool) {
        // The hibernation API does not reply to Close frames. Without a reply, the client reports
        // close code 1006 after a timeout. No reply is needed if the WebSocket is already closed.
        if ws.ready_state() != CLOSED {
            let answered = match close::answer(code, was_clean) {
                // The platform replaces invalid UTF-8 in a reason, which can make the reason too
                // long to send.
                close::Answer::Code(code) => ws
                    .close_with_code_and_reason(code, reason)
                    .or_else(|_| ws.close_with_code(code)),
                close::Answer::Empty => ws.close(),
                close::Answer::Nothing => Ok(()),
            };
            if let Err(error) = answered {
                log("close", &Error::from(error).to_string());
            }
        }
        self.handle_end(ws, |dialect| match code {
            _ if close::is_loss(code, was_clean) || dialect.may_return(code) => Event::Lost,
            close::GOING_AWAY => Event::GoingAway,
            _ => Event::Closed,
        });
    }

    /// Removes a WebSocket that is closed or lost. `event` returns the event of its end.
    fn handle_end<'a>(&self, ws: &WebSocket, event: impl Fn(Dialect) -> fn(Socket) -> Event<'a>) {
        let Some((socket, dialect)) = self.find(ws) else {
            return;
        };
        if let Some(ended) = self.awake.borrow_mut().sockets.by_socket.remove(&socket)
            && let Err(error) = forget(&ended)
        {
            log("forget", &error.to_string());
        }
        self.handle(event(dialect)(socket));
    }

    /// Handles a join over a WebSocket.
    fn join(&self, join: Join, headers: &Headers) -> Result<Response, Failure> {
        let settings = self.settings.as_ref().map_err(Clone::clone)?;
        // The Worker has checked the token, but cannot pass on that it has expired.
        let Admission {
            expired,
            expires_at,
        } = admit(&join, headers, settings)?;
        let Join {
            room,
            id,
            key,
            dialect,
            moves,
            next,
            meta,
            offer,
            ..
        } = join;
        let id = match id {
            // Clients of topics cannot choose their ids.
            Some(id) if !dialect.family().has_topics() => id,
            _ => PeerId::random(random()?),
        };
        // A client may move from HTTP to a WebSocket, with the key that the server has signed.
        let key = self.stored_key(&room, &id, key.as_ref());
        // A client whose token has expired may only return to its own seat, and takes no other.
        if dialect == Dialect::PeerJs && expired.is_none() {
            self.end_stopped(&id);
        }
        let event = Event::Join(Box::new(event::Joining {
            socket: self.next_socket(),
            id,
            key,
            moves,
            expired,
            expires_at,
            meta: meta.map(Rc::from),
            offer: offer.and_then(|encoded| read_offer(&encoded)),
        }));
        self.enter(dialect, dialect.group(next), event, headers)
    }

    /// Returns the id of the WebSocket that the next event may accept.
    fn next_socket(&self) -> Socket {
        Socket(self.awake.borrow().next_socket)
    }

    /// Accepts a new WebSocket, or refuses the request over HTTP. The Worker converts the refusal
    /// into frames for the client. A WebSocket that the room accepts and closes would prevent
    /// hibernation until the client replies to the Close frame. `group`: the group that the client enters.
    fn enter(
        &self,
        dialect: Dialect,
        group: Option<Group>,
        event: Event<'_>,
        headers: &Headers,
    ) -> Result<Response, Failure> {
        let pair = WebSocketPair::new()?;
        let awake = &mut *self.awake.borrow_mut();
        let socket = Socket(awake.next_socket);
        let joining = Some(Joining {
            ws: &pair.server,
            dialect,
            group,
        });
        let now = now();
        let sockets = &mut awake.sockets;
        let mut transport = ObjectTransport::new(&self.state, now, sockets, joining, &self.media);
        awake.core.drive(now, event, &mut transport);
        if let Some(Err(refusal)) = transport.reply {
            return Err(refusal.into());
        }
        if let Some(error) = transport.accept_error {
            return Err(error.into());
        }
        awake.next_socket = awake.next_socket.saturating_add(1);
        let response = upgrade(&pair, headers)?;
        if dialect == Dialect::SocketIo {
            // The Worker moves a Socket.IO client from this WebSocket to another one.
            response.headers().set("X-Socket", &socket.0.to_string())?;
        }
        Ok(response)
    }

    /// Returns the `Socket` id and the dialect of a WebSocket from which the room hears, or `None`
    /// if the WebSocket is closed or lost.
    fn find(&self, ws: &WebSocket) -> Option<(Socket, Dialect)> {
        let socket = platform::number(ws)?;
        let awake = &mut *self.awake.borrow_mut();
        let connection = awake.sockets.by_socket.get_mut(&socket)?;
        // A new WebSocket may reuse the `Socket` id of a closed or lost WebSocket, so the objects
        // are compared.
        if connection.socket != *ws {
            return None;
        }
        connection.unread.reset();
        Some((socket, connection.dialect))
    }

    /// Handles an event. Returns the reply of the room, or `None` if the event needs no reply.
    fn handle(&self, event: Event<'_>) -> Option<Result<Reply, Refusal<'static>>> {
        let awake = &mut *self.awake.borrow_mut();
        let now = now();
        let sockets = &mut awake.sockets;
        let mut transport = ObjectTransport::new(&self.state, now, sockets, None, &self.media);
        awake.core.drive(now, event, &mut transport);
        transport.reply
    }
}
