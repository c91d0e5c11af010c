//! Checks whether a page's origin and a client's token permit the use of the server.
//!
//! The checks need no I/O and no room, so a refused client costs one request.

mod check;
mod claims;
mod header;
mod join;
mod origin;
mod secrets;
mod token;

pub use check::{check_admin_token, check_control_token, check_token};
pub use header::{find_in_protocols, token_in_authorization};
pub use join::{Admission, check_join};
pub use origin::{allows_origin, rate_limit_key};
pub use secrets::Secrets;
pub use token::{mint_token, mint_viewer_token, sign_claims};
