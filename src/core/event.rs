//! The input and output of a room: [`Event`]s, [`Effect`]s, and the rows that the room stores.
//!
//! A dialect decodes text into a [`Signal`]. The shell passes the signal to the room in an
//! [`Event`], and the room returns [`Effect`]s. An effect for a peer contains a [`Notice`], which a
//! dialect encodes.

use std::borrow::Cow;
use std::rc::Rc;

use crate::core::admin::AdminRequest;
use crate::core::close::Close;
use crate::core::live::{LiveRequest, LiveSession, LiveStatus, MediaCall, Outcome};
use crate::core::member::{Attached, Member};
use crate::core::notice::{Notice, Registered};
use crate::core::outbox::Numbered;
use crate::core::peer::{Address, Key, Lock, PeerId, Seat, Socket, Time};
use crate::core::refusal::Refusal;

/// The maximum size of a frame from a peer, in bytes. The SDP of a call with many tracks has about
/// 20 KiB.
pub const MAX_FRAME: usize = 64 * 1024;

/// The limits of a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The maximum number of peers, including absent peers.
    pub peers: usize,
    /// The maximum number of viewers in a room with a live session, which replaces `peers`.
    pub viewers: usize,
    /// The grace period: the time for which an absent peer keeps its seat, in milliseconds.
    pub grace: u64,
    /// The time for which a broadcast is held while its sender is alone, in milliseconds.
    pub hold: u64,
    /// Whether peers do not learn which other peers are in the room, join and leave.
    pub hides_peers: bool,
    /// The maximum number of members of a [group](crate::core::topics::groups).
    pub group: usize,
    /// The time for which a signal waits for a receiver that is not in the room, in milliseconds. 0: the
    /// signal is refused at once.
    pub await_peer: u64,
}

impl Limits {
    /// Returns the maximum number of peers that have registered and never opened a stream.
    #[must_use]
    pub fn waiting(&self) -> usize {
        (self.peers / 4).max(2)
    }

    /// Returns the part of [`waiting`](Self::waiting) that one network may use.
    #[must_use]
    pub fn waiting_of_one_address(&self) -> usize {
        (self.waiting() / 2).max(2)
    }

    /// Returns the number of bytes that a peer may send in a burst: enough for a newcomer to offer
    /// to every other peer.
    #[must_use]
    pub fn burst_bytes(&self) -> usize {
        const MIN: usize = 1024 * 1024;
        self.peers.saturating_mul(16 * 1024).clamp(MIN, 2 * MIN)
    }
}

/// A signal from a client, as its dialect decoded it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal<'a> {
    /// The id of the receiver, as the sender wrote it. `None` for a broadcast to all other peers.
    pub to: Option<Cow<'a, str>>,
    /// `offer`, `answer`, `candidate`, or a type that the application defines.
    pub signal_type: Cow<'a, str>,
    /// The payload as JSON text, forwarded unparsed. `None` if the payload is missing or `null`.
    pub payload: Option<Cow<'a, str>>,
    /// The id of the sender according to the frame. `None` if the frame names no sender.
    pub stated_sender: Option<Cow<'a, str>>,
    /// The number with which the room acknowledges the signal. `None` if the client does not ask for
    /// an acknowledgement.
    pub ack: Option<u64>,
}

/// A client that asks to join over a WebSocket.
#[derive(Clone, Debug)]
pub struct Joining {
    /// The `Socket` id of the new WebSocket.
    pub socket: Socket,
    /// The requested peer id.
    pub id: PeerId,
    /// The hash of the client's key, which protects the peer id. If the id is in use, the
    /// client can take over the id only with the same key.
    pub key: Option<Key>,
    /// The open WebSocket from which the client moves to this one. The client receives everything
    /// that was sent on the open one, so its connection to the media server stays as it is. If the
    /// peer has another WebSocket meanwhile, the join is refused.
    pub moves: Option<Socket>,
    /// The refusal of the client's token, if it has expired. The client is then refused unless it
    /// returns to a seat that it still holds. `None`: the client may join.
    pub expired: Option<Refusal<'static>>,
    /// The time at which the WebSocket is closed, because the token of the client expires.
    /// `None`: never.
    pub expires_at: Option<Time>,
    /// The [meta](Member::meta) of the client. If it is empty, a peer that returns keeps its own.
    pub meta: Option<Rc<str>>,
    /// The payload of an offer, as JSON text. The first connected peer in the welcome gets it.
    pub offer: Option<String>,
}

/// An event in a room.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A client asks to join as peer `id` over a new WebSocket. The room replies with
    /// [`Effect::Accept`], or with a refusal in [`Effect::Reply`].
    Join(Box<Joining>),
    /// A client asks to join as peer `id` over HTTP, before it opens its event stream. The room
    /// replies with [`Effect::Reply`].
    Register {
        /// A `Socket` id that no WebSocket has. It identifies the peer until the stream of the peer
        /// opens.
        socket: Socket,
        /// The requested peer id.
        id: PeerId,
        /// The hash of the key that the client sent. The client can take over an id that is in use
        /// only with the key of its peer.
        key: Option<Key>,
        /// The lock of the peer from now on: the client's own key, or a key that the server generated
        /// for the client.
        lock: Lock,
        /// The time at which the event stream is closed, because the token of the client expires.
        /// `None`: never.
        expires_at: Option<Time>,
        /// The network of the client. `None` if it is unknown or exempt from limits.
        address: Option<Address>,
    },
    /// A registered peer opens or resumes its event stream. The replies of the room are the same as
    /// for [`Event::Join`].
    Open {
        /// The `Socket` id of the WebSocket that carries the stream.
        socket: Socket,
        /// The peer id in the request.
        id: PeerId,
        /// The hash of the key that the client sent.
        key: Option<Key>,
        /// The header `Last-Event-ID`: the id of the last event that the client received. `None` if
        /// the client starts a new stream.
        last: Option<u64>,
    },
    /// A registered peer sends a signal in an HTTP request. The room replies only if it refuses the
    /// signal, with [`Effect::Reply`].
    Post {
        /// The peer id in the request.
        id: PeerId,
        /// The hash of the key that the client sent.
        key: Option<Key>,
        /// The decoded signal, or a refusal if the dialect could not decode the body.
        signal: Result<Signal<'a>, Refusal<'a>>,
        /// The size of the body, in bytes.
        bytes: usize,
    },
    /// A peer sent a WebSocket frame.
    Frame {
        /// The WebSocket that received the frame.
        socket: Socket,
        /// The decoded signal, or a refusal if the dialect could not decode the frame.
        signal: Result<Signal<'a>, Refusal<'a>>,
        /// The size of the frame, or of the signal's part of a batch, in bytes.
        bytes: usize,
    },
    /// A request of the back end about the live session of the room. The room replies with
    /// [`Effect::Reply`].
    Live(LiveRequest),
    /// A request of the operator. The room replies with [`Effect::Reply`].
    Admin(AdminRequest),
    /// A call of the media server has ended.
    Called {
        /// The number of the [`Effect::Call`].
        call: u64,
        /// The result.
        outcome: Outcome,
    },
    /// The client closed its WebSocket. Its peer leaves.
    Closed(Socket),
    /// The client closed its WebSocket with [`GOING_AWAY`](crate::core::close::GOING_AWAY). Its peer
    /// becomes absent for a short time if it has a key, and leaves otherwise.
    GoingAway(Socket),
    /// The WebSocket failed without a Close frame. Its peer becomes absent.
    Lost(Socket),
    /// A notice could not be sent, because the WebSocket no longer works.
    Undelivered {
        /// The WebSocket that failed.
        socket: Socket,
        /// The event id of the notice, if the receiver has an event stream.
        event_id: Option<u64>,
        /// The unsent notice.
        notice: Notice<'a>,
    },
    /// A signal cannot be encoded for its receiver, because the receiver's dialect reserves its
    /// type.
    Unencodable {
        /// Whether the signal came from an [`Event::Post`] whose HTTP request is still open. The
        /// reply to that request then contains the refusal.
        posted: bool,
        /// The signal that cannot be encoded.
        notice: Notice<'a>,
    },
    /// The room was restored, and had stored rows. The room then removes what is out of date.
    Wake,
    /// The alarm fired. An alarm that fires too early or too late causes no error.
    Tick,
}

/// An action that the room requests from the shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect<'a> {
    /// Accept the WebSocket of an [`Event::Join`] or [`Event::Open`]. If the platform cannot accept
    /// the WebSocket, the shell reports [`Event::Closed`].
    Accept(Socket),
    /// Reply to the HTTP request of the event. A client that asks to join over a WebSocket is also
    /// refused with this effect. Replies after the first have no effect.
    Reply(Result<Reply, Refusal<'a>>),
    /// Send a notice to each WebSocket in `to`. The shell reports each failure as
    /// [`Event::Undelivered`] or [`Event::Unencodable`].
    Send {
        /// The receivers, without duplicates.
        to: Vec<Socket>,
        /// The event id, from which the receivers can resume their streams. `None` for receivers
        /// without an event stream.
        event_id: Option<u64>,
        /// The notice.
        notice: Notice<'a>,
    },
    /// Start a call of the media server. The shell reports its result as [`Event::Called`]. A session
    /// has at most one call in progress. The room has at most six, in addition to the answers of peers.
    Call {
        /// The number of the call, unique in the room.
        call: u64,
        /// The request.
        request: MediaCall,
    },
    /// Close a WebSocket with a close code.
    Close(Socket, Close),
    /// Store a member with its WebSocket, replacing the previously stored member.
    Keep(Attached),
    /// Write a row, replacing a row with the same key.
    Store(Row),
    /// Delete a row.
    Erase(RowKey),
    /// Set the alarm, which delivers [`Event::Tick`] at this time. It replaces the previous alarm.
    /// `None` clears the alarm.
    Alarm(Option<Time>),
    /// Delete all stored data, because no row and no alarm is left. Otherwise the operator of the
    /// server pays for an empty database.
    Clear,
}

/// The successful reply to an HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The reply to [`Event::Register`].
    Registered(Registered),
    /// The reply to [`Event::Live`].
    Live(LiveStatus),
    /// The reply to [`AdminRequest::List`]: the ids of the peers, in the order of joining.
    Ids(Vec<PeerId>),
    /// The reply to [`AdminRequest::Remove`] and [`AdminRequest::Close`]: the number of peers that
    /// were removed.
    Removed(usize),
}

/// A row in the storage of the room. A room of WebSocket peers without disconnects, held broadcasts,
/// removed peers or a live session stores no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// An absent peer that may reconnect.
    Absent(Absent),
    /// A broadcast that is held for the next peer to join.
    Held(Held),
    /// Notices that are kept for one or more peers.
    Notices(Notices),
    /// The peers that left while peers with event streams were absent, in the order of leaving.
    Leavers(Vec<Leaver>),
    /// The live session of the room.
    Live(LiveSession),
    /// The ids and keys that the operator has removed, oldest first.
    Bans(Vec<Ban>),
}

/// The key of a stored row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowKey {
    /// The row of an absent peer.
    Absent(PeerId),
    /// The row of a held broadcast, by [`Held::number`].
    Held(u64),
    /// The row of kept notices, by [`Notices::key`].
    Notices(u64),
    /// The row of peers that left.
    Leavers,
    /// The row of the live session.
    Live,
    /// The row of bans.
    Bans,
}

/// Notices in a row. A notice that is sent or queued has a row of its own, which all its receivers
/// share. The notices from an attachment move into one row when their receiver becomes absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notices {
    /// The name of the row, unique in the room.
    pub key: u64,
    /// The seats of the receivers.
    pub to: Vec<Seat>,
    /// The notices, ordered by number.
    pub notices: Vec<Numbered>,
}

/// A peer that left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaver {
    /// The number of its leave, in the order of all notices.
    pub number: u64,
    /// The seat that it had.
    pub seat: Seat,
    /// The id that it had.
    pub id: PeerId,
}

/// An id and a key that are refused, because the operator has removed their peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    /// The id of the removed peer.
    pub id: PeerId,
    /// The hash of the key of the removed peer. `None` if it had no key, or if no peer had the id.
    pub key: Option<Key>,
    /// The time at which the id and the key may join again.
    pub expires_at: Time,
}

/// A broadcast that is held for the next peer to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The position in the order of sending. It is unique among the rows of the room.
    pub number: u64,
    /// The sender.
    pub from: PeerId,
    /// The time at which the broadcast is refused, and its sender is notified, if no peer has
    /// joined.
    pub expires_at: Time,
    /// The type of the signal.
    pub signal_type: String,
    /// The payload as JSON text, unchanged.
    pub payload: Option<String>,
}

/// A peer without a working WebSocket, whose seat is kept during the grace period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    /// The state that was stored with the last WebSocket.
    pub member: Member,
    /// The time at which the peer leaves the room, if it has not reconnected.
    pub expires_at: Time,
    /// The highest number that was sent. Kept notices with higher numbers are queued.
    pub sent: u64,
}
