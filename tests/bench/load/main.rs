//! The load generator of `npm run bench`. One process simulates all peers of all servers.
//!
//! Each line of input is a measurement as JSON, and each line of output is its result. The scripts
//! in `tests/bench` start the servers and evaluate the results.

mod clients;
mod measures;
mod process;
mod protocol;
mod room;
mod websocket;

use std::io::{BufRead, Write};

fn main() {
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("the input is UTF-8");
        let measure = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", measures::perform(&measure)).expect("the output is read");
        out.flush().unwrap();
    }
}
