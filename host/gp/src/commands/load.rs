//! LOAD (section 11.6).
//!
//! ```text
//! 80 E8 P1 nn | block | 00          P1 00 more, 80 last; nn 00, 01, …        9000, 6581, 6A84, 6985
//! blocks, one after the other: [E2 { 4F domain, C3 signature }]… C4 length load file data block
//! ```

use jpkise_card::CommandApdu;
use jpkise_wire::tlv::{self, Tag};
use jpkise_wire::Aid;

use super::{BuildError, CLA_GP};

/// LOAD.
pub const INS_LOAD: u8 = 0xE8;
/// P1: the last block.
pub const P1_LAST: u8 = 0x80;

const TAG_DAP_BLOCK: Tag = Tag(0xE2);
const TAG_AID: Tag = Tag(0x4F);
const TAG_SIGNATURE: Tag = Tag(0xC3);
const TAG_LOAD_FILE_DATA_BLOCK: Tag = Tag(0xC4);

/// A data authentication pattern: a domain's signature over the load file's hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DapBlock {
    /// The domain that verifies it.
    pub domain: Aid,
    /// Its signature.
    pub signature: Vec<u8>,
}

/// The load file structure as sent (section C.1): DAP blocks, then C4 with the load file data block.
pub fn load_file(data_block: &[u8], daps: &[DapBlock]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data_block.len() + 8);
    for dap in daps {
        let mut value = Vec::new();
        tlv::write(&mut value, TAG_AID, dap.domain.as_bytes());
        tlv::write(&mut value, TAG_SIGNATURE, &dap.signature);
        tlv::write(&mut out, TAG_DAP_BLOCK, &value);
    }
    tlv::write(&mut out, TAG_LOAD_FILE_DATA_BLOCK, data_block);
    out
}

/// Cuts a load file structure into LOAD commands of at most `block_size` data bytes.
pub fn blocks(load_file: &[u8], block_size: usize) -> Result<Vec<CommandApdu>, BuildError> {
    if block_size == 0 {
        return Err(BuildError::BlockSize { size: block_size });
    }
    let count = load_file.len().div_ceil(block_size);
    load_file
        .chunks(block_size)
        .enumerate()
        .map(|(index, block)| {
            let number = u8::try_from(index).map_err(|_| BuildError::TooManyBlocks { blocks: count })?;
            let p1 = if index + 1 == count { P1_LAST } else { 0 };
            Ok(CommandApdu::new(CLA_GP, INS_LOAD, p1, number).with_data(block).expecting_all())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_numbered_marked_and_put_together_again() {
        let data_block: Vec<u8> = (0..=255).cycle().take(600).collect();
        let structure = load_file(&data_block, &[]);
        assert_eq!(hex::encode(&structure[..4]), "c4820258");
        let commands = blocks(&structure, 239).unwrap();
        let headers: Vec<String> = commands.iter().map(|c| hex::encode(c.header())).collect();
        assert_eq!(headers, ["80e80000", "80e80001", "80e88002"]);
        let joined: Vec<u8> = commands.iter().flat_map(|c| c.data().to_vec()).collect();
        assert_eq!(joined, structure);
        assert!(commands.iter().all(|c| c.expected().is_some()));
    }

    #[test]
    fn a_dap_stands_in_front_of_the_data_block() {
        let dap = DapBlock { domain: Aid::literal([1, 2, 3, 4, 5]), signature: vec![9, 9] };
        assert_eq!(hex::encode(load_file(&[0xAB], &[dap])), "e20b4f050102030405c3020909c401ab");
    }

    #[test]
    fn more_than_256_blocks_have_no_number() {
        assert_eq!(blocks(&[0; 256], 1).unwrap().len(), 256);
        assert_eq!(blocks(&[0; 257], 1), Err(BuildError::TooManyBlocks { blocks: 257 }));
        assert_eq!(blocks(&[0], 0), Err(BuildError::BlockSize { size: 0 }));
    }
}
