//! An authentication server that answers as it is told to.

use std::collections::VecDeque;
use std::sync::Arc;

use hookaido_ingress::{AuthCaller, CallAnswer, CallError, CallRequest, Calling};
use parking_lot::Mutex;

/// Where it can be asked.
pub(crate) const URL: &str = "http://auth.example/check";

/// What it will say, and what it was asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked(Arc<Mutex<(VecDeque<Saying>, Vec<CallRequest>)>>);

#[derive(Debug)]
enum Saying {
    Answer(CallAnswer),
    Broken,
    Never,
}

impl Asked {
    /// Next, it answers with a status and headers.
    pub(crate) fn say(&self, status: u16, headers: &[(&str, &str)]) {
        let mut answer = http::Response::builder().status(status);
        for (name, value) in headers {
            answer = answer.header(*name, *value);
        }
        let (head, ()) = answer.body(()).unwrap().into_parts();
        self.0.lock().0.push_back(Saying::Answer(CallAnswer { status: head.status, headers: head.headers }));
    }

    /// Next, the connection breaks.
    pub(crate) fn break_off(&self) {
        self.0.lock().0.push_back(Saying::Broken);
    }

    /// Next, it says nothing.
    pub(crate) fn hang(&self) {
        self.0.lock().0.push_back(Saying::Never);
    }

    /// What it was asked since the last time.
    pub(crate) fn questions(&self) -> Vec<CallRequest> {
        std::mem::take(&mut self.0.lock().1)
    }

    pub(crate) fn caller(&self, url: &str) -> Result<Arc<dyn AuthCaller>, CallError> {
        if url == URL { Ok(Arc::new(self.clone())) } else { Err(CallError(format!("{url} cannot be asked"))) }
    }
}

impl AuthCaller for Asked {
    fn call(&self, request: CallRequest) -> Calling<'_> {
        let (sayings, questions) = &mut *self.0.lock();
        questions.push(request);
        let next = sayings.pop_front().unwrap();
        Box::pin(async move {
            match next {
                Saying::Answer(answer) => Ok(answer),
                Saying::Broken => Err(CallError("broken".to_owned())),
                Saying::Never => std::future::pending().await,
            }
        })
    }
}
