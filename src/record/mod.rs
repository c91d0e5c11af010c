//! What survives eviction, as text: the attachments of sockets, and rows of storage.

pub mod attachment;
mod outbox;
pub mod row;
