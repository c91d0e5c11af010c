//! A room and its simulated peers.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::measures::Server;
use crate::protocol::SignalType;
use crate::websocket::WebSocket;

/// Returns a number that is unique in this process.
pub(crate) fn fresh() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed)
}

/// The peers of one room, in the order of joining.
pub(crate) struct Room {
    pub(crate) server: Server,
    pub(crate) name: String,
    pub(crate) sockets: Vec<WebSocket>,
    /// The ids of the peers. Some servers assign them.
    pub(crate) ids: Vec<String>,
    /// Peers that have sent a request to join, but have not read the response.
    pending: Vec<WebSocket>,
    joined: usize,
}

impl Room {
    /// Creates a room with a new name.
    pub(crate) fn new(server: Server) -> Self {
        let name = format!("room-{}", fresh()); // RxDB requires six characters
        Self {
            server,
            name,
            sockets: vec![],
            ids: vec![],
            pending: vec![],
            joined: 0,
        }
    }

    /// Creates `rooms` rooms with `peers` peers each. Up to 32 peers, in different rooms, join
    /// concurrently.
    pub(crate) fn filled(server: Server, rooms: usize, peers: usize) -> Vec<Self> {
        let mut rooms: Vec<_> = (0..rooms).map(|_| Self::new(server)).collect();
        for some in rooms.chunks_mut(32) {
            for _ in 0..peers {
                some.iter_mut().for_each(Self::begin_join);
                some.iter_mut().for_each(Self::finish_join);
            }
        }
        rooms
    }

    /// Starts the join of the next peer.
    pub(crate) fn begin_join(&mut self) {
        let id = Self::id(self.joined + self.pending.len());
        let socket = self.server.protocol.begin(&self.server, &self.name, &id);
        self.pending.push(socket);
    }

    /// Completes the first pending join, and reads the notice that each other peer receives.
    pub(crate) fn finish_join(&mut self) {
        let mut socket = self.pending.remove(0);
        let id = Self::id(self.joined);
        let assigned =
            self.server
                .protocol
                .finish(&mut socket, &self.name, &id, self.sockets.len());
        if self.server.protocol.sends_notices() {
            self.sockets.iter_mut().for_each(|other| other.skip(1));
        }
        self.sockets.push(socket);
        self.ids.push(assigned.unwrap_or(id));
        self.joined += 1;
    }

    /// Closes the connection of the last peer, and reads the notice that each other peer receives.
    pub(crate) fn leave(&mut self) {
        let Some(mut socket) = self.sockets.pop() else {
            return;
        };
        self.ids.pop();
        socket.hang_up();
        socket.hung_up();
        self.joined -= 1;
        if self.server.protocol.sends_notices() {
            self.sockets.iter_mut().for_each(|other| other.skip(1));
        }
    }

    /// Lets `peers` peers join concurrently. Returns the number of frames that all peers received.
    ///
    /// At the end, the first peer sends a broadcast. Each other peer reads frames until it receives
    /// the broadcast.
    pub(crate) fn burst(&mut self, peers: usize) -> usize {
        (0..peers).for_each(|_| self.begin_join());
        self.sockets = std::mem::take(&mut self.pending);
        self.joined = peers;
        self.sockets.iter_mut().for_each(WebSocket::finish);
        let mark = mark();
        let frame = self.server.protocol.signal(
            SignalType::Candidate,
            &self.name,
            &Self::id(0),
            None,
            &mark,
        );
        // Each peer reads its welcome first, so all peers have joined before the broadcast is sent.
        let greeted = usize::from(self.server.protocol != crate::protocol::Protocol::Floor);
        self.sockets
            .iter_mut()
            .for_each(|socket| socket.skip(greeted));
        self.sockets[0].send(&frame);
        let notices = self
            .sockets
            .iter_mut()
            .skip(1)
            .map(|socket| socket.until(&mark));
        greeted * peers + notices.sum::<usize>()
    }

    /// Sends a signal between two peers, given by index. Returns the mark of the signal.
    pub(crate) fn send(&mut self, signal_type: SignalType, from: usize, to: usize) -> String {
        self.send_list(signal_type, from, to, 1)
    }

    /// Sends `count` signals in one frame, as an array if there are several. Returns the mark of
    /// the last signal.
    pub(crate) fn send_list(
        &mut self,
        signal_type: SignalType,
        from: usize,
        to: usize,
        count: usize,
    ) -> String {
        let (protocol, last) = (self.server.protocol, mark());
        let (id, to) = (&self.ids[from], &self.ids[to]);
        let signal = |mark: &str| protocol.signal(signal_type, &self.name, id, Some(to), mark);
        let mut frame = signal(&last);
        if count > 1 {
            let others: String = (1..count).map(|_| signal(&mark()) + ",").collect();
            frame = format!("[{others}{frame}]");
        }
        self.sockets[from].send(&frame);
        last
    }

    /// Sends what the clients send in this second while they wait, and reads what has arrived.
    ///
    /// `phase`, from 0 to 1, distributes the clients of several rooms over the interval of the protocol.
    pub(crate) fn wait(&mut self, second: u64, phase: f64) {
        let protocol = self.server.protocol;
        for (socket, id) in self.sockets.iter_mut().zip(&self.ids) {
            let (frame, interval) = protocol.waiting(&self.name, id);
            if second % interval == (interval as f64 * phase) as u64 {
                socket.send(&frame);
            }
            socket.drain();
        }
    }

    /// Sends a broadcast from the first peer, and waits until all other peers have received it.
    pub(crate) fn broadcast(&mut self) {
        let mark = mark();
        let frame = self.server.protocol.signal(
            SignalType::Candidate,
            &self.name,
            &Self::id(0),
            None,
            &mark,
        );
        self.sockets[0].send(&frame);
        for socket in self.sockets.iter_mut().skip(1) {
            socket.until(&mark);
        }
    }

    /// Returns the id that the peer with this index chooses.
    fn id(place: usize) -> String {
        format!("peer{place}")
    }
}

/// Returns a unique string. A receiver recognizes a frame that contains the string.
pub(crate) fn mark() -> String {
    format!("#{}#", fresh())
}
