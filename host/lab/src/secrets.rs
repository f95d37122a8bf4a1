//! What every card of the lab is personalised with. Public, like the test keys: worth nothing outside a laboratory.

use jpkise_jpki::edge::{Password, Pin, TokenProfile};
use time::OffsetDateTime;

use crate::chain::Options;
use crate::simulator;

/// PIN of the user-authentication key.
pub const PIN: &str = "1234";
/// Password of the signature key.
pub const PASSWORD: &str = "ABC123";

/// The chain's options with the test keys and these secrets, issued now.
pub fn lab_options(profile: TokenProfile) -> Result<Options, Box<dyn std::error::Error + Send + Sync>> {
    Ok(Options {
        profile,
        issuer_keys: simulator::test_keys()?,
        pin: Pin::new(PIN)?,
        password: Password::new(PASSWORD)?,
        now: OffsetDateTime::now_utc(),
    })
}
