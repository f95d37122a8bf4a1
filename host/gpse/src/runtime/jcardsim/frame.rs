//! Frames between the card manager and the jCardSim process. The layout is drawn in `Link.java`.

use jpkise_wire::Aid;
use zeroize::Zeroizing;

/// Version of the protocol.
pub(super) const VERSION: u16 = 2;
/// Longest frame; longer ones are no frames.
pub(super) const MAX_FRAME: usize = 1 << 20;

/// Frame types.
pub(super) mod kind {
    pub const HELLO: u8 = 0x01;
    pub const INSTALL: u8 = 0x02;
    pub const SELECT: u8 = 0x03;
    pub const DESELECT: u8 = 0x04;
    pub const PROCESS: u8 = 0x05;
    pub const ACCEPTS: u8 = 0x06;
    pub const PERSONALIZE: u8 = 0x07;
    pub const DELETE: u8 = 0x08;
    pub const SETTLE: u8 = 0x09;
    pub const RESET: u8 = 0x0A;
    pub const CLASSES: u8 = 0x0B;
    pub const RETURN: u8 = 0x20;
    pub const THROW: u8 = 0x21;
    pub const ANSWER_HELLO: u8 = 0x81;
    pub const DONE: u8 = 0x82;
    pub const REFUSED: u8 = 0x83;
    pub const SERVICE: u8 = 0x84;
}

/// Operations of a SERVICE frame.
pub(super) mod service {
    pub const PROCESS_SECURITY: u8 = 1;
    pub const UNWRAP: u8 = 2;
    pub const WRAP: u8 = 3;
    pub const DECRYPT_DATA: u8 = 4;
    pub const ENCRYPT_DATA: u8 = 5;
    pub const SECURITY_LEVEL: u8 = 6;
    pub const RESET_SECURITY: u8 = 7;
    pub const CARD_CONTENT_STATE: u8 = 8;
    pub const SET_CARD_CONTENT_STATE: u8 = 9;
    pub const CARD_STATE: u8 = 10;
    pub const SET_HISTORICAL_BYTES: u8 = 11;
    pub const LOCK_CARD: u8 = 12;
    pub const TERMINATE_CARD: u8 = 13;
}

/// A frame being written. It may carry a secret in clear, so it is wiped on drop.
pub(super) struct Frame(Zeroizing<Vec<u8>>);

impl Frame {
    pub fn new(kind: u8) -> Self {
        let mut out = Zeroizing::new(Vec::with_capacity(512));
        out.extend_from_slice(&[0, 0, 0, 0, kind]);
        Self(out)
    }

    pub fn octet(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    pub fn word(mut self, value: u16) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// Strings come from APDUs, far below 2^32 bytes.
    pub fn string(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    /// At most 255, which no card's registry reaches.
    pub fn aids(self, aids: &[Aid]) -> Self {
        let aids = &aids[..aids.len().min(255)];
        let count = u8::try_from(aids.len()).unwrap_or(u8::MAX);
        aids.iter().fold(self.octet(count), |frame, aid| frame.string(aid.as_bytes()))
    }

    /// With its length filled in.
    pub fn finish(mut self) -> Zeroizing<Vec<u8>> {
        let length = u32::try_from(self.0.len() - 4).unwrap_or(u32::MAX);
        self.0[..4].copy_from_slice(&length.to_be_bytes());
        self.0
    }
}

/// A frame being read, without its length.
pub(super) struct Fields<'a> {
    kind: u8,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// An empty frame reads as type 00, which there is not.
    pub fn new(frame: &'a [u8]) -> Self {
        let (kind, rest) = frame.split_first().map_or((0, frame), |(kind, rest)| (*kind, rest));
        Self { kind, rest }
    }

    /// The fields of a string that carries some.
    pub fn of_string(rest: &'a [u8]) -> Self {
        Self { kind: 0, rest }
    }

    pub fn kind(&self) -> u8 {
        self.kind
    }

    pub fn octet(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    pub fn word(&mut self) -> Option<u16> {
        let (bytes, rest) = self.rest.split_first_chunk::<2>()?;
        self.rest = rest;
        Some(u16::from_be_bytes(*bytes))
    }

    pub fn string(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (bytes, rest) = rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }

    pub fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.string()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_read_what_a_frame_wrote() {
        let aid = Aid::literal([1, 2, 3, 4, 5]);
        let bytes = Frame::new(kind::SELECT).octet(7).word(0x6A82).string(&[9; 300]).aids(&[aid]).finish();
        let mut fields = Fields::new(&bytes[4..]);
        assert_eq!(fields.kind(), kind::SELECT);
        assert_eq!((fields.octet(), fields.word()), (Some(7), Some(0x6A82)));
        assert_eq!(fields.string(), Some(&[9; 300][..]));
        assert_eq!((fields.octet(), fields.string()), (Some(1), Some(aid.as_bytes())));
        assert_eq!((fields.octet(), fields.string()), (None, None));
    }

    #[test]
    fn a_string_longer_than_its_frame_is_none() {
        assert_eq!(Fields::new(&[0x82, 0xFF, 0xFF, 0xFF, 0xFF, 1]).string(), None);
        assert_eq!(Fields::new(&[]).kind(), 0);
    }
}
