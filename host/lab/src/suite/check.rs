//! Checks over captured values: what a pattern cannot say.

use std::fmt;

use jpkise_jpki::verify;
use jpkise_jpki::Cert;
use rsa::pkcs1v15::Pkcs1v15Sign;
use rsa::pss::Pss;
use rsa::traits::PublicKeyParts;
use rsa::{BigUint, RsaPublicKey};
use sha2::{Digest, Sha256};

use super::bytes::{ByteExpression, EvalError, Resolve, Scanner};
use super::signature;

/// A check: a predicate and its arguments, written `name(a, b)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    predicate: Predicate,
    arguments: Vec<ByteExpression>,
    text: String,
}

/// One way in which what was checked is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The field, by its name.
    pub place: String,
    /// What was due in it.
    pub expected: String,
    /// What stands in it.
    pub found: String,
}

impl Difference {
    pub(super) fn new(
        place: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self { place: place.into(), expected: expected.into(), found: found.into() }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} where {} was due", self.place, self.found, self.expected)
    }
}

/// A check that came out wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckFailed {
    /// Not so.
    #[error("{check}: {}", differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    NotSo {
        /// The check as written.
        check: String,
        /// Where it is not so; never empty.
        differences: Vec<Difference>,
    },
    /// An argument has no value.
    #[error(transparent)]
    Value(#[from] EvalError),
}

macro_rules! predicates {
    ($($variant:ident = $name:literal $arguments:literal;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        enum Predicate { $($variant),* }

        impl Predicate {
            const NAMES: &'static [&'static str] = &[$($name),*];

            fn of(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }

            const fn arguments(self) -> usize {
                match self { $(Self::$variant => $arguments),* }
            }
        }
    };
}

predicates! {
    Equal = "equal" 2;
    Differs = "differs" 2;
    // Big-endian numbers.
    Less = "less" 2;
    AtMost = "at-most" 2;
    // The first holds, or does not hold, the second.
    Contains = "contains" 2;
    Lacks = "lacks" 2;
    // Modulus (exponent 65537), what was given to the card, signature.
    RsaVerbatim = "rsa-verbatim" 3;
    // Modulus, message, signature: PKCS#1 v1.5 with SHA-256.
    RsaSha256 = "rsa-sha256" 3;
    // Modulus, SHA-256 hash, signature: PSS with SHA-256.
    RsaPss = "rsa-pss" 3;
    // Certificate (DER), modulus: the certificate is for that key.
    Certifies = "certifies" 2;
}

impl Check {
    /// Reads a check; the error is a sentence without the place.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (name, rest) = text.split_once('(').ok_or("a check is written name(a, b)")?;
        let name = name.trim();
        let predicate = Predicate::of(name).ok_or_else(|| {
            let near = super::source::nearest(name, Predicate::NAMES);
            let hint = near.map(|n| format!("; did you mean {n}?")).unwrap_or_default();
            format!("there is no check {name}{hint}")
        })?;
        let mut scanner = Scanner::new(rest);
        let mut arguments = Vec::new();
        for index in 0..predicate.arguments() {
            if index > 0 && !scanner.take(',') {
                return Err(format!("{name} takes {} arguments", predicate.arguments()));
            }
            arguments.push(scanner.argument()?);
        }
        if !scanner.take(')') {
            return Err(format!("the closing ) of {name} is missing"));
        }
        scanner.end()?;
        Ok(Self { predicate, arguments, text: text.to_owned() })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Names of the values it uses.
    pub fn names(&self) -> Vec<&str> {
        self.arguments.iter().flat_map(ByteExpression::names).collect()
    }

    /// Whether it is so.
    pub fn verify(&self, scope: &mut dyn Resolve) -> Result<(), CheckFailed> {
        let values =
            self.arguments.iter().map(|a| a.evaluate(scope)).collect::<Result<Vec<_>, EvalError>>()?;
        if holds(self.predicate, &values) {
            Ok(())
        } else {
            let mut differences = differences(self.predicate, &values, &self.text);
            if differences.is_empty() {
                differences.push(Difference::new(&self.text, "to hold", "does not"));
            }
            Err(CheckFailed::NotSo { check: self.text.clone(), differences })
        }
    }
}

/// Field by field where the values have fields.
fn differences(predicate: Predicate, values: &[Vec<u8>], text: &str) -> Vec<Difference> {
    let value = |index: usize| values.get(index).map(Vec::as_slice).unwrap_or_default();
    let (a, b, c) = (value(0), value(1), value(2));
    let one = |expected: String, found: &[u8]| vec![Difference::new(text, expected, abridged(found))];
    match predicate {
        Predicate::Equal => {
            let at = a.iter().zip(b).take_while(|(a, b)| a == b).count();
            // Long values that begin alike: what tells them apart is further on.
            if at > 0 && a.len() == b.len() {
                let place = format!("{text}, at byte {at}");
                return vec![Difference::new(place, abridged(&b[at..]), abridged(&a[at..]))];
            }
            one(abridged(b), a)
        }
        Predicate::Differs => one(format!("another value than {}", abridged(b)), a),
        Predicate::Less => one(format!("less than {}", abridged(b)), a),
        Predicate::AtMost => one(format!("at most {}", abridged(b)), a),
        Predicate::Contains => one(format!("{} in it", abridged(b)), a),
        Predicate::Lacks => one(format!("no {} in it", abridged(b)), a),
        Predicate::RsaVerbatim => signature::verbatim(a, b, c),
        Predicate::RsaSha256 => signature::sha256(a, b, c),
        Predicate::RsaPss => signature::pss(a, b, c),
        Predicate::Certifies => match Cert::from_der(a).and_then(|certificate| certificate.public_key()) {
            Ok(key) => {
                let modulus = key.n().to_bytes_be();
                vec![Difference::new("key in the certificate", abridged(b), abridged(&modulus))]
            }
            Err(error) => vec![Difference::new("certificate", "an X.509 certificate", error.to_string())],
        },
    }
}

fn holds(predicate: Predicate, values: &[Vec<u8>]) -> bool {
    let value = |index: usize| values.get(index).map(Vec::as_slice).unwrap_or_default();
    let (a, b, c) = (value(0), value(1), value(2));
    match predicate {
        Predicate::Equal => a == b,
        Predicate::Differs => a != b,
        Predicate::Less => BigUint::from_bytes_be(a) < BigUint::from_bytes_be(b),
        Predicate::AtMost => BigUint::from_bytes_be(a) <= BigUint::from_bytes_be(b),
        Predicate::Contains => contains(a, b),
        Predicate::Lacks => !contains(a, b),
        Predicate::RsaVerbatim => {
            public_key(a).is_some_and(|key| key.verify(Pkcs1v15Sign::new_unprefixed(), b, c).is_ok())
        }
        Predicate::RsaSha256 => public_key(a).is_some_and(|key| verify::verify_message(&key, b, c).is_ok()),
        Predicate::RsaPss => public_key(a).is_some_and(|key| key.verify(Pss::new::<Sha256>(), b, c).is_ok()),
        Predicate::Certifies => Cert::from_der(a)
            .and_then(|certificate| certificate.public_key())
            .is_ok_and(|key| public_key(b).is_some_and(|wanted| wanted == key)),
    }
}

fn contains(whole: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && whole.windows(part.len()).any(|window| window == part)
}

fn public_key(modulus: &[u8]) -> Option<RsaPublicKey> {
    RsaPublicKey::new(BigUint::from_bytes_be(modulus), BigUint::from(65_537_u32)).ok()
}

/// Long values end in their digest: enough to tell two apart.
pub(super) fn abridged(bytes: &[u8]) -> String {
    const SHOWN: usize = 24;
    if bytes.len() <= SHOWN {
        return hex::encode_upper(bytes);
    }
    let digest = Sha256::digest(bytes);
    format!(
        "{}… ({} bytes, SHA-256 {}…)",
        hex::encode_upper(&bytes[..SHOWN]),
        bytes.len(),
        hex::encode_upper(&digest[..4])
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl Resolve for Nothing {
        fn value(&self, _: &str) -> Option<Vec<u8>> {
            None
        }
        fn random(&mut self, _: &mut [u8]) {}
        fn dek(&mut self, _: &[u8]) -> Option<Vec<u8>> {
            None
        }
    }

    #[test]
    fn checks_hold_or_say_what_they_saw() {
        for (text, so) in [
            ("equal(0102, 01 02)", true),
            ("equal(01, 0001)", false),
            ("differs(01, 02)", true),
            ("less(00FF, 0100)", true),
            ("less(0100, 0100)", false),
            ("at-most(0100, 0100)", true),
            ("contains(010203, 0203)", true),
            ("lacks(010203, 0302)", true),
            ("lacks(010203, 02)", false),
            ("rsa-verbatim(00, 00, 00)", false),
            ("certifies(3000, 00)", false),
        ] {
            assert_eq!(Check::parse(text).unwrap().verify(&mut Nothing).is_ok(), so, "{text}");
        }
        let wrong = Check::parse("equal(01, 02)").unwrap().verify(&mut Nothing).unwrap_err();
        assert_eq!(wrong.to_string(), "equal(01, 02): equal(01, 02): 01 where 02 was due");
        for (text, said) in [
            ("equal(0102, 0103)", "equal(0102, 0103), at byte 1: 02 where 03 was due"),
            ("equal(01, 0102)", "equal(01, 0102): 01 where 0102 was due"),
            ("differs(01, 01)", "differs(01, 01): 01 where another value than 01 was due"),
            ("less(02, 01)", "less(02, 01): 02 where less than 01 was due"),
            ("contains(02, 01)", "contains(02, 01): 02 where 01 in it was due"),
            ("lacks(0201, 01)", "lacks(0201, 01): 0201 where no 01 in it was due"),
            ("certifies(3000, 00)", "certificate: "),
            ("rsa-pss(00, 00, 00)", "modulus: 0 bits where 1024 to 4096 bits was due"),
        ] {
            let CheckFailed::NotSo { differences, .. } =
                Check::parse(text).unwrap().verify(&mut Nothing).unwrap_err()
            else {
                panic!("{text}")
            };
            assert!(differences[0].to_string().starts_with(said), "{differences:?}");
        }
    }

    #[test]
    fn a_signature_is_checked_with_the_modulus() {
        use rsa::pkcs1v15::Pkcs1v15Sign;
        use rsa::traits::PublicKeyParts;
        let key = rsa::RsaPrivateKey::new(&mut rand::rngs::OsRng, 1024).unwrap();
        let modulus = hex::encode(key.n().to_bytes_be());
        let signature = key.sign(Pkcs1v15Sign::new_unprefixed(), b"abc").unwrap();
        let signature = hex::encode(signature);
        let good = Check::parse(&format!("rsa-verbatim({modulus}, 'abc', {signature})")).unwrap();
        good.verify(&mut Nothing).unwrap();
        let bad = Check::parse(&format!("rsa-verbatim({modulus}, 'abd', {signature})")).unwrap();
        bad.verify(&mut Nothing).unwrap_err();
    }

    #[test]
    fn what_is_no_check_says_why() {
        for (text, reason) in [
            ("equal", "a check is written name(a, b)"),
            ("equals(00, 00)", "there is no check equals; did you mean equal?"),
            ("equal(00)", "equal takes 2 arguments"),
            ("equal(00, 00", "the closing ) of equal is missing"),
            ("equal(00, 0g)", "two hexadecimal digits make a byte, '0' stands alone"),
        ] {
            assert_eq!(Check::parse(text), Err(reason.to_owned()), "{text}");
        }
    }
}
