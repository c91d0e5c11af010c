//! Checks whether a page's origin and a client's token permit the use of the server.
//!
//! The checks need no I/O and no room, so a refused client costs one request.

mod check;
mod claims;
mod http_key;
mod join;
mod origin;
mod secrets;
#[cfg(test)]
mod test_tokens;
mod token;

pub use check::{
    check_admin_token, check_control_token, check_new_id, check_status_token, check_token,
};
pub use http_key::{check_key, key_expiry, sign_key};
pub use join::{Admission, check_join};
pub use origin::allows_origin;
pub use secrets::Secrets;
pub use token::{mint_token, mint_viewer_token, sign_claims};
