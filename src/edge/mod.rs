//! The edge layer: finds the operation that a request asks for, and checks whether the request is
//! allowed. No module in this folder depends on Cloudflare's platform.

pub mod admin;
pub mod admission;
pub mod body;
pub mod header;
pub mod ice;
pub mod live;
pub mod media;
pub mod quote;
pub mod rate_limit;
pub mod route;
mod setting;
pub mod settings;
mod signature;
pub mod status;

pub use setting::BadSetting;
