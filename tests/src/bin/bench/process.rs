//! The server under test as a child process: start, wait until it answers, look at it, stop it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::client::{Connection, request};

/// What keeps the messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Keep {
    /// The product as it is.
    Durable,
    /// The same server with a store that keeps nothing.
    Nothing,
}

/// What a configuration has beyond the plain one.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Extra {
    /// One line for each request, to a file.
    pub(crate) access_log: bool,
    /// On the public listener, with the certificates of [`e2e::pki`].
    pub(crate) tls: bool,
    /// Routes `/hooks/NUMBER`, from 0.
    pub(crate) routes: usize,
    /// Directives as they are written.
    pub(crate) text: &'static str,
}

/// A running server. Stopped when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) ingress: SocketAddr,
    pub(crate) pull: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) metrics: SocketAddr,
    pub(crate) started_in: Duration,
}

impl Server {
    /// Starts a server whose files are in `folder`, with `sink` as push target, and waits until it is healthy.
    pub(crate) async fn start(keep: Keep, folder: &Path, sink: SocketAddr) -> io::Result<Self> {
        Self::start_with(keep, folder, sink, Extra::default()).await
    }

    /// As [`Server::start`], with more in its configuration.
    pub(crate) async fn start_with(keep: Keep, folder: &Path, sink: SocketAddr, extra: Extra) -> io::Result<Self> {
        let ports @ [ingress, pull, admin, metrics] = free_ports()?;
        let config = folder.join("bench.conf");
        std::fs::write(&config, configuration(ports, sink, extra) + extra.text)?;
        if extra.tls {
            e2e::pki::write(folder).map_err(io::Error::other)?;
        }
        let mut command = match keep {
            Keep::Durable => {
                let mut command = Command::new(product()?);
                command.arg("run");
                command
            }
            Keep::Nothing => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("serve-nothing");
                command
            }
        };
        command.arg("--config").arg("bench.conf").arg("--db").arg("bench.db");
        command.current_dir(folder).args(["--log-level", "warn"]).stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(std::fs::File::create(folder.join("bench.log"))?);
        let begin = Instant::now();
        let child = command.spawn()?;
        let mut server = Self { child, ingress, pull, admin, metrics, started_in: Duration::ZERO };
        server.wait_until_healthy(begin).await?;
        server.started_in = begin.elapsed();
        Ok(server)
    }

    async fn wait_until_healthy(&mut self, begin: Instant) -> io::Result<()> {
        let probe = request("GET", "/healthz", "", b"");
        while begin.elapsed() < Duration::from_secs(60) {
            if let Some(status) = self.child.try_wait()? {
                return Err(io::Error::other(format!("the server ended at once: {status}")));
            }
            if let Ok(mut connection) = Connection::open(self.admin).await
                && connection.send(&probe).await.is_ok_and(|answer| answer.status == 200)
            {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Err(io::Error::other("the server did not become healthy within a minute"))
    }

    /// Resident memory in bytes.
    pub(crate) fn resident(&self) -> u64 {
        field(&format!("/proc/{}/status", self.child.id()), "VmRSS:") * 1024
    }

    /// Bytes sent to the disk since the start.
    pub(crate) fn written(&self) -> u64 {
        field(&format!("/proc/{}/io", self.child.id()), "write_bytes:")
    }

    /// Processor time since the start.
    pub(crate) fn processor(&self) -> Duration {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let behind_name = text.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let ticks: u64 = behind_name.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        // The kernel counts in hundredths of a second.
        Duration::from_millis(ticks * 10)
    }

    /// Asks it to stop and waits.
    pub(crate) fn stop(mut self) -> io::Result<()> {
        self.end()
    }

    fn end(&mut self) -> io::Result<()> {
        if self.child.try_wait()?.is_none() {
            let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
            if let Some(pid) = pid {
                rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
            }
        }
        self.child.wait().map(drop)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended_already = self.end();
    }
}

/// The first number behind `name` in a file of `/proc`.
pub(crate) fn field(path: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// The release binary beside this one.
pub(crate) fn product() -> io::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("hookaido");
    if path.exists() {
        return Ok(path);
    }
    Err(io::Error::other(format!("{} is missing: cargo build --release --package hookaido-cli", path.display())))
}

fn free_ports<const N: usize>() -> io::Result<[SocketAddr; N]> {
    let held: Vec<TcpListener> = (0..N).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    let addrs: Vec<SocketAddr> = held.iter().map(TcpListener::local_addr).collect::<Result<_, _>>()?;
    addrs.try_into().map_err(|_length| io::Error::other("no free ports"))
}

fn configuration([ingress, pull, admin, metrics]: [SocketAddr; 4], sink: SocketAddr, extra: Extra) -> String {
    let tls = if extra.tls { "tls { cert_file server.pem key_file server.key }" } else { "" };
    let access_log = if extra.access_log { "on" } else { "off" };
    let mut text = format!(
        r#"
ingress {{ listen {ingress} {tls} }}
pull_api {{ listen {pull} auth token raw:t max_batch 1000 max_lease_batch 1000 }}
admin_api {{ listen {admin} }}
observability {{ access_log {access_log} metrics {{ listen {metrics} }} }}
queue_limits {{ max_depth 100000000 }}
defaults {{ max_body 64mb egress {{ https_only off dns_rebind_protection off }} }}
/in {{ pull {{ path /in }} }}
/other {{ pull {{ path /other }} }}
/github {{ auth hmac {{ provider github secret raw:s }} pull {{ path /github }} }}
/canonical {{ auth hmac raw:s pull {{ path /canonical }} }}
/push {{ deliver_concurrency 64 deliver "http://{sink}/sink" {{ timeout 10s }} }}
"#
    );
    for route in 0..extra.routes {
        text.push_str(&format!("/hooks/{route} {{ pull {{ path /hooks/{route} }} }}\n"));
    }
    text
}
