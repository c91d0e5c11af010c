//! Topics: WebSockets that subscribe to topics and publish to them. Only the clients of [`groups`] have
//! ids, and learn who else is connected. In a swarm, the label of a subscription is the id of a peer.
//!
//! [`Topics::handle`] takes one [`Event`] and appends the resulting [`Effect`]s, as a
//! [`Room`](crate::core::room::Room) does. A client that is disconnected is forgotten at once, because
//! clients of topics subscribe again when they reconnect. Topics write no row. They set an alarm only if
//! a token expires.
//!
//! Each subscription gets a *seat* on its topic, which is higher than all seats before it. The first
//! message that a client publishes after it subscribed goes only to itself and to lower seats. Clients
//! announce themselves with this message. If two clients subscribe at the same time, only the one with
//! the lower seat receives an announcement. Otherwise each would answer the announcement of the other
//! with an offer, and y-webrtc 10.3 does not resolve that conflict.

mod budget;
mod drive;
mod event;
mod filters;
pub mod groups;
mod swarm;

use std::borrow::Cow;
use std::cell::Cell;
use std::rc::Rc;

use litemap::LiteMap;

use self::budget::Budget;
pub use self::drive::{Transport, drive};
pub use self::event::{Call, Effect, Event, Listener, Mark, Notice, Subscription};
pub use self::filters::Published;
use self::groups::Group;
use self::swarm::Offered;
pub use self::swarm::{Announce, Counts, MAX_OFFERS, Offer};
use crate::core::close::Close;
use crate::core::event::Limits;
use crate::core::peer::{PeerId, Socket, Time};
use crate::core::rate_limit::{Decision, RateLimiter};
use crate::core::refusal::{Code, Refusal};

/// The maximum length of the name of a topic, in bytes of UTF-8.
pub const MAX_TOPIC: usize = 128;
/// The maximum number of topics to which a client subscribes. They fit into its attachment, whose
/// maximum size is 16 KiB.
pub const MAX_TOPICS: usize = 100;
/// The maximum number of subscriptions of all clients. It limits the memory that they use to about
/// 5 MB, and the time to subscribe.
pub const MAX_SUBSCRIPTIONS: usize = 16_384;

/// The clients of one Durable Object, and the topics to which they subscribe.
#[derive(Debug)]
pub struct Topics {
    limits: Limits,
    /// The clients. They are boxed, because a removal moves all later entries of the map.
    clients: LiteMap<Socket, Box<Client>>,
    /// The topics. None is without subscribers.
    topics: LiteMap<Rc<str>, Topic>,
    /// The number of subscriptions of all clients.
    subscriptions: usize,
    /// The number of offers of all clients since the topics were restored.
    offers: u64,
    /// Higher than every seat.
    next_seat: u64,
    /// The number of events that were published.
    events: u64,
    /// The clients whose tokens expire, in the order of expiry.
    expiring: LiteMap<(Time, Socket), ()>,
    /// The time of the current alarm. `None` if no alarm is set or the alarm has fired.
    alarm: Option<Time>,
}

/// A topic.
#[derive(Debug, Default)]
struct Topic {
    /// The subscribers, in the order of their seats.
    subscribers: Vec<Subscriber>,
    budget: Budget,
}

/// A subscriber of a topic.
#[derive(Debug)]
struct Subscriber {
    seat: u64,
    socket: Socket,
    /// The name of the subscription.
    label: Rc<str>,
    /// The id of the client, if it has one.
    id: Option<PeerId>,
    /// `None` if the subscription has no filters.
    filters: Option<Rc<Filters>>,
    /// Whether the subscription has the mark [`Mark::Complete`].
    is_complete: bool,
}

/// The filters of a subscription.
#[derive(Debug)]
struct Filters {
    text: Rc<str>,
    /// The number of the last event that was compared with the filters.
    last_event: Cell<u64>,
}

/// A client, and the state that is kept in memory only.
#[derive(Debug)]
struct Client {
    listener: Listener,
    rate_limiter: RateLimiter,
    offered: Offered,
}

impl Topics {
    /// Restores the topics from the listeners stored with their WebSockets, in any order. Of the limits,
    /// `peers` applies, as the maximum number of clients, and `group`.
    pub fn restore(
        limits: Limits,
        now: Time,
        listeners: impl IntoIterator<Item = Listener>,
    ) -> Self {
        let mut topics = Self {
            limits,
            clients: LiteMap::default(),
            topics: LiteMap::default(),
            subscriptions: 0,
            offers: 0,
            next_seat: 0,
            events: 0,
            expiring: LiteMap::default(),
            alarm: None,
        };
        for listener in listeners {
            for subscription in &listener.subscriptions {
                topics.add_subscriber(subscription, listener.socket, listener.id.as_ref());
            }
            topics.insert(now, listener);
        }
        topics.alarm = topics.next_expiry();
        topics
    }

    /// Returns the number of connected clients.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Returns the number of subscriptions of all clients.
    #[must_use]
    pub const fn subscriptions(&self) -> usize {
        self.subscriptions
    }

    /// Handles an event, and appends its effects in order.
    ///
    /// This method never fails or panics. An event from an unknown WebSocket has no effect.
    pub fn handle(&mut self, now: Time, event: Event<'_>, effects: &mut Vec<Effect>) {
        let mut had_alarm = self.alarm.is_some();
        self.close_expired(now, effects);
        match event {
            Event::Join {
                socket,
                id,
                group,
                expired,
                expires_at,
            } => {
                let listener = Listener {
                    socket,
                    id,
                    token_expires_at: expires_at.and_then(|at| at.to_close_at(now)),
                    subscriptions: Vec::new(),
                };
                self.join(now, listener, group, expired, effects);
            }
            Event::Frame {
                socket,
                call,
                bytes,
            } => self.handle_frame(now, socket, call, bytes, effects),
            Event::Ended(socket) => self.remove(socket, effects),
            Event::CloseAll => self.close_all(effects),
            Event::Tick => {
                had_alarm = true;
                // The platform clears an alarm when it fires.
                self.alarm = None;
            }
        }
        self.set_alarm(had_alarm, effects);
    }

    fn join(
        &mut self,
        now: Time,
        listener: Listener,
        group: Option<Group>,
        expired: Option<Refusal<'static>>,
        effects: &mut Vec<Effect>,
    ) {
        let full = |max| {
            let message = format!("{max} clients are connected, the maximum: connect again later");
            Refusal::new(Code::RoomFull, message)
        };
        let max = self.limits.peers;
        let max = match group {
            _ if self.clients.len() >= max => Some(max),
            Some(group) => self.maximum_reached(group),
            None => None,
        };
        if let Some(refusal) = expired.or_else(|| max.map(full)) {
            return effects.push(Effect::Refuse(refusal));
        }
        let (socket, has_id) = (listener.socket, listener.id.is_some());
        effects.push(Effect::Accept(socket));
        self.insert(now, listener);
        if has_id {
            self.join_group(socket, group, effects);
        } else {
            self.keep(socket, effects);
        }
    }

    fn handle_frame(
        &mut self,
        now: Time,
        socket: Socket,
        call: Result<Call<'_>, Refusal<'_>>,
        bytes: usize,
        effects: &mut Vec<Effect>,
    ) {
        let Some(client) = self.clients.get_mut(&socket) else {
            return;
        };
        let too_fast = |message, call: Result<Call<'_>, _>| {
            let refusal = Refusal::new(Code::TooFast, message);
            call.map_or(Notice::Refused(refusal.clone()), |call| {
                call.refuse(refusal)
            })
        };
        let bytes = bytes.saturating_add(call.as_ref().map_or(0, Call::cost));
        let (notice, close) = match (client.rate_limiter.check(now, bytes), call) {
            (Decision::Pass, Ok(call)) => return self.handle_call(now, socket, call, effects),
            (Decision::Pass, Err(refusal)) => {
                let close = Close::after(refusal.code);
                (Notice::Refused(refusal.into_owned()), close)
            }
            (Decision::Refuse(message), call) => (too_fast(message, call), None),
            (Decision::Disconnect(message), call) => {
                (too_fast(message, call), Some(Close::TooFast))
            }
        };
        effects.push(Effect::Send(vec![socket], notice));
        if let Some(close) = close {
            self.close(socket, close, effects);
        }
    }

    fn handle_call(
        &mut self,
        now: Time,
        socket: Socket,
        call: Call<'_>,
        effects: &mut Vec<Effect>,
    ) {
        let is_changed = match call {
            Call::Filter { label, filters } => self.filter(socket, &label, filters, effects),
            Call::Unfilter(label) => self.unfilter(socket, &label),
            Call::PublishEvent { id, event } => {
                self.publish_event(now, socket, id, &event, effects);
                false
            }
            Call::Subscribe(names, mark) => {
                self.each_topic(&names, |topics, name| topics.subscribe(socket, name, mark))
            }
            Call::Unsubscribe(names) => {
                self.each_topic(&names, |topics, name| topics.unsubscribe(socket, name))
            }
            Call::Publish { topic, body } => self.publish(now, socket, &topic, body, effects),
            Call::Enter(name) => {
                self.enter(socket, &name, effects);
                false
            }
            Call::Signal {
                group,
                stated_sender,
                to,
                body,
            } => {
                let sender = (socket, stated_sender.as_deref());
                self.signal(sender, group.as_deref(), &to, body, effects);
                false
            }
            Call::Announce(announce) => self.announce(socket, announce, effects),
            Call::Scrape(swarms) => {
                let notice = Notice::Scraped(self.scrape(swarms));
                effects.push(Effect::Send(vec![socket], notice));
                false
            }
            Call::Reply(frame) => {
                effects.push(Effect::Send(vec![socket], Notice::Reply(frame)));
                false
            }
            Call::Nothing => false,
        };
        if is_changed {
            self.keep(socket, effects);
        }
    }

    /// Stores the listener of a client.
    fn keep(&self, socket: Socket, effects: &mut Vec<Effect>) {
        if let Some(client) = self.clients.get(&socket) {
            effects.push(Effect::Keep(client.listener.clone()));
        }
    }

    /// Calls `change` with each of the first 100 topics. Returns whether the subscriptions of the client
    /// have changed.
    fn each_topic(
        &mut self,
        names: &[Cow<'_, str>],
        change: impl Fn(&mut Self, &str) -> bool,
    ) -> bool {
        let names = names.iter().take(MAX_TOPICS);
        let changed = names.filter(|name| change(self, name));
        changed.count() > 0
    }

    /// Subscribes a client to a topic, or gives it a new seat if it is subscribed. Returns `false` if a
    /// limit is reached.
    fn subscribe(&mut self, socket: Socket, name: &str, mark: Mark) -> bool {
        let was_subscribed = self.unsubscribe(socket, name);
        let is_added = name.len() <= MAX_TOPIC && self.add(socket, name, "", mark);
        is_added || was_subscribed
    }

    /// Adds a subscription with a new seat. Returns `false` if there are too many.
    fn add(&mut self, socket: Socket, topic: &str, label: &str, mark: Mark) -> bool {
        let Some(client) = self.clients.get_mut(&socket) else {
            return false;
        };
        let subscription = Subscription {
            topic: topic.into(),
            label: label.into(),
            seat: self.next_seat,
            mark,
        };
        let total = self.subscriptions.saturating_add(subscription.weight());
        let own = &mut client.listener.subscriptions;
        if own.len() >= MAX_TOPICS || total > MAX_SUBSCRIPTIONS {
            return false;
        }
        own.push(subscription.clone());
        self.add_subscriber(&subscription, socket, None);
        true
    }

    /// Ends the subscription of a client to a topic. Returns `false` if it has none.
    fn unsubscribe(&mut self, socket: Socket, name: &str) -> bool {
        self.end_subscription(socket, |each| *each.topic == *name)
    }

    /// Ends the subscription of a client that `is_it` finds. Returns `false` if there is none.
    fn end_subscription(&mut self, socket: Socket, is_it: impl Fn(&Subscription) -> bool) -> bool {
        let Some(client) = self.clients.get_mut(&socket) else {
            return false;
        };
        let subscriptions = &mut client.listener.subscriptions;
        let Some(index) = subscriptions.iter().position(is_it) else {
            return false;
        };
        let subscription = subscriptions.remove(index);
        self.remove_subscriber(&subscription);
        true
    }

    /// Sends a message to the subscribers of a topic, unless the topic has exceeded its budget. Returns
    /// whether the subscriptions of the sender have changed.
    fn publish(
        &mut self,
        now: Time,
        socket: Socket,
        name: &str,
        body: String,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let Some(topic) = self.topics.get_mut(name) else {
            return false;
        };
        if !topic.budget.spend(now, body.len()) {
            return false;
        }
        let subscribers = &topic.subscribers;
        let client = self.clients.get_mut(&socket);
        let subscriptions = client.map(|client| client.listener.subscriptions.iter_mut());
        let fresh = subscriptions
            .into_iter()
            .flatten()
            .find(|each| *each.topic == *name && each.mark == Mark::Fresh);
        let is_fresh = fresh.is_some();
        let last = fresh.map_or(u64::MAX, |own| {
            own.mark = Mark::None;
            own.seat
        });
        let receivers = subscribers.iter().take_while(|each| each.seat <= last);
        let to = receivers.map(|each| each.socket).collect();
        let notice = Notice::Post {
            body: body.into(),
            label: "".into(),
            subscribers: subscribers.len(),
        };
        effects.push(Effect::Send(to, notice));
        is_fresh
    }

    fn insert(&mut self, now: Time, listener: Listener) {
        if let Some(at) = listener.token_expires_at {
            self.expiring.insert((at, listener.socket), ());
        }
        let rate_limiter = RateLimiter::new(now, &self.limits);
        let client = Client {
            listener,
            rate_limiter,
            offered: Offered::default(),
        };
        self.clients
            .insert(client.listener.socket, Box::new(client));
    }

    /// Removes a client, and closes its WebSocket.
    fn close(&mut self, socket: Socket, close: Close, effects: &mut Vec<Effect>) {
        effects.push(Effect::Close(socket, close));
        self.remove(socket, effects);
    }

    fn remove(&mut self, socket: Socket, effects: &mut Vec<Effect>) {
        let Some(client) = self.clients.remove(&socket) else {
            return;
        };
        let listener = client.listener;
        if let Some(at) = listener.token_expires_at {
            self.expiring.remove(&(at, socket));
        }
        for subscription in &listener.subscriptions {
            self.remove_subscriber(subscription);
            if let Some(id) = &listener.id {
                self.announce_left(&subscription.topic, id, effects);
            }
        }
    }

    /// Adds a subscriber to the topics of a subscription. `id`: the id of the client, if it has one.
    fn add_subscriber(&mut self, subscription: &Subscription, socket: Socket, id: Option<&PeerId>) {
        let seat = subscription.seat;
        self.subscriptions = self.subscriptions.saturating_add(subscription.weight());
        self.next_seat = self.next_seat.max(seat.saturating_add(1));
        let filters = (subscription.mark == Mark::Filters).then(|| {
            Rc::new(Filters {
                text: subscription.topic.clone(),
                last_event: Cell::new(0),
            })
        });
        subscription.each_topic(&mut |name| {
            let name: Rc<str> = match filters {
                Some(_) => name.into(),
                None => subscription.topic.clone(),
            };
            let topic = self.topics.entry(name).or_default();
            let found = topic
                .subscribers
                .binary_search_by_key(&seat, |other| other.seat);
            // A subscription may have a topic twice.
            if let Err(index) = found {
                let subscriber = Subscriber {
                    seat,
                    socket,
                    label: subscription.label.clone(),
                    id: id.cloned(),
                    filters: filters.clone(),
                    is_complete: subscription.mark == Mark::Complete,
                };
                topic.subscribers.insert(index, subscriber);
            }
        });
    }

    /// Removes a subscriber from the topics of a subscription.
    fn remove_subscriber(&mut self, subscription: &Subscription) {
        self.subscriptions = self.subscriptions.saturating_sub(subscription.weight());
        subscription.each_topic(&mut |name| {
            let Some(Topic { subscribers, .. }) = self.topics.get_mut(name) else {
                return;
            };
            let seat = &subscription.seat;
            if let Ok(index) = subscribers.binary_search_by_key(seat, |each| each.seat) {
                subscribers.remove(index);
            }
            if subscribers.is_empty() {
                self.topics.remove(name);
            }
        });
    }

    fn next_expiry(&self) -> Option<Time> {
        self.expiring.first().map(|((at, _), ())| *at)
    }

    /// Closes the WebSockets of the clients whose tokens have expired.
    fn close_expired(&mut self, now: Time, effects: &mut Vec<Effect>) {
        while let Some(((at, socket), ())) = self.expiring.first()
            && *at <= now
        {
            let socket = *socket;
            self.close(socket, Close::Expired, effects);
        }
    }

    fn close_all(&mut self, effects: &mut Vec<Effect>) {
        // No client needs to know that the others leave.
        self.topics = LiteMap::default();
        self.subscriptions = 0;
        while let Some((socket, _)) = self.clients.last() {
            let socket = *socket;
            self.close(socket, Close::Removed, effects);
        }
    }

    /// Sets the alarm to the next expiry, unless it is already set to that time. Clears the storage if
    /// no alarm is left.
    fn set_alarm(&mut self, had_alarm: bool, effects: &mut Vec<Effect>) {
        let next = self.next_expiry();
        let is_set = self.alarm == next;
        self.alarm = next;
        match next {
            Some(at) if !is_set => effects.push(Effect::Alarm(at)),
            None if had_alarm => effects.push(Effect::Clear),
            _ => {}
        }
    }
}
