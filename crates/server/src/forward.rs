//! `auth forward`: ingress asks through the client of push.

use std::sync::Arc;

use hookaido_dispatch::{Caller, Endpoint};
use hookaido_ingress::{AuthCaller, CallAnswer, CallError, CallRequest, Calling};

/// One authentication server.
#[derive(Debug)]
struct Forward(Endpoint);

impl AuthCaller for Forward {
    fn call(&self, request: CallRequest) -> Calling<'_> {
        Box::pin(async move {
            let CallRequest { method, headers, body } = request;
            let head = self.0.call(method, headers, body).await.map_err(|error| CallError(error.to_string()))?;
            Ok(CallAnswer { status: head.status, headers: head.headers })
        })
    }
}

/// Who asks the server of a URL.
pub(crate) fn forward(caller: &Caller, url: &str) -> Result<Arc<dyn AuthCaller>, CallError> {
    let endpoint = caller.endpoint(url).map_err(|error| CallError(error.to_string()))?;
    Ok(Arc::new(Forward(endpoint)))
}
