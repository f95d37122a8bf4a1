//! Security levels, the i parameter and the S mode.

use std::fmt;

/// Size of challenges, cryptograms and MACs on the wire: S8 or S16 (Amendment D 1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SMode {
    /// 8 bytes each.
    S8,
    /// 16 bytes each.
    S16,
}

impl SMode {
    /// 8 or 16.
    pub const fn bytes(self) -> usize {
        match self {
            Self::S8 => 8,
            Self::S16 => 16,
        }
    }

    /// From a challenge's length.
    pub const fn from_bytes(length: usize) -> Option<Self> {
        match length {
            8 => Some(Self::S8),
            16 => Some(Self::S16),
            _ => None,
        }
    }
}

/// The i parameter (section 5.1, table 5-1).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct IParameter(u8);

impl IParameter {
    /// b1: S16 (Amendment D 1.2; see the note on implementations that read b4 in the protocol page).
    pub const S16: u8 = 0x01;
    /// b5: pseudo-random card challenge with sequence counter.
    pub const PSEUDO_RANDOM: u8 = 0x10;
    /// b6: R-MAC supported.
    pub const R_MAC: u8 = 0x20;
    /// b7: R-ENCRYPTION supported, together with R-MAC only.
    pub const R_ENC: u8 = 0x40;
    /// 00: random card challenge, S8, no protection of answers.
    pub const NONE: Self = Self(0);

    /// Takes the byte; `None` for combinations the table does not define (R-ENC without R-MAC, reserved bits).
    pub const fn new(value: u8) -> Option<Self> {
        let known = Self::S16 | Self::PSEUDO_RANDOM | Self::R_MAC | Self::R_ENC;
        if value & !known != 0 || value & (Self::R_MAC | Self::R_ENC) == Self::R_ENC {
            return None;
        }
        Some(Self(value))
    }

    /// The byte.
    pub const fn value(self) -> u8 {
        self.0
    }

    /// Whether the card challenge comes from the sequence counter.
    pub const fn is_pseudo_random(self) -> bool {
        self.0 & Self::PSEUDO_RANDOM != 0
    }

    /// Challenge and MAC size.
    pub const fn s_mode(self) -> SMode {
        if self.0 & Self::S16 == 0 {
            SMode::S8
        } else {
            SMode::S16
        }
    }

    /// Whether the card offers `level`.
    pub const fn offers(self, level: SecurityLevel) -> bool {
        (!level.has_r_mac() || self.0 & Self::R_MAC != 0) && (!level.has_r_enc() || self.0 & Self::R_ENC != 0)
    }
}

impl fmt::Display for IParameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02X}", self.0)
    }
}

impl fmt::Debug for IParameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "i={self}")
    }
}

/// A byte that is no security level of section 7.1.2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0:02X} is no SCP03 security level (00, 01, 03, 11, 13, 33)")]
pub struct LevelError(pub u8);

/// Security level, P1 of EXTERNAL AUTHENTICATE (table 7-5): 00, 01, 03, 11, 13 or 33.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecurityLevel(u8);

impl SecurityLevel {
    /// Bit of C-MAC.
    pub const C_MAC: u8 = 0x01;
    /// Bit of C-DECRYPTION.
    pub const C_DECRYPTION: u8 = 0x02;
    /// Bit of R-MAC.
    pub const R_MAC: u8 = 0x10;
    /// Bit of R-ENCRYPTION.
    pub const R_ENCRYPTION: u8 = 0x20;
    /// Authentication only.
    pub const NONE: Self = Self(0x00);
    /// C-MAC.
    pub const L01: Self = Self(0x01);
    /// C-MAC and C-DECRYPTION.
    pub const L03: Self = Self(0x03);
    /// C-MAC and R-MAC.
    pub const L11: Self = Self(0x11);
    /// C-MAC, C-DECRYPTION and R-MAC.
    pub const L13: Self = Self(0x13);
    /// Everything.
    pub const L33: Self = Self(0x33);
    /// All six levels.
    pub const ALL: [Self; 6] = [Self::NONE, Self::L01, Self::L03, Self::L11, Self::L13, Self::L33];

    /// The byte.
    pub const fn value(self) -> u8 {
        self.0
    }

    /// Whether commands carry a MAC.
    pub const fn has_c_mac(self) -> bool {
        self.0 & Self::C_MAC != 0
    }

    /// Whether command data is enciphered.
    pub const fn has_c_enc(self) -> bool {
        self.0 & Self::C_DECRYPTION != 0
    }

    /// Whether answers carry a MAC.
    pub const fn has_r_mac(self) -> bool {
        self.0 & Self::R_MAC != 0
    }

    /// Whether answer data is enciphered.
    pub const fn has_r_enc(self) -> bool {
        self.0 & Self::R_ENCRYPTION != 0
    }
}

impl TryFrom<u8> for SecurityLevel {
    type Error = LevelError;
    fn try_from(value: u8) -> Result<Self, LevelError> {
        Self::ALL.into_iter().find(|l| l.0 == value).ok_or(LevelError(value))
    }
}

impl fmt::Display for SecurityLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02X}", self.0)
    }
}

impl fmt::Debug for SecurityLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecurityLevel({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_bytes_are_levels_and_no_others() {
        let levels: Vec<u8> = (0..=255).filter(|v| SecurityLevel::try_from(*v).is_ok()).collect();
        assert_eq!(levels, [0x00, 0x01, 0x03, 0x11, 0x13, 0x33]);
    }

    #[test]
    fn i_says_which_levels_are_offered() {
        for (i, offered) in [(0x00, 3), (0x10, 3), (0x20, 5), (0x30, 5), (0x60, 6), (0x70, 6), (0x71, 6)] {
            let parameter = IParameter::new(i).unwrap();
            assert_eq!(
                SecurityLevel::ALL.iter().filter(|l| parameter.offers(**l)).count(),
                offered,
                "{i:02X}"
            );
        }
        for undefined in [0x40, 0x50, 0x08, 0x80, 0x02] {
            assert!(IParameter::new(undefined).is_none(), "{undefined:02X}");
        }
        assert_eq!(IParameter::new(0x71).unwrap().s_mode(), SMode::S16);
    }
}
