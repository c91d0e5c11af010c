//! Plays the transcripts in `tests/transcripts` on the core, with a simulated clock.
//!
//! `tests/worker/transcripts.test.mjs` plays the same files over real sockets.
//! `tests/transcripts/README.md` describes their format.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use crate::rig::{Heard, Rig, event};
use crate::topics;
use partyline::core::peer::{PeerId, Socket};
use partyline::core::refusal::Refusal;
use partyline::dialect::Dialect;
use partyline::edge::route::HttpError;
use partyline::edge::settings::Settings;

/// The points at which the room is evicted and restored from stored text.
#[derive(Clone, Copy, PartialEq)]
enum Sleep {
    Never,
    BeforeEachLine,
}

/// The state of a transcript that is being played.
struct Player<'a> {
    rig: Rig,
    /// The dialect of the transcript, which is the name of its folder.
    dialect: String,
    /// The latest socket of each peer, by the peer's name in the transcript.
    sockets: BTreeMap<&'a str, Socket>,
    /// Received frames and close codes that are not compared yet.
    unread: BTreeMap<Socket, VecDeque<Heard>>,
    /// The id of the last event that each peer received, by the peer's name.
    last_event: BTreeMap<&'a str, u64>,
    /// Received HTTP responses that are not compared yet, by the name of the peer.
    responses: BTreeMap<&'a str, String>,
}

/// One line of a transcript.
#[derive(Clone, Copy)]
pub(crate) struct Line<'a> {
    path: &'a Path,
    number: usize,
    pub(crate) text: &'a str,
}

impl<'a> Line<'a> {
    /// Fails the test with a message that names the line.
    pub(crate) fn fail(&self, fault: &str) -> ! {
        let Self { path, number, text } = self;
        panic!("{}:{number}: {text}\n  {fault}", path.display())
    }

    /// Splits `text` into its first word and the rest.
    pub(crate) fn split(&self, text: &'a str) -> (&'a str, &'a str) {
        text.split_once(' ').unwrap_or((text, ""))
    }
}

fn play(path: &Path, sleep: Sleep) {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = lines(path, &text);
    let folder = path.parent().and_then(Path::file_name).unwrap();
    if let Some(dialect) = Dialect::named(&folder.to_string_lossy())
        && dialect.family().has_topics()
    {
        let limits = settings(&lines).limits_of(dialect.family());
        return topics::play(dialect, &lines, limits, sleep == Sleep::BeforeEachLine);
    }
    let mut player = Player::new(path, &lines);
    for line in &lines {
        if sleep == Sleep::BeforeEachLine {
            player.rig.sleep();
        }
        player.play_line(*line);
    }
    player.finish(path);
}

/// Returns the lines of a transcript, without its comments and empty lines.
fn lines<'a>(path: &'a Path, text: &'a str) -> Vec<Line<'a>> {
    let numbered = text.lines().enumerate().map(|(index, line)| Line {
        path,
        number: index + 1,
        text: line.trim(),
    });
    numbered
        .filter(|line| !line.text.is_empty() && !line.text.starts_with('#'))
        .collect()
}

/// Reads the settings of a transcript.
fn settings(lines: &[Line<'_>]) -> Settings {
    let values: BTreeMap<&str, &str> = lines
        .iter()
        .filter_map(|line| line.text.strip_prefix("set ")?.split_once('='))
        .collect();
    Settings::read(|name| values.get(name).map(|value| (*value).to_owned())).unwrap()
}

impl<'a> Player<'a> {
    fn new(path: &Path, lines: &[Line<'a>]) -> Self {
        let room = path.file_stem().unwrap().to_str().unwrap();
        let dialect = path.parent().and_then(|folder| folder.file_name()).unwrap();
        let dialect = dialect.to_string_lossy().into_owned();
        // The transcripts with several dialects have no folder of a dialect.
        let family = Dialect::named(&dialect).unwrap_or(Dialect::Native).family();
        Self {
            rig: Rig::named(room, settings(lines).limits_of(family)),
            dialect,
            sockets: BTreeMap::new(),
            unread: BTreeMap::new(),
            last_event: BTreeMap::new(),
            responses: BTreeMap::new(),
        }
    }

    fn play_line(&mut self, line: Line<'a>) {
        let (name, rest) = line.split(line.text);
        let (verb, rest) = line.split(rest);
        match (name, verb) {
            ("set", _) => {}
            ("after", seconds) => self.after(line, seconds),
            (_, "joins") => self.joins(line, name, rest),
            (_, "registers") => self.registers(name, rest),
            (_, "opens") => self.opens(name, rest),
            (_, "posts") => self.posts(name, rest),
            (_, "answered") => self.answered(line, name, rest),
            (_, "<") => self.receives(line, name, rest),
            (_, ">") => {
                let socket = self.socket(line, name);
                self.rig.send(socket, rest);
            }
            (_, "closed") => self.closed(line, name, rest),
            (_, "ends") => self.ends(line, name),
            (_, "closes") => {
                let socket = self.socket(line, name);
                if rest == "1001" {
                    self.rig.go_away(socket);
                } else {
                    self.rig.close(socket);
                }
            }
            (_, "drops") => {
                let socket = self.socket(line, name);
                self.rig.lose(socket);
            }
            _ => line.fail("unknown verb"),
        }
    }

    fn after(&mut self, line: Line<'_>, seconds: &str) {
        let seconds = seconds
            .strip_suffix('s')
            .and_then(|s| s.parse::<f64>().ok());
        let seconds = seconds.unwrap_or_else(|| line.fail("expected seconds, such as `2s`"));
        self.rig.pass((seconds * 1000.0) as u64);
    }

    fn joins(&mut self, line: Line<'_>, name: &'a str, arguments: &str) {
        let mut words = arguments.split(' ');
        let id = words.find(|word| *word == "as").and_then(|_| words.next());
        let dialect = argument(arguments, "dialect=").unwrap_or(&self.dialect);
        let dialect = Dialect::named(dialect).unwrap_or_else(|| line.fail("unknown dialect"));
        let key = argument(arguments, "key=");
        // The route of a join reads both for native clients only.
        let of_native = |name| argument(arguments, name).filter(|_| dialect == Dialect::Native);
        self.rig.meta = of_native("meta=").map(Into::into);
        self.rig.offer = of_native("offer=").map(str::to_owned);
        let socket = self.rig.join_speaking(dialect, id.unwrap_or(name), key);
        self.sockets.insert(name, socket);
    }

    fn registers(&mut self, name: &'a str, arguments: &str) {
        let response = match self.rig.register(name, argument(arguments, "key=")) {
            Ok(peers) => registered(&peers),
            Err(refusal) => refused(&refusal),
        };
        self.responses.insert(name, response);
    }

    fn opens(&mut self, name: &'a str, arguments: &str) {
        let resume = arguments.split(' ').any(|word| word == "again");
        let last = self.last_event.get(name).copied().filter(|_| resume);
        let key = argument(arguments, "key=");
        match self.rig.open_stream(name, key, last) {
            Ok(socket) => drop(self.sockets.insert(name, socket)),
            Err(refusal) => drop(self.responses.insert(name, refused(&refusal))),
        }
    }

    fn posts(&mut self, name: &'a str, body: &str) {
        let result = Dialect::Http
            .decode(body)
            .and_then(|_| self.rig.post(name, None, body));
        let response = match result {
            Ok(()) => r#"200 {"message":"Message sent"}"#.to_owned(),
            Err(refusal) => refused(&refusal),
        };
        self.responses.insert(name, response);
    }

    fn answered(&mut self, line: Line<'_>, name: &str, expected: &str) {
        let response = self.responses.remove(name);
        let response = response.unwrap_or_else(|| line.fail("no response arrived"));
        if !matches(expected, &response) {
            line.fail(&format!("the response is {response}"));
        }
    }

    fn receives(&mut self, line: Line<'_>, name: &'a str, expected: &str) {
        let socket = self.socket(line, name);
        if !self.rig.streams(socket) {
            match self.next(line, socket) {
                Heard::Frame(frame) if matches(expected, &frame) => return,
                other => line.fail(&format!("the peer received {other:?}")),
            }
        }
        loop {
            let heard = self.next(line, socket);
            let parsed = match &heard {
                Heard::Frame(text) => event(text),
                Heard::Closed(_) => (None, None),
            };
            match parsed {
                (number, Some(data)) if matches(expected, &data) => {
                    // Of several joins and leaves in one frame, only the last has an id.
                    if let Some(number) = number {
                        self.last_event.insert(name, number);
                    }
                    return;
                }
                // The first event of a stream has an id but no data. A transcript does not contain
                // this event.
                (Some(number), None) => drop(self.last_event.insert(name, number)),
                _ => line.fail(&format!("the peer received {heard:?}")),
            }
        }
    }

    fn closed(&mut self, line: Line<'_>, name: &str, expected: &str) {
        let socket = self.socket(line, name);
        match self.next(line, socket) {
            Heard::Closed(close) if format!("{} {}", close.code(), close.reason()) == expected => {}
            other => line.fail(&format!("the peer received {other:?}")),
        }
    }

    fn ends(&mut self, line: Line<'_>, name: &str) {
        let socket = self.socket(line, name);
        match self.next(line, socket) {
            Heard::Closed(_) => {}
            other => line.fail(&format!("the peer received {other:?}")),
        }
    }

    fn socket(&self, line: Line<'_>, name: &str) -> Socket {
        let socket = self.sockets.get(name);
        *socket.unwrap_or_else(|| line.fail("no socket has this name"))
    }

    /// Returns the next frame or close code that the socket received. Fails the test if the socket
    /// received nothing.
    fn next(&mut self, line: Line<'_>, socket: Socket) -> Heard {
        let heard = self.heard(socket);
        let unread = self.unread.entry(socket).or_default();
        unread.extend(heard);
        let next = unread.pop_front();
        next.unwrap_or_else(|| line.fail("the peer received nothing"))
    }

    /// Returns the events, frames and close codes that the socket received since the last call.
    fn heard(&mut self, socket: Socket) -> Vec<Heard> {
        let is_stream = self.rig.streams(socket);
        let heard = self.rig.heard(socket).into_iter();
        let split = |heard| match heard {
            Heard::Frame(text) if is_stream => {
                let events = text.split_inclusive("\n\n");
                events.map(|event| Heard::Frame(event.to_owned())).collect()
            }
            other => vec![other],
        };
        heard.flat_map(split).collect()
    }

    /// Checks that the transcript contains all frames, close codes and responses that arrived.
    fn finish(mut self, path: &Path) {
        let path = path.display();
        assert_eq!(
            self.responses,
            BTreeMap::new(),
            "{path}: the transcript lacks a response"
        );
        for (name, socket) in self.sockets.clone() {
            let mut unread: Vec<_> = self.unread.remove(&socket).unwrap_or_default().into();
            unread.extend(self.heard(socket));
            // A transcript does not contain the first event of a stream.
            unread
                .retain(|heard| !matches!(heard, Heard::Frame(text) if text.starts_with("retry")));
            assert_eq!(unread, [], "{path}: the transcript lacks a frame to {name}");
        }
    }
}

fn argument<'a>(arguments: &'a str, prefix: &str) -> Option<&'a str> {
    let mut words = arguments.split(' ');
    words.find_map(|word| word.strip_prefix(prefix))
}

/// Returns the text of a response to a registration, without the key.
fn registered(peers: &[(PeerId, bool)]) -> String {
    let entry = |(id, polite): &(PeerId, bool)| format!(r#"{{"id":"{id}","polite":{polite}}}"#);
    let peers: Vec<_> = peers.iter().map(entry).collect();
    format!("200 [{}]", peers.join(","))
}

fn refused(refusal: &Refusal<'_>) -> String {
    let error = HttpError::refused(refusal.clone());
    format!("{} {}", error.status, error.code)
}

/// Compares a frame with a frame in a transcript, where `…` matches any text without a quotation
/// mark.
pub(crate) fn matches(written: &str, frame: &str) -> bool {
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

/// Returns the paths of all transcripts.
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
fn the_core_produces_every_frame_of_every_transcript() {
    let all = all();
    assert!(!all.is_empty());
    all.iter().for_each(|path| play(path, Sleep::Never));
}

#[test]
fn the_core_produces_the_same_frames_when_the_room_is_evicted_before_each_line() {
    all()
        .iter()
        .for_each(|path| play(path, Sleep::BeforeEachLine));
}

#[test]
fn an_ellipsis_matches_any_run_without_a_quotation_mark() {
    assert!(matches(r#"{"a":"…","b":1}"#, r#"{"a":"x y","b":1}"#));
    assert!(matches(r#"{"a":"…"}"#, r#"{"a":""}"#));
    assert!(!matches(r#"{"a":"…"}"#, r#"{"a":"x","b":"y"}"#));
    assert!(!matches(r#"{"a":1}"#, r#"{"a":1} "#));
    assert!(!matches(r#"{"a":…}"#, r#"{"b":1}"#));
}
