//! The room and its data types. They do not depend on a text format, a clock or the platform.

pub mod admin;
pub mod close;
pub mod drive;
pub mod event;
pub mod live;
pub mod member;
pub mod notice;
pub mod number;
pub mod outbox;
pub mod peer;
pub(crate) mod rate_limit;
pub mod refusal;
pub mod room;
pub mod stream;
pub(crate) mod text;
pub mod topics;
pub mod unread;
