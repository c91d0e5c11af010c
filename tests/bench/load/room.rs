//! A room of the load: its peers, and what they do together.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::line::Line;
use crate::measures::Server;
use crate::speech::Kind;

/// A number that this process has not used before.
fn fresh() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed)
}

/// The peers of one room, in the order of joining.
pub(crate) struct Room {
    pub(crate) server: Server,
    pub(crate) name: String,
    pub(crate) lines: Vec<Line>,
    /// Those who have asked to join and were not answered yet.
    asked: Vec<Line>,
    joined: usize,
}

impl Room {
    /// A room that nobody has used before.
    pub(crate) fn new(server: Server) -> Self {
        let name = format!("room{}", fresh());
        Self {
            server,
            name,
            lines: vec![],
            asked: vec![],
            joined: 0,
        }
    }

    /// So many rooms with so many peers in each, who join in many rooms at a time.
    pub(crate) fn filled(server: Server, rooms: usize, peers: usize) -> Vec<Self> {
        let mut rooms: Vec<_> = (0..rooms).map(|_| Self::new(server)).collect();
        for some in rooms.chunks_mut(32) {
            for _ in 0..peers {
                some.iter_mut().for_each(Self::ask);
                some.iter_mut().for_each(Self::join);
            }
        }
        rooms
    }

    /// The next peer asks to join.
    pub(crate) fn ask(&mut self) {
        let id = Self::id(self.joined + self.asked.len());
        let line = self.server.speech.begin(self.server.port, &self.name, &id);
        self.asked.push(line);
    }

    /// The one that asked first is in, and all have heard of it.
    pub(crate) fn join(&mut self) {
        let mut line = self.asked.remove(0);
        self.server
            .speech
            .finish(&mut line, &self.name, self.lines.len());
        if self.server.speech.tells() {
            self.lines.iter_mut().for_each(|other| other.skip(1));
        }
        self.lines.push(line);
        self.joined += 1;
    }

    /// The one who joined last hangs up, and all have heard of it.
    pub(crate) fn leave(&mut self) {
        let Some(mut line) = self.lines.pop() else {
            return;
        };
        line.hang_up();
        line.hung_up();
        self.joined -= 1;
        if self.server.speech.tells() {
            self.lines.iter_mut().for_each(|other| other.skip(1));
        }
    }

    /// So many join at once; answers how many frames they were sent until the last had joined.
    ///
    /// A broadcast after it is how each knows that it has heard all.
    pub(crate) fn storm(&mut self, peers: usize) -> usize {
        (0..peers).for_each(|_| self.ask());
        self.lines = std::mem::take(&mut self.asked);
        self.joined = peers;
        self.lines.iter_mut().for_each(Line::finish);
        let mark = mark();
        let frame = self
            .server
            .speech
            .signal(Kind::Candidate, &self.name, None, &mark);
        // Not before the last is in: each reads its first frame.
        let greeted = usize::from(self.server.speech != crate::speech::Speech::Floor);
        self.lines.iter_mut().for_each(|line| line.skip(greeted));
        self.lines[0].send(&frame);
        let told = self.lines.iter_mut().skip(1).map(|line| line.until(&mark));
        greeted * peers + told.sum::<usize>()
    }

    /// A peer, by its place, sends a signal to another; answers the mark to wait for.
    pub(crate) fn send(&mut self, kind: Kind, from: usize, to: usize) -> String {
        self.send_together(kind, from, to, 1)
    }

    /// A peer sends some signals in one frame; answers the mark of the last.
    pub(crate) fn send_together(
        &mut self,
        kind: Kind,
        from: usize,
        to: usize,
        count: usize,
    ) -> String {
        let (speech, to, last) = (self.server.speech, Self::id(to), mark());
        let signal = |mark: &str| speech.signal(kind, &self.name, Some(&to), mark);
        let mut frame = signal(&last);
        if count > 1 {
            let others: String = (1..count).map(|_| signal(&mark()) + ",").collect();
            frame = format!("[{others}{frame}]");
        }
        self.lines[from].send(&frame);
        last
    }

    /// The first peer sends a signal to all others, and they have it.
    pub(crate) fn broadcast(&mut self) {
        let mark = mark();
        let frame = self
            .server
            .speech
            .signal(Kind::Candidate, &self.name, None, &mark);
        self.lines[0].send(&frame);
        for line in self.lines.iter_mut().skip(1) {
            line.until(&mark);
        }
    }

    /// The id of a peer, by its place.
    pub(crate) fn id(place: usize) -> String {
        format!("peer{place}")
    }
}

/// What a frame is found by.
pub(crate) fn mark() -> String {
    format!("#{}#", fresh())
}
