//! The event stream of one HTTP peer. A WebSocket connects the stream to the room. The stream
//! forwards the frames of the WebSocket to the client, and adds pings.
//!
//! The Worker holds the stream, because a stream in a room would prevent the room's hibernation.
//!
//! The platform reads from the stream only when the client reads. Only a write can reveal that the
//! client has disconnected. After the client closes its connection cleanly, the first write
//! succeeds and the second fails. The stream therefore writes twice in each ping interval. After a
//! failed write, the platform drops the stream, which closes the WebSocket.
//!
//! If a client disconnects before the first bytes, the platform neither polls nor drops the stream
//! (workerd, 2026-04). A stream that is not polled therefore ends at the second tick of the
//! heartbeat timer.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures_util::Stream;
use worker::js_sys::{Date, Function};
use worker::wasm_bindgen::JsCast;
use worker::wasm_bindgen::closure::Closure;
use worker::web_sys::MessageEvent;
use worker::{Result, WebSocket};

use super::platform::global;
use crate::core::outbox::MAX_HELD_BYTES;
use crate::dialect::http::ping;

/// The maximum number of bytes that are buffered for a slow client: four times the limit of a
/// peer's outbox. Above this limit the stream ends, and the client must resume the stream.
const MAX_BUFFERED_BYTES: usize = 4 * MAX_HELD_BYTES;

/// The name of a WebSocket event, and its callback.
type Listener = (&'static str, Closure<dyn FnMut(MessageEvent)>);

/// The kind of the next heartbeat. Pings and comments alternate.
#[derive(Clone, Copy, Default)]
enum Heartbeat {
    /// A `ping` event.
    #[default]
    Ping,
    /// A comment, which clients ignore.
    Comment,
}

/// The events that the client has not read, and the state of the heartbeat.
#[derive(Default)]
struct Inbox {
    events: VecDeque<String>,
    bytes: usize,
    /// Whether the next poll must return a heartbeat.
    due: bool,
    next_heartbeat: Heartbeat,
    /// Whether the stream was polled since the last tick of the timer.
    polled: bool,
    ended: bool,
    /// The handle of the heartbeat timer. `worker::Delay` cannot be used, because it keeps the
    /// waker of its first poll, but each chunk of the stream can be polled by a different task.
    timer: i32,
    waker: Option<Waker>,
}

/// The body of the response to an `EventSource`. Dropping the stream closes its WebSocket.
pub(super) struct EventStream {
    socket: WebSocket,
    inbox: Rc<RefCell<Inbox>>,
    /// The callback of the timer, which must live as long as the timer.
    _tick: Closure<dyn FnMut()>,
    /// The callbacks of the WebSocket, which must live as long as they are registered.
    listeners: [Listener; 3],
}

impl EventStream {
    /// Registers the listeners, starts the timer, and accepts the WebSocket. `ping_interval` is in
    /// milliseconds.
    pub(super) fn new(socket: WebSocket, ping_interval: u64) -> Result<Self> {
        let inbox = Rc::new(RefCell::new(Inbox::default()));
        let receiver = Rc::clone(&inbox);
        let on_message = Closure::new(move |event: MessageEvent| {
            if let Some(text) = event.data().as_string() {
                receiver.borrow_mut().put(text);
            }
        });
        let on_end = |inbox: &Rc<RefCell<Inbox>>| {
            let inbox = Rc::clone(inbox);
            Closure::new(move |_: MessageEvent| inbox.borrow_mut().end())
        };
        let listeners = [
            ("message", on_message),
            ("close", on_end(&inbox)),
            ("error", on_end(&inbox)),
        ];
        for (name, listener) in &listeners {
            let listener: &Function = listener.as_ref().unchecked_ref();
            let target = socket.as_ref();
            target.add_event_listener_with_callback(name, listener)?;
        }
        let (ticked, ticked_socket) = (Rc::clone(&inbox), socket.clone());
        let tick = Closure::new(move || {
            if !ticked.borrow_mut().tick() {
                global().clear_interval_with_handle(ticked.borrow().timer);
                // Closing fails only if the WebSocket is already closed.
                let _ =
                    ticked_socket.close(Some(1000), Some("the client does not read the stream"));
            }
        });
        let timer = global().set_interval_with_callback_and_timeout_and_arguments_0(
            tick.as_ref().unchecked_ref(),
            i32::try_from(ping_interval / 2).unwrap_or(i32::MAX),
        )?;
        inbox.borrow_mut().timer = timer;
        let stream = Self {
            socket,
            inbox,
            _tick: tick,
            listeners,
        };
        stream.socket.accept()?;
        Ok(stream)
    }
}

impl Inbox {
    fn put(&mut self, event: String) {
        // After the stream ends, the room keeps the event. The client receives the event when it
        // resumes the stream.
        if self.ended {
            return;
        }
        self.bytes = self.bytes.saturating_add(event.len());
        self.events.push_back(event);
        if self.bytes > MAX_BUFFERED_BYTES {
            self.ended = true;
        }
        self.wake();
    }

    /// Makes a heartbeat due. If the last heartbeat is still due and the stream was not polled,
    /// ends the stream and returns `false`.
    fn tick(&mut self) -> bool {
        let is_read = mem::take(&mut self.polled) || !self.due;
        self.ended |= !is_read;
        self.due = true;
        self.wake();
        is_read
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

    /// Returns the text of the next heartbeat.
    fn heartbeat(&mut self) -> String {
        match self.next_heartbeat {
            Heartbeat::Ping => {
                self.next_heartbeat = Heartbeat::Comment;
                ping(&String::from(Date::new_0().to_iso_string()))
            }
            Heartbeat::Comment => {
                self.next_heartbeat = Heartbeat::Ping;
                ":\n\n".to_owned()
            }
        }
    }
}

impl Stream for EventStream {
    type Item = Result<Vec<u8>>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut inbox = self.inbox.borrow_mut();
        inbox.polled = true;
        if !inbox.events.is_empty() {
            inbox.bytes = 0;
            let events: String = inbox.events.drain(..).collect();
            return Poll::Ready(Some(Ok(events.into_bytes())));
        }
        if inbox.ended {
            return Poll::Ready(None);
        }
        if mem::take(&mut inbox.due) {
            return Poll::Ready(Some(Ok(inbox.heartbeat().into_bytes())));
        }
        inbox.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        global().clear_interval_with_handle(self.inbox.borrow().timer);
        let target = self.socket.as_ref();
        for (name, listener) in &self.listeners {
            let listener: &Function = listener.as_ref().unchecked_ref();
            // If removal fails, the listener stays registered. The listener is harmless, because
            // the inbox has no reader.
            let _ = target.remove_event_listener_with_callback(name, listener);
        }
        // Closing fails only if the WebSocket is already closed.
        let _ = self.socket.close(Some(1000), Some("the stream has ended"));
    }
}
