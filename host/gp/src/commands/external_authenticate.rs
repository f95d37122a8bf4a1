//! EXTERNAL AUTHENTICATE (Amendment D 1.1.2 section 7.1.2).
//!
//! ```text
//! 84 82 level 00 | host cryptogram 8/16 | C-MAC 8/16 |       9000, 6300 cryptogram wrong, 6982 C-MAC wrong
//! ```

use jpkise_card::CommandApdu;
use jpkise_wire::scp03::{
    Cryptogram, MacChain, MacKey, SecurityLevel, SessionKeys, BLOCK, INS_EXTERNAL_AUTHENTICATE,
};

use super::CLA_GP;
use crate::channel::{secured, LogicalChannel};
use crate::scp03::MacClass;

/// The command, secured already, and the chaining value it leaves: its full MAC.
pub fn external_authenticate(
    channel: LogicalChannel,
    level: SecurityLevel,
    host_cryptogram: &Cryptogram,
    keys: &SessionKeys,
    mac_class: MacClass,
) -> (CommandApdu, MacChain) {
    let mode = host_cryptogram.mode();
    let class = secured(channel.class(CLA_GP));
    // 16 or 32: both cryptogram and MAC have the S mode's length.
    #[allow(clippy::cast_possible_truncation)]
    let lc = 2 * mode.bytes() as u8;
    let header = [mac_class.of(class), INS_EXTERNAL_AUTHENTICATE, level.value(), 0, lc];
    let chain = MacKey::new(keys.mac.cipher()).mac(&[&[0; BLOCK], &header, host_cryptogram.as_bytes()]);
    let data = [host_cryptogram.as_bytes(), &chain[..mode.bytes()]].concat();
    (CommandApdu::new(class, INS_EXTERNAL_AUTHENTICATE, level.value(), 0).with_data(data), chain)
}
