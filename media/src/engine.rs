//! All sessions: routes datagrams to them, runs their steps, and ends those that are over.
//!
//! The engine performs no I/O and reads no clock. Its caller passes in the time, calls of the API
//! and datagrams, and sends the datagrams that [`Engine::take_transmits`] returns. So tests run
//! hours in milliseconds.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use str0m::Event;
use str0m::crypto::{CryptoProvider, from_feature_flags};
use str0m::ice::StunMessage;
use str0m::net::{Protocol, Receive, Transmit};

use crate::session::{Outbox, Session, SessionId};
use crate::tracks::TrackRef;

/// The interval at which the engine looks for sessions and tracks that are over, and for delayed
/// requests for key frames.
const INSPECTION: Duration = Duration::from_millis(100);

/// The time for which an address belongs to a session after its last datagram. Until then, no other
/// session can take the address over, because a client could claim the address of another.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(10);

/// The limits that the operator can set.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The maximum number of sessions at the same time.
    pub sessions: usize,
    /// After this time without packets, a track or a connected session ends. Cloudflare: 30 s. A
    /// connected session without open tracks ends after the same time.
    pub silence: Duration,
    /// After this time without a call, a session ends that never connected.
    pub unused: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 1000,
            silence: Duration::from_secs(30),
            unused: Duration::from_secs(60),
        }
    }
}

/// The metrics of `GET /health`.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Sessions, connected or not.
    pub sessions: usize,
    /// Sessions with a complete DTLS handshake.
    pub connected: usize,
    /// Open tracks that are published.
    pub tracks: usize,
    /// Open subscriptions to such tracks.
    pub subscriptions: usize,
    /// Frames that were sent to viewers, since the start.
    pub frames_forwarded: u64,
    /// Sessions that ended because of a bug, since the start.
    pub panics: u64,
}

/// All sessions.
pub struct Engine {
    pub(crate) limits: Limits,
    address: SocketAddr,
    crypto: Arc<CryptoProvider>,
    // A session is boxed, because it is taken out of the map for each step.
    pub(crate) sessions: HashMap<SessionId, Box<Session>>,
    /// Sessions by ICE username fragment, for connectivity checks.
    ufrags: HashMap<String, SessionId>,
    /// Sessions by the address of the client, for all other datagrams, and the time of the last
    /// connectivity check.
    addresses: HashMap<SocketAddr, (SessionId, Instant)>,
    /// The times at which sessions need their next step.
    deadlines: BTreeSet<(Instant, SessionId)>,
    deadline_of: HashMap<SessionId, Instant>,
    /// The subscriptions to a published track.
    pub(crate) viewers: HashMap<TrackRef, Vec<TrackRef>>,
    pub(crate) queue: VecDeque<(SessionId, Event)>,
    outbox: Outbox,
    next_inspection: Option<Instant>,
    pub(crate) frames_forwarded: u64,
    panics: u64,
}

impl Engine {
    /// Creates an engine whose clients reach it at `address` over UDP.
    pub fn new(address: SocketAddr, limits: Limits) -> Self {
        Self {
            limits,
            address,
            crypto: Arc::new(from_feature_flags()),
            sessions: HashMap::new(),
            ufrags: HashMap::new(),
            addresses: HashMap::new(),
            deadlines: BTreeSet::new(),
            deadline_of: HashMap::new(),
            viewers: HashMap::new(),
            queue: VecDeque::new(),
            outbox: Outbox::default(),
            next_inspection: None,
            frames_forwarded: 0,
            panics: 0,
        }
    }

    /// Creates a session. Returns `None` if the address of the server cannot be a candidate.
    pub(crate) fn open(&mut self, now: Instant) -> Option<SessionId> {
        let id = SessionId::new();
        let mut session = Session::new(self.address, &self.crypto, now)?;
        self.ufrags.insert(session.ufrag(), id);
        self.sessions.insert(id, Box::new(session));
        self.next_inspection.get_or_insert(now + INSPECTION);
        tracing::info!(session = %id, "session opened");
        Some(id)
    }

    /// Notes the ICE credentials of a session, after they may have changed.
    pub(crate) fn update_ufrag(&mut self, id: SessionId) {
        let Some(ufrag) = self.sessions.get_mut(&id).map(|session| session.ufrag()) else {
            return;
        };
        if self.ufrags.get(&ufrag) != Some(&id) {
            self.ufrags.retain(|_, owner| *owner != id);
            self.ufrags.insert(ufrag, id);
        }
    }

    /// Runs one step of a session, and handles everything that follows from it. Returns `None` if
    /// there is no such session or if the step panics. A panic ends this session only.
    pub fn step<T>(
        &mut self,
        id: SessionId,
        now: Instant,
        step: impl FnOnce(&mut Session) -> T,
    ) -> Option<T> {
        let result = self.isolated(id, now, step);
        self.settle(now);
        result
    }

    /// As [`Self::step`], but leaves the events in the queue.
    pub(crate) fn isolated<T>(
        &mut self,
        id: SessionId,
        now: Instant,
        step: impl FnOnce(&mut Session) -> T,
    ) -> Option<T> {
        let mut session = self.sessions.remove(&id)?;
        let mut outbox = std::mem::take(&mut self.outbox);
        let sent = outbox.transmits.len();
        // A panic drops the session, which is the only value that it can leave half changed.
        // Datagrams in the outbox are complete.
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let result = step(&mut session);
            let deadline = session.drain(&mut outbox, now);
            (session, result, deadline)
        }));
        let outcome = outcome.map_err(|_| outbox.transmits.truncate(sent));
        self.queue
            .extend(outbox.events.drain(..).map(|event| (id, event)));
        self.outbox = outbox;
        let Ok((session, result, deadline)) = outcome else {
            self.panics += 1;
            tracing::error!(session = %id, "session ended by a panic");
            self.forget(id, None);
            return None;
        };
        match deadline {
            Ok(deadline) if session.is_alive() => {
                self.sessions.insert(id, session);
                self.set_deadline(id, Some(deadline));
            }
            Ok(_) => self.forget(id, Some(("connection closed", session))),
            Err(error) => {
                tracing::warn!(session = %id, %error, "connection broken");
                self.forget(id, Some(("connection broken", session)));
            }
        }
        Some(result)
    }

    fn set_deadline(&mut self, id: SessionId, deadline: Option<Instant>) {
        let previous = match deadline {
            Some(deadline) => self.deadline_of.insert(id, deadline),
            None => self.deadline_of.remove(&id),
        };
        if let Some(previous) = previous {
            self.deadlines.remove(&(previous, id));
        }
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, id));
        }
    }

    /// Removes a session that ended from all lists.
    fn forget(&mut self, id: SessionId, ended: Option<(&str, Box<Session>)>) {
        self.set_deadline(id, None);
        self.ufrags.retain(|_, owner| *owner != id);
        self.addresses.retain(|_, (owner, _)| *owner != id);
        let viewers = self.viewers.extract_if(|track, _| track.session == id);
        let orphans: Vec<_> = viewers.flat_map(|(_, viewers)| viewers).collect();
        self.viewers
            .values_mut()
            .for_each(|viewers| viewers.retain(|viewer| viewer.session != id));
        self.close_subscriptions(&orphans);
        if let Some((reason, session)) = ended {
            tracing::info!(session = %id, reason, "session ended");
            // Dropping a value of the library could panic, too.
            if catch_unwind(AssertUnwindSafe(move || drop(session))).is_err() {
                self.panics += 1;
            }
        }
    }

    /// Handles a datagram from the network.
    pub fn receive(&mut self, source: SocketAddr, datagram: &[u8], now: Instant) {
        let stun = datagram.first().is_some_and(|first| *first < 4);
        let id = if stun {
            self.checked_session(datagram)
        } else {
            self.session_at(source)
        };
        let destination = self.address;
        let Some(id) = id else { return };
        let accepted = self.step(id, now, |session| {
            let receive = Receive::new(Protocol::Udp, source, destination, datagram);
            receive.is_ok_and(|receive| session.receive(receive, now))
        });
        if stun && accepted == Some(true) && self.sessions.contains_key(&id) {
            let owner = self.addresses.entry(source).or_insert((id, now));
            if owner.0 == id || now >= owner.1 + ADDRESS_TIMEOUT {
                *owner = (id, now);
            }
        }
    }

    /// Returns the session for which a connectivity check (RFC 8445, section 7) is.
    fn checked_session(&self, datagram: &[u8]) -> Option<SessionId> {
        // The parser is part of the library, so a panic is caught as in a session.
        let ufrag = catch_unwind(|| {
            let message = StunMessage::parse(datagram).ok()?;
            message.split_username().map(|(local, _)| local.to_owned())
        });
        self.ufrags.get(&ufrag.ok()??).copied()
    }

    fn session_at(&self, source: SocketAddr) -> Option<SessionId> {
        self.addresses.get(&source).map(|(id, _)| *id)
    }

    /// Runs the steps that are due. To be called at the time of [`Self::deadline`].
    pub fn tick(&mut self, now: Instant) {
        while let Some(&(at, id)) = self.deadlines.first() {
            if at > now {
                break;
            }
            self.set_deadline(id, None);
            self.step(id, now, |_| ()); // draining gives the session the time
        }
        if self.next_inspection.is_some_and(|at| at <= now) {
            self.inspect(now);
            self.next_inspection = (!self.sessions.is_empty()).then(|| now + INSPECTION);
        }
    }

    /// Ends silent tracks and sessions, and requests the key frames that were delayed.
    fn inspect(&mut self, now: Instant) {
        let Limits {
            silence, unused, ..
        } = self.limits;
        // Without these limits, a session that sends datagrams but never connects would never end.
        // The same is true of a client that does not notice that its tracks are closed.
        let over = |session: &Session| match session.last_received {
            Some(received) if session.connected => {
                let idle = session.idle.map(|idle| idle.max(session.used));
                now >= received + silence || idle.is_some_and(|idle| now >= idle + silence)
            }
            _ => now >= session.used + unused,
        };
        let ids: Vec<_> = self.sessions.keys().copied().collect();
        for id in ids {
            let Some(session) = self.sessions.get_mut(&id) else {
                continue;
            };
            session.note_tracks(now);
            if over(session) {
                self.end(id, "silent", now);
                continue;
            }
            let tracks = session.published.iter().filter(|(_, track)| track.open);
            let silent = tracks.filter(|(_, track)| now >= track.last_frame + silence);
            for mid in silent.map(|(mid, _)| *mid).collect::<Vec<_>>() {
                tracing::info!(session = %id, %mid, "track ended: no packets");
                self.unpublish(TrackRef { session: id, mid });
            }
            self.request_key_frames(id, now);
        }
        self.settle(now);
    }

    fn end(&mut self, id: SessionId, reason: &str, now: Instant) {
        tracing::info!(session = %id, reason, "ending session");
        self.step(id, now, Session::close);
        if let Some(session) = self.sessions.remove(&id) {
            self.forget(id, Some((reason, session)));
        }
    }

    /// Ends all sessions. Clients notice at once, because each gets a DTLS close.
    pub fn shut_down(&mut self, now: Instant) {
        let ids: Vec<_> = self.sessions.keys().copied().collect();
        ids.into_iter()
            .for_each(|id| self.end(id, "server shuts down", now));
    }

    /// Returns the time of the next [`Self::tick`], or `None` if there is nothing to wait for.
    pub fn deadline(&self) -> Option<Instant> {
        let first = self.deadlines.first().map(|(at, _)| *at);
        first.into_iter().chain(self.next_inspection).min()
    }

    /// Returns the datagrams to send, and forgets them.
    pub fn take_transmits(&mut self) -> Vec<Transmit> {
        std::mem::take(&mut self.outbox.transmits)
    }

    /// Returns the current metrics.
    pub fn health(&self) -> Health {
        let sessions = self.sessions.values();
        let open = sessions.clone().map(|session| session.open_tracks());
        let (tracks, subscriptions) =
            open.fold((0, 0), |sum, open| (sum.0 + open.0, sum.1 + open.1));
        Health {
            sessions: self.sessions.len(),
            connected: sessions.filter(|session| session.connected).count(),
            tracks,
            subscriptions,
            frames_forwarded: self.frames_forwarded,
            panics: self.panics,
        }
    }
}
