//! A media server for live streams. It forwards the audio and video of each publisher to many
//! viewers, and speaks the HTTP API of Cloudflare's Realtime SFU.
//!
//! ```text
//!   HTTP request ──▶ http ──Call──▶ ┌─────────────────────┐
//!   HTTP reply  ◀─── http ◀─Answer─ │ engine              │──datagrams──▶ server ──▶ UDP socket
//!   UDP socket ──▶ server ────────▶ │  └ session (str0m)  │
//!                                   └─────────────────────┘
//! ```
//!
//! The library `str0m` implements ICE, DTLS, SRTP, RTP and SDP. This crate adds the API and the
//! forwarding. The [`engine`] performs no I/O and reads no clock.

// A panic ends the session that it happens in. Code outside of sessions must not panic at all.
#![cfg_attr(
    not(test),
    deny(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

pub mod api;
pub mod args;
pub mod calls;
pub mod engine;
pub mod forward;
pub mod http;
pub mod negotiate;
pub mod relay;
pub mod server;
pub mod session;
pub mod tracks;
