//! The simulated GP-SE as the lab starts it: a profile, a runtime, a fresh card.

use jpkise_card::Card;
use jpkise_gp::keys::SoftwareKeys;
use jpkise_gpse::profile::TEST_KEY;
use jpkise_gpse::runtime::jcardsim::LaunchError;
use jpkise_gpse::{GpSe, JCardSim, Profile};
use jpkise_wire::scp03::KeyError;

/// A new card of the default profile, with the applets in its ROM. It ends with the value.
pub fn start() -> Result<Card<GpSe>, LaunchError> {
    let runtime = JCardSim::find_and_launch()?;
    Ok(Card::new(GpSe::in_memory(Profile::default(), Box::new(runtime))?))
}

/// The keys that open it: the public test key, which no real card may keep.
pub fn test_keys() -> Result<SoftwareKeys, KeyError> {
    SoftwareKeys::same(&TEST_KEY)
}
