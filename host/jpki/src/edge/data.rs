//! GET DATA.
//!
//! | object | CLA INS P1 P2 | data | answer |
//! |---|---|---|---|
//! | DF30 | 80 CA DF 30 | – | version (2) ‖ features (2) ‖ APDU buffer (2) |
//! | DF31 | 80 CA DF 31 | – | per key { state (1) ‖ tries (1) } ‖ device counter (4) |
//! | 7F49 | 84 CA 7F 49 | KK ‖ page | 7F49 { 81 modulus, 82 exponent } in pages of at most 224 bytes; 6B00 behind the end |
//! | DF3E | 84 CA DF 3E | KK ‖ page | 256 bytes of proof of possession, likewise in pages |
//! | DF32 | 84 CA DF 32 | nonce (16) | nonce ‖ per key { state (1) ‖ SHA-256 of the modulus (32) ‖ generation (2) ‖ signatures (4) ‖ resets (2) } ‖ lease (2) |
//! | DF33 | 84 CA DF 33 | – | lease (2) |

use jpkise_card::CommandApdu;
use serde::{Deserialize, Serialize};

use super::key::{KeyRef, KeyState};
use super::{EdgeError, CLA_PROPRIETARY};

const INS_GET_DATA: u8 = 0xCA;
const TAG_VERSION: u16 = 0xDF30;
const TAG_STATUS: u16 = 0xDF31;
const TAG_ATTESTATION: u16 = 0xDF32;
const TAG_LEASE: u16 = 0xDF33;
const TAG_PROOF: u16 = 0xDF3E;
const TAG_PUBLIC_KEY: u16 = 0x7F49;
/// Most bytes of a page: what a wrapped answer of one short APDU has room for.
pub const PAGE: usize = 224;
/// Lease of a key that signs without limit.
pub const LEASE_OFF: u16 = 0xFFFF;

fn get_data(tag: u16) -> CommandApdu {
    let [p1, p2] = tag.to_be_bytes();
    CommandApdu::new(CLA_PROPRIETARY, INS_GET_DATA, p1, p2).expecting_all()
}

/// GET DATA DF30, for everybody.
pub fn get_version() -> CommandApdu {
    get_data(TAG_VERSION)
}

/// GET DATA DF31, for everybody.
pub fn get_status() -> CommandApdu {
    get_data(TAG_STATUS)
}

/// GET DATA 7F49: one page of a public key.
pub fn get_public_key(key: KeyRef, page: u8) -> CommandApdu {
    get_data(TAG_PUBLIC_KEY).with_data([key.kk(), page])
}

/// GET DATA DF3E: one page of a proof of possession. Right after PROVE POSSESSION, or 6985.
pub fn get_proof(key: KeyRef, page: u8) -> CommandApdu {
    get_data(TAG_PROOF).with_data([key.kk(), page])
}

/// GET DATA DF32: the state, attested to the other end of the secure channel.
pub fn get_attestation(nonce: &[u8; Attestation::NONCE]) -> CommandApdu {
    get_data(TAG_ATTESTATION).with_data(*nonce)
}

/// GET DATA DF33: the signature key's lease.
pub fn get_lease() -> CommandApdu {
    get_data(TAG_LEASE)
}

/// Reads DF33: signatures left, [`LEASE_OFF`] for no limit.
pub fn parse_lease(data: &[u8]) -> Result<u16, EdgeError> {
    EdgeError::exactly("lease DF33", data).map(u16::from_be_bytes)
}

/// DF30: what this applet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppletVersion {
    /// Major version.
    pub major: u8,
    /// Minor version.
    pub minor: u8,
    /// Feature bits, one per algorithm or function that install found on this platform.
    pub features: u16,
    /// Size of the APDU buffer in bytes.
    pub apdu_buffer: u16,
}

impl AppletVersion {
    /// Reads the six bytes.
    pub fn parse(data: &[u8]) -> Result<Self, EdgeError> {
        let [major, minor, f1, f2, b1, b2] = EdgeError::exactly("version DF30", data)?;
        Ok(Self {
            major,
            minor,
            features: u16::from_be_bytes([f1, f2]),
            apdu_buffer: u16::from_be_bytes([b1, b2]),
        })
    }
}

/// One key's part of DF31.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyStatus {
    /// Where in its life it is.
    pub state: KeyState,
    /// Tries left for its PIN or password.
    pub tries_left: u8,
}

/// DF31: states and tries left. Nothing personal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardStatus {
    /// User-authentication key.
    pub auth: KeyStatus,
    /// Signature key.
    pub sign: KeyStatus,
    /// Counter of the device key.
    pub device_counter: u32,
}

impl CardStatus {
    /// Reads the eight bytes.
    pub fn parse(data: &[u8]) -> Result<Self, EdgeError> {
        let [auth, auth_tries, sign, sign_tries, counter @ ..]: [u8; 8] =
            EdgeError::exactly("status DF31", data)?;
        Ok(Self {
            auth: KeyStatus { state: auth.try_into()?, tries_left: auth_tries },
            sign: KeyStatus { state: sign.try_into()?, tries_left: sign_tries },
            device_counter: u32::from_be_bytes(counter),
        })
    }

    /// One key's part.
    pub const fn key(&self, key: KeyRef) -> &KeyStatus {
        match key {
            KeyRef::Auth => &self.auth,
            KeyRef::Sign => &self.sign,
        }
    }
}

/// One key's part of DF32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyAttestation {
    /// Where in its life it is.
    pub state: KeyState,
    /// SHA-256 of the 256-byte modulus; zeros when there is no key.
    pub modulus_hash: [u8; 32],
    /// Key pairs generated so far.
    pub generation: u16,
    /// Signatures made by this key, the proof of possession included or not as the applet counts.
    pub signatures: u32,
    /// Temporary secrets set so far.
    pub resets: u16,
}

impl KeyAttestation {
    const LENGTH: usize = 41;

    fn parse(bytes: &[u8; Self::LENGTH]) -> Result<Self, EdgeError> {
        let [state, rest @ ..] = *bytes;
        let (hash, counters) = rest.split_at(32);
        let mut modulus_hash = [0; 32];
        modulus_hash.copy_from_slice(hash);
        let [g1, g2, s1, s2, s3, s4, r1, r2] = EdgeError::exactly("counters of DF32", counters)?;
        Ok(Self {
            state: state.try_into()?,
            modulus_hash,
            generation: u16::from_be_bytes([g1, g2]),
            signatures: u32::from_be_bytes([s1, s2, s3, s4]),
            resets: u16::from_be_bytes([r1, r2]),
        })
    }
}

/// DF32: the state attestation. Trust in it rests on the R-MAC of the channel that brought it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attestation {
    /// The nonce asked with.
    pub nonce: [u8; Self::NONCE],
    /// User-authentication key.
    pub auth: KeyAttestation,
    /// Signature key.
    pub sign: KeyAttestation,
    /// Signatures left to the signature key, [`LEASE_OFF`] for no limit.
    pub lease: u16,
}

impl Attestation {
    /// Bytes of the nonce.
    pub const NONCE: usize = 16;
    /// Bytes of the whole answer.
    pub const LENGTH: usize = Self::NONCE + 2 * KeyAttestation::LENGTH + 2;

    /// Reads the hundred bytes. Whether the nonce is the one asked with is the caller's to check.
    pub fn parse(data: &[u8]) -> Result<Self, EdgeError> {
        let wrong = EdgeError::Length { what: "attestation DF32", expected: Self::LENGTH, found: data.len() };
        let (nonce, rest) = data.split_first_chunk::<{ Self::NONCE }>().ok_or(wrong.clone())?;
        let (auth, rest) = rest.split_first_chunk::<{ KeyAttestation::LENGTH }>().ok_or(wrong.clone())?;
        let (sign, rest) = rest.split_first_chunk::<{ KeyAttestation::LENGTH }>().ok_or(wrong.clone())?;
        let lease: [u8; 2] = rest.try_into().map_err(|_| wrong)?;
        Ok(Self {
            nonce: *nonce,
            auth: KeyAttestation::parse(auth)?,
            sign: KeyAttestation::parse(sign)?,
            lease: u16::from_be_bytes(lease),
        })
    }

    /// One key's part.
    pub const fn key(&self, key: KeyRef) -> &KeyAttestation {
        match key {
            KeyRef::Auth => &self.auth,
            KeyRef::Sign => &self.sign,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::hex_of;
    use super::*;

    #[test]
    fn commands_are_those_of_the_design() {
        for (command, bytes) in [
            (get_version(), "80CADF3000"),
            (get_status(), "80CADF3100"),
            (get_public_key(KeyRef::Sign, 1), "80CA7F4902020100"),
            (get_proof(KeyRef::Auth, 0), "80CADF3E02010000"),
            (get_lease(), "80CADF3300"),
            (get_attestation(&[0xA5; 16]), "80CADF3210A5A5A5A5A5A5A5A5A5A5A5A5A5A5A5A500"),
        ] {
            assert_eq!(hex_of(&command), bytes);
        }
    }

    #[test]
    fn status_and_version_are_read_field_by_field() {
        let version = AppletVersion::parse(&[1, 2, 0x80, 0x01, 0x01, 0x05]).unwrap();
        assert_eq!((version.major, version.minor), (1, 2));
        assert_eq!((version.features, version.apdu_buffer), (0x8001, 261));
        let status = CardStatus::parse(&[3, 2, 2, 5, 0, 0, 1, 4]).unwrap();
        assert_eq!(*status.key(KeyRef::Auth), KeyStatus { state: KeyState::Active, tries_left: 2 });
        assert_eq!(*status.key(KeyRef::Sign), KeyStatus { state: KeyState::Certified, tries_left: 5 });
        assert_eq!(status.device_counter, 260);
        assert!(CardStatus::parse(&[6, 0, 0, 0, 0, 0, 0, 0]).is_err());
        assert!(CardStatus::parse(&[0; 7]).is_err());
        assert_eq!(parse_lease(&[0xFF, 0xFF]).unwrap(), LEASE_OFF);
        assert!(parse_lease(&[1]).is_err());
    }

    #[test]
    fn an_attestation_is_100_bytes_in_the_order_of_the_design() {
        let mut bytes = vec![0x11; 16];
        for (state, hash, counters) in
            [(3, 0x22, [0, 1, 0, 0, 0, 9, 0, 2]), (4, 0x33, [0, 2, 0, 1, 0, 0, 1, 0])]
        {
            bytes.push(state);
            bytes.extend([hash; 32]);
            bytes.extend(counters);
        }
        bytes.extend([0, 7]);
        assert_eq!(bytes.len(), Attestation::LENGTH);
        let attestation = Attestation::parse(&bytes).unwrap();
        assert_eq!((attestation.nonce, attestation.lease), ([0x11; 16], 7));
        let KeyAttestation { state, modulus_hash, generation, signatures, resets } = attestation.sign;
        assert_eq!((state, modulus_hash), (KeyState::Held, [0x33; 32]));
        assert_eq!((generation, signatures, resets), (2, 0x0001_0000, 256));
        assert_eq!(attestation.key(KeyRef::Auth).signatures, 9);
        for length in [0, 15, 57, 99, 101] {
            bytes.resize(length, 0);
            assert!(Attestation::parse(&bytes).is_err(), "{length}");
        }
    }
}
