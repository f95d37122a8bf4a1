//! The cards of a run: readers and simulated ones, each with its trace and its keys.

use std::fs::File;
use std::io::LineWriter;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use jpkise_card::pcsc::{find_reader, list_readers, Reader};
use jpkise_card::trace::{create_file, StartRecord, Watcher};
use jpkise_gp::keys::{KeySource, KeySpec, KeySpecError, SoftwareKeys};
use jpkise_gpse::Profile;
use jpkise_lab::run::bench::{Bench, BenchError, TargetKind};
use jpkise_lab::run::reader::{ReaderBench, ReaderOptions};
use jpkise_lab::run::runner::Target;
use jpkise_lab::run::simulated::SimulatedBench;
use jpkise_lab::run::Tape;
use jpkise_lab::simulator::{self, ProfileSource, StartError};
use time::format_description::well_known::Rfc3339;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::app::{talk_line, App};
use crate::args::LabArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::explain::file_not_written;
use crate::i18n::Text;

/// How long a card that went away is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// One target for each reader, and the simulated card where it is asked for or nothing else is.
pub(super) fn targets(
    app: &App,
    arguments: &LabArgs,
    out: &Path,
    now: OffsetDateTime,
) -> Result<(Vec<Target>, Vec<PathBuf>), CliError> {
    let mut wanted = app.global.reader.clone();
    if wanted.is_empty() && arguments.simulated() == 0 {
        wanted.extend(app.reader());
    }
    let mut targets = Vec::new();
    let mut traces = Vec::new();
    if !wanted.is_empty() {
        let readers = list_readers()?;
        for name in &wanted {
            let reader = find_reader(&readers, Some(name))?.clone();
            if targets.iter().any(|t: &Target| t.name == reader.name) {
                let text = Text::new("lab-err-twice").with("name", &reader.name);
                return Err(CliError::new(Exit::Usage, text));
            }
            let keys = issuer_keys(app, arguments, None)?;
            let (file, path) = trace_file(out, traces.len())?;
            traces.push(path);
            targets.push(real(app, arguments, reader, keys, file, now));
        }
    }
    let simulated_cards = arguments.simulated().max(usize::from(targets.is_empty()));
    for index in 0..simulated_cards {
        let path = arguments.profile.get(index).cloned();
        // One card is "sim"; several go by their profiles.
        let stem = path.as_ref().and_then(|p| p.file_stem()).filter(|_| simulated_cards > 1);
        let stem = stem.map_or("sim".into(), |stem| stem.to_string_lossy());
        let taken = |name: &str| targets.iter().any(|t: &Target| t.name == name);
        let names = std::iter::once(stem.to_string()).chain((2..).map(|n| format!("{stem}-{n}")));
        let name = names.into_iter().find(|name| !taken(name)).unwrap_or_default();
        let profile = ProfileSource::from(path).profile().map_err(StartError::from)?;
        let keys = issuer_keys(app, arguments, Some(&profile))?;
        let (file, path) = trace_file(out, traces.len())?;
        traces.push(path);
        targets.push(simulated(app, name, profile, keys, file, now));
    }
    Ok((targets, traces))
}

fn trace_file(out: &Path, index: usize) -> Result<(File, PathBuf), CliError> {
    let name = if index == 0 { "trace.jsonl".to_owned() } else { format!("trace-{}.jsonl", index + 1) };
    let path = out.join(name);
    let file = create_file(&path).map_err(|e| file_not_written(&path, &e).next(Text::new("lab-rec-out")))?;
    Ok((file, path))
}

fn started(now: OffsetDateTime) -> Option<String> {
    now.format(&Rfc3339).ok()
}

/// Writes the trace, and shows the exchanges to who asked for it.
fn tape(file: File, start: &StartRecord, verbose: bool) -> Tape {
    let tape = Tape::to(LineWriter::new(file), start);
    if verbose {
        tape.show_to(Box::new(Watcher::new(talk_line)));
    }
    tape
}

fn real(
    app: &App,
    arguments: &LabArgs,
    reader: Reader,
    keys: Option<SoftwareKeys>,
    file: File,
    now: OffsetDateTime,
) -> Target {
    let options = ReaderOptions {
        reader: reader.name.clone(),
        destructive: arguments.destructive.clone(),
        for_good: arguments.for_good,
        attended: arguments.attended,
        timeout: Duration::from_secs(arguments.timeout.max(1)),
        patience: PATIENCE,
    };
    let name = reader.name.clone();
    let verbose = app.global.verbose;
    let open = move || {
        let start = StartRecord::new(&reader.name, reader.atr.as_deref().unwrap_or_default(), started(now));
        let tape = tape(file, &start, verbose);
        let keys = keys.map(|keys| Rc::new(keys) as Rc<dyn KeySource>);
        Ok(Box::new(ReaderBench::open(options, keys, tape, now)?) as Box<dyn Bench>)
    };
    Target { name, kind: TargetKind::Reader, open: Box::new(open) }
}

fn simulated(
    app: &App,
    name: String,
    profile: Profile,
    keys: Option<SoftwareKeys>,
    file: File,
    now: OffsetDateTime,
) -> Target {
    let verbose = app.global.verbose;
    let open = move || {
        let start = StartRecord::new("simulated GP-SE (jcvm)", &[], started(now));
        let tape = tape(file, &start, verbose);
        let keys = match keys {
            Some(keys) => keys,
            None => simulator::test_keys().map_err(|e| BenchError::Open(e.to_string()))?,
        };
        Ok(Box::new(SimulatedBench::new(profile, Rc::new(keys), tape, now)?) as Box<dyn Bench>)
    };
    Target { name, kind: TargetKind::Simulated, open: Box::new(open) }
}

/// Keys of the issuer security domain as named, else those of the simulated card's profile. On a real card the published
/// ones only with `--lab`, and none at all where none are named: then cases that need a channel are not run.
fn issuer_keys(
    app: &App,
    arguments: &LabArgs,
    simulated: Option<&Profile>,
) -> Result<Option<SoftwareKeys>, CliError> {
    let named = &arguments.keys;
    let options = KeySpec {
        key: named.key.clone().map(Zeroizing::new),
        enc: named.enc.clone().map(Zeroizing::new),
        mac: named.mac.clone().map(Zeroizing::new),
        dek: named.dek.clone().map(Zeroizing::new),
        kvn: named.kvn.clone(),
        diversification: named.kdf.clone(),
    };
    let environment = KeySpec::from_environment(|name| std::env::var(name).ok());
    let keys = match KeySpec::first_of(options, named.key_file.as_deref(), environment) {
        Ok((spec, _)) => spec.keys()?,
        Err(KeySpecError::Missing) if simulated.is_some() => {
            return Ok(simulated.and_then(simulator::profile_keys));
        }
        Err(KeySpecError::Missing) if app.global.lab => {
            simulator::test_keys().map_err(|e| CliError::internal(e.to_string()))?
        }
        Err(KeySpecError::Missing) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if keys.has_published_key() && simulated.is_none() && !app.global.lab {
        return Err(CliError::new(Exit::Policy, Text::new("err-test-key")).next(Text::new("rec-test-key")));
    }
    Ok(Some(keys))
}
