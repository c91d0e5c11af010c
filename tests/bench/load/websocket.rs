//! A minimal blocking WebSocket client for text frames.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// The timeout for a response. After it, the measurement fails with an error.
const TIMEOUT: Duration = Duration::from_secs(20);

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

pub(crate) struct WebSocket {
    stream: TcpStream,
    /// The received bytes. The bytes before the index `read` are already parsed.
    received: Vec<u8>,
    read: usize,
    /// Whether reading does not wait. The timeout of a blocking socket has the same error.
    is_draining: bool,
}

impl WebSocket {
    /// Connects and requests an upgrade to WebSocket, without waiting for the response.
    pub(crate) fn begin(port: u16, path: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let mut socket = Self {
            stream,
            received: Vec::new(),
            read: 0,
            is_draining: false,
        };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        socket.stream.write_all(request.as_bytes()).unwrap();
        socket
    }

    /// Waits for the response to the upgrade.
    pub(crate) fn finish(&mut self) {
        loop {
            let head = self
                .received
                .windows(4)
                .position(|four| four == b"\r\n\r\n");
            if let Some(end) = head {
                let response = String::from_utf8_lossy(&self.received);
                assert!(
                    response.starts_with("HTTP/1.1 101"),
                    "the upgrade was refused: {response}"
                );
                self.read = end + 4;
                return;
            }
            self.receive();
        }
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.frame(TEXT, text.as_bytes());
    }

    /// Reads the next text frame. Replies to pings with pongs.
    pub(crate) fn next(&mut self) -> &str {
        let (from, to) = loop {
            let (opcode, from, to) = self.next_frame();
            match opcode {
                TEXT => break (from, to),
                PING => {
                    let payload = self.received[from..to].to_vec();
                    self.frame(PONG, &payload);
                }
                CLOSE => panic!("closed: {:?}", &self.received[from..to]),
                _ => {}
            }
        };
        std::str::from_utf8(&self.received[from..to]).expect("text is UTF-8")
    }

    /// Reads and discards `frames` text frames.
    pub(crate) fn skip(&mut self, frames: usize) {
        for _ in 0..frames {
            self.next();
        }
    }

    /// Reads until a frame contains `mark`, and returns the number of frames before it.
    pub(crate) fn until(&mut self, mark: &str) -> usize {
        let mut before = 0;
        while !self.next().contains(mark) {
            before += 1;
        }
        before
    }

    /// Sends a Close frame.
    pub(crate) fn hang_up(&mut self) {
        self.frame(CLOSE, &1000_u16.to_be_bytes());
    }

    /// Waits for the server's Close frame, or for the end of the connection.
    pub(crate) fn hung_up(mut self) {
        while self.next_frame().0 != CLOSE {}
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    fn set_draining(&mut self, on: bool) {
        self.is_draining = on;
        self.stream.set_nonblocking(on).unwrap();
    }

    fn frame(&mut self, opcode: u8, payload: &[u8]) {
        let mut frame = Vec::with_capacity(payload.len() + 8);
        frame.push(0x80 | opcode);
        // A client must mask its frames (RFC 6455 §5.1). A mask of zeros costs the server the same
        // work as any other mask.
        match u16::try_from(payload.len()).expect("frames are small") {
            len @ 0..126 => frame.push(0x80 | len as u8),
            len => {
                frame.push(0x80 | 126);
                frame.extend(len.to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        self.stream.write_all(&frame).expect("the server reads");
    }

    /// Reads and discards the frames that have arrived, without waiting for more. Replies to pings.
    pub(crate) fn drain(&mut self) {
        self.set_draining(true);
        while self.receive() {}
        self.set_draining(false);
        while let Some((opcode, from, to)) = self.parse() {
            if opcode == PING {
                let payload = self.received[from..to].to_vec();
                self.frame(PONG, &payload);
            }
        }
    }

    /// Reads the next frame with any opcode. Returns its opcode, and the start and end of its
    /// payload in `received`.
    fn next_frame(&mut self) -> (u8, usize, usize) {
        loop {
            if let Some(frame) = self.parse() {
                return frame;
            }
            if !self.receive() {
                return (CLOSE, self.read, self.read);
            }
        }
    }

    /// Returns the next frame if it has arrived completely.
    fn parse(&mut self) -> Option<(u8, usize, usize)> {
        let unread = &self.received[self.read..];
        let (head, len) = match unread {
            [_, 126, high, low, ..] => (4, u16::from_be_bytes([*high, *low]) as usize),
            [_, 127, rest @ ..] if rest.len() >= 8 => {
                let len = u64::from_be_bytes(rest[..8].try_into().unwrap());
                (10, len as usize)
            }
            [_, 126 | 127, ..] => return None,
            [_, len, ..] => (2, *len as usize),
            _ => return None,
        };
        if unread.len() < head + len {
            return None;
        }
        let opcode = unread[0] & 15;
        let from = self.read + head;
        self.read = from + len;
        Some((opcode, from, self.read))
    }

    /// Receives more bytes. Returns false at the end of the connection, and in `drain` if none have
    /// arrived.
    fn receive(&mut self) -> bool {
        self.received.drain(..self.read);
        self.read = 0;
        let old = self.received.len();
        self.received.resize(old + 16 * 1024, 0);
        let count = match self.stream.read(&mut self.received[old..]) {
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => 0,
            Err(error) if error.kind() == ErrorKind::WouldBlock && self.is_draining => 0,
            Err(error) => panic!("reading from the server failed: {error}"),
        };
        self.received.truncate(old + count);
        count > 0
    }
}
