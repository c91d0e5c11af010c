//! The stored text of a room: attachments of WebSockets, and rows of absent peers and held
//! broadcasts. The room is restored from this text after an eviction.

pub mod attachment;
mod fields;
mod outbox;
pub mod row;
