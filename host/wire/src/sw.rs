//! Status words SW1 SW2 (ISO/IEC 7816-4 section 5.6; GP Card Specification 2.3.1 section 11.1.3).

use std::fmt;

/// A two-byte status word.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StatusWord(pub u16);

macro_rules! words {
    ($($name:ident = $value:literal, $text:literal;)*) => {
        impl StatusWord {
            $(#[doc = $text] pub const $name: Self = Self($value);)*

            /// The standard's meaning of a word with a fixed value; `None` for families such as 63Cx.
            pub const fn standard_text(self) -> Option<&'static str> {
                match self.0 { $($value => Some($text),)* _ => None }
            }
        }
    };
}

words! {
    SUCCESS = 0x9000, "success";
    CHANNEL_ALREADY_CLOSED = 0x6200, "logical channel already closed";
    CARD_LOCKED = 0x6283, "selected, but the card is locked";
    AUTHENTICATION_FAILED = 0x6300, "authentication of the host cryptogram failed";
    MORE_DATA = 0x6310, "more data available";
    DUPLICATE_REFERENCE = 0x6381, "stored, a rule with this reference was there already";
    UNKNOWN_OBJECT_DISCARDED = 0x6382, "stored, an unknown object was discarded";
    NO_DIAGNOSIS = 0x6400, "no specific diagnosis";
    MEMORY_FAILURE = 0x6581, "memory failure";
    WRONG_LENGTH = 0x6700, "wrong length";
    CHANNEL_NOT_SUPPORTED = 0x6881, "logical channel not supported or not open";
    SECURE_MESSAGING_NOT_SUPPORTED = 0x6882, "secure messaging not supported";
    CHAINING_NOT_SUPPORTED = 0x6884, "command chaining not supported";
    COMMAND_NOT_SUPPORTED_BY_STRUCTURE = 0x6981, "command incompatible with the object";
    SECURITY_NOT_SATISFIED = 0x6982, "security status not satisfied";
    METHOD_BLOCKED = 0x6983, "authentication method blocked";
    REFERENCE_DATA_NOT_USABLE = 0x6984, "reference data not usable";
    CONDITIONS_NOT_SATISFIED = 0x6985, "conditions of use not satisfied";
    NO_CURRENT_EF = 0x6986, "command not allowed, no current EF";
    APPLET_SELECT_FAILED = 0x6999, "the application refused to be selected";
    WRONG_DATA = 0x6A80, "wrong data";
    FUNCTION_NOT_SUPPORTED = 0x6A81, "function not supported, or card locked";
    NOT_FOUND = 0x6A82, "file or application not found";
    NOT_ENOUGH_MEMORY = 0x6A84, "not enough memory";
    INCORRECT_P1_P2 = 0x6A86, "incorrect P1 P2";
    REFERENCED_DATA_NOT_FOUND = 0x6A88, "referenced data not found";
    CONFLICTING_RULE = 0x6A89, "conflicting rule present, not stored";
    WRONG_P1_P2 = 0x6B00, "offset outside the file, or wrong P1 P2";
    INS_NOT_SUPPORTED = 0x6D00, "instruction not supported";
    CLA_NOT_SUPPORTED = 0x6E00, "class not supported";
    UNKNOWN = 0x6F00, "no precise diagnosis (an uncaught exception in the applet)";
    ALGORITHM_NOT_SUPPORTED = 0x9484, "algorithm not supported";
    INVALID_KEY_CHECK_VALUE = 0x9485, "invalid key check value";
}

impl StatusWord {
    /// From its two bytes.
    pub const fn new(sw1: u8, sw2: u8) -> Self {
        Self(u16::from_be_bytes([sw1, sw2]))
    }

    /// First byte.
    pub const fn sw1(self) -> u8 {
        self.0.to_be_bytes()[0]
    }

    /// Second byte.
    pub const fn sw2(self) -> u8 {
        self.0.to_be_bytes()[1]
    }

    /// 9000.
    pub const fn is_success(self) -> bool {
        self.0 == 0x9000
    }

    /// 9000, 62xx or 63xx: the words whose answers SCP03 protects (Amendment D section 6.2.5).
    pub const fn is_protected(self) -> bool {
        self.is_success() || matches!(self.sw1(), 0x62 | 0x63)
    }

    /// Tries left of a 63Cx answer.
    pub const fn tries_left(self) -> Option<u8> {
        if self.0 & 0xFFF0 == 0x63C0 {
            Some(self.sw2() & 0x0F)
        } else {
            None
        }
    }

    /// `xx` of a 61xx answer: bytes waiting for GET RESPONSE (0 stands for 256 or more).
    pub const fn bytes_waiting(self) -> Option<u8> {
        if self.sw1() == 0x61 {
            Some(self.sw2())
        } else {
            None
        }
    }

    /// `xx` of a 6Cxx answer: the Le to ask again with (0 stands for 256).
    pub const fn right_le(self) -> Option<u8> {
        if self.sw1() == 0x6C {
            Some(self.sw2())
        } else {
            None
        }
    }

    /// The two bytes as sent.
    pub const fn to_bytes(self) -> [u8; 2] {
        self.0.to_be_bytes()
    }
}

impl From<u16> for StatusWord {
    fn from(value: u16) -> Self {
        Self(value)
    }
}

impl fmt::Display for StatusWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X}", self.0)
    }
}

impl fmt::Debug for StatusWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SW({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_falls_into_the_families_of_the_standard() {
        for value in 0..=u16::MAX {
            let sw = StatusWord(value);
            assert_eq!(StatusWord::new(sw.sw1(), sw.sw2()), sw);
            assert_eq!(sw.tries_left().is_some(), (0x63C0..=0x63CF).contains(&value));
            assert_eq!(sw.bytes_waiting().is_some(), (0x6100..=0x61FF).contains(&value));
            assert_eq!(sw.right_le().is_some(), (0x6C00..=0x6CFF).contains(&value));
            assert_eq!(sw.is_protected(), value == 0x9000 || (0x6200..=0x63FF).contains(&value));
        }
    }
}
