//! A service as a process that tests kill and restart.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Lines, Write},
    net::TcpStream,
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Arc, PoisonError, RwLock},
};

use serde_json::Value;

use super::{Machine, http::request};

/// The current URL of a service, which changes when the service restarts.
#[derive(Clone, Default)]
pub(crate) struct Url(Arc<RwLock<String>>);

impl Url {
    pub(crate) fn get(&self) -> String {
        let url = self.0.read();
        url.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, url: String) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = url;
    }
}

pub(crate) struct Service {
    command: Box<dyn Fn() -> Command>,
    log: PathBuf,
    pub(crate) url: Url,
    /// Where a gateway's customers come; empty for other services.
    pub(crate) sells: Url,
    running: Option<(Child, BufReader<ChildStdout>)>,
}

impl Service {
    /// Starts `payer run` or `payee run` on a machine, at a free port, with its log in the machine's folder. `store`
    /// replaces the machine's own store.
    pub(crate) fn run(
        machine: &Arc<Machine>,
        who: &str,
        flags: &[&str],
        store: Option<String>,
    ) -> Self {
        let args = ["--json", who, "run", "--listen", "127.0.0.1:0"];
        let args = [&args[..], &["--create-store"]].concat();
        let args: Vec<_> = args.iter().chain(flags).map(ToString::to_string).collect();
        let (machine, log) = (Arc::clone(machine), machine.folder().join("log"));
        let command = move || {
            let args: Vec<_> = args.iter().map(String::as_str).collect();
            let mut command = machine.command(&args);
            if let Some(store) = &store {
                command.env("CHEQUE_STORE", store);
            }
            command
        };
        Self::start(command, log)
    }

    /// Starts a service whose command prints its URL, and logs to this file.
    pub(crate) fn start(command: impl Fn() -> Command + 'static, log: PathBuf) -> Self {
        let mut service = Self {
            command: Box::new(command),
            log,
            url: Url::default(),
            sells: Url::default(),
            running: None,
        };
        service.launch();
        service
    }

    fn launch(&mut self) {
        let log = File::options().create(true).append(true).open(&self.log);
        let mut child = (self.command)()
            .stdout(Stdio::piped())
            .stderr(log.expect("a log"))
            .spawn()
            .expect("the program must start");
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut printed = self.printed(&mut stdout);
        // A gateway names its two addresses.
        if let Some(url) = printed["selling"].as_str() {
            self.sells.set(url.to_owned());
            printed = self.printed(&mut stdout);
        }
        let url = printed["listening"].as_str().expect("a URL");
        self.url.set(url.to_owned());
        self.running = Some((child, stdout));
    }

    /// Reads a line of the service's output.
    fn printed(&self, stdout: &mut BufReader<ChildStdout>) -> Value {
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line");
        serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("the service does not listen: {}", self.log()))
    }

    /// The number of the running process.
    pub(crate) fn pid(&self) -> u32 {
        self.running.as_ref().expect("a running service").0.id()
    }

    /// Kills the service with signal 9 and restarts it.
    pub(crate) fn kill_and_restart(&mut self) {
        self.kill();
        self.launch();
    }

    /// Kills the service with signal 9.
    pub(crate) fn kill(&mut self) {
        if let Some((mut child, _)) = self.running.take() {
            // The service must not have ended by itself.
            assert!(
                child.try_wait().expect("a child").is_none(),
                "{}",
                self.log()
            );
            child.kill().expect("the kill must succeed");
            child.wait().expect("an exit status");
        }
    }

    /// Starts the killed service again.
    pub(crate) fn restart(&mut self) {
        assert!(self.running.is_none(), "the service already runs");
        self.launch();
    }

    /// Stops the service with SIGTERM; it must exit with 0.
    pub(crate) fn stop(&mut self) {
        let (mut child, _) = self.running.take().expect("a running service");
        let kill = Command::new("kill").arg(child.id().to_string()).status();
        assert!(kill.expect("`kill` must run").success());
        let status = child.wait().expect("an exit status");
        assert!(status.success(), "{status}: {}", self.log());
    }

    /// Sends a request and returns status and body of the answer.
    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        request(&self.url.get(), method, path, body)
            .unwrap_or_else(|error| panic!("{path}: {error}: {}", self.log()))
    }

    /// Gets a path, which must answer 200, and returns the body.
    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, None);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Opens an answer in text, line by line as it arrives.
    pub(crate) fn lines(&self, path: &str) -> Lines<BufReader<TcpStream>> {
        let url = self.url.get();
        let address = url.strip_prefix("http://").expect("a URL");
        let mut stream = TcpStream::connect(address).expect("a connection");
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream
            .write_all(request.as_bytes())
            .expect("the request must be sent");
        BufReader::new(stream).lines()
    }

    /// The last 20 lines of the log.
    pub(crate) fn log(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some((mut child, _)) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
