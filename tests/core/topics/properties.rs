//! Random histories of topics, compared with a simple model, and with the same history in which the
//! topics are evicted before each event.

use std::collections::BTreeMap;

use partyline::core::drive::SendError;
use partyline::core::event::Limits;
use partyline::core::peer::Socket;
use partyline::core::topics::MAX_TOPICS;
use partyline::dialect::Dialect;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::Config;

use super::stage::{Stage, received};
use crate::rig::{self, Heard};

const LIMITS: Limits = Limits {
    peers: 5,
    ..rig::LIMITS
};
const TOPICS: [&str; 3] = ["a", "b", "ab"];
/// Frames that have no effect.
const GARBAGE: [&str; 4] = ["", "{}", r#"{"type":"subscribe"}"#, r#"{"type":"publish"}"#];

/// An action of a client or the clock. A socket is an index into all sockets opened so far, so that
/// closed sockets are also used.
#[derive(Clone, Debug)]
enum Step {
    Join { token: Option<u64> },
    Subscribe(usize, usize),
    Unsubscribe(usize, usize),
    Publish(usize, usize),
    Garbage(usize, usize),
    End(usize),
    Jam(usize),
    Pass(u64),
    Ring,
}

fn step() -> impl Strategy<Value = Step> {
    let socket = || 0..8_usize;
    let topic = || 0..TOPICS.len();
    prop_oneof![
        3 => prop_oneof![3 => Just(None), 1 => (0..20_000_u64).prop_map(Some)]
            .prop_map(|token| Step::Join { token }),
        6 => (socket(), topic()).prop_map(|(socket, topic)| Step::Subscribe(socket, topic)),
        2 => (socket(), topic()).prop_map(|(socket, topic)| Step::Unsubscribe(socket, topic)),
        10 => (socket(), topic()).prop_map(|(socket, topic)| Step::Publish(socket, topic)),
        1 => (socket(), 0..GARBAGE.len()).prop_map(|(socket, n)| Step::Garbage(socket, n)),
        1 => socket().prop_map(Step::End),
        1 => socket().prop_map(Step::Jam),
        1 => prop_oneof![Just(1), 1_000..9_000_u64].prop_map(Step::Pass),
        1 => Just(Step::Ring),
    ]
}

/// Plays a history, and returns what each client received.
fn play(steps: &[Step], sleeps: bool) -> BTreeMap<Socket, Vec<Heard>> {
    let mut stage = Stage::new(Dialect::YWebrtc, LIMITS);
    let mut sockets: Vec<Socket> = Vec::new();
    let mut heard: BTreeMap<Socket, Vec<Heard>> = BTreeMap::new();
    let mut model = Model::default();
    for (data, step) in steps.iter().enumerate() {
        if sleeps {
            stage.sleep();
        }
        let at = |n: usize| sockets.get(n).copied();
        match step {
            Step::Join { token } => {
                stage.token_expires_at = token.map(|millis| stage.now.plus(millis));
                sockets.push(stage.join());
            }
            Step::Pass(millis) => stage.pass(*millis),
            Step::Ring => stage.ring(),
            Step::Subscribe(n, _)
            | Step::Unsubscribe(n, _)
            | Step::Publish(n, _)
            | Step::Garbage(n, _)
            | Step::End(n)
            | Step::Jam(n) => {
                if let Some(socket) = at(*n).filter(|socket| stage.is_open(*socket)) {
                    model.play(&mut stage, socket, step, data);
                }
            }
        }
        // A token may expire at once.
        stage.pass(0);
        model.retain(|socket| stage.is_open(socket));
        for (socket, frames) in stage.all_heard() {
            heard.entry(socket).or_default().extend(frames);
        }
    }
    for socket in sockets {
        stage.end(socket);
    }
    heard
}

/// The subscribers of each topic in the order of their subscriptions, and whether each is fresh.
#[derive(Default)]
struct Model {
    topics: BTreeMap<&'static str, Vec<(Socket, bool)>>,
    jammed: Vec<Socket>,
}

impl Model {
    fn retain(&mut self, is_open: impl Fn(Socket) -> bool) {
        for subscribers in self.topics.values_mut() {
            subscribers.retain(|(socket, _)| is_open(*socket));
        }
    }

    /// Plays a step of an open WebSocket on the stage, and checks what the clients receive.
    fn play(&mut self, stage: &mut Stage, socket: Socket, step: &Step, data: usize) {
        match step {
            Step::Subscribe(_, topic) => {
                let subscribers = self.topics.entry(TOPICS[*topic]).or_default();
                subscribers.retain(|(other, _)| *other != socket);
                subscribers.push((socket, true));
                stage.subscribe(socket, TOPICS[*topic]);
            }
            Step::Unsubscribe(_, topic) => {
                let subscribers = self.topics.entry(TOPICS[*topic]).or_default();
                subscribers.retain(|(other, _)| *other != socket);
                stage.unsubscribe(socket, TOPICS[*topic]);
            }
            Step::Publish(_, topic) => self.publish(stage, socket, TOPICS[*topic], data),
            Step::Garbage(_, n) => stage.send(socket, GARBAGE[*n]),
            Step::End(_) => stage.end(socket),
            Step::Jam(_) => {
                self.jammed.push(socket);
                stage.jam(socket, SendError::Dead);
            }
            _ => {}
        }
    }

    fn publish(&mut self, stage: &mut Stage, socket: Socket, topic: &'static str, data: usize) {
        let subscribers = self.topics.entry(topic).or_default();
        let own = subscribers.iter().position(|(other, _)| *other == socket);
        let is_fresh = own.is_some_and(|own| std::mem::take(&mut subscribers[own].1));
        let end = if is_fresh {
            own.unwrap() + 1
        } else {
            subscribers.len()
        };
        let frame = received(topic, data, subscribers.len());
        let expected: Vec<_> = subscribers[..end]
            .iter()
            .map(|(socket, _)| *socket)
            .collect();
        stage.publish(socket, topic, data);
        let mut heard = stage.all_heard();
        for receiver in expected {
            if !self.jammed.contains(&receiver) {
                assert_eq!(
                    heard.remove(&receiver),
                    Some(vec![frame.clone()]),
                    "{receiver:?}"
                );
            }
        }
        assert_eq!(heard, BTreeMap::new(), "nobody else receives the message");
    }
}

proptest! {
    #![proptest_config(Config { cases: 3_000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn every_subscriber_receives_what_the_model_says(steps in vec(step(), 0..60)) {
        play(&steps, false);
    }

    #[test]
    fn an_eviction_before_each_event_changes_nothing(steps in vec(step(), 0..60)) {
        // 60 frames are within the rate limit, which is kept in memory only.
        prop_assert_eq!(play(&steps, true), play(&steps, false));
    }

    /// Each client subscribes and then announces itself, in any order with the others.
    #[test]
    fn of_each_two_clients_exactly_one_receives_the_announcement_of_the_other(
        order in Just((0..8_usize).map(|n| n / 2).collect::<Vec<_>>()).prop_shuffle(),
        sleeps in any::<bool>(),
    ) {
        let mut stage = Stage::new(Dialect::YWebrtc, LIMITS);
        let sockets: Vec<_> = (0..4).map(|_| stage.join()).collect();
        let mut subscribed = [false; 4];
        for n in order {
            if sleeps {
                stage.sleep();
            }
            match std::mem::replace(&mut subscribed[n], true) {
                false => stage.subscribe(sockets[n], "d"),
                true => stage.publish(sockets[n], "d", n),
            }
        }
        let heard = stage.all_heard();
        let hears = |receiver: usize, sender: usize| {
            let (receiver, data) = (&sockets[receiver], format!("\"data\":{sender},"));
            let frames = heard.get(receiver).into_iter().flatten();
            frames.filter(|heard| matches!(heard, Heard::Frame(text) if text.contains(&data))).count()
        };
        for one in 0..4 {
            prop_assert_eq!(hears(one, one), 1);
            for other in 0..one {
                prop_assert_eq!(hears(one, other) + hears(other, one), 1);
            }
        }
    }

    /// Any number of topics, some of them several times, in one frame.
    #[test]
    fn a_frame_with_many_topics_is_handled(names in vec("[a-c]{0,2}|€{40,50}", 0..300)) {
        let mut stage = Stage::new(Dialect::YWebrtc, LIMITS);
        let ann = stage.join();
        let topics: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
        for frame_type in ["subscribe", "subscribe", "unsubscribe"] {
            let topics = topics.join(",");
            stage.send(ann, &format!(r#"{{"type":"{frame_type}","topics":[{topics}]}}"#));
            stage.sleep();
        }
        for name in names.iter().take(MAX_TOPICS) {
            stage.publish(ann, name, 0);
        }
        prop_assert_eq!(stage.heard(ann), []);
    }
}
