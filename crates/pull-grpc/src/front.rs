//! Requests over HTTP/2: what is a call, how large and how long it may be, and its answer.

use std::sync::Arc;
use std::time::Duration;

use hookaido_http::{Body, Handler, Peer, Problem, Reply, Request, RequestBody, Response, read_body};
use hookaido_pull::Table;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use tonic::codegen::{CompressionEncoding, Service};
use tonic::{Code, Status};

use crate::answer::{Answer, Handover};
use crate::generated::worker_service_server::{SERVICE_NAME, WorkerServiceServer};
use crate::worker::Worker;
use crate::{deadline, error};

/// Largest message of a request, also after decompression: what gRPC servers take unless told otherwise.
const MAX_MESSAGE: usize = 4 << 20;
/// In front of a message: whether it is compressed, and its length.
const PREFIX: usize = 5;
/// Longest time for a request to arrive.
const BODY_DEADLINE: Duration = Duration::from_secs(30);
const METHODS: [&str; 4] = ["Dequeue", "Ack", "Nack", "Extend"];

/// Serves one table on a listener of HTTP/2.
#[derive(Clone, Debug)]
pub struct WorkerGrpc {
    table: Arc<Table>,
    server: WorkerServiceServer<Worker>,
}

/// The worker API over one table.
#[must_use]
pub fn service(table: Arc<Table>) -> Arc<dyn Handler> {
    Arc::new(WorkerGrpc::new(table))
}

impl WorkerGrpc {
    /// The worker API over one table.
    #[must_use]
    pub fn new(table: Arc<Table>) -> Self {
        let server = WorkerServiceServer::new(Worker(Arc::clone(&table)));
        let server = server.accept_compressed(CompressionEncoding::Gzip).max_decoding_message_size(MAX_MESSAGE);
        Self { table, server }
    }

    /// Answers a call, within the time that its caller has.
    async fn call(self, request: Request) -> Response {
        match deadline::timeout(request.headers()) {
            Err(status) => status.into_http(),
            Ok(None) => self.serve(request).await,
            // Whoever waits no longer gets nothing: what was leased goes back.
            Ok(Some(most)) => tokio::time::timeout(most, self.serve(request))
                .await
                .unwrap_or_else(|_elapsed| Status::deadline_exceeded("the deadline of the call is over").into_http()),
        }
    }

    async fn serve(mut self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let most = u64::try_from(MAX_MESSAGE + PREFIX).unwrap_or(u64::MAX);
        let body = match read_body(body, most, BODY_DEADLINE, self.table.bodies()).await {
            Ok(body) => RequestBody::full(body),
            Err(error) => return error::body(&error).into_http(),
        };
        let Ok(mut response) = self.server.call(Request::from_parts(parts, body)).await;
        too_large(&mut response);
        let handover = response.extensions_mut().remove::<Handover>();
        response.map(|body| Body::stream(Answer { body, handover }))
    }
}

impl Handler for WorkerGrpc {
    fn handle(&self, request: Request, _peer: &Arc<Peer>) -> Reply {
        match refusal(&request) {
            Some(refusal) => Reply::ready(refusal),
            None => Reply::later(self.clone().call(request)),
        }
    }
}

/// The answer to what is no call of this service.
fn refusal(request: &Request) -> Option<Response> {
    if request.method() != Method::POST {
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "gRPC calls use POST");
        return Some(problem.with_header(ALLOW, HeaderValue::from_static("POST")).into_response());
    }
    let kind = request.headers().get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    if !kind.strip_prefix(b"application/grpc").is_some_and(|rest| matches!(rest, [] | [b'+' | b';', ..])) {
        let detail = "gRPC calls have a Content-Type of application/grpc";
        return Some(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_grpc", detail).into_response());
    }
    unimplemented(request.uri().path()).map(Status::into_http)
}

/// What a path that is no method is told.
fn unimplemented(path: &str) -> Option<Status> {
    let message = match path.strip_prefix('/').and_then(|path| path.rsplit_once('/')) {
        None => format!("malformed method name: {path:?}"),
        Some((SERVICE_NAME, method)) if METHODS.contains(&method) => return None,
        Some((SERVICE_NAME, method)) => format!("unknown method {method} for service {SERVICE_NAME}"),
        Some((service, _)) => format!("unknown service {service}"),
    };
    Some(Status::unimplemented(message))
}

/// A message over the limit exhausts a resource, as everywhere else with gRPC; tonic calls that out of range.
fn too_large<B>(response: &mut http::Response<B>) {
    let status = response.headers_mut().get_mut(Status::GRPC_STATUS);
    if let Some(status) = status.filter(|status| **status == HeaderValue::from(Code::OutOfRange as i32)) {
        *status = HeaderValue::from(Code::ResourceExhausted as i32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_are_no_method_are_named() {
        let told = |path: &str| unimplemented(path).map(|status| status.message().to_owned());
        assert_eq!(told("/hookaido.worker.v1.WorkerService/Dequeue"), None);
        for (path, want) in [
            ("/x", "malformed method name: \"/x\""),
            ("/", "malformed method name: \"/\""),
            ("*", "malformed method name: \"*\""),
            ("/grpc.health.v1.Health/Check", "unknown service grpc.health.v1.Health"),
            (
                "/hookaido.worker.v1.WorkerService/dequeue",
                "unknown method dequeue for service hookaido.worker.v1.WorkerService",
            ),
            ("/hookaido.worker.v1.WorkerService/", "unknown method  for service hookaido.worker.v1.WorkerService"),
        ] {
            assert_eq!(told(path).as_deref(), Some(want), "{path}");
        }
    }
}
