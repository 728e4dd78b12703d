//! A target: remembers what it got and answers as told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) at: std::time::Instant,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|v| v.to_str().unwrap())
    }
}

/// What to answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: usize,
    /// Waits for a permit first.
    pub(crate) gate: Option<Arc<Semaphore>>,
}

pub(crate) fn status(status: u16) -> Answer {
    Answer { status, ..Answer::default() }
}

pub(crate) struct Sink {
    pub(crate) addr: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    count: watch::Receiver<usize>,
    connections: Arc<AtomicUsize>,
    most_at_a_time: Arc<AtomicUsize>,
}

impl Sink {
    /// `answer` gets the request and its number, from 0.
    pub(crate) async fn start(answer: impl Fn(&Seen, usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (counter, count) = watch::channel(0);
        let (counter, answer) = (Arc::new(counter), Arc::new(answer));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (connections, most_at_a_time) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let sink = Self {
            addr,
            seen: Arc::clone(&seen),
            count,
            connections: Arc::clone(&connections),
            most_at_a_time: Arc::clone(&most_at_a_time),
        };
        let present = Arc::new(AtomicUsize::new(0));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.fetch_add(1, Ordering::SeqCst);
                let (seen, counter, answer) = (Arc::clone(&seen), Arc::clone(&counter), Arc::clone(&answer));
                let (present, most) = (Arc::clone(&present), Arc::clone(&most_at_a_time));
                let service = service_fn(move |request: Request<Incoming>| {
                    let (seen, counter, answer) = (Arc::clone(&seen), Arc::clone(&counter), Arc::clone(&answer));
                    let (present, most) = (Arc::clone(&present), Arc::clone(&most));
                    async move {
                        most.fetch_max(present.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        let request = Seen {
                            method: request.method().to_string(),
                            path: request.uri().to_string(),
                            headers: request.headers().clone(),
                            body: request.into_body().collect().await.unwrap().to_bytes(),
                            at: std::time::Instant::now(),
                        };
                        let number = {
                            let mut seen = seen.lock();
                            seen.push(request.clone());
                            seen.len() - 1
                        };
                        counter.send_modify(|count| *count += 1);
                        let answer = answer(&request, number);
                        if let Some(gate) = answer.gate {
                            gate.acquire().await.unwrap().forget();
                        }
                        present.fetch_sub(1, Ordering::SeqCst);
                        let mut response = Response::builder().status(answer.status);
                        for (name, value) in answer.headers {
                            response = response.header(name, value);
                        }
                        Ok::<_, std::convert::Infallible>(
                            response.body(Full::new(Bytes::from(vec![b'x'; answer.body]))).unwrap(),
                        )
                    }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        sink
    }

    /// Answers everything with one status.
    pub(crate) async fn answering(code: u16) -> Self {
        Self::start(move |_, _| status(code)).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    /// Waits until so many requests have come in all.
    pub(crate) async fn got(&self, count: usize) -> Vec<Seen> {
        let mut counter = self.count.clone();
        let enough = tokio::time::timeout(Duration::from_secs(20), counter.wait_for(|n| *n >= count)).await;
        assert!(enough.is_ok(), "the sink got {} of {count} requests", self.seen().len());
        self.seen()
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn most_at_a_time(&self) -> usize {
        self.most_at_a_time.load(Ordering::SeqCst)
    }
}
