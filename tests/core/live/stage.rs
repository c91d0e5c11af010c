//! A live session in the Rig, with a media server whose responses the tests write.

use partyline::core::live::{LiveRequest, LiveStatus, MediaCall, Outcome, Tracks};
use partyline::core::peer::Socket;

use crate::rig::{Heard, LIMITS, Rig, id};

pub(crate) const HOUR: u64 = 3_600_000;
pub(crate) const VIDEO: Tracks = Tracks {
    audio: false,
    video: true,
};

pub(crate) fn create(rig: &mut Rig) -> LiveStatus {
    let expires_at = rig.now.plus(HOUR);
    let status = rig.live(LiveRequest::Create {
        device: id("camera"),
        tracks: Tracks::ALL,
        expires_at,
    });
    status.unwrap()
}

pub(crate) fn live_rig() -> Rig {
    let mut rig = Rig::new(LIMITS);
    assert!(create(&mut rig).is_new);
    rig
}

pub(crate) fn only_call(rig: &Rig) -> (u64, MediaCall) {
    let calls = rig.calls();
    assert_eq!(calls.len(), 1, "{calls:?}");
    calls.into_iter().next().unwrap()
}

/// Answers calls as a media server that works, until no call is in progress. The name of a session is
/// the number of its call.
pub(crate) fn serve(rig: &mut Rig) {
    while let Some((call, request)) = rig.calls().into_iter().next() {
        serve_call(rig, call, &request);
    }
}

pub(crate) fn serve_call(rig: &mut Rig, call: u64, request: &MediaCall) {
    let outcome = match request {
        MediaCall::Open => Outcome::Opened(format!("s{call}").into()),
        MediaCall::Publish { session, tracks }
        | MediaCall::Pull {
            session, tracks, ..
        } => {
            let mids = tracks.kinds().enumerate();
            Outcome::Offered {
                payload: format!(r#"{{"type":"offer","sdp":"{session}","session":"{session}"}}"#),
                mids: mids.map(|(n, _)| n.to_string().into()).collect(),
            }
        }
        MediaCall::Answer { .. } => Outcome::Answered {
            accepted: VIDEO,
            rejected: Tracks::default(),
        },
        MediaCall::Close { .. } => Outcome::Closed,
        MediaCall::Check { .. } => Outcome::Seen { is_active: true },
    };
    rig.end_call(call, outcome);
}

pub(crate) const ANSWER: &str =
    r#"{"type":"answer","to":"~live","payload":{"type":"answer","sdp":"x"}}"#;

/// Returns the types of the frames that a native client received, with their sender, state or id.
pub(crate) fn heard(rig: &mut Rig, socket: Socket) -> Vec<String> {
    let heard = rig.heard(socket).into_iter();
    let names = heard.map(|heard| match heard {
        Heard::Closed(close) => format!("closed {}", close.code()),
        Heard::Frame(text) => {
            let frame: serde_json::Value = serde_json::from_str(&text).unwrap();
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            let details = match frame["type"].as_str().unwrap() {
                "welcome" => {
                    let peers = frame["peers"].as_array().unwrap();
                    let peers: Vec<_> = peers.iter().map(|peer| text(&peer["id"])).collect();
                    peers.join(",")
                }
                "live" => text(&frame["payload"]["state"]),
                "error" => text(&frame["code"]),
                _ => [text(&frame["id"]), text(&frame["from"])].concat(),
            };
            format!("{} {details}", text(&frame["type"]))
        }
    });
    names.collect()
}

/// Lets the device join, and answer its offer.
pub(crate) fn device_goes_live(rig: &mut Rig) -> Socket {
    let device = rig.join("camera", Some("k"));
    serve(rig);
    rig.send(device, ANSWER);
    serve(rig);
    device
}

/// Lets a viewer join, and answer its offer.
pub(crate) fn watch(rig: &mut Rig, name: &str) -> Socket {
    let viewer = rig.join(name, Some(name));
    serve(rig);
    rig.send(viewer, ANSWER);
    serve(rig);
    rig.heard(viewer);
    viewer
}

pub(crate) fn state(rig: &mut Rig) -> &'static str {
    rig.live(LiveRequest::Status).unwrap().state
}
