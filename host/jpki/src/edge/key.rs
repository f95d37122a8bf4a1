//! The two keys, their states, and the public key as the card hands it out.

use std::fmt;

use jpkise_wire::tlv::{Tag, Tlv};
use rsa::{BigUint, RsaPublicKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::file::Ef;
use super::EdgeError;

/// One of the two keys; KK in the command table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyRef {
    /// User authentication (利用者証明用), guarded by the PIN.
    Auth,
    /// Signature (署名用), guarded by the password.
    Sign,
}

impl KeyRef {
    /// Both, in the order in which the card lists them.
    pub const ALL: [Self; 2] = [Self::Auth, Self::Sign];

    /// KK: 01 user authentication, 02 signature.
    pub const fn kk(self) -> u8 {
        match self {
            Self::Auth => 0x01,
            Self::Sign => 0x02,
        }
    }

    /// The private key's EF.
    pub const fn key_ef(self) -> Ef {
        match self {
            Self::Auth => Ef::AUTH_KEY,
            Self::Sign => Ef::SIGN_KEY,
        }
    }

    /// The EF of the PIN or password that guards the key.
    pub const fn secret_ef(self) -> Ef {
        match self {
            Self::Auth => Ef::AUTH_PIN,
            Self::Sign => Ef::SIGN_PASSWORD,
        }
    }

    /// The certificate's EF.
    pub const fn certificate_ef(self) -> Ef {
        match self {
            Self::Auth => Ef::AUTH_CERTIFICATE,
            Self::Sign => Ef::SIGN_CERTIFICATE,
        }
    }

    /// The EF of the CA certificate above it.
    pub const fn ca_certificate_ef(self) -> Ef {
        match self {
            Self::Auth => Ef::AUTH_CA_CERTIFICATE,
            Self::Sign => Ef::SIGN_CA_CERTIFICATE,
        }
    }

    /// Tries of a fresh card: 3 for the PIN, 5 for the password.
    pub const fn tries(self) -> u8 {
        match self {
            Self::Auth => 3,
            Self::Sign => 5,
        }
    }

    /// `auth` or `sign`: the word of the glossary, stable in file names, JSON and messages.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Sign => "sign",
        }
    }
}

impl fmt::Display for KeyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// Where in its life a key is. The numbers are those of DF31 and DF32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum KeyState {
    /// No key.
    Empty = 0,
    /// Key pair generated.
    Keyed = 1,
    /// Certificate stored; at most a temporary secret set.
    Certified = 2,
    /// The user has set a secret of his own.
    Active = 3,
    /// On hold (一時保留).
    Held = 4,
    /// Revoked (失効): never signs again.
    Revoked = 5,
}

impl KeyState {
    /// All six, by number.
    pub const ALL: [Self; 6] =
        [Self::Empty, Self::Keyed, Self::Certified, Self::Active, Self::Held, Self::Revoked];
}

impl TryFrom<u8> for KeyState {
    type Error = EdgeError;
    fn try_from(value: u8) -> Result<Self, EdgeError> {
        Self::ALL.get(usize::from(value)).copied().ok_or(EdgeError::Value { what: "key state", value })
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "EMPTY",
            Self::Keyed => "KEYED",
            Self::Certified => "CERTIFIED",
            Self::Active => "ACTIVE",
            Self::Held => "HELD",
            Self::Revoked => "REVOKED",
        })
    }
}

/// Template of the public key (ISO/IEC 7816-8 table 3).
const TAG_PUBLIC_KEY: Tag = Tag(0x7F49);
const TAG_MODULUS: Tag = Tag(0x81);
const TAG_EXPONENT: Tag = Tag(0x82);
/// 2^16 + 1, the only exponent JPKI knows.
const EXPONENT: u32 = 65_537;

/// An RSA-2048 public key as object 7F49 holds it.
#[derive(Clone, PartialEq, Eq)]
pub struct CardPublicKey {
    modulus: [u8; Self::MODULUS_LENGTH],
    key: RsaPublicKey,
}

impl CardPublicKey {
    /// Bytes of an RSA-2048 modulus.
    pub const MODULUS_LENGTH: usize = 256;

    /// Reads 7F49 { 81 modulus, 82 exponent }.
    pub fn parse(object: &[u8]) -> Result<Self, EdgeError> {
        let malformed = |source| EdgeError::Tlv { what: "public key", source };
        let value = Tlv::expect(object, TAG_PUBLIC_KEY).map_err(malformed)?;
        let children = Tlv::read_all(value).map_err(malformed)?;
        let child = |tag| {
            children
                .iter()
                .find(|t| t.tag == tag)
                .map(|t| t.value)
                .ok_or(malformed(jpkise_wire::tlv::TlvError::Missing(tag)))
        };
        Self::new(child(TAG_MODULUS)?, child(TAG_EXPONENT)?)
    }

    /// From big-endian integers. Some chips lead the modulus with a zero byte; that is no other key.
    pub fn new(modulus: &[u8], exponent: &[u8]) -> Result<Self, EdgeError> {
        let modulus = match modulus {
            [0, rest @ ..] if rest.len() == Self::MODULUS_LENGTH => rest,
            other => other,
        };
        let modulus: [u8; Self::MODULUS_LENGTH] =
            modulus.try_into().map_err(|_| EdgeError::PublicKey("modulus length"))?;
        // A top bit of zero means a modulus of fewer than 2048 bits; an even one is no product of two odd primes.
        if modulus[0] & 0x80 == 0 || modulus[Self::MODULUS_LENGTH - 1] & 1 == 0 {
            return Err(EdgeError::PublicKey("modulus"));
        }
        let exponent = BigUint::from_bytes_be(exponent);
        if exponent != BigUint::from(EXPONENT) {
            return Err(EdgeError::PublicKey("exponent"));
        }
        let key = RsaPublicKey::new(BigUint::from_bytes_be(&modulus), exponent)
            .map_err(|_| EdgeError::PublicKey("modulus"))?;
        Ok(Self { modulus, key })
    }

    /// The modulus, 256 bytes big-endian.
    pub fn modulus(&self) -> &[u8; Self::MODULUS_LENGTH] {
        &self.modulus
    }

    /// SHA-256 of the modulus, as DF32 attests it.
    pub fn modulus_hash(&self) -> [u8; 32] {
        Sha256::digest(self.modulus).into()
    }

    /// For computations.
    pub fn rsa(&self) -> &RsaPublicKey {
        &self.key
    }
}

impl fmt::Debug for CardPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CardPublicKey({})", hex::encode_upper(&self.modulus_hash()[..8]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jpkise_wire::tlv::{constructed, object};

    fn modulus() -> Vec<u8> {
        let mut modulus = vec![0xC5; 256];
        modulus[255] = 0x01;
        modulus
    }

    #[test]
    fn the_six_states_have_the_numbers_of_the_design() {
        for (number, name) in
            ["EMPTY", "KEYED", "CERTIFIED", "ACTIVE", "HELD", "REVOKED"].into_iter().enumerate()
        {
            let state = KeyState::try_from(u8::try_from(number).unwrap()).unwrap();
            assert_eq!((state.to_string().as_str(), state as usize), (name, number));
            assert_eq!(serde_json::to_string(&state).unwrap(), format!("\"{name}\""));
        }
        assert!(KeyState::try_from(6).is_err());
    }

    #[test]
    fn each_key_has_its_files() {
        for (key, kk, secret, private, certificate, ca) in [
            (KeyRef::Auth, 1, 0x0018, 0x0017, 0x000A, 0x000B),
            (KeyRef::Sign, 2, 0x001B, 0x001A, 0x0001, 0x0002),
        ] {
            assert_eq!(key.kk(), kk);
            assert_eq!(key.secret_ef().id(), secret);
            assert_eq!(key.key_ef().id(), private);
            assert_eq!(key.certificate_ef().id(), certificate);
            assert_eq!(key.ca_certificate_ef().id(), ca);
        }
    }

    #[test]
    fn a_public_key_is_read_with_and_without_a_leading_zero() {
        let plain = constructed(0x7F49, &[&object(0x81, &modulus()), &object(0x82, &[1, 0, 1])]);
        let mut led = vec![0];
        led.extend(modulus());
        let led = constructed(0x7F49, &[&object(0x81, &led), &object(0x82, &[0, 1, 0, 1])]);
        assert_eq!(CardPublicKey::parse(&plain).unwrap(), CardPublicKey::parse(&led).unwrap());
        // 5 bytes of head, 4 and 256 of modulus, 2 and 3 of exponent: two pages of 224.
        assert_eq!(plain.len(), 270);
    }

    #[test]
    fn keys_of_another_kind_are_refused() {
        let mut even = modulus();
        even[255] = 0;
        let mut short = modulus();
        short[0] = 0x7F;
        for (what, modulus, exponent) in [
            ("exponent 3", modulus(), vec![3]),
            ("no exponent", modulus(), vec![]),
            ("an even modulus", even, vec![1, 0, 1]),
            ("2047 bits", short, vec![1, 0, 1]),
            ("1024 bits", vec![0xFF; 128], vec![1, 0, 1]),
        ] {
            assert!(CardPublicKey::new(&modulus, &exponent).is_err(), "{what}");
        }
        for malformed in [&[][..], &[0x7F, 0x49, 0x00], &[0x7F, 0x49, 0x03, 0x81, 0x01, 0x05], &[0x30, 0x00]]
        {
            assert!(CardPublicKey::parse(malformed).is_err(), "{malformed:02X?}");
        }
    }
}
