//! The room's part of the requests of the operator, which the Worker has checked.

use worker::web_sys::Response;

use super::super::answer::{Cors, JSON, respond};
use super::super::failure::{Error, Failure};
use super::RoomObject;
use crate::core::admin::AdminRequest;
use crate::core::event::Event;
use crate::edge::admin::{answer, read_url};

impl RoomObject {
    /// Handles a request that only the Worker can send. Returns `None` if the URL is of another
    /// request.
    #[inline(never)]
    pub(super) fn admin(&self, url: &str, cors: &Cors) -> Option<Result<Response, Failure>> {
        let request = read_url(url)?;
        Some(self.answer_owner(request, cors))
    }

    fn answer_owner(&self, request: AdminRequest, cors: &Cors) -> Result<Response, Failure> {
        let body = match self.handle(Event::Admin(request)) {
            Some(Ok(reply)) => answer(&reply),
            Some(Err(refusal)) => return Err(refusal.into()),
            None => None,
        };
        let body = body.ok_or_else(|| Error::from("the room did not reply to the operator"))?;
        Ok(respond(200, JSON, &body, cors)?)
    }
}
