//! VERIFY and CHANGE REFERENCE DATA.
//!
//! | command | CLA INS P1 P2 | data | answer |
//! |---|---|---|---|
//! | VERIFY | 00 20 00 tt | secret (1-16) | 9000; 63Cx, 63C0 on the try that blocks; 6984 or 6983 after; 6985 not ACTIVE |
//! | tries left | 00 20 00 tt | – | 63Cx always |
//! | CHANGE REFERENCE DATA | 00 24 01 tt | new | 9000; 6982 before VERIFY; 6A80 wrong form |
//! | | 00 24 00 tt | old ‖ FF.. to 16 (PIN: 4) ‖ new | 9000; as VERIFY; 6A80 wrong form |
//!
//! tt is 80 for the current EF or 80 + short EF identifier.

use jpkise_card::{CommandApdu, SecretKind};
use zeroize::Zeroizing;

use super::file::Ef;
use super::secret::Secret;
use super::CLA_ISO;

const INS_VERIFY: u8 = 0x20;
const INS_CHANGE_REFERENCE_DATA: u8 = 0x24;
/// Old and new value in the data field.
const P1_OLD_AND_NEW: u8 = 0x00;
/// New value only.
const P1_NEW: u8 = 0x01;
/// Specific reference data, of the current EF unless bits 1 to 5 name one.
const P2_SPECIFIC: u8 = 0x80;
/// Fills the old value up to its fixed length, so that the card finds where the new one starts.
const FILLER: u8 = 0xFF;

/// What VERIFY, CHANGE REFERENCE DATA and COMPUTE DIGITAL SIGNATURE act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// The EF selected last.
    Current,
    /// An EF by its short identifier.
    Short(Ef),
}

impl Target {
    /// P2.
    pub const fn p2(self) -> u8 {
        match self {
            Self::Current => P2_SPECIFIC,
            Self::Short(ef) => P2_SPECIFIC | ef.short_id(),
        }
    }
}

/// VERIFY with these bytes, whatever their form.
pub fn verify_bytes(target: Target, kind: SecretKind, secret: &[u8]) -> CommandApdu {
    CommandApdu::new(CLA_ISO, INS_VERIFY, 0, target.p2()).with_data(secret).hiding(kind)
}

/// VERIFY.
pub fn verify<S: Secret>(target: Target, secret: &S) -> CommandApdu {
    verify_bytes(target, S::KIND, secret.expose())
}

/// VERIFY without data: asks for the tries left and changes nothing.
pub fn tries_left(target: Target) -> CommandApdu {
    CommandApdu::new(CLA_ISO, INS_VERIFY, 0, target.p2())
}

/// CHANGE REFERENCE DATA after VERIFY: the new value only.
pub fn change_verified<S: Secret>(target: Target, new: &S) -> CommandApdu {
    CommandApdu::new(CLA_ISO, INS_CHANGE_REFERENCE_DATA, P1_NEW, target.p2())
        .with_data(new.expose())
        .hiding(S::KIND)
}

/// CHANGE REFERENCE DATA with the old (or temporary) value and the new one.
pub fn change<S: Secret>(target: Target, old: &S, new: &S) -> CommandApdu {
    let mut data = Zeroizing::new(Vec::with_capacity(S::OLD_LENGTH + new.expose().len()));
    data.extend_from_slice(old.expose());
    data.resize(S::OLD_LENGTH, FILLER);
    data.extend_from_slice(new.expose());
    CommandApdu::new(CLA_ISO, INS_CHANGE_REFERENCE_DATA, P1_OLD_AND_NEW, target.p2())
        .with_data(data.as_slice())
        .hiding(S::KIND)
}

#[cfg(test)]
mod tests {
    use super::super::hex_of;
    use super::super::secret::{Password, Pin};
    use super::*;

    #[test]
    fn commands_are_those_of_the_design() {
        let pin = |text| Pin::new(text).unwrap();
        let password = |text| Password::new(text).unwrap();
        let (auth, sign) = (Target::Short(Ef::AUTH_PIN), Target::Short(Ef::SIGN_PASSWORD));
        for (command, bytes, secret) in [
            (verify(Target::Current, &pin("1234")), "002000800431323334", Some("pin")),
            (verify(auth, &pin("1234")), "002000980431323334", Some("pin")),
            (verify(sign, &password("ABC123")), "0020009B06414243313233", Some("password")),
            (tries_left(Target::Current), "00200080", None),
            (tries_left(sign), "0020009B", None),
            (change_verified(Target::Current, &pin("5678")), "002401800435363738", Some("pin")),
            (change(auth, &pin("1234"), &pin("5678")), "00240098083132333435363738", Some("pin")),
            (
                change(sign, &password("ABC123"), &password("XYZ7890")),
                "0024009B17414243313233FFFFFFFFFFFFFFFFFFFF58595A37383930",
                Some("password"),
            ),
        ] {
            assert_eq!(hex_of(&command), bytes);
            assert_eq!(command.secret().map(SecretKind::name), secret, "{bytes}");
        }
    }
}
