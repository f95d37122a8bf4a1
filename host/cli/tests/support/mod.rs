//! What the end-to-end tests share: the binary, a private pcscd with vpcd's readers, a running `jpkise sim`, tools.

use std::fs::File;
use std::io::Read;
use std::net::TcpStream;
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

/// Runs a command to its end; a run of more than a minute is a hang.
pub fn run(command: &mut Command) -> Output {
    let text = format!("{command:?}");
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.unwrap_or_else(|e| panic!("{text}: {e}"));
    finish(child, &text, Duration::from_secs(60))
}

/// Waits for a child with pipes, bounded.
pub fn finish(mut child: Child, text: &str, limit: Duration) -> Output {
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
        if started.elapsed() > limit {
            let _ = child.kill();
            panic!("{text} did not end within {limit:?}");
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
    assert!(std::env::var_os("JPKISE_REQUIRE_PCSC").is_none(), "missing here: {missing:?}");
    eprintln!("SKIP end-to-end test: not installed: {}", missing.join(", "));
    None
}

/// Programs of the PC/SC tests.
pub const PCSC_TOOLS: &[(&str, &str)] =
    &[("pcscd", "--version"), ("opensc-tool", "--info"), ("openssl", "version"), ("flock", "--version")];

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

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A pcscd of our own with vpcd's two readers. Tests of one process take turns by a mutex, processes by a file lock.
pub struct Pcscd {
    child: Child,
    log: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

impl Pcscd {
    /// Starts it and waits until vpcd listens.
    pub fn start() -> Self {
        let turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let log = std::env::temp_dir().join(format!("jpkise-pcscd-{}.log", std::process::id()));
        let file = File::create(&log).unwrap();
        // The lock goes with the process (flock -F replaces itself), so a killed test run leaves none behind.
        let child = Command::new("flock")
            .args(["-F", "-x", "-w", "300"])
            .arg(std::env::temp_dir().join("jpkise-pcscd.lock"))
            .args(["pcscd", "--foreground"])
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        let mut pcscd = Self { child, log, _turn: turn };
        pcscd.wait_for(Duration::from_secs(320), || TcpStream::connect(("127.0.0.1", 35964)).is_ok());
        // The probe above was a card in the second slot for an instant; let vpcd see it leave.
        sleep(Duration::from_millis(100));
        pcscd
    }

    fn wait_for(&mut self, limit: Duration, mut condition: impl FnMut() -> bool) {
        let started = Instant::now();
        while !condition() {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("pcscd ended: {status}\n{}", std::fs::read_to_string(&self.log).unwrap_or_default());
            }
            assert!(started.elapsed() < limit, "pcscd is not ready after {limit:?}");
            sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Pcscd {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let started = Instant::now();
        while self.child.try_wait().is_ok_and(|s| s.is_none()) && started.elapsed() < Duration::from_secs(5) {
            sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(&self.log);
    }
}

/// `jpkise sim` in a vpcd slot.
pub struct Sim {
    child: Child,
}

impl Sim {
    /// Starts it and waits until PC/SC sees the card.
    pub fn start(arguments: &[&str]) -> Self {
        let child = jpkise(&[&["sim"], arguments].concat())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut sim = Self { child };
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
    pub fn interrupt(mut self) -> std::process::ExitStatus {
        let _ = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(10) {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            sleep(Duration::from_millis(10));
        }
        panic!("jpkise sim does not end at Ctrl-C");
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
