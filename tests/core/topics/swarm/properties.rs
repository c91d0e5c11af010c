//! Random histories of swarms, compared with a simple model, also if the topics are evicted before each
//! event.

use std::collections::{BTreeMap, BTreeSet};

use partyline::core::peer::Socket;
use partyline::dialect::Dialect;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::Config;

use super::super::stage::Stage;
use super::{LIMITS, announce, answer, counts, offers, received_answer, received_offer};
use crate::rig::Heard;

const SWARMS: [&str; 2] = ["s", "t"];
const PEERS: [&str; 4] = ["ann", "bob", "eve", "dan"];
/// The part of an announcement after the ids: the peer enters, is complete, or leaves.
const EVENTS: [&str; 4] = [
    "",
    r#","left":0"#,
    r#","event":"completed""#,
    r#","event":"stopped""#,
];
const STOPS: usize = 3;

/// An action of a client. A socket is an index into all sockets opened so far.
#[derive(Clone, Debug)]
struct Step {
    socket: usize,
    swarm: usize,
    peer: usize,
    random: u64,
    action: Action,
}

#[derive(Clone, Debug)]
enum Action {
    Join,
    Event(usize),
    Offers(usize),
    Answer { to: usize, offer: usize },
    Scrape,
    End,
}

fn step() -> impl Strategy<Value = Step> {
    let action = prop_oneof![
        2 => Just(Action::Join),
        4 => (0..EVENTS.len()).prop_map(Action::Event),
        6 => (0..4_usize).prop_map(Action::Offers),
        6 => (0..PEERS.len(), 0..40_usize).prop_map(|(to, offer)| Action::Answer { to, offer }),
        1 => Just(Action::Scrape),
        1 => Just(Action::End),
    ];
    let ids = (0..6_usize, 0..SWARMS.len(), 0..PEERS.len());
    (ids, any::<u64>(), action).prop_map(|((socket, swarm, peer), random, action)| Step {
        socket,
        swarm,
        peer,
        random,
        action,
    })
}

/// A peer of a swarm, in the order in which they entered.
struct Member {
    socket: Socket,
    peer: usize,
    is_complete: bool,
}

#[derive(Default)]
struct Model {
    swarms: [Vec<Member>; 2],
    /// The offers that the server has forwarded: the maker of each id.
    made: BTreeMap<usize, Socket>,
    sleeps: bool,
}

impl Model {
    fn counts(&self, swarm: usize) -> (usize, usize) {
        let members = &self.swarms[swarm];
        let complete = members.iter().filter(|each| each.is_complete).count();
        (complete, members.len() - complete)
    }

    fn enter(&mut self, socket: Socket, swarm: usize, peer: usize, is_complete: bool) {
        let members = &mut self.swarms[swarm];
        let own = |each: &&mut Member| (each.socket, each.peer) == (socket, peer);
        match members.iter_mut().find(own) {
            Some(own) => own.is_complete |= is_complete,
            None => members.push(Member {
                socket,
                peer,
                is_complete,
            }),
        }
    }

    fn receivers_of_answer(&self, swarm: usize, to: usize, offer: usize) -> BTreeSet<Socket> {
        let members = self.swarms[swarm].iter().filter(|each| each.peer == to);
        let holders: Vec<_> = members.map(|each| each.socket).collect();
        match self.made.get(&offer) {
            Some(maker) if !self.sleeps && holders.contains(maker) => [*maker].into(),
            _ => holders
                .first()
                .into_iter()
                .chain(holders.last())
                .copied()
                .collect(),
        }
    }
}

/// Plays a history, and checks what each client receives. Returns all of it.
fn play(steps: &[Step], sleeps: bool) -> Vec<BTreeMap<Socket, Vec<Heard>>> {
    let mut stage = Stage::new(Dialect::Tracker, LIMITS);
    let mut sockets: Vec<Socket> = Vec::new();
    let mut model = Model {
        sleeps,
        ..Model::default()
    };
    let mut all = Vec::new();
    let mut next_offer = 0;
    for step in steps {
        if sleeps {
            stage.sleep();
        }
        stage.random = step.random;
        if matches!(step.action, Action::Join) {
            sockets.push(stage.join());
        } else if let Some(socket) = sockets.get(step.socket).copied()
            && stage.is_open(socket)
        {
            all.push(act(&mut stage, &mut model, socket, step, &mut next_offer));
        }
        for socket in stage.all_heard().into_keys() {
            assert!(!stage.is_open(socket), "only a refused client hears more");
        }
    }
    all
}

fn act(
    stage: &mut Stage,
    model: &mut Model,
    socket: Socket,
    step: &Step,
    next_offer: &mut usize,
) -> BTreeMap<Socket, Vec<Heard>> {
    let (swarm, peer) = (SWARMS[step.swarm], PEERS[step.peer]);
    let mut send = |more: &str| {
        stage.send(socket, &announce(swarm, peer, more));
        stage.all_heard()
    };
    let expected = |model: &Model| {
        let (complete, incomplete) = model.counts(step.swarm);
        counts(swarm, complete, incomplete)
    };

    match step.action {
        Action::Join => BTreeMap::new(),
        Action::Event(event) => {
            let heard = send(EVENTS[event]);
            if event == STOPS {
                let own = |each: &Member| (each.socket, each.peer) == (socket, step.peer);
                model.swarms[step.swarm].retain(|each| !own(each));
            } else {
                model.enter(socket, step.swarm, step.peer, event > 0);
            }
            assert_eq!(heard, [(socket, vec![expected(model)])].into());
            heard
        }
        Action::Offers(count) => {
            let ids = *next_offer..*next_offer + count;
            *next_offer += count;
            let heard = send(&offers(ids.clone()));
            model.enter(socket, step.swarm, step.peer, false);
            check_offers(model, step, socket, ids, heard.clone(), expected(model));
            heard
        }
        Action::Answer { to, offer } => {
            let heard = send(&answer(PEERS[to], offer));
            model.enter(socket, step.swarm, step.peer, false);
            let receivers = model.receivers_of_answer(step.swarm, to, offer);
            let frames = vec![received_answer(offer, swarm, peer)];
            let expected = receivers.into_iter().map(|socket| (socket, frames.clone()));
            assert_eq!(heard, expected.collect());
            heard
        }
        Action::Scrape => {
            let (complete, incomplete) = model.counts(step.swarm);
            let hash = super::id(swarm);
            stage.send(
                socket,
                &format!(r#"{{"action":"scrape","info_hash":"{hash}"}}"#),
            );
            let heard = stage.all_heard();
            let files = format!(
                r#"{{"{hash}":{{"complete":{complete},"incomplete":{incomplete},"downloaded":{complete}}}}}"#
            );
            let [Heard::Frame(frame)] = &*heard[&socket] else {
                panic!("{heard:?}");
            };
            assert!(frame.contains(&files), "{frame}");
            heard
        }
        Action::End => {
            stage.end(socket);
            for members in &mut model.swarms {
                members.retain(|each| each.socket != socket);
            }
            stage.all_heard()
        }
    }
}

/// Checks that each offer went to another peer with another id, as far as there are enough.
fn check_offers(
    model: &mut Model,
    step: &Step,
    socket: Socket,
    ids: std::ops::Range<usize>,
    mut heard: BTreeMap<Socket, Vec<Heard>>,
    reply: Heard,
) {
    let others = model.swarms[step.swarm].iter();
    let mut others: Vec<_> = others
        .filter(|each| each.peer != step.peer)
        .map(|each| each.socket)
        .collect();
    assert_eq!(heard.get_mut(&socket).unwrap().remove(0), reply);
    let sent = ids.len().min(others.len());
    let mut offers: BTreeSet<_> = ids.clone().take(sent).collect();
    for (receiver, frames) in heard {
        for frame in frames {
            let is_it =
                |id: &usize| frame == received_offer(*id, SWARMS[step.swarm], PEERS[step.peer]);
            let id = offers
                .iter()
                .copied()
                .find(is_it)
                .expect("an offer arrives once");
            offers.remove(&id);
            model.made.insert(id, socket);
            let index = others.iter().position(|other| *other == receiver);
            others.swap_remove(index.expect("the receiver is another peer"));
        }
    }
    assert!(offers.is_empty(), "an offer did not arrive: {offers:?}");
}

proptest! {
    #![proptest_config(Config { cases: 500, failure_persistence: None, ..Config::default() })]

    #[test]
    fn every_peer_receives_what_a_simple_model_expects(
        steps in vec(step(), 0..80),
        sleeps in any::<bool>(),
    ) {
        play(&steps, sleeps);
    }

    /// The makers of offers matter only if several clients have the same id.
    #[test]
    fn an_eviction_before_each_event_changes_nothing(mut steps in vec(step(), 0..80)) {
        for step in &mut steps {
            step.peer = step.socket % PEERS.len();
            step.socket = step.peer;
        }
        prop_assert_eq!(play(&steps, true), play(&steps, false));
    }
}
