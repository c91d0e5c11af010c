//! The platform of the Rig. It performs effects in memory and checks them.

use std::collections::{BTreeMap, BTreeSet};

use partyline::core::close::Close;
use partyline::core::drive::{SendError, Transport};
use partyline::core::event::{Absent, Held, Row, RowKey};
use partyline::core::member::Member;
use partyline::core::notice::{Notice, Registered, RoutedSignal};
use partyline::core::peer::{PeerId, Socket, Time};
use partyline::core::refusal::Refusal;
use partyline::dialect::{Dialect, Encoded};

use super::Heard;

/// The state that the platform keeps for one room.
#[derive(Default)]
pub(super) struct World {
    /// The open WebSockets, each with its dialect.
    pub(super) open: BTreeMap<Socket, Dialect>,
    /// All WebSockets that carry an event stream, including closed WebSockets.
    pub(super) streams: BTreeSet<Socket>,
    /// Open WebSockets to which every send fails.
    pub(super) jammed: BTreeSet<Socket>,
    /// The highest event id sent on each stream.
    numbers: BTreeMap<Socket, u64>,
    pub(super) members: BTreeMap<Socket, Member>,
    pub(super) absent: BTreeMap<PeerId, Absent>,
    pub(super) held: BTreeMap<u64, Held>,
    pub(super) alarm: Option<Time>,
    /// The number of writes: rows stored or erased, and alarms set or cleared.
    pub(super) writes: usize,
    pub(super) accepts_nothing: bool,
    /// The WebSocket that asks to join during the current event, and its dialect.
    pub(super) joining: Option<(Socket, Dialect)>,
    /// The first reply to the current event.
    pub(super) reply: Option<Result<Registered, Refusal<'static>>>,
    /// The frames and close codes that clients received during the current event.
    pub(super) sent: BTreeMap<Socket, Vec<Heard>>,
    /// Signals that the room must still deliver, queue, hold or refuse during the current event.
    owed: Vec<Content>,
    /// The number of refusals during the current event.
    refused: usize,
    /// WebSockets that failed during the current event. The room may send to a failed WebSocket once
    /// more, because the room handles failures one after the other.
    failed: BTreeSet<Socket>,
}

/// The sender, type and payload of a signal.
type Content = (PeerId, String, Option<String>);

impl World {
    /// Records the queued and held signals, which the room must not lose during the next event.
    pub(super) fn begin(&mut self) {
        self.owed = self.waiting();
        self.refused = 0;
        self.failed.clear();
    }

    /// Removes a WebSocket that is closed or lost, and the member stored with it.
    pub(super) fn forget(&mut self, socket: Socket) {
        self.open.remove(&socket);
        self.jammed.remove(&socket);
        self.members.remove(&socket);
    }

    /// Checks the invariants that hold after every event:
    ///
    /// - The room loses no signal. A signal that was queued, held or undelivered is afterwards sent,
    ///   queued, held or refused. A signal whose sender is disconnected may be dropped.
    /// - The alarm is set to the earliest expiry.
    ///
    /// The methods of [`Transport`] check each effect separately.
    pub(super) fn check_invariants(&mut self) {
        for kept in self.waiting() {
            self.settle(&kept);
        }
        let connected: BTreeSet<_> = self.members.values().map(|member| &member.id).collect();
        self.owed.retain(|(sender, ..)| connected.contains(sender));
        assert!(
            self.owed.len() <= self.refused,
            "{:?} were dropped, with {} refusals",
            self.owed,
            self.refused
        );
        let absent = self.absent.values().map(|absent| absent.expires_at);
        let held = self.held.values().map(|held| held.expires_at);
        assert_eq!(
            self.alarm,
            absent.chain(held).min(),
            "the alarm is not set to the earliest expiry"
        );
    }

    /// Returns the signals that are held or queued in stored text.
    fn waiting(&self) -> Vec<Content> {
        let held = self.held.values();
        let held = held.map(|held| {
            (
                held.from.clone(),
                held.signal_type.clone(),
                held.payload.clone(),
            )
        });
        let members = self.members.values();
        let absent = self.absent.values().map(|absent| &absent.member);
        let unsent = members
            .chain(absent)
            .flat_map(|member| member.outbox.unsent());
        let unsent = unsent.filter_map(|unsent| match &unsent.notice {
            Notice::Signal(signal) => Some(content(signal)),
            _ => None,
        });
        held.chain(unsent).collect()
    }

    /// Removes a signal from `owed`, because the room has delivered or kept it.
    fn settle(&mut self, settled: &Content) {
        if let Some(place) = self.owed.iter().position(|owed| owed == settled) {
            self.owed.remove(place);
        }
    }

    fn send_one(
        &mut self,
        socket: Socket,
        number: Option<u64>,
        notice: &Notice<'_>,
    ) -> Result<(), SendError> {
        let Some(dialect) = self.open.get(&socket) else {
            // The platform did not accept the WebSocket, or the WebSocket has just failed.
            let unknown_to_room = self.accepts_nothing || self.failed.contains(&socket);
            assert!(unknown_to_room, "{socket:?} is not open: {notice:?}");
            return Err(SendError::Dead);
        };
        let refusal = matches!(notice, Notice::Refused(_));
        assert!(
            number.is_some() == dialect.is_stream() || refusal,
            "{socket:?}: {notice:?} has the number {number:?}"
        );
        if let Some(number) = number {
            let last = self.numbers.entry(socket).or_default();
            assert!(*last < number, "{last} came before {number}: {notice:?}");
            *last = number;
        }
        if self.jammed.contains(&socket) {
            return Err(SendError::Dead);
        }
        let Encoded::Frames(frames) = dialect.encode(notice, number) else {
            return Err(SendError::Unencodable);
        };
        let sent = self.sent.entry(socket).or_default();
        sent.extend(frames.into_iter().map(Heard::Frame));
        Ok(())
    }
}

impl Transport for World {
    fn accept(&mut self, socket: Socket) -> bool {
        let (joining, dialect) = self.joining.take().expect("a WebSocket wants to join");
        assert_eq!(socket, joining, "another WebSocket wants to join");
        if self.accepts_nothing {
            return false;
        }
        self.open.insert(socket, dialect);
        if dialect.is_stream() {
            self.streams.insert(socket);
        }
        true
    }

    fn reply(&mut self, reply: Result<Registered, Refusal<'_>>) {
        self.refused += usize::from(reply.is_err());
        self.reply
            .get_or_insert_with(|| reply.map_err(Refusal::into_owned));
    }

    fn send(
        &mut self,
        to: &[Socket],
        number: Option<u64>,
        notice: &Notice<'_>,
    ) -> Vec<(Socket, SendError)> {
        assert!(!to.is_empty(), "{notice:?} has no receiver");
        assert_eq!(to.iter().collect::<BTreeSet<_>>().len(), to.len(), "{to:?}");
        self.refused += usize::from(matches!(notice, Notice::Refused(_)));
        let content = match notice {
            Notice::Signal(signal) => Some(content(signal)),
            _ => None,
        };
        if let Some(content) = &content {
            self.settle(content);
        }
        let mut failures = Vec::new();
        for socket in to {
            if let Err(error) = self.send_one(*socket, number, notice) {
                failures.push((*socket, error));
                self.owed.extend(content.clone());
            }
        }
        failures
    }

    fn drop_socket(&mut self, socket: Socket) {
        self.forget(socket);
        self.failed.insert(socket);
    }

    fn close(&mut self, socket: Socket, close: Close) {
        assert!(self.open.contains_key(&socket), "{socket:?} is not open");
        self.forget(socket);
        let sent = self.sent.entry(socket).or_default();
        sent.push(Heard::Closed(close));
    }

    fn keep(&mut self, member: Member) {
        let open = self.open.contains_key(&member.socket);
        if !self.accepts_nothing {
            assert!(open, "{member:?} is not open");
        }
        if open {
            self.members.insert(member.socket, member);
        }
    }

    fn store(&mut self, row: Row) {
        self.writes += 1;
        match row {
            Row::Absent(absent) => drop(self.absent.insert(absent.member.id.clone(), absent)),
            Row::Held(held) => {
                assert_eq!(self.held.insert(held.number, held), None, "overwritten");
            }
        }
    }

    fn erase(&mut self, key: RowKey) {
        self.writes += 1;
        match key {
            RowKey::Absent(id) => assert!(self.absent.remove(&id).is_some(), "{id} has no row"),
            RowKey::Held(number) => {
                assert!(self.held.remove(&number).is_some(), "{number} has no row");
            }
        }
    }

    fn set_alarm(&mut self, at: Option<Time>) {
        self.writes += 1;
        self.alarm = at;
    }
}

fn content(signal: &RoutedSignal<'_>) -> Content {
    let RoutedSignal {
        from,
        signal_type,
        payload,
        ..
    } = signal;
    let payload = payload.as_ref().map(|payload| payload.to_string());
    (from.clone(), signal_type.to_string(), payload)
}
