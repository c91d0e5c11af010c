//! Passes random and mutated text to every parser of untrusted input. No parser may panic, and
//! every refusal must have a code and a message.

use std::borrow::Cow;
use std::collections::BTreeMap;

use partyline::core::event::{Event, Row};
use partyline::core::live::{MediaCall, Outcome};
use partyline::core::peer::{PeerId, Socket, Time};
use partyline::core::refusal::Code;
use partyline::core::room::Room;
use partyline::core::topics::groups::Group;
use partyline::core::topics::{self, Call, Mark, Notice, Published, Topics};
use partyline::dialect::Dialect;
use partyline::edge::live::{LiveSettings, NewSession, RoomRequest, StopRequest};
use partyline::edge::media;
use partyline::edge::route::{Request, Route, read_offer, route};
use partyline::record::attachment::Attachment;
use partyline::record::listener::ListenerAttachment;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::Config;
use serde_json::value::RawValue;

use crate::rig::LIMITS;

const ANNOUNCED_OFFER: &str = r#"{"action":"announce","info_hash":"\u00e9hhhhhhhhhhhhhhhhhhh","peer_id":"aaaaaaaaaaaaaaaaaaaa","offers":[{"offer":{},"offer_id":"1"}],"left":0}"#;
const ANNOUNCED_ANSWER: &str = r#"{"action":"announce","info_hash":"éhhhhhhhhhhhhhhhhhhh","peer_id":"bbbbbbbbbbbbbbbbbbbb","answer":1,"to_peer_id":"aaaaaaaaaaaaaaaaaaaa","offer_id":"1"}"#;

/// Seeds for mutation: frames, most of them valid.
const FRAMES: [&str; 29] = [
    r#"{"type":"ice-candidate","payload":{"candidate":""},"target":"peer2"}"#,
    r#"{"type":"offer","to":"ann","payload":{"type":"offer","sdp":"v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\n"}}"#,
    r#"{"type":"candidate","to":"bob","payload":{"candidate":"candidate:1 1 udp 1 127.0.0.1 9 typ host"}}"#,
    r#"{"type":"x"}"#,
    r#"{"action":"forward-icecandidate","candidate":{"sdpMid":"0"},"toPeerId":"ann"}"#,
    r#"{"toId":"ann","fromId":"bob","offer":{"type":"offer","sdp":"v=0
"}}"#,
    r#"{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9}"#,
    r#" { "payload" : [ 1e400 , -0.0 , null , "\u00e9\ud83d\ude00" ] , "type" : "\u0061" } "#,
    r#"{"type":"welcome","to":"ann"}"#,
    r#"{"to":"ann","type":"x","payload":"}"}"#,
    r#" [ {"type":"candidate","to":"bob"} , {"type":"x","payload":[{}]} ] "#,
    r#"217["offerSdp",{"type":"offer","sdp":"v=0\r\n"},"ann"]"#,
    r#"{"type":"OFFER","dst":"a b","payload":{"sdp":{"type":"offer","sdp":"v=0\r\n"}}}"#,
    r#"{"type":"HEARTBEAT"}"#,
    r#"2["ice-candidate",null]"#,
    r#"51-7["x",{"_placeholder":true,"num":0}]"#,
    r#"{"type":"publish","topic":"d","data":{"type":"announce"},"clients":2}"#,
    r#"{"type":"subscribe","topics":["d","e\"",7]}"#,
    r#"{"type":"unsubscribe","topics":[]}"#,
    r#"{"type":"publish","topic":"\u0064","payload":{"offer":"3q2+7w=="}}"#,
    r##"["REQ","s",{"kinds":[20001,2],"#x":["a","\u0062"],"since":17,"#t":[]},{}]"##,
    r#"["EVENT",{"id":"1","kind":20001,"tags":[["x","a"],["x"],[]],"created_at":17}]"#,
    r#"["CLOSE","s"]"#,
    r#"{"Signal":{"receiver":"9f3c1b2a-0000-4000-8000-00000000000a","data":{"Offer":"v=0\r\n"}}}"#,
    r#"{"type":"join","room":"heroes"}"#,
    r#"{"type":"signal","room":"heroes","senderPeerId":"a","receiverPeerId":"b","data":{"candidate":"\""}}"#,
    ANNOUNCED_OFFER,
    ANNOUNCED_ANSWER,
    r#"{"action":"scrape","info_hash":["hhhhhhhhhhhhhhhhhhhh","bbbbbbbbbbbbbbbbbbbb"]}"#,
];

/// Seeds for mutation: paths and queries, most of them valid.
const PATHS: [&str; 17] = [
    "/register/demo/ann?key=secret",
    "/message/%C3%A4/a%3Ab",
    "/events/demo/ann?token=a.b.c",
    "/parties/main/demo",
    "/parties/main/%C3%A4%20%2F",
    "/health",
    "/create-session",
    "/live/stop?token=a.b.c",
    "/live/%C3%A4%20?token=a.b.c",
    "/parties/main/a?_pk=ann&key=secret&dialect=lobby&token=a.b.c",
    "/parties/main/a%20b/peerjs?key=peerjs&id=ann%20b&token=secret&version=1.5.5",
    "/parties/main/demo/k%2Fe/id?ts=1",
    "/parties/main/demo/matchbox?next=2&token=a.b.c",
    "/parties/main/a?_pk=%41+&key=%ff&x=%",
    "/parties/main/a?partyline, key.c2VjcmV0, token.a.b.c",
    "/parties/main/a?meta=eyJuYW1lIjoiQW5uIn0&_pk=ann",
    "/parties/main/a?partyline, offer.eyJzZHAiOiJ2PTAifQ",
];

/// Seeds for mutation: valid attachments.
const ATTACHMENTS: [&str; 6] = [
    "v2 7 3 native - bob\n",
    "v2 0 1 lobby ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad a\nt 1795251720000\n",
    "v2 7 3 peerjs ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad a~b\n",
    "v2 7 3 native - bob\nt 9\nm offered 0 s1 0 1\n",
    "v2 7 3 native - bob\nt 9\nmeta 7\n{\"a\":1}",
    "v2 7 3 http - bob\n9 5 4 8 1 -\nt 9\nj 5 ann 1 1\ns 9 ann * 5 7\noffer{\"a\":1}l 9 ann 2\nr 9 no-such-peer 2 -\nno",
];

/// Seeds for mutation: valid attachments of clients that use topics.
const LISTENERS: [&str; 7] = [
    "v2 7 - y-webrtc - -\n",
    "v2 7 - y-webrtc - -\nt 1795251720000\n3 fresh - 1\nd9 - 1 5\nxother",
    "v2 7 - y-webrtc - -\n3 - - 0\n9 - - 1\nd",
    "v2 7 - nostr - -\n3 filters 1 12\ns>17\n2\nxa\t\txa9 filters 1 1\nt!",
    "v2 7 - matchbox - 9f3c\n3 - - 3\n2 3",
    "v2 7 - rxdb - 9f3c\n3 - - 6\nheroes9 - - 1\nd",
    "v2 7 - tracker - -\n3 complete 2 1\npqd4 - 1 1\npd",
];

/// Seeds for mutation: the keys and values of valid rows.
const ROWS: [&str; 6] = [
    "absent bob=v2 9 8 7 3 native - bob\nt 9\nmeta 2\n{}",
    "held 1=v2 9 ann 1 2\nxab",
    "notices 9=v2 3 4\nj 5 ann 1 1\nl 9 ann 2\n",
    "left=v2 \n1 2 ann\n9 3 eve\n",
    "bans=v2 \n9 - ann\n2000000 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad bob\n",
    "live=v2 camera audio,video 9000000 live s1 video ?9 1\n",
];

/// Seeds for mutation: bodies of requests about live sessions.
const LIVE_BODIES: [&str; 3] = [
    r#"{"deviceId":"camera","sessionId":"a b/&=?#%\u00e9","notify":"https://push.example","tracks":["video"],"expiresIn":60}"#,
    r#"{"deviceId":"camera","tracks":["audio","video"]}"#,
    r#"{"sessionId":"demo","stopKey":"k"}"#,
];

/// Seeds for mutation: payloads of answers to the media server.
const ANSWERS: [&str; 3] = [
    r#"{"type":"answer","sdp":"v=0\r\na=inactive\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=sendonly\r\nm=video 0 x 96\r\n","session":"s1"}"#,
    r#""v=0\nm=video 9/2 x 96\na=inactive\n""#,
    r#"{"sdp":"v=0"}"#,
];

/// Seeds for mutation: replies of the media server.
const REPLIES: [&str; 5] = [
    r#"{"sessionId":"9f8e7d6c"}"#,
    r#"{"sessionDescription":{"type":"offer","sdp":"v=0\r\n"},"tracks":[{"mid":"0"},{"mid":"1"}]}"#,
    r#"{"tracks":[{"mid":"0","status":"active"},{"status":"inactive"}]}"#,
    r#"{"tracks":[{"errorCode":"empty_track_error","errorDescription":"x"}]}"#,
    r#"{"errorCode":"session_error","errorDescription":"the session has ended"}"#,
];

/// Generates one of the seeds with up to five edits. An edit truncates the text, copies its end to
/// the start, or inserts or overwrites bytes.
fn mutated(seeds: &'static [&'static str]) -> impl Strategy<Value = String> {
    let bytes = prop_oneof![
        3 => prop::sample::select(b"{}[]\",:\\ \n%/?&=+-.0123456789eEu".to_vec()),
        1 => any::<u8>(),
    ];
    let edit = (any::<prop::sample::Index>(), 0..4_u8, vec(bytes, 0..4));
    (prop::sample::select(seeds), vec(edit, 0..6)).prop_map(|(seed, edits)| {
        let mut text = seed.as_bytes().to_vec();
        for (index, edit, bytes) in edits {
            let at = index.index(text.len() + 1);
            match edit {
                0 => text.truncate(at),
                1 => drop(text.splice(at..at, bytes)),
                2 => {
                    text = text
                        .iter()
                        .skip(at)
                        .chain(&bytes)
                        .chain(&text)
                        .copied()
                        .collect()
                }
                _ => drop(text.splice(at..text.len().min(at + bytes.len()), bytes)),
            }
        }
        String::from_utf8_lossy(&text).into_owned()
    })
}

fn config(cases: u32) -> Config {
    Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    }
}

fn decodes_or_refuses(frame: &str) {
    let dialects = Dialect::ALL.into_iter();
    for (dialect, text) in dialects.flat_map(|dialect| {
        let signals = dialect.split_batch(frame).into_iter();
        signals.map(move |signal| (dialect, signal))
    }) {
        match dialect.decode(text) {
            Ok(signal) => {
                assert!((1..=64).contains(&signal.signal_type.len()));
                if let Some(payload) = signal.payload {
                    assert!(
                        text.contains(&*payload),
                        "the payload is a part of the frame"
                    );
                    serde_json::from_str::<&serde_json::value::RawValue>(&payload).unwrap();
                }
            }
            Err(refusal) => {
                assert_eq!(refusal.code, Code::Malformed);
                assert!(!refusal.message.is_empty());
            }
        }
    }
}

/// What a client publishes must reach the subscribers as JSON.
fn calls_or_refuses(frame: &str) {
    let dialect = Dialect::YWebrtc;
    match dialect.decode_call(frame) {
        Ok(Call::Publish { body, .. }) => {
            let notice = Notice::Post {
                body: body.into(),
                label: "".into(),
                subscribers: 2,
            };
            for frame in dialect.encode_topic_notice(&notice) {
                let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&frame).unwrap();
                assert_eq!(fields["clients"].get(), "2");
                assert_eq!(
                    serde_json::from_str(fields["type"].get()).ok(),
                    Some("publish")
                );
            }
        }
        Ok(_) => {}
        Err(refusal) => assert_eq!(refusal.code, Code::Malformed),
    }
}

/// What a client sends to a member of its group must reach it as JSON.
fn signals_or_refuses(frame: &str) {
    for dialect in [Dialect::Matchbox, Dialect::RxDb] {
        match dialect.decode_call(frame) {
            Ok(Call::Signal { body, .. }) => {
                let from = PeerId::random(7);
                let body = body.into();
                for frame in dialect.encode_topic_notice(&Notice::Signal { from, body }) {
                    let fields: BTreeMap<String, Box<RawValue>> =
                        serde_json::from_str(&frame).unwrap();
                    assert!(fields.contains_key("Signal") || fields.contains_key("type"));
                }
            }
            Ok(call) => assert!(matches!(call, Call::Nothing | Call::Enter(_))),
            Err(refusal) => assert_eq!(refusal.code, Code::Malformed),
        }
    }
}

/// Each frame to a client of a tracker must be JSON with an action, because the client fails otherwise.
fn announces_or_refuses(frame: &str) {
    let (sender, other) = (Socket(1), Socket(2));
    let mut topics = Topics::restore(LIMITS, Time(1_000_000), []);
    let mut effects = Vec::new();
    for socket in [sender, other] {
        let join = topics::Event::Join {
            socket,
            id: None,
            group: None,
            expired: None,
            expires_at: None,
        };
        topics.handle(Time(1_000_000), join, &mut effects);
    }
    for (socket, frame) in [
        (other, ANNOUNCED_OFFER),
        (sender, frame),
        (other, ANNOUNCED_ANSWER),
    ] {
        let call = Dialect::Tracker.decode_call(frame);
        let bytes = frame.len();
        let event = topics::Event::Frame {
            socket,
            call,
            bytes,
        };
        topics.handle(Time(1_000_000), event, &mut effects);
    }
    for effect in effects {
        if let topics::Effect::Send(_, notice) = effect {
            for frame in Dialect::Tracker.encode_topic_notice(&notice) {
                let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&frame).unwrap();
                assert!(matches!(
                    fields["action"].get(),
                    "\"announce\"" | "\"scrape\""
                ));
            }
        }
    }
}

fn routes_or_refuses(text: &str, method: &str, upgrade: Option<&str>) {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let accept = Some("text/html").filter(|_| text.len().is_multiple_of(2));
    match route(&Request {
        method,
        path,
        query,
        upgrade,
        accept,
        last_event_id: Some(query),
        protocols: Some(query),
    }) {
        Err(error) => {
            assert!(
                [400, 401, 404, 405, 426].contains(&error.status),
                "{error:?}"
            );
            assert!(serde_json::from_str::<serde_json::Value>(&error.body()).is_ok());
        }
        Ok(Route::Join(join)) => {
            let is_json = |text: &str| serde_json::from_str::<&RawValue>(text).is_ok();
            let meta = join.meta.unwrap_or_default();
            assert!(meta.is_empty() || (meta.len() <= 1_024 && is_json(&meta)));
            let offer = join.offer.and_then(|encoded| read_offer(&encoded));
            assert!(offer.is_none_or(|offer| offer.len() <= 4_096 && is_json(&offer)));
        }
        Ok(_) => {}
    }
}

/// A session must reach the room unchanged.
fn reads_or_refuses(body: &str) {
    match NewSession::read(body, Time(1_000_000), 7) {
        Ok(session) => {
            let live = LiveSettings::default();
            let answer = session.answer(&live, Some("secret"), false);
            serde_json::from_str::<serde_json::Value>(&answer).unwrap();
            let request = RoomRequest::Create(session);
            assert_eq!(RoomRequest::read(&request.url()), Some(request));
        }
        Err(error) => assert_eq!(error.status, 400, "{error:?}"),
    }
    if let Err(error) = StopRequest::read(body) {
        assert_eq!(error.status, 400, "{error:?}");
    }
}

/// The body of the request must be JSON whose SDP is the SDP of the answer.
fn passes_on_or_refuses(payload: String) {
    let session = "s1".into();
    match media::request(&MediaCall::Answer { session, payload }) {
        Ok(request) => {
            let body: serde_json::Value = serde_json::from_str(&request.body.unwrap()).unwrap();
            let sdp = body["sessionDescription"]["sdp"].as_str().unwrap();
            assert!(sdp.starts_with("v=0"));
            let text = request.expected.to_string();
            assert_eq!(media::Expected::parse(&text), Some(request.expected));
        }
        Err(Outcome::Invalid(message)) => assert!((1..1_000).contains(&message.len())),
        Err(other) => panic!("{other:?}"),
    }
}

/// A session id or a `mid` is stored as one field of a record.
fn is_storable(id: &str) {
    assert!(!id.is_empty() && id != "-" && !id.contains(char::is_whitespace));
}

#[test]
fn the_seeds_of_stored_text_are_valid() {
    for text in ATTACHMENTS {
        assert!(Attachment::decode(text).is_some(), "{text:?}");
    }
    for text in LISTENERS {
        assert!(ListenerAttachment::decode(text).is_some(), "{text:?}");
    }
    for text in ROWS {
        let (key, value) = text.split_once('=').unwrap();
        assert!(Row::decode(key, value).is_some(), "{text:?}");
    }
}

proptest! {
    #![proptest_config(config(200_000))]

    #[test]
    fn a_mutated_frame_is_decoded_or_refused(text in mutated(&FRAMES)) {
        decodes_or_refuses(&text);
        calls_or_refuses(&text);
        signals_or_refuses(&text);
        announces_or_refuses(&text);
    }

    #[test]
    fn a_mutated_body_about_a_live_session_is_read_or_refused(body in mutated(&LIVE_BODIES)) {
        reads_or_refuses(&body);
    }

    #[test]
    fn a_mutated_answer_is_passed_on_or_refused(payload in mutated(&ANSWERS)) {
        passes_on_or_refuses(payload);
    }

    #[test]
    fn a_mutated_reply_of_the_media_server_has_an_outcome(
        body in mutated(&REPLIES),
        expected in prop::sample::select(vec!["session", "offer s1", "acceptance audio video", "end", "status"]),
        status in prop::sample::select(vec![200, 201, 204, 302, 400, 404, 406, 410, 425, 500]),
    ) {
        let expected = media::Expected::parse(expected).unwrap();
        match expected.outcome(status, &body) {
            Outcome::Opened(session) => is_storable(&session),
            Outcome::Offered { payload, mids } => {
                serde_json::from_str::<serde_json::Value>(&payload).unwrap();
                mids.iter().for_each(|mid| is_storable(mid));
            }
            Outcome::Invalid(message) | Outcome::Unavailable(message) => {
                prop_assert!(message.len() < 1_000);
            }
            _ => {}
        }
    }

    #[test]
    fn a_mutated_request_is_routed_or_refused(
        text in mutated(&PATHS),
        method in prop::sample::select(vec!["GET", "HEAD", "OPTIONS", "POST"]),
        upgrade in prop::sample::select(vec![None, Some("websocket"), Some("h2c")]),
    ) {
        routes_or_refuses(&text, method, upgrade);
    }
}

proptest! {
    #![proptest_config(config(100_000))]

    #[test]
    fn any_text_is_decoded_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        let text = String::from_utf8_lossy(&bytes);
        decodes_or_refuses(&text);
        calls_or_refuses(&text);
        signals_or_refuses(&text);
        announces_or_refuses(&text);
        let _ = ListenerAttachment::decode(&text);
        routes_or_refuses(&text, "GET", Some("websocket"));
        routes_or_refuses(&format!("/parties/main/{text}"), "GET", None);
        let _ = Attachment::decode(&text);
        passes_on_or_refuses(text.clone().into_owned());
        reads_or_refuses(&text);
        let _ = RoomRequest::read(&format!("https://room/internal/live/create?{text}"));
        let _ = media::Expected::parse(&text);
    }

    #[test]
    fn a_mutated_attachment_is_read_or_invalid(text in mutated(&ATTACHMENTS)) {
        if let Some(attachment) = Attachment::decode(&text) {
            let reread = Attachment::decode(&attachment.encode());
            prop_assert_eq!(reread, Some(attachment));
        }
    }

    #[test]
    fn a_mutated_listener_is_read_or_invalid_and_harms_no_topics(text in mutated(&LISTENERS)) {
        let Some(attachment) = ListenerAttachment::decode(&text) else {
            return Ok(());
        };
        let reread = ListenerAttachment::decode(&attachment.encode());
        prop_assert_eq!(reread.as_ref(), Some(&attachment));
        let socket = attachment.listener.socket;
        let listeners = [attachment.listener.clone(), attachment.listener];
        let mut topics = Topics::restore(LIMITS, Time(1_000_000), listeners);
        let call = |call| topics::Event::Frame { socket, call: Ok(call), bytes: 1 };
        let names = || -> Vec<Cow<'_, str>> { vec!["d".into(), "other".into()] };
        let publish = Call::Publish { topic: "d".into(), body: "{}".to_owned() };
        let event = Published { lines: names().into_iter().map(Cow::into_owned).collect(), created_at: 17, body: "{}".into() };
        let announce = |peer: &'static str, is_complete, stops| {
            let (swarm, peer) = ("d".into(), peer.into());
            let offers = vec![topics::Offer::default()];
            Call::Announce(topics::Announce { swarm, peer, is_complete, stops, offers, ..Default::default() })
        };
        for event in [
            call(publish),
            call(Call::PublishEvent { id: "1".to_owned(), event }),
            call(Call::Filter { label: "s".into(), filters: Ok("x\nd\t".to_owned()) }),
            call(Call::Unfilter("t".into())),
            call(announce("p", true, false)),
            call(announce("pq", false, true)),
            call(announce("p", false, true)),
            call(Call::Scrape(names())),
            call(Call::Subscribe(names(), Mark::Fresh)),
            call(Call::Unsubscribe(names())),
            call(Call::Enter("d".into())),
            call(Call::Signal {
                group: None,
                stated_sender: None,
                to: "9f3c".into(),
                body: "1".to_owned(),
            }),
            topics::Event::Join {
                socket: Socket(u64::MAX),
                id: Some(PeerId::random(7)),
                group: Some(Group::OfSize(2)),
                expired: None,
                expires_at: None,
            },
            topics::Event::Tick,
            topics::Event::Ended(socket),
        ] {
            topics.handle(Time(1_000_000), event, &mut Vec::new());
        }
    }

    #[test]
    fn a_mutated_row_is_read_or_invalid_and_harms_no_room(text in mutated(&ROWS)) {
        let Some((key, value)) = text.split_once('=') else {
            return Ok(());
        };
        let Some(row) = Row::decode(key, value) else {
            return Ok(());
        };
        let reread = Row::decode(&row.key().encode(), &row.encode());
        prop_assert_eq!(reread.as_ref(), Some(&row));
        let mut room = Room::restore("demo", LIMITS, Time(1_000_000), [], [row]);
        for event in [Event::Wake, Event::Tick, Event::Closed(Socket(7))] {
            room.handle(Time(1_000_000), event, &mut Vec::new());
        }
    }
}
