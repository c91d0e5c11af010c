//! partyline is a WebRTC signaling server. It runs as a Cloudflare Worker with one Durable Object per
//! room.
//!
//! ```text
//!   WebSocket ──text──▶ dialect ──Signal──▶ ┌──────────────────┐
//!                                           │ room.handle(now, │──Effect──▶ shell: send, close,
//!   join, close, loss, alarm ───Event─────▶ │   event, effects)│            keep, store, alarm
//!   WebSocket ◀──text── dialect ◀──Notice── └──────────────────┘
//! ```
//!
//! A *room* is a plain value. It handles events and returns effects, and performs no I/O. A *dialect*
//! is the wire protocol of some clients. It decodes their text into signals, and encodes the room's
//! notices as text. The *shell* connects both to Cloudflare. The room and the dialects call no platform
//! API: the shell passes in the time, random bits, ids and stored text. Most tests therefore run on the
//! host without Cloudflare, in milliseconds.
//!
//! Clients of y-webrtc have no peers and no rooms: they subscribe to topics. [`core::topics`] is the
//! counterpart of the room for them, with events and effects of its own.
//!
//! # Folders
//!
//! The table lists the folders in reading order. Imports only follow the arrows: shell → edge, record →
//! dialect → core.
//!
//! | folder | contents |
//! |---|---|
//! | [`core`] | the room, topics and their values: ids, members, events, notices, outbox, refusals, close codes |
//! | [`dialect`] | one file per wire protocol, and the shared JSON reader and writer |
//! | [`record`] | the text form of all state that is kept while a room is evicted |
//! | [`edge`] | routes, admission, ICE servers, settings and status |
//! | `shell` | the Worker and the Durable Object, the only code that uses Cloudflare's API |
//!
//! # The contract between room and shell
//!
//! 1. The shell assigns a [`Socket`](core::peer::Socket) id to each new WebSocket. It passes each
//!    [`Event`](core::event::Event) and its time to [`drive`](core::drive::drive), one at a time.
//! 2. `drive` passes the event to the room, and performs the [`Effect`](core::event::Effect)s in order
//!    on the shell's [`Transport`](core::drive::Transport), before the next event.
//! 3. `drive` reports each failed send to the room, as
//!    [`Event::Undelivered`](core::event::Event::Undelivered) or
//!    [`Event::Unencodable`](core::event::Event::Unencodable).
//! 4. The shell stores one [`Member`](core::member::Member) with each WebSocket, and the
//!    [`Row`](core::event::Row)s of [`Effect::Store`](core::event::Effect::Store). It stores nothing
//!    else about the room.
//! 5. The platform may evict the room between two events. The shell then restores it from the
//!    members and rows with [`Room::restore`](core::room::Room::restore). The eviction changes no
//!    later effect.
//! 6. The shell delivers one [`Event::Tick`](core::event::Event::Tick) at the time of the last
//!    [`Effect::Alarm`](core::event::Effect::Alarm).

// A panic resets all rooms in the same isolate, so the lints deny operations that can panic.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

pub mod core;
pub mod dialect;
pub mod edge;
pub mod record;

#[cfg(target_arch = "wasm32")]
mod shell;
