//! Vectors of one computation each.

use jpkise_wire::scp03::{
    card_challenge, cryptogram, dek_decrypt, dek_encrypt, derive, mac, AesKey, Challenge, Derivation,
    SequenceCounter, SessionKeys, StaticKeys,
};
use jpkise_wire::tlv::{Tag, Tlv};
use jpkise_wire::{dgi, Aid};
use serde::Deserialize;

use super::{array, byte, same, wrong, Bytes, Mismatch, Verdict};
use crate::commands::put_key::{
    put_keys, store_data_keys, Destination, KeyBlock, KeyDescriptions, PutKeyAnswer,
};
use crate::commands::BuildError;
use crate::keys::{diversify, Diversification, SLOTS};

fn key(item: &str, bytes: &[u8]) -> Result<AesKey, Mismatch> {
    AesKey::new(bytes).map_err(|e| wrong(item, &e))
}

fn challenge(item: &str, bytes: &[u8]) -> Result<Challenge, Mismatch> {
    Challenge::new(bytes).ok_or_else(|| Mismatch::new(item, "8 or 16 bytes", bytes.len()))
}

#[derive(Debug, Deserialize)]
pub(super) struct Cmac {
    key: Bytes,
    message: Bytes,
    mac: Bytes,
}

impl Cmac {
    pub(super) fn run(&self) -> Result<Verdict, Mismatch> {
        same("mac", &self.mac, &mac(&key("key", &self.key)?.cipher(), &[&self.message]))?;
        Ok(Verdict::Passed)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Kdf {
    key: Bytes,
    constant: Bytes,
    context: Bytes,
    bits: usize,
    output: Bytes,
}

impl Kdf {
    pub(super) fn run(&self) -> Result<Verdict, Mismatch> {
        let mut out = vec![0; (self.bits / 8).min(32)];
        derive(&key("key", &self.key)?, byte("constant", &self.constant)?, &self.context, &mut out);
        same("output", &self.output, &out)?;
        Ok(Verdict::Passed)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct SessionKeysVector {
    key_enc: Bytes,
    key_mac: Bytes,
    host_challenge: Bytes,
    card_challenge: Bytes,
    s_enc: Bytes,
    s_mac: Bytes,
    s_rmac: Bytes,
    card_cryptogram: Bytes,
    host_cryptogram: Bytes,
}

impl SessionKeysVector {
    pub(super) fn run(&self) -> Result<Verdict, Mismatch> {
        let host = challenge("host_challenge", &self.host_challenge)?;
        let card = challenge("card_challenge", &self.card_challenge)?;
        let keys = SessionKeys::derive(
            &key("key_enc", &self.key_enc)?,
            &key("key_mac", &self.key_mac)?,
            &host,
            &card,
        );
        same("s_enc", &self.s_enc, keys.enc.expose())?;
        same("s_mac", &self.s_mac, keys.mac.expose())?;
        same("s_rmac", &self.s_rmac, keys.rmac.expose())?;
        for (item, expected, which) in [
            ("card_cryptogram", &self.card_cryptogram, Derivation::CardCryptogram),
            ("host_cryptogram", &self.host_cryptogram, Derivation::HostCryptogram),
        ] {
            same(item, expected, cryptogram(&keys.mac, which, &host, &card).as_bytes())?;
        }
        Ok(Verdict::Passed)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Cryptogram {
    s_mac: Bytes,
    constant: Bytes,
    host_challenge: Bytes,
    card_challenge: Bytes,
    output: Bytes,
}

impl Cryptogram {
    pub(super) fn run(&self) -> Result<Verdict, Mismatch> {
        let which = match byte("constant", &self.constant)? {
            0 => Derivation::CardCryptogram,
            1 => Derivation::HostCryptogram,
            other => return Err(Mismatch::new("constant", "00 or 01", format!("{other:02x}"))),
        };
        let found = cryptogram(
            &key("s_mac", &self.s_mac)?,
            which,
            &challenge("host_challenge", &self.host_challenge)?,
            &challenge("card_challenge", &self.card_challenge)?,
        );
        same("output", &self.output, found.as_bytes())?;
        Ok(Verdict::Passed)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct PseudoChallenge {
    key_enc: Bytes,
    sequence_counter: Bytes,
    aid: Bytes,
    card_challenge: Bytes,
}

impl PseudoChallenge {
    pub(super) fn run(&self) -> Result<Verdict, Mismatch> {
        let expected = challenge("card_challenge", &self.card_challenge)?;
        let found = card_challenge(
            &key("key_enc", &self.key_enc)?,
            SequenceCounter::from_bytes(array("sequence_counter", &self.sequence_counter)?),
            &Aid::new(&self.aid).map_err(|e| wrong("aid", &e))?,
            expected.mode(),
        );
        same("card_challenge", expected.as_bytes(), found.as_bytes())?;
        Ok(Verdict::Passed)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct ChainedMac {
    #[serde(alias = "s_rmac")]
    s_mac: Bytes,
    mac_chaining_value: Bytes,
    input: Bytes,
    mac: Bytes,
}

impl ChainedMac {
    pub(super) fn run(&self) -> Result<Verdict, Mismatch> {
        let full = mac(&key("s_mac", &self.s_mac)?.cipher(), &[&self.mac_chaining_value, &self.input]);
        same("mac", &self.mac, &full[..8])?;
        Ok(Verdict::Passed)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Kcv {
    key: Bytes,
    kcv: Bytes,
}

impl Kcv {
    pub(super) fn run(&self) -> Result<Verdict, Mismatch> {
        same("kcv", &self.kcv, &key("key", &self.key)?.check_value().0)?;
        Ok(Verdict::Passed)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct DekBlock {
    dek: Bytes,
    plain: Bytes,
    cipher: Bytes,
}

impl DekBlock {
    pub(super) fn run(&self) -> Result<Verdict, Mismatch> {
        let dek = key("dek", &self.dek)?;
        same("cipher", &self.cipher, &dek_encrypt(&dek, &self.plain).map_err(|e| wrong("plain", &e))?)?;
        same("plain", &self.plain, &dek_decrypt(&dek, &self.cipher).map_err(|e| wrong("cipher", &e))?)?;
        Ok(Verdict::Passed)
    }
}

fn static_keys(keys: &[Bytes]) -> Result<StaticKeys, Mismatch> {
    let [enc, mac, dek] = keys else { return Err(Mismatch::new("keys", 3, keys.len())) };
    StaticKeys::new(key("keys", enc)?, key("keys", mac)?, key("keys", dek)?).map_err(|e| wrong("keys", &e))
}

impl From<BuildError> for Mismatch {
    fn from(error: BuildError) -> Self {
        wrong("command", &error)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct PutKey {
    dek: Bytes,
    new_keys: Vec<Bytes>,
    new_kvn: Bytes,
    p1: Bytes,
    p2: Bytes,
    command: Bytes,
    data: Bytes,
    response: Bytes,
}

impl PutKey {
    pub(super) fn run(&self) -> Result<Verdict, Mismatch> {
        let keys = static_keys(&self.new_keys)?;
        let dek = key("dek", &self.dek)?;
        let kvn = byte("new_kvn", &self.new_kvn)?;
        let to = match byte("p1", &self.p1)? {
            0 => Destination::add(kvn)?,
            old => Destination::replace(old, kvn)?,
        };
        let command = put_keys(to, &keys, KeyBlock::WithLength, |plain| {
            dek_encrypt(&dek, plain).map_err(|e| wrong("dek", &e))
        })?;
        same("p2", &self.p2, &[command.p2])?;
        same("data", &self.data, command.data())?;
        same("command", &self.command, &command.to_bytes().map_err(|e| wrong("command", &e))?)?;
        let (answer, status) =
            self.response.split_at_checked(self.response.len().saturating_sub(2)).unwrap_or_default();
        same("response", &[0x90, 0x00], status)?;
        let answer = PutKeyAnswer::parse(answer).map_err(|e| wrong("response", &e))?;
        same("response", &[kvn], &[answer.kvn])?;
        let expected = [&keys.enc, &keys.mac, &keys.dek].map(AesKey::check_value);
        if answer.check_values != expected {
            return Err(Mismatch::new("response", format!("{expected:?}"), format!("{answer:?}")));
        }
        Ok(Verdict::Passed)
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct StoreDataKeys {
    dek: Bytes,
    keys: Vec<Bytes>,
    data: Bytes,
}

impl StoreDataKeys {
    pub(super) fn run(&self) -> Result<Verdict, Mismatch> {
        let keys = static_keys(&self.keys)?;
        let dek = key("dek", &self.dek)?;
        let (layout, kvn) = self.layout().ok_or_else(|| Mismatch::new("data", "DGI 00B9", "none"))?;
        let groupings = store_data_keys(Destination::add(kvn)?, &keys, layout, |plain| {
            dek_encrypt(&dek, plain).map_err(|e| wrong("dek", &e))
        })?;
        let mut found = Vec::new();
        for grouping in &groupings {
            dgi::write(&mut found, grouping.identifier, &grouping.value)
                .ok_or(BuildError::TooLong(grouping.value.len()))?;
        }
        same("data", &self.data, &found)?;
        Ok(Verdict::Passed)
    }

    /// Layout and key version, which the file leaves to the data: they are the writer's free choice.
    fn layout(&self) -> Option<(KeyDescriptions, u8)> {
        let length = usize::from(*self.data.get(2)?);
        let objects = Tlv::read_all(self.data.get(3..3 + length)?).ok()?;
        let first = objects.first()?;
        let kvn = *first.child(Tag(0x83)).ok()?.value.first()?;
        if first.tag != Tag(0xB7) {
            return Some((KeyDescriptions::PerKey, kvn));
        }
        let access = *first.child(Tag(0x96)).ok()?.value.first()?;
        let counter = u16::from_be_bytes(first.child(Tag(0x97)).ok()?.value.try_into().ok()?);
        Some((KeyDescriptions::Common { access, counter }, kvn))
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Diversified {
    scheme: String,
    master: Bytes,
    kdd: Bytes,
    kcv_enc: Option<Bytes>,
    kcv_mac: Option<Bytes>,
    kcv_dek: Option<Bytes>,
    key_enc: Option<Bytes>,
    key_mac: Option<Bytes>,
    key_dek: Option<Bytes>,
}

impl Diversified {
    pub(super) fn run(&self) -> Result<Verdict, Mismatch> {
        let scheme = Diversification::named(&self.scheme)
            .ok_or_else(|| Mismatch::new("scheme", "a known scheme", &self.scheme))?;
        let master = key("master", &self.master)?;
        let kdd = array("kdd", &self.kdd)?;
        let expected = [
            ("enc", &self.kcv_enc, &self.key_enc),
            ("mac", &self.kcv_mac, &self.key_mac),
            ("dek", &self.kcv_dek, &self.key_dek),
        ];
        let mut compared = 0;
        for (slot, (item, kcv, whole)) in SLOTS.into_iter().zip(expected) {
            let derived = diversify(scheme, &master, slot, &kdd).map_err(|e| wrong(item, &e))?;
            if let Some(kcv) = kcv {
                let found = match scheme {
                    Diversification::None | Diversification::Kdf3 => derived.check_value().0.to_vec(),
                    _ => triple_des_check_value(&derived).map_err(|e| wrong(item, &e))?,
                };
                same(item, kcv, &found)?;
                compared += 1;
            }
            if let Some(whole) = whole {
                same(item, whole, derived.expose())?;
                compared += 1;
            }
        }
        if compared == 0 {
            return Err(Mismatch::new("vector", "keys or check values", "neither"));
        }
        Ok(Verdict::Passed)
    }
}

/// Check value of a triple DES key: a block of 00, enciphered.
fn triple_des_check_value(key: &AesKey) -> Result<Vec<u8>, des::cipher::InvalidLength> {
    use des::cipher::{BlockEncrypt, KeyInit};
    let cipher = des::TdesEde2::new_from_slice(key.expose())?;
    let mut block = [0; 8];
    cipher.encrypt_block((&mut block).into());
    Ok(block[..3].to_vec())
}
