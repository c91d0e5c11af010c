//! Tests of the media server: the engine with clients on the same WebRTC library, and the program over
//! HTTP.

#![allow(unreachable_pub)] // the modules of a test have no users outside

mod contract;
mod fuzz;
mod options;
mod sessions;
mod streams;
mod world;
