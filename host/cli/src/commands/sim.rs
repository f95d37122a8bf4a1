//! `jpkise sim`: the simulated GP-SE in a virtual reader.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use jpkise_card::Card;
use jpkise_gpse::vpcd::{self, End, Event, Options};
use jpkise_gpse::GpSe;
use jpkise_lab::simulator::KeptCard;
use serde_json::json;

use crate::app::App;
use crate::args::SimArgs;
use crate::connect::{keep, personalize, simulated, Traces};
use crate::error::CliError;
use crate::exit::Exit;
use crate::i18n::Text;

/// Starts the card and serves it until Ctrl-C.
pub fn run(app: &App, arguments: &SimArgs) -> Result<(), CliError> {
    check_address(&arguments.vpcd)?;
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))
        .map_err(|e| CliError::internal(e.to_string()))?;

    let apdus = match live(app, arguments, &stop) {
        Ok(apdus) => apdus,
        // Ctrl-C reaches the process that runs the applets too; that it ends is what was asked for.
        Err(error) if error.exit == Exit::NoCard && stop.load(Ordering::Relaxed) => 0,
        Err(error) => return Err(error),
    };
    app.talk(&Text::new("sim-stopped").count("apdus", apdus));
    app.json(&json!({ "apdus": apdus }))
}

/// The card's life; returns the number of commands it was sent through the reader.
fn live(app: &App, arguments: &SimArgs, stop: &AtomicBool) -> Result<u64, CliError> {
    let (mut card, mut kept) = simulated(&arguments.card)?;
    app.talk(&Text::new("sim-start").with("runtime", card.transport_mut().runtime_name()));
    let traces = Traces::watch(app, &mut card, None)?;
    if arguments.card.personalized {
        personalize(app, &mut card, &arguments.card)?;
        keep(&mut kept)?;
    }
    let served = serve(app, &mut card, arguments, stop, &mut kept);
    let closed = traces.close();
    let saved = keep(&mut kept);
    let apdus = served?;
    saved?;
    closed?;
    Ok(apdus)
}

fn serve(
    app: &App,
    card: &mut Card<GpSe>,
    arguments: &SimArgs,
    stop: &AtomicBool,
    kept: &mut Option<KeptCard>,
) -> Result<u64, CliError> {
    let options =
        Options { address: arguments.vpcd.clone(), leave_after: arguments.leave_after, ..Options::default() };
    let say = |key| app.talk(&Text::new(key).with("address", &arguments.vpcd));
    let (mut apdus, mut seen) = (0, false);
    let mut saved = Ok(());
    let left = |apdus| arguments.leave_after.is_some_and(|after| after.get() == apdus);
    say("sim-offering");
    let end = vpcd::serve(&options, &mut card.served(), stop, &mut |event| match event {
        // The first power-on is when PC/SC programs begin to see the card.
        Event::Reset { .. } if !seen => {
            seen = true;
            say("sim-waiting");
        }
        Event::Ignored => say("sim-ignored"),
        Event::Overlooked => say("sim-overlooked"),
        Event::Disconnected if !stop.load(Ordering::Relaxed) && !left(apdus) => {
            seen = false;
            say("sim-reader-gone");
        }
        Event::Exchange { .. } => apdus += 1,
        // Between two sessions nobody waits for an answer.
        Event::PoweredOff if saved.is_ok() => saved = keep(kept),
        _ => {}
    })?;
    if end == End::Left {
        say("sim-left");
    }
    saved?;
    Ok(apdus)
}

fn check_address(address: &str) -> Result<(), CliError> {
    let valid = address
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|p| p != 0));
    if valid {
        return Ok(());
    }
    Err(CliError::new(Exit::Usage, Text::new("err-address").with("address", address))
        .next(Text::new("rec-address")))
}
