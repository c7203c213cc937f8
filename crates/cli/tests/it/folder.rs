//! A folder to run `baton` in, and what a run or a server gives.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Removed at the end.
pub(crate) struct Folder(TempDir);

/// What a run gave.
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Folder {
    pub(crate) fn empty() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// Files by path, with their text.
    pub(crate) fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self::empty();
        for (path, text) in files {
            folder.write(path, text);
        }
        folder
    }

    /// What `baton init` makes.
    pub(crate) fn init() -> Self {
        let folder = Self::empty();
        folder.run(&["init", "classify-ticket"]).done();
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn command(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_baton"));
        command.args(arguments).current_dir(self.path()).env_clear().envs(environment.iter().copied());
        command
    }

    /// Runs to the end, nothing on standard input, nothing in the environment.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, &[], "")
    }

    pub(crate) fn run_with(&self, arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Ran {
        let mut command = self.command(arguments, environment);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // One that does not read its input may be gone by now.
        let _unread = child.stdin.take().unwrap().write_all(input.as_bytes());
        Ran::of(child.wait_with_output().unwrap())
    }

    /// Starts a server, and waits for the first line that it prints.
    pub(crate) fn serve(&self, arguments: &[&str]) -> Server {
        self.serve_with(arguments, &[])
    }

    pub(crate) fn serve_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Server {
        self.start(arguments, environment, Stdio::piped())
    }

    /// With a standard error that is full and that nobody reads, as long as the second lives.
    pub(crate) fn serve_unread(&self, arguments: &[&str], environment: &[(&str, &str)]) -> (Server, UnixStream) {
        let (mut full, unread) = UnixStream::pair().unwrap();
        full.set_nonblocking(true).unwrap();
        while full.write(&[b'.'; 4096]).is_ok() {}
        while full.write(b".").is_ok() {}
        full.set_nonblocking(false).unwrap();
        (self.start(arguments, environment, OwnedFd::from(full).into()), unread)
    }

    fn start(&self, arguments: &[&str], environment: &[(&str, &str)], stderr: Stdio) -> Server {
        let mut command = self.command(arguments, environment);
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().unwrap();
        let pipe = child.stderr.take();
        let err = std::thread::spawn(move || {
            let mut err = String::new();
            pipe.map(|mut pipe| pipe.read_to_string(&mut err).unwrap());
            err
        });
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let Some(address) = line.trim_end().strip_prefix("http://").map(str::to_owned) else {
            panic!("no address: {line}{}", err.join().unwrap());
        };
        Server { child: Some(child), out, err: Some(err), address }
    }
}

/// Asks until it is so; the end is for a test that fails.
#[track_caller]
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Ran {
    fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let status = output.status.code().unwrap_or(-1);
        Self { status, out: text(output.stdout), err: text(output.stderr) }
    }

    #[track_caller]
    pub(crate) fn done(self) -> Self {
        self.ends(0, "")
    }

    /// With this status, and this on standard error.
    #[track_caller]
    pub(crate) fn ends(self, status: i32, says: &str) -> Self {
        assert_eq!(self.status, status, "{}\n{}", self.out, self.err);
        assert!(self.err.contains(says), "`{says}` is not in:\n{}", self.err);
        self
    }

    /// Standard output, which is exactly one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.err))
    }
}

/// Killed at the end, where it did not stop before.
pub(crate) struct Server {
    child: Option<Child>,
    out: BufReader<ChildStdout>,
    err: Option<std::thread::JoinHandle<String>>,
    /// `127.0.0.1:PORT`.
    pub(crate) address: String,
}

impl Server {
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    /// Waits for the end.
    pub(crate) fn ended(mut self) -> Ran {
        let mut ran = Ran::of(self.child.take().unwrap().wait_with_output().unwrap());
        self.out.read_to_string(&mut ran.out).unwrap();
        ran.err = self.err.take().unwrap().join().unwrap();
        ran
    }

    pub(crate) fn stop(self) -> Ran {
        self.terminate();
        self.ended()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _gone = child.kill();
            let _reaped = child.wait();
        }
    }
}
