//! Tests of the media server: the engine with clients on the same WebRTC library, and the program
//! over HTTP.

#![allow(unreachable_pub)] // the modules of a test have no users outside

mod calls;
mod contract;
mod fuzz;
mod options;
mod program;
mod sessions;
mod streams;
mod tracks;
mod world;
