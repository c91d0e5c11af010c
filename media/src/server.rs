//! Connects the engine to the UDP socket, to the clock and to the HTTP API.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;

use crate::calls::{Answer, Call};
use crate::engine::{Engine, Health};

/// The maximum time that a call waits for a connection or for media, as at Cloudflare.
const PATIENCE: Duration = Duration::from_secs(5);

/// The interval at which a waiting call is tried again.
const RETRY: Duration = Duration::from_millis(50);

/// The maximum number of datagrams that are read before the other work gets its turn.
const BURST: usize = 64;

/// The size of the kernel's buffers for datagrams, in bytes. A key frame for a hundred viewers has
/// a few thousand datagrams, which leave at once.
const SOCKET_BUFFER: usize = 4 << 20;

/// A request from the HTTP API to the engine.
pub enum Command {
    /// Perform a call.
    Call(Box<Call>, oneshot::Sender<Answer>),
    /// Return the current metrics.
    Health(oneshot::Sender<Health>),
    /// End all sessions, and stop.
    ShutDown,
}

struct Waiting {
    call: Box<Call>,
    reply: oneshot::Sender<Answer>,
    until: Instant,
}

/// Opens the UDP socket for all sessions.
///
/// # Errors
///
/// If the address is in use or not available.
pub fn bind(address: SocketAddr) -> io::Result<std::net::UdpSocket> {
    let socket = std::net::UdpSocket::bind(address)?;
    let options = socket2::SockRef::from(&socket);
    // Linux caps the size at net.core.rmem_max and wmem_max, so smaller buffers are no error.
    let _ = options.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = options.set_send_buffer_size(SOCKET_BUFFER);
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Runs the engine until [`Command::ShutDown`], or until all senders of commands are gone.
///
/// # Errors
///
/// If the socket cannot be used.
pub async fn run(
    mut engine: Engine,
    socket: std::net::UdpSocket,
    mut commands: mpsc::Receiver<Command>,
) -> io::Result<()> {
    let socket = UdpSocket::from_std(socket)?;
    let mut waiting: Vec<Waiting> = Vec::new();
    // A point in time, because a delay would begin again with each datagram, and never end.
    let mut retry_at = Instant::now();
    let mut buffer = [0; 2048];
    loop {
        let deadline = engine.deadline();
        let due = sleep_until(deadline.unwrap_or_else(Instant::now).into());
        tokio::select! {
            ready = socket.readable() => {
                ready?;
                for _ in 0..BURST {
                    // Errors other than an empty queue are about one datagram, such as an ICMP
                    // message that a client is unreachable.
                    match socket.try_recv_from(&mut buffer) {
                        Ok((length, source)) => {
                            let datagram = buffer.get(..length).unwrap_or_default();
                            engine.receive(source, datagram, Instant::now());
                        }
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                        Err(_) => {}
                    }
                }
            }
            command = commands.recv() => match command {
                Some(Command::Call(call, reply)) => {
                    let now = Instant::now();
                    match engine.admit(&call, now) {
                        Ok(()) => waiting.push(Waiting { call, reply, until: now + PATIENCE }),
                        Err(error) => drop(reply.send(Err(error))),
                    }
                    attempt(&mut engine, &mut waiting);
                }
                Some(Command::Health(reply)) => drop(reply.send(engine.health())),
                Some(Command::ShutDown) | None => {
                    engine.shut_down(Instant::now());
                    send(&mut engine, &socket).await;
                    return Ok(());
                }
            },
            () = sleep_until(retry_at.into()), if !waiting.is_empty() => {
                attempt(&mut engine, &mut waiting);
                retry_at = Instant::now() + RETRY;
            }
            () = due, if deadline.is_some() => {}
        }
        engine.tick(Instant::now());
        send(&mut engine, &socket).await;
    }
}

/// Performs the waiting calls. Those that still have to wait stay on the list.
fn attempt(engine: &mut Engine, waiting: &mut Vec<Waiting>) {
    for Waiting { call, reply, until } in std::mem::take(waiting) {
        let now = Instant::now();
        if reply.is_closed() {
            continue; // the HTTP client is gone
        }
        match engine.call(&call, now >= until, now) {
            Some(answer) => drop(reply.send(answer)),
            None => waiting.push(Waiting { call, reply, until }),
        }
    }
}

async fn send(engine: &mut Engine, socket: &UdpSocket) {
    for transmit in engine.take_transmits() {
        // A datagram that cannot be sent counts as lost. The protocols repeat what matters.
        let _ = socket
            .send_to(&transmit.contents, transmit.destination)
            .await;
    }
}
