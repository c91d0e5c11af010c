//! What goes into a room, and what comes out of it: the words that the core, the dialects and the
//! shell share.
//!
//! A dialect reads text into a [`Signal`]; the shell hands it to the room in an [`Event`]; the room
//! answers in [`Effect`]s; those that are for a peer carry a [`Notice`], which a dialect writes.

use std::borrow::Cow;

use crate::core::close::Close;
use crate::core::member::Member;
use crate::core::notice::Notice;
use crate::core::peer::{Key, Lock, PeerId, Socket, Time};
use crate::core::refusal::Refusal;

/// The largest frame that a peer may send, in bytes. An SDP of a call with many tracks is about
/// 20 KiB.
pub const MAX_FRAME: usize = 64 * 1024;

/// What bounds a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The most peers in it, absent ones counted.
    pub peers: usize,
    /// How long a lost peer keeps its seat, in milliseconds.
    pub grace: u64,
    /// How long a signal to all waits while its sender is alone, in milliseconds.
    pub hold: u64,
}

/// What one peer sends to another, or to all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal<'a> {
    /// The receiver as the sender wrote it; without one, everybody else.
    pub to: Option<Cow<'a, str>>,
    /// `offer`, `answer`, `candidate`, or whatever an application likes.
    pub signal_type: Cow<'a, str>,
    /// JSON that nobody reads on the way; without one, the sender sent none, or `null`.
    pub payload: Option<Cow<'a, str>>,
    /// Who the sender says it is, where its dialect has it say so.
    pub stated_sender: Option<Cow<'a, str>>,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A new socket asks to be the peer `id`.
    Join {
        /// The new socket.
        socket: Socket,
        /// The peer it wants to be.
        id: PeerId,
        /// What it holds on to the id with, and shows if the id is in the room already.
        key: Option<Key>,
    },
    /// Somebody asks to be the peer `id`, and will open a stream for what it is to be told.
    Register {
        /// Who asks: it is answered at once, and then is no more.
        asker: Socket,
        /// The peer it wants to be.
        id: PeerId,
        /// What it holds on to the id with: its own key, or the one that it is offered.
        lock: Lock,
    },
    /// A registered peer opens its stream, or opens it again.
    Open {
        /// The new socket, at the end of which the stream is.
        socket: Socket,
        /// Who it says it is.
        id: PeerId,
        /// How it proves that, if it does.
        key: Option<Key>,
        /// The number of the last notice that it has got, if this is the same stream again.
        last: Option<u64>,
    },
    /// A registered peer sends a signal, but not over its stream, which has only one direction.
    Post {
        /// Who asks: it is told what is wrong, or nothing, and then is no more.
        asker: Socket,
        /// Who it says it is.
        id: PeerId,
        /// How it proves that, if it does.
        key: Option<Key>,
        /// What it sends.
        signal: Signal<'a>,
    },
    /// A frame came in, and its dialect could or could not read it.
    Frame {
        /// The socket that it came from.
        socket: Socket,
        /// What it says.
        signal: Result<Signal<'a>, Refusal<'a>>,
    },
    /// The peer closed its socket: it leaves.
    Closed(Socket),
    /// The socket died without a word: its peer may come back.
    Lost(Socket),
    /// A notice could not be given to the socket, which is therefore as good as dead.
    Undelivered {
        /// The socket.
        socket: Socket,
        /// The number of the notice, if it has one.
        number: Option<u64>,
        /// The notice.
        notice: Notice<'a>,
    },
    /// A notice could not be said to a socket in its dialect, which keeps the kind for itself.
    Unencodable {
        /// Who is to be told, if not the sender's own socket.
        asker: Option<Socket>,
        /// The notice.
        notice: Notice<'a>,
    },
    /// Time has passed. It does no harm when nothing is due.
    Tick,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect<'a> {
    /// Give a notice to each of these sockets. Those that cannot take it come back as
    /// [`Event::Undelivered`].
    Send {
        /// The sockets, each once.
        to: Vec<Socket>,
        /// The number by which the receiver can say that it has got it: only for one with a stream,
        /// which then is the only one in `to`.
        number: Option<u64>,
        /// What they are told.
        notice: Notice<'a>,
    },
    /// End a socket.
    Close(Socket, Close),
    /// Keep this with its socket.
    Keep(Member),
    /// Write a row.
    Store(Row),
    /// Delete a row.
    Erase(RowKey),
    /// Come back with [`Event::Tick`] at this time, and not at the one said before; or never.
    Alarm(Option<Time>),
}

/// What is written down only where a peer is absent or a signal is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A peer that may come back.
    Absent(Absent),
    /// A signal that waits.
    Held(Held),
}

/// Which row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowKey {
    /// The one of an absent peer.
    Absent(PeerId),
    /// The one of a held signal, by its number.
    Held(u64),
}

/// A signal to all that waits for whoever joins next. It is also the row that keeps it while the
/// room sleeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its place in the order of sending; no other row of the room has it.
    pub number: u64,
    /// Who sent it.
    pub from: PeerId,
    /// Until when it waits.
    pub until: Time,
    /// What kind of signal it is.
    pub signal_type: String,
    /// What it says, as it was sent.
    pub payload: Option<String>,
}

/// A peer without a socket that keeps its seat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    /// What was kept with its last socket, and what has been held for it since.
    pub member: Member,
    /// When it leaves.
    pub until: Time,
}
