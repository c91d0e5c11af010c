//! Plain values without text format, clock or platform: the room, and the words that go into it and
//! come out of it.

// In reading order.
pub mod close;
pub mod event;
pub mod member;
pub mod notice;
pub mod outbox;
pub mod peer;
pub mod refusal;
pub mod room;
