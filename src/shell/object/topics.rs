//! The two kinds of objects: a room of peers, or topics.

use super::super::platform::{now, random};
use super::RoomObject;
use super::transport::ObjectTransport;
use crate::core::admin::AdminRequest;
use crate::core::drive::drive;
use crate::core::event::{Event, Joining, Reply};
use crate::core::peer::{Socket, Time};
use crate::core::room::Room;
use crate::core::topics::{self, Call, Topics};
use crate::dialect::Dialect;

/// The state machine of the object. The family of its clients determines the variant.
pub(super) enum Core {
    Room(Box<Room>),
    Topics(Topics),
}

impl Core {
    /// Returns the number of clients, including absent peers.
    pub(super) fn clients(&self) -> usize {
        match self {
            Self::Room(room) => room.peers(),
            Self::Topics(topics) => topics.clients(),
        }
    }

    /// Passes an event to the room, or to the topics if it concerns them.
    pub(super) fn drive(
        &mut self,
        now: Time,
        event: Event<'_>,
        transport: &mut ObjectTransport<'_>,
    ) {
        match self {
            Self::Room(room) => drive(room, now, event, transport),
            Self::Topics(topics) => drive_topics(topics, now, event, transport),
        }
    }
}

#[inline(never)]
fn drive_topics(
    topics: &mut Topics,
    now: Time,
    event: Event<'_>,
    transport: &mut ObjectTransport<'_>,
) {
    let event = match event {
        Event::Join(joining) => {
            let Joining {
                socket,
                id,
                expired,
                expires_at,
                ..
            } = *joining;
            let joining = transport.joining.as_ref();
            let has_id = joining.is_some_and(|joining| joining.dialect.family().has_groups());
            topics::Event::Join {
                socket,
                id: Some(id).filter(|_| has_id),
                group: joining.and_then(|joining| joining.group),
                expired,
                expires_at,
            }
        }
        Event::Frame {
            socket,
            signal: Err(refusal),
            bytes,
        } => topics::Event::Frame {
            socket,
            call: Err(refusal),
            bytes,
        },
        Event::Closed(socket) | Event::GoingAway(socket) | Event::Lost(socket) => {
            topics::Event::Ended(socket)
        }
        Event::Tick => topics::Event::Tick,
        Event::Admin(request) => {
            // Most clients of topics have no ids, so the operator can only remove all.
            transport.reply = Some(Ok(match request {
                AdminRequest::List => Reply::Ids(Vec::new()),
                AdminRequest::Remove(_) => Reply::Removed(0),
                AdminRequest::Close => Reply::Removed(topics.clients()),
            }));
            match request {
                AdminRequest::Close => topics::Event::CloseAll,
                _ => return,
            }
        }
        // No route leads to these events.
        _ => return,
    };
    topics::drive(topics, now, event, transport);
}

impl RoomObject {
    /// Handles a frame from a client that uses topics.
    #[inline(never)]
    pub(super) fn handle_call(&self, socket: Socket, dialect: Dialect, text: &str) {
        let awake = &mut *self.awake.borrow_mut();
        let Core::Topics(topics) = &mut awake.core else {
            return;
        };
        let mut call = dialect.decode_call(text);
        if let Ok(Call::Announce(announce)) = &mut call
            && !announce.offers.is_empty()
        {
            // Without random bits, offers still reach peers, but always the same.
            announce.random = random().unwrap_or_default() as u64;
        }
        let event = topics::Event::Frame {
            socket,
            call,
            bytes: text.len(),
        };
        let now = now();
        let sockets = &mut awake.sockets;
        let mut transport = ObjectTransport::new(&self.state, now, sockets, None, &self.media);
        topics::drive(topics, now, event, &mut transport);
    }
}
