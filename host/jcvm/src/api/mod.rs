//! The API packages' methods.
//!
//! Hierarchy and tokens come from the export tables of `jpkise-cap`; here is what the methods do, listed by class,
//! name and descriptor. A method without an entry cannot be linked to.

// All bodies have one signature, also those that cannot fail.
#![allow(clippy::unnecessary_wraps)]

mod absent;
mod apdu;
pub(crate) mod applet;
mod cipher;
mod digest;
mod engine;
mod framework;
mod gp;
#[cfg(test)]
mod inventory;
mod jcsystem;
mod key;
mod keypair;
mod lang;
mod pin;
mod random;
mod signature;
mod util;

use std::collections::HashMap;

use crate::vm::NativeFn;

pub(crate) use gp::SECURE_CHANNEL;

/// One API method: class with slashes, name and descriptor, body.
type Row = (&'static str, &'static str, NativeFn);

/// Bodies by class and signature.
pub(crate) type Natives = HashMap<(&'static str, &'static str), NativeFn>;

/// All API methods that have a body.
pub(crate) fn natives() -> Natives {
    let tables = [
        lang::METHODS,
        framework::METHODS,
        util::METHODS,
        jcsystem::METHODS,
        applet::METHODS,
        apdu::METHODS,
        pin::METHODS,
        key::METHODS,
        keypair::METHODS,
        digest::METHODS,
        random::METHODS,
        cipher::METHODS,
        signature::METHODS,
        gp::METHODS,
        absent::METHODS,
    ];
    tables.into_iter().flatten().map(|(class, signature, body)| ((*class, *signature), *body)).collect()
}

/// A class behind the API's abstract classes and interfaces. Its methods are those listed for them.
pub(crate) struct HiddenClass {
    pub(crate) package: &'static str,
    pub(crate) name: &'static str,
    pub(crate) superclass: &'static str,
    pub(crate) interfaces: &'static [&'static str],
    /// Cells of its fields, the first of which are references.
    pub(crate) cells: u16,
    pub(crate) references: u16,
    pub(crate) shareable: bool,
}

const fn hidden_key(name: &'static str, interfaces: &'static [&'static str]) -> HiddenClass {
    HiddenClass {
        package: "javacard/security",
        name,
        superclass: "java/lang/Object",
        interfaces,
        cells: key::CELLS,
        references: key::REFERENCES,
        shareable: false,
    }
}

const fn hidden_engine(
    package: &'static str,
    name: &'static str,
    superclass: &'static str,
    cells: u16,
    references: u16,
) -> HiddenClass {
    HiddenClass { package, name, superclass, interfaces: &[], cells, references, shareable: false }
}

/// The order is part of the store's format.
pub(crate) const HIDDEN: &[HiddenClass] = &[
    hidden_key("AESKeyImpl", &["javacard/security/AESKey"]),
    hidden_key("DESKeyImpl", &["javacard/security/DESKey"]),
    hidden_key("HMACKeyImpl", &["javacard/security/HMACKey"]),
    hidden_key("RSAPublicKeyImpl", &["javacard/security/RSAPublicKey"]),
    hidden_key("RSAPrivateKeyImpl", &["javacard/security/RSAPrivateKey"]),
    hidden_key("RSAPrivateCrtKeyImpl", &["javacard/security/RSAPrivateCrtKey"]),
    hidden_key("ECPublicKeyImpl", &["javacard/security/ECPublicKey"]),
    hidden_key("ECPrivateKeyImpl", &["javacard/security/ECPrivateKey"]),
    hidden_engine("javacard/security", "MessageDigestImpl", "javacard/security/MessageDigest", 1, 0),
    hidden_engine("javacard/security", "RandomDataImpl", "javacard/security/RandomData", 1, 0),
    hidden_engine("javacard/security", "SignatureImpl", "javacard/security/Signature", 6, 2),
    hidden_engine("javacardx/crypto", "CipherImpl", "javacardx/crypto/Cipher", 6, 2),
    HiddenClass {
        package: "org/globalplatform",
        name: "SecureChannelImpl",
        superclass: "java/lang/Object",
        interfaces: &["org/globalplatform/SecureChannel"],
        cells: 0,
        references: 0,
        shareable: true,
    },
];

/// Cells and references among them that an API class declares.
pub(crate) fn fields_of(class: &str) -> (u16, u16) {
    match class {
        // The reason code.
        "javacard/framework/CardException" | "javacard/framework/CardRuntimeException" => (1, 0),
        "javacard/framework/AID" => (1, 1),
        "javacard/framework/OwnerPIN" => (pin::CELLS, pin::REFERENCES),
        "javacard/security/KeyPair" => (keypair::CELLS, keypair::REFERENCES),
        _ => (0, 0),
    }
}

/// Cells that the parameters of a descriptor take.
pub(crate) fn cells(descriptor: &str) -> u8 {
    let parameters = descriptor.trim_start_matches('(').split(')').next().unwrap_or("");
    let mut cells: u8 = 0;
    let mut chars = parameters.chars();
    let mut array = false;
    while let Some(c) = chars.next() {
        match c {
            '[' => {
                array = true;
                continue;
            }
            'L' => {
                chars.by_ref().find(|c| *c == ';');
                cells = cells.saturating_add(1);
            }
            'I' if !array => cells = cells.saturating_add(2),
            _ => cells = cells.saturating_add(1),
        }
        array = false;
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;
    use jpkise_cap::exports::{embedded, embedded_versions};

    #[test]
    fn every_native_method_is_in_some_export_table() {
        for (class, signature) in natives().keys() {
            let (package, _) = class.rsplit_once('/').unwrap();
            let (name, descriptor) = signature.split_at(signature.find('(').unwrap());
            let known = embedded_versions(package)
                .filter_map(|v| embedded(package, v))
                .filter_map(|p| p.class(class))
                .any(|c| c.method(name, descriptor).is_some());
            assert!(known, "{class}.{signature}");
        }
    }

    #[test]
    fn no_method_is_listed_twice() {
        let rows = [lang::METHODS, framework::METHODS, util::METHODS, key::METHODS, signature::METHODS];
        let count: usize = rows.iter().map(|r| r.len()).sum();
        let unique: std::collections::HashSet<_> =
            rows.iter().flat_map(|r| r.iter()).map(|(c, s, _)| (c, s)).collect();
        assert_eq!(unique.len(), count);
    }

    #[test]
    fn cells_are_counted() {
        let rows =
            [("()V", 0), ("([BSS[BS)S", 5), ("(IS)V", 3), ("([I)V", 1), ("(Ljavacard/framework/AID;B)V", 2)];
        for (descriptor, expected) in rows {
            assert_eq!(cells(descriptor), expected, "{descriptor}");
        }
    }
}
