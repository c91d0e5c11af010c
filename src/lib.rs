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
//! A *room* is a plain value. It handles events and returns effects, without I/O. A *dialect* decodes
//! the text of one family of clients into signals, and encodes the room's notices as text. The *shell*
//! connects both to Cloudflare. The shell passes in clock, randomness, ids and storage, so nearly all
//! of signaling is tested on the host, in milliseconds.
//!
//! # Folders
//!
//! The folders in reading order. Imports run downward only: shell → edge, record → dialect → core.
//!
//! | folder | contents |
//! |---|---|
//! | [`core`] | the room and its values: ids, members, events, notices, outbox, refusals, close codes |
//! | [`dialect`] | one file per wire protocol, and the JSON reader that they share |
//! | [`record`] | the text form of everything that survives the eviction of a room |
//! | [`edge`] | routes, admission, ICE servers, settings and status |
//! | `shell` | the Worker and the Durable Object, the only code that names Cloudflare |
//!
//! # The contract between room and shell
//!
//! 1. The shell gives each new WebSocket a number, its [`Socket`](core::peer::Socket). It hands
//!    [`Event`](core::event::Event)s to the room one at a time, each with the time, through
//!    [`drive`](core::drive::drive).
//! 2. `drive` performs the [`Effect`](core::event::Effect)s in their order on the shell's
//!    [`Transport`](core::drive::Transport), before the next event.
//! 3. `drive` reports each failed send to the room, as
//!    [`Event::Undelivered`](core::event::Event::Undelivered) or
//!    [`Event::Unencodable`](core::event::Event::Unencodable).
//! 4. The shell keeps one [`Member`](core::member::Member) with each WebSocket, and the
//!    [`Row`](core::event::Row)s that it was told to store. It keeps nothing else.
//! 5. The shell may drop the room between two events, and restore it from those with
//!    [`Room::restore`](core::room::Room::restore). No client can notice.
//! 6. The shell delivers one [`Event::Tick`](core::event::Event::Tick) at the time of the last
//!    [`Effect::Alarm`](core::event::Effect::Alarm).

// A panic in one room resets every room of its isolate, so the lints forbid what can panic.
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
