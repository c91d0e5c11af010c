//! Random histories of groups, compared with a simple model, with and without an eviction before each event.

use std::collections::BTreeMap;

use partyline::core::close::Close;
use partyline::core::drive::SendError;
use partyline::core::event::Limits;
use partyline::core::peer::Socket;
use partyline::core::topics::groups::MAX_GROUPS;
use partyline::dialect::Dialect;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::Config;

use super::{enter, event, init, joined, send_signal, signal, signaled};
use crate::rig::{self, Heard};
use crate::topics::stage::Stage;

const LIMITS: Limits = Limits {
    peers: 7,
    group: 3,
    ..rig::LIMITS
};
const ROOMS: [&str; 2] = ["heroes", "villains"];

/// An action of a client. A socket is an index into all sockets opened so far, so that closed sockets are
/// also used.
#[derive(Clone, Debug)]
enum Step {
    /// Joins. Clients of matchbox have a group size of 2 or 3, or none.
    Join(usize),
    Enter(usize, usize),
    Signal(usize, usize, usize),
    Garbage(usize),
    End(usize),
    Jam(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let socket = || 0..10_usize;
    prop_oneof![
        6 => (1..4_usize).prop_map(Step::Join),
        6 => (socket(), 0..ROOMS.len()).prop_map(|(socket, room)| Step::Enter(socket, room)),
        6 => (socket(), socket(), 0..ROOMS.len())
            .prop_map(|(from, to, room)| Step::Signal(from, to, room)),
        1 => socket().prop_map(Step::Garbage),
        3 => socket().prop_map(Step::End),
    ]
}

/// The groups, and what each client should have received.
#[derive(Default)]
struct Model {
    /// The members of each group in the order of entering, by its size, its name, and the number of full
    /// groups before it.
    groups: BTreeMap<(usize, &'static str, usize), Vec<Socket>>,
    full: usize,
    /// The names that each client of `RxDB` has entered, in this order.
    order: Vec<(Socket, &'static str)>,
    expected: BTreeMap<Socket, Vec<Heard>>,
}

impl Model {
    fn expect(&mut self, client: Socket, heard: Heard) {
        self.expected.entry(client).or_default().push(heard);
    }

    fn clients(&self) -> usize {
        self.groups.values().map(Vec::len).sum()
    }

    /// A client of matchbox joins.
    fn join(&mut self, client: Socket, size: usize) {
        let open = self.groups.entry((size, "", usize::MAX)).or_default();
        let others = open.clone();
        let is_full = size == 1 && others.len() == LIMITS.group;
        if is_full || self.clients() == LIMITS.peers {
            return self.expect(client, Heard::Closed(Close::RoomFull));
        }
        let open = self.groups.entry((size, "", usize::MAX)).or_default();
        open.push(client);
        if size > 1 && open.len() == size {
            let members = std::mem::take(open);
            self.groups.insert((size, "", self.full), members);
            self.full += 1;
        }
        self.expect(client, event("IdAssigned", client));
        for other in others {
            self.expect(other, event("NewPeer", client));
        }
    }

    /// A client of `RxDB` enters a group.
    fn enter(&mut self, client: Socket, room: &'static str) {
        let members = self.groups.entry((0, room, 0)).or_default();
        if members.contains(&client) {
            return;
        }
        if members.len() == LIMITS.group {
            self.expect(client, Heard::Closed(Close::RoomFull));
            return self.end(client, joined);
        }
        members.push(client);
        self.order.push((client, room));
        let members = members.clone();
        for member in &members {
            self.expect(*member, joined(&members));
        }
    }

    fn end(&mut self, client: Socket, left: impl Fn(&[Socket]) -> Heard) {
        let mut left_groups = Vec::new();
        for ((_, name, _), members) in &mut self.groups {
            if members.contains(&client) {
                members.retain(|member| *member != client);
                let entered = self.order.iter().position(|each| *each == (client, *name));
                left_groups.push((entered, members.clone()));
            }
        }
        left_groups.sort();
        for (_, members) in left_groups {
            for member in &members {
                self.expect(*member, left(&members));
            }
        }
    }

    fn share_group(&self, one: Socket, other: Socket, room: &str) -> bool {
        let mut groups = self.groups.iter().filter(|((_, name, _), _)| *name == room);
        groups.any(|(_, members)| members.contains(&one) && members.contains(&other))
    }
}

/// Plays a history on the stage and on the model, and compares what the clients received.
fn play(dialect: Dialect, steps: &[Step], sleeps: bool) {
    let mut stage = Stage::new(dialect, LIMITS);
    let mut model = Model::default();
    let mut sockets: Vec<Socket> = Vec::new();
    let is_matchbox = dialect == Dialect::Matchbox;
    for step in steps {
        if sleeps {
            stage.sleep();
        }
        let at = |n: &usize| sockets.get(*n).copied();
        let open = |n: &usize| at(n).filter(|socket| stage.is_open(*socket));
        match step {
            Step::Join(size) if is_matchbox => {
                let client = stage.join_group(Some(*size).filter(|size| *size > 1), None);
                sockets.push(client);
                model.join(client, *size);
            }
            Step::Join(_) => {
                let clients = sockets.iter().filter(|each| stage.is_open(**each)).count();
                let client = stage.join();
                sockets.push(client);
                let heard = if clients == LIMITS.peers {
                    Heard::Closed(Close::RoomFull)
                } else {
                    init(client)
                };
                model.expect(client, heard);
            }
            Step::Enter(client, room) if !is_matchbox => {
                if let Some(client) = open(client) {
                    enter(&mut stage, client, ROOMS[*room]);
                    model.enter(client, ROOMS[*room]);
                }
            }
            Step::Signal(from, to, room) => {
                let (Some(from), Some(to)) = (open(from), at(to)) else {
                    continue;
                };
                let room = if is_matchbox { "" } else { ROOMS[*room] };
                let frame = signal(from, to, room);
                if is_matchbox {
                    send_signal(&mut stage, from, to);
                } else {
                    stage.send(from, &frame);
                }
                if model.share_group(from, to, room) {
                    let heard = if is_matchbox {
                        signaled(from)
                    } else {
                        Heard::Frame(frame)
                    };
                    model.expect(to, heard);
                }
            }
            Step::End(client) => {
                if let Some(client) = open(client) {
                    stage.end(client);
                    let left = |members: &[Socket]| {
                        if is_matchbox {
                            event("PeerLeft", client)
                        } else {
                            joined(members)
                        }
                    };
                    model.end(client, left);
                }
            }
            Step::Garbage(client) => {
                if let Some(client) = open(client) {
                    stage.send(client, r#"{"type":"leave","Signal":{}}"#);
                }
            }
            _ => {}
        }
    }
    assert_eq!(stage.all_heard(), model.expected);
}

fn config(cases: u32) -> Config {
    Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    }
}

proptest! {
    #![proptest_config(config(1_000))]

    #[test]
    fn every_member_receives_exactly_what_a_simple_model_expects(
        steps in vec(step(), 0..60),
        sleeps in any::<bool>(),
    ) {
        play(Dialect::Matchbox, &steps, sleeps);
        play(Dialect::RxDb, &steps, sleeps);
    }

    /// The stage checks that nothing is left of a client that has gone.
    #[test]
    fn clients_that_cannot_receive_leave_nothing(
        steps in vec(prop_oneof![4 => step(), 1 => (0..10_usize).prop_map(Step::Jam)], 0..60),
        sleeps in any::<bool>(),
    ) {
        for dialect in [Dialect::Matchbox, Dialect::RxDb] {
            let mut stage = Stage::new(dialect, LIMITS);
            let mut sockets = Vec::new();
            for step in &steps {
                if sleeps {
                    stage.sleep();
                }
                let at = |n: &usize| sockets.get(*n).copied();
                match step {
                    Step::Join(size) => {
                        sockets.push(stage.join_group(Some(*size).filter(|size| *size > 1), None));
                    }
                    Step::Enter(client, room) => {
                        if let Some(client) = at(client) {
                            enter(&mut stage, client, ROOMS[*room]);
                        }
                    }
                    Step::Jam(client) => {
                        if let Some(client) = at(client).filter(|client| stage.is_open(*client)) {
                            stage.jam(client, SendError::Dead);
                        }
                    }
                    Step::End(client) => {
                        if let Some(client) = at(client) {
                            stage.end(client);
                        }
                    }
                    _ => {}
                }
            }
            for client in sockets {
                stage.end(client);
            }
            stage.all_heard();
            let (ann, bob) = (stage.join_group(Some(2), None), stage.join_group(Some(2), None));
            prop_assert!(stage.is_open(ann) && stage.is_open(bob));
            for n in 0..=MAX_GROUPS {
                enter(&mut stage, ann, &format!("group {n}"));
            }
            prop_assert!(stage.is_open(ann));
        }
    }
}
