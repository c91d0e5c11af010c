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
mod subscriptions;
mod swarm;

use std::rc::Rc;

use litemap::LiteMap;

use self::budget::Budget;
pub use self::drive::{Transport, drive};
pub use self::event::{Call, Effect, Event, Listener, Mark, Notice, Subscription};
pub use self::filters::Published;
use self::groups::Group;
use self::subscriptions::{Subscriber, Topic};
use self::swarm::Offered;
pub use self::swarm::{Announce, Counts, MAX_OFFERS, Offer};
use crate::core::close::Close;
use crate::core::event::Limits;
use crate::core::peer::{Socket, Time};
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
    /// The bytes that all topics have sent.
    budget: Budget,
    /// Higher than every seat.
    next_seat: u64,
    /// The number of events that were published.
    events: u64,
    /// The clients whose tokens expire, in the order of expiry.
    expiring: LiteMap<(Time, Socket), ()>,
    /// The time of the current alarm. `None` if no alarm is set or the alarm has fired.
    alarm: Option<Time>,
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
            budget: Budget::default(),
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
        if !topic.spend(now, body.len(), &mut self.budget) {
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
