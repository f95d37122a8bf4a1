//! From the flags to a connected card, with the trace and `-v` watching: a reader's card, or a simulated one.

use std::path::{Path, PathBuf};

use jpkise_card::pcsc::{find_reader, list_readers, ConnectOptions, PcscTransport};
use jpkise_card::trace::{create_file, Recorder, StartRecord, TraceHandle, Watcher};
use jpkise_card::{Card, Transport};
use jpkise_gpse::GpSe;
use jpkise_lab::simulator::{KeptCard, SimulatorOptions};
use jpkise_lab::{chain, secrets};
use time::format_description::well_known::Rfc3339;
use time::OffsetDateTime;

use crate::app::{talk_line, App};
use crate::args::{CardArgs, SimulatedArgs};
use crate::error::CliError;
use crate::exit::Exit;
use crate::explain::file_not_written;
use crate::i18n::Text;

/// A card, whatever is behind it.
pub type AnyCard = Card<Box<dyn Transport>>;

/// The card a command works on.
pub struct Target {
    /// The card.
    pub card: AnyCard,
    /// A simulated one: its keys are the public test keys, nothing real can be broken.
    pub simulated: bool,
    kept: Option<KeptCard>,
    traces: Traces,
}

/// Runs `work` on the card that the flags name. Whatever becomes of it, the traces are closed and a simulated card is
/// kept in its file, as a real one would keep what has happened to it.
pub fn with_card<R>(
    app: &App,
    arguments: &CardArgs,
    work: impl FnOnce(&mut Target) -> Result<R, CliError>,
) -> Result<R, CliError> {
    let mut target = open(app, arguments)?;
    let result = work(&mut target);
    let Target { card, mut kept, traces, .. } = target;
    drop(card);
    let closed = traces.close();
    let saved = keep(&mut kept);
    let result = result?;
    closed?;
    saved?;
    Ok(result)
}

fn open(app: &App, arguments: &CardArgs) -> Result<Target, CliError> {
    let (mut card, kept) = if arguments.is_simulated() {
        if !app.global.reader.is_empty() {
            return Err(CliError::new(Exit::Usage, Text::new("err-reader-or-sim")));
        }
        let (mut card, mut kept) = simulated(&arguments.simulated)?;
        if arguments.simulated.personalized {
            personalize(app, &mut card, &arguments.simulated)?;
            keep(&mut kept)?;
        }
        (Card::new(Box::new(card.into_transport()) as Box<dyn Transport>), kept)
    } else {
        (Card::new(Box::new(to_reader(app)?.into_transport()) as Box<dyn Transport>), None)
    };
    let traces = Traces::watch(app, &mut card, None)?;
    Ok(Target { card, simulated: arguments.is_simulated(), kept, traces })
}

/// The simulated card: a new one, or the one that its file keeps.
pub fn simulated(arguments: &SimulatedArgs) -> Result<(Card<GpSe>, Option<KeptCard>), CliError> {
    let options = SimulatorOptions {
        runtime: arguments.runtime.into(),
        profile: arguments.profile.clone().into(),
        state: arguments.state.clone(),
    };
    Ok(options.start()?)
}

/// Installs and personalises the JPKI applet with the lab's secrets, unless the card has it already: a card from a file
/// stays the user's own.
pub fn personalize(app: &App, card: &mut Card<GpSe>, arguments: &SimulatedArgs) -> Result<(), CliError> {
    if card.transport_mut().registry().application(&jpkise_jpki::edge::INSTANCE_AID).is_some() {
        app.talk(&Text::new("sim-personalized-before"));
        return Ok(());
    }
    app.talk(&Text::new("sim-personalizing"));
    let clock = std::time::Instant::now();
    let options =
        secrets::lab_options(arguments.token.into()).map_err(|e| CliError::internal(e.to_string()))?;
    chain::provision(card, &options, &mut |_| {})?;
    // Whoever connects next finds a card that was just powered on.
    card.reset()?;
    app.talk(
        &Text::new("sim-personalized")
            .with("ms", clock.elapsed().as_millis())
            .with("pin", secrets::PIN)
            .with("password", secrets::PASSWORD)
            .with("label", options.profile.label()),
    );
    Ok(())
}

/// Writes the card to its file, if it has one.
pub fn keep(kept: &mut Option<KeptCard>) -> Result<(), CliError> {
    let Some(kept) = kept else { return Ok(()) };
    kept.save().map_err(|error| {
        CliError::new(Exit::Internal, Text::new("err-state-write").with("path", kept.path().display()))
            .detail(error.to_string())
            .next(Text::new("rec-state-file"))
    })
}

/// The card in the reader that `--reader` names, or in the only reader there is.
pub fn to_reader(app: &App) -> Result<Card<PcscTransport>, CliError> {
    let readers = list_readers()?;
    let reader = find_reader(&readers, app.reader().as_deref())?;
    if reader.mute {
        return Err(CliError::new(Exit::NoCard, Text::new("err-timeout")).next(Text::new("rec-timeout")));
    }
    if !reader.has_card() {
        return Err(CliError::new(Exit::NoCard, Text::new("err-no-card").with("name", &reader.name))
            .next(Text::new("rec-no-card")));
    }
    Ok(Card::new(PcscTransport::connect(&reader.name, ConnectOptions::default())?))
}
/// Traces under way. Closed at the end of a run, so that a full disk is said and not swallowed.
#[derive(Default)]
pub struct Traces {
    open: Vec<(PathBuf, TraceHandle, &'static str)>,
}

impl Traces {
    /// Watches `card` for `-v`, for `--trace`, and for a trace of the command's own.
    pub fn watch<T: Transport>(app: &App, card: &mut Card<T>, own: Option<&Path>) -> Result<Self, CliError> {
        let mut traces = Self::default();
        let own = own.map(|path| (path, "rec-file"));
        let asked = app.global.trace.as_deref().map(|path| (path, "rec-trace-file"));
        for (path, next) in own.into_iter().chain(asked) {
            let file = create_file(path).map_err(|e| file_not_written(path, &e).next(Text::new(next)))?;
            let started = OffsetDateTime::now_utc().format(&Rfc3339).ok();
            let start = StartRecord::new(card.name(), card.atr(), started);
            let (recorder, handle) = Recorder::new(file, start);
            card.observe(Box::new(recorder));
            traces.open.push((path.to_owned(), handle, next));
        }
        if app.global.verbose {
            card.observe(Box::new(Watcher::new(talk_line)));
        }
        Ok(traces)
    }

    /// Ends the traces; the first that is not whole is an error.
    pub fn close(self) -> Result<(), CliError> {
        for (path, handle, next) in self.open {
            handle.close().map_err(|error| {
                let text = Text::new("err-trace-write").with("path", path.display());
                CliError::new(Exit::Internal, text).detail(error.to_string()).next(Text::new(next))
            })?;
        }
        Ok(())
    }
}
