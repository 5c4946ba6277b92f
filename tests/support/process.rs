//! The binary as a child process: `holm dev`, `holm serve`, and commands that run to their end.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;
use std::time::Instant;

use serde_json::Value;

use super::DEADLINE;
use super::client::Client;
use super::output::Mark;
use super::output::Output;
use super::project::Project;

/// A running process; killed when dropped.
pub struct Process {
    child: Child,
    pub output: Output,
}

/// A process that has ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub output: String,
}

/// `holm dev`, ready for requests.
pub struct Dev {
    pub process: Process,
    pub address: SocketAddr,
}

/// `holm serve`, listening.
pub struct Serve {
    pub process: Process,
}

/// A directory that everybody can read, gone with the test.
pub struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("holm-test-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// As a user that limits of the system hold for.
pub fn unprivileged(program: impl AsRef<OsStr>) -> Command {
    if std::fs::metadata("/proc/self").unwrap().uid() != 0 {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(program);
    command
}

fn holm() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holm"));
    // What the developer's own shell sets is no part of a test.
    for name in
        ["CLOUDFLARE_ENV", "CLOUDFLARE_INCLUDE_PROCESS_ENV", "HOLM_LOG", "HOLM_LOG_FORMAT", "HTTP_PROXY", "HTTPS_PROXY"]
    {
        command.env_remove(name);
    }
    command.env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

fn send_signal(name: &str, processes: &[u32]) {
    let processes = processes.iter().map(u32::to_string);
    let sent = Command::new("kill").args(["-s", name]).args(processes).status().unwrap();
    assert!(sent.success());
}

/// Runs a command to its end.
pub fn run<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Ended {
    let mut command = holm();
    command.args(arguments);
    Process::spawn(command).wait()
}

/// Sends a signal by name to a process that is no child of this one.
pub fn kill(process: u32, signal: &str) {
    let sent = Command::new("kill").args(["-s", signal, &process.to_string()]).status().unwrap();
    assert!(sent.success());
}

/// The threads of a process that have this name.
pub fn threads(process: u32, name: &str) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let threads = threads.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let named =
        threads.filter(|thread| std::fs::read_to_string(thread.join("comm")).is_ok_and(|comm| comm.trim_end() == name));
    named.map(|thread| thread.file_name().unwrap().to_str().unwrap().parse().unwrap()).collect()
}

/// Waits for a thread of this name that has used 0.2 s of CPU time.
pub fn busy_thread(process: u32, name: &str) -> u32 {
    let ticks = |thread: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{process}/task/{thread}/stat")).unwrap_or_default();
        stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(11)?.parse::<u64>().ok()).unwrap_or(0)
    };
    let until = Instant::now() + DEADLINE;
    loop {
        if let Some(thread) = threads(process, name).into_iter().find(|thread| ticks(*thread) >= 20) {
            return thread;
        }
        assert!(Instant::now() < until, "no thread `{name}` of process {process} is busy");
    }
}

/// Sends a signal by name to one thread.
pub fn kill_thread(process: u32, thread: u32, signal: &str) {
    // No command does it; 234 is the number of `tgkill` on x86-64.
    let program = "use POSIX; syscall(234, int($ARGV[0]), int($ARGV[1]), eval \"POSIX::SIG$ARGV[2]()\") == 0 or die $!";
    let arguments = [process.to_string(), thread.to_string()];
    let sent = Command::new("perl").args(["-e", program]).args(arguments).arg(signal).status().unwrap();
    assert!(sent.success());
}

// === impl Process ===

impl Process {
    fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
        let output = Output::default();
        output.follow(child.stdout.take().unwrap());
        output.follow(child.stderr.take().unwrap());
        Self { child, output }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name: `TERM`, `HUP`.
    pub fn signal(&self, name: &str) {
        send_signal(name, &[self.child.id()]);
    }

    /// Sends a signal to it and to the processes that it started.
    pub fn signal_family(&self, name: &str) {
        send_signal(name, &self.family());
    }

    /// It and the processes that it started.
    fn family(&self) -> Vec<u32> {
        let own = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
        std::iter::once(own).chain(children.split_whitespace().filter_map(|child| child.parse().ok())).collect()
    }

    /// Resident memory, in bytes.
    pub fn resident(&self) -> u64 {
        let pages = |process: &u32| {
            let statm = std::fs::read_to_string(format!("/proc/{process}/statm")).unwrap_or_default();
            statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0)
        };
        self.family().iter().map(pages).sum::<u64>() * 4096
    }

    /// CPU time used so far.
    pub fn cpu(&self) -> std::time::Duration {
        const TICKS_PER_SECOND: u64 = 100;
        let ticks = |process: &u32| {
            let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
            let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
            fields.filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>()
        };
        let all: u64 = self.family().iter().map(ticks).sum();
        std::time::Duration::from_millis(all * 1000 / TICKS_PER_SECOND)
    }

    /// Waits for the end.
    pub fn wait(mut self) -> Ended {
        let output = self.output.wait_for_end();
        let status: ExitStatus = self.child.wait().unwrap();
        Ended { code: status.code(), output }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// === impl Dev ===

impl Dev {
    /// Starts `holm dev PATH` on a free port, with more arguments.
    pub fn start(path: &Path, arguments: &[&str]) -> Self {
        Self::try_start(path, arguments)
            .unwrap_or_else(|ended| panic!("holm dev ended with {:?}:\n{}", ended.code, ended.output))
    }

    /// As [`Dev::start`]; `Err` when it ends instead of getting ready.
    pub fn try_start(path: &Path, arguments: &[&str]) -> Result<Self, Ended> {
        let mut command = holm();
        command.arg("dev").arg(path).args(["--port", "0"]).args(arguments);
        let process = Process::spawn(command);
        match process.output.try_wait(Mark::default(), r"^Ready on http://(\S+)$") {
            Some(address) => Ok(Self { process, address: address.parse().unwrap() }),
            None => Err(process.wait()),
        }
    }

    pub fn client(&self) -> Client {
        Client::new(self.address)
    }

    /// What it has written, and will write.
    pub fn output(&self) -> &Output {
        &self.process.output
    }
}

// === impl Serve ===

impl Serve {
    /// Starts `holm serve`, whose records are lines of JSON, and waits until it serves.
    pub fn start(config: &Path) -> Self {
        Self::start_with(config, &[])
    }

    /// As [`Serve::start`], with more environment variables.
    pub fn start_with(config: &Path, environment: &[(&str, &str)]) -> Self {
        let mut command = holm();
        command.env("HOLM_LOG_FORMAT", "json").arg("serve").arg("--config").arg(config);
        command.envs(environment.iter().copied());
        let process = Process::spawn(command);
        process.output.wait_for(r#""message":"serving""#);
        Self { process }
    }

    /// As [`Serve::start`], in one process.
    pub fn start_single(config: &Path) -> Self {
        let mut command = holm();
        command.env("HOLM_LOG_FORMAT", "json").arg("serve").arg("--single-process").arg("--config").arg(config);
        let process = Process::spawn(command);
        process.output.wait_for(r#""message":"serving""#);
        Self { process }
    }

    /// As [`Serve::start`], with so many file descriptors.
    pub fn start_with_files(config: &Path, files: u32) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {files}; exec \"$0\" serve --config \"$1\"")]);
        command.arg(env!("CARGO_BIN_EXE_holm")).arg(config).env("HOLM_LOG_FORMAT", "json").stdin(Stdio::null());
        let process = Process::spawn(command);
        process.output.wait_for(r#""message":"serving""#);
        Self { process }
    }

    /// As [`Serve::start`], as a user that limits of the system hold for. Nobody else's files are in its way.
    pub fn start_unprivileged(project: &Project) -> (Self, Scratch) {
        let scratch = Scratch::new();
        let to = scratch.path();
        for from in [Path::new(env!("CARGO_BIN_EXE_holm")), project.path()] {
            assert!(Command::new("cp").arg("-r").args([from, to]).status().unwrap().success());
        }
        let program = to.join(Path::new(env!("CARGO_BIN_EXE_holm")).file_name().unwrap());
        let config = to.join(project.path().file_name().unwrap()).join("holm.toml");
        let mut command = unprivileged(&program);
        command.arg("serve").arg("--config").arg(config).env("HOLM_LOG_FORMAT", "json").stdin(Stdio::null());
        let process = Process::spawn(command);
        process.output.wait_for(r#""message":"serving""#);
        (Self { process }, scratch)
    }

    /// As [`Serve::start`], with the log going elsewhere; its addresses have to be known.
    pub fn start_with_log(config: &Path, format: &str, log: impl Into<Stdio>) -> std::process::Child {
        let mut command = holm();
        command.env("HOLM_LOG_FORMAT", format).arg("serve").arg("--config").arg(config);
        command.stdout(Stdio::null()).stderr(log).spawn().expect("the binary runs")
    }

    /// Starts `holm serve` with a configuration that it refuses.
    pub fn refused(config: &Path) -> Ended {
        run(["serve".as_ref(), "--config".as_ref(), config.as_os_str()])
    }

    pub fn output(&self) -> &Output {
        &self.process.output
    }

    /// The address of the plain listener.
    pub fn http(&self) -> Client {
        Client::new(self.address(|record| record["message"] == "listening" && record["tls"] == false))
    }

    /// The address of the TLS listener.
    pub fn https(&self) -> SocketAddr {
        self.address(|record| record["message"] == "listening" && record["tls"] == true)
    }

    /// The admin listener.
    pub fn admin(&self) -> Client {
        Client::new(self.address(|record| record["message"] == "admin listening"))
    }

    /// The value of a sample of `/metrics`, written as it stands there; 0 if there is none.
    pub fn metric(&self, sample: &str) -> f64 {
        let page = self.admin().get("/metrics").text();
        let line = page.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    fn address(&self, wanted: impl Fn(&Value) -> bool) -> SocketAddr {
        let record = self.records().into_iter().find(wanted).expect("a listener");
        record["address"].as_str().unwrap().parse().unwrap()
    }

    /// The process that serves now, by the last that said so.
    pub fn child(&self) -> u32 {
        let record = self.records().into_iter().rfind(|record| record["message"] == "serving").expect("a child");
        u32::try_from(record["pid"].as_u64().unwrap()).unwrap()
    }

    /// The log so far.
    pub fn records(&self) -> Vec<Value> {
        records(&self.output().text())
    }

    /// Waits for the record of the invocation whose URL ends so.
    pub fn invocation(&self, url_end: &str) -> Value {
        let line = self.output().wait_for(&format!(r#"^\{{.*{}".*"invocation".*\}}$"#, regex::escape(url_end)));
        serde_json::from_str(&line).unwrap()
    }
}

/// The records among lines of a log.
pub fn records(log: &str) -> Vec<Value> {
    log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
