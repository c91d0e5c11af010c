//! The samples of docs/clients.md. The compiler checks them, and tests/docs/clients.test.mjs checks that they
//! are the same.

use matchbox_socket::{MessageLoopFuture, RtcIceServerConfig, WebRtcSocket, WebRtcSocketBuilder};

fn usual() -> (WebRtcSocket, MessageLoopFuture) {
    let (socket, message_loop) = WebRtcSocket::new_reliable("wss://matchbox.example/demo?next=2");
    (socket, message_loop)
}

fn partyline() -> (WebRtcSocket, MessageLoopFuture) {
    let url = "wss://your-worker.example/parties/main/demo/matchbox?next=2";
    let (socket, message_loop) = WebRtcSocket::new_reliable(url);
    (socket, message_loop)
}

fn ice_servers(
    url: &str,
    urls: Vec<String>,
    username: Option<String>,
    credential: Option<String>,
) -> (WebRtcSocket, MessageLoopFuture) {
    let ice_server = RtcIceServerConfig {
        urls,
        username,
        credential,
    };
    let (socket, message_loop) = WebRtcSocketBuilder::new(url)
        .ice_server(ice_server)
        .add_reliable_channel()
        .build();
    (socket, message_loop)
}
