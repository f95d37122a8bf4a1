//! Object identifiers that the libraries' tables do not have, and the algorithm of every signature here.

use const_oid::db::rfc5912::{ID_SHA_256, SHA_256_WITH_RSA_ENCRYPTION};
use const_oid::ObjectIdentifier;
use der::Any;
use spki::AlgorithmIdentifierOwned;

/// sha256WithRSAEncryption with its NULL parameter (RFC 4055 section 5).
pub(crate) fn sha256_with_rsa() -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid: SHA_256_WITH_RSA_ENCRYPTION, parameters: Some(Any::null()) }
}

/// id-sha256 without parameters, as RFC 5754 section 2 wants it generated.
pub(crate) fn sha256() -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned { oid: ID_SHA_256, parameters: None }
}

/// Arc of the basic four attributes: 1.2.392.200149.8.5.5.
pub(crate) const fn attribute(arc: u8) -> ObjectIdentifier {
    const NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.392.200149.8.5.5.1");
    const NAME_SUBSTITUTES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.392.200149.8.5.5.2");
    const SEX: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.392.200149.8.5.5.3");
    const BIRTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.392.200149.8.5.5.4");
    const ADDRESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.392.200149.8.5.5.5");
    const ADDRESS_SUBSTITUTES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.392.200149.8.5.5.6");
    match arc {
        1 => NAME,
        2 => NAME_SUBSTITUTES,
        3 => SEX,
        4 => BIRTH,
        5 => ADDRESS,
        _ => ADDRESS_SUBSTITUTES,
    }
}

/// Signature certificate on a card: 1.2.392.200149.8.5.1.1.20.
pub const POLICY_SIGN_CARD: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.392.200149.8.5.1.1.20");
/// User-authentication certificate on a card.
pub const POLICY_AUTH_CARD: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.392.200149.8.5.1.3.30");
/// Signature certificate on a test card.
pub const POLICY_SIGN_TEST_CARD: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.392.200149.8.5.1.0.20");
/// User-authentication certificate on a test card.
pub const POLICY_AUTH_TEST_CARD: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.392.200149.8.5.1.0.30");
/// Signature certificate on a phone. Named by a secondary source only; the profile itself was not at hand.
pub const POLICY_SIGN_PHONE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.392.200149.8.5.1.1.40");
/// User-authentication certificate on a phone. No source names it: chosen so that phone and card differ by 20 in the last
/// arc for both keys (20 to 40, 30 to 50). To be replaced when the profile is at hand.
pub const POLICY_AUTH_PHONE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.392.200149.8.5.1.3.50");
