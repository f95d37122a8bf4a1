//! PIN, signature password, and their temporary forerunners. None of them can be printed, serialised, or copied by accident.

use std::fmt;

use jpkise_card::SecretKind;
use rand::{CryptoRng, Rng, RngCore};
use zeroize::Zeroizing;

use super::key::KeyRef;

/// Why a text is no PIN or password. Says nothing about the text itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// The PIN is not exactly four digits.
    #[error("a PIN is exactly 4 digits")]
    Pin,
    /// The password is shorter than 6 or longer than 16 characters.
    #[error("a signature password has 6 to 16 characters")]
    PasswordLength,
    /// The password has characters other than A-Z and 0-9.
    #[error("a signature password consists of A-Z and 0-9")]
    PasswordCharacters,
    /// The password lacks a letter or a digit.
    #[error("a signature password has at least one letter and one digit")]
    PasswordMixture,
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Pin {}
    impl Sealed for super::Password {}
}

/// Reference data of one of the two keys.
pub trait Secret: sealed::Sealed + Sized {
    /// The key it guards.
    const KEY: KeyRef;
    /// Its name in traces.
    const KIND: SecretKind;
    /// Length of the old value's field in CHANGE REFERENCE DATA with P1 = 00: 4 for the PIN, 16 for the password.
    const OLD_LENGTH: usize;

    /// The ASCII characters. For building commands only.
    fn expose(&self) -> &[u8];

    /// A random one, as hard to guess as its form allows.
    fn random(rng: &mut (impl RngCore + CryptoRng)) -> Self;
}

/// The 4-digit PIN of the user-authentication key (利用者証明用暗証番号).
pub struct Pin(Zeroizing<[u8; Self::LENGTH]>);

impl Pin {
    /// Digits.
    pub const LENGTH: usize = 4;

    /// Exactly four ASCII digits.
    pub fn new(text: &str) -> Result<Self, SecretError> {
        let digits: [u8; Self::LENGTH] = text.as_bytes().try_into().map_err(|_| SecretError::Pin)?;
        let digits = Zeroizing::new(digits);
        if digits.iter().all(u8::is_ascii_digit) {
            Ok(Self(digits))
        } else {
            Err(SecretError::Pin)
        }
    }

    /// A second copy, made knowingly.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self(self.0.clone())
    }
}

impl Secret for Pin {
    const KEY: KeyRef = KeyRef::Auth;
    const KIND: SecretKind = SecretKind::Pin;
    const OLD_LENGTH: usize = Self::LENGTH;

    fn expose(&self) -> &[u8] {
        self.0.as_slice()
    }

    fn random(rng: &mut (impl RngCore + CryptoRng)) -> Self {
        let mut digits = Zeroizing::new([0; Self::LENGTH]);
        for digit in digits.iter_mut() {
            *digit = rng.gen_range(b'0'..=b'9');
        }
        Self(digits)
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(hidden)")
    }
}

/// The signature password (署名用パスワード): 6 to 16 of A-Z and 0-9, at least one of each.
pub struct Password {
    // A fixed buffer: a vector could leave copies behind when it grows.
    bytes: Zeroizing<[u8; Self::MAX]>,
    length: usize,
}

impl Password {
    /// Fewest characters.
    pub const MIN: usize = 6;
    /// Most characters.
    pub const MAX: usize = 16;
    const ALPHABET: &'static [u8; 36] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

    /// Takes the characters as they are; lower case is refused, as the card would.
    pub fn new(text: &str) -> Result<Self, SecretError> {
        Self::from_bytes(text.as_bytes())
    }

    /// For text that a person typed: lower case becomes upper case first, as the deployed clients do it.
    pub fn from_input(text: &str) -> Result<Self, SecretError> {
        let upper = Zeroizing::new(text.to_ascii_uppercase());
        Self::from_bytes(upper.as_bytes())
    }

    fn from_bytes(text: &[u8]) -> Result<Self, SecretError> {
        if !(Self::MIN..=Self::MAX).contains(&text.len()) {
            return Err(SecretError::PasswordLength);
        }
        if !text.iter().all(|c| Self::ALPHABET.contains(c)) {
            return Err(SecretError::PasswordCharacters);
        }
        if !text.iter().any(u8::is_ascii_digit) || !text.iter().any(u8::is_ascii_uppercase) {
            return Err(SecretError::PasswordMixture);
        }
        let mut bytes = Zeroizing::new([0; Self::MAX]);
        bytes[..text.len()].copy_from_slice(text);
        Ok(Self { bytes, length: text.len() })
    }

    /// A second copy, made knowingly.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self { bytes: self.bytes.clone(), length: self.length }
    }
}

impl Secret for Password {
    const KEY: KeyRef = KeyRef::Sign;
    const KIND: SecretKind = SecretKind::Password;
    const OLD_LENGTH: usize = Self::MAX;

    fn expose(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn random(rng: &mut (impl RngCore + CryptoRng)) -> Self {
        let mut bytes = Zeroizing::new([0; Self::MAX]);
        loop {
            for byte in bytes.iter_mut() {
                *byte = Self::ALPHABET[rng.gen_range(0..Self::ALPHABET.len())];
            }
            // Drawing anew until the form fits keeps every password of the form equally likely.
            if let Ok(password) = Self::from_bytes(bytes.as_slice()) {
                return password;
            }
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(hidden)")
    }
}

/// A temporary PIN or password (仮PIN・仮パスワード): good for CHANGE REFERENCE DATA while the secure channel in which it
/// was set is open, for nothing else.
pub struct Temporary<S>(S);

impl<S: Secret> Temporary<S> {
    /// A fresh one.
    pub fn random(rng: &mut (impl RngCore + CryptoRng)) -> Self {
        Self(S::random(rng))
    }

    /// The value, for the side that has to send it as the old one.
    pub fn value(&self) -> &S {
        &self.0
    }
}

impl<S> fmt::Debug for Temporary<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Temporary(hidden)")
    }
}

/// 8 random ‖ length ‖ secret ‖ random filling: 32 bytes, two AES blocks. The random start keeps equal secrets from
/// looking equal under Key-DEK, whose ICV is zero.
pub struct SecretBlock(Zeroizing<[u8; Self::LENGTH]>);

impl SecretBlock {
    /// Bytes.
    pub const LENGTH: usize = 32;
    const RANDOM: usize = 8;

    /// Around a secret.
    pub fn new<S: Secret>(secret: &S, rng: &mut (impl RngCore + CryptoRng)) -> Self {
        let secret = secret.expose();
        let mut block = Zeroizing::new([0; Self::LENGTH]);
        rng.fill_bytes(block.as_mut_slice());
        // Secrets have at most 16 bytes, by their types.
        #[allow(clippy::cast_possible_truncation)]
        {
            block[Self::RANDOM] = secret.len() as u8;
        }
        block[Self::RANDOM + 1..=Self::RANDOM + secret.len()].copy_from_slice(secret);
        Self(block)
    }

    /// The clear block, to be enciphered under Key-DEK.
    pub fn expose(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

impl fmt::Debug for SecretBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBlock(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    #[test]
    fn a_pin_is_four_digits() {
        assert_eq!(Pin::new("0123").unwrap().expose(), b"0123");
        for text in ["", "123", "12345", "12a4", "１２３４", "12 4", "-123"] {
            assert_eq!(Pin::new(text).unwrap_err(), SecretError::Pin, "{text}");
        }
    }

    #[test]
    fn a_password_is_6_to_16_capitals_and_digits_of_both_kinds() {
        use SecretError::{PasswordCharacters, PasswordLength, PasswordMixture};
        for good in ["ABC123", "A23456", "ABCDEFGHIJKLMNO1", "0A0000"] {
            assert_eq!(Password::new(good).unwrap().expose(), good.as_bytes());
        }
        for (text, error) in [
            ("", PasswordLength),
            ("ABC12", PasswordLength),
            ("ABCDEFGHIJKLMNO12", PasswordLength),
            ("abc123", PasswordCharacters),
            ("ABC-123", PasswordCharacters),
            ("ＡＢＣ１２３", PasswordLength),
            ("ＡＢ１２", PasswordCharacters),
            ("ABCDEF", PasswordMixture),
            ("123456", PasswordMixture),
        ] {
            assert_eq!(Password::new(text).unwrap_err(), error, "{text}");
        }
        assert_eq!(Password::from_input("abc123").unwrap().expose(), b"ABC123");
    }

    #[test]
    fn nothing_of_a_secret_is_printed() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let pin = Pin::new("4711").unwrap();
        let password = Password::new("SECRET1").unwrap();
        let shown = format!(
            "{pin:?} {password:?} {:?} {:?}",
            Temporary::<Pin>::random(&mut rng),
            SecretBlock::new(&pin, &mut rng)
        );
        assert_eq!(shown, "Pin(hidden) Password(hidden) Temporary(hidden) SecretBlock(hidden)");
    }

    #[test]
    fn random_secrets_have_the_form_the_card_demands_and_differ() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..200 {
            let pin = Pin::random(&mut rng);
            assert!(Pin::new(std::str::from_utf8(pin.expose()).unwrap()).is_ok());
            let password = Password::random(&mut rng);
            let text = std::str::from_utf8(password.expose()).unwrap().to_owned();
            assert!(Password::new(&text).is_ok());
            assert!(seen.insert(text));
        }
    }

    #[test]
    fn a_secret_block_is_8_random_length_secret_filling() {
        let mut rng = ChaCha20Rng::seed_from_u64(3);
        let pin = Pin::new("1234").unwrap();
        let (one, two) = (SecretBlock::new(&pin, &mut rng), SecretBlock::new(&pin, &mut rng));
        for block in [&one, &two] {
            assert_eq!(block.expose()[8..13], *b"\x041234");
        }
        assert_ne!(one.expose()[..8], two.expose()[..8]);
        assert_ne!(one.expose()[13..], two.expose()[13..]);
        let longest = SecretBlock::new(&Password::new("ABCDEFGHIJKLMNO1").unwrap(), &mut rng);
        assert_eq!(longest.expose()[8..25], *b"\x10ABCDEFGHIJKLMNO1");
    }
}
