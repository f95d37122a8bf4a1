//! All that can be seen of a card from outside, and all that can be done with it: two equal views are the same card.

use jpkise_card::Expected;
use jpkise_jpki::edge::{data, file, reference, Attestation, Ef, KeyRef, KeyState, Offset, Target};
use rsa::{BigUint, Pkcs1v15Sign, RsaPublicKey};
use sha2::{Digest, Sha256};

use super::se::{self, Se};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyView {
    pub state: KeyState,
    pub tries: u8,
    pub modulus_hash: [u8; 32],
    pub generation: u16,
    pub signatures: u32,
    pub resets: u16,
    /// Which of the candidates VERIFY takes, at their first try.
    pub opened_by: Vec<Vec<u8>>,
    /// The certificate, read after VERIFY where one worked and without it where that is free.
    pub certificate: Option<Vec<u8>>,
    pub certificate_is_free: bool,
    pub ca: Option<Vec<u8>>,
    /// Whether it signs after VERIFY; without it no key ever may.
    pub signs: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    pub keys: [KeyView; 2],
    pub token: Vec<u8>,
    pub availability: Vec<u8>,
}

/// Reads a file to its end; `None` when the card refuses it.
pub fn read(se: &mut Se, ef: Ef) -> Option<Vec<u8>> {
    assert_eq!(se.clear(&file::select_ef(ef)).1, 0x9000);
    let mut content = Vec::new();
    loop {
        let command = file::read_binary(Offset::new(content.len()).unwrap(), Expected::from_short(0));
        match se.clear(&command) {
            (bytes, 0x9000) => content.extend(bytes),
            (_, 0x6B00) => return Some(content),
            (_, 0x6982 | 0x6985 | 0x6A82) if content.is_empty() => return None,
            (_, sw) => panic!("READ BINARY: {sw:04X}"),
        }
    }
}

impl View {
    /// Of the card in `memory`, which stays as it is; `None` when the applet cannot be selected. The candidates are
    /// tried on copies, so that no try is lost.
    pub fn of(memory: &jpkise_jcvm::Card, candidates: &[&[u8]]) -> Option<Self> {
        let mut se = Se::of(memory.clone());
        se.reset();
        if se.select() != 0x9000 {
            return None;
        }
        let token = read(&mut se, Ef::TOKEN_INFO)?;
        let availability = read(&mut se, Ef::AVAILABILITY)?;
        let bare: Vec<_> = KeyRef::ALL
            .iter()
            .map(|&key| (read(&mut se, key.certificate_ef()), read(&mut se, key.ca_certificate_ef())))
            .collect();
        for key in KeyRef::ALL {
            let (_, sw) = se.clear(&se::sign(key, &[0xAA; 32]));
            assert!(sw == 0x6985 || sw == 0x6982, "a signature without VERIFY: {sw:04X}");
        }
        se.administer();
        let nonce = [0x5A; 16];
        let attestation = se.must(&data::get_attestation(&nonce).expecting_all());
        let attestation = Attestation::parse(&attestation).unwrap();
        let keys = KeyRef::ALL.map(|key| {
            let seen = attestation.key(key);
            let (_, tries) = se.clear(&reference::tries_left(Target::Short(key.secret_ef())));
            assert_eq!(tries & 0xFFF0, 0x63C0);
            let modulus = (seen.state != KeyState::Empty).then(|| se.modulus(key));
            let (free, ca) = bare[usize::from(key.kk()) - 1].clone();
            let mut view = KeyView {
                state: seen.state,
                tries: u8::try_from(tries & 0x0F).unwrap(),
                modulus_hash: seen.modulus_hash,
                generation: seen.generation,
                signatures: seen.signatures,
                resets: seen.resets,
                opened_by: Vec::new(),
                certificate_is_free: free.is_some(),
                certificate: free,
                ca,
                signs: false,
            };
            for candidate in candidates {
                view.attempt(memory, key, candidate, modulus.as_deref());
            }
            view
        });
        Some(Self { keys, token, availability })
    }

    /// Without what it takes a candidate to see.
    pub fn outside_view(&self) -> Self {
        let mut light = self.clone();
        for key in &mut light.keys {
            key.opened_by.clear();
            key.signs = false;
            if !key.certificate_is_free {
                key.certificate = None;
            }
        }
        light
    }

    /// For the message of a failed test: where two views differ, files by their length.
    pub fn brief(&self) -> String {
        let length = |file: &Option<Vec<u8>>| file.as_ref().map(Vec::len);
        let keys = self.keys.iter().map(|key| {
            let (state, tries, signs) = (key.state, key.tries, key.signs);
            let counters = (key.generation, key.signatures, key.resets);
            let files = (length(&key.certificate), length(&key.ca));
            let opened: Vec<_> = key.opened_by.iter().map(|s| String::from_utf8_lossy(s)).collect();
            format!("{state} tries {tries} counters {counters:?} files {files:?} opened by {opened:?} signs {signs}")
        });
        keys.collect::<Vec<_>>().join(" | ") + &format!(" token {} {:?}", self.token.len(), self.availability)
    }
}

impl KeyView {
    /// What this secret opens, on a copy of the card.
    fn attempt(&mut self, memory: &jpkise_jcvm::Card, key: KeyRef, secret: &[u8], modulus: Option<&[u8]>) {
        let mut se = Se::of(memory.clone());
        se.reset();
        assert_eq!(se.select(), 0x9000);
        let (_, sw) = se.clear(&se::verify(key, secret));
        let hash: [u8; 32] = Sha256::digest(b"what is signed").into();
        let (signature, signed) = se.clear(&se::sign(key, &hash));
        if sw != 0x9000 {
            assert_ne!(signed, 0x9000, "a signature after a refused VERIFY");
            return;
        }
        self.opened_by.push(secret.to_vec());
        self.certificate = read(&mut se, key.certificate_ef());
        assert_eq!(signed == 0x9000, self.state == KeyState::Active, "{self:?}");
        if signed == 0x9000 {
            let modulus = BigUint::from_bytes_be(modulus.unwrap());
            let public = RsaPublicKey::new(modulus, BigUint::from(65_537_u32)).unwrap();
            public.verify(Pkcs1v15Sign::new::<Sha256>(), &hash, &signature).expect("the signature verifies");
            self.signs = true;
        }
    }
}
