//! A server for some checks, with a folder and ports of its own.

use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use e2e::clock;
use e2e::fail::{Attempt, fail};
use e2e::files;
use e2e::names::Names;
use e2e::server::Server;
use e2e::settings;
use tempfile::TempDir;

/// A running server; stopped when dropped.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) server: Server,
    names: Names,
    folder: TempDir,
}

impl Site {
    /// Starts the binary on a configuration with the placeholders of the scenarios. `prepare` fills the folder first.
    pub(crate) fn start(binary: &Path, config: &str, prepare: fn(&Path) -> Attempt<()>) -> Attempt<Self> {
        let folder = tempfile::Builder::new().prefix("hookaido-interop-").tempdir()?;
        prepare(folder.path())?;
        let names = Names::new(config, folder.path())?;
        files::write(folder.path(), "config", &files::config_text(&names, config, false)?)?;
        let server = Server::new(binary, folder.path());
        let mut site = Self { server, names, folder };
        let path = |name: &str| files::path(site.folder.path(), name).to_string_lossy().into_owned();
        let args = ["run", "--config", &path("config"), "--db", &path("hookaido.db"), "--log-level", "info"];
        let environment = [("PATH".to_owned(), settings::search_path())];
        site.server.start(&args.map(str::to_owned), &environment)?;
        let waiting: Vec<&str> = ["ingress", "pull", "grpc"]
            .into_iter()
            .filter(|name| config.contains(&format!("{{{{{name}}}}}")))
            .collect();
        for name in waiting {
            let address = site.at(name)?;
            let open =
                || TcpStream::connect(&address).is_ok().then_some(true).or(site.server.exit_code().map(|_| false));
            if clock::poll(Duration::from_secs(10), clock::POLL, open) != Some(true) {
                return fail(format!("the server is not up: {}", site.server.log_tail()));
            }
        }
        Ok(site)
    }

    /// HOST:PORT of a listener.
    pub(crate) fn at(&self, listener: &str) -> Attempt<String> {
        Ok(format!("127.0.0.1:{}", self.names.port(listener)?))
    }

    pub(crate) fn dir(&self) -> &Path {
        self.folder.path()
    }

    /// The path of a file in the folder, as text for an argument.
    pub(crate) fn file(&self, name: &str) -> String {
        self.dir().join(name).to_string_lossy().into_owned()
    }
}
