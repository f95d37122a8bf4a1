//! The card's end of SCP03, written for the tests from the primitives of `wire` alone: it shares no line with the
//! off-card end. It echoes what it understood, so that a test sees what arrived.

use jpkise_card::{Capabilities, Transport, TransportError};
use jpkise_wire::scp03::{
    command_icv, cryptogram, dek_decrypt, mac, pad, response_icv, unpad, AesKey, Challenge, Derivation,
    MacChain, SMode, SecurityLevel, SessionKeys, StaticKeys,
};

/// What to do wrong, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misdeed {
    /// Changes this bit of the next secured answer, status word included.
    FlipAnswerBit(usize),
    /// Answers the next secured command with 6Cxx first.
    AskForLe(u8),
    /// Goes away in the next secured command.
    Leave,
    /// Answers BEGIN R-MAC SESSION with an R-MAC already.
    ProtectSwitching,
    /// Stores other keys than PUT KEY brought.
    StoreOtherKeys,
}

struct Open {
    keys: SessionKeys,
    chain: MacChain,
    counter: u128,
    level: SecurityLevel,
}

/// A security domain with one or more key sets.
pub struct TestCard {
    pub sets: Vec<(u8, StaticKeys)>,
    pub i: u8,
    pub only_s16: bool,
    pub extended: bool,
    pub t0: bool,
    pub misdeed: Option<Misdeed>,
    /// Commands as they arrived, in clear.
    pub heard: Vec<Vec<u8>>,
    /// Instructions of all APDUs.
    pub instructions: Vec<u8>,
    pending: Option<(SessionKeys, Challenge, Challenge)>,
    open: Option<Open>,
    active: u8,
    chained: Vec<u8>,
    waiting: Vec<u8>,
}

impl TestCard {
    pub fn new(kvn: u8, keys: StaticKeys) -> Self {
        Self {
            sets: vec![(kvn, keys)],
            i: 0x60,
            only_s16: false,
            extended: false,
            t0: false,
            misdeed: None,
            heard: Vec::new(),
            instructions: Vec::new(),
            pending: None,
            open: None,
            active: kvn,
            chained: Vec::new(),
            waiting: Vec::new(),
        }
    }

    fn keys(&self, kvn: u8) -> Option<(u8, &StaticKeys)> {
        self.sets.iter().find(|(k, _)| kvn == 0 || *k == kvn).map(|(k, keys)| (*k, keys))
    }

    fn initialize_update(&mut self, kvn: u8, host: &[u8]) -> Vec<u8> {
        self.open = None;
        let Some(host) = Challenge::new(host) else { return vec![0x67, 0x00] };
        if self.only_s16 && host.mode() == SMode::S8 {
            return vec![0x67, 0x00];
        }
        let Some((kvn, keys)) = self.keys(kvn) else { return vec![0x6A, 0x88] };
        let card = Challenge::new(&vec![0x5A; host.mode().bytes()]).unwrap();
        let session = SessionKeys::derive(&keys.enc, &keys.mac, &host, &card);
        let mut answer = (0..10).collect::<Vec<u8>>();
        answer.extend([kvn, 0x03, self.i]);
        answer.extend(card.as_bytes());
        answer.extend(cryptogram(&session.mac, Derivation::CardCryptogram, &host, &card).as_bytes());
        answer.extend([0x90, 0x00]);
        self.pending = Some((session, host, card));
        self.active = kvn;
        answer
    }

    fn external_authenticate(&mut self, command: &[u8]) -> Vec<u8> {
        let Some((keys, host, card)) = self.pending.take() else { return vec![0x69, 0x85] };
        let size = host.mode().bytes();
        let data = &command[5..];
        if data.len() != 2 * size {
            return vec![0x67, 0x00];
        }
        let Ok(level) = SecurityLevel::try_from(command[2]) else { return vec![0x6A, 0x86] };
        let header = [0x84, command[1], command[2], command[3], command[4]];
        let full = mac(&keys.mac.cipher(), &[&[0; 16], &header, &data[..size]]);
        if full[..size] != data[size..] {
            return vec![0x69, 0x82];
        }
        if cryptogram(&keys.mac, Derivation::HostCryptogram, &host, &card).as_bytes() != &data[..size] {
            return vec![0x63, 0x00];
        }
        self.open = Some(Open { keys, chain: full, counter: 0, level });
        vec![0x90, 0x00]
    }

    /// Lc and Le of a command in short or extended form: header, data, length of Lc's field.
    fn split(command: &[u8]) -> (&[u8], &[u8], usize) {
        let (header, body) = command.split_at(4);
        match *body {
            [] | [_] => (header, &[], 1),
            [0, hi, lo, ref rest @ ..] if !rest.is_empty() => {
                (header, &rest[..usize::from(u16::from_be_bytes([hi, lo]))], 3)
            }
            [lc, ref rest @ ..] => (header, &rest[..usize::from(lc)], 1),
        }
    }

    /// Opens a secured command; `None` is a security error.
    fn unwrap(&mut self, command: &[u8]) -> Option<Vec<u8>> {
        let size = self.mac_size();
        let open = self.open.as_mut()?;
        let (header, data, form) = Self::split(command);
        let class = if header[0] & 0x40 == 0 { header[0] & 0xFC } else { header[0] & 0x90 | 0x04 };
        if header[0] & 0x40 == 0 && header[0] & 0x04 == 0 {
            return None;
        }
        let (field, tag) = data.split_at_checked(data.len().checked_sub(size)?)?;
        let lc = u16::try_from(data.len()).ok()?.to_be_bytes();
        let lc = if form == 3 { vec![0, lc[0], lc[1]] } else { vec![lc[1]] };
        let full = mac(&open.keys.mac.cipher(), &[&open.chain, &[class], &header[1..], &lc, field]);
        if full[..size] != *tag {
            return None;
        }
        open.chain = full;
        open.counter += 1;
        let mut plain = field.to_vec();
        if open.level.has_c_enc() && !plain.is_empty() {
            if plain.len() % 16 != 0 {
                return None;
            }
            let enc = open.keys.enc.cipher();
            enc.cbc_decrypt(&command_icv(&enc, open.counter), &mut plain);
            plain.truncate(unpad(&plain)?);
        }
        Some([&[class & !0x04], &header[1..], plain.as_slice()].concat())
    }

    fn mac_size(&self) -> usize {
        if self.only_s16 {
            16
        } else {
            8
        }
    }

    fn wrap(&self, data: &[u8], sw: [u8; 2]) -> Vec<u8> {
        let open = self.open.as_ref().unwrap();
        let mut out = data.to_vec();
        if open.level.has_r_mac() && matches!(sw[0], 0x90 | 0x62 | 0x63) {
            if open.level.has_r_enc() && !out.is_empty() {
                pad(&mut out);
                let enc = open.keys.enc.cipher();
                enc.cbc_encrypt(&response_icv(&enc, open.counter), &mut out);
            }
            let full = mac(&open.keys.rmac.cipher(), &[&open.chain, &out, &sw]);
            out.extend(&full[..self.mac_size()]);
        }
        out.extend(sw);
        out
    }

    fn begin_r_mac(&mut self, p1: u8) -> Vec<u8> {
        let open = self.open.as_mut().unwrap();
        let Ok(level) = SecurityLevel::try_from(open.level.value() | p1) else { return vec![0x69, 0x85] };
        open.level = level;
        if self.misdeed.take() == Some(Misdeed::ProtectSwitching) {
            self.wrap(&[], [0x90, 0x00])
        } else {
            vec![0x90, 0x00]
        }
    }

    fn put_key(&mut self, plain: &[u8]) -> Vec<u8> {
        let dek = &self.keys(self.active).unwrap().1.dek;
        let kvn = plain[4];
        let mut rest = &plain[5..];
        let mut keys = Vec::new();
        let mut answer = vec![kvn];
        while let [0x88, length, clear, ref more @ ..] = *rest {
            let (block, more) = more.split_at(usize::from(length) - 1);
            let key = dek_decrypt(dek, block).unwrap();
            let key = AesKey::new(&key[..usize::from(clear)]).unwrap();
            assert_eq!(more[..4], [&[3], &key.check_value().0[..]].concat());
            answer.extend(key.check_value().0);
            keys.push(key);
            rest = &more[4..];
        }
        let [enc, mac, dek] = <[AesKey; 3]>::try_from(keys).ok().unwrap();
        let mut stored = StaticKeys::new(enc, mac, dek).unwrap();
        if self.misdeed == Some(Misdeed::StoreOtherKeys) {
            stored = StaticKeys::same(&[0xEE; 16]).unwrap();
        }
        self.sets.retain(|(k, _)| *k != plain[2] && *k != kvn);
        self.sets.push((kvn, stored));
        answer
    }

    /// Answers a command in clear: data echoed, status word 6A88 for INS CA and 6310 for F2.
    fn answer(&mut self, plain: &[u8]) -> (Vec<u8>, [u8; 2]) {
        self.heard.push(plain.to_vec());
        match plain[1] {
            0xCA => (Vec::new(), [0x6A, 0x88]),
            0xF2 => (plain.to_vec(), [0x63, 0x10]),
            0xD8 => (self.put_key(plain), [0x90, 0x00]),
            0xE4 if plain[4] == 0xD2 => {
                self.sets.retain(|(k, _)| *k != plain[6]);
                (vec![0], [0x90, 0x00])
            }
            0xF0 | 0x78 => (Vec::new(), [0x90, 0x00]),
            _ => (plain.to_vec(), [0x90, 0x00]),
        }
    }

    fn secured(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        if self.misdeed == Some(Misdeed::Leave) {
            return Err(TransportError::Removed);
        }
        let chaining = matches!(command[1], 0xE4 | 0xE6 | 0xD8) && !self.extended;
        if chaining && command[2] & 0x80 != 0 {
            self.chained.extend(Self::split(command).1);
            return Ok(vec![0x90, 0x00]);
        }
        let mut whole = command.to_vec();
        if !self.chained.is_empty() {
            self.chained.extend(Self::split(command).1);
            let lc = u16::try_from(self.chained.len()).unwrap().to_be_bytes();
            whole = [&command[..4], &[0, lc[0], lc[1]], &self.chained].concat();
            self.chained.clear();
        }
        let Some(plain) = self.unwrap(&whole) else {
            self.open = None;
            return Ok(vec![0x69, 0x82]);
        };
        if let Some(Misdeed::AskForLe(le)) = self.misdeed {
            self.misdeed = None;
            return Ok(vec![0x6C, le]);
        }
        if plain[1] == 0x7A {
            return Ok(self.begin_r_mac(plain[2]));
        }
        let (data, sw) = self.answer(&plain);
        let mut answer = self.wrap(&data, sw);
        if let (0x78, Some(open)) = (plain[1], self.open.as_mut()) {
            open.level = SecurityLevel::try_from(open.level.value() & 0x03).unwrap();
        }
        if let Some(Misdeed::FlipAnswerBit(bit)) = self.misdeed.take() {
            let at = bit / 8 % answer.len();
            answer[at] ^= 1 << (bit % 8);
        }
        Ok(answer)
    }
}

impl Transport for TestCard {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        self.instructions.push(command[1]);
        let answer = match command[1] {
            0xA4 => hex::decode("6f108408a000000151000000a5049f6501ff9000").unwrap(),
            0xC0 => std::mem::take(&mut self.waiting),
            0x50 => {
                let data = Self::split(command).1.to_vec();
                self.initialize_update(command[2], &data)
            }
            0x82 => self.external_authenticate(command),
            _ if self.open.as_ref().is_some_and(|o| o.level.has_c_mac()) => self.secured(command)?,
            _ => {
                let (header, data, _) = Self::split(command);
                let (data, sw) = self.answer(&[header, data].concat());
                [&data[..], &sw].concat()
            }
        };
        // In T=0 an answer with data is announced and fetched.
        if self.t0 && answer.len() > 2 && command[1] != 0xC0 {
            let length = u8::try_from((answer.len() - 2) % 256).unwrap();
            self.waiting = answer;
            return Ok(vec![0x61, length]);
        }
        Ok(answer)
    }
    fn reset(&mut self) -> Result<Vec<u8>, TransportError> {
        self.open = None;
        Ok(vec![0x3B, 0x00])
    }
    fn atr(&self) -> &[u8] {
        &[0x3B, 0x00]
    }
    fn name(&self) -> &'static str {
        "test card"
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities { extended_length: self.extended, t0: self.t0, contactless: false }
    }
}
