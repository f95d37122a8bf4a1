//! The SP-TSM's side of the card edge: one method per operation on the applet's own secure channel.

mod app;
mod error;

use rand::{CryptoRng, RngCore};

use jpkise_card::CommandApdu;
use jpkise_wire::tlv::{Tlv, TlvError};

use crate::channel::{accept, AdminChannel};
use crate::edge::data::{get_attestation, get_lease, get_proof, get_public_key, parse_lease};
use crate::edge::store::pack;
use crate::edge::{
    admin, Attestation, CardPublicKey, Dgi, EdgeError, KeyRef, KeyState, Password, Pin, SecretBlock,
    Temporary, SIGNATURE_LENGTH,
};

pub use app::{replace_temporary, KnownSecrets, UserApp};
pub use error::{AdminError, AttestationError};

/// No object that is read in pages has more: a bound against a card that never ends.
const MAX_PAGES: u8 = 4;

/// The applet's secure channel in the hands of the SP-TSM.
pub struct Admin<'c, C: ?Sized> {
    channel: &'c mut C,
    commands: u32,
}

/// Both temporary secrets that were set, to be handed to the app; what is `None` was not set.
#[derive(Debug, Default)]
pub(crate) struct Temporaries {
    pub(crate) pin: Option<Temporary<Pin>>,
    pub(crate) password: Option<Temporary<Password>>,
}

impl<'c, C: AdminChannel> Admin<'c, C> {
    /// Takes an open channel of level 13 or 33.
    pub fn new(channel: &'c mut C) -> Result<Self, AdminError> {
        let level = channel.level();
        if level.has_c_mac() && level.has_c_enc() && level.has_r_mac() {
            Ok(Self { channel, commands: 0 })
        } else {
            Err(AdminError::Level(level))
        }
    }

    /// Secured commands sent so far.
    pub fn commands(&self) -> u32 {
        self.commands
    }

    fn send(&mut self, name: &'static str, command: &CommandApdu) -> Result<Vec<u8>, AdminError> {
        self.commands += 1;
        let answer = self.channel.secured(command)?;
        Ok(accept(name, answer)?)
    }

    /// GENERATE ASYMMETRIC KEY PAIR, when EMPTY.
    pub fn generate(&mut self, key: KeyRef) -> Result<(), AdminError> {
        self.send("GENERATE ASYMMETRIC KEY PAIR", &admin::generate_key_pair(key)).map(drop)
    }

    /// The public key, from all its pages.
    pub fn public_key(&mut self, key: KeyRef) -> Result<CardPublicKey, AdminError> {
        let mut object = Vec::new();
        for page in 0..MAX_PAGES {
            object.extend(self.send("GET DATA", &get_public_key(key, page))?);
            if !matches!(Tlv::read(&object), Err(TlvError::Truncated { .. })) {
                break;
            }
        }
        Ok(CardPublicKey::parse(&object)?)
    }

    /// PROVE POSSESSION and the signature from all its pages, when KEYED.
    pub fn prove(
        &mut self,
        key: KeyRef,
        request_hash: &[u8; 32],
    ) -> Result<[u8; SIGNATURE_LENGTH], AdminError> {
        self.send("PROVE POSSESSION", &admin::prove_possession(key, request_hash))?;
        let mut signature = Vec::new();
        for page in 0..MAX_PAGES {
            signature.extend(self.send("GET DATA", &get_proof(key, page))?);
            if signature.len() >= SIGNATURE_LENGTH {
                break;
            }
        }
        Ok(EdgeError::exactly("proof of possession", &signature)?)
    }

    /// STORE DATA of these groupings in as few blocks as can be; `progress` sees blocks stored and blocks in all.
    pub fn store(&mut self, dgis: &[Dgi], mut progress: impl FnMut(usize, usize)) -> Result<(), AdminError> {
        let blocks = pack(dgis, self.channel.max_data())?;
        for (index, block) in blocks.iter().enumerate() {
            self.send("STORE DATA", block)?;
            progress(index + 1, blocks.len());
        }
        Ok(())
    }

    /// A fresh temporary secret, kept for the app, and its block under Key-DEK.
    pub(crate) fn temporary(
        &mut self,
        key: KeyRef,
        kept: &mut Temporaries,
        rng: &mut (impl RngCore + CryptoRng),
    ) -> Result<[u8; SecretBlock::LENGTH], AdminError> {
        let block = match key {
            KeyRef::Auth => SecretBlock::new(kept.pin.insert(Temporary::random(rng)).value(), rng),
            KeyRef::Sign => SecretBlock::new(kept.password.insert(Temporary::random(rng)).value(), rng),
        };
        let enciphered = self.channel.encrypt_dek(block.expose())?;
        Ok(EdgeError::exactly("secret block under Key-DEK", &enciphered)?)
    }

    /// Hands a temporary secret to the app, which replaces it.
    pub(crate) fn hand_over(
        &mut self,
        key: KeyRef,
        kept: &mut Temporaries,
        app: &mut dyn UserApp,
    ) -> Result<(), AdminError> {
        let result = match key {
            KeyRef::Auth => kept.pin.take().map(|pin| app.set_pin(pin, self.channel)),
            KeyRef::Sign => kept.password.take().map(|password| app.set_password(password, self.channel)),
        };
        result.unwrap_or(Ok(())).map_err(|source| AdminError::App { key, source })
    }

    /// RESET RETRY COUNTER with a temporary secret, which the app then replaces: the key is ACTIVE and unblocked after it.
    pub fn reset(
        &mut self,
        key: KeyRef,
        app: &mut dyn UserApp,
        rng: &mut (impl RngCore + CryptoRng),
    ) -> Result<Attestation, AdminError> {
        let mut kept = Temporaries::default();
        let enciphered = self.temporary(key, &mut kept, rng)?;
        self.send("RESET RETRY COUNTER", &admin::reset_retry_counter(key, &enciphered))?;
        self.hand_over(key, &mut kept, app)?;
        self.attested(key, KeyState::Active, rng)
    }

    /// Hold (一時保留), when ACTIVE; attested.
    pub fn hold(
        &mut self,
        key: KeyRef,
        rng: &mut (impl RngCore + CryptoRng),
    ) -> Result<Attestation, AdminError> {
        self.send("DEACTIVATE FILE", &admin::hold(key))?;
        self.attested(key, KeyState::Held, rng)
    }

    /// Release (保留解除), when HELD; attested.
    pub fn resume(
        &mut self,
        key: KeyRef,
        rng: &mut (impl RngCore + CryptoRng),
    ) -> Result<Attestation, AdminError> {
        self.send("ACTIVATE FILE", &admin::resume(key))?;
        self.attested(key, KeyState::Active, rng)
    }

    /// Revocation (失効); attested.
    pub fn revoke(
        &mut self,
        key: KeyRef,
        rng: &mut (impl RngCore + CryptoRng),
    ) -> Result<Attestation, AdminError> {
        self.send("TERMINATE EF", &admin::revoke(key))?;
        self.attested(key, KeyState::Revoked, rng)
    }

    /// Deletion of one key with its certificate and secret; attested.
    pub fn delete(
        &mut self,
        key: KeyRef,
        rng: &mut (impl RngCore + CryptoRng),
    ) -> Result<Attestation, AdminError> {
        self.send("DELETE FILE", &admin::delete(key))?;
        self.attested(key, KeyState::Empty, rng)
    }

    /// Deletion of everything; attested.
    pub fn wipe(&mut self, rng: &mut (impl RngCore + CryptoRng)) -> Result<Attestation, AdminError> {
        self.send("DELETE FILE", &admin::wipe())?;
        let attestation = self.attested(KeyRef::Auth, KeyState::Empty, rng)?;
        expect_state(&attestation, KeyRef::Sign, KeyState::Empty)?;
        Ok(attestation)
    }

    /// Signatures left to the signature key.
    pub fn lease(&mut self) -> Result<u16, AdminError> {
        let data = self.send("GET DATA", &get_lease())?;
        Ok(parse_lease(&data)?)
    }

    /// The state attestation for a fresh nonce.
    pub fn attest(&mut self, rng: &mut (impl RngCore + CryptoRng)) -> Result<Attestation, AdminError> {
        let mut nonce = [0; Attestation::NONCE];
        rng.fill_bytes(&mut nonce);
        let data = self.send("GET DATA", &get_attestation(&nonce))?;
        let attestation = Attestation::parse(&data)?;
        if attestation.nonce == nonce {
            Ok(attestation)
        } else {
            Err(AttestationError::Nonce.into())
        }
    }

    fn attested(
        &mut self,
        key: KeyRef,
        expected: KeyState,
        rng: &mut (impl RngCore + CryptoRng),
    ) -> Result<Attestation, AdminError> {
        let attestation = self.attest(rng)?;
        expect_state(&attestation, key, expected)?;
        Ok(attestation)
    }
}

/// Refuses an attestation that shows a key in another state.
pub(crate) fn expect_state(
    attestation: &Attestation,
    key: KeyRef,
    expected: KeyState,
) -> Result<(), AttestationError> {
    let found = attestation.key(key).state;
    if found == expected {
        Ok(())
    } else {
        Err(AttestationError::State { key, expected, found })
    }
}
