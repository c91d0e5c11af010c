//! Groups: topics whose subscribers, the members, have ids. The members of a group learn who enters and
//! leaves, and send each other signals.
//!
//! A client enters the groups that it names, as in `RxDB`, or one group when it connects, as in matchbox.
//! Clients of matchbox may name the size of their group. The group is then open until it has this many
//! members: a member that leaves makes room for another. A full group is closed for ever, and the next
//! client opens a new one. The name of an open group is its size, and the name of a closed group is also
//! the seat of its first member. The attachments of the members contain these names, so the groups are
//! the same after an eviction.

use std::borrow::Cow;
use std::rc::Rc;

use super::{Effect, MAX_SUBSCRIPTIONS, Mark, Notice, Subscription, Topics};
use crate::core::close::Close;
use crate::core::peer::{PeerId, Socket};

/// The maximum number of groups that a client enters. `RxDB` uses a connection for each group. All
/// members of a group receive all ids at each change, so more groups would let one client cause more.
pub const MAX_GROUPS: usize = 4;

/// A group that a client enters when it connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// The group of all clients that name no size.
    Common,
    /// A group of this size.
    OfSize(usize),
}

impl Group {
    /// Returns the name of the group while clients can enter it.
    fn open_name(self) -> Cow<'static, str> {
        match self {
            Self::Common => "".into(),
            Self::OfSize(size) => size.to_string().into(),
        }
    }
}

impl Topics {
    /// Returns the maximum number of members if a group has as many. A group with a size is closed then,
    /// so it never has.
    pub(super) fn maximum_reached(&self, group: Group) -> Option<usize> {
        let is_full = group == Group::Common && self.is_full("");
        is_full.then_some(self.limits.group)
    }

    fn is_full(&self, name: &str) -> bool {
        let group = self.topics.get(name);
        group.is_some_and(|group| group.subscribers.len() >= self.limits.group)
    }

    /// Informs a new client about its id, and lets it enter a group.
    pub(super) fn join_group(
        &mut self,
        socket: Socket,
        group: Option<Group>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(client) = self.clients.get(&socket) else {
            return;
        };
        let assigned = client.listener.id.clone().map(Notice::Assigned);
        let name = group.map(|group| {
            let name = group.open_name();
            self.add_member(socket, &name);
            self.close_group(group, &name, socket, effects)
        });
        self.keep(socket, effects);
        if let Some(assigned) = assigned {
            effects.push(Effect::Send(vec![socket], assigned));
        }
        if let Some(name) = name {
            self.announce_entered(&name, socket, effects);
        }
    }

    /// Lets a client enter a group, unless it is a member or has entered as many groups as it may. A
    /// client that finds the group full is closed.
    pub(super) fn enter(&mut self, socket: Socket, name: &str, effects: &mut Vec<Effect>) {
        let Some(client) = self.clients.get(&socket) else {
            return;
        };
        let groups = &client.listener.subscriptions;
        if groups.len() >= MAX_GROUPS || groups.iter().any(|each| *each.topic == *name) {
            return;
        }
        if self.is_full(name) || self.subscriptions >= MAX_SUBSCRIPTIONS {
            return self.close(socket, Close::RoomFull, effects);
        }
        self.add_member(socket, name);
        self.keep(socket, effects);
        self.announce_entered(name, socket, effects);
    }

    fn add_member(&mut self, socket: Socket, name: &str) {
        let Some(client) = self.clients.get_mut(&socket) else {
            return;
        };
        let subscription = Subscription {
            topic: name.into(),
            label: "".into(),
            seat: self.next_seat,
            mark: Mark::None,
        };
        client.listener.subscriptions.push(subscription.clone());
        let id = client.listener.id.clone();
        self.add_subscriber(&subscription, socket, id.as_ref());
    }

    /// Closes the group that `newest` has entered, if it is full: gives it a name under which no client
    /// can enter it. Returns the name of the group.
    fn close_group(
        &mut self,
        group: Group,
        open_name: &str,
        newest: Socket,
        effects: &mut Vec<Effect>,
    ) -> Rc<str> {
        let topic = self.topics.get(open_name);
        let members = topic.map_or(0, |topic| topic.subscribers.len());
        let is_full = matches!(group, Group::OfSize(size) if members >= size);
        let topic = is_full.then(|| self.topics.remove(open_name)).flatten();
        let Some(topic) = topic else {
            return open_name.into();
        };
        // Every later seat is higher, so no other group gets this name while this one has members.
        let first = topic.subscribers.first().map_or(0, |first| first.seat);
        let name: Rc<str> = format!("{open_name} {first}").into();
        for member in &topic.subscribers {
            let Some(client) = self.clients.get_mut(&member.socket) else {
                continue;
            };
            for subscription in &mut client.listener.subscriptions {
                subscription.topic = name.clone();
            }
            if member.socket != newest {
                self.keep(member.socket, effects);
            }
        }
        self.topics.insert(name.clone(), topic);
        name
    }

    /// Sends a message to one member of a group of the sender. `sender`: its WebSocket, and its id
    /// according to the frame. A client that names another sender is closed.
    pub(super) fn signal(
        &mut self,
        sender: (Socket, Option<&str>),
        group: Option<&str>,
        to: &str,
        body: String,
        effects: &mut Vec<Effect>,
    ) {
        let (socket, stated_sender) = sender;
        let Some(client) = self.clients.get(&socket) else {
            return;
        };
        let Some(from) = client.listener.id.clone() else {
            return;
        };
        if stated_sender.is_some_and(|stated| stated != from.as_str()) {
            return self.close(socket, Close::BadId, effects);
        }
        let mut groups = client.listener.subscriptions.iter();
        let group = groups.find(|each| group.is_none_or(|group| *each.topic == *group));
        let group = group.and_then(|group| self.topics.get(&group.topic));
        let is_receiver = |id: &PeerId| id.as_str() == to;
        let mut members = group.into_iter().flat_map(|group| &group.subscribers);
        let receiver = members.find(|each| each.id.as_ref().is_some_and(is_receiver));
        if let Some(receiver) = receiver {
            let body = body.into();
            let notice = Notice::Signal { from, body };
            effects.push(Effect::Send(vec![receiver.socket], notice));
        }
    }

    /// Informs the members of a group that `newest` has entered it.
    fn announce_entered(&self, name: &str, newest: Socket, effects: &mut Vec<Effect>) {
        let (mut others, members) = self.members_of(name);
        others.retain(|socket| *socket != newest);
        let joined = Notice::Joined {
            members: members.clone(),
        };
        effects.push(Effect::Send(vec![newest], joined));
        let id = members.last().cloned();
        if let Some(id) = id.filter(|_| !others.is_empty()) {
            effects.push(Effect::Send(others, Notice::Entered { id, members }));
        }
    }

    /// Informs the remaining members of a group that a client has left it.
    pub(super) fn announce_left(&self, name: &str, id: &PeerId, effects: &mut Vec<Effect>) {
        let (sockets, members) = self.members_of(name);
        if !sockets.is_empty() {
            let id = id.clone();
            effects.push(Effect::Send(sockets, Notice::Left { id, members }));
        }
    }

    /// Returns the WebSockets and the ids of the members of a group, in the order in which they entered.
    fn members_of(&self, name: &str) -> (Vec<Socket>, Vec<PeerId>) {
        let group = self.topics.get(name).into_iter();
        let members = group.flat_map(|group| &group.subscribers);
        members
            .filter_map(|each| Some((each.socket, each.id.clone()?)))
            .unzip()
    }
}
