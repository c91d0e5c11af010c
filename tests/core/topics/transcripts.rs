//! Plays the transcripts of dialects with topics on the topics.

use std::collections::{BTreeMap, VecDeque};

use partyline::core::event::Limits;
use partyline::core::peer::Socket;
use partyline::dialect::Dialect;

use super::stage::Stage;
use crate::rig::Heard;
use crate::transcripts::{Line, matches};

/// Plays the lines of a transcript. `sleeps`: the topics are evicted before each line.
pub(crate) fn play(dialect: Dialect, lines: &[Line<'_>], limits: Limits, sleeps: bool) {
    let mut stage = Stage::new(dialect, limits);
    let mut sockets: BTreeMap<&str, Socket> = BTreeMap::new();
    let mut unread: BTreeMap<&str, VecDeque<Heard>> = BTreeMap::new();
    for line in lines {
        if sleeps {
            stage.sleep();
        }
        let (name, rest) = line.split(line.text);
        let (verb, rest) = line.split(rest);
        if name == "set" {
            continue;
        }
        if verb == "joins" {
            sockets.insert(name, stage.join());
        }
        let socket = sockets.get(name).copied();
        let socket = socket.unwrap_or_else(|| line.fail("no client has this name"));
        let mut next = |stage: &mut Stage| {
            let unread = unread.entry(name).or_default();
            unread.extend(stage.heard(socket));
            unread.pop_front()
        };
        match verb {
            "joins" => {}
            ">" => stage.send(socket, rest),
            "closes" | "drops" => stage.end(socket),
            "<" => match next(&mut stage) {
                Some(Heard::Frame(frame)) if matches(rest, &frame) => {}
                other => line.fail(&format!("the client received {other:?}")),
            },
            "closed" => match next(&mut stage) {
                Some(Heard::Closed(close))
                    if format!("{} {}", close.code(), close.reason()) == rest => {}
                other => line.fail(&format!("the client received {other:?}")),
            },
            _ => line.fail("unknown verb"),
        }
    }
    unread.retain(|_, unread| !unread.is_empty());
    assert_eq!(unread, BTreeMap::new(), "the transcript lacks a frame");
    assert_eq!(
        stage.all_heard(),
        BTreeMap::new(),
        "the transcript lacks a frame"
    );
}
