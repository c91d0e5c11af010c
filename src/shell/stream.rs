//! The event stream of one peer: what its socket into the room brings, and pings.
//!
//! It lives here, in the Worker, since a stream that a room held would keep that room awake. What a
//! client does not take is not asked for. That it is gone shows with a write; when it has ended its
//! connection, only with the second, so something is written twice in the time of a ping. Then the
//! stream is dropped, and its socket with it. A client that goes before its first bytes are out has
//! its stream neither asked nor dropped (workerd, 2026-04): a stream that nobody asks ends by itself.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures_util::Stream;
use worker::js_sys::{self, Date, Function};
use worker::wasm_bindgen::JsCast;
use worker::wasm_bindgen::closure::Closure;
use worker::web_sys::{MessageEvent, WorkerGlobalScope};
use worker::{Result, WebSocket};

use crate::core::outbox::MAX_HELD_BYTES;
use crate::dialect::http::ping;

/// The most bytes that wait for a client which takes nothing: a few times what its room holds for
/// it. After that it has to open its stream again, and go on where it was.
const MOST: usize = 4 * MAX_HELD_BYTES;

/// What is called when something of this name happens to the socket.
type Listener = (&'static str, Closure<dyn FnMut(MessageEvent)>);

/// What has come and was not taken yet.
#[derive(Default)]
struct Inbox {
    events: VecDeque<String>,
    bytes: usize,
    /// Whether it is time to write something.
    due: bool,
    /// Whether that is a ping; if not, it is a comment, which is no event.
    ping: bool,
    /// Whether anything has been asked for since the last beat.
    asked: bool,
    ended: bool,
    /// What says when it is time to write. `Delay` would not do: it wakes whoever asked it first, and
    /// each piece of the stream is asked for by somebody else.
    timer: i32,
    waker: Option<Waker>,
}

/// The stream.
pub(super) struct Events {
    socket: WebSocket,
    inbox: Rc<RefCell<Inbox>>,
    /// What the timer calls.
    _tick: Closure<dyn FnMut()>,
    /// What the socket calls; it must live as long as it may be called.
    listeners: [Listener; 3],
}

impl Events {
    /// Begins to listen, and then to be sent what the room has for the peer.
    pub(super) fn new(socket: WebSocket, every: u64) -> Result<Self> {
        let inbox = Rc::new(RefCell::new(Inbox::default()));
        let message = Rc::clone(&inbox);
        let heard = Closure::new(move |event: MessageEvent| {
            if let Some(text) = event.data().as_string() {
                message.borrow_mut().put(text);
            }
        });
        let ended = |inbox: &Rc<RefCell<Inbox>>| {
            let inbox = Rc::clone(inbox);
            Closure::new(move |_: MessageEvent| inbox.borrow_mut().end())
        };
        let listeners = [
            ("message", heard),
            ("close", ended(&inbox)),
            ("error", ended(&inbox)),
        ];
        for (name, listener) in &listeners {
            let listener: &Function = listener.as_ref().unchecked_ref();
            let target = socket.as_ref();
            target.add_event_listener_with_callback(name, listener)?;
        }
        let due = Rc::clone(&inbox);
        let line = socket.clone();
        let tick = Closure::new(move || {
            if !due.borrow_mut().beat() {
                global().clear_interval_with_handle(due.borrow().timer);
                // It may have ended by itself.
                let _ = line.close(Some(1000), Some("nobody takes the stream"));
            }
        });
        let timer = global().set_interval_with_callback_and_timeout_and_arguments_0(
            tick.as_ref().unchecked_ref(),
            i32::try_from(every / 2).unwrap_or(i32::MAX),
        )?;
        inbox.borrow_mut().timer = timer;
        let events = Self {
            socket,
            inbox,
            _tick: tick,
            listeners,
        };
        events.socket.accept()?;
        Ok(events)
    }
}

/// Where the functions are that belong to nothing.
pub(super) fn global() -> WorkerGlobalScope {
    js_sys::global().unchecked_into()
}

impl Inbox {
    fn put(&mut self, event: String) {
        // What comes after the end is in the room, for the stream that goes on after this one.
        if self.ended {
            return;
        }
        self.bytes = self.bytes.saturating_add(event.len());
        self.events.push_back(event);
        if self.bytes > MOST {
            self.ended = true;
        }
        self.wake();
    }

    /// It is time to write; `false` if nobody has asked for what there was last time.
    fn beat(&mut self) -> bool {
        let taken = std::mem::take(&mut self.asked) || !self.due;
        self.ended |= !taken;
        self.due = true;
        self.wake();
        taken
    }

    fn end(&mut self) {
        self.ended = true;
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Stream for Events {
    type Item = Result<Vec<u8>>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut inbox = self.inbox.borrow_mut();
        inbox.asked = true;
        if !inbox.events.is_empty() {
            inbox.bytes = 0;
            let all: String = inbox.events.drain(..).collect();
            return Poll::Ready(Some(Ok(all.into_bytes())));
        }
        if inbox.ended {
            return Poll::Ready(None);
        }
        if std::mem::take(&mut inbox.due) {
            inbox.ping = !inbox.ping;
            if !inbox.ping {
                return Poll::Ready(Some(Ok(b":\n\n".to_vec())));
            }
            let time = String::from(Date::new_0().to_iso_string());
            return Poll::Ready(Some(Ok(ping(&time).into_bytes())));
        }
        inbox.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        global().clear_interval_with_handle(self.inbox.borrow().timer);
        let target = self.socket.as_ref();
        for (name, listener) in &self.listeners {
            let listener: &Function = listener.as_ref().unchecked_ref();
            // One that cannot be taken off is called in vain.
            let _ = target.remove_event_listener_with_callback(name, listener);
        }
        // It may have ended by itself.
        let _ = self.socket.close(Some(1000), Some("the stream has ended"));
    }
}
