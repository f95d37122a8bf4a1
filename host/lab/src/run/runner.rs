//! Several targets at once, one thread each; what was done so far is there at any time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sha2::{Digest, Sha256};

use super::bench::{Bench, BenchError, TargetKind, Values};
use super::outcome::{CaseResult, Skip, TargetReport, Verdict};
use super::steps::Play;
use crate::coded::{Coded, Context};
use crate::suite::model::{CardState, Case, Changes, Need, Suite};

/// Something to run on each target.
pub enum Item {
    /// A suite of data.
    Data(Suite),
    /// A suite of code.
    Code(Coded),
}

impl Item {
    /// The suite's name.
    pub fn id(&self) -> &str {
        match self {
            Self::Data(suite) => &suite.id,
            Self::Code(coded) => coded.id,
        }
    }

    /// Its cases, in the order of the file.
    pub fn cases(&self) -> Vec<Planned<'_>> {
        match self {
            Self::Data(suite) => suite
                .cases
                .iter()
                .map(|case| Planned {
                    case: format!("{}/{}", suite.id, case.id),
                    name: &case.name,
                    name_ja: case.name_ja.as_deref(),
                    state: case.state,
                    changes: case.changes,
                    needs: &case.needs,
                })
                .collect(),
            Self::Code(coded) => coded
                .tests
                .iter()
                .map(|test| Planned {
                    case: format!("{}/{}", coded.id, test.id),
                    name: test.name,
                    name_ja: Some(test.name_ja),
                    state: test.state,
                    changes: test.changes,
                    needs: test.needs,
                })
                .collect(),
        }
    }
}

/// A case before it is run.
#[derive(Debug, Clone)]
pub struct Planned<'i> {
    /// `suite/id`.
    pub case: String,
    /// What is tried, in English.
    pub name: &'i str,
    /// The same in Japanese, where there is such a text.
    pub name_ja: Option<&'i str>,
    /// The state it begins with.
    pub state: CardState,
    /// What it leaves on a card.
    pub changes: Changes,
    /// What it needs.
    pub needs: &'i [Need],
}

/// Opens a bench, in the thread of its target.
pub type OpenBench = Box<dyn FnOnce() -> Result<Box<dyn Bench>, BenchError> + Send>;

/// A card to be put to the test.
pub struct Target {
    /// Name, unique in the run.
    pub name: String,
    /// Simulated or in a reader.
    pub kind: TargetKind,
    /// Opens it.
    pub open: OpenBench,
}

/// How to run.
#[derive(Clone)]
pub struct Options {
    /// Only cases whose `suite/id` begins so; empty for all.
    pub only: Vec<String>,
    /// For random values in suites and for the fuzzer.
    pub seed: u64,
    /// How long the fuzzer and the soak test go on, in seconds.
    pub seconds: u64,
    /// Set to stop: the case under way ends, the rest is not run.
    pub stop: Arc<AtomicBool>,
}

/// Whether a case, as `suite/id`, begins as one of `only` does; all do where there is none.
pub fn is_wanted(only: &[String], case: &str) -> bool {
    only.is_empty() || only.iter().any(|only| case.starts_with(only))
}

impl Options {
    /// Whether a case, as `suite/id`, is to be run.
    pub fn wants(&self, case: &str) -> bool {
        is_wanted(&self.only, case)
    }

    /// Whether to stop.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// What happens, for people who watch.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A target could be opened; so many cases are ahead.
    Opened {
        /// Target.
        target: usize,
        /// Cases ahead.
        cases: usize,
    },
    /// A case begins.
    Started {
        /// Target.
        target: usize,
        /// `suite/id`.
        case: String,
    },
    /// A case is over.
    Finished {
        /// Target.
        target: usize,
        /// `suite/id`.
        case: String,
        /// How it came out.
        verdict: Verdict,
    },
    /// Somebody is asked to do something at the reader.
    Asked {
        /// Target.
        target: usize,
        /// What.
        ask: Ask,
    },
    /// A target is done, or could not be opened.
    Done {
        /// Target.
        target: usize,
    },
}

/// What a case asks of the person at the reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Take the card out, or unplug the reader.
    TakeOut,
    /// Put it back.
    PutBack,
}

impl Ask {
    /// Key of its text.
    pub const fn id(self) -> &'static str {
        match self {
            Self::TakeOut => "lab-ask-take-out",
            Self::PutBack => "lab-ask-put-back",
        }
    }
}

/// Reports of the targets, growing while the run goes on.
pub type Shared = Arc<Mutex<Vec<TargetReport>>>;

/// A run under way.
pub struct Run {
    /// What there is so far.
    pub reports: Shared,
    /// What happens; ends when all targets are done.
    pub events: Receiver<Event>,
}

/// A panic in one target's thread must not take the others' results.
pub fn lock(shared: &Shared) -> MutexGuard<'_, Vec<TargetReport>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts a thread for each target. The run is over when the events end.
pub fn run(targets: Vec<Target>, items: Vec<Item>, options: &Options) -> Run {
    let reports: Vec<TargetReport> = targets.iter().map(|t| TargetReport::new(&t.name, t.kind)).collect();
    let reports = Arc::new(Mutex::new(reports));
    let (sender, events) = channel();
    let items = Arc::new(items);
    for (index, target) in targets.into_iter().enumerate() {
        let worker =
            Worker { index, reports: Arc::clone(&reports), events: sender.clone(), options: options.clone() };
        let items = Arc::clone(&items);
        let name = target.name.clone();
        let spawned = thread::Builder::new().name(name).spawn(move || worker.work(target, &items));
        if let Err(error) = spawned {
            lock(&reports)[index].error = Some(error.to_string());
        }
    }
    Run { reports, events }
}

/// Runs everything on one bench, in this thread.
pub fn run_on(name: &str, bench: &mut dyn Bench, items: &[Item], options: &Options) -> TargetReport {
    let reports = Arc::new(Mutex::new(vec![TargetReport::new(name, bench.kind())]));
    let worker =
        Worker { index: 0, reports: Arc::clone(&reports), events: channel().0, options: options.clone() };
    let (clock, mut gone) = (Instant::now(), false);
    for item in items {
        worker.item(bench, item, &mut gone);
    }
    worker.totals(bench, clock);
    let mut reports = lock(&reports);
    reports.remove(0)
}

struct Worker {
    index: usize,
    reports: Shared,
    events: Sender<Event>,
    options: Options,
}

impl Worker {
    fn report(&self, change: impl FnOnce(&mut TargetReport)) {
        if let Some(report) = lock(&self.reports).get_mut(self.index) {
            change(report);
        }
    }

    fn tell(&self, event: Event) {
        // Whoever listened is gone; the report is what counts.
        let _ = self.events.send(event);
    }

    fn work(&self, target: Target, items: &[Item]) {
        let clock = Instant::now();
        let target_index = self.index;
        match (target.open)() {
            Err(error) => self.report(|r| r.error = Some(error.to_string())),
            Ok(mut bench) => {
                let identity = super::identity::read(bench.as_mut());
                self.report(|r| r.identity = identity);
                let cases =
                    items.iter().flat_map(Item::cases).filter(|c| self.options.wants(&c.case)).count();
                self.tell(Event::Opened { target: target_index, cases });
                let mut gone = false;
                for item in items {
                    self.item(bench.as_mut(), item, &mut gone);
                    self.totals(bench.as_mut(), clock);
                }
                let traced = bench.tape().finish();
                self.report(|r| r.trace_error = traced.err().map(|error| error.to_string()));
            }
        }
        self.tell(Event::Done { target: target_index });
    }

    fn totals(&self, bench: &mut dyn Bench, clock: Instant) {
        let tape = bench.tape();
        let events = bench.events();
        self.report(|r| {
            r.apdus = tape.count();
            r.bytes = tape.bytes();
            r.seconds = clock.elapsed().as_secs_f64();
            r.events.extend(events);
        });
    }

    fn is_wanted(&self, suite: &str, case: &str) -> bool {
        self.options.wants(&format!("{suite}/{case}"))
    }

    fn item(&self, bench: &mut dyn Bench, item: &Item, gone: &mut bool) {
        match item {
            Item::Data(suite) => {
                // Cases of one state together: reaching it is what takes time. The order within a state stays.
                let mut cases: Vec<&Case> = suite.cases.iter().collect();
                cases.sort_by_key(|c| (c.state, c.changes));
                for case in cases.into_iter().filter(|c| self.is_wanted(&suite.id, &c.id)) {
                    let about = About {
                        suite: &suite.id,
                        id: &case.id,
                        name: &case.name,
                        name_ja: case.name_ja.as_deref(),
                        reason: &case.reason,
                        section: &case.section,
                        state: case.state,
                        changes: case.changes,
                        needs: &case.needs,
                    };
                    self.one(bench, &about, gone, &mut |bench, values, _| {
                        self.play(bench, suite, case, &values)
                    });
                }
            }
            Item::Code(coded) => {
                for test in coded.tests.iter().filter(|t| self.is_wanted(coded.id, t.id)) {
                    let about = About {
                        suite: coded.id,
                        id: test.id,
                        name: test.name,
                        name_ja: Some(test.name_ja),
                        reason: test.reason,
                        section: "",
                        state: test.state,
                        changes: test.changes,
                        needs: test.needs,
                    };
                    self.one(bench, &about, gone, &mut |bench, values, remarks| {
                        let mut figures = std::collections::BTreeMap::new();
                        let rng = self.rng(coded.id, test.id);
                        let mut context = Context {
                            bench,
                            values,
                            figures: &mut figures,
                            rng,
                            options: &self.options,
                            ask: &|ask| self.tell(Event::Asked { target: self.index, ask }),
                            remarks,
                        };
                        let verdict = (test.run)(&mut context);
                        self.report(|r| merge(&mut r.figures, figures));
                        verdict
                    });
                }
            }
        }
    }

    /// The same for a case whatever runs before it.
    fn rng(&self, suite: &str, case: &str) -> ChaCha20Rng {
        let seed = Sha256::digest(format!("{}/{suite}/{case}", self.options.seed));
        ChaCha20Rng::from_seed(seed.into())
    }

    fn play(&self, bench: &mut dyn Bench, suite: &Suite, case: &Case, values: &Values) -> Verdict {
        let mut figures = std::collections::BTreeMap::new();
        let mut rng = self.rng(&suite.id, &case.id);
        let mut verdict = Verdict::Passed;
        for _ in 0..case.repeat {
            let play = Play::new(suite, bench, values.clone(), &mut rng, &mut figures);
            verdict = match play {
                Ok(mut play) => play.run(&case.preparations, &case.steps, case.limit),
                Err(error) => Verdict::Broken { why: format!("{error:?}") },
            };
            if verdict != Verdict::Passed || self.options.stopped() {
                break;
            }
        }
        self.report(|r| merge(&mut r.figures, figures));
        verdict
    }

    fn one(&self, bench: &mut dyn Bench, about: &About<'_>, gone: &mut bool, run: &mut Body<'_>) {
        let case = format!("{}/{}", about.suite, about.id);
        let target = self.index;
        self.tell(Event::Started { target, case: case.clone() });
        let clock = Instant::now();
        let first = bench.tape().count() + 1;
        let mut remarks = Vec::new();
        let verdict = match self.obstacle(bench, about, *gone) {
            Some(skip) => Verdict::Skipped(skip),
            None => match bring(bench, about.state, gone, &self.options.stop) {
                Ok(values) => {
                    bench.tape().begin();
                    let verdict = run(bench, values, &mut remarks);
                    bench.left(about.changes);
                    verdict
                }
                Err(BenchError::State { reason, state }) => {
                    Verdict::Broken { why: format!("{state}: {reason}") }
                }
                Err(error) => Verdict::Broken { why: error.to_string() },
            },
        };
        let (exchanges, left_out) = bench.tape().take();
        let untraced = bench.tape().untraced();
        if untraced > 0 {
            remarks.push(format!("{untraced} exchanges are not in the trace"));
        }
        // A lost card comes back before the next case, or all that follows is said to have met none.
        if !*gone && !verdict.is_good() && bench.card().reset().is_err() {
            *gone = bench.recover(&self.options.stop).is_err();
        }
        let result = CaseResult {
            suite: about.suite.to_owned(),
            id: about.id.to_owned(),
            name: about.name.to_owned(),
            name_ja: about.name_ja.map(str::to_owned),
            reason: about.reason.to_owned(),
            section: about.section.to_owned(),
            verdict: verdict.clone(),
            ms: clock.elapsed().as_secs_f64() * 1000.0,
            trace: (first, (bench.tape().count() + 1).saturating_sub(first)),
            exchanges,
            exchanges_left_out: left_out,
            remarks,
        };
        self.report(|r| r.cases.push(result));
        self.tell(Event::Finished { target, case, verdict });
    }

    fn obstacle(&self, bench: &mut dyn Bench, about: &About<'_>, gone: bool) -> Option<Skip> {
        if self.options.stopped() {
            return Some(Skip::Stopped);
        }
        if gone {
            return Some(Skip::CardGone);
        }
        if let Some(need) = about.needs.iter().find(|need| !bench.can(**need)) {
            return Some(Skip::Needs(need.name()));
        }
        if !bench.may(about.changes) {
            return Some(if about.changes == Changes::ForGood { Skip::ForGood } else { Skip::Changes });
        }
        None
    }
}

/// Brings the card into the state. One that went away since the case before is waited for, and no fault of this case; the
/// last says whether it did not come back, or another one in its place.
fn bring(
    bench: &mut dyn Bench,
    state: CardState,
    gone: &mut bool,
    stop: &AtomicBool,
) -> Result<Values, BenchError> {
    match bench.bring(state) {
        Err(error) if error.is_loss() => {
            let back = bench.recover(stop);
            *gone = back.is_err();
            back.and_then(|()| bench.bring(state))
        }
        brought => brought,
    }
}

/// What a case does on a card that is in its state; remarks go into the last.
type Body<'b> = dyn FnMut(&mut dyn Bench, Values, &mut Vec<String>) -> Verdict + 'b;

/// What a case is, whether of data or of code.
struct About<'a> {
    suite: &'a str,
    id: &'a str,
    name: &'a str,
    name_ja: Option<&'a str>,
    reason: &'a str,
    section: &'a str,
    state: CardState,
    changes: Changes,
    needs: &'a [Need],
}

fn merge(
    into: &mut std::collections::BTreeMap<String, super::outcome::Figure>,
    from: std::collections::BTreeMap<String, super::outcome::Figure>,
) {
    for (name, figure) in from {
        let entry = into.entry(name).or_default();
        entry.unit = figure.unit;
        entry.values.extend(figure.values);
    }
}
