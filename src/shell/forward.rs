//! Forwards a request to the Durable Object of the room that the request names.

use worker::wasm_bindgen::JsCast;
use worker::wasm_bindgen_futures::JsFuture;
use worker::web_sys::{Request, Response};
use worker::worker_sys::DurableObject;
use worker::{Env, Result};

use super::platform::rooms;

/// Forwards a request to its room. The room parses the route again, which is cheaper than encoding
/// the route. Clients could also forge a header that carries the route.
pub(super) async fn forward_to_room(env: &Env, room: &str, request: &Request) -> Result<Response> {
    let response = room_stub(env, room)?.fetch_with_request(request)?;
    Ok(JsFuture::from(response).await?.unchecked_into())
}

/// Returns the stub of a room, which sends requests to the room.
pub(super) fn room_stub(env: &Env, room: &str) -> Result<DurableObject> {
    Ok(rooms(env).get_by_name(room)?)
}
