//! What a request wants, and whether it may have it. Nothing here knows the platform.

pub mod admission;
pub mod ice;
pub mod route;
mod setting;
pub mod settings;
pub mod status;

pub use setting::BadSetting;
