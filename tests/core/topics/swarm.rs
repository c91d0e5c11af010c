//! Swarms, with clients of a WebTorrent tracker.

mod properties;

use std::collections::BTreeSet;

use partyline::core::close::Close;
use partyline::core::drive::SendError;
use partyline::core::event::Limits;
use partyline::core::peer::{Socket, Time};
use partyline::core::refusal::{Code, Refusal};
use partyline::core::topics::{
    Effect, Event, Listener, MAX_OFFERS, MAX_SUBSCRIPTIONS, MAX_TOPICS, Mark, Notice, Subscription,
    Topics,
};
use partyline::dialect::Dialect;

use super::stage::Stage;
use crate::rig::{self, Heard};

const LIMITS: Limits = Limits {
    peers: 8,
    ..rig::LIMITS
};

/// Returns a hash or an id of 20 characters that begins with a name.
fn id(name: &str) -> String {
    format!("{name:·<20}")
}

/// Returns the frame that announces a peer in a swarm. `more` begins with a comma if it is not empty.
fn announce(swarm: &str, peer: &str, more: &str) -> String {
    let (swarm, peer) = (id(swarm), id(peer));
    format!(r#"{{"action":"announce","info_hash":"{swarm}","peer_id":"{peer}"{more}}}"#)
}

/// Returns the part of an announcement that contains offers with these ids.
fn offers(ids: impl IntoIterator<Item = usize>) -> String {
    let offers = ids
        .into_iter()
        .map(|id| format!(r#"{{"offer":{id},"offer_id":"{id}"}}"#));
    format!(r#","offers":[{}]"#, offers.collect::<Vec<_>>().join(","))
}

/// Returns the part of an announcement that contains an answer.
fn answer(to: &str, offer: usize) -> String {
    let to = id(to);
    format!(r#","to_peer_id":"{to}","answer":0,"offer_id":"{offer}""#)
}

fn counts(swarm: &str, complete: usize, incomplete: usize) -> Heard {
    let swarm = id(swarm);
    Heard::Frame(format!(
        r#"{{"complete":{complete},"incomplete":{incomplete},"action":"announce","interval":120,"info_hash":"{swarm}"}}"#
    ))
}

fn received(key: &str, body: usize, offer: usize, swarm: &str, peer: &str) -> Heard {
    let (swarm, peer) = (id(swarm), id(peer));
    Heard::Frame(format!(
        r#"{{"action":"announce","{key}":{body},"offer_id":"{offer}","peer_id":"{peer}","info_hash":"{swarm}"}}"#
    ))
}

fn received_offer(offer: usize, swarm: &str, peer: &str) -> Heard {
    received("offer", offer, offer, swarm, peer)
}

fn received_answer(offer: usize, swarm: &str, peer: &str) -> Heard {
    received("answer", 0, offer, swarm, peer)
}

fn failure(reason: &str, swarm: &str) -> Heard {
    Heard::Frame(format!(
        r#"{{"action":"announce","failure reason":"{reason}","info_hash":"{swarm}"}}"#
    ))
}

/// Adds a client that is a peer of the swarm `s`.
fn peer(stage: &mut Stage, name: &str) -> Socket {
    let socket = stage.join();
    stage.send(socket, &announce("s", name, ""));
    stage.all_heard();
    socket
}

#[test]
fn offers_go_to_different_random_peers() {
    let mut stage = Stage::new(Dialect::Tracker, LIMITS);
    let names = ["ann", "bob", "eve", "dan", "fay"];
    let sockets = names.map(|name| peer(&mut stage, name));
    let mut seen = BTreeSet::new();
    for random in 0..200_u64 {
        stage.random = random << 32;
        stage.send(sockets[0], &announce("s", "ann", &offers([1, 2])));
        let mut heard = stage.all_heard();
        assert_eq!(heard.remove(&sockets[0]), Some(vec![counts("s", 0, 5)]));
        let of = |offer: usize| {
            let expected = [received_offer(offer, "s", "ann")];
            let found = heard.iter().find(|(_, heard)| ***heard == expected);
            *found.unwrap().0
        };
        assert_eq!(heard.len(), 2, "each offer goes to another peer");
        seen.insert((of(1), of(2)));
        stage.pass(1_000);
    }
    assert_eq!(seen.len(), 4 * 3, "each pair of receivers occurs");
}

#[test]
fn an_announcement_has_a_limited_number_of_offers() {
    let peers = MAX_OFFERS + 3;
    let mut stage = Stage::new(Dialect::Tracker, Limits { peers, ..LIMITS });
    let ann = peer(&mut stage, "ann");
    for n in 1..peers {
        peer(&mut stage, &format!("peer {n}"));
    }
    stage.send(ann, &announce("s", "ann", &offers(0..MAX_OFFERS + 2)));
    assert_eq!(stage.all_heard().len() - 1, MAX_OFFERS);
}

#[test]
fn a_stranger_with_the_id_of_a_peer_gets_none_of_its_answers() {
    for copies_offer in [false, true] {
        let mut stage = Stage::new(Dialect::Tracker, LIMITS);
        let older = peer(&mut stage, "ann");
        let ann = peer(&mut stage, "ann");
        let newer = peer(&mut stage, "ann");
        let bob = peer(&mut stage, "bob");
        stage.send(ann, &announce("s", "ann", &offers([7])));
        assert_eq!(stage.heard(ann), [counts("s", 0, 4)]);
        assert_eq!(stage.heard(bob), [received_offer(7, "s", "ann")]);
        if copies_offer {
            for stranger in [older, newer] {
                stage.send(stranger, &announce("s", "ann", &offers([7])));
            }
            stage.all_heard();
        }
        stage.send(bob, &announce("s", "bob", &answer("ann", 7)));
        let heard = stage.all_heard().into_iter();
        let answered = received_answer(7, "s", "bob");
        assert_eq!(heard.collect::<Vec<_>>(), [(ann, vec![answered])]);
    }
}

#[test]
fn after_an_eviction_an_answer_goes_to_the_oldest_and_the_newest_client_with_the_id() {
    let mut stage = Stage::new(Dialect::Tracker, LIMITS);
    let sockets = [0; 3].map(|_| peer(&mut stage, "ann"));
    let bob = peer(&mut stage, "bob");
    stage.send(sockets[1], &announce("s", "ann", &offers([7])));
    stage.sleep();
    stage.all_heard();
    stage.send(bob, &announce("s", "bob", &answer("ann", 7)));
    let heard = stage.all_heard();
    assert_eq!(heard.keys().collect::<Vec<_>>(), [&sockets[0], &sockets[2]]);
    stage.end(sockets[0]);
    stage.end(sockets[2]);
    stage.send(bob, &announce("s", "bob", &answer("ann", 7)));
    assert_eq!(stage.heard(sockets[1]), [received_answer(7, "s", "bob")]);
}

#[test]
fn the_makers_of_the_latest_offers_are_remembered() {
    let mut stage = Stage::new(Dialect::Tracker, LIMITS);
    let strangers = [0; 2].map(|_| peer(&mut stage, "ann"));
    let ann = peer(&mut stage, "ann");
    let bob = peer(&mut stage, "bob");
    stage.end(strangers[1]);
    peer(&mut stage, "ann");
    // With one other peer, the first offer of each announcement arrives. A repeated offer counts once.
    for offer in (0..33).chain([32, 32]) {
        stage.send(ann, &announce("s", "ann", &offers([offer])));
    }
    stage.all_heard();
    let mut answers = |offer| {
        stage.send(bob, &announce("s", "bob", &answer("ann", offer)));
        stage.all_heard().into_keys().collect::<Vec<_>>()
    };
    assert!(!answers(0).contains(&ann), "forgotten");
    for offer in 1..33 {
        assert_eq!(answers(offer), [ann], "{offer}");
    }
}

#[test]
fn a_client_is_a_peer_of_a_limited_number_of_swarms() {
    let mut stage = Stage::new(Dialect::Tracker, LIMITS);
    let (ann, bob) = (stage.join(), stage.join());
    for n in 0..MAX_TOPICS {
        stage.send(ann, &announce(&n.to_string(), "ann", ""));
    }
    stage.all_heard();
    stage.send(bob, &announce("s", "bob", ""));
    let more = [offers([1]), answer("bob", 1)].concat();
    stage.send(ann, &announce("s", "ann", &more));
    let refused = failure("too many swarms: leave one first", &id("s"));
    assert_eq!(stage.heard(ann), [refused]);
    assert_eq!(stage.heard(bob), [counts("s", 0, 1)]);
    // A swarm that the client is in is no further one.
    stage.send(ann, &announce("0", "ann", r#","left":0"#));
    stage.send(ann, &announce("0", "ann", r#","event":"stopped""#));
    stage.send(ann, &announce("s", "ann", &more));
    let left = [counts("0", 1, 0), counts("0", 0, 0)];
    assert_eq!(stage.heard(ann), left);
    assert_eq!(
        stage.heard(bob),
        [
            received_answer(1, "s", "ann"),
            received_offer(1, "s", "ann")
        ]
    );
}

#[test]
fn all_clients_together_are_peers_of_a_limited_number_of_swarms() {
    let subscription = |seat: usize| Subscription {
        topic: id(&(seat % MAX_TOPICS).to_string()).into(),
        label: id(&seat.to_string()).into(),
        seat: seat as u64,
        mark: Mark::None,
    };
    let listener = |socket: usize, subscriptions: Vec<_>| Listener {
        id: None,
        socket: Socket(socket as u64),
        token_expires_at: None,
        subscriptions,
    };
    let seats = (0..MAX_SUBSCRIPTIONS - 1)
        .map(subscription)
        .collect::<Vec<_>>();
    let full = seats.chunks(MAX_TOPICS).enumerate();
    let mut listeners: Vec<_> = full
        .map(|(n, chunk)| listener(n + 1, chunk.to_vec()))
        .collect();
    listeners.push(listener(0, Vec::new()));
    let mut topics = Topics::restore(LIMITS, Time(0), listeners);
    for is_refused in [false, true] {
        let frame = announce("s", &is_refused.to_string(), "");
        let mut effects = Vec::new();
        let call = Dialect::Tracker.decode_call(&frame);
        let socket = Socket(0);
        topics.handle(
            Time(0),
            Event::Frame {
                socket,
                call,
                bytes: 0,
            },
            &mut effects,
        );
        let Some(Effect::Send(_, Notice::Announced { counts, .. })) = effects.first() else {
            panic!("{effects:?}");
        };
        assert_eq!(counts.is_none(), is_refused);
    }
}

#[test]
fn an_attachment_is_written_only_if_the_peer_has_changed() {
    let mut stage = Stage::new(Dialect::Tracker, LIMITS);
    let ann = stage.join();
    peer(&mut stage, "bob");
    for (more, expected) in [
        (r#","event":"started""#, 1),
        (&*offers([1, 2]), 0),
        (&*answer("bob", 1), 0),
        (r#","left":7"#, 0),
        (r#","event":"completed""#, 1),
        (r#","left":0"#, 0),
        (r#","left":7"#, 0),
        (r#","event":"stopped""#, 1),
        (r#","event":"stopped""#, 0),
    ] {
        let before = stage.written();
        stage.send(ann, &announce("s", "ann", more));
        assert_eq!(stage.written() - before, expected, "{more}");
    }
}

#[test]
fn a_scrape_counts_a_limited_number_of_swarms() {
    let mut stage = Stage::new(Dialect::Tracker, LIMITS);
    let ann = stage.join();
    let hashes = (0..=MAX_TOPICS).map(|n| format!("\"{}\"", id(&n.to_string())));
    let hashes = hashes.collect::<Vec<_>>().join(",");
    stage.send(
        ann,
        &format!(r#"{{"action":"scrape","info_hash":[{hashes}]}}"#),
    );
    let [Heard::Frame(frame)] = &*stage.heard(ann) else {
        panic!("one frame answers a scrape");
    };
    assert_eq!(frame.matches("complete\":0").count(), 2 * MAX_TOPICS);
}

#[test]
fn a_flood_is_refused_and_then_closed_with_4008() {
    let mut stage = Stage::new(Dialect::Tracker, LIMITS);
    let ann = peer(&mut stage, "ann");
    for _ in 0..400 {
        stage.send(ann, &announce("s", "ann", ""));
    }
    let heard = stage.heard(ann);
    let Some([Heard::Frame(refused), closed]) = heard.last_chunk() else {
        panic!("{heard:?}");
    };
    assert!(
        refused.starts_with(r#"{"action":"announce","failure reason":""#),
        "{refused}"
    );
    assert!(refused.ends_with(r#"","info_hash":""}"#), "{refused}");
    assert_eq!(closed, &Heard::Closed(Close::TooFast));
}

#[test]
fn a_refused_client_receives_the_reason() {
    let mut stage = Stage::new(Dialect::Tracker, LIMITS);
    let ann = stage.join_with(Some(Refusal::new(Code::Unauthorized, "why")));
    assert_eq!(
        stage.heard(ann),
        [failure("why", ""), Heard::Closed(Close::Unauthorized)]
    );
}

#[test]
fn a_peer_that_cannot_receive_leaves_the_swarm() {
    for error in [SendError::Dead, SendError::Unread] {
        let mut stage = Stage::new(Dialect::Tracker, LIMITS);
        let (ann, bob) = (peer(&mut stage, "ann"), peer(&mut stage, "bob"));
        stage.jam(ann, error);
        stage.send(bob, &announce("s", "bob", &offers([1])));
        stage.send(bob, &announce("s", "bob", &offers([2])));
        assert_eq!(stage.heard(bob), [counts("s", 0, 2), counts("s", 0, 1)]);
        assert!(!stage.is_open(ann));
    }
}
