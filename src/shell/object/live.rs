//! The room's part of live sessions: requests of the back end, which the Worker has checked, and the
//! ends of calls of the media server.

use worker::web_sys::Response;

use super::super::answer::{Cors, JSON, respond};
use super::super::failure::{Error, Failure};
use super::super::media;
use super::RoomObject;
use crate::core::event::{Event, Reply};
use crate::edge::live::{self, RoomRequest};

impl RoomObject {
    /// Handles a request that only the Worker can send. Returns `None` if the URL is of another
    /// request.
    #[inline(never)]
    pub(super) fn live(&self, url: &str, cors: &Cors) -> Option<Result<Response, Failure>> {
        let request = RoomRequest::read(url)?;
        Some(self.answer_live(request, cors))
    }

    fn answer_live(&self, request: RoomRequest, cors: &Cors) -> Result<Response, Failure> {
        let status = match self.handle(Event::Live(request.clone().event())) {
            Some(Ok(Reply::Live(status))) => status,
            Some(Err(refusal)) => return Err(refusal.into()),
            _ => return Err(Error::from("the room did not reply about its live session").into()),
        };
        let (code, body) = match request {
            // The Worker writes the body of the answer after the device is notified.
            RoomRequest::Create(_) => (if status.is_new { 201 } else { 200 }, String::new()),
            RoomRequest::Status => {
                let session = self.state.id().name().unwrap_or_default();
                (200, live::status(&session, &status))
            }
            RoomRequest::Stop => (200, r#"{"message":"stopped"}"#.to_owned()),
        };
        Ok(respond(code, JSON, &body, cors)?)
    }

    /// Handles the end of a call of the media server.
    #[inline(never)]
    pub(super) fn handle_called(&self, context: &str, status: u16, body: &str) {
        if let Some((call, outcome)) = media::ended(context, status, body) {
            self.handle(Event::Called { call, outcome });
        }
    }
}
