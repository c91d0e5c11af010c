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
//! 1. The shell numbers each new [`Socket`](core::peer::Socket), and hands [`Event`](core::event::Event)s to
//!    [`Room::handle`](core::room::Room::handle) one at a time, each with the time.
//! 2. It performs the [`Effect`](core::event::Effect)s in their order, before the next event.
//! 3. What could not be delivered goes back in as
//!    [`Event::Undelivered`](core::event::Event::Undelivered), what could not be said as
//!    [`Event::Unencodable`](core::event::Event::Unencodable).
//! 4. It keeps one [`Member`](core::member::Member) with each socket, and the
//!    [`Row`](core::event::Row)s it is told to store: nothing else.
//! 5. It may drop the room after any event, and build it again from those with
//!    [`Room::restore`](core::room::Room::restore): nobody can tell.
//! 6. It rings once, with [`Event::Tick`](core::event::Event::Tick), at the time of the last
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
