//! The dialect of RxDB.

use crate::core::refusal::Refusal;
use crate::core::topics::{Call, Notice};

pub(super) fn decode(_text: &str) -> Result<Call<'_>, Refusal<'static>> {
    Ok(Call::Nothing)
}

pub(super) fn encode(_notice: &Notice) -> Vec<String> {
    Vec::new()
}
