//! Random histories of a live session: peers that come and go, a media server that fails, evictions in
//! the middle of calls. The [`Rig`] checks after each event that no session has two calls at a time.

use std::collections::BTreeSet;

use partyline::core::event::Limits;
use partyline::core::live::{LiveRequest, MediaCall, Outcome, Stage, Tracks};
use partyline::core::peer::{Socket, Time};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::Config;

use crate::rig::{Heard, LIMITS, Rig, id};

const PEERS: [&str; 4] = ["camera", "a", "b", "c"];

#[derive(Clone, Debug)]
enum Step {
    Join(usize),
    Close(usize),
    Lose(usize),
    Answer(usize),
    Restart(usize),
    /// Ends one of the calls in progress.
    End(usize, Fate),
    Pass(u64),
    /// Evicts the room. The calls in progress are lost if the flag is true.
    Sleep(bool),
    Create,
    Stop,
    /// The operator removes a peer.
    Remove(usize),
    /// The operator removes all peers.
    RemoveAll,
}

#[derive(Clone, Debug)]
enum Fate {
    Works,
    Fails,
    NotReady,
    Gone,
    Invalid,
}

fn step() -> impl Strategy<Value = Step> {
    let who = || 0..PEERS.len();
    let fate = prop_oneof![
        8 => Just(Fate::Works),
        1 => Just(Fate::Fails),
        1 => Just(Fate::NotReady),
        1 => Just(Fate::Gone),
        1 => Just(Fate::Invalid),
    ];
    prop_oneof![
        4 => who().prop_map(Step::Join),
        1 => who().prop_map(Step::Close),
        2 => who().prop_map(Step::Lose),
        6 => who().prop_map(Step::Answer),
        1 => who().prop_map(Step::Restart),
        12 => (0..6_usize, fate).prop_map(|(n, fate)| Step::End(n, fate)),
        3 => prop_oneof![Just(1), 1_000..9_000_u64, Just(16_000), Just(36_000)].prop_map(Step::Pass),
        1 => any::<bool>().prop_map(Step::Sleep),
        2 => Just(Step::Create),
        1 => Just(Step::Stop),
        1 => who().prop_map(Step::Remove),
        1 => Just(Step::RemoveAll),
    ]
}

struct History {
    rig: Rig,
    sockets: [Option<Socket>; PEERS.len()],
    sessions: u64,
    /// The sessions that have tracks at the media server.
    open: BTreeSet<String>,
    /// The number of failed calls that close a session.
    failed_closes: usize,
    /// Whether the room may have forgotten sessions that it wanted to close.
    forgot: bool,
}

impl History {
    fn new() -> Self {
        let limits = Limits {
            viewers: 8,
            ..LIMITS
        };
        Self {
            rig: Rig::new(limits),
            sockets: [None; PEERS.len()],
            sessions: 0,
            open: BTreeSet::new(),
            failed_closes: 0,
            forgot: false,
        }
    }

    fn play(&mut self, step: &Step) {
        match step {
            Step::Join(who) => {
                let name = PEERS[*who];
                self.sockets[*who] = Some(self.rig.join(name, Some(name)));
            }
            Step::Close(who) => {
                if let Some(socket) = self.sockets[*who].take() {
                    self.rig.close(socket);
                }
            }
            Step::Lose(who) => {
                if let Some(socket) = self.sockets[*who].take() {
                    self.rig.lose(socket);
                }
            }
            Step::Answer(who) => self.send(*who, r#"{"type":"answer","to":"~live","payload":{}}"#),
            Step::Restart(who) => self.send(*who, r#"{"type":"restart","to":"~live"}"#),
            Step::End(n, fate) => {
                if let Some((call, request)) = self.rig.calls().into_iter().nth(*n) {
                    self.end(call, &request, fate);
                }
            }
            Step::Pass(millis) => {
                let then = self.rig.now.plus(*millis);
                // The shell ends each call after ten seconds. The number of a call contains its time.
                for (call, request) in self.rig.calls() {
                    if Time(call / 128 + 10_000) <= then {
                        self.end(call, &request, &Fate::Fails);
                    }
                }
                self.rig.pass(*millis);
            }
            Step::Sleep(loses_calls) => {
                self.forgot = true;
                // A restarted room does not know these calls.
                for (call, request) in self.rig.calls() {
                    if matches!(request, MediaCall::Check { .. } | MediaCall::Close { .. }) {
                        self.end(call, &request, &Fate::Works);
                    }
                }
                if *loses_calls {
                    self.rig.lose_calls();
                }
                self.rig.pass(1);
                self.rig.sleep();
            }
            Step::Create => self.create(),
            Step::Stop => drop(self.rig.live(LiveRequest::Stop)),
            Step::Remove(who) => drop(self.rig.remove(PEERS[*who])),
            Step::RemoveAll => drop(self.rig.remove_all()),
        }
        for socket in &mut self.sockets {
            *socket = socket.filter(|socket| self.rig.is_open(*socket));
        }
    }

    fn create(&mut self) {
        let expires_at = self.rig.now.plus(86_400_000);
        let status = self.rig.live(LiveRequest::Create {
            device: id("camera"),
            tracks: Tracks::ALL,
            expires_at,
        });
        status.unwrap();
    }

    fn send(&mut self, who: usize, text: &str) {
        if let Some(socket) = self.sockets[who] {
            self.rig.send(socket, text);
        }
    }

    fn end(&mut self, call: u64, request: &MediaCall, fate: &Fate) {
        let session = request.session().map(|session| session.to_string());
        let outcome = match (fate, request) {
            (Fate::Works, _) => self.works(request),
            // The room repeats a call that closes a session three times only.
            (_, MediaCall::Close { .. }) if self.failed_closes >= 3 => self.works(request),
            (_, MediaCall::Close { .. }) => {
                self.failed_closes += 1;
                Outcome::Unavailable("down".into())
            }
            (Fate::Fails, _) => Outcome::Unavailable("down".into()),
            (Fate::NotReady, _) => Outcome::NotReady,
            (Fate::Invalid, _) => Outcome::Invalid("invalid".into()),
            (Fate::Gone, _) => {
                session.map(|session| self.open.remove(&session));
                Outcome::Gone
            }
        };
        self.rig.end_call(call, outcome);
    }

    fn works(&mut self, request: &MediaCall) -> Outcome {
        match request {
            MediaCall::Open => {
                self.sessions += 1;
                Outcome::Opened(format!("s{}", self.sessions).into())
            }
            MediaCall::Publish { session, .. } | MediaCall::Pull { session, .. } => {
                self.open.insert(session.to_string());
                Outcome::Offered {
                    payload: "{}".into(),
                    mids: vec!["0".into()],
                }
            }
            MediaCall::Answer { .. } => Outcome::Answered {
                accepted: Tracks::ALL,
                rejected: Tracks::default(),
            },
            MediaCall::Close { session, .. } => {
                self.open.remove(&**session);
                Outcome::Closed
            }
            MediaCall::Check { .. } => Outcome::Seen { is_active: true },
        }
    }

    /// Lets everything work from now on: all calls succeed, and all peers answer.
    fn heal(&mut self) {
        for _ in 0..40 {
            for (call, request) in self.rig.calls() {
                self.end(call, &request, &Fate::Works);
            }
            for (who, socket) in self.sockets.into_iter().enumerate() {
                let Some(socket) = socket else { continue };
                let heard = self.rig.heard(socket);
                let offers = |heard: &Heard| matches!(heard, Heard::Frame(text) if text.contains(r#""offer""#));
                if heard.iter().any(offers) {
                    self.play(&Step::Answer(who));
                }
            }
            self.rig.pass(20_000);
        }
    }
}

proptest! {
    #![proptest_config(Config {
        cases: 1_000,
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Config::default()
    })]

    #[test]
    fn all_peers_are_connected_in_the_end_and_no_session_is_left(steps in vec(step(), 1..80)) {
        let mut history = History::new();
        for step in &steps {
            history.play(step);
        }
        // The peers that the operator has removed may join again.
        history.play(&Step::Pass(601_000));
        history.create();
        history.play(&Step::Join(0));
        history.heal();
        for socket in history.sockets.into_iter().flatten() {
            let stage = history.rig.stage(socket);
            prop_assert_eq!(stage, Some(Stage::Connected), "{:?}", socket);
        }
        history.rig.live(LiveRequest::Stop).unwrap();
        history.heal();
        prop_assert_eq!(history.rig.len(), 0);
        prop_assert!(history.forgot || history.open.is_empty(), "{:?} are left", history.open);
    }
}
