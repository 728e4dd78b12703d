//! Against a server on a socket of its own.

use std::convert::Infallible;
use std::net::SocketAddr;

use futures_util::{StreamExt, stream};
use hookaido_model::SystemClock;
use http::header::{HeaderValue, LOCATION};
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio_util::task::TaskTracker;

use super::*;
use crate::SystemResolver;

type Answer = Response<UnsyncBoxBody<Bytes, Infallible>>;

async fn answer(request: Request<Incoming>) -> Result<Answer, hyper::Error> {
    let path = request.uri().path().to_owned();
    let mut answer = Response::builder().header("x-method", request.method().as_str());
    if let Some(authorization) = request.headers().get(AUTHORIZATION) {
        answer = answer.header("x-authorization", authorization);
    }
    let body = request.into_body().collect().await?.to_bytes();
    answer = answer.header("x-body", HeaderValue::from_bytes(&body).unwrap());
    let chunks = stream::iter([Ok(Frame::data(Bytes::from_static(b"more")))]);
    let body = match path.as_str() {
        "/moved" => {
            answer = answer.status(StatusCode::TEMPORARY_REDIRECT).header(LOCATION, "/check");
            Full::new(Bytes::new()).boxed_unsync()
        }
        "/endless" => {
            StreamBody::new(stream::repeat_with(|| Ok(Frame::data(Bytes::from_static(&[0; 4096]))))).boxed_unsync()
        }
        "/stalled" => StreamBody::new(chunks.chain(stream::pending())).boxed_unsync(),
        _ => StreamBody::new(chunks).boxed_unsync(),
    };
    Ok(answer.body(body).unwrap())
}

async fn server() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tracker = TaskTracker::new();
    tracker.clone().spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let serving = hyper::server::conn::http1::Builder::new();
            tracker.spawn(serving.serve_connection(TokioIo::new(stream), service_fn(answer)));
        }
    });
    address
}

fn caller() -> Caller {
    Caller::new(Arc::new(SystemResolver::default()), Arc::new(SystemClock))
}

fn value<'a>(head: &'a Parts, name: &str) -> &'a str {
    head.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn method_headers_and_body_arrive_as_given() {
    let (caller, server) = (caller(), server().await);
    let endpoint = caller.endpoint(&format!("http://u:p@{server}/check")).unwrap();
    let head = endpoint.call(Method::PUT, HeaderMap::new(), Bytes::from_static(b"hello")).await.unwrap();
    assert_eq!(head.status, StatusCode::OK);
    assert_eq!((value(&head, "x-method"), value(&head, "x-body")), ("PUT", "hello"));
    assert_eq!(value(&head, "x-authorization"), "Basic dTpw");
    let own = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Bearer z"))]);
    let head = endpoint.call(Method::GET, own, Bytes::new()).await.unwrap();
    assert_eq!((value(&head, "x-method"), value(&head, "x-body")), ("GET", ""));
    assert_eq!(value(&head, "x-authorization"), "Bearer z");
}

#[tokio::test]
async fn redirects_are_answers() {
    let endpoint = caller().endpoint(&format!("http://{}/moved", server().await)).unwrap();
    let head = endpoint.call(Method::POST, HeaderMap::new(), Bytes::new()).await.unwrap();
    assert_eq!(head.status, StatusCode::TEMPORARY_REDIRECT);
}

#[tokio::test]
async fn an_answer_without_end_costs_only_its_connection() {
    let (caller, server) = (caller(), server().await);
    for path in ["endless", "stalled", "check"] {
        let endpoint = caller.endpoint(&format!("http://{server}/{path}")).unwrap();
        let head = endpoint.call(Method::POST, HeaderMap::new(), Bytes::new()).await.unwrap();
        assert_eq!(head.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn what_cannot_be_asked_is_told() {
    let caller = caller();
    for url in ["ftp://h/", "no url", "http://"] {
        assert!(caller.endpoint(url).is_err(), "{url}");
    }
    let closed = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let endpoint = caller.endpoint(&format!("http://u:secret@{closed}/")).unwrap();
    let error = endpoint.call(Method::POST, HeaderMap::new(), Bytes::new()).await.unwrap_err().to_string();
    assert!(error.contains("cannot connect to") && !error.contains("secret"), "{error}");
}
