//! Primitives of Secure Channel Protocol 03 (GP Card Specification Amendment D 1.1.2; S16 from 1.2).
//!
//! Only functions and values: no session state. Section numbers in this module are those of Amendment D 1.1.2.

mod derive;
mod diversify;
mod key;
mod level;
mod message;

pub use derive::{
    card_challenge, cryptogram, derive, derive_with, Challenge, Cryptogram, Derivation, SequenceCounter,
    SessionKeys,
};
pub use diversify::{diversify, diversify_set, kdf3_with, Diversification, Slot, SLOTS};
pub use key::{dek_decrypt, dek_encrypt, AesCipher, AesKey, KeyCheckValue, KeyError, KeyLength, StaticKeys};
pub use level::{IParameter, LevelError, SMode, SecurityLevel};
pub use message::{command_icv, mac, pad, padded_length, response_icv, unpad, MacChain, MacKey};

/// AES block and full MAC size in bytes.
pub const BLOCK: usize = 16;
/// INITIALIZE UPDATE (section 7.1.1).
pub const INS_INITIALIZE_UPDATE: u8 = 0x50;
/// EXTERNAL AUTHENTICATE (section 7.1.2).
pub const INS_EXTERNAL_AUTHENTICATE: u8 = 0x82;
/// BEGIN R-MAC SESSION (section 7.1.3).
pub const INS_BEGIN_R_MAC_SESSION: u8 = 0x7A;
/// END R-MAC SESSION (section 7.1.4).
pub const INS_END_R_MAC_SESSION: u8 = 0x78;
/// Protocol identifier in the key information of INITIALIZE UPDATE's answer.
pub const SCP_IDENTIFIER: u8 = 0x03;
/// Key diversification data in INITIALIZE UPDATE's answer, in bytes.
pub const KDD_LENGTH: usize = 10;
