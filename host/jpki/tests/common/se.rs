//! A simulated SE for these tests: an SCP03 card side on the shared primitives, and as much of the applet's state machine
//! as personalisation, the user's commands and the key's life need. Written from the design, not from the applet.

use std::collections::HashMap;

use jpkise_card::{CommandApdu, ResponseApdu, Transport, TransportError};
use jpkise_jpki::edge::INSTANCE_AID;
use jpkise_wire::scp03::{
    command_icv, cryptogram, dek_decrypt, mac, pad, response_icv, unpad, Challenge, Derivation, MacChain,
    SecurityLevel, SessionKeys, StaticKeys,
};
use jpkise_wire::tlv::{constructed, object};
use jpkise_wire::StatusWord;
use rsa::traits::PublicKeyParts;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use sha2::{Digest, Sha256};

use super::card_key;
use jpkise_jpki::edge::KeyRef;

pub const KEY: [u8; 16] = *b"@ABCDEFGHIJKLMNO";

type Answer = Result<Vec<u8>, u16>;

/// One key with its certificate, secret and counters.
#[derive(Default, Clone)]
pub struct Key {
    pub state: u8,
    pub generation: u16,
    pub signatures: u32,
    pub resets: u16,
    proof_hash: Option<Vec<u8>>,
    pub secret: Option<Vec<u8>>,
    temporary: Option<Vec<u8>>,
    pub tries: u8,
    verified: bool,
}

struct Channel {
    keys: SessionKeys,
    chain: MacChain,
    counter: u128,
    level: SecurityLevel,
}

/// What is done to the n-th command (counted from 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The card is pulled before the command arrives.
    CutBefore(usize),
    /// The card is pulled after the command was carried out, before its answer arrives.
    CutAfter(usize),
    /// One bit of the answer is flipped on the way, this far from its start.
    Flip(usize, usize),
}

pub struct Se {
    pub keys: [Key; 2],
    pub files: HashMap<u16, Vec<u8>>,
    pub commands: Vec<[u8; 4]>,
    pub longest: usize,
    pub fault: Option<Fault>,
    pub policy: u8,
    selected: bool,
    static_keys: StaticKeys,
    challenges: Option<(Challenge, Challenge)>,
    channel: Option<Channel>,
    current: u16,
    proof: Option<(usize, Vec<u8>)>,
    store: Store,
}

#[derive(Default)]
struct Store {
    next: usize,
    open: Option<(u16, usize, Vec<u8>)>,
}

fn private(key: usize, generation: u16) -> &'static RsaPrivateKey {
    // Two key pairs serve all generations: which one shows that a key was really made anew.
    card_key(KeyRef::ALL[(key + usize::from(generation) + 1) % 2])
}

impl Se {
    pub fn new() -> Self {
        let key = |tries| Key { tries, ..Key::default() };
        Self {
            keys: [key(3), key(5)],
            files: HashMap::new(),
            commands: Vec::new(),
            longest: 0,
            fault: None,
            policy: 0,
            selected: false,
            static_keys: StaticKeys::same(&KEY).unwrap(),
            challenges: None,
            channel: None,
            current: 0,
            proof: None,
            store: Store::default(),
        }
    }

    fn deselect(&mut self) {
        self.selected = false;
        self.challenges = None;
        self.channel = None;
        self.current = 0;
        self.proof = None;
        self.store = Store::default();
        for key in &mut self.keys {
            key.verified = false;
            key.temporary = None;
        }
    }

    fn process(&mut self, command: &CommandApdu) -> ResponseApdu {
        let respond = |answer: Answer| match answer {
            Ok(data) => ResponseApdu::new(data, StatusWord::SUCCESS),
            Err(sw) => StatusWord(sw).into(),
        };
        let header = command.header();
        if header[..3] == [0x00, 0xA4, 0x04] {
            self.deselect();
            self.selected = command.data() == INSTANCE_AID.as_bytes();
            return respond(if self.selected { Ok(Vec::new()) } else { Err(0x6A82) });
        }
        if !self.selected {
            return StatusWord(0x6D00).into();
        }
        match header[..2] {
            [0x80, 0x50] => respond(self.initialize_update(command)),
            [0x84, 0x82] => respond(self.external_authenticate(command)),
            _ if command.cla & 0x0C != 0 => self.secured(command),
            _ => {
                if command.ins != 0xE2 {
                    self.store = Store::default();
                }
                respond(self.user(command))
            }
        }
    }

    fn initialize_update(&mut self, command: &CommandApdu) -> Answer {
        self.channel = None;
        for key in &mut self.keys {
            key.temporary = None;
        }
        let host = Challenge::new(command.data()).ok_or(0x6700u16)?;
        let card = Challenge::new(&Sha256::digest(command.data())[..8]).unwrap();
        let keys = SessionKeys::derive(&self.static_keys.enc, &self.static_keys.mac, &host, &card);
        let proof = cryptogram(&keys.mac, Derivation::CardCryptogram, &host, &card);
        self.challenges = Some((host, card));
        Ok([&[0; 10][..], &[0x30, 0x03, 0x60], card.as_bytes(), proof.as_bytes()].concat())
    }

    fn external_authenticate(&mut self, command: &CommandApdu) -> Answer {
        let (host, card) = self.challenges.take().ok_or(0x6985u16)?;
        let keys = SessionKeys::derive(&self.static_keys.enc, &self.static_keys.mac, &host, &card);
        let (proof, tag) = command.data().split_at_checked(8).ok_or(0x6700u16)?;
        let head = [0x84, 0x82, command.p1, command.p2, 16];
        let chain = mac(&keys.mac.cipher(), &[&[0; 16], &head, proof]);
        if chain[..8] != *tag {
            return Err(0x6982);
        }
        if proof != cryptogram(&keys.mac, Derivation::HostCryptogram, &host, &card).as_bytes() {
            return Err(0x6300);
        }
        let level = SecurityLevel::try_from(command.p1).map_err(|_| 0x6A86u16)?;
        self.channel = Some(Channel { keys, chain, counter: 0, level });
        Ok(Vec::new())
    }

    fn secured(&mut self, command: &CommandApdu) -> ResponseApdu {
        let Some(plain) = self.unwrap(command) else {
            self.channel = None;
            for key in &mut self.keys {
                key.temporary = None;
            }
            return StatusWord(0x6982).into();
        };
        if plain.ins != 0xE2 {
            self.store = Store::default();
        }
        let answer = self.admin(&plain);
        if answer.is_err() {
            self.store = Store::default();
        }
        match answer {
            Ok(data) => self.wrap(data),
            Err(sw) => StatusWord(sw).into(),
        }
    }

    fn unwrap(&mut self, command: &CommandApdu) -> Option<CommandApdu> {
        let channel = self.channel.as_mut()?;
        let (data, tag) = command.data().split_at_checked(command.data().len().checked_sub(8)?)?;
        let lc = u8::try_from(command.data().len()).ok()?;
        let head = [command.cla, command.ins, command.p1, command.p2, lc];
        channel.chain = mac(&channel.keys.mac.cipher(), &[&channel.chain, &head, data]);
        if channel.chain[..8] != *tag {
            return None;
        }
        channel.counter += 1;
        let mut data = data.to_vec();
        if !data.is_empty() && channel.level.has_c_enc() {
            let cipher = channel.keys.enc.cipher();
            cipher.cbc_decrypt(&command_icv(&cipher, channel.counter), &mut data);
            data.truncate(unpad(&data)?);
        }
        Some(CommandApdu::new(command.cla & !0x0C, command.ins, command.p1, command.p2).with_data(data))
    }

    fn wrap(&mut self, mut data: Vec<u8>) -> ResponseApdu {
        let channel = self.channel.as_ref().unwrap();
        if !data.is_empty() && channel.level.has_r_enc() {
            pad(&mut data);
            let cipher = channel.keys.enc.cipher();
            cipher.cbc_encrypt(&response_icv(&cipher, channel.counter), &mut data);
        }
        if channel.level.has_r_mac() {
            let tag = mac(&channel.keys.rmac.cipher(), &[&channel.chain, &data, &[0x90, 0x00]]);
            data.extend_from_slice(&tag[..8]);
        }
        ResponseApdu::new(data, StatusWord::SUCCESS)
    }

    fn admin(&mut self, command: &CommandApdu) -> Answer {
        let level = self.channel.as_ref().map_or(0, |c| c.level.value());
        if level & 0x13 != 0x13 {
            return Err(0x6982);
        }
        let proof = self.proof.take();
        let kk = |byte: u8| usize::from(byte).checked_sub(1).filter(|k| *k < 2);
        if command.ins == 0xE2 {
            return self.store_data(command);
        }
        if command.ins == 0xCA {
            return self.admin_data(command, proof);
        }
        if command.ins == 0xE4 && command.p1 == 0xFF {
            self.wipe(0);
            self.wipe(1);
            return Ok(Vec::new());
        }
        let index = kk(command.p1).ok_or(0x6A86u16)?;
        let key = &mut self.keys[index];
        let allowed: &[u8] = match command.ins {
            0x46 => &[0],
            0x2B => &[1],
            0x2C => &[2, 3],
            0x04 => &[3],
            0x44 => &[4],
            0xE8 => &[1, 2, 3, 4, 5],
            0xE4 => &[0, 1, 2, 3, 4, 5],
            _ => return Err(0x6D00),
        };
        if !allowed.contains(&key.state) {
            return Err(0x6985);
        }
        match command.ins {
            0x46 => {
                key.generation += 1;
                key.state = 1;
            }
            0x2B => {
                if key.proof_hash.as_deref().is_some_and(|first| first != command.data()) {
                    return Err(0x6985);
                }
                key.proof_hash = Some(command.data().to_vec());
                let signature = private(index, key.generation)
                    .sign(Pkcs1v15Sign::new::<Sha256>(), command.data())
                    .map_err(|_| 0x6700u16)?;
                self.proof = Some((index, signature));
            }
            0x2C => self.set_temporary(index, command.data())?,
            0x04 => key.state = 4,
            0x44 => key.state = 3,
            0xE8 => key.state = 5,
            _ => self.wipe(index),
        }
        Ok(Vec::new())
    }

    fn wipe(&mut self, index: usize) {
        let (generation, resets) = (self.keys[index].generation, self.keys[index].resets);
        let tries = [3, 5][index];
        self.keys[index] = Key { generation, resets, tries, ..Key::default() };
        self.files.remove(&[0x000A, 0x0001][index]);
    }

    fn set_temporary(&mut self, index: usize, enciphered: &[u8]) -> Result<(), u16> {
        let block = dek_decrypt(&self.static_keys.dek, enciphered).map_err(|_| 0x6700u16)?;
        if block.len() != 32 {
            return Err(0x6700);
        }
        let secret = block[9..].get(..usize::from(block[8])).ok_or(0x6A80u16)?;
        if !Self::is_right_form(index, secret) {
            return Err(0x6A80);
        }
        let key = &mut self.keys[index];
        key.temporary = Some(secret.to_vec());
        key.secret = None;
        key.resets += 1;
        key.state = 2;
        Ok(())
    }

    fn is_right_form(index: usize, secret: &[u8]) -> bool {
        let digits = secret.iter().filter(|b| b.is_ascii_digit()).count();
        let letters = secret.iter().filter(|b| b.is_ascii_uppercase()).count();
        match index {
            0 => secret.len() == 4 && digits == 4,
            _ => {
                (6..=16).contains(&secret.len())
                    && digits + letters == secret.len()
                    && digits > 0
                    && letters > 0
            }
        }
    }

    fn admin_data(&mut self, command: &CommandApdu, proof: Option<(usize, Vec<u8>)>) -> Answer {
        let tag = u16::from_be_bytes([command.p1, command.p2]);
        if tag == 0xDF32 {
            let mut out = command.data().to_vec();
            for (index, key) in self.keys.iter().enumerate() {
                out.push(key.state);
                let hash = match key.state {
                    0 => [0; 32],
                    _ => Sha256::digest(private(index, key.generation).n().to_bytes_be()).into(),
                };
                out.extend(hash);
                out.extend(key.generation.to_be_bytes());
                out.extend(key.signatures.to_be_bytes());
                out.extend(key.resets.to_be_bytes());
            }
            out.extend([0xFF, 0xFF]);
            return Ok(out);
        }
        let &[kk, page] = command.data() else { return Err(0x6700) };
        let index = usize::from(kk) - 1;
        let object = match tag {
            0x7F49 if self.keys[index].state == 0 => return Err(0x6985),
            0x7F49 => {
                let modulus = private(index, self.keys[index].generation).n().to_bytes_be();
                constructed(0x7F49, &[&object(0x81, &modulus), &object(0x82, &[1, 0, 1])])
            }
            0xDF3E => match proof {
                Some((of, signature)) if of == index => {
                    self.proof = Some((of, signature.clone()));
                    signature
                }
                _ => return Err(0x6985),
            },
            _ => return Err(0x6A88),
        };
        let page = object.chunks(224).nth(usize::from(page)).ok_or(0x6B00u16)?;
        Ok(page.to_vec())
    }

    fn store_data(&mut self, command: &CommandApdu) -> Answer {
        if !matches!(command.p1, 0x08 | 0x88) {
            return Err(0x6A86);
        }
        if usize::from(command.p2) != self.store.next {
            return Err(0x6985);
        }
        let mut data = command.data();
        while !data.is_empty() {
            let (dgi, length, mut value) = if let Some(open) = self.store.open.take() {
                open
            } else {
                let (length, header) = match *data {
                    [_, _, 0xFF, hi, lo, ..] => (usize::from(u16::from_be_bytes([hi, lo])), 5),
                    [_, _, length, ..] if length != 0xFF => (usize::from(length), 3),
                    _ => return Err(0x6A80),
                };
                let dgi = u16::from_be_bytes([data[0], data[1]]);
                data = &data[header..];
                self.admit(dgi, length, data.len())?;
                (dgi, length, Vec::new())
            };
            let part = data.len().min(length - value.len());
            value.extend_from_slice(&data[..part]);
            data = &data[part..];
            if value.len() == length {
                self.commit(dgi, value)?;
            } else {
                self.store.open = Some((dgi, length, value));
            }
        }
        self.store.next += 1;
        if command.p1 == 0x88 {
            let complete = self.store.open.is_none();
            self.store = Store::default();
            if !complete {
                return Err(0x6A80);
            }
        }
        Ok(Vec::new())
    }

    fn admit(&self, dgi: u16, length: usize, in_block: usize) -> Result<(), u16> {
        let (states, most): (&[u8], usize) = match dgi {
            0x000A => (&[1], 2048),
            0x0001 => (&[1], 2560),
            0x000B | 0x0002 => (&[0, 1], 1536),
            0x8201 | 0x8202 => (&[2, 3], 32),
            0x0006 => (&[0, 1, 2, 3, 4, 5], 160),
            0x0101 => (&[0, 1, 2, 3, 4, 5], 1),
            _ => return Err(0x6A88),
        };
        let index = usize::from(!matches!(dgi, 0x000A | 0x000B | 0x8201));
        if !states.contains(&self.keys[index].state) {
            return Err(0x6985);
        }
        if length > most {
            return Err(0x6A84);
        }
        if dgi > 0x8000 && in_block < length {
            return Err(0x6A80);
        }
        Ok(())
    }

    fn commit(&mut self, dgi: u16, value: Vec<u8>) -> Result<(), u16> {
        let index = usize::from(!matches!(dgi, 0x000A | 0x8201));
        match dgi {
            0x8201 | 0x8202 => return self.set_temporary(index, &value),
            0x0101 => self.policy = value[0],
            0x0001 | 0x000A => {
                let modulus = private(index, self.keys[index].generation).n().to_bytes_be();
                if !value.windows(256).any(|w| w == modulus) {
                    return Err(0x6A80);
                }
                self.keys[index].state = 2;
                self.files.insert(dgi, value);
            }
            _ => {
                self.files.insert(dgi, value);
            }
        }
        Ok(())
    }

    fn user(&mut self, command: &CommandApdu) -> Answer {
        let target = |p2: u8| if p2 == 0x80 { self.current } else { u16::from(p2 & 0x1F) };
        match (command.cla, command.ins) {
            (0x00, 0xA4) => {
                self.current = u16::from(*command.data().last().ok_or(0x6700u16)?);
                Ok(Vec::new())
            }
            (0x00, 0xB0) => self.read(command),
            (0x00, 0x20) => {
                let index = usize::from(target(command.p2) == 0x1B);
                self.verify(index, command.data())
            }
            (0x00, 0x24) => {
                let index = usize::from(target(command.p2) == 0x1B);
                self.change(index, command)
            }
            (0x80, 0x2A) => {
                let index = usize::from(target(command.p2) == 0x1A);
                let key = &mut self.keys[index];
                match (key.state, key.verified, command.p1) {
                    (3, true, 0x00) => {
                        key.signatures += 1;
                        private(index, key.generation)
                            .sign(Pkcs1v15Sign::new_unprefixed(), command.data())
                            .map_err(|_| 0x6700)
                    }
                    (3, true, _) => Err(0x6A86),
                    (3, false, _) => Err(0x6982),
                    _ => Err(0x6985),
                }
            }
            (0x80, 0xCA) if [command.p1, command.p2] == [0xDF, 0x31] => {
                let [auth, sign] = &self.keys;
                Ok(vec![auth.state, auth.tries, sign.state, sign.tries, 0, 0, 0, 0])
            }
            (0x80, 0xCA) if [command.p1, command.p2] == [0xDF, 0x30] => Ok(vec![0, 1, 0, 3, 1, 5]),
            (_, 0x46 | 0x2B | 0x2C | 0x04 | 0x44 | 0xE8 | 0xE4 | 0xE2 | 0xCA) => Err(0x6982),
            _ => Err(0x6D00),
        }
    }

    fn verify(&mut self, index: usize, data: &[u8]) -> Answer {
        let key = &mut self.keys[index];
        if data.is_empty() {
            return Err(0x63C0 | u16::from(key.tries));
        }
        if !matches!(key.state, 3 | 4) {
            return Err(0x6985);
        }
        if key.tries == 0 {
            return Err(0x6984);
        }
        if key.secret.as_deref() == Some(data) {
            key.tries = [3, 5][index];
            key.verified = true;
            return Ok(Vec::new());
        }
        key.tries -= 1;
        key.verified = false;
        Err(0x63C0 | u16::from(key.tries))
    }

    fn change(&mut self, index: usize, command: &CommandApdu) -> Answer {
        let old_length = [4, 16][index];
        let (old, new) = match command.p1 {
            0x00 => command.data().split_at_checked(old_length).ok_or(0x6700u16)?,
            _ => (&[][..], command.data()),
        };
        let mut old = old.to_vec();
        while old.last() == Some(&0xFF) {
            old.pop();
        }
        if !Self::is_right_form(index, new) {
            return Err(0x6A80);
        }
        let new = new.to_vec();
        if self.keys[index].state == 2 && command.p1 == 0 {
            let open = self.channel.is_some();
            let temporary = self.keys[index].temporary.take().filter(|_| open).ok_or(0x6985u16)?;
            if temporary != old {
                return Err(0x63C0);
            }
        } else if command.p1 == 0 {
            self.verify(index, &old)?;
        } else if !self.keys[index].verified {
            return Err(0x6982);
        }
        let key = &mut self.keys[index];
        key.secret = Some(new);
        key.tries = [3, 5][index];
        key.state = 3;
        for key in &mut self.keys {
            key.verified = false;
        }
        Ok(Vec::new())
    }

    fn read(&mut self, command: &CommandApdu) -> Answer {
        let (id, offset) = match command.p1 {
            p1 if p1 & 0x80 != 0 => (u16::from(p1 & 0x1F), usize::from(command.p2)),
            p1 => (self.current, usize::from(u16::from_be_bytes([p1, command.p2]))),
        };
        self.current = id;
        let guarded = match id {
            0x000A => Some(&self.keys[0]),
            0x0001 => Some(&self.keys[1]),
            _ => None,
        };
        match guarded {
            Some(key) if key.state < 2 => return Err(0x6A82),
            Some(key) if key.state == 5 => return Err(0x6985),
            Some(key) if !key.verified => return Err(0x6982),
            _ => {}
        }
        let file = self.files.get(&id).ok_or(0x6A82u16)?;
        let rest = file.get(offset..).filter(|r| !r.is_empty()).ok_or(0x6B00u16)?;
        let ne = command.expected().map_or(0, jpkise_card::Expected::ne);
        Ok(rest[..ne.min(rest.len())].to_vec())
    }
}

impl Transport for Se {
    fn transmit(&mut self, bytes: &[u8]) -> Result<Vec<u8>, TransportError> {
        let number = self.commands.len();
        if self.fault == Some(Fault::CutBefore(number)) {
            self.deselect();
            self.commands.push([0; 4]);
            return Err(TransportError::Removed);
        }
        self.longest = self.longest.max(bytes.len());
        let command = CommandApdu::parse(bytes).unwrap();
        assert!(!command.is_extended(), "extended length is never needed");
        self.commands.push(command.header());
        let mut answer = self.process(&command).to_bytes();
        match self.fault {
            Some(Fault::CutAfter(n)) if n == number => {
                self.deselect();
                Err(TransportError::Removed)
            }
            Some(Fault::Flip(n, at)) if n == number => {
                let at = at % answer.len();
                answer[at] ^= 0x10;
                Ok(answer)
            }
            _ => Ok(answer),
        }
    }

    fn reset(&mut self) -> Result<Vec<u8>, TransportError> {
        self.deselect();
        Ok(vec![0x3B, 0x80])
    }

    fn atr(&self) -> &[u8] {
        &[0x3B, 0x80]
    }

    fn name(&self) -> &'static str {
        "test SE"
    }
}
