//! Stored text: the state of a room that survives eviction, as attachments of sockets and as rows.

pub mod attachment;
mod fields;
mod outbox;
pub mod row;
