//! Names to addresses, through the system's resolver.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Semaphore;

/// Most look-ups at a time: each holds a thread until the system answers, even when nobody waits any more.
const LOOKUPS: usize = 16;

/// The addresses of a name.
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Where addresses come from. Injected, so that tests decide what a name resolves to.
pub trait Resolve: Send + Sync + fmt::Debug + 'static {
    /// All addresses of `host`, with `port`. Literal addresses never come here.
    fn resolve(&self, host: &str, port: u16) -> Resolving;
}

/// `getaddrinfo`: hosts file, search domains and whatever else the machine is set up with.
#[derive(Clone, Debug)]
pub struct SystemResolver {
    lookups: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self { lookups: Arc::new(Semaphore::new(LOOKUPS)) }
    }
}

impl Resolve for SystemResolver {
    fn resolve(&self, host: &str, port: u16) -> Resolving {
        let (lookups, host) = (Arc::clone(&self.lookups), host.to_owned());
        Box::pin(async move {
            let permit = lookups.acquire_owned().await.map_err(io::Error::other)?;
            let lookup = tokio::task::spawn_blocking(move || {
                let _held_until_the_system_answers = permit;
                (host.as_str(), port).to_socket_addrs().map(Iterator::collect)
            });
            lookup.await.map_err(io::Error::other)?
        })
    }
}
