//! Plays the golden conversations of `tests/transcripts` on the core, with a clock of its own.
//!
//! `tests/worker/transcripts.test.mjs` plays the same files over real sockets. Their form is described in
//! `tests/transcripts/README.md`.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use crate::rig::{Heard, Rig, event};
use partyline::core::peer::{PeerId, Socket};
use partyline::core::refusal::Refusal;
use partyline::dialect::Dialect;
use partyline::edge::route::HttpError;
use partyline::edge::settings::Settings;

/// Plays one transcript, and once more with the room put to sleep before each line.
fn play(path: &Path, sleepless: bool) {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text
        .lines()
        .enumerate()
        .map(|(n, line)| (n + 1, line.trim()));
    let lines: Vec<_> = lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .collect();
    let set: BTreeMap<&str, &str> = lines
        .iter()
        .filter_map(|(_, line)| line.strip_prefix("set ")?.split_once('='))
        .collect();
    let settings = Settings::read(|name| set.get(name).map(|value| (*value).to_owned())).unwrap();
    let name = path.file_stem().unwrap().to_str().unwrap();
    let dialect = path.parent().and_then(|folder| folder.file_name()).unwrap();
    let dialect = dialect.to_string_lossy();
    let mut rig = Rig::named(name, settings.limits);
    let mut sockets: BTreeMap<&str, Socket> = BTreeMap::new();
    let mut unread: BTreeMap<Socket, VecDeque<Heard>> = BTreeMap::new();
    // Of those who speak HTTP: the last event that each got, and what it was answered last.
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    let mut answers: BTreeMap<&str, String> = BTreeMap::new();
    for (n, line) in lines {
        let at = format!("{}:{n}: {line}", path.display());
        if line.starts_with("set ") {
            continue;
        }
        if !sleepless {
            rig.sleep();
        }
        let (who, rest) = line
            .split_once(' ')
            .unwrap_or_else(|| panic!("{at}: what is this?"));
        if who == "after" {
            let seconds = rest.strip_suffix('s').and_then(|s| s.parse::<f64>().ok());
            let seconds = seconds.unwrap_or_else(|| panic!("{at}: how long?"));
            rig.pass((seconds * 1000.0) as u64);
            continue;
        }
        let (what, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let words: Vec<_> = rest.split_whitespace().collect();
        let key = words.iter().find_map(|word| word.strip_prefix("key="));
        match what {
            "joins" => {
                let mut id = who;
                if let Some(place) = words.iter().position(|word| *word == "as") {
                    id = words[place + 1];
                }
                let spoken = words.iter().find_map(|word| word.strip_prefix("dialect="));
                let spoken =
                    Dialect::named(spoken.unwrap_or(&dialect)).unwrap_or_else(|| panic!("{at}"));
                sockets.insert(who, rig.join_speaking(spoken, id, key));
                continue;
            }
            "registers" => {
                let answer = rig.register(who, key).map(|peers| answered(&peers));
                answers.insert(who, answer.unwrap_or_else(|refusal| refused(&refusal)));
                continue;
            }
            "opens" => {
                let last = last.get(who).copied().filter(|_| words.contains(&"again"));
                match rig.open_stream(who, key, last) {
                    Ok(socket) => drop(sockets.insert(who, socket)),
                    Err(refusal) => drop(answers.insert(who, refused(&refusal))),
                }
                continue;
            }
            "posts" => {
                let answer = match Dialect::Http.decode(rest) {
                    Ok(_) => rig.post(who, None, rest),
                    Err(refusal) => Err(Refusal::malformed(refusal.message)),
                };
                let answer = answer.map(|()| r#"200 {"message":"Message sent"}"#.to_owned());
                answers.insert(who, answer.unwrap_or_else(|refusal| refused(&refusal)));
                continue;
            }
            "answered" => {
                let answer = answers.remove(who);
                let answer = answer.unwrap_or_else(|| panic!("{at}: nothing was asked"));
                assert!(matches(rest, &answer), "{at}\n  but was answered {answer}");
                continue;
            }
            _ => {}
        }
        let socket = *sockets
            .get(who)
            .unwrap_or_else(|| panic!("{at}: who is that?"));
        let streams = rig.streams(socket);
        let mut next = || {
            let unread = unread.entry(socket).or_default();
            unread.extend(rig.heard(socket));
            unread
                .pop_front()
                .unwrap_or_else(|| panic!("{at}: nothing was heard"))
        };
        match what {
            "<" if streams => loop {
                match next() {
                    Heard::Frame(text) => match event(&text) {
                        (number, Some(data)) if matches(rest, &data) => {
                            last.insert(who, number.unwrap());
                            break;
                        }
                        (Some(number), None) => drop(last.insert(who, number)),
                        other => panic!("{at}\n  but heard {other:?}"),
                    },
                    other => panic!("{at}\n  but heard {other:?}"),
                }
            },
            "<" => match next() {
                Heard::Frame(frame) if matches(rest, &frame) => {}
                other => panic!("{at}\n  but heard {other:?}"),
            },
            "closed" => match next() {
                Heard::Closed(close) if format!("{} {}", close.code(), close.reason()) == rest => {}
                other => panic!("{at}\n  but heard {other:?}"),
            },
            "ends" => match next() {
                Heard::Closed(_) => {}
                other => panic!("{at}\n  but heard {other:?}"),
            },
            ">" => rig.send(socket, rest),
            "closes" => rig.close(socket),
            "drops" => rig.lose(socket),
            _ => panic!("{at}: what is this?"),
        }
    }
    assert_eq!(
        answers,
        BTreeMap::new(),
        "{}: somebody was answered more than is written",
        path.display()
    );
    for (who, socket) in sockets {
        let mut heard: Vec<_> = unread.remove(&socket).unwrap_or_default().into();
        heard.extend(rig.heard(socket));
        // What a stream begins with is nothing that anybody hears.
        heard.retain(|heard| !matches!(heard, Heard::Frame(text) if text.starts_with("retry")));
        assert_eq!(
            heard,
            [],
            "{}: {who} has heard more than is written",
            path.display()
        );
    }
}

/// What a peer that has registered is answered, but for the key.
fn answered(peers: &[(PeerId, bool)]) -> String {
    let seen = |(id, polite): &(PeerId, bool)| format!(r#"{{"id":"{id}","polite":{polite}}}"#);
    let peers: Vec<_> = peers.iter().map(seen).collect();
    format!("200 [{}]", peers.join(","))
}

fn refused(refusal: &Refusal<'_>) -> String {
    let error = HttpError::refused(refusal.clone());
    format!("{} {}", error.status, error.code)
}

/// Compares a frame with what is written, where `…` stands for any run without a quotation mark.
fn matches(written: &str, frame: &str) -> bool {
    let mut parts = written.split('…');
    let Some(mut rest) = frame.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let parts: Vec<_> = parts.collect();
    for (n, part) in parts.iter().enumerate() {
        let last = n + 1 == parts.len();
        let place = if last && part.is_empty() {
            Some(rest.len())
        } else {
            rest.find(part)
        };
        let Some(place) = place.filter(|place| !rest[..*place].contains('"')) else {
            return false;
        };
        rest = &rest[place + part.len()..];
    }
    rest.is_empty()
}

fn all() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let dialects = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let files = dialects
        .filter(|path| path.is_dir())
        .flat_map(|path| std::fs::read_dir(path).unwrap());
    let mut files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|end| end == "txt"));
    files.sort();
    files
}

#[test]
fn every_transcript_is_what_the_core_says() {
    let all = all();
    assert!(!all.is_empty());
    all.iter().for_each(|path| play(path, true));
}

#[test]
fn every_transcript_is_the_same_when_the_room_sleeps_before_each_line() {
    all().iter().for_each(|path| play(path, false));
}

#[test]
fn a_frame_is_compared_to_the_byte_but_for_what_is_left_open() {
    assert!(matches(r#"{"a":"…","b":1}"#, r#"{"a":"x y","b":1}"#));
    assert!(matches(r#"{"a":"…"}"#, r#"{"a":""}"#));
    assert!(!matches(r#"{"a":"…"}"#, r#"{"a":"x","b":"y"}"#));
    assert!(!matches(r#"{"a":1}"#, r#"{"a":1} "#));
    assert!(!matches(r#"{"a":…}"#, r#"{"b":1}"#));
}
