//! An engine and its clients in one process, with a network and a clock of their own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use partyline_media::api::ErrorCode;
use partyline_media::calls::Call;
use partyline_media::engine::{Engine, Limits};
use partyline_media::session::SessionId;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::crypto::from_feature_flags;
use str0m::media::{Direction, KeyframeRequest, MediaData, MediaKind, MediaTime, Mid, Rid};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcConfig};

/// The address at which the clients reach the engine.
pub const SERVER: &str = "192.0.2.1:3478";

pub const SECOND: Duration = Duration::from_secs(1);

/// The time that a datagram takes.
const DELAY: Duration = Duration::from_millis(10);

type Filter = Box<dyn FnMut(&Datagram) -> bool>;

/// A datagram on the network.
pub struct Datagram {
    at: Instant,
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub contents: Vec<u8>,
}

impl Datagram {
    /// Whether this is a packet of audio or video: version 2, and no RTCP (RFC 5761, section 4).
    pub fn is_media(&self) -> bool {
        self.contents[0] >> 6 == 2 && !(64..96).contains(&(self.contents[1] & 0x7f))
    }

    /// The synchronization source of a packet of media.
    pub fn ssrc(&self) -> [u8; 4] {
        self.contents[8..12].try_into().unwrap()
    }
}

pub struct World {
    pub engine: Engine,
    pub clients: Vec<Client>,
    pub now: Instant,
    /// Decides which datagrams get lost.
    pub lose: Filter,
    network: Vec<Datagram>,
}

/// An endpoint: a device, a viewer, or both.
pub struct Client {
    pub rtc: Rtc,
    pub session: SessionId,
    pub address: SocketAddr,
    pub frames: Vec<MediaData>,
    pub key_frame_requests: Vec<(Instant, KeyframeRequest)>,
    pub connected: bool,
    pub closed: bool,
    born: Instant,
    deadline: Instant,
    outgoing: Vec<Datagram>,
}

impl World {
    pub fn new() -> Self {
        Self::with(Limits::default())
    }

    pub fn with(limits: Limits) -> Self {
        Self {
            engine: Engine::new(SERVER.parse().unwrap(), limits),
            clients: Vec::new(),
            now: Instant::now(),
            lose: Box::new(|_| false),
            network: Vec::new(),
        }
    }

    /// Performs a call, and expects an answer without waiting.
    pub fn call(&mut self, call: Call) -> Result<Value, ErrorCode> {
        let answer = self.engine.call(&call, true, self.now).expect("an answer");
        answer
            .map(|(_, body)| body)
            .map_err(|error| error.error_code)
    }

    pub fn open(&mut self) -> SessionId {
        let body = self.call(Call::Open).unwrap();
        SessionId::parse(body["sessionId"].as_str().unwrap()).unwrap()
    }

    /// Creates a session and its client. Returns the index of the client.
    pub fn client(&mut self, configure: impl FnOnce(RtcConfig) -> RtcConfig) -> usize {
        let crypto = Arc::new(from_feature_flags());
        let mut rtc = configure(RtcConfig::new().set_crypto_provider(crypto)).build(self.now);
        let index = self.clients.len();
        let address = SocketAddr::from(([198, 51, 100, index as u8 + 1], 50_000));
        rtc.add_local_candidate(Candidate::host(address, "udp").unwrap());
        let session = self.open();
        self.clients.push(Client {
            rtc,
            session,
            address,
            frames: Vec::new(),
            key_frame_requests: Vec::new(),
            connected: false,
            closed: false,
            born: self.now,
            deadline: self.now,
            outgoing: Vec::new(),
        });
        index
    }

    /// Calls `tracks/new`, and answers the server's offer. Returns both replies.
    pub fn exchange(&mut self, client: usize, tracks: Value) -> (Value, Result<Value, ErrorCode>) {
        let (reply, answer) = self.answer(client, tracks);
        let accepted = self.renegotiate(client, &answer);
        (reply, accepted)
    }

    /// Calls `tracks/new`. Returns the reply, and the client's answer to the server's offer.
    pub fn answer(&mut self, client: usize, tracks: Value) -> (Value, String) {
        let session = self.clients[client].session;
        let reply = self.call(new_tracks(session, tracks)).unwrap();
        let sdp = reply["sessionDescription"]["sdp"]
            .as_str()
            .unwrap_or_else(|| panic!("{reply}"));
        let offer = SdpOffer::from_sdp_string(sdp).unwrap();
        let answer = self.clients[client].rtc.sdp_api().accept_offer(offer);
        let answer = without_candidates(&answer.unwrap().to_sdp_string());
        self.drain(client);
        (reply, answer)
    }

    pub fn renegotiate(&mut self, client: usize, sdp: &str) -> Result<Value, ErrorCode> {
        let session = self.clients[client].session;
        let body = json!({ "sessionDescription": { "type": "answer", "sdp": sdp } });
        self.call(Call::Renegotiate(session, parse(body)))
    }

    /// Creates an offer of the client.
    pub fn offer(
        &mut self,
        client: usize,
        media: &[(MediaKind, Direction)],
    ) -> (String, SdpPendingOffer, Vec<Mid>) {
        let mut change = self.clients[client].rtc.sdp_api();
        let mids = media
            .iter()
            .map(|(kind, direction)| change.add_media(*kind, *direction, None, None, None));
        let mids = mids.collect();
        let (offer, pending) = change.apply().unwrap();
        (without_candidates(&offer.to_sdp_string()), pending, mids)
    }

    /// Accepts the server's answer to an offer of the client.
    pub fn accept(&mut self, client: usize, pending: SdpPendingOffer, reply: &Value) {
        let sdp = reply["sessionDescription"]["sdp"]
            .as_str()
            .unwrap_or_else(|| panic!("{reply}"));
        let answer = SdpAnswer::from_sdp_string(sdp).unwrap();
        self.clients[client]
            .rtc
            .sdp_api()
            .accept_answer(pending, answer)
            .unwrap();
        self.drain(client);
    }

    /// Creates a device that publishes `video` by the server's offer, and connects it.
    pub fn device(&mut self) -> (usize, Mid) {
        self.device_with(|config| config)
    }

    pub fn device_with(&mut self, configure: impl FnOnce(RtcConfig) -> RtcConfig) -> (usize, Mid) {
        let device = self.client(configure);
        let tracks = json!([{ "location": "local", "trackName": "video", "kind": "video" }]);
        let (reply, accepted) = self.exchange(device, tracks);
        assert_eq!(accepted, Ok(json!({})));
        let mid = Mid::from(reply["tracks"][0]["mid"].as_str().unwrap());
        self.run(Duration::from_secs(1));
        assert!(self.clients[device].connected);
        (device, mid)
    }

    /// Creates a viewer of the track `video` by the server's offer, and connects it.
    pub fn viewer(&mut self, device: usize) -> (usize, Mid) {
        let viewer = self.client(|config| config);
        let tracks = self.remote(device);
        let (reply, accepted) = self.exchange(viewer, tracks);
        assert_eq!(accepted, Ok(json!({})));
        self.run(Duration::from_secs(1));
        assert!(self.clients[viewer].connected);
        (
            viewer,
            Mid::from(reply["tracks"][0]["mid"].as_str().unwrap()),
        )
    }

    /// The track `video` of a device, as a request names it.
    pub fn remote(&self, device: usize) -> Value {
        let session = self.clients[device].session.to_string();
        json!([{ "location": "remote", "sessionId": session, "trackName": "video" }])
    }

    /// Lets a device send video for some time, 25 frames a second. The first frame is a key frame.
    /// Returns the number of frames.
    pub fn send(&mut self, device: usize, mid: Mid, time: Duration) -> usize {
        self.send_layer(device, mid, None, time)
    }

    pub fn send_layer(
        &mut self,
        device: usize,
        mid: Mid,
        rid: Option<Rid>,
        time: Duration,
    ) -> usize {
        let count = time.as_millis() as usize / 40;
        for index in 0..count {
            self.frame(device, mid, rid, index == 0);
            self.run(Duration::from_millis(40));
        }
        count
    }

    /// Lets a device send one frame of VP8 or, if that is all it has, H.264.
    pub fn frame(&mut self, device: usize, mid: Mid, rid: Option<Rid>, key: bool) {
        let now = self.now;
        let client = &mut self.clients[device];
        let born = client.born;
        let writer = client.rtc.writer(mid).expect("the media is negotiated");
        let params = *writer
            .payload_params()
            .find(|params| params.spec().codec.is_video())
            .unwrap();
        let data = match params.spec().codec {
            // The lowest bit is clear in a key frame (RFC 6386, section 9.1).
            str0m::format::Codec::Vp8 => {
                let size = if rid == Some(Rid::from("h")) {
                    2000
                } else {
                    3000
                };
                let mut data = vec![0xaa; size];
                data[0] = u8::from(!key);
                data
            }
            // A NAL unit: an instantaneous decoding refresh, or another slice.
            _ => [
                vec![0, 0, 0, 1, if key { 0x65 } else { 0x41 }],
                vec![0xaa; 3000],
            ]
            .concat(),
        };
        let writer = match rid {
            Some(rid) => writer.rid(rid),
            None => writer,
        };
        let time = MediaTime::from_90khz(now.duration_since(born).as_millis() as u64 * 90);
        writer.write(params.pt(), now, time, data).unwrap();
        self.drain(device);
    }

    /// Lets time pass.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.collect();
            let datagrams = self.network.iter().map(|datagram| datagram.at);
            let clients = self.clients.iter().filter(|client| client.rtc.is_alive());
            let events = datagrams
                .chain(clients.map(|client| client.deadline))
                .chain(self.engine.deadline());
            let Some(next) = events.min().filter(|next| *next <= end) else {
                self.now = end;
                return;
            };
            self.now = next.max(self.now);
            self.deliver();
            for index in 0..self.clients.len() {
                if self.clients[index].deadline <= self.now {
                    let now = self.now;
                    let _ = self.clients[index].rtc.handle_input(Input::Timeout(now));
                    self.drain(index);
                }
            }
            self.engine.tick(self.now);
        }
    }

    /// Moves what the engine and the clients want to send to the network.
    fn collect(&mut self) {
        let at = self.now + DELAY;
        let mut new = Vec::new();
        for transmit in self.engine.take_transmits() {
            let (from, to) = (SERVER.parse().unwrap(), transmit.destination);
            new.push(Datagram {
                at,
                from,
                to,
                contents: transmit.contents.to_vec(),
            });
        }
        for client in &mut self.clients {
            new.append(&mut client.outgoing);
        }
        new.retain(|datagram| !(self.lose)(datagram));
        self.network.append(&mut new);
    }

    fn deliver(&mut self) {
        let now = self.now;
        let (due, later) = std::mem::take(&mut self.network)
            .into_iter()
            .partition::<Vec<_>, _>(|datagram| datagram.at <= now);
        self.network = later;
        for Datagram {
            from, to, contents, ..
        } in due
        {
            if to == SERVER.parse().unwrap() {
                self.engine.receive(from, &contents, now);
            } else if let Some(index) = self.clients.iter().position(|client| client.address == to)
                && let Ok(receive) = Receive::new(Protocol::Udp, from, to, &contents)
            {
                let _ = self.clients[index]
                    .rtc
                    .handle_input(Input::Receive(now, receive));
                self.drain(index);
            }
        }
    }

    fn drain(&mut self, index: usize) {
        let now = self.now;
        let client = &mut self.clients[index];
        // A new connection only begins with its first timeout.
        let _ = client.rtc.handle_input(Input::Timeout(now));
        loop {
            match client.rtc.poll_output().unwrap() {
                Output::Timeout(at) if at <= now && client.rtc.is_alive() => {
                    client.rtc.handle_input(Input::Timeout(now)).unwrap();
                }
                Output::Timeout(at) => {
                    client.deadline = at;
                    return;
                }
                Output::Transmit(transmit) => client.outgoing.push(Datagram {
                    at: now + DELAY,
                    from: client.address,
                    to: transmit.destination,
                    contents: transmit.contents.to_vec(),
                }),
                Output::Event(Event::MediaData(frame)) => client.frames.push(frame),
                Output::Event(Event::KeyframeRequest(request)) => {
                    client.key_frame_requests.push((now, request));
                }
                Output::Event(Event::Connected) => client.connected = true,
                Output::Event(Event::Closed) => client.closed = true,
                Output::Event(Event::IceConnectionStateChange(
                    IceConnectionState::Disconnected,
                )) => {
                    client.connected = false;
                }
                Output::Event(_) => {}
            }
        }
    }
}

/// The call `tracks/new` with these tracks, without an offer.
pub fn new_tracks(session: SessionId, tracks: Value) -> Call {
    Call::NewTracks(session, parse(json!({ "tracks": tracks })))
}

/// Reads a request, as the HTTP side does.
pub fn parse<T: DeserializeOwned>(body: Value) -> T {
    serde_json::from_value(body).unwrap()
}

/// Clients send their SDP before they have gathered candidates.
fn without_candidates(sdp: &str) -> String {
    let lines = sdp.lines().filter(|line| !line.starts_with("a=candidate"));
    lines.flat_map(|line| [line, "\r\n"]).collect()
}
