//! The room and its data types. They contain no text format, no clock and no platform calls.

// The modules are declared in reading order.
pub mod close;
pub mod drive;
pub mod event;
pub mod member;
pub mod notice;
pub mod outbox;
pub mod peer;
pub mod refusal;
pub mod room;
