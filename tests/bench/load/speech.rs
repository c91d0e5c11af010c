//! How each server is spoken to. The load is the same for all: only the words differ.

use serde::Deserialize;

use crate::line::Line;

/// The protocol of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Speech {
    /// partyline's own, which the JavaScript objects that do the same speak, too.
    Native,
    /// The same frames to an object that only passes them on: it greets nobody.
    Floor,
    /// partyline's forum dialect.
    Forum,
    /// partyline's lobby dialect.
    Lobby,
    /// PeerServer's.
    Peer,
    /// y-webrtc's: topics instead of peers. All who subscribed get all, the sender, too.
    Topic,
}

/// What is sent from one peer to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// An SDP of a data channel, about 1.5 KB as JSON.
    Offer,
    /// The same size.
    Answer,
    /// About 200 bytes.
    Candidate,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Offer => "offer",
            Self::Answer => "answer",
            Self::Candidate => "candidate",
        }
    }

    /// A payload that `mark` is found in again.
    fn payload(self, mark: &str) -> String {
        match self {
            Self::Offer | Self::Answer => {
                let name = self.name();
                let lines =
                    "a=candidate:842163049 1 udp 1677729535 203.0.113.7 46154 typ srflx raddr \
                             10.0.0.5 rport 46154 generation 0 network-cost 999\\r\\n"
                        .repeat(8);
                format!(
                    "{{\"type\":\"{name}\",\"sdp\":\"v=0\\r\\no=- 4611731400430051336 2 IN IP4 \
                     127.0.0.1\\r\\ns=-\\r\\nt=0 0\\r\\na=group:BUNDLE 0\\r\\na=msid-semantic: WMS\\r\\n\
                     m=application 9 UDP/DTLS/SCTP webrtc-datachannel\\r\\nc=IN IP4 0.0.0.0\\r\\n{lines}\
                     a=ice-ufrag:EEtu\\r\\na=ice-pwd:Tqv1S3fKDRO2fVdTQOqTfTTd\\r\\na=setup:actpass\\r\\n\
                     a=mid:0\\r\\na=sctp-port:5000\\r\\na=max-message-size:262144\\r\\n\",\"n\":\"{mark}\"}}"
                )
            }
            Self::Candidate => format!(
                "{{\"candidate\":\"candidate:842163049 1 udp 1677729535 203.0.113.7 46154 typ srflx \
                 raddr 10.0.0.5 rport 46154 generation 0 ufrag EEtu\",\"sdpMid\":\"0\",\
                 \"sdpMLineIndex\":0,\"n\":\"{mark}\"}}"
            ),
        }
    }
}

impl Speech {
    /// The path of a join.
    fn path(self, room: &str, id: &str) -> String {
        match self {
            Self::Native | Self::Floor => format!("/parties/main/{room}?_pk={id}"),
            Self::Forum => format!("/parties/main/{room}?_pk={id}&dialect=forum"),
            Self::Lobby => format!("/parties/main/{room}?_pk={id}&dialect=lobby"),
            Self::Peer => format!("/peerjs?key=peerjs&id={room}.{id}&token=t&version=1.5.5"),
            Self::Topic => "/".to_owned(),
        }
    }

    /// Asks to join, and does not wait for the answer.
    pub(crate) fn begin(self, port: u16, room: &str, id: &str) -> Line {
        Line::begin(port, &self.path(room, id))
    }

    /// Waits for the answer, and for all that a newcomer is told where `others` are.
    pub(crate) fn finish(self, line: &mut Line, room: &str, others: usize) {
        line.finish();
        if self == Self::Topic {
            // A subscription is not answered; what comes after it is.
            line.send(&format!(r#"{{"type":"subscribe","topics":["{room}"]}}"#));
            line.send(r#"{"type":"ping"}"#);
        }
        let told = match self {
            Self::Floor => 0,
            Self::Lobby => 1 + others,
            _ => 1,
        };
        line.skip(told);
    }

    /// Whether those who are there are told who comes and who goes.
    pub(crate) fn tells(self) -> bool {
        matches!(self, Self::Native | Self::Lobby)
    }

    /// A frame to `to`, or to all others. It arrives with `mark` in it.
    pub(crate) fn signal(self, kind: Kind, room: &str, to: Option<&str>, mark: &str) -> String {
        let (name, payload) = (kind.name(), kind.payload(mark));
        let with = |key: &str, prefix: &str| match to {
            Some(to) => format!(r#""{key}":"{prefix}{to}","#),
            None => String::new(),
        };
        match self {
            Self::Native | Self::Floor => {
                format!(
                    r#"{{"type":"{name}",{}"payload":{payload}}}"#,
                    with("to", "")
                )
            }
            Self::Forum => {
                let spelled = if kind == Kind::Candidate {
                    "icecandidate"
                } else {
                    name
                };
                let to = with("toPeerId", "");
                format!(r#"{{"action":"forward-{spelled}",{to}"{name}":{payload}}}"#)
            }
            Self::Lobby => format!(r#"{{{}"{name}":{payload}}}"#, with("toId", "")),
            Self::Peer => {
                let (name, to) = (name.to_uppercase(), with("dst", &format!("{room}.")));
                format!(r#"{{"type":"{name}",{to}"payload":{payload}}}"#)
            }
            Self::Topic => {
                format!(
                    r#"{{"type":"publish","topic":"{room}",{}"data":{payload}}}"#,
                    with("to", "")
                )
            }
        }
    }
}
