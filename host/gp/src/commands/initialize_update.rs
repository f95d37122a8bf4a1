//! INITIALIZE UPDATE (Amendment D 1.1.2 section 7.1.1).
//!
//! ```text
//! 80 50 KVN 00 | host challenge 8/16 | 00        9000, 6A88 no such set, 6700 other S mode, 6985 counter exhausted
//! key diversification data 10 | KVN 1, 03, i 1 | card challenge 8/16 | card cryptogram 8/16 | sequence counter 0/3
//! ```

use jpkise_card::CommandApdu;
use jpkise_wire::scp03::{
    Challenge, Cryptogram, IParameter, SMode, SequenceCounter, INS_INITIALIZE_UPDATE, KDD_LENGTH,
    SCP_IDENTIFIER,
};

use super::CLA_GP;
use crate::scp03::ScpError;

/// The command for key version `kvn`, 00 for the domain's default set.
pub fn initialize_update(kvn: u8, host_challenge: &Challenge) -> CommandApdu {
    CommandApdu::new(CLA_GP, INS_INITIALIZE_UPDATE, kvn, 0)
        .with_data(host_challenge.as_bytes())
        .expecting_all()
}

/// Key version, protocol and i parameter, the three bytes of key information.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyInformation {
    /// Key version number.
    pub kvn: u8,
    /// The i parameter, reserved bits cleared.
    pub i: IParameter,
    /// The i parameter as the card sent it.
    pub raw_i: u8,
}

/// The parsed answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitializeUpdate {
    /// Key diversification data.
    pub kdd: [u8; KDD_LENGTH],
    /// Key information.
    pub key_information: KeyInformation,
    /// Card challenge; its length is the S mode.
    pub card_challenge: Challenge,
    /// Card cryptogram.
    pub card_cryptogram: Cryptogram,
    /// Sequence counter of pseudo-random mode.
    pub sequence_counter: Option<SequenceCounter>,
}

impl InitializeUpdate {
    /// Reads the answer without its status word.
    ///
    /// The S mode comes from the length, not from i: implementations disagree on i's bit, the length cannot lie.
    pub fn parse(data: &[u8]) -> Result<Self, ScpError> {
        const HEAD: usize = KDD_LENGTH + 3;
        let malformed = || ScpError::MalformedInitializeUpdate { length: data.len() };
        let (kdd, rest) = data.split_first_chunk::<KDD_LENGTH>().ok_or_else(malformed)?;
        let (&[kvn, scp, raw_i], rest) = rest.split_first_chunk::<3>().ok_or_else(malformed)?;
        if scp != SCP_IDENTIFIER {
            return Err(ScpError::OtherProtocol { scp, kvn });
        }
        let (mode, counter) = match data.len() - HEAD {
            16 => (SMode::S8, false),
            19 => (SMode::S8, true),
            32 => (SMode::S16, false),
            35 => (SMode::S16, true),
            _ => return Err(malformed()),
        };
        let (challenge, rest) = rest.split_at(mode.bytes());
        let (cryptogram, rest) = rest.split_at(mode.bytes());
        let sequence_counter = match *rest {
            [a, b, c] if counter => Some(SequenceCounter::from_bytes([a, b, c])),
            _ => None,
        };
        Ok(Self {
            kdd: *kdd,
            key_information: KeyInformation { kvn, i: lenient_i(raw_i), raw_i },
            card_challenge: Challenge::new(challenge).ok_or_else(malformed)?,
            card_cryptogram: Challenge::new(cryptogram).ok_or_else(malformed)?,
            sequence_counter,
        })
    }
}

/// i with reserved bits cleared, and without R-ENC where R-MAC is missing: a card must not be shut out by a bit that
/// changes nothing in what the host does.
fn lenient_i(raw: u8) -> IParameter {
    let known = IParameter::S16 | IParameter::PSEUDO_RANDOM | IParameter::R_MAC | IParameter::R_ENC;
    let masked = raw & known;
    IParameter::new(masked)
        .or_else(|| IParameter::new(masked & !IParameter::R_ENC))
        .unwrap_or(IParameter::NONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(length: usize, scp: u8, i: u8) -> Vec<u8> {
        let mut data: Vec<u8> = (0..10).collect();
        data.extend([0x30, scp, i]);
        data.resize(length, 0xAA);
        data
    }

    #[test]
    fn only_the_four_lengths_of_the_protocol_are_read() {
        for length in 0..=64 {
            let parsed = InitializeUpdate::parse(&answer(length.max(13), 3, 0x70)[..length]);
            let expected = match length {
                29 => Some((SMode::S8, false)),
                32 => Some((SMode::S8, true)),
                45 => Some((SMode::S16, false)),
                48 => Some((SMode::S16, true)),
                _ => None,
            };
            let found = parsed.ok().map(|p| (p.card_challenge.mode(), p.sequence_counter.is_some()));
            assert_eq!(found, expected, "{length} bytes");
        }
    }

    #[test]
    fn another_protocol_is_named() {
        let error = InitializeUpdate::parse(&answer(28, 2, 0x55)).unwrap_err();
        assert!(matches!(error, ScpError::OtherProtocol { scp: 2, kvn: 0x30 }), "{error}");
    }

    #[test]
    fn reserved_bits_of_i_do_not_shut_a_card_out() {
        for (raw, read) in [(0x70, 0x70), (0x78, 0x70), (0x40, 0x00), (0x50, 0x10), (0xFF, 0x71)] {
            let parsed = InitializeUpdate::parse(&answer(32, 3, raw)).unwrap();
            assert_eq!(parsed.key_information.i.value(), read, "{raw:02X}");
            assert_eq!(parsed.key_information.raw_i, raw);
        }
    }
}
