//! `jpkise sim`: the simulated GP-SE in a virtual reader.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Instant;

use jpkise_card::Card;
use jpkise_gpse::vpcd::{self, Event, Options};
use jpkise_gpse::GpSe;
use jpkise_jpki::edge::TokenProfile;
use jpkise_lab::{chain, simulator};
use serde_json::json;

use super::demo::lab_options;
use super::{LAB_PASSWORD, LAB_PIN};
use crate::app::App;
use crate::args::SimArgs;
use crate::connect::Traces;
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

    let mut card = simulator::start()?;
    app.talk(&Text::new("sim-start").with("runtime", card.transport_mut().runtime_name()));
    let traces = Traces::watch(app, &mut card, None)?;
    if arguments.personalized {
        personalize(app, &mut card, arguments.token.into())?;
    }
    let served = serve(app, &mut card, arguments, &stop);
    let closed = traces.close();
    let apdus = served?;
    app.talk(&Text::new("sim-stopped").count("apdus", apdus));
    app.json(&json!({ "apdus": apdus }))?;
    closed
}

fn personalize(app: &App, card: &mut Card<GpSe>, profile: TokenProfile) -> Result<(), CliError> {
    app.talk(&Text::new("sim-personalizing"));
    let clock = Instant::now();
    chain::provision(card, &lab_options(profile)?, &mut |_| {})?;
    // Whoever connects next finds a card that was just powered on.
    card.reset()?;
    app.talk(
        &Text::new("sim-personalized")
            .with("ms", clock.elapsed().as_millis())
            .with("pin", LAB_PIN)
            .with("password", LAB_PASSWORD)
            .with("label", profile.label()),
    );
    Ok(())
}

fn serve(app: &App, card: &mut Card<GpSe>, arguments: &SimArgs, stop: &AtomicBool) -> Result<u64, CliError> {
    let options = Options { address: arguments.vpcd.clone(), ..Options::default() };
    let mut apdus = 0;
    vpcd::serve(&options, card.transport_mut(), stop, &mut |event| match event {
        Event::Connected => app.talk(&Text::new("sim-waiting").with("address", &arguments.vpcd)),
        Event::Disconnected if !stop.load(Ordering::Relaxed) => app.talk(&Text::new("sim-reader-gone")),
        Event::Exchange { .. } => apdus += 1,
        _ => {}
    })?;
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
