//! The Durable Object: one room, its WebSockets, and the handlers that the platform calls.
//!
//! No handler awaits anything except the body of its own request. So handlers never interleave, and
//! nothing keeps the object from hibernating: no timer, no fetch, no stream.
//!
//! The class is written by hand, because the macro of `worker` makes asynchronous handlers. Creating
//! and settling a promise costs more than handling a signal here. The macro also copies each frame
//! into WebAssembly memory before its length can be checked.

mod awake;
mod http;
mod transport;

use std::cell::RefCell;
use std::rc::Rc;

use worker::js_sys::Date;
use worker::wasm_bindgen::prelude::*;
use worker::web_sys::{Headers, Request, Response, WebSocket};
use worker::worker_sys::DurableObjectState;
use worker::{Env, Error, State, WebSocketPair, WebSocketRequestResponsePair, wasm_bindgen};

use self::awake::AwakeRoom;
use self::transport::ObjectTransport;
use super::answer::{Answer, Cors, HTML, JSON, respond, upgrade};
use super::env::settings;
use super::failure::Failure;
use super::log::log;
use super::platform::{self, ORIGIN, header, now};
use super::promise::on_settled_once;
use super::request::find_route;
use super::sockets::{CLOSED, forget};
use crate::core::close;
use crate::core::drive::drive;
use crate::core::event::Event;
use crate::core::notice::Registered;
use crate::core::peer::{PeerId, Socket};
use crate::core::refusal::Refusal;
use crate::dialect::Dialect;
use crate::edge::BadSetting;
use crate::edge::route::{HttpError, HttpPeer, Join, Route};
use crate::edge::settings::Settings;
use crate::edge::status::Status;

/// The class that `wrangler.toml` names, with the methods that the platform calls.
#[wasm_bindgen(wasm_bindgen = worker::wasm_bindgen)]
pub struct Room(Rc<RoomObject>);

#[wasm_bindgen(wasm_bindgen = worker::wasm_bindgen)]
impl Room {
    /// The platform creates the object: for the first time, or after hibernation or eviction.
    #[wasm_bindgen(constructor)]
    pub fn new(state: DurableObjectState, env: Env) -> Self {
        Self(Rc::new(RoomObject::new(state.into(), &env)))
    }

    /// A request. Only a request with a body is answered with a promise.
    pub fn fetch(&self, request: Request) -> JsValue {
        // Until the settings and the origin are known, no page may read an error.
        Answer::new(self.0.fetch(&request), &Cors::default()).into()
    }

    /// A WebSocket received a frame.
    #[wasm_bindgen(js_name = webSocketMessage)]
    pub fn message(&self, ws: WebSocket, message: &JsValue) {
        self.0.handle_message(&ws, message);
    }

    /// A WebSocket was closed by the client, or its connection broke.
    #[wasm_bindgen(js_name = webSocketClose)]
    pub fn close(&self, ws: WebSocket, code: u32, reason: &str, was_clean: bool) {
        let code = u16::try_from(code).unwrap_or(0);
        self.0.handle_close(&ws, code, reason, was_clean);
    }

    /// A WebSocket failed.
    #[wasm_bindgen(js_name = webSocketError)]
    pub fn error(&self, ws: WebSocket) {
        self.0.handle_end(&ws, |_| true);
    }

    /// The alarm fired.
    pub fn alarm(&self) {
        self.0.handle(Event::Tick);
    }
}

/// The Durable Object behind [`Room`].
struct RoomObject {
    state: State,
    settings: Result<Rc<Settings>, BadSetting>,
    /// When this value was created.
    awake_since: Date,
    /// Borrowed within one handler only. Handlers do not interleave.
    awake: RefCell<AwakeRoom>,
}

impl RoomObject {
    fn new(state: State, env: &Env) -> Self {
        if let Err(error) = set_auto_response(&state) {
            log("auto-response", &error.to_string());
        }
        let settings = settings(env);
        let awake = AwakeRoom::restore(&state, settings.as_deref().ok());
        Self {
            state,
            settings,
            awake_since: Date::new_0(),
            awake: RefCell::new(awake),
        }
    }

    fn fetch(self: &Rc<Self>, request: &Request) -> Result<Answer, Failure> {
        let settings = self.settings.as_ref().map_err(Clone::clone)?;
        let headers = request.headers();
        let origin = header(&headers, &ORIGIN)?;
        let cors = Cors::new(settings, origin.as_deref());
        let response = match find_route(request, &headers) {
            Ok(Route::Join(join)) => self.join(join, &headers),
            Ok(Route::Register(peer)) => self.register(peer, &cors),
            Ok(Route::Events { peer, last, .. }) => self.open(peer, last, &headers),
            Ok(Route::Message(peer)) => return self.post_body(peer, request, cors),
            Ok(Route::Status { room, html }) => self.status(&room, html, &cors),
            Ok(Route::Health | Route::Preflight(_) | Route::Ice(_)) => {
                let message = "this path is not served by a room: send the request to the Worker";
                Err(HttpError::new(404, "not-found", message).into())
            }
            Err(error) => Err(error.into()),
        };
        Ok(Answer::new(response, &cors))
    }

    /// Waits for the body of a request, and handles it as a signal.
    fn post_body(
        self: &Rc<Self>,
        peer: HttpPeer,
        request: &Request,
        cors: Cors,
    ) -> Result<Answer, Failure> {
        let this = Rc::clone(self);
        Ok(on_settled_once(&request.text()?, move |body| {
            let response = match body.as_string() {
                Some(body) => this.post(peer, &body, &cors),
                None => Err(body.into()),
            };
            Answer::new(response, &cors)
        }))
    }

    #[inline(never)]
    fn status(&self, room: &str, html: bool, cors: &Cors) -> Result<Response, Failure> {
        let status = Status {
            room,
            peers: self.awake.borrow().room.peers(),
            awake_since: &String::from(self.awake_since.to_iso_string()),
        };
        Ok(if html {
            respond(200, HTML, &status.html(), cors)?
        } else {
            respond(200, JSON, &status.json(), cors)?
        })
    }

    fn handle_message(&self, ws: &WebSocket, message: &JsValue) {
        // A WebSocket that we closed may deliver frames until the client answers. `find` does not know
        // it, so they are ignored.
        let Some((socket, dialect)) = self.find(ws) else {
            return;
        };
        let text = match platform::text(message) {
            Ok(text) => text,
            Err(refusal) => {
                let signal = Err(refusal);
                self.handle(Event::Frame { socket, signal });
                return;
            }
        };
        for signal in dialect.split_batch(&text) {
            let signal = dialect.decode(signal);
            self.handle(Event::Frame { socket, signal });
        }
    }

    fn handle_close(&self, ws: &WebSocket, code: u16, reason: &str, was_clean: bool) {
        // The hibernation API leaves the answer to a Close frame to us. Without it the client reports
        // 1006 after a timeout. The client may also have closed the connection already.
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
        // A client with a stream cannot send a Close frame, so the end of a stream is always a loss.
        self.handle_end(ws, |dialect| {
            close::is_loss(code, was_clean) || dialect.is_stream()
        });
    }

    /// A WebSocket ended. `is_loss` tells whether its peer may reconnect.
    fn handle_end(&self, ws: &WebSocket, is_loss: impl Fn(Dialect) -> bool) {
        let Some((socket, dialect)) = self.find(ws) else {
            return;
        };
        if let Some(ended) = self.awake.borrow_mut().sockets.remove(&socket)
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

    /// Handles a join over a WebSocket.
    fn join(&self, join: Join, headers: &Headers) -> Result<Response, Failure> {
        let Join {
            id, key, dialect, ..
        } = join;
        let id = match id {
            Some(id) => id,
            None => PeerId::random(random()?),
        };
        let event = |socket| Event::Join { socket, id, key };
        self.enter(dialect, event, headers)
    }

    /// Accepts a new WebSocket, or refuses it over HTTP; the Worker then tells the client. A WebSocket
    /// that the room accepted and closed would keep it awake until the client answers.
    fn enter<'a>(
        &self,
        dialect: Dialect,
        event: impl FnOnce(Socket) -> Event<'a>,
        headers: &Headers,
    ) -> Result<Response, Failure> {
        let pair = WebSocketPair::new()?;
        let awake = &mut *self.awake.borrow_mut();
        let socket = Socket(awake.next_socket);
        let joining = Some((pair.server.as_ref(), dialect));
        let mut transport = ObjectTransport::new(&self.state, &mut awake.sockets, joining);
        drive(&mut awake.room, now(), event(socket), &mut transport);
        if let Some(Err(refusal)) = transport.reply {
            return Err(refusal.into());
        }
        if let Some(error) = transport.accept_error {
            return Err(error.into());
        }
        awake.next_socket = awake.next_socket.saturating_add(1);
        Ok(upgrade(&pair, headers)?)
    }

    /// The number and the dialect of an open WebSocket. `None` if it has ended.
    fn find(&self, ws: &WebSocket) -> Option<(Socket, Dialect)> {
        let socket = platform::number(ws)?;
        let awake = self.awake.borrow();
        let connection = awake.sockets.get(&socket)?;
        // The number of a WebSocket that ended long ago may have been given to another.
        (connection.socket == *ws).then_some((socket, connection.dialect))
    }

    /// Handles an event, and returns the reply if there is one.
    fn handle(&self, event: Event<'_>) -> Option<Result<Registered, Refusal<'static>>> {
        let awake = &mut *self.awake.borrow_mut();
        let mut transport = ObjectTransport::new(&self.state, &mut awake.sockets, None);
        drive(&mut awake.room, now(), event, &mut transport);
        transport.reply
    }
}

/// Lets the platform answer `ping` with `pong` without waking the room. Setting this again after
/// hibernation is harmless.
fn set_auto_response(state: &State) -> worker::Result<()> {
    let pair = WebSocketRequestResponsePair::new("ping", "pong")?;
    Ok(state.as_raw().set_websocket_auto_response(&pair)?)
}

/// 128 bits from the platform's cryptographic generator.
fn random() -> worker::Result<u128> {
    let mut bytes = [0; 16];
    getrandom::getrandom(&mut bytes).map_err(|error| Error::RustError(error.to_string()))?;
    Ok(u128::from_ne_bytes(bytes))
}
