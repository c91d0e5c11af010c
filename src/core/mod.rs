//! The room and its vocabulary: plain values without text format, clock or platform.

// In reading order.
pub mod close;
pub mod drive;
pub mod event;
pub mod member;
pub mod notice;
pub mod outbox;
pub mod peer;
pub mod refusal;
pub mod room;
