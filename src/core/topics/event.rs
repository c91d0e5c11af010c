//! The input and output of [`Topics`](super::Topics), and what is kept with each WebSocket.

use std::borrow::Cow;
use std::rc::Rc;

use super::groups::Group;
use super::{Announce, Counts, Published};
use crate::core::close::Close;
use crate::core::peer::{PeerId, Socket, Time};
use crate::core::refusal::Refusal;

/// A client as it is stored with its WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The client's WebSocket.
    pub socket: Socket,
    /// The id of the client, which the server has made. `None`: clients of the dialect have no ids.
    pub id: Option<PeerId>,
    /// The time at which the server closes the WebSocket, because the token of the client expires.
    /// `None`: never.
    pub token_expires_at: Option<Time>,
    /// The subscriptions of the client, at most one for each topic and label, ordered by seat.
    pub subscriptions: Vec<Subscription>,
}

/// The subscription of a client to a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The name of the topic, or the filters.
    pub topic: Rc<str>,
    /// The name of the subscription, which the client chose. Empty in dialects without such names.
    pub label: Rc<str>,
    /// The position in the order of all subscriptions.
    pub seat: u64,
    /// A fact about the subscription.
    pub mark: Mark,
}

/// A fact about a subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mark {
    /// None of the following facts.
    #[default]
    None,
    /// The client has published nothing on the topic since it subscribed. Its first message is an
    /// announcement.
    Fresh,
    /// The subscription has filters instead of a topic.
    Filters,
    /// The peer has all data of the swarm.
    Complete,
}

/// A message to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A message that was published on a topic of the client.
    Post {
        /// The body of the [`Call::Publish`].
        body: Rc<str>,
        /// The name of the receiver's subscription.
        label: Rc<str>,
        /// The number of all subscribers of the topic.
        subscribers: usize,
    },
    /// The id of the client, before all other notices. Only clients with ids receive it and the following
    /// notices, which are about their [groups](super::groups).
    Assigned(PeerId),
    /// The client has entered a group.
    Joined {
        /// All members, in the order in which they entered.
        members: Vec<PeerId>,
    },
    /// Another client has entered a group of the client.
    Entered {
        /// The new member.
        id: PeerId,
        /// All members, in the order in which they entered.
        members: Vec<PeerId>,
    },
    /// Another client has left a group of the client.
    Left {
        /// The former member.
        id: PeerId,
        /// The remaining members, in the order in which they entered.
        members: Vec<PeerId>,
    },
    /// A message of another member to this client alone.
    Signal {
        /// The sender.
        from: PeerId,
        /// The body of the [`Call::Signal`].
        body: Rc<str>,
    },
    /// The swarm in which the client has announced a peer.
    Announced {
        /// The name of the swarm, as the client wrote it.
        swarm: String,
        /// The peers of the swarm. `None`: the peer is not in the swarm, because a limit is reached.
        counts: Option<Counts>,
    },
    /// The swarms about which the client has asked, each once.
    Scraped(Vec<(Rc<str>, Counts)>),
    /// A reply to a frame, which the dialect has written.
    Reply(String),
    /// The answer to a [`Call::Filter`].
    Subscribed {
        /// The name of the subscription.
        label: Rc<str>,
    },
    /// A [`Call::Filter`] is refused, so no subscription has its name.
    Ended {
        /// The name of the subscription.
        label: Rc<str>,
        /// The reason.
        refusal: Refusal<'static>,
    },
    /// The answer to a [`Call::PublishEvent`].
    Published {
        /// The id of the event.
        id: String,
        /// The reason if nobody receives the event.
        refusal: Option<Refusal<'static>>,
    },
    /// The server refuses a frame of the client.
    Refused(Refusal<'static>),
}

/// A request of a client, as its dialect decoded it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call<'a> {
    /// Subscribe to these topics, with this mark. A client that is subscribed to a topic subscribes anew.
    Subscribe(Vec<Cow<'a, str>>, Mark),
    /// Unsubscribe from these topics.
    Unsubscribe(Vec<Cow<'a, str>>),
    /// Publish a message to all subscribers of a topic, including the client if it is subscribed.
    Publish {
        /// The topic.
        topic: Cow<'a, str>,
        /// The message, in the form that the dialect chooses.
        body: String,
    },
    /// Subscribe to events. The answer is [`Notice::Subscribed`] or [`Notice::Ended`].
    Filter {
        /// The name of the subscription, which replaces that with the same name.
        label: Cow<'a, str>,
        /// The filters in the form of `filters.rs`, or the reason why they are invalid.
        filters: Result<String, Refusal<'static>>,
    },
    /// End the subscription with this name.
    Unfilter(Cow<'a, str>),
    /// Publish an event to all subscriptions with a filter that matches. The answer is
    /// [`Notice::Published`].
    PublishEvent {
        /// The id of the event.
        id: String,
        /// The event.
        event: Published,
    },
    /// Enter the group with this name. A client that is in the group stays in it.
    Enter(Cow<'a, str>),
    /// Send a message to one member of a group of the client.
    Signal {
        /// The name of the group. `None`: the first group that the client has entered.
        group: Option<Cow<'a, str>>,
        /// The id of the sender according to the frame. `None`: the frame names no sender.
        stated_sender: Option<Cow<'a, str>>,
        /// The id of the receiver.
        to: Cow<'a, str>,
        /// The message, in the form that the dialect chooses.
        body: String,
    },
    /// Announce a peer in a swarm.
    Announce(Announce<'a>),
    /// Count the peers of these swarms.
    Scrape(Vec<Cow<'a, str>>),
    /// Send this frame to the client. The dialect can answer alone.
    Reply(String),
    /// A frame that is valid, and has no effect.
    Nothing,
}

impl Call<'_> {
    /// Returns the notice that refuses the request.
    pub(super) fn refuse(self, refusal: Refusal<'static>) -> Notice {
        match self {
            Self::Filter { label, .. } => Notice::Ended {
                label: label.into(),
                refusal,
            },
            Self::PublishEvent { id, .. } => Notice::Published {
                id,
                refusal: Some(refusal),
            },
            _ => Notice::Refused(refusal),
        }
    }
}

/// An event.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A client connects over a new WebSocket. The reply is [`Effect::Accept`] or [`Effect::Refuse`].
    Join {
        /// The `Socket` id of the new WebSocket.
        socket: Socket,
        /// The id of the client. `None`: clients of the dialect have no ids.
        id: Option<PeerId>,
        /// The group that the client enters at once. `None`: none.
        group: Option<Group>,
        /// The refusal of the client's token, if it has expired. `None`: the client may join.
        expired: Option<Refusal<'static>>,
        /// The time at which the WebSocket is closed, because the token of the client expires.
        /// `None`: never.
        expires_at: Option<Time>,
    },
    /// A client sent a WebSocket frame.
    Frame {
        /// The WebSocket that received the frame.
        socket: Socket,
        /// The decoded request, or a refusal if the dialect could not decode the frame.
        call: Result<Call<'a>, Refusal<'a>>,
        /// The size of the frame, in bytes.
        bytes: usize,
    },
    /// A WebSocket is closed or lost, or a message could not be sent on it.
    Ended(Socket),
    /// The operator of the server removes all clients.
    CloseAll,
    /// The alarm fired. An alarm that fires too early or too late causes no error.
    Tick,
}

/// An action that the topics request from the shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Accept the WebSocket of an [`Event::Join`]. If the platform cannot accept the WebSocket, the
    /// shell reports [`Event::Ended`].
    Accept(Socket),
    /// Refuse the WebSocket of an [`Event::Join`].
    Refuse(Refusal<'static>),
    /// Send a notice to each WebSocket. The list has no duplicates. The shell reports each failure as
    /// [`Event::Ended`].
    Send(Vec<Socket>, Notice),
    /// Close a WebSocket with a close code.
    Close(Socket, Close),
    /// Store a listener with its WebSocket, replacing the previously stored listener.
    Keep(Listener),
    /// Set the alarm, which delivers [`Event::Tick`] at this time. It replaces the previous alarm.
    Alarm(Time),
    /// Delete all stored data and the alarm, because no alarm is needed.
    Clear,
}
