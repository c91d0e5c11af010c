//! Topics, with clients of Nostr: filters, their limits, and random histories that are compared with a
//! simple model.

use std::collections::BTreeMap;

use partyline::core::close::Close;
use partyline::core::drive::SendError;
use partyline::core::event::{Limits, MAX_FRAME};
use partyline::core::peer::Socket;
use partyline::core::topics::{MAX_SUBSCRIPTIONS, MAX_TOPICS};
use partyline::dialect::Dialect;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::Config;

use super::stage::{LIMITS, Stage};
use crate::rig::{self, Heard};

fn stage() -> Stage {
    Stage::new(Dialect::Nostr, LIMITS)
}

/// Returns the frames that a client received since the last call, as text.
fn heard(stage: &mut Stage, socket: Socket) -> Vec<String> {
    let text = |heard| match heard {
        Heard::Frame(text) => text,
        Heard::Closed(close) => format!("{close:?}"),
    };
    stage.heard(socket).into_iter().map(text).collect()
}

/// Subscribes to values of the tag `x`, and returns the answer.
fn request(stage: &mut Stage, socket: Socket, label: &str, values: &[String]) -> String {
    let values = values.iter().map(|value| format!("\"{value}\""));
    let values = values.collect::<Vec<_>>().join(",");
    stage.send(
        socket,
        &format!("[\"REQ\",\"{label}\",{{\"#x\":[{values}]}}]"),
    );
    heard(stage, socket).concat()
}

fn event(id: &str, value: &str, content: &str) -> String {
    let tags = format!(r#"[["x","{value}"]]"#);
    format!(
        r#"["EVENT",{{"id":"{id}","kind":20001,"tags":{tags},"created_at":1,"content":"{content}"}}]"#
    )
}

fn is_accepted(answer: &str) -> bool {
    assert!(answer.starts_with("[\"EOSE\"") || answer.starts_with("[\"CLOSED\""));
    answer.starts_with("[\"EOSE\"")
}

#[test]
fn the_values_of_all_subscriptions_of_a_client_fit_into_its_attachment() {
    // trystero subscribes to up to 250 topics of 40 characters at once.
    let mut stage = stage();
    let ann = stage.join();
    let topics: Vec<_> = (0..250).map(|n| format!("{n:040}")).collect();
    assert!(is_accepted(&request(&mut stage, ann, "one", &topics)));
    let more = request(&mut stage, ann, "two", &topics);
    let too_many = "error: too many filters: all subscriptions of a client may have 15,000 bytes";
    let refused = format!(r#"["CLOSED","two","{too_many} and 640 values"]"#);
    assert_eq!(more, refused);
    let again = request(&mut stage, ann, "one", &topics);
    assert!(is_accepted(&again), "it replaces the other");
    stage.send(ann, r#"["CLOSE","one"]"#);
    assert!(is_accepted(&request(&mut stage, ann, "two", &topics)));
    stage.sleep();
    stage.send(ann, &event("1", &topics[249], ""));
    assert_eq!(heard(&mut stage, ann).len(), 2);
    let value = ["x".repeat(127)];
    assert!(is_accepted(&request(&mut stage, ann, "three", &value)));
    let longer = ["x".repeat(128)];
    assert!(!is_accepted(&request(&mut stage, ann, "three", &longer)));
    let values: Vec<_> = (0..251).map(|n| n.to_string()).collect();
    assert!(!is_accepted(&request(&mut stage, ann, "four", &values)));
}

#[test]
fn a_client_has_at_most_100_subscriptions_with_the_longest_names() {
    let mut stage = stage();
    let ann = stage.join();
    let mut accepted = 0;
    for n in 0..=MAX_TOPICS {
        // Each character is written as two in the attachment.
        let label = format!("{}{n:04}", "é".repeat(30));
        let values = ["é".repeat(10)];
        accepted += usize::from(is_accepted(&request(&mut stage, ann, &label, &values)));
    }
    assert_eq!(accepted, MAX_TOPICS, "the stage checks the attachment");
}

#[test]
fn a_client_has_at_most_640_values_which_count_for_its_rate_limit() {
    let mut stage = stage();
    let ann = stage.join();
    let values: Vec<_> = (0..250).map(|n| n.to_string()).collect();
    for (label, count, fits) in [
        ("a", 250, true),
        ("b", 250, true),
        ("c", 141, false),
        ("c", 140, true),
        ("d", 1, false),
    ] {
        let answer = request(&mut stage, ann, label, &values[..count]);
        assert_eq!(is_accepted(&answer), fits, "{label} {count}");
    }
    let bob = stage.join();
    let answers = (0..200).map(|_| request(&mut stage, bob, "s", &values));
    let accepted = answers.filter(|answer| is_accepted(answer)).count();
    let bytes = accepted * (250 * 40 + 1_000);
    assert!((900_000..1_100_000).contains(&bytes), "{accepted}");
}

#[test]
fn all_clients_together_have_a_limited_number_of_values() {
    let peers = MAX_SUBSCRIPTIONS / 250 + 2;
    let mut stage = Stage::new(Dialect::Nostr, Limits { peers, ..LIMITS });
    let values: Vec<_> = (0..250).map(|n| n.to_string()).collect();
    for client in 0..peers {
        let socket = stage.join();
        let is_last = client + 2 >= peers;
        let answer = request(&mut stage, socket, "s", &values);
        assert_eq!(is_accepted(&answer), !is_last, "{client}");
    }
    let last = Socket(peers as u64 - 1);
    let full = request(&mut stage, last, "s", &values);
    assert!(full.contains("subscribe again later"), "{full}");
    stage.end(Socket(0));
    assert!(is_accepted(&request(&mut stage, last, "s", &values)));
}

#[test]
fn a_flood_is_refused_in_the_words_of_its_frames_and_then_closed() {
    let mut stage = stage();
    let ann = stage.join();
    for _ in 0..200 {
        stage.send(ann, &event("1", "a", ""));
    }
    stage.all_heard();
    let frames = [
        event("2", "a", ""),
        r#"["REQ","s",{}]"#.to_owned(),
        r#"["CLOSE","s"]"#.to_owned(),
        "x".to_owned(),
    ];
    let starts = [
        r#"["OK","2",false,"rate-limited: "#,
        r#"["CLOSED","s","rate-limited: "#,
        r#"["NOTICE","rate-limited: "#,
        r#"["NOTICE","rate-limited: "#,
    ];
    for (frame, start) in frames.iter().zip(starts) {
        stage.send(ann, frame);
        let answer = heard(&mut stage, ann).concat();
        assert!(answer.starts_with(start), "{answer}");
    }
    for _ in 4..200 {
        stage.send(ann, "[]");
    }
    assert_eq!(stage.heard(ann).pop(), Some(Heard::Closed(Close::TooFast)));
}

#[test]
fn a_large_frame_and_a_full_room_are_refused_and_closed() {
    let mut stage = stage();
    let ann = stage.join();
    stage.send(ann, &"x".repeat(MAX_FRAME + 1));
    let [notice, closed] = <[_; 2]>::try_from(heard(&mut stage, ann)).unwrap();
    assert!(notice.starts_with(r#"["NOTICE","invalid: the frame has more than"#));
    assert_eq!(closed, "TooLarge");
    for _ in 0..LIMITS.peers {
        stage.join();
    }
    let eve = stage.join();
    let [notice, closed] = <[_; 2]>::try_from(heard(&mut stage, eve)).unwrap();
    assert!(
        notice.starts_with(r#"["NOTICE","error: 4 clients are connected"#),
        "{notice}"
    );
    assert_eq!(closed, "RoomFull");
}

#[test]
fn a_client_that_cannot_receive_is_removed() {
    let mut stage = stage();
    let (ann, bob) = (stage.join(), stage.join());
    for client in [ann, bob] {
        request(&mut stage, client, "s", &["a".to_owned()]);
    }
    stage.jam(bob, SendError::Dead);
    stage.send(ann, &event("1", "a", ""));
    assert_eq!(heard(&mut stage, ann).len(), 2);
    assert!(!stage.is_open(bob));
}

#[derive(Clone, Debug)]
struct Filter {
    since: Option<u64>,
    kinds: Option<Vec<u16>>,
    x: Option<Vec<char>>,
    t: Option<Vec<char>>,
}

#[derive(Clone, Debug)]
struct Published {
    kind: u16,
    tags: Vec<(char, char)>,
    created_at: u64,
}

#[derive(Clone, Debug)]
enum Step {
    Join,
    Request(usize, usize, Vec<Filter>),
    Close(usize, usize),
    Publish(usize, Published),
    End(usize),
}

fn list<T: ToString>(values: &[T], quote: &str) -> String {
    let quoted = |value: &T| format!("{quote}{}{quote}", value.to_string());
    format!(
        "[{}]",
        values.iter().map(quoted).collect::<Vec<_>>().join(",")
    )
}

impl Filter {
    fn json(&self) -> String {
        let fields = [
            self.t.as_ref().map(|t| format!("\"#t\":{}", list(t, "\""))),
            self.since.map(|since| format!("\"since\":{since}")),
            Some("\"limit\":1".to_owned()),
            self.kinds
                .as_ref()
                .map(|kinds| format!("\"kinds\":{}", list(kinds, ""))),
            self.x.as_ref().map(|x| format!("\"#x\":{}", list(x, "\""))),
        ];
        format!(
            "{{{}}}",
            fields.into_iter().flatten().collect::<Vec<_>>().join(",")
        )
    }

    fn matches(&self, event: &Published) -> bool {
        let tag = |values: &Option<Vec<char>>, name: char| {
            values.as_ref().is_none_or(|values| {
                let mut tags = event.tags.iter();
                tags.any(|(own, value)| *own == name && values.contains(value))
            })
        };
        self.since.is_none_or(|since| event.created_at >= since)
            && self
                .kinds
                .as_ref()
                .is_none_or(|kinds| kinds.contains(&event.kind))
            && tag(&self.x, 'x')
            && tag(&self.t, 't')
    }
}

impl Published {
    fn json(&self, id: usize) -> String {
        let Self {
            kind,
            tags,
            created_at,
        } = self;
        let tags = tags
            .iter()
            .map(|(name, value)| format!("[\"{name}\",\"{value}\"]"));
        let tags = tags.collect::<Vec<_>>().join(",");
        format!(r#"{{"id":"{id}","kind":{kind},"tags":[{tags}],"created_at":{created_at}}}"#)
    }
}

fn filter() -> impl Strategy<Value = Filter> {
    let kinds = || option::of(vec(20_000..20_003_u16, 0..3));
    let values = || option::of(vec(prop::char::range('a', 'c'), 0..3));
    (option::weighted(0.2, 0..3_u64), kinds(), values(), values())
        .prop_map(|(since, kinds, x, t)| Filter { since, kinds, x, t })
}

fn step() -> impl Strategy<Value = Step> {
    let socket = || 0..5_usize;
    let tag = (prop::char::range('x', 'y'), prop::char::range('a', 'c'));
    let tag = prop_oneof![
        tag,
        prop::char::range('a', 'c').prop_map(|value| ('t', value))
    ];
    let event =
        (20_000..20_003_u16, vec(tag, 0..4), 0..3_u64).prop_map(|(kind, tags, created_at)| {
            Published {
                kind,
                tags,
                created_at,
            }
        });
    prop_oneof![
        2 => Just(Step::Join),
        5 => (socket(), 0..2_usize, vec(filter(), 1..3))
            .prop_map(|(socket, label, filters)| Step::Request(socket, label, filters)),
        1 => (socket(), 0..2_usize).prop_map(|(socket, label)| Step::Close(socket, label)),
        9 => (socket(), event).prop_map(|(socket, event)| Step::Publish(socket, event)),
        1 => socket().prop_map(Step::End),
    ]
}

fn play(steps: &[Step], sleeps: bool) {
    const LIMITS: Limits = Limits {
        peers: 60,
        ..rig::LIMITS
    };
    let mut stage = Stage::new(Dialect::Nostr, LIMITS);
    let mut sockets: Vec<Socket> = Vec::new();
    let mut model: BTreeMap<(Socket, usize), Vec<Filter>> = BTreeMap::new();
    for (id, step) in steps.iter().enumerate() {
        if sleeps {
            stage.sleep();
        }
        let open = |n: &usize| {
            let socket = sockets.get(*n).copied();
            socket.filter(|socket| stage.is_open(*socket))
        };
        match step {
            Step::Join => sockets.push(stage.join()),
            Step::Request(n, label, filters) => {
                let Some(socket) = open(n) else { continue };
                let json: Vec<_> = filters.iter().map(Filter::json).collect();
                stage.send(socket, &format!(r#"["REQ","{label}",{}]"#, json.join(",")));
                assert_eq!(
                    heard(&mut stage, socket),
                    [format!(r#"["EOSE","{label}"]"#)]
                );
                model.insert((socket, *label), filters.clone());
            }
            Step::Close(n, label) => {
                let Some(socket) = open(n) else { continue };
                stage.send(socket, &format!(r#"["CLOSE","{label}"]"#));
                model.remove(&(socket, *label));
            }
            Step::End(n) => {
                let Some(socket) = open(n) else { continue };
                stage.end(socket);
                model.retain(|(own, _), _| *own != socket);
            }
            Step::Publish(n, event) => {
                let Some(socket) = open(n) else { continue };
                let body = event.json(id);
                stage.send(socket, &format!(r#"["EVENT", {body} ]"#));
                let mut expected =
                    BTreeMap::from([(socket, vec![format!(r#"["OK","{id}",true,""]"#)])]);
                for ((receiver, label), filters) in &model {
                    if filters.iter().any(|filter| filter.matches(event)) {
                        let frames = expected.entry(*receiver).or_default();
                        frames.push(format!(r#"["EVENT","{label}",{body}]"#));
                    }
                }
                for (receiver, frames) in expected {
                    let mut actual = heard(&mut stage, receiver);
                    // The order of the subscriptions of a client is free.
                    actual
                        .get_mut(usize::from(receiver == socket)..)
                        .unwrap()
                        .sort();
                    assert_eq!(actual, frames, "{receiver:?}");
                }
            }
        }
        assert_eq!(stage.all_heard(), BTreeMap::new(), "nobody else hears it");
    }
    for socket in sockets {
        stage.end(socket);
    }
}

proptest! {
    #![proptest_config(Config { cases: 2_000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn each_subscription_receives_the_events_that_the_model_matches(
        steps in vec(step(), 0..60),
        sleeps in any::<bool>(),
    ) {
        play(&steps, sleeps);
    }
}
