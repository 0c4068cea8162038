//! WebSockets to the upstream.

use super::{Answer, ForwardError, Origin, Paid, Upstream, body::Progress, headers::clean_request};
use http::{
    HeaderValue, Request, StatusCode, Version,
    header::{CONNECTION, SEC_WEBSOCKET_EXTENSIONS, UPGRADE},
    request::Parts,
};
use http_body_util::{BodyExt, Empty};
use hyper::upgrade::{self, OnUpgrade};

impl Upstream {
    /// Asks the upstream for a WebSocket, with the client's own key. `Some` with an answer 101: the connection, once the answer
    /// has been taken. No extension is negotiated, because the gateway reads the messages.
    ///
    /// # Errors
    ///
    /// [`ForwardError`] if there is no answer.
    pub(crate) async fn upgrade(
        &self,
        mut head: Parts,
        origin: &Origin,
        paid: Option<&Paid>,
    ) -> Result<(Answer, Option<OnUpgrade>), ForwardError> {
        head.uri = self.target(&head.uri).ok_or(ForwardError::Target)?;
        head.version = Version::HTTP_11;
        clean_request(&mut head.headers, origin, paid);
        head.headers.remove(SEC_WEBSOCKET_EXTENSIONS);
        let fields = [(CONNECTION, "upgrade"), (UPGRADE, "websocket")];
        for (name, value) in fields {
            head.headers.insert(name, HeaderValue::from_static(value));
        }
        let body = Empty::new().map_err(|never| match never {});
        let request = Request::from_parts(head, body.boxed_unsync());
        let progress = Progress::new(true);
        let asking = self.link.socket(request);
        let mut answer = self.first_byte(asking, &progress).await?;
        let is_open = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
        let upgraded = is_open.then(|| upgrade::on(&mut answer));
        Ok((self.answer(answer, paid), upgraded))
    }
}
