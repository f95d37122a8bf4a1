//! The SP-TSM's commands on a key, in the applet's own secure channel.
//!
//! | command | CLA INS P1 P2 | data | allowed in |
//! |---|---|---|---|
//! | GENERATE ASYMMETRIC KEY PAIR | 84 46 KK 00 | – | EMPTY |
//! | PROVE POSSESSION | 84 2B KK 00 | SHA-256 of the CertificationRequestInfo | KEYED |
//! | RESET RETRY COUNTER | 84 2C KK 00 | secret block under Key-DEK (32) | CERTIFIED, ACTIVE |
//! | DEACTIVATE FILE | 84 04 KK 00 | – | ACTIVE |
//! | ACTIVATE FILE | 84 44 KK 00 | – | HELD |
//! | TERMINATE EF | 84 E8 KK 00 | – | all but EMPTY |
//! | DELETE FILE | 84 E4 KK 00, KK = FF for all | – | all |
//!
//! Else 6985; 6982 outside the channel or below level 13.

use jpkise_card::{CommandApdu, SecretKind};

use super::key::KeyRef;
use super::secret::SecretBlock;
use super::CLA_PROPRIETARY;

const INS_GENERATE_KEY_PAIR: u8 = 0x46;
const INS_PROVE_POSSESSION: u8 = 0x2B;
const INS_RESET_RETRY_COUNTER: u8 = 0x2C;
const INS_DEACTIVATE_FILE: u8 = 0x04;
const INS_ACTIVATE_FILE: u8 = 0x44;
const INS_TERMINATE_EF: u8 = 0xE8;
const INS_DELETE_FILE: u8 = 0xE4;
/// KK of DELETE FILE that stands for everything.
const KK_ALL: u8 = 0xFF;

fn command(ins: u8, key: KeyRef) -> CommandApdu {
    CommandApdu::new(CLA_PROPRIETARY, ins, key.kk(), 0)
}

/// GENERATE ASYMMETRIC KEY PAIR: RSA-2048 on the card.
pub fn generate_key_pair(key: KeyRef) -> CommandApdu {
    command(INS_GENERATE_KEY_PAIR, key)
}

/// PROVE POSSESSION over the SHA-256 of a CertificationRequestInfo.
pub fn prove_possession(key: KeyRef, request_hash: &[u8; 32]) -> CommandApdu {
    command(INS_PROVE_POSSESSION, key).with_data(*request_hash)
}

/// RESET RETRY COUNTER: sets a temporary secret and unblocks. The block is the enciphered one.
pub fn reset_retry_counter(key: KeyRef, enciphered: &[u8; SecretBlock::LENGTH]) -> CommandApdu {
    command(INS_RESET_RETRY_COUNTER, key).with_data(*enciphered).hiding(SecretKind::Temporary)
}

/// DEACTIVATE FILE: hold (一時保留).
pub fn hold(key: KeyRef) -> CommandApdu {
    command(INS_DEACTIVATE_FILE, key)
}

/// ACTIVATE FILE: release (保留解除).
pub fn resume(key: KeyRef) -> CommandApdu {
    command(INS_ACTIVATE_FILE, key)
}

/// TERMINATE EF: revoke (失効).
pub fn revoke(key: KeyRef) -> CommandApdu {
    command(INS_TERMINATE_EF, key)
}

/// DELETE FILE of one key with its certificate and secret (削除).
pub fn delete(key: KeyRef) -> CommandApdu {
    command(INS_DELETE_FILE, key)
}

/// DELETE FILE of everything.
pub fn wipe() -> CommandApdu {
    CommandApdu::new(CLA_PROPRIETARY, INS_DELETE_FILE, KK_ALL, 0)
}

#[cfg(test)]
mod tests {
    use super::super::hex_of;
    use super::*;

    #[test]
    fn commands_are_those_of_the_design() {
        let block = [0xEE; 32];
        let hash = [0xAB; 32];
        let with = |head: &str, byte: &str| format!("{head}{}", byte.repeat(32));
        for (command, bytes) in [
            (generate_key_pair(KeyRef::Auth), "80460100".to_owned()),
            (prove_possession(KeyRef::Sign, &hash), with("802B020020", "AB")),
            (reset_retry_counter(KeyRef::Auth, &block), with("802C010020", "EE")),
            (hold(KeyRef::Sign), "80040200".to_owned()),
            (resume(KeyRef::Sign), "80440200".to_owned()),
            (revoke(KeyRef::Auth), "80E80100".to_owned()),
            (delete(KeyRef::Auth), "80E40100".to_owned()),
            (wipe(), "80E4FF00".to_owned()),
        ] {
            assert_eq!(hex_of(&command), bytes);
        }
        assert_eq!(reset_retry_counter(KeyRef::Auth, &block).secret(), Some(SecretKind::Temporary));
    }
}
