//! DELETE (section 11.2).
//!
//! ```text
//! 80 E4 00 P2 | 4F AID [9E token] | 00         P2 00 the object, 80 with related objects
//! 80 E4 00 00 | [D0 key identifier] [D2 key version] | 00
//! 9000, 6A88 not found, 6985 still referenced, 6581
//! ```

use jpkise_card::CommandApdu;
use jpkise_wire::tlv::{self, Tag};
use jpkise_wire::Aid;

use super::{BuildError, CLA_GP};

/// DELETE.
pub const INS_DELETE: u8 = 0xE4;
/// P2: the object and everything that depends on it.
pub const P2_RELATED: u8 = 0x80;

const TAG_AID: Tag = Tag(0x4F);
const TAG_KEY_IDENTIFIER: Tag = Tag(0xD0);
const TAG_KEY_VERSION: Tag = Tag(0xD2);

/// Deletes an application, security domain or load file; `related` takes a load file's instances with it.
pub fn delete(aid: &Aid, related: bool) -> CommandApdu {
    let mut data = Vec::with_capacity(18);
    tlv::write(&mut data, TAG_AID, aid.as_bytes());
    let p2 = if related { P2_RELATED } else { 0 };
    CommandApdu::new(CLA_GP, INS_DELETE, 0, p2).with_data(data).expecting_all()
}

/// Deletes keys: all that match identifier and version, a missing one matching every value.
pub fn delete_key(identifier: Option<u8>, version: Option<u8>) -> Result<CommandApdu, BuildError> {
    let mut data = Vec::with_capacity(6);
    if let Some(identifier) = identifier {
        tlv::write(&mut data, TAG_KEY_IDENTIFIER, &[identifier]);
    }
    if let Some(version) = version {
        tlv::write(&mut data, TAG_KEY_VERSION, &[version]);
    }
    // A DELETE that names nothing could match every key of the domain.
    if data.is_empty() {
        return Err(BuildError::NothingNamed);
    }
    Ok(CommandApdu::new(CLA_GP, INS_DELETE, 0, 0).with_data(data).expecting_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_and_keys_are_named_as_the_established_clients_name_them() {
        let aid = Aid::literal([0xA0, 0, 0, 0, 3]);
        for (command, bytes) in [
            (delete(&aid, false), "80e40000074f05a00000000300"),
            (delete(&aid, true), "80e40080074f05a00000000300"),
            (delete_key(None, Some(0x73)).unwrap(), "80e4000003d2017300"),
            (delete_key(Some(1), Some(0x30)).unwrap(), "80e4000006d00101d2013000"),
        ] {
            assert_eq!(hex::encode(command.to_bytes().unwrap()), bytes);
        }
        assert_eq!(delete_key(None, None), Err(BuildError::NothingNamed));
    }
}
