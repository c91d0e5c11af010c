//! The subscriptions of clients, and the subscribers of each topic.

use std::borrow::Cow;
use std::cell::Cell;
use std::rc::Rc;

use super::budget::{Budget, OF_ALL, OF_TOPIC};
use super::{MAX_SUBSCRIPTIONS, MAX_TOPIC, MAX_TOPICS, Mark, Subscription, Topics};
use crate::core::peer::{PeerId, Socket, Time};

/// A topic.
#[derive(Debug, Default)]
pub(super) struct Topic {
    /// The subscribers, in the order of their seats.
    pub(super) subscribers: Vec<Subscriber>,
    pub(super) budget: Budget,
}

impl Topic {
    /// Counts a message with this number of bytes. `all` is the budget of all topics. Returns `false` if
    /// the message must be dropped.
    pub(super) fn spend(&mut self, now: Time, bytes: usize, all: &mut Budget) -> bool {
        let sent = bytes.saturating_mul(self.subscribers.len());
        all.spend(now, sent, &OF_ALL) && self.budget.spend(now, bytes, &OF_TOPIC)
    }
}

/// A subscriber of a topic.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) seat: u64,
    pub(super) socket: Socket,
    /// The name of the subscription.
    pub(super) label: Rc<str>,
    /// The id of the client, if it has one.
    pub(super) id: Option<PeerId>,
    /// `None` if the subscription has no filters.
    pub(super) filters: Option<Rc<Filters>>,
    /// Whether the subscription has the mark [`Mark::Complete`].
    pub(super) is_complete: bool,
}

/// The filters of a subscription.
#[derive(Debug)]
pub(super) struct Filters {
    pub(super) text: Rc<str>,
    /// The number of the last event that was compared with the filters.
    pub(super) last_event: Cell<u64>,
}

impl Topics {
    /// Calls `change` with each of the first 100 topics. Returns whether the subscriptions of the client
    /// have changed.
    pub(super) fn each_topic(
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
    pub(super) fn subscribe(&mut self, socket: Socket, name: &str, mark: Mark) -> bool {
        let was_subscribed = self.unsubscribe(socket, name);
        let is_added = name.len() <= MAX_TOPIC && self.add(socket, name, "", mark);
        is_added || was_subscribed
    }

    /// Adds a subscription with a new seat. Returns `false` if there are too many.
    pub(super) fn add(&mut self, socket: Socket, topic: &str, label: &str, mark: Mark) -> bool {
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
    pub(super) fn unsubscribe(&mut self, socket: Socket, name: &str) -> bool {
        self.end_subscription(socket, |each| *each.topic == *name)
    }

    /// Ends the subscription of a client that `is_it` finds. Returns `false` if there is none.
    pub(super) fn end_subscription(
        &mut self,
        socket: Socket,
        is_it: impl Fn(&Subscription) -> bool,
    ) -> bool {
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

    /// Adds a subscriber to the topics of a subscription. `id`: the id of the client, if it has one.
    pub(super) fn add_subscriber(
        &mut self,
        subscription: &Subscription,
        socket: Socket,
        id: Option<&PeerId>,
    ) {
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
    pub(super) fn remove_subscriber(&mut self, subscription: &Subscription) {
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
}
