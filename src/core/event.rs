//! The input and the output of a room: [`Event`]s, [`Effect`]s, and the rows that it stores.
//!
//! A dialect decodes text into a [`Signal`]. The shell hands it to the room in an [`Event`], and the
//! room returns [`Effect`]s. An effect for a peer carries a [`Notice`], which a dialect encodes.

use std::borrow::Cow;

use crate::core::close::Close;
use crate::core::member::Member;
use crate::core::notice::{Notice, Registered};
use crate::core::peer::{Key, Lock, PeerId, Socket, Time};
use crate::core::refusal::Refusal;

/// The largest frame that a peer may send, in bytes. The SDP of a call with many tracks has about
/// 20 KiB.
pub const MAX_FRAME: usize = 64 * 1024;

/// The limits of a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The maximum number of peers, absent ones included.
    pub peers: usize,
    /// How long an absent peer keeps its seat, in milliseconds.
    pub grace: u64,
    /// How long a broadcast is held while its sender is alone, in milliseconds.
    pub hold: u64,
}

/// A signal from a client, as its dialect decoded it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal<'a> {
    /// The receiver as the sender wrote it. `None` means a broadcast to all other peers.
    pub to: Option<Cow<'a, str>>,
    /// `offer`, `answer`, `candidate`, or a type that the application defines.
    pub signal_type: Cow<'a, str>,
    /// JSON, forwarded unparsed. `None` if the sender sent no payload, or `null`.
    pub payload: Option<Cow<'a, str>>,
    /// The sender that the frame names, in dialects whose frames name their sender.
    pub stated_sender: Option<Cow<'a, str>>,
}

/// One thing that happened to a room.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A client wants to join as the peer `id` over a new WebSocket. The room answers with
    /// [`Effect::Accept`], or with a refusal in [`Effect::Reply`].
    Join {
        /// The number that the new WebSocket gets.
        socket: Socket,
        /// The peer id that the client wants.
        id: PeerId,
        /// The hash of the client's key. It protects the id, and takes it over if it is in the room.
        key: Option<Key>,
    },
    /// A client wants to join as the peer `id` over HTTP, and opens its stream later. The room answers
    /// with [`Effect::Reply`].
    Register {
        /// A number that no WebSocket has. The peer is stored under it until its stream opens.
        socket: Socket,
        /// The peer id that the client wants.
        id: PeerId,
        /// The client's own key, or the one that the server has just made for it.
        lock: Lock,
    },
    /// A registered peer opens its stream, for the first time or again. The room answers as it does to
    /// [`Event::Join`].
    Open {
        /// The number that the WebSocket behind the stream gets.
        socket: Socket,
        /// The peer id that the client states.
        id: PeerId,
        /// The hash of the key that the client sent.
        key: Option<Key>,
        /// `Last-Event-ID`: the number of the last notice that arrived, if the client resumes a
        /// stream.
        last: Option<u64>,
    },
    /// A registered peer sends a signal in an HTTP request. The room answers with a refusal in
    /// [`Effect::Reply`]. Without a reply, the signal was accepted.
    Post {
        /// The peer id that the client states.
        id: PeerId,
        /// The hash of the key that the client sent.
        key: Option<Key>,
        /// The signal.
        signal: Signal<'a>,
    },
    /// A frame arrived.
    Frame {
        /// The WebSocket that it arrived on.
        socket: Socket,
        /// The signal in the frame, or why the dialect could not decode it.
        signal: Result<Signal<'a>, Refusal<'a>>,
    },
    /// The client closed its WebSocket. Its peer leaves.
    Closed(Socket),
    /// The WebSocket failed without a Close frame. Its peer becomes absent.
    Lost(Socket),
    /// A notice could not be sent, so the WebSocket is dead.
    Undelivered {
        /// The WebSocket.
        socket: Socket,
        /// The number of the notice, if it has one.
        number: Option<u64>,
        /// The notice.
        notice: Notice<'a>,
    },
    /// A signal cannot be encoded for its receiver, because the receiver's dialect reserves its type.
    Unencodable {
        /// Whether the sender is still waiting for the reply to its [`Event::Post`]. If so, the
        /// refusal is that reply.
        posted: bool,
        /// The signal.
        notice: Notice<'a>,
    },
    /// The alarm fired. An alarm that fires early or late is harmless.
    Tick,
}

/// One action for the shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect<'a> {
    /// Accept the WebSocket of an [`Event::Join`] or [`Event::Open`]. If the platform cannot accept
    /// it, the room needs [`Event::Closed`].
    Accept(Socket),
    /// Answer the HTTP request behind the event. A client that wants to join is refused with this,
    /// too. Only the first reply to a request counts.
    Reply(Result<Registered, Refusal<'a>>),
    /// Send a notice to each of these WebSockets. Each failure comes back as [`Event::Undelivered`] or
    /// [`Event::Unencodable`].
    Send {
        /// The receivers, without duplicates.
        to: Vec<Socket>,
        /// The event id by which the receiver can resume. Only streams have numbers; `to` then has one
        /// element.
        number: Option<u64>,
        /// The notice.
        notice: Notice<'a>,
    },
    /// Close a WebSocket.
    Close(Socket, Close),
    /// Replace what is kept with the WebSocket of this member.
    Keep(Member),
    /// Write a row, over the one with the same key if there is one.
    Store(Row),
    /// Delete a row.
    Erase(RowKey),
    /// Set the alarm, in place of the one before, or clear it. It delivers [`Event::Tick`].
    Alarm(Option<Time>),
}

/// A stored row. An ordinary session stores none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A peer that may reconnect.
    Absent(Absent),
    /// A broadcast that is held for the next peer to join.
    Held(Held),
}

/// The key of a stored row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowKey {
    /// The row of an absent peer.
    Absent(PeerId),
    /// The row of a held broadcast, by [`Held::number`].
    Held(u64),
}

/// A broadcast that is held for the next peer to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its position in the order of sending, unique among the rows of the room.
    pub number: u64,
    /// The sender.
    pub from: PeerId,
    /// When it is refused to its sender, if no peer has joined.
    pub expires_at: Time,
    /// The type of the signal.
    pub signal_type: String,
    /// The payload, as it was sent.
    pub payload: Option<String>,
}

/// An absent peer: its seat is kept, and it has no working WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    /// The state that was kept with its last WebSocket, and the notices queued since.
    pub member: Member,
    /// When it leaves the room, if it has not reconnected.
    pub expires_at: Time,
}
