//! APDU filters for JPKI apps, made from the applet's command table (docs: card edge).

use jpkise_gp::ara::file::Presets;
use jpkise_gp::ara::preset::{filters, CommandShape};

/// Name of the preset for apps that use the keys.
pub const JPKI_USER: &str = "jpki-user";
/// Name of the preset for the issuing app, which relays the SP-TSM's secure channel.
pub const JPKI_ADMIN_RELAY: &str = "jpki-admin-relay";

const CLA_ISO: u8 = 0x00;
const CLA_PROPRIETARY: u8 = 0x80;
const CLA_CHAINING: u8 = 0x90;
const CLA_SECURE: u8 = 0x84;

/// What a user app may send: read, verify, change its own secrets, sign. SELECT of EFs only; the application is selected
/// by opening the channel.
pub const JPKI_USER_COMMANDS: [CommandShape; 13] = [
    // SELECT an EF, with or without an answer.
    CommandShape::exact(CLA_ISO, 0xA4, 0x02, 0x0C),
    CommandShape::exact(CLA_ISO, 0xA4, 0x02, 0x00),
    // READ BINARY, by offset or short EF identifier.
    CommandShape::any(CLA_ISO, 0xB0),
    // VERIFY.
    CommandShape::any_p2(CLA_ISO, 0x20, 0x00),
    // CHANGE REFERENCE DATA, after VERIFY or with the old value.
    CommandShape::any_p2(CLA_ISO, 0x24, 0x00),
    CommandShape::any_p2(CLA_ISO, 0x24, 0x01),
    // COMPUTE DIGITAL SIGNATURE, and the blocks of a long message.
    CommandShape::any(CLA_PROPRIETARY, 0x2A),
    CommandShape::any(CLA_CHAINING, 0x2A),
    // GET CHALLENGE, EXTERNAL AUTHENTICATE of the device key.
    CommandShape::exact(CLA_ISO, 0x84, 0x00, 0x00),
    CommandShape::exact(CLA_ISO, 0x82, 0x00, 0x00),
    // GET DATA for everybody: version, states.
    CommandShape::exact(CLA_PROPRIETARY, 0xCA, 0xDF, 0x30),
    CommandShape::exact(CLA_PROPRIETARY, 0xCA, 0xDF, 0x31),
    // GET RESPONSE, for apps that fetch their answers themselves.
    CommandShape::exact(CLA_ISO, 0xC0, 0x00, 0x00),
];

/// What the issuing app relays beside that: the opening of the secure channel and the SP-TSM's commands inside it, each
/// by its instruction. In clear they mean nothing to the applet.
pub const JPKI_ADMIN_COMMANDS: [CommandShape; 11] = [
    // INITIALIZE UPDATE, EXTERNAL AUTHENTICATE.
    CommandShape::any(CLA_PROPRIETARY, 0x50),
    CommandShape::any(CLA_SECURE, 0x82),
    CommandShape::any(CLA_SECURE, 0x46),
    CommandShape::any(CLA_SECURE, 0x2B),
    CommandShape::any(CLA_SECURE, 0xCA),
    CommandShape::any(CLA_SECURE, 0xE2),
    CommandShape::any(CLA_SECURE, 0x2C),
    CommandShape::any(CLA_SECURE, 0x04),
    CommandShape::any(CLA_SECURE, 0x44),
    CommandShape::any(CLA_SECURE, 0xE8),
    CommandShape::any(CLA_SECURE, 0xE4),
];

/// The two presets by name, for rule files.
pub fn presets() -> Presets {
    let relay = [JPKI_USER_COMMANDS.as_slice(), &JPKI_ADMIN_COMMANDS].concat();
    [(JPKI_USER, filters(&JPKI_USER_COMMANDS)), (JPKI_ADMIN_RELAY, filters(&relay))]
        .into_iter()
        .filter_map(|(name, filters)| Some((name.to_owned(), filters?)))
        .collect()
}
