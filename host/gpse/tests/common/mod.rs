//! What the tests share: a small SCP03 host over the shared primitives, hexadecimal helpers, a runtime in Rust.
#![allow(dead_code, missing_docs, clippy::format_collect)]

pub mod bench;
pub mod load;
pub mod power;
pub mod stub;

use jpkise_card::{CommandApdu, ResponseApdu, Transport};
use jpkise_gpse::{GpSe, NoApplets, Profile};
use jpkise_wire::scp03::{
    command_icv, cryptogram, mac, pad, response_icv, unpad, Challenge, Derivation, SessionKeys, StaticKeys,
};

pub const ISD: &str = "A000000151000000";
pub const TEST_KEY: &str = "404142434445464748494a4b4c4d4e4f";

pub fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text.replace(' ', "")).unwrap()
}

pub fn card() -> GpSe {
    GpSe::in_memory(Profile::default().seeded(1), Box::new(NoApplets)).unwrap()
}

/// Sends hexadecimal, returns hexadecimal in upper case.
pub fn send(card: &mut GpSe, command: &str) -> String {
    hex::encode_upper(card.transmit(&unhex(command)).unwrap())
}

/// Status word of the answer to a command in hexadecimal.
pub fn status(card: &mut GpSe, command: &str) -> String {
    let answer = send(card, command);
    answer[answer.len() - 4..].to_owned()
}

/// Hexadecimal LV fields.
pub fn lv(fields: &[&str]) -> String {
    fields.iter().map(|f| format!("{:02X}{}", f.len() / 2, f)).collect()
}

/// A short command with Le 00 and, unless empty, data.
pub fn case4(header: &str, data: &str) -> String {
    if data.is_empty() {
        return format!("{header}00");
    }
    format!("{header}{:02X}{data}00", data.len() / 2)
}

/// The off-card side of one session.
pub struct Host {
    keys: SessionKeys,
    chain: [u8; 16],
    counter: u128,
    level: u8,
    size: usize,
    channel: u8,
}

impl Host {
    /// Opens a session at `level` with what is selected on the channel; panics when the card refuses.
    pub fn open(card: &mut GpSe, keys: &StaticKeys, kvn: u8, level: u8) -> Self {
        Self::open_on(card, keys, kvn, level, 0, 8).unwrap()
    }

    /// With the default keys.
    pub fn default(card: &mut GpSe, level: u8) -> Self {
        Self::open(card, &StaticKeys::same(&unhex(TEST_KEY)).unwrap(), 0, level)
    }

    /// The status word of whichever command fails, in `Err`.
    pub fn open_on(
        card: &mut GpSe,
        keys: &StaticKeys,
        kvn: u8,
        level: u8,
        channel: u8,
        size: usize,
    ) -> Result<Self, String> {
        let host_challenge = Challenge::new(&vec![0x55; size]).unwrap();
        let command = CommandApdu::new(0x80 | channel, 0x50, kvn, 0).with_data(host_challenge.as_bytes());
        let answer = exchange(card, &command.expecting_all());
        if !answer.sw.is_success() {
            return Err(answer.sw.to_string());
        }
        let card_challenge = Challenge::new(&answer.data[13..13 + size]).unwrap();
        let session = SessionKeys::derive(&keys.enc, &keys.mac, &host_challenge, &card_challenge);
        let shown = &answer.data[13 + size..13 + 2 * size];
        let expected = cryptogram(&session.mac, Derivation::CardCryptogram, &host_challenge, &card_challenge);
        let mine = cryptogram(&session.mac, Derivation::HostCryptogram, &host_challenge, &card_challenge);
        if shown != expected.as_bytes() {
            // A wrong key: let the card find out, as the tests of its counter want.
            tracing::debug!("card cryptogram does not match");
        }
        let mut data = mine.as_bytes().to_vec();
        let lc = u8::try_from(2 * size).unwrap();
        let chain = mac(&session.mac.cipher(), &[&[0; 16], &[0x84, 0x82, level, 0, lc], &data]);
        data.extend_from_slice(&chain[..size]);
        let answer = exchange(card, &CommandApdu::new(0x84 | channel, 0x82, level, 0).with_data(data));
        if !answer.sw.is_success() {
            return Err(answer.sw.to_string());
        }
        Ok(Self { keys: session, chain, counter: 0, level, size, channel })
    }

    /// The session as the card has it when the last command wrapped was refused: nothing has moved on.
    pub fn refused(&mut self, before: ([u8; 16], u128)) {
        (self.chain, self.counter) = before;
    }

    /// MAC chain and counter.
    pub fn state(&self) -> ([u8; 16], u128) {
        (self.chain, self.counter)
    }

    /// The command as it goes over the wire.
    pub fn wrap(&mut self, command: &CommandApdu) -> CommandApdu {
        self.counter += 1;
        let mut data = command.data().to_vec();
        if self.level & 0x02 != 0 && !data.is_empty() {
            pad(&mut data);
            let cipher = self.keys.enc.cipher();
            cipher.cbc_encrypt(&command_icv(&cipher, self.counter), &mut data);
        }
        let cla = command.cla & !0x03 | 0x04;
        let length = data.len() + self.size;
        let mut header = vec![cla, command.ins, command.p1, command.p2];
        match u8::try_from(length) {
            Ok(lc) if !command.is_extended() => header.push(lc),
            _ => {
                header.push(0);
                header.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
            }
        }
        self.chain = mac(&self.keys.mac.cipher(), &[&self.chain, &header, &data]);
        data.extend_from_slice(&self.chain[..self.size]);
        let mut wrapped =
            CommandApdu::new(cla | self.channel, command.ins, command.p1, command.p2).with_data(data);
        if let Some(expected) = command.expected() {
            wrapped = wrapped.expecting(expected);
        }
        wrapped
    }

    /// The answer in clear; panics when its protection is wrong.
    pub fn unwrap(&self, answer: ResponseApdu) -> ResponseApdu {
        if self.level & 0x10 == 0 || !answer.sw.is_protected() {
            return answer;
        }
        let (data, received) = answer.data.split_at(answer.data.len() - self.size);
        let full = mac(&self.keys.rmac.cipher(), &[&self.chain, data, &answer.sw.to_bytes()]);
        assert_eq!(full[..self.size], *received, "R-MAC");
        let mut data = data.to_vec();
        if self.level & 0x20 != 0 && !data.is_empty() {
            let cipher = self.keys.enc.cipher();
            cipher.cbc_decrypt(&response_icv(&cipher, self.counter), &mut data);
            data.truncate(unpad(&data).unwrap());
        }
        ResponseApdu::new(data, answer.sw)
    }

    /// From now on answers are protected so, and commands as before.
    pub fn set_level(&mut self, level: u8) {
        self.level = level;
    }

    /// The level in force.
    pub fn level(&self) -> u8 {
        self.level
    }

    /// The command as it goes over the wire: at level 00 in clear.
    pub fn wrap_if_secured(&mut self, command: &CommandApdu) -> CommandApdu {
        if self.level != 0 {
            return self.wrap(command);
        }
        let mut clear = command.clone();
        clear.cla |= self.channel;
        clear
    }

    /// One secured command and its answer in clear.
    pub fn exchange(&mut self, card: &mut GpSe, command: &CommandApdu) -> ResponseApdu {
        let wrapped = self.wrap_if_secured(command);
        self.unwrap(exchange(card, &wrapped))
    }

    /// The same in hexadecimal.
    pub fn send(&mut self, card: &mut GpSe, command: &str) -> String {
        let command = CommandApdu::parse(&unhex(command)).unwrap();
        hex::encode_upper(self.exchange(card, &command).to_bytes())
    }

    /// Data under a Key-DEK.
    pub fn encipher(keys: &StaticKeys, data: &[u8]) -> Vec<u8> {
        jpkise_wire::scp03::dek_encrypt(&keys.dek, data).unwrap()
    }
}

pub fn exchange(card: &mut GpSe, command: &CommandApdu) -> ResponseApdu {
    let bytes = command.to_bytes().unwrap();
    ResponseApdu::parse(&card.transmit(&bytes).unwrap()).unwrap()
}

/// Data field of PUT KEY for three AES keys; `inner_length` chooses the form of the block.
pub fn put_key_data(session: &StaticKeys, new: &StaticKeys, kvn: u8, inner_length: bool) -> Vec<u8> {
    let mut data = vec![kvn];
    for key in [&new.enc, &new.mac, &new.dek] {
        let clear = key.expose();
        let mut padded = clear.to_vec();
        padded.resize(clear.len().next_multiple_of(16), 0xA5);
        let block = Host::encipher(session, &padded);
        data.push(0x88);
        if inner_length {
            data.push(u8::try_from(block.len() + 1).unwrap());
            data.push(u8::try_from(clear.len()).unwrap());
        } else {
            data.push(u8::try_from(block.len()).unwrap());
        }
        data.extend_from_slice(&block);
        data.push(3);
        data.extend_from_slice(&key.check_value().0);
    }
    data
}
