//! Forwarding a request to the Durable Object of its room.

use worker::wasm_bindgen::JsCast;
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys::{Request, Response};
use worker::worker_sys::DurableObject;
use worker::{Env, Result};

use super::platform::rooms;

/// Forwards a request to its room, which finds the route again from the URL. That is cheaper than
/// passing the route on, and headers with the route could be forged by clients.
pub(super) async fn forward_to_room(env: &Env, room: &str, request: &Request) -> Result<Response> {
    let response = room_stub(env, room)?.fetch_with_request(request)?;
    Ok(JsFuture::from(response).await?.unchecked_into())
}

/// The stub of a room, which sends requests to it.
pub(super) fn room_stub(env: &Env, room: &str) -> Result<DurableObject> {
    Ok(rooms(env).get_by_name(room)?)
}
