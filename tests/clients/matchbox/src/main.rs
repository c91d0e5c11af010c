//! Clients of matchbox, unmodified, for tests/clients/matchbox.test.mjs.
//!
//! `matchbox-client URL CLIENTS PEERS` connects as many clients as CLIENTS to the URL, one after the other.
//! When each has received a message from as many others as PEERS, it prints a line for each client: its id,
//! and the ids from which it has heard. It fails after 12 seconds.

#[allow(dead_code)] // compiled only
mod sample;

use std::collections::BTreeSet;
use std::env::args;
use std::error::Error;
use std::time::Duration;

use matchbox_socket::{ChannelConfig, RtcIceServerConfig, WebRtcSocket, WebRtcSocketBuilder};
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(12);
const POLL: Duration = Duration::from_millis(20);

struct Client {
    socket: WebRtcSocket,
    heard: BTreeSet<String>,
}

impl Client {
    /// Connects, and waits for the id, so that the clients arrive in order.
    async fn connect(url: &str) -> Self {
        let no_servers = RtcIceServerConfig {
            urls: Vec::new(),
            username: None,
            credential: None,
        };
        let (mut socket, message_loop) = WebRtcSocketBuilder::new(url)
            .ice_server(no_servers)
            .add_channel(ChannelConfig::reliable())
            .build();
        tokio::spawn(message_loop);
        while socket.id().is_none() {
            sleep(POLL).await;
        }
        let heard = BTreeSet::new();
        Self { socket, heard }
    }

    /// Greets all peers, and notes the senders of greetings. matchbox_socket 0.15 may lose the first message
    /// of a channel, so the clients repeat theirs.
    fn poll(&mut self) {
        self.socket.update_peers();
        for peer in Vec::from_iter(self.socket.connected_peers()) {
            let greeting = b"hello".to_vec().into_boxed_slice().into();
            self.socket.channel_mut(0).send(greeting, peer);
        }
        for (peer, message) in self.socket.channel_mut(0).receive() {
            assert_eq!(&*message, b"hello");
            self.heard.insert(peer.to_string());
        }
    }
}

async fn run(url: &str, count: usize, peers: usize) {
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(Client::connect(url).await);
    }
    while clients.iter().any(|client| client.heard.len() < peers) {
        clients.iter_mut().for_each(Client::poll);
        sleep(POLL).await;
    }
    for mut client in clients {
        let id = client.socket.id().map(|id| id.to_string());
        let heard = Vec::from_iter(client.heard);
        println!("{} {}", id.unwrap_or_default(), heard.join(" "));
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let [url, count, peers] = <[String; 3]>::try_from(Vec::from_iter(args().skip(1)))
        .map_err(|_| "expected a URL, the number of clients and the number of peers of each")?;
    timeout(PATIENCE, run(&url, count.parse()?, peers.parse()?)).await?;
    // The message loops end with the process.
    Ok(())
}
