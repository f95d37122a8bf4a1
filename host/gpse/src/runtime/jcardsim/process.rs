//! The child process: started, watched, ended.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use jpkise_card::TransportError;
use zeroize::Zeroizing;

use super::frame::{Frame, MAX_FRAME};
use super::Options;

/// Lines of the child's stderr kept for the error message.
const KEPT_LINES: usize = 12;
/// How often the deadline is looked at; a hang is noticed at most this late.
const WATCH_INTERVAL: Duration = Duration::from_millis(50);

/// How long a child whose pipes are shut may take to exit.
const GRACE: Duration = Duration::from_millis(300);

/// State shared with the thread that watches the deadline.
#[derive(Debug)]
struct Watch {
    child: Mutex<Child>,
    /// Milliseconds since `epoch` at which the request under way is given up; 0 while there is none.
    deadline: AtomicU64,
    timed_out: AtomicBool,
    epoch: Instant,
}

impl Watch {
    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Ends the child and collects it, so that neither a process nor a zombie stays behind. A child that is about to
    /// end by itself gets `grace` to do so: its exit status tells more than our signal does.
    fn end(&self, grace: Duration) -> Option<String> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let patience = Instant::now();
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return Some(status.to_string()),
                Ok(None) if patience.elapsed() < grace => thread::sleep(Duration::from_millis(5)),
                _ => break,
            }
        }
        let _ = child.kill();
        let _ = child.wait();
        None
    }
}

/// A child process that speaks frames.
#[derive(Debug)]
pub(super) struct ChildProcess {
    id: u32,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    watch: Arc<Watch>,
    /// Dropping it ends the watching thread.
    _watched: Sender<()>,
    stderr: Arc<Mutex<VecDeque<String>>>,
    /// Reads stderr; `None` once it was waited for.
    reader: Option<JoinHandle<()>>,
    timeout: Duration,
    /// Why no request can be answered any more.
    ended: Option<String>,
}

impl ChildProcess {
    pub fn start(options: &Options) -> io::Result<Self> {
        let class_path = std::env::join_paths(std::iter::once(&options.jar).chain(&options.class_path))
            .map_err(io::Error::other)?;
        let mut child = Command::new(&options.java)
            // Quick to start, small, and random where jCardSim's default is not.
            .args(["-XX:+UseSerialGC", "-Xshare:auto", "-Xmx256m"])
            .arg("-Dcom.licel.jcardsim.randomdata.secure=1")
            .arg("-cp")
            .arg(class_path)
            .arg("jp.jpkise.sim.host.Main")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(io::Error::other("the process has no pipes"));
        };
        let id = child.id();
        let watch = Arc::new(Watch {
            child: Mutex::new(child),
            deadline: AtomicU64::new(0),
            timed_out: AtomicBool::new(false),
            epoch: Instant::now(),
        });
        let (watched, alive) = mpsc::channel();
        let watching = Arc::clone(&watch);
        thread::Builder::new().name("jcardsim-watch".into()).spawn(move || {
            while alive.recv_timeout(WATCH_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                let deadline = watching.deadline.load(Ordering::Acquire);
                if deadline != 0 && watching.now() >= deadline {
                    watching.timed_out.store(true, Ordering::Release);
                    watching.end(Duration::ZERO);
                    break;
                }
            }
        })?;
        let lines = Arc::new(Mutex::new(VecDeque::new()));
        let kept = Arc::clone(&lines);
        let reader = thread::Builder::new();
        let reader = reader.name("jcardsim-stderr".into()).spawn(move || forward(stderr, &kept))?;
        Ok(Self {
            id,
            stdin,
            stdout: BufReader::new(stdout),
            watch,
            _watched: watched,
            stderr: lines,
            reader: Some(reader),
            timeout: options.timeout,
            ended: None,
        })
    }

    pub fn id(&self) -> u32 {
        self.id
    }

    /// Sends a frame and starts the time allowed for the answer.
    pub fn send(&mut self, frame: Frame) -> Result<(), TransportError> {
        if let Some(reason) = &self.ended {
            return Err(TransportError::ProcessEnded(reason.clone()));
        }
        let allowed = u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX);
        self.watch.deadline.store(self.watch.now().saturating_add(allowed).max(1), Ordering::Release);
        let bytes = frame.finish();
        let written = self.stdin.write_all(&bytes).and_then(|()| self.stdin.flush());
        written.map_err(|error| self.lost(&error))
    }

    /// The next frame, without its length.
    pub fn receive(&mut self) -> Result<Zeroizing<Vec<u8>>, TransportError> {
        let mut length = [0; 4];
        let mut frame = Zeroizing::new(Vec::new());
        let read = self.stdout.read_exact(&mut length).and_then(|()| {
            let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
            if length == 0 || length > MAX_FRAME {
                return Err(io::Error::other(format!("a frame of {length} bytes")));
            }
            frame.resize(length, 0);
            self.stdout.read_exact(&mut frame)
        });
        match read {
            Ok(()) => Ok(frame),
            Err(error) => Err(self.lost(&error)),
        }
    }

    /// Nothing is under way: the process may take its time.
    pub fn rest(&self) {
        self.watch.deadline.store(0, Ordering::Release);
    }

    /// Ends the process for a reason of ours.
    pub fn give_up(&mut self, reason: &str) -> TransportError {
        self.watch.end(Duration::ZERO);
        self.ended = Some(reason.to_owned());
        TransportError::ProcessEnded(reason.to_owned())
    }

    /// What the child wrote before it ended is in its pipe, but perhaps not read yet. A process of its own that holds
    /// the pipe open is not waited for.
    fn wait_for_last_words(&mut self) {
        let Some(reader) = self.reader.take() else { return };
        let patience = Instant::now();
        while !reader.is_finished() {
            if patience.elapsed() >= GRACE {
                return;
            }
            thread::sleep(Duration::from_millis(2));
        }
        // It only forwards lines; a panic in it would be the subscriber's and takes nothing away here.
        let _ = reader.join();
    }

    fn lost(&mut self, error: &io::Error) -> TransportError {
        let status = self.watch.end(GRACE);
        self.rest();
        if self.watch.timed_out.load(Ordering::Acquire) {
            self.ended = Some(format!("ended after {:?} without an answer", self.timeout));
            return TransportError::Timeout(self.timeout);
        }
        self.wait_for_last_words();
        let mut reason = status.unwrap_or_else(|| error.to_string());
        let lines = self.stderr.lock().unwrap_or_else(PoisonError::into_inner);
        for line in lines.iter() {
            reason.push_str("\n  ");
            reason.push_str(line);
        }
        drop(lines);
        self.ended = Some(reason.clone());
        TransportError::ProcessEnded(reason)
    }
}

impl Drop for ChildProcess {
    fn drop(&mut self) {
        // Nothing in the process outlives the card, so it need not be asked politely.
        self.watch.end(Duration::ZERO);
    }
}

/// The child's stderr: stack traces of applets and what libraries print.
fn forward(stderr: ChildStderr, kept: &Mutex<VecDeque<String>>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        tracing::warn!(target: "jpkise_gpse::jcardsim", "{line}");
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT_LINES {
            kept.pop_front();
        }
        kept.push_back(line);
    }
}
