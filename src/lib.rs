//! partyline: the WebRTC signaling server that costs nothing while it waits.
//!
//! ```text
//!   WebSocket ──text──▶ dialect ──Signal──▶ ┌──────────────────┐
//!                                           │ room.handle(now, │──Effect──▶ shell: send, close,
//!   join, close, loss, alarm ───Event─────▶ │   event, effects)│            keep, store, alarm
//!   WebSocket ◀──text── dialect ◀──Notice── └──────────────────┘
//! ```
//!
//! A *room* is a plain value. A *dialect* turns one kind of client's text into signals, and the
//! room's notices back into text. The *shell* alone knows Cloudflare. Clock, randomness, identity
//! and memory come from outside, so that nearly all that can go wrong in signaling is tested on the
//! host, in milliseconds.
//!
//! # The contract
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

// A panic in one room resets every room of its isolate.
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

// From the outermost that the host can build to the innermost.
pub mod core;
pub mod dialect;
pub mod edge;
pub mod record;

#[cfg(target_arch = "wasm32")]
mod shell;
