//! STORE DATA (section 11.11).
//!
//! ```text
//! 80 E2 P1 nn | block | [00]                  9000, 6A80, 6A84, 6A88, 6985 and 6A86 by the target
//! P1 b8 last block; b7 b6 00 not enciphered or unknown, 01 depends on the application, 11 enciphered under Key-DEK;
//!    b5 b4 00 no structure, 01 DGI, 10 BER-TLV; b1 answer data possible
//! ```

use jpkise_card::{CommandApdu, SecretKind};
use jpkise_wire::dgi;

use super::{BuildError, CLA_GP};

/// STORE DATA.
pub const INS_STORE_DATA: u8 = 0xE2;
/// P1: the last block.
pub const P1_LAST: u8 = 0x80;
/// P1: answer data is possible.
pub const P1_ANSWER: u8 = 0x01;

/// Structure of the data, P1 b5 b4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Structure {
    /// No information.
    None,
    /// Data groupings.
    Dgi,
    /// BER-TLV.
    BerTlv,
}

/// Encipherment of the data under Key-DEK, P1 b7 b6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encipherment {
    /// No information, or not enciphered.
    #[default]
    None,
    /// Depends on the application.
    ApplicationDependent,
    /// All values enciphered.
    All,
}

/// The bits of P1 but the last block's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// Structure of the data.
    pub structure: Structure,
    /// Encipherment.
    pub encipherment: Encipherment,
    /// Whether an answer is asked for (b1, case 4).
    pub answer: bool,
}

impl Format {
    /// Data groupings in clear, no answer.
    pub const DGI: Self = Self { structure: Structure::Dgi, encipherment: Encipherment::None, answer: false };
    /// BER-TLV in clear, no answer.
    pub const BER_TLV: Self =
        Self { structure: Structure::BerTlv, encipherment: Encipherment::None, answer: false };
    /// No structure, no answer.
    pub const PLAIN: Self =
        Self { structure: Structure::None, encipherment: Encipherment::None, answer: false };

    /// P1 of a block that is not the last.
    pub const fn p1(self) -> u8 {
        let structure = match self.structure {
            Structure::None => 0x00,
            Structure::Dgi => 0x08,
            Structure::BerTlv => 0x10,
        };
        let encipherment = match self.encipherment {
            Encipherment::None => 0x00,
            Encipherment::ApplicationDependent => 0x20,
            Encipherment::All => 0x60,
        };
        structure | encipherment | if self.answer { P1_ANSWER } else { 0 }
    }
}

/// One block.
pub fn block(format: Format, number: u8, last: bool, data: &[u8]) -> CommandApdu {
    let p1 = format.p1() | if last { P1_LAST } else { 0 };
    let command = CommandApdu::new(CLA_GP, INS_STORE_DATA, p1, number).with_data(data);
    if format.answer {
        command.expecting_all()
    } else {
        command
    }
}

/// Cuts `data` into blocks of at most `block_size` bytes; values run over from one block to the next.
pub fn blocks(format: Format, data: &[u8], block_size: usize) -> Result<Vec<CommandApdu>, BuildError> {
    if block_size == 0 {
        return Err(BuildError::BlockSize { size: block_size });
    }
    let chunks: Vec<&[u8]> = if data.is_empty() { vec![data] } else { data.chunks(block_size).collect() };
    numbered(format, &chunks)
}

/// One data grouping of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grouping {
    /// Data grouping identifier.
    pub identifier: u16,
    /// Its value.
    pub value: Vec<u8>,
    /// Whether it must lie in one block whole.
    pub whole: bool,
    /// What the value hides; the blocks it lies in are marked with it.
    pub secret: Option<SecretKind>,
}

impl Grouping {
    /// A grouping that may run over several blocks.
    pub fn new(identifier: u16, value: impl Into<Vec<u8>>) -> Self {
        Self { identifier, value: value.into(), whole: false, secret: None }
    }

    /// Kept in one block.
    #[must_use]
    pub fn whole(mut self) -> Self {
        self.whole = true;
        self
    }

    /// Hides something.
    #[must_use]
    pub fn hiding(mut self, secret: SecretKind) -> Self {
        self.secret = Some(secret);
        self
    }
}

/// Cuts data groupings into as few blocks as the card edge allows: blocks are filled to the brim and values run over, but
/// a header never does, and neither does a grouping marked `whole`.
pub fn grouping_blocks(
    format: Format,
    groupings: &[Grouping],
    block_size: usize,
) -> Result<Vec<CommandApdu>, BuildError> {
    let mut filled: Vec<Filled> = vec![Filled::default()];
    for grouping in groupings {
        let mut coded = Vec::new();
        dgi::write(&mut coded, grouping.identifier, &grouping.value)
            .ok_or(BuildError::TooLong(grouping.value.len()))?;
        let header = coded.len() - grouping.value.len();
        let mut together = if grouping.whole { coded.len() } else { header };
        if together > block_size {
            return Err(BuildError::BlockSize { size: block_size });
        }
        let mut rest = coded.as_slice();
        while !rest.is_empty() {
            let room = block_size - filled.last().map_or(0, |f| f.data.len());
            if room < together.max(1) {
                filled.push(Filled::default());
                continue;
            }
            let (now, later) = rest.split_at(rest.len().min(room));
            if let Some(block) = filled.last_mut() {
                block.data.extend_from_slice(now);
                block.secret = block.secret.or(grouping.secret);
            }
            rest = later;
            together = 1;
        }
    }
    let chunks: Vec<&[u8]> = filled.iter().map(|f| f.data.as_slice()).collect();
    let commands = numbered(format, &chunks)?;
    Ok(commands
        .into_iter()
        .zip(&filled)
        .map(|(command, block)| match block.secret {
            Some(secret) => command.hiding(secret),
            None => command,
        })
        .collect())
}

#[derive(Default)]
struct Filled {
    data: Vec<u8>,
    secret: Option<SecretKind>,
}

fn numbered(format: Format, chunks: &[&[u8]]) -> Result<Vec<CommandApdu>, BuildError> {
    chunks
        .iter()
        .enumerate()
        .map(|(index, data)| {
            let number =
                u8::try_from(index).map_err(|_| BuildError::TooManyBlocks { blocks: chunks.len() })?;
            Ok(block(format, number, index + 1 == chunks.len(), data))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(command: &CommandApdu) -> String {
        hex::encode(command.to_bytes().unwrap())
    }

    #[test]
    fn p1_says_last_structure_and_encipherment() {
        let rule = hex::decode("f200").unwrap();
        assert_eq!(bytes(&block(Format::BER_TLV, 0, true, &rule)), "80e2900002f200");
        for (format, p1) in [
            (Format::DGI, 0x08),
            (Format::PLAIN, 0x00),
            (Format { encipherment: Encipherment::All, ..Format::DGI }, 0x68),
            (Format { answer: true, ..Format::BER_TLV }, 0x11),
            (Format { encipherment: Encipherment::ApplicationDependent, ..Format::PLAIN }, 0x20),
        ] {
            assert_eq!(format.p1(), p1);
        }
        let asking =
            block(Format { answer: true, ..Format::BER_TLV }, 0, true, &[0xBF, 0x3E, 0x03, 0x5C, 1, 0x5A]);
        assert_eq!(bytes(&asking), "80e2910006bf3e035c015a00");
    }

    #[test]
    fn data_runs_over_blocks_in_order() {
        let commands = blocks(Format::DGI, &[7; 500], 239).unwrap();
        let headers: Vec<String> = commands.iter().map(|c| hex::encode(c.header())).collect();
        assert_eq!(headers, ["80e20800", "80e20801", "80e28802"]);
        assert_eq!(blocks(Format::DGI, &[], 239).unwrap().len(), 1);
        assert!(blocks(Format::DGI, &[0; 257], 1).is_err());
    }

    #[test]
    fn groupings_share_blocks_but_headers_and_whole_ones_are_not_cut() {
        let grouping =
            |identifier, length, whole| Grouping { whole, ..Grouping::new(identifier, vec![1; length]) };
        let cases: [(&[Grouping], usize, &[usize]); 5] = [
            (&[grouping(1, 7, false), grouping(2, 7, false)], 20, &[20]),
            (&[grouping(1, 8, false), grouping(2, 7, false)], 13, &[11, 10]),
            (&[grouping(1, 20, false)], 13, &[13, 10]),
            (&[grouping(1, 4, false), grouping(0x8201, 10, true)], 13, &[7, 13]),
            (&[grouping(1, 10, false), grouping(2, 10, false)], 16, &[16, 10]),
        ];
        for (groupings, size, lengths) in cases {
            let commands = grouping_blocks(Format::DGI, groupings, size).unwrap();
            let found: Vec<usize> = commands.iter().map(|c| c.data().len()).collect();
            assert_eq!(found, lengths, "{groupings:?}");
        }
        let hidden = Grouping::new(0x8201, vec![0; 32]).whole().hiding(SecretKind::Temporary);
        let commands = grouping_blocks(Format::DGI, &[grouping(1, 200, false), hidden], 223).unwrap();
        let secrets: Vec<_> = commands.iter().map(CommandApdu::secret).collect();
        assert_eq!(secrets, [None, Some(SecretKind::Temporary)]);
        assert!(grouping_blocks(Format::DGI, &[grouping(1, 20, true)], 13).is_err());
        assert!(grouping_blocks(Format::DGI, &[grouping(1, 20, false)], 2).is_err());
    }
}
