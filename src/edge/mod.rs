//! The edge: what a request asks for, and whether it is allowed. No module here knows the platform.

pub mod admission;
pub mod ice;
pub mod quote;
pub mod route;
mod setting;
pub mod settings;
pub mod status;

pub use setting::BadSetting;
