//! Benchmarks of the core that count instructions instead of time. Each case handles one event,
//! decodes or encodes one frame, or routes one request.
//!
//! `tests/bench/core.mjs` runs this program under callgrind, which counts the instructions inside
//! [`measured`]. The program prints the name of each case before it runs the case.

use std::hint::black_box;

use partyline::core::event::{Effect, Event, Joining, Limits};
use partyline::core::member::{Attached, Member};
use partyline::core::notice::{Listed, Notice, RoutedSignal};
use partyline::core::peer::{Key, Lock, PeerId, Seat, Socket, Time};
use partyline::core::room::Room;
use partyline::core::topics::{self, Topics};
use partyline::dialect::Dialect;
use partyline::edge::route::{Request, route};
use partyline::record::attachment::Attachment;

const LIMITS: Limits = Limits {
    peers: 4096,
    viewers: 4096,
    grace: 15_000,
    hold: 120_000,
    hides_peers: false,
    group: 4,
    await_peer: 0,
};
const NOW: Time = Time(1_000_000);

fn main() {
    for peers in [2, 64, 2048] {
        let name = |what: &str| format!("room of {peers}: {what}");
        case(&name("restore"), || {
            let members: Vec<_> = (0..peers).map(attached).collect();
            move || Room::restore("demo", LIMITS, NOW, members, [])
        });
        case(&name("the last joins"), || {
            let room = room(peers - 1);
            let id = member(peers).id;
            move || {
                handle(
                    room,
                    Event::Join(Box::new(Joining {
                        socket: Socket(peers),
                        id,
                        key: None,
                        moves: None,
                        expired: None,
                        expires_at: None,
                        meta: None,
                        offer: None,
                    })),
                )
            }
        });
        case(&name("a signal to one"), || {
            let room = room(peers);
            let signal = Dialect::Native.decode(r#"{"type":"offer","to":"peer1","payload":{}}"#);
            move || {
                handle(
                    room,
                    Event::Frame {
                        socket: Socket(0),
                        signal,
                        bytes: 100,
                    },
                )
            }
        });
        case(&name("a signal to all"), || {
            let room = room(peers);
            let signal = Dialect::Native.decode(r#"{"type":"offer","payload":{}}"#);
            move || {
                handle(
                    room,
                    Event::Frame {
                        socket: Socket(0),
                        signal,
                        bytes: 100,
                    },
                )
            }
        });
        case(&name("the first leaves"), || {
            let room = room(peers);
            move || handle(room, Event::Closed(Socket(0)))
        });
        case(&name("the first is lost"), || {
            let room = room(peers);
            move || handle(room, Event::Lost(Socket(0)))
        });
    }
    let line = r"a=candidate:842163049 1 udp 1677729535 203.0.113.7 46154 typ host\r\n";
    let sdp = format!(r#"{{"type":"offer","sdp":"v=0\r\n{}"}}"#, line.repeat(21));
    let ice = r#"{"candidate":"candidate:1 1 udp 2 203.0.113.7 9 typ host","sdpMid":"0"}"#;
    let with_signals = Dialect::ALL.into_iter();
    for dialect in with_signals.filter(|dialect| !dialect.family().has_topics()) {
        for (signal_type, payload) in [("offer", sdp.as_str()), ("candidate", ice)] {
            let bytes = payload.len();
            let name = |what: &str| format!("{}: {what} a signal of {bytes} bytes", dialect.name());
            let frame = frame(dialect, signal_type, payload);
            case(&name("decode"), || || dialect.decode(&frame).unwrap());
            case(&name("encode"), || {
                let notice = Notice::Signal(RoutedSignal {
                    from: member(0).id,
                    to: Some(member(1).id),
                    signal_type: signal_type.into(),
                    payload: Some(payload.into()),
                });
                move || dialect.encode(&notice, None)
            });
        }
        case(
            &format!("{}: encode a welcome among 8", dialect.name()),
            || {
                let listed = |n| Listed {
                    id: member(n).id,
                    polite: true,
                    meta: None,
                };
                let notice = Notice::Welcome {
                    id: member(8).id,
                    room: "demo".into(),
                    peers: (0..8).map(listed).collect(),
                    offered: None,
                };
                move || dialect.encode(&notice, None)
            },
        );
    }
    count_topics();
    let member = Member {
        lock: Lock::Locked(Key::new("secret").unwrap()),
        ..member(7)
    };
    let attachment = Attachment {
        attached: Attached {
            member,
            notices: Vec::new(),
        },
        dialect: Dialect::Native,
    };
    let text = attachment.encode();
    case("attachment: encode", || || attachment.encode());
    case("attachment: decode", || {
        || Attachment::decode(&text).unwrap()
    });
    case("route: a join", || {
        let request = Request {
            method: "GET",
            path: "/parties/main/demo",
            query: "_pk=ann&key=secret",
            upgrade: Some("websocket"),
            ..Request::default()
        };
        move || route(&request).unwrap()
    });
}

/// Measures a frame that subscribes, and a frame with a signal, from decoding to the effects.
fn count_topics() {
    let payload = r#"{"candidate":"candidate:1 1 udp 2 203.0.113.7 9 typ host"}"#;
    let peer =
        |n| format!(r#""info_hash":"aaaaaaaaaaaaaaaaaaaa","peer_id":"bbbbbbbbbbbbbbbbbbb{n}""#);
    let event = r#""id":"3f","pubkey":"3f","created_at":1,"kind":20001,"content":"","sig":"3f""#;
    let dialects = [
        (
            Dialect::YWebrtc,
            r#"{"type":"subscribe","topics":["demo"]}"#.to_owned(),
            format!(r#"{{"type":"publish","topic":"demo","data":{payload}}}"#),
        ),
        (
            Dialect::Trystero,
            r#"{"type":"subscribe","topic":"demo"}"#.to_owned(),
            format!(r#"{{"type":"publish","topic":"demo","payload":{payload}}}"#),
        ),
        (
            Dialect::Nostr,
            r##"["REQ","demo",{"kinds":[20001],"since":0,"#x":["demo"]}]"##.to_owned(),
            format!(r#"["EVENT",{{{event},"tags":[["x","demo"]]}}]"#),
        ),
        (
            Dialect::Tracker,
            format!(r#"{{"action":"announce",{},"offers":[]}}"#, peer(1)),
            format!(
                r#"{{"action":"announce",{},"offer_id":"1","offers":[{{"offer":{payload},"offer_id":"1"}}]}}"#,
                peer(0)
            ),
        ),
    ];
    for (dialect, subscription, message) in &dialects {
        let name = |what: &str| format!("{}: {what}", dialect.name());
        case(&name("a subscription"), || {
            let mut topics = Topics::restore(LIMITS, NOW, []);
            join(&mut topics, 1);
            move || frame_of(topics, *dialect, 1, subscription)
        });
        case(&name("a message to one"), || {
            let mut topics = Topics::restore(LIMITS, NOW, []);
            join(&mut topics, 0);
            join(&mut topics, 1);
            let (topics, _) = frame_of(topics, *dialect, 1, subscription);
            move || frame_of(topics, *dialect, 0, message)
        });
    }
}

fn join(topics: &mut Topics, n: u64) {
    let event = topics::Event::Join {
        id: None,
        group: None,
        socket: Socket(n),
        expired: None,
        expires_at: None,
    };
    topics.handle(NOW, event, &mut Vec::new());
}

/// Decodes and handles a frame. Returns the topics with the effects, to exclude their drop.
fn frame_of(
    mut topics: Topics,
    dialect: Dialect,
    from: u64,
    frame: &str,
) -> (Topics, Vec<topics::Effect>) {
    let mut effects = Vec::new();
    let event = topics::Event::Frame {
        socket: Socket(from),
        call: dialect.decode_call(frame),
        bytes: frame.len(),
    };
    topics.handle(NOW, event, &mut effects);
    (topics, effects)
}

/// Prepares a case, then runs its measured part once.
fn case<F: FnOnce() -> T, T>(name: &str, prepare: impl FnOnce() -> F) {
    println!("{name}");
    let mut work = Some(prepare());
    let mut made = None;
    measured(&mut || made = work.take().map(|work| work()));
    // The result is dropped outside `measured`, because real callers process the result instead of
    // dropping it.
    black_box(made);
}

/// Runs the measured part of a case. Callgrind finds this function by its name.
#[inline(never)]
fn measured(work: &mut dyn FnMut()) {
    black_box(work)();
}

/// Handles an event. Returns the room with the effects, to exclude its drop from the measurement.
fn handle<'a>(mut room: Room, event: Event<'a>) -> (Room, Vec<Effect<'a>>) {
    let mut effects = Vec::new();
    room.handle(NOW, event, &mut effects);
    (room, effects)
}

fn room(peers: u64) -> Room {
    Room::restore("demo", LIMITS, NOW, (0..peers).map(attached), [])
}

fn member(n: u64) -> Member {
    let id = PeerId::parse(&format!("peer{n}")).unwrap();
    Member {
        socket: Socket(n),
        id,
        seat: Seat(n),
        lock: Lock::Open,
        stream: None,
        token_expires_at: None,
        media: None,
        meta: None,
    }
}

fn frame(dialect: Dialect, signal_type: &str, payload: &str) -> String {
    match dialect {
        Dialect::Native => {
            format!(r#"{{"type":"{signal_type}","to":"peer1","payload":{payload}}}"#)
        }
        Dialect::Forum => {
            let spelled = if signal_type == "candidate" {
                "icecandidate"
            } else {
                signal_type
            };
            format!(
                r#"{{"action":"forward-{spelled}","{signal_type}":{payload},"toPeerId":"peer1"}}"#
            )
        }
        Dialect::Http => {
            let spelled = if signal_type == "candidate" {
                "ice-candidate"
            } else {
                signal_type
            };
            format!(r#"{{"type":"{spelled}","payload":{payload},"target":"peer1"}}"#)
        }
        Dialect::SocketIo => {
            let spelled = match signal_type {
                "offer" => "offerSdp",
                "candidate" => "ice-candidate",
                other => other,
            };
            format!(r#"2["{spelled}",{payload},"peer1"]"#)
        }
        Dialect::PeerJs => {
            let spelled = signal_type.to_uppercase();
            format!(r#"{{"type":"{spelled}","payload":{payload},"dst":"peer1"}}"#)
        }
        Dialect::Lobby => format!(r#"{{"toId":"peer1","{signal_type}":{payload}}}"#),
        _ => unreachable!("the dialect has no signals"),
    }
}

fn attached(n: u64) -> Attached {
    Attached {
        member: member(n),
        notices: Vec::new(),
    }
}
