//! The load of `npm run bench`: one process that is all the peers, of all the servers in turn.
//!
//! It reads what to measure from its input, one line of JSON each, and answers each with one. What
//! the servers are, and what follows from the figures, is not its business: see `tests/bench`.

mod line;
mod measures;
mod process;
mod room;
mod speech;

use std::io::{BufRead, Write};

fn main() {
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("the input is text");
        let measure = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", measures::perform(&measure)).expect("somebody listens");
        out.flush().unwrap();
    }
}
