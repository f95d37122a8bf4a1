//! Logical channels and the class byte (ISO/IEC 7816-4 section 5.4.1; GP Card Specification 2.3.1 section 11.1.4).

use std::fmt;

/// A logical channel, 0 (basic) to 19.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LogicalChannel(u8);

impl LogicalChannel {
    /// The basic channel, open from reset on.
    pub const BASIC: Self = Self(0);

    /// Channel `number`, 0 to 19.
    pub const fn new(number: u8) -> Option<Self> {
        if number < 20 {
            Some(Self(number))
        } else {
            None
        }
    }

    /// Its number.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// `class`, given for the basic channel, as it goes out on this channel: 80 becomes 81 on channel 1, C0 on channel 4.
    #[must_use]
    pub const fn class(self, class: u8) -> u8 {
        match self.0 {
            // Already a class for channels 4 to 19, or nothing to add.
            0 => class,
            1..=3 => (class & !0x03) | self.0,
            // b7 marks the further interindustry form: b6 secure messaging, b5 chaining, b4-b1 channel - 4.
            _ => {
                let secure = if class & 0x0C == 0 { 0 } else { 0x20 };
                (class & 0x90) | 0x40 | secure | (self.0 - 4)
            }
        }
    }

    /// The channel a class byte names.
    pub const fn of(class: u8) -> Self {
        if class & 0x40 == 0 {
            Self(class & 0x03)
        } else {
            Self((class & 0x0F) + 4)
        }
    }
}

impl fmt::Display for LogicalChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// `class` with GlobalPlatform secure messaging shown: 84 to 87, E0 to EF.
pub(crate) const fn secured(class: u8) -> u8 {
    if class & 0x40 == 0 {
        class | 0x04
    } else {
        class | 0x20
    }
}

/// The class byte under the C-MAC: secure messaging shown, channel number zero, whatever the form (Amendment D 6.2.4).
pub(crate) const fn class_under_mac(class: u8) -> u8 {
    if class & 0x40 == 0 {
        (class & !0x03) | 0x04
    } else {
        (class & 0x90) | 0x04
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_carries_its_channel_and_the_mac_never_does() {
        for (number, class, sent, secure, under_mac) in [
            (0, 0x80, 0x80, 0x84, 0x84),
            (1, 0x80, 0x81, 0x85, 0x84),
            (3, 0x00, 0x03, 0x07, 0x04),
            (4, 0x80, 0xC0, 0xE0, 0x84),
            (19, 0x80, 0xCF, 0xEF, 0x84),
            (4, 0x00, 0x40, 0x60, 0x04),
            (2, 0x90, 0x92, 0x96, 0x94),
            (5, 0x90, 0xD1, 0xF1, 0x94),
        ] {
            let channel = LogicalChannel::new(number).unwrap();
            assert_eq!(channel.class(class), sent, "channel {number}");
            assert_eq!(secured(sent), secure, "channel {number}");
            assert_eq!(class_under_mac(sent), under_mac, "channel {number}");
            assert_eq!(class_under_mac(secure), under_mac, "channel {number}");
            assert_eq!(LogicalChannel::of(secure), channel);
        }
        assert_eq!(LogicalChannel::new(20), None);
        assert_eq!(LogicalChannel::new(4).unwrap().class(0x84), 0xE0);
    }
}
