//! A simulated GP-SE in the virtual reader, until interrupted: `cargo run --example vpcd -- [jcardsim]`.

use std::sync::atomic::AtomicBool;

use jpkise_gpse::vpcd::{serve, Options};
use jpkise_gpse::{GpSe, JCardSim, NoApplets, Profile, Runtime};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime: Box<dyn Runtime> = match std::env::args().nth(1).as_deref() {
        Some("jcardsim") => Box::new(JCardSim::find_and_launch()?),
        _ => Box::new(NoApplets),
    };
    let mut card = GpSe::in_memory(Profile::default(), runtime)?;
    let end = serve(&Options::default(), &mut card, &AtomicBool::new(false), &mut |event| {
        eprintln!("{event:?}");
    })?;
    eprintln!("{end:?}");
    Ok(())
}
