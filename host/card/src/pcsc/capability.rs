//! What a reader and its card can carry.

use pcsc::{ctl_code, Card};

use crate::transport::Capabilities;

/// CM_IOCTL_GET_FEATURE_REQUEST (PC/SC part 10 section 2.2).
const IOCTL_GET_FEATURE_REQUEST: u32 = 3400;
/// FEATURE_GET_TLV_PROPERTIES.
const FEATURE_GET_TLV_PROPERTIES: u8 = 0x12;
/// PCSCv2_PART10_PROPERTY_dwMaxAPDUDataSize.
const PROPERTY_MAX_APDU_DATA_SIZE: u8 = 0x0A;
/// Data bytes of the longest short APDU: above this a reader carries extended ones.
const SHORT_DATA: u32 = 261;

/// Asks the card's ATR and the reader.
pub(super) fn detect(card: &Card, reader: &str, atr: &[u8], t0: bool) -> Capabilities {
    // Readers that do not tell are taken for short ones: those that lie by silence are many, and nothing of ours needs
    // extended length.
    let reader_extended = max_apdu_data(card).is_some_and(|max| max > SHORT_DATA || max == 0);
    Capabilities {
        extended_length: !t0 && announces_extended_length(atr) && reader_extended,
        t0,
        contactless: is_contactless(atr, reader),
    }
}

/// The reader's property, 0 for "unlimited". `None` when it does not know the question.
fn max_apdu_data(card: &Card) -> Option<u32> {
    let mut buffer = [0; 512];
    let features = card.control(ctl_code(IOCTL_GET_FEATURE_REQUEST.into()), &[], &mut buffer).ok()?;
    let code = feature_code(features, FEATURE_GET_TLV_PROPERTIES)?;
    let mut buffer = [0; 512];
    let properties = card.control(code.into(), &[], &mut buffer).ok()?;
    max_apdu_property(properties)
}

/// Features are tag, length 4, control code (big-endian).
fn feature_code(mut features: &[u8], wanted: u8) -> Option<u32> {
    while let [tag, 4, a, b, c, d, ref rest @ ..] = *features {
        if tag == wanted {
            return Some(u32::from_be_bytes([a, b, c, d]));
        }
        features = rest;
    }
    None
}

/// Properties are tag, length, value (little-endian).
fn max_apdu_property(mut properties: &[u8]) -> Option<u32> {
    while let [tag, length, ref rest @ ..] = *properties {
        let (value, rest) = rest.split_at_checked(usize::from(length))?;
        if tag == PROPERTY_MAX_APDU_DATA_SIZE {
            return Some(u32::from_le_bytes(value.try_into().ok()?));
        }
        properties = rest;
    }
    None
}

/// The historical bytes of an ATR (ISO/IEC 7816-3 section 8.2).
fn historical_bytes(atr: &[u8]) -> Option<&[u8]> {
    let t0 = *atr.get(1)?;
    let mut at = 2;
    let mut indicator = t0;
    // Each interface group: TA, TB, TC, TD as the upper bits say; TD begins the next one.
    loop {
        let group = usize::try_from((indicator & 0xF0).count_ones()).ok()?;
        if indicator & 0x80 == 0 {
            at += group;
            break;
        }
        at += group;
        indicator = *atr.get(at - 1)?;
    }
    atr.get(at..at + usize::from(t0 & 0x0F))
}

/// Card capabilities in the historical bytes (ISO/IEC 7816-4 section 8.1.1.2.7): third software function table, bit 7.
fn announces_extended_length(atr: &[u8]) -> bool {
    let Some([0x80, objects @ ..]) = historical_bytes(atr) else {
        // Category 00 ends in three status bytes; its objects stand in between.
        return match historical_bytes(atr) {
            Some([0x00, rest @ .., _, _, _]) => capability_bit(rest),
            _ => false,
        };
    };
    capability_bit(objects)
}

fn capability_bit(mut objects: &[u8]) -> bool {
    // Compact TLV: tag in the upper half, length in the lower.
    while let [head, rest @ ..] = objects {
        let Some((value, rest)) = rest.split_at_checked(usize::from(head & 0x0F)) else { return false };
        if head >> 4 == 7 {
            return value.get(2).is_some_and(|table| table & 0x40 != 0);
        }
        objects = rest;
    }
    false
}

/// Contactless cards have the ATR that PC/SC part 3 section 3.1.3.2.3 makes up for them: 3B 8n 80 01.
fn is_contactless(atr: &[u8], reader: &str) -> bool {
    let made_up = matches!(*atr, [0x3B, t0, 0x80, 0x01, ..] if t0 & 0xF0 == 0x80);
    let name = reader.to_ascii_lowercase();
    made_up || ["contactless", "picc", "nfc", "(cl)"].iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        hex::decode(text.replace(' ', "")).unwrap()
    }

    #[test]
    fn historical_bytes_are_found_behind_any_interface_bytes() {
        for (atr, historical) in [
            ("3B 00", Some("")),
            ("3B 02 14 50", Some("1450")),
            // The phone chip of the published dumps: T=1 and T=15 announced.
            ("3B F8 13 00 00 81 31 FE 45 4A 43 4F 50 76 32 34 31 B7", Some("4a434f5076323431")),
            (
                "3B 8F 80 01 80 4F 0C A0 00 00 03 06 03 00 01 00 00 00 00 6A",
                Some("804f0ca00000030603000100000000"),
            ),
            ("3B F8 13", None),
            ("3B", None),
            ("3B 05 01", None),
        ] {
            let found = historical_bytes(&bytes(atr)).map(hex::encode);
            assert_eq!(found, historical.map(str::to_owned), "{atr}");
        }
    }

    #[test]
    fn extended_length_is_read_from_the_capabilities() {
        for (atr, extended) in [
            // YubiKey 5: 80 73 C0 21 C0 …: bit 7 of the third table.
            ("3B FD 13 00 00 81 31 FE 15 80 73 C0 21 C0 57 59 75 62 69 4B 65 79 40", true),
            ("3B F7 11 00 00 81 31 FE 65 80 73 C8 00 00 00 64 00 11", false),
            ("3B F8 13 00 00 81 31 FE 45 4A 43 4F 50 76 32 34 31 B7", false),
            ("3B", false),
        ] {
            assert_eq!(announces_extended_length(&bytes(atr)), extended, "{atr}");
        }
    }

    #[test]
    fn features_and_properties_of_readers_are_read() {
        let features = bytes("06 04 42 33 00 06 12 04 42 33 00 12");
        assert_eq!(feature_code(&features, FEATURE_GET_TLV_PROPERTIES), Some(0x4233_0012));
        assert_eq!(feature_code(&features, 0x13), None);
        assert_eq!(feature_code(&features[..5], 0x06), None);
        let properties = bytes("01 02 00 00 0A 04 00 00 01 00 0B 02 E6 04");
        assert_eq!(max_apdu_property(&properties), Some(0x0001_0000));
        assert_eq!(max_apdu_property(&properties[..8]), None);
        assert_eq!(max_apdu_property(&[]), None);
    }

    #[test]
    fn contactless_cards_are_known_by_atr_or_reader() {
        let made_up = bytes("3B 8F 80 01 80 4F 0C");
        assert!(is_contactless(&made_up, "Reader"));
        assert!(is_contactless(&bytes("3B 00"), "ACS ACR1252 Dual Reader PICC"));
        assert!(!is_contactless(&bytes("3B F8 13"), "Reader"));
    }
}
