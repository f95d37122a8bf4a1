//! The card edge of the JPKI application, byte by byte: pure builders of commands and parsers of answers.
//!
//! Two groups share the application. Everybody's commands are those of the deployed card (class 00, signing and GET DATA
//! class 80) and go out in clear. The SP-TSM's commands are built with class 80 and mean nothing in clear: the secure
//! channel turns the class into 84 when it wraps them.
//!
//! | module | commands |
//! |---|---|
//! | [`file`](mod@file) | SELECT AP and EF, READ BINARY |
//! | [`reference`] | VERIFY, tries left, CHANGE REFERENCE DATA |
//! | [`signature`] | COMPUTE DIGITAL SIGNATURE, GET CHALLENGE, EXTERNAL AUTHENTICATE of the device key |
//! | [`data`] | GET DATA: DF30, DF31 for everybody; 7F49, DF3E, DF32, DF33 for the SP-TSM |
//! | [`admin`] | key generation, proof of possession, reset, hold, release, revocation, deletion |
//! | [`store`] | STORE DATA: data groupings packed into blocks |
//! | [`install`] | install parameters (C9) |

pub mod admin;
pub mod data;
pub mod file;
pub mod install;
pub mod key;
pub mod reference;
pub mod secret;
pub mod signature;
pub mod store;
pub mod token;

use jpkise_wire::Aid;

pub use data::{AppletVersion, Attestation, CardStatus, KeyAttestation, KeyStatus};
pub use file::{Ef, Offset};
pub use key::{CardPublicKey, KeyRef, KeyState};
pub use reference::Target;
pub use secret::{Password, Pin, Secret, SecretBlock, SecretError, Temporary};
pub use signature::{Scheme, SIGNATURE_LENGTH};
pub use store::{Dgi, PackError};
pub use token::{TokenInfo, TokenProfile};

/// The JPKI application as deployed, and the default instance of the phone's applet.
pub const INSTANCE_AID: Aid = Aid::literal([0xD3, 0x92, 0xF0, 0x00, 0x26, 0x01, 0x00, 0x00, 0x00, 0x01]);
/// The applet's package (executable load file).
pub const PACKAGE_AID: Aid = Aid::literal([0xD3, 0x92, 0xF0, 0x00, 0x26, 0x4A, 0x50, 0x4B, 0x01]);
/// The applet's module.
pub const MODULE_AID: Aid = Aid::literal([0xD3, 0x92, 0xF0, 0x00, 0x26, 0x4A, 0x50, 0x4B, 0x01, 0x01]);
/// The service provider's security domain.
pub const SP_DOMAIN_AID: Aid =
    Aid::literal([0xA0, 0x00, 0x00, 0x01, 0x51, 0x53, 0x50, 0x4A, 0x50, 0x4B, 0x49]);
/// Key version of the service provider's keys in its domain.
pub const SP_KEY_VERSION: u8 = 0x30;

/// Interindustry class: the commands of ISO/IEC 7816-4.
pub(crate) const CLA_ISO: u8 = 0x00;
/// Proprietary class. For the SP-TSM's commands the secure channel makes it 84.
pub(crate) const CLA_PROPRIETARY: u8 = 0x80;
/// Proprietary class with the chaining bit (ISO/IEC 7816-4 section 5.3.3).
pub(crate) const CLA_CHAINING: u8 = 0x90;

/// An answer that is not what the card edge says it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EdgeError {
    /// The data field has the wrong length.
    #[error("{what}: {found} bytes where {expected} were due")]
    Length {
        /// The object read.
        what: &'static str,
        /// Bytes due.
        expected: usize,
        /// Bytes found.
        found: usize,
    },
    /// A field holds a value without meaning.
    #[error("{what}: value {value:02X} has no meaning")]
    Value {
        /// The field read.
        what: &'static str,
        /// What stood there.
        value: u8,
    },
    /// The object is not coded as it should be.
    #[error("{what}: {source}")]
    Tlv {
        /// The object read.
        what: &'static str,
        /// The reason.
        source: jpkise_wire::tlv::TlvError,
    },
    /// A public key that is not RSA-2048 with exponent 65537.
    #[error("the card's public key is not RSA-2048 with exponent 65537: {0}")]
    PublicKey(&'static str),
}

impl EdgeError {
    /// Takes exactly `N` bytes.
    pub(crate) fn exactly<const N: usize>(what: &'static str, bytes: &[u8]) -> Result<[u8; N], Self> {
        bytes.try_into().map_err(|_| Self::Length { what, expected: N, found: bytes.len() })
    }
}

#[cfg(test)]
pub(crate) fn hex_of(command: &jpkise_card::CommandApdu) -> String {
    hex::encode_upper(command.to_bytes().unwrap().as_slice())
}
