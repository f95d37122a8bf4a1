//! Application identifiers (ISO/IEC 7816-4 section 8.2.1.2: 5 to 16 bytes).

use std::fmt;
use std::str::FromStr;

/// An application identifier of 5 to 16 bytes: RID (5) and PIX (0 to 11).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Aid {
    // Bytes behind `len` are zero, so that the derived comparisons see only the AID and its length.
    bytes: [u8; Self::MAX],
    len: u8,
}

/// Why bytes or text are no AID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AidError {
    /// Length in bytes outside 5 to 16.
    #[error("an AID has 5 to 16 bytes, not {0}")]
    Length(usize),
    /// The text is not hexadecimal.
    #[error("not hexadecimal: {0}")]
    Hex(String),
}

impl Aid {
    /// Shortest AID (the RID alone), in bytes.
    pub const MIN: usize = 5;
    /// Longest AID, in bytes.
    pub const MAX: usize = 16;

    /// Takes 5 to 16 bytes.
    pub fn new(bytes: &[u8]) -> Result<Self, AidError> {
        if !(Self::MIN..=Self::MAX).contains(&bytes.len()) {
            return Err(AidError::Length(bytes.len()));
        }
        let mut padded = [0; Self::MAX];
        padded[..bytes.len()].copy_from_slice(bytes);
        // The length was bounded to 16 above.
        #[allow(clippy::cast_possible_truncation)]
        let len = bytes.len() as u8;
        Ok(Self { bytes: padded, len })
    }

    /// An AID known at compile time.
    ///
    /// # Panics
    /// On a wrong length; in a `const` that is a compile error.
    #[must_use]
    #[allow(clippy::panic, clippy::cast_possible_truncation)]
    pub const fn literal<const N: usize>(bytes: [u8; N]) -> Self {
        assert!(N >= Self::MIN && N <= Self::MAX, "an AID has 5 to 16 bytes");
        let mut padded = [0; Self::MAX];
        let mut i = 0;
        while i < N {
            padded[i] = bytes[i];
            i += 1;
        }
        Self { bytes: padded, len: N as u8 }
    }

    /// The AID's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// The registered application provider identifier, the first five bytes.
    pub fn rid(&self) -> &[u8] {
        &self.bytes[..Self::MIN]
    }

    /// Whether a SELECT or GET STATUS with `prefix` reaches this AID (partial names, GP Card Spec 2.3.1 section 11.9).
    pub fn starts_with(&self, prefix: &[u8]) -> bool {
        self.as_bytes().starts_with(prefix)
    }
}

impl AsRef<[u8]> for Aid {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl TryFrom<&[u8]> for Aid {
    type Error = AidError;
    fn try_from(bytes: &[u8]) -> Result<Self, AidError> {
        Self::new(bytes)
    }
}

impl FromStr for Aid {
    type Err = AidError;
    fn from_str(text: &str) -> Result<Self, AidError> {
        let compact: String = text.chars().filter(|c| !c.is_whitespace() && *c != ':').collect();
        let bytes = hex::decode(&compact).map_err(|_| AidError::Hex(text.to_owned()))?;
        Self::new(&bytes)
    }
}

impl fmt::Display for Aid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode_upper(self.as_bytes()))
    }
}

impl fmt::Debug for Aid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Aid({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aid_has_five_to_sixteen_bytes() {
        for (len, good) in [(0, false), (4, false), (5, true), (16, true), (17, false)] {
            assert_eq!(Aid::new(&vec![1; len]).is_ok(), good, "{len} bytes");
        }
    }

    #[test]
    fn text_may_carry_spaces_and_colons() {
        let aid: Aid = "D3 92 F0:00 26".parse().unwrap();
        assert_eq!(aid.to_string(), "D392F00026");
        assert!("D392F0002".parse::<Aid>().is_err());
    }

    #[test]
    fn equality_sees_the_length() {
        assert_ne!(Aid::literal([1, 2, 3, 4, 5]), Aid::literal([1, 2, 3, 4, 5, 0]));
    }
}
