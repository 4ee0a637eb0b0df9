use std::{
    cell::{Cell, OnceCell, RefCell},
    future::poll_fn,
    net::IpAddr,
    sync::Arc,
    task::Poll,
    time::Instant,
};

use actix_web::{
    HttpRequest,
    error::PayloadError,
    http::header::TRANSFER_ENCODING,
    web::{Bytes, Payload},
};
use futures_util::StreamExt;
use signet_application::{Caller, Request};
use signet_domain::{ApiKeyId, ApiKeyToken, RequestId};

use crate::{Shared, auth, client_ip::client_ip, error::Failure, serve::BodySignal};

/// One request on its way to its answer.
pub(crate) struct Exchange {
    /// When its head was read.
    pub(crate) begun: Instant,
    pub(crate) shared: Arc<Shared>,
    pub(crate) http: HttpRequest,
    payload: RefCell<Payload>,
    read_to_end: Cell<bool>,
    pub(crate) request_id: RequestId,
    /// Who asks, once that is known.
    pub(crate) caller: OnceCell<Arc<Caller>>,
    /// The key that was sent and refused, where it is a well-formed one. For the log: nobody has proven to hold it.
    pub(crate) refused_key: OnceCell<ApiKeyId>,
}

impl Exchange {
    pub(crate) fn new(shared: Arc<Shared>, http: HttpRequest, payload: Payload) -> Self {
        let request_id = request_id(&shared, &http);
        Self {
            begun: Instant::now(),
            shared,
            http,
            payload: RefCell::new(payload),
            read_to_end: Cell::new(false),
            request_id,
            caller: OnceCell::new(),
            refused_key: OnceCell::new(),
        }
    }

    /// The next part of the body; `None` at its end.
    pub(crate) async fn next_chunk(&self) -> Option<Result<Bytes, PayloadError>> {
        let signal = self.http.conn_data::<BodySignal>();
        signal.inspect(|signal| signal.want_body());
        let chunk = poll_fn(|context| match self.payload.borrow_mut().poll_next_unpin(context) {
            Poll::Pending if signal.is_some_and(BodySignal::is_malformed) => {
                Poll::Ready(Some(Err(PayloadError::EncodingCorrupted)))
            }
            chunk => chunk,
        })
        .await;
        self.read_to_end.set(chunk.is_none());
        chunk
    }

    /// Whether the client waits for `100 Continue` before it sends the body.
    pub(crate) fn awaits_continue(&self) -> bool {
        self.http.conn_data::<BodySignal>().is_some_and(BodySignal::awaits_continue)
    }

    /// What is left of a body whose end only its sender knows.
    pub(crate) fn into_unread(self) -> Option<Payload> {
        let open_ended = self.http.headers().contains_key(TRANSFER_ENCODING);
        (open_ended && !self.read_to_end.get()).then(|| self.payload.into_inner())
    }

    /// Finds out who asks, and whether they may ask now. Nothing else of the request is looked at before.
    pub(crate) async fn authenticate(&self) -> Result<Request, Failure> {
        let token = auth::bearer(self.http.headers())?;
        let caller = self.shared.api.verify_api_key.execute(token).await.inspect_err(|_refused| {
            if let Ok(token) = ApiKeyToken::parse(token) {
                self.refused_key.get_or_init(|| token.id);
            }
        })?;
        let caller = Arc::clone(self.caller.get_or_init(|| caller));
        self.shared.admit(caller.partner_id)?;
        Ok(Request { caller, request_id: self.request_id.clone(), ip_address: self.client_address() })
    }

    /// Where the request came from, seen through the trusted proxies.
    pub(crate) fn client_address(&self) -> Option<IpAddr> {
        let peer = self.http.peer_addr().map(|peer| peer.ip());
        client_ip(peer, self.http.headers(), &self.shared.options.trusted_proxies)
    }
}

/// The client's own id where that is a sane one, else a new one. An API key in the wrong header would be sane by its
/// letters, and must not be logged and stored for it.
fn request_id(shared: &Shared, http: &HttpRequest) -> RequestId {
    let sent = http.headers().get("x-request-id").and_then(|value| value.to_str().ok());
    let sane = sent.filter(|text| !auth::looks_like_key(text)).and_then(|text| RequestId::parse(text).ok());
    sane.unwrap_or_else(|| shared.api.ids.request_id())
}
