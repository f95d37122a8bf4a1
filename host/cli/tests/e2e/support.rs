//! What the end-to-end tests share: the binary, a private pcscd with vpcd's readers, a running `jpkise sim`, tools.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// PIN and password of everything the simulator personalises.
pub const PIN: &str = "1234";
/// See [`PIN`].
pub const PASSWORD: &str = "ABC123";

/// The `jpkise` binary under test, in English.
pub fn jpkise(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jpkise"));
    command.args(arguments).env("JPKISE_LANG", "en").env_remove("JPKISE_READER").stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Output {
    let text = format!("{command:?}");
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.unwrap_or_else(|e| panic!("{text}: {e}"));
    finish(child, &text)
}

/// Nothing here takes that long on the slowest machine: what does hangs.
const HANG: Duration = Duration::from_secs(300);

/// Waits for a child with pipes, bounded.
pub fn finish(mut child: Child, text: &str) -> Output {
    let mut out = child.stdout.take().unwrap();
    let mut err = child.stderr.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        out.read_to_end(&mut bytes).unwrap();
        bytes
    });
    let error_reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        err.read_to_end(&mut bytes).unwrap();
        bytes
    });
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if started.elapsed() > HANG {
            let _ = child.kill();
            panic!("{text} did not end within {HANG:?}");
        }
        sleep(Duration::from_millis(10));
    };
    Output { status, stdout: reader.join().unwrap(), stderr: error_reader.join().unwrap() }
}

/// Standard output and standard error of a run, for assertions and their messages.
pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Asserts exit 0 and returns what was printed.
pub fn ok(command: &mut Command) -> String {
    let shown = format!("{command:?}");
    let output = run(command);
    assert!(output.status.success(), "{shown}\n{:?}\n{}", output.status, text(&output));
    text(&output)
}

/// Whether a program can be started at all.
pub fn have(program: &str, probe: &str) -> bool {
    Command::new(program).arg(probe).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// `None`, after one clear line, where a test's tools are missing; with `JPKISE_REQUIRE_PCSC` that is a failure.
pub fn require(programs: &[(&str, &str)]) -> Option<()> {
    let missing: Vec<_> = programs.iter().filter(|(p, probe)| !have(p, probe)).map(|(p, _)| *p).collect();
    if missing.is_empty() {
        return Some(());
    }
    skip(&format!("not installed: {}", missing.join(", ")));
    None
}

fn skip(why: &str) {
    assert!(std::env::var_os("JPKISE_REQUIRE_PCSC").is_none(), "must not be skipped here: {why}");
    eprintln!("SKIP end-to-end test: {why}");
}

/// A virtual reader for one test at a time: the one that `scripts/with-pcscd` made.
pub struct Reader {
    address: String,
    _turn: MutexGuard<'static, ()>,
}

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

impl Reader {
    /// Waits for its turn; `None`, after one clear line, where there is no such reader or no tools.
    pub fn take() -> Option<Self> {
        require(&[("opensc-tool", "--info"), ("pkcs11-tool", "--version"), ("openssl", "version")])?;
        let Ok(address) = std::env::var("JPKISE_TEST_VPCD") else {
            skip("no virtual reader; run it as: scripts/with-pcscd cargo test");
            return None;
        };
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let reader = Self { address, _turn: turn };
        Self::wait_until_empty();
        Some(reader)
    }

    /// Where its vpcd listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The service takes a moment to see that a card has left.
    pub fn wait_until_empty() {
        let started = Instant::now();
        while text(&run(&mut jpkise(&["readers", "--json"]))).contains("\"atr\"") {
            assert!(started.elapsed() < Duration::from_secs(30), "a card stays in the reader");
            sleep(Duration::from_millis(50));
        }
    }
}

/// Where Debian's package puts OpenSC's PKCS#11 module.
pub fn pkcs11_module() -> PathBuf {
    for directory in ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"] {
        let path = Path::new(directory).join("opensc-pkcs11.so");
        if path.exists() {
            return path;
        }
    }
    panic!("opensc-pkcs11.so not found");
}

/// `jpkise sim` in a vpcd slot.
pub struct Sim {
    child: Child,
}

impl Sim {
    /// Starts it, and does not wait.
    pub fn spawn(address: &str, arguments: &[&str]) -> Self {
        let child = jpkise(&[&["sim", "--vpcd", address], arguments].concat())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        Self { child }
    }

    /// Starts it and waits until PC/SC sees the card.
    pub fn start(reader: &Reader, arguments: &[&str]) -> Self {
        let mut sim = Self::spawn(&reader.address, arguments);
        let started = Instant::now();
        loop {
            let listed = run(&mut jpkise(&["readers", "--json"]));
            if String::from_utf8_lossy(&listed.stdout).contains("\"atr\"") {
                return sim;
            }
            if let Some(status) = sim.child.try_wait().unwrap() {
                panic!("jpkise sim ended: {status}");
            }
            assert!(started.elapsed() < Duration::from_secs(60), "no card in the reader: {}", text(&listed));
            sleep(Duration::from_millis(50));
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ctrl-C; returns the exit status.
    pub fn interrupt(self) -> std::process::ExitStatus {
        let _ = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        self.finish()
    }

    /// Waits until it ends by itself, as after `--leave-after`.
    pub fn finish(mut self) -> std::process::ExitStatus {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(30) {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            sleep(Duration::from_millis(10));
        }
        panic!("jpkise sim does not end");
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Process ids of a process's children.
pub fn children(pid: u32) -> Vec<u32> {
    let output = Command::new("pgrep").args(["-P", &pid.to_string()]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).lines().filter_map(|l| l.trim().parse().ok()).collect()
}

/// The commands of a trace whose bytes it shows, a line each.
pub fn commands(trace: &str) -> String {
    let records = trace.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    records.filter_map(|r| Some(r.get("command")?.as_str()?.to_uppercase() + "\n")).collect()
}
