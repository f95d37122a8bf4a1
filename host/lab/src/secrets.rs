//! What every card of the lab is personalised with. Public, like the test keys: worth nothing outside a laboratory.

use jpkise_gp::keys::{KeySet, KeySource, SoftwareKeys};
use jpkise_jpki::edge::{Password, Pin, TokenProfile};
use jpkise_wire::scp03::{AesKey, KeyError, StaticKeys};
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

/// The lab's service provider's own keys: 50…5F, 60…6F, 70…7F. Public, like everything a demonstration uses; a service
/// brings its own.
pub fn sp_keys() -> Result<SoftwareKeys, KeyError> {
    let key = |first: u8| AesKey::new(&(first..first + 16).collect::<Vec<u8>>());
    Ok(SoftwareKeys::new(StaticKeys::new(key(0x50)?, key(0x60)?, key(0x70)?)?))
}

/// Whether these keys are known to everybody: the test key of development cards, or the lab's own.
pub fn are_published(keys: &dyn KeySource) -> bool {
    let set = KeySet { kvn: 0, kdd: [0; 10] };
    let own = sp_keys().ok().and_then(|own| own.check_values(&set).ok());
    keys.has_published_key() || (own.is_some() && keys.check_values(&set).ok() == own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_keys_are_the_test_key_and_the_lab_s_own() {
        let other = SoftwareKeys::same(&[0x42; 16]).unwrap();
        assert!(are_published(&simulator::test_keys().unwrap()));
        assert!(are_published(&sp_keys().unwrap()));
        assert!(!are_published(&other));
    }
}
