//! Tests of the core, the dialects and the stored text. They run on the host, as one binary.

mod admin;
mod attack;
mod close_table;
mod cost;
mod expiry;
mod fuzz;
mod histories;
mod joins;
mod live;
mod live_histories;
mod peerjs;
mod properties;
mod readme;
mod reopen;
mod rig;
mod room;
mod streams;
mod tokens;
mod topics;
mod transcripts;
