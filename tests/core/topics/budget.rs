//! The budget of a topic: several publishers do not send more to a subscriber than it can read.

use partyline::core::event::Limits;
use partyline::core::peer::Socket;
use partyline::dialect::Dialect;

use super::stage::Stage;
use crate::rig::{self, Heard};

/// In a room of this size, two clients can send more at once than the burst of a topic.
const LIMITS: Limits = Limits {
    peers: 100,
    ..rig::LIMITS
};

/// Returns a frame of 60,000 bytes that publishes to the topic `d`, and frames that subscribe to `d` and
/// to another topic.
fn frames(dialect: Dialect) -> [String; 3] {
    let data = "x".repeat(60_000);
    match dialect {
        Dialect::YWebrtc => [
            format!(r#"{{"type":"publish","topic":"d","data":"{data}"}}"#),
            r#"{"type":"subscribe","topics":["d"]}"#.to_owned(),
            r#"{"type":"subscribe","topics":["e"]}"#.to_owned(),
        ],
        Dialect::Trystero => [
            format!(r#"{{"type":"publish","topic":"d","payload":"{data}"}}"#),
            r#"{"type":"subscribe","topic":"d"}"#.to_owned(),
            r#"{"type":"subscribe","topic":"e"}"#.to_owned(),
        ],
        _ => [
            format!(
                r#"["EVENT",{{"id":"1","kind":20000,"tags":[["x","d"]],"created_at":1,"content":"{data}"}}]"#
            ),
            r##"["REQ","s",{"#x":["d"]}]"##.to_owned(),
            r##"["REQ","s",{"#x":["e"]}]"##.to_owned(),
        ],
    }
}

/// Sends the frame from all clients in turn, and returns the number of bytes that `to` received.
fn flood(stage: &mut Stage, from: &[Socket], to: Socket, frame: &str) -> usize {
    for _ in 0..20 {
        from.iter().for_each(|socket| stage.send(*socket, frame));
    }
    let lengths = stage.heard(to).into_iter().map(|heard| match heard {
        Heard::Frame(text) => text.len(),
        Heard::Closed(_) => 0,
    });
    lengths.sum()
}

#[test]
fn all_publishers_of_a_topic_together_have_a_budget() {
    for dialect in [Dialect::YWebrtc, Dialect::Trystero, Dialect::Nostr] {
        let mut stage = Stage::new(dialect, LIMITS);
        let [publish, subscribe, other] = frames(dialect);
        let [ann, bob, eve, dan] = [(); 4].map(|()| stage.join());
        stage.send(ann, &subscribe);
        stage.send(dan, &other);
        stage.all_heard();
        let burst = flood(&mut stage, &[bob, eve, ann], ann, &publish);
        assert!(
            (1_950_000..2_098_000).contains(&burst),
            "{dialect:?}: {burst}"
        );
        stage.pass(1_000);
        let second = flood(&mut stage, &[dan], ann, &publish);
        assert!((80_000..160_000).contains(&second), "{dialect:?}: {second}");
        if dialect == Dialect::Nostr {
            let refused = r#"["OK","1",false,"rate-limited: too many bytes for these subscribers: send at most 96 KiB a second"]"#;
            let heard = stage.heard(dan);
            assert_eq!(heard.last(), Some(&Heard::Frame(refused.to_owned())));
            // An event without subscribers needs no budget.
            stage.send(dan, &publish.replace(r#"["x","d"]"#, r#"["x","f"]"#));
            let taken = Heard::Frame(r#"["OK","1",true,""]"#.to_owned());
            assert_eq!(stage.heard(dan), [taken]);
        }
        // Another topic has a budget of its own.
        let publish = publish.replace(r#""d""#, r#""e""#);
        stage.send(bob, &publish);
        assert_eq!(flood(&mut stage, &[], ann, ""), 0);
        assert!(flood(&mut stage, &[], dan, "") > 60_000, "{dialect:?}");
    }
}

#[test]
fn a_watcher_of_all_events_does_not_use_up_the_budget_of_others() {
    let mut stage = Stage::new(Dialect::Nostr, LIMITS);
    let [publish, subscribe, _] = frames(Dialect::Nostr);
    let [ann, bob, eve, dan] = [(); 4].map(|()| stage.join());
    stage.send(ann, &subscribe);
    stage.send(eve, r#"["REQ","s",{}]"#);
    stage.all_heard();
    let others = publish.replace(r#"["x","d"]"#, r#"["x","f"]"#);
    flood(&mut stage, &[bob, dan], eve, &others);
    stage.pass(100);
    stage.all_heard();
    stage.send(eve, &publish);
    assert!(flood(&mut stage, &[], ann, "") > 60_000);
}
