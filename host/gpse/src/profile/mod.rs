//! What tells one card from another: identity, keys, protocol parameters, limits, applets it leaves the factory with.
//!
//! A profile is a value ([`Profile`]) or a TOML file ([`Profile::from_toml`], `docs/profiles.md`).

mod error;
mod file;
mod reader;

use std::collections::BTreeMap;
use std::time::Duration;

use jpkise_wire::scp03::{
    AesKey, Challenge, IParameter, KeyError, SecurityLevel, SequenceCounter, StaticKeys, KDD_LENGTH,
};
use jpkise_wire::Aid;

pub use self::error::{Problem, ProfileError, ProfileFileError};
use crate::faults::FaultSet;
use crate::random::Randomness;
use crate::registry::{life_cycle, KeyVersion, Privileges};
use crate::runtime::{jcvm, Interface};

/// AID of the issuer security domain (GP Card Specification 2.3.1 section F.2).
pub const ISSUER_SECURITY_DOMAIN: Aid = Aid::literal([0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00, 0x00]);
/// Package from which security domains are installed, part of every card's ROM.
pub const SECURITY_DOMAIN_PACKAGE: Aid = Aid::literal([0xA0, 0x00, 0x00, 0x01, 0x51, 0x53, 0x50]);
/// The module in it.
pub const SECURITY_DOMAIN_MODULE: Aid = Aid::literal([0xA0, 0x00, 0x00, 0x01, 0x51, 0x53, 0x50, 0x41]);
/// Package of the ARA-M that travels with the project.
pub const ARA_PACKAGE: Aid = Aid::literal([0xA0, 0x00, 0x00, 0x01, 0x51, 0x41, 0x43, 0x4C]);
/// The ARA-M, its module and its instance (GP Secure Element Access Control 1.1 section 4).
pub const ARA: Aid = Aid::literal([0xA0, 0x00, 0x00, 0x01, 0x51, 0x41, 0x43, 0x4C, 0x00]);
/// Package of the JPKI applet.
pub const JPKI_PACKAGE: Aid = Aid::literal([0xD3, 0x92, 0xF0, 0x00, 0x26, 0x4A, 0x50, 0x4B, 0x01]);
/// The development key that public tools call their default: 40 41 … 4F.
pub const TEST_KEY: [u8; 16] =
    [0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x4B, 0x4C, 0x4D, 0x4E, 0x4F];

/// Length of the production life cycle data 9F7F, in bytes.
pub const CPLC_LENGTH: usize = 42;

/// Interface bytes of the ATR: T=1 only, Fi 512 and Di 32, IFSC 254, BWI 4, CWI 5.
const ATR_INTERFACE: [u8; 5] = [0x96, 0x81, 0x31, 0xFE, 0x45];
/// Historical bytes: category 80; 73 card capabilities (selection by full and partial name; data unit one byte;
/// extended Lc and Le, channels assigned by the card, four of them); 56 "JPKISE" (ISO/IEC 7816-4 section 12.1.1).
const HISTORICAL: [u8; 12] = [0x80, 0x73, 0xC0, 0x21, 0x53, 0x56, b'J', b'P', b'K', b'I', b'S', b'E'];

/// Most bytes that P1.b8 chaining may gather by default.
const CHAINING_BUFFER: usize = 8192;

/// What a key version does once its tries are used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterTries {
    /// It is blocked for good: 6983.
    Block,
    /// Every further INITIALIZE UPDATE is answered that much later.
    Delay(Duration),
}

/// How the card shows itself to a contactless reader (ISO/IEC 14443).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contactless {
    /// UID, 4, 7 or 10 bytes; the reader answers FF CA 00 00 with it.
    pub uid: Vec<u8>,
    /// Historical bytes of the ATS, at most 15; the reader makes the ATR of them.
    pub historical_bytes: Vec<u8>,
}

/// An applet that is there from the start, made from a package in ROM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preinstalled {
    /// Load file.
    pub package: Aid,
    /// Module in it.
    pub module: Aid,
    /// Instance.
    pub instance: Aid,
    /// Privileges.
    pub privileges: Privileges,
    /// Value of C9.
    pub parameters: Vec<u8>,
}

/// A card's make-up. Fields may be changed freely before the card is started.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Historical bytes of the ATR, at most 15.
    pub historical_bytes: Vec<u8>,
    /// AID of the issuer security domain.
    pub issuer: Aid,
    /// Key diversification data in the answer to INITIALIZE UPDATE.
    pub diversification: [u8; KDD_LENGTH],
    /// Key sets of the issuer security domain, the default one first.
    pub keys: Vec<KeyVersion>,
    /// i parameter of the issuer security domain.
    pub i: IParameter,
    /// The least level that EXTERNAL AUTHENTICATE may ask for; a lower one is refused as one that i does not offer.
    pub minimum_level: SecurityLevel,
    /// Issuer identification number, value of 42; empty: the card has none.
    pub issuer_identification: Vec<u8>,
    /// Card image number, value of 45; empty: the card has none.
    pub card_image: Vec<u8>,
    /// Production life cycle data, value of 9F7F.
    pub production: [u8; CPLC_LENGTH],
    /// Life cycle of a new card.
    pub card_state: u8,
    /// EXTERNAL AUTHENTICATE failures in a row after which `after_tries` holds for a key version; `None`: never.
    pub authentication_tries: Option<u8>,
    /// What happens then.
    pub after_tries: AfterTries,
    /// Logical channels, the basic one among them, 1 to 4.
    pub channels: u8,
    /// Whether the card takes extended length.
    pub extended_length: bool,
    /// Most bytes that P1.b8 chaining may gather.
    pub chaining_buffer: usize,
    /// Interface through which commands arrive at first.
    pub interface: Interface,
    /// What a contactless reader sees.
    pub contactless: Contactless,
    /// Whether the ARA-M is installed, associated with the issuer security domain, where its package is in ROM.
    pub ara: bool,
    /// Whether the JPKI applet's package is in ROM; else it comes by LOAD as any other.
    pub jpki_in_rom: bool,
    /// Further applets that are installed from the start. A card whose ROM lacks one of their packages does not start.
    pub applets: Vec<Preinstalled>,
    /// Memory, buffers and limits of the virtual machine; a runtime of another kind has its own.
    pub machine: jpkise_jcvm::Profile,
    /// Non-volatile bytes that FF21 tells when the runtime cannot.
    pub free_persistent: u32,
    /// Volatile bytes that FF21 tells when the runtime cannot.
    pub free_transient: u32,
    /// Where random bytes come from.
    pub randomness: Randomness,
    /// What the card does wrong on purpose, for suites that must find it.
    pub faults: FaultSet,
    /// Card challenges to use in order before real ones: for replaying a recorded session, never on a card in use.
    pub replayed_challenges: Vec<Challenge>,
}

impl Default for Profile {
    /// The GP-SE of the project's documents: SCP03 i=70, the test key under version 30, OP_READY.
    fn default() -> Self {
        Self {
            historical_bytes: HISTORICAL.to_vec(),
            issuer: ISSUER_SECURITY_DOMAIN,
            diversification: [0x4A, 0x50, 0x4B, 0x49, 0x53, 0x45, 0x00, 0x00, 0x00, 0x01],
            keys: vec![test_keys()],
            // 70 is defined by the table: pseudo-random challenge, R-MAC, R-ENCRYPTION.
            i: IParameter::new(0x70).unwrap_or(RANDOM_ONLY),
            issuer_identification: vec![0x4A, 0x50, 0x4B, 0x49],
            card_image: vec![0x4A, 0x50, 0x4B, 0x49, 0x53, 0x45, 0x00, 0x01],
            production: PRODUCTION,
            card_state: life_cycle::OP_READY,
            minimum_level: SecurityLevel::NONE,
            authentication_tries: Some(10),
            after_tries: AfterTries::Block,
            channels: 4,
            extended_length: true,
            chaining_buffer: CHAINING_BUFFER,
            interface: Interface::Contact,
            contactless: Contactless {
                uid: vec![0x04, 0x4A, 0x50, 0x4B, 0x49, 0x53, 0x45],
                historical_bytes: HISTORICAL.to_vec(),
            },
            ara: true,
            jpki_in_rom: true,
            applets: Vec::new(),
            machine: jpkise_jcvm::Profile::default(),
            free_persistent: 0x0006_0000,
            free_transient: 0x1800,
            randomness: Randomness::System,
            faults: FaultSet::NONE,
            replayed_challenges: Vec::new(),
        }
    }
}

/// i = 00, which exists whatever the table says.
const RANDOM_ONLY: IParameter = match IParameter::new(0) {
    Some(i) => i,
    None => unreachable!(),
};

/// Fabricator 4A50, IC type 4B49, system 5345 of day 001, version 0001; fabricated on day 001, serial 00000001, batch
/// 0001; nothing was personalised yet.
const PRODUCTION: [u8; CPLC_LENGTH] = [
    0x4A, 0x50, 0x4B, 0x49, 0x53, 0x45, 0x60, 0x01, 0x00, 0x01, 0x60, 0x01, 0x00, 0x00, 0x00, 0x01, 0x00,
    0x01, 0x4A, 0x50, 0x60, 0x01, 0x4A, 0x50, 0x60, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
];

fn test_keys() -> KeyVersion {
    // Sixteen bytes are always a key.
    key_version(0x30, &TEST_KEY, &TEST_KEY, &TEST_KEY)
        .unwrap_or_else(|_| KeyVersion::new(0x30, BTreeMap::new()))
}

/// A key set of Key-ENC, Key-MAC and Key-DEK under `kvn`.
pub fn key_version(kvn: u8, enc: &[u8], mac: &[u8], dek: &[u8]) -> Result<KeyVersion, KeyError> {
    let set = StaticKeys { enc: AesKey::new(enc)?, mac: AesKey::new(mac)?, dek: AesKey::new(dek)? };
    Ok(KeyVersion::of(kvn, set))
}

impl Profile {
    /// With this key set alone.
    #[must_use]
    pub fn with_keys(mut self, keys: KeyVersion) -> Self {
        self.keys = vec![keys];
        self
    }

    /// With this i parameter.
    #[must_use]
    pub fn with_i(mut self, i: IParameter) -> Self {
        self.i = i;
        self
    }

    /// With repeatable random bytes.
    #[must_use]
    pub fn seeded(mut self, seed: u64) -> Self {
        self.randomness = Randomness::Seeded(seed);
        self
    }

    /// Every key version as if `counter` sessions had been opened.
    #[must_use]
    pub fn with_sequence_counter(mut self, counter: SequenceCounter) -> Self {
        for version in &mut self.keys {
            version.counter = counter;
        }
        self
    }
}

impl Profile {
    /// What [`Jcvm::new`](crate::Jcvm::new) makes a card of this profile with.
    pub fn jcvm_options(&self) -> jcvm::Options {
        jcvm::Options { profile: self.machine.clone(), randomness: self.randomness }
    }
}

/// The ATR over contacts with these historical bytes (at most 15 count): TS, T0, TA1, TD1, TD2, TA3, TB3, historical
/// bytes, TCK.
pub(crate) fn atr(historical: &[u8]) -> Vec<u8> {
    // T0 = 9: TA1 and TD1 follow.
    assemble_atr(0x90, &ATR_INTERFACE, historical)
}

/// The ATR that a reader makes of an ATS (PC/SC part 3 section 3.1.3.2.3.1).
pub(crate) fn contactless_atr(historical: &[u8]) -> Vec<u8> {
    // T0 = 8: TD1 = 80 and TD2 = 01 follow.
    assemble_atr(0x80, &[0x80, 0x01], historical)
}

fn assemble_atr(format: u8, interface: &[u8], historical: &[u8]) -> Vec<u8> {
    let historical = &historical[..historical.len().min(15)];
    // At most 15, checked above.
    let count = u8::try_from(historical.len()).unwrap_or(0);
    let mut atr = vec![0x3B, format | count];
    atr.extend_from_slice(interface);
    atr.extend_from_slice(historical);
    // TCK makes the exclusive or from T0 on zero (ISO/IEC 7816-3 section 8.2.5).
    let check = atr[1..].iter().fold(0, |check, byte| check ^ byte);
    atr.push(check);
    atr
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_atr_is_well_formed() {
        let atr = atr(&Profile::default().historical_bytes);
        assert_eq!(hex::encode_upper(&atr[..7]), "3B9C968131FE45");
        assert_eq!(atr.len(), 7 + 12 + 1);
        assert_eq!(atr[1..].iter().fold(0, |a, b| a ^ b), 0);
    }

    #[test]
    fn the_default_card_is_the_one_the_documents_describe() {
        let profile = Profile::default();
        assert_eq!(profile.i.value(), 0x70);
        let (version, keys) = (&profile.keys[0], profile.keys[0].scp03_set().unwrap());
        assert_eq!((version.kvn, keys.enc.check_value().0), (0x30, [0x50, 0x4A, 0x77]));
    }
}
