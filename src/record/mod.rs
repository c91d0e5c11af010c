//! The state of a room that is stored as text: attachments of WebSockets, and rows of absent peers,
//! their notices, held broadcasts and the live session. After an eviction, the room is restored from
//! the attachments and rows.

pub mod attachment;
mod fields;
pub mod listener;
mod live;
pub mod notices;
pub mod row;
