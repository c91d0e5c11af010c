//! The wire protocols of the servers. All protocols transport the same signals in different frames.

use serde::Deserialize;

use crate::websocket::WebSocket;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    /// partyline's native dialect, which the JavaScript servers also implement.
    Native,
    /// The native dialect without `welcome`, for the baseline `tests/bench/servers/floor.js`, which
    /// forwards frames unchanged.
    Floor,
    /// partyline's forum dialect.
    Forum,
    /// partyline's lobby dialect.
    Lobby,
    /// The protocol of PeerServer.
    Peer,
    /// The protocol of y-webrtc, which has topics instead of peers. Every subscriber receives every
    /// message, including its own.
    Topic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SignalType {
    /// The SDP offer of a data channel, about 1.5 KB as JSON.
    Offer,
    /// The SDP answer of a data channel, about 1.5 KB as JSON.
    Answer,
    /// An ICE candidate, about 200 bytes as JSON.
    Candidate,
}

impl SignalType {
    fn name(self) -> &'static str {
        match self {
            Self::Offer => "offer",
            Self::Answer => "answer",
            Self::Candidate => "candidate",
        }
    }

    /// Returns a payload that contains `mark`.
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

impl Protocol {
    /// Returns the path and query of the request to join.
    fn path(self, room: &str, id: &str) -> String {
        match self {
            Self::Native | Self::Floor => format!("/parties/main/{room}?_pk={id}"),
            Self::Forum => format!("/parties/main/{room}?_pk={id}&dialect=forum"),
            Self::Lobby => format!("/parties/main/{room}?_pk={id}&dialect=lobby"),
            Self::Peer => format!("/peerjs?key=peerjs&id={room}.{id}&token=t&version=1.5.5"),
            Self::Topic => "/".to_owned(),
        }
    }

    /// Starts a join, without waiting for the response.
    pub(crate) fn begin(self, port: u16, room: &str, id: &str) -> WebSocket {
        WebSocket::begin(port, &self.path(room, id))
    }

    /// Waits for the response, and reads all frames that a new peer receives in a room with
    /// `others` other peers.
    pub(crate) fn finish(self, socket: &mut WebSocket, room: &str, others: usize) {
        socket.finish();
        if self == Self::Topic {
            // The server does not reply to `subscribe`, but it replies to the `ping` that follows.
            socket.send(&format!(r#"{{"type":"subscribe","topics":["{room}"]}}"#));
            socket.send(r#"{"type":"ping"}"#);
        }
        let frames = match self {
            Self::Floor => 0,
            Self::Lobby => 1 + others,
            _ => 1,
        };
        socket.skip(frames);
    }

    /// Returns whether a peer receives a notice when another peer joins or leaves.
    pub(crate) fn sends_notices(self) -> bool {
        matches!(self, Self::Native | Self::Lobby)
    }

    /// Returns a frame with a signal that contains `mark`. The frame is a broadcast if `to` is
    /// `None`.
    pub(crate) fn signal(
        self,
        signal_type: SignalType,
        room: &str,
        to: Option<&str>,
        mark: &str,
    ) -> String {
        let (name, payload) = (signal_type.name(), signal_type.payload(mark));
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
                let action = if signal_type == SignalType::Candidate {
                    "icecandidate"
                } else {
                    name
                };
                let to = with("toPeerId", "");
                format!(r#"{{"action":"forward-{action}",{to}"{name}":{payload}}}"#)
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
