//! The platform of the Rig. It performs effects in memory and checks them.

use std::collections::{BTreeMap, BTreeSet};

use partyline::core::close::Close;
use partyline::core::drive::{SendError, Sockets, Transport};
use partyline::core::event::{Absent, Ban, Held, Leaver, Notices, Reply, Row, RowKey};
use partyline::core::live::{LiveSession, MediaCall, Outcome};
use partyline::core::member::Attached;
use partyline::core::notice::{Notice, RoutedSignal};
use partyline::core::peer::{PeerId, Seat, Socket, Time};
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
    pub(super) members: BTreeMap<Socket, Attached>,
    pub(super) absent: BTreeMap<PeerId, Absent>,
    pub(super) held: BTreeMap<u64, Held>,
    pub(super) notices: BTreeMap<u64, Notices>,
    pub(super) leavers: Option<Vec<Leaver>>,
    pub(super) live: Option<LiveSession>,
    pub(super) bans: Option<Vec<Ban>>,
    /// The calls in progress of the media server.
    pub(super) calls: BTreeMap<u64, MediaCall>,
    /// The last call before the room was restarted, which knows only the current call of each peer.
    pub(super) last_call_before_restart: u64,
    /// The number of calls so far.
    pub(super) called: usize,
    pub(super) alarm: Option<Time>,
    /// Whether the clock went backwards, so that the alarm may ring early.
    pub(super) rings_early: bool,
    pub(super) was_evicted: bool,
    pub(super) written: Written,
    /// The receiver and the number of each notice that was written to a row.
    pub(super) ever_written: BTreeSet<(Seat, u64)>,
    /// Whether the storage was used since it was last cleared.
    pub(super) used: bool,
    /// Whether a session could not be closed.
    pub(super) closes_again: bool,
    pub(super) accepts_nothing: bool,
    /// Whether signals wait for peers that are not in the room, in memory only.
    pub(super) awaits_peers: bool,
    /// The WebSocket that asks to join during the current event, and its dialect.
    pub(super) joining: Option<(Socket, Dialect)>,
    /// The first reply to the current event.
    pub(super) reply: Option<Result<Reply, Refusal<'static>>>,
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

/// What a room has written to its storage.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Written {
    /// The number of rows stored.
    pub(crate) rows: usize,
    /// The number of rows that contain notices or held broadcasts.
    pub(crate) rows_of_notices: usize,
    /// The sizes of these rows, in bytes.
    pub(crate) bytes_of_notices: usize,
    /// The number of rows erased, and of alarms set or cleared.
    pub(crate) others: usize,
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

    /// Returns the WebSocket of a connected peer.
    pub(super) fn socket_of(&self, id: &PeerId) -> Option<Socket> {
        let mut members = self.members.values().map(|attached| &attached.member);
        Some(members.find(|member| member.id == *id)?.socket)
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
        let connected = self.members.values();
        let connected: BTreeSet<_> = connected.map(|attached| &attached.member.id).collect();
        self.owed.retain(|(sender, ..)| connected.contains(sender));
        assert!(
            self.owed.len() <= self.refused,
            "{:?} were dropped, with {} refusals",
            self.owed,
            self.refused
        );
        let absent = self.absent.values().map(|absent| absent.expires_at);
        let held = self.held.values().map(|held| held.expires_at);
        let live = self.live.iter().map(|session| session.expires_at);
        let members = self.members.values().map(|attached| &attached.member);
        let tokens = members.filter_map(|member| member.token_expires_at);
        let bans = self.bans.iter().flatten().map(|ban| ban.expires_at).max();
        let next = absent
            .chain(held)
            .chain(live)
            .chain(tokens)
            .chain(bans)
            .min();
        // Rows of notices need an earlier alarm. The room does not know the alarm from before an
        // eviction, which may ring early, as after the clock went backwards.
        // A live session, and a session that could not be closed, need an earlier alarm for attempts
        // after a failure.
        let may_be_earlier = self.rings_early
            || self.was_evicted
            || !self.notices.is_empty()
            || self.live.is_some()
            || self.closes_again
            || self.awaits_peers;
        assert!(
            self.alarm == next
                || may_be_earlier
                    && self
                        .alarm
                        .is_some_and(|alarm| next.is_none_or(|next| alarm <= next)),
            "the alarm is at {:?}, and the earliest expiry at {next:?}",
            self.alarm
        );
        assert!(
            self.notices.is_empty() || self.alarm.is_some(),
            "rows stay without an alarm"
        );
        for row in self.notices.values() {
            let needed = row.to.iter().any(|seat| {
                row.notices
                    .iter()
                    .any(|notice| self.needs(*seat, notice.number))
            });
            assert!(needed, "no peer needs {row:?}");
        }
        let rows = self.absent.len() + self.held.len() + self.notices.len();
        let has_row =
            rows > 0 || self.leavers.is_some() || self.live.is_some() || self.bans.is_some();
        let has_row = has_row || self.alarm.is_some();
        assert!(has_row || !self.used, "an empty database is left");
    }

    /// Returns whether a notice in a row is still kept for the peer with this seat.
    fn needs(&self, seat: Seat, number: u64) -> bool {
        let members = self.members.values().map(|attached| &attached.member);
        let connected = members.filter(|member| member.stream.is_some());
        let absent = self.absent.values().map(|absent| &absent.member);
        let mut peers = connected.chain(absent).filter(|member| member.seat == seat);
        peers.any(|member| {
            let stream = member.stream.as_ref();
            stream.is_none_or(|stream| stream.dropped < number)
        })
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
        let rows = self.notices.values();
        let kept = rows.flat_map(|row| row.to.iter().map(move |seat| (*seat, &row.notices)));
        let queued = kept.flat_map(|(seat, notices)| {
            let absent = self
                .absent
                .values()
                .find(|absent| absent.member.seat == seat);
            let sent = absent.map_or(u64::MAX, |absent| absent.sent);
            notices.iter().filter(move |notice| notice.number > sent)
        });
        let queued = queued.filter_map(|queued| match &*queued.notice {
            Notice::Signal(signal) => Some(content(signal)),
            _ => None,
        });
        held.chain(queued).collect()
    }

    /// Checks that the room writes no notice twice for the same receiver, so that the bytes it writes
    /// are proportional to the bytes it keeps. A held broadcast may already be in another row.
    fn write_notices(&mut self, row: &Notices) {
        for notice in &row.notices {
            // The numbers of changes are not unique.
            if matches!(*notice.notice, Notice::Changes(_)) {
                continue;
            }
            for seat in &row.to {
                let is_new = self.ever_written.insert((*seat, notice.number));
                assert!(is_new, "{notice:?} is written again for {seat:?}");
            }
        }
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
        event_id: Option<u64>,
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
            event_id.is_some() == dialect.is_stream() || refusal,
            "{socket:?}: {notice:?} has the event id {event_id:?}"
        );
        if let Some(id) = event_id {
            // JavaScript represents integers up to 2⁵³ exactly.
            assert!(id < 1 << 53, "{id}");
            let last = self.numbers.entry(socket).or_default();
            assert!(*last < id, "{last} came before {id}: {notice:?}");
            *last = id;
        }
        if self.jammed.contains(&socket) {
            return Err(SendError::Dead);
        }
        let Encoded::Frames(frames) = dialect.encode(notice, event_id) else {
            return Err(SendError::Unencodable);
        };
        let sent = self.sent.entry(socket).or_default();
        sent.extend(frames.into_iter().map(Heard::Frame));
        Ok(())
    }
}

impl Sockets for World {
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

    fn reply(&mut self, reply: Result<Reply, Refusal<'_>>) {
        self.refused += usize::from(reply.is_err());
        self.reply
            .get_or_insert_with(|| reply.map_err(Refusal::into_owned));
    }

    fn drop_socket(&mut self, socket: Socket) {
        self.forget(socket);
        self.failed.insert(socket);
    }

    fn close(&mut self, socket: Socket, close: Close) {
        let is_open = self.open.contains_key(&socket);
        assert!(is_open || close == Close::Unread, "{socket:?} is not open");
        self.forget(socket);
        let sent = self.sent.entry(socket).or_default();
        sent.push(Heard::Closed(close));
    }

    fn set_alarm(&mut self, at: Option<Time>) {
        self.used = true;
        self.written.others += 1;
        self.alarm = at;
    }

    fn clear(&mut self) {
        assert!(self.used, "storage that was never used is cleared");
        self.used = false;
        self.absent.clear();
        self.held.clear();
        self.notices.clear();
        self.leavers = None;
        self.live = None;
        self.bans = None;
        self.alarm = None;
    }
}

impl Transport for World {
    fn send(
        &mut self,
        to: &[Socket],
        event_id: Option<u64>,
        notice: &Notice<'_>,
    ) -> Vec<(Socket, SendError)> {
        assert!(!to.is_empty(), "{notice:?} has no receiver");
        assert_eq!(to.iter().collect::<BTreeSet<_>>().len(), to.len(), "{to:?}");
        self.refused += usize::from(matches!(notice, Notice::Refused(_)));
        if let Notice::Unavailable { to, .. } = notice {
            // It refuses all signals of its receiver to a peer.
            self.owed.retain(|(sender, ..)| sender != to);
        }
        let content = match notice {
            Notice::Signal(signal) => Some(content(signal)),
            _ => None,
        };
        if let Some(content) = &content {
            self.settle(content);
        }
        let mut failures = Vec::new();
        for socket in to {
            if let Err(error) = self.send_one(*socket, event_id, notice) {
                failures.push((*socket, error));
                self.owed.extend(content.clone());
            }
        }
        failures
    }

    fn call(&mut self, call: u64, request: MediaCall) -> Option<Outcome> {
        if let Some(session) = request.session() {
            let mut others = self.calls.values();
            assert!(
                others.all(|other| other.session() != Some(session)),
                "{request:?} is a second call of its session"
            );
        }
        let is_answer = |call: &MediaCall| matches!(call, MediaCall::Answer { .. });
        let others = self.calls.iter().filter(|(call, request)| {
            **call > self.last_call_before_restart && !is_answer(request)
        });
        let has_space = others.count() < 6;
        assert!(
            has_space || is_answer(&request),
            "{request:?} is the seventh call"
        );
        let old = self.calls.insert(call, request);
        assert_eq!(old, None, "call {call} is not new");
        self.called += 1;
        None
    }

    fn keep(&mut self, attached: Attached) {
        let Attached { member, .. } = &attached;
        let open = self.open.contains_key(&member.socket);
        if !self.accepts_nothing {
            assert!(open, "{member:?} is not open");
        }
        if open {
            self.members.insert(member.socket, attached);
        }
    }

    fn store(&mut self, row: Row) {
        self.used = true;
        let size = row.key().encode().len() + row.encode().len();
        self.written.rows += 1;
        match &row {
            Row::Held(_) | Row::Notices(_) => {
                self.written.rows_of_notices += 1;
                self.written.bytes_of_notices += size;
            }
            Row::Absent(_) => assert!(size < 500 + 1_040, "{row:?}"),
            Row::Live(_) => assert!(size < 400, "{row:?}"),
            Row::Leavers(leavers) => assert!(size <= 20 + leavers.len() * 110, "{row:?}"),
            Row::Bans(bans) => assert!(size <= 20 + bans.len() * 150, "{row:?}"),
        }
        if let Row::Notices(row) = &row {
            self.write_notices(row);
        }
        match row {
            Row::Absent(absent) => {
                self.absent.insert(absent.member.id.clone(), absent);
            }
            Row::Held(held) => {
                let old = self.held.insert(held.number, held);
                assert!(old.is_none() || self.rings_early, "{old:?} is overwritten");
            }
            Row::Notices(row) => {
                assert_eq!(self.notices.insert(row.key, row), None, "written again");
            }
            Row::Leavers(leavers) => self.leavers = Some(leavers),
            Row::Live(session) => self.live = Some(session),
            Row::Bans(bans) => self.bans = Some(bans),
        }
    }

    fn erase(&mut self, key: RowKey) {
        self.written.others += 1;
        let existed = match &key {
            RowKey::Absent(id) => self.absent.remove(id).is_some(),
            RowKey::Held(number) => self.held.remove(number).is_some(),
            RowKey::Notices(key) => self.notices.remove(key).is_some(),
            RowKey::Leavers => self.leavers.take().is_some(),
            RowKey::Live => self.live.take().is_some(),
            RowKey::Bans => self.bans.take().is_some(),
        };
        assert!(existed, "{key:?} has no row");
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
