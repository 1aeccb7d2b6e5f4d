//! A child process: it ends with its value, at the latest with the test, and says what it said when the test fails.

use super::{DEADLINE, eventually};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

/// A running process.
pub(crate) struct Process {
    name: String,
    child: Child,
    lines: Receiver<String>,
    log_lines: Receiver<String>,
    said: Arc<Mutex<Said>>,
    status: Option<ExitStatus>,
}

/// What a process wrote.
#[derive(Default, Clone)]
pub(crate) struct Said {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// util-linux's `setpriv` makes the kernel end the child when the thread that started it ends, however that happens.
static WITH_SETPRIV: LazyLock<bool> = LazyLock::new(|| {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "true"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
});

/// The program under test, without what the surroundings say about it.
pub(crate) fn skerry() -> Command {
    bound_to_us(env!("CARGO_BIN_EXE_skerry"))
}

/// A command whose process does not outlive the test.
pub(crate) fn bound_to_us(program: &str) -> Command {
    let mut command = if *WITH_SETPRIV {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", program]);
        command
    } else {
        Command::new(program)
    };
    for (key, _) in std::env::vars_os() {
        if key.to_str().is_some_and(|key| key.starts_with("SKERRY_")) {
            command.env_remove(key);
        }
    }
    // A failed expectation is no place to symbolise thousands of backtraces of expected errors.
    command.env_remove("RUST_BACKTRACE");
    command
}

impl Process {
    /// Starts a command.
    #[track_caller]
    pub(crate) fn spawn(name: &str, mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        let said = Arc::new(Mutex::new(Said::default()));
        let (sender, lines) = channel();
        let (log_sender, log_lines) = channel();
        let out = child.stdout.take().expect("piped");
        let error = child.stderr.take().expect("piped");
        collect(out, Arc::clone(&said), |said| &mut said.stdout, sender);
        collect(error, Arc::clone(&said), |said| &mut said.stderr, log_sender);
        Self { name: name.to_owned(), child, lines, log_lines, said, status: None }
    }

    /// The next line on standard output.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        match self.lines.recv_timeout(DEADLINE) {
            Ok(line) => line,
            Err(error) => self.fails_to_start(error),
        }
    }

    /// Reads its log, of JSON lines, until each of these fields was in one of them; their values.
    #[track_caller]
    pub(crate) fn logged<const N: usize>(&mut self, fields: [&str; N]) -> [String; N] {
        let mut found = fields.map(|_| None);
        while found.contains(&None) {
            let line = match self.log_lines.recv_timeout(DEADLINE) {
                Ok(line) => line,
                Err(error) => self.fails_to_start(error),
            };
            let line: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            for (found, field) in found.iter_mut().zip(fields) {
                if let Some(value) = line["fields"][field].as_str() {
                    found.get_or_insert_with(|| value.to_owned());
                }
            }
        }
        found.map(Option::unwrap_or_default)
    }

    #[track_caller]
    fn fails_to_start(&mut self, error: RecvTimeoutError) -> ! {
        match error {
            RecvTimeoutError::Timeout => {
                panic!("{} is not ready within {DEADLINE:?}{}", self.name, self.log())
            }
            RecvTimeoutError::Disconnected => {
                let status = self.wait();
                panic!("{} ended with {status} instead of being ready{}", self.name, self.log())
            }
        }
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.ended().is_none()
    }

    /// The most memory that it ever had resident, in bytes (proc(5)).
    #[track_caller]
    pub(crate) fn resident_max(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        kib.and_then(|kib| kib.trim().parse::<u64>().ok()).expect("VmHWM") * 1024
    }

    /// Ends it as a power cut would, but for the page cache.
    pub(crate) fn kill_9(&mut self) {
        self.signal(Signal::SIGKILL);
        self.wait();
    }

    /// Asks it to stop, as Ctrl-C and systemd do, and waits until it has.
    #[track_caller]
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait()
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let what = format!("{} ends", self.name);
        eventually(&what, || self.ended())
    }

    /// Sends a signal, unless it has ended.
    pub(crate) fn signal(&mut self, signal: Signal) {
        if self.ended().is_none() {
            kill(Pid::from_raw(self.child.id().cast_signed()), signal).expect("our own child");
        }
    }

    /// Whether some text is anywhere in its memory.
    #[track_caller]
    pub(crate) fn remembers(&self, text: &[u8]) -> bool {
        /// Read at once; the end of each piece is read again with the next, so that no text falls between them.
        const PIECE: usize = 4 << 20;
        let folder = format!("/proc/{}", self.child.id());
        let maps = fs::read_to_string(format!("{folder}/maps")).expect("our own child");
        let memory = File::open(format!("{folder}/mem")).expect("our own child");
        let mut piece = vec![0; PIECE];
        for line in
            maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|mode| mode.starts_with("rw")))
        {
            let (start, end) =
                line.split(' ').next().and_then(|range| range.split_once('-')).expect("a range");
            let address = |text| u64::from_str_radix(text, 16).expect("an address");
            let (mut at, end) = (address(start), address(end));
            while at < end {
                // A region that went away meanwhile, or that the kernel keeps to itself.
                let Ok(len) = memory.read_at(&mut piece, at) else { break };
                if memchr::memmem::find(&piece[..len], text).is_some() {
                    return true;
                }
                at += if len > text.len() { len - text.len() } else { len.max(1) } as u64;
            }
        }
        false
    }

    /// Everything it wrote, once it has ended.
    pub(crate) fn said(&mut self) -> Said {
        self.wait();
        // The readers end with the pipes, and the lines with the readers.
        while self.lines.recv_timeout(DEADLINE).is_ok() {}
        while self.log_lines.recv_timeout(DEADLINE).is_ok() {}
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().expect("our own child");
        }
        self.status
    }

    fn log(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        format!("\n--- {} wrote\n{}{}---", self.name, said.stdout, said.stderr)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
        // It may have ended already, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Collects what comes out of a pipe, until it closes.
fn collect(
    pipe: impl Read + Send + 'static,
    said: Arc<Mutex<Said>>,
    part: fn(&mut Said) -> &mut String,
    lines: Sender<String>,
) {
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).split(b'\n') {
            let Ok(line) = line else { return };
            let line = String::from_utf8_lossy(&line).into_owned();
            {
                let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                let text = part(&mut said);
                text.push_str(&line);
                text.push('\n');
            }
            // Nobody may be reading any more.
            let _ = lines.send(line);
        }
    });
}
