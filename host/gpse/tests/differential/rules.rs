//! Commands for the ARA-M (GP Secure Element Access Control 1.1).

use jpkise_card::{CommandApdu, Transport};
use jpkise_wire::tlv::{constructed, object};
use rand::seq::SliceRandom;
use rand::{Rng, RngCore};
use rand_chacha::ChaCha8Rng;

use super::Pair;

const AIDS: [&[u8]; 5] =
    [b"\xA0\x00\x00\x01\x51", b"\xD3\x92\xF0\x00\x26\x01", b"\xA0\x00\x00\x00\x63PKCS-15", b"", b"\x01\x02"];

fn reference(random: &mut ChaCha8Rng) -> Vec<u8> {
    let aid = match random.gen_range(0..8) {
        // The application selected by default.
        0 => object(0xC0, &[]),
        _ => object(0x4F, AIDS.choose(random).unwrap()),
    };
    let hash = match random.gen_range(0..8) {
        0..5 => object(0xC1, &[random.gen_range(0..4); 20]),
        5 => object(0xC1, &[7; 32]),
        6 => object(0xC1, &[]),
        _ => object(0xC1, &[9; 19]),
    };
    constructed(0xE1, &[&aid, &hash])
}

fn access(random: &mut ChaCha8Rng) -> Vec<u8> {
    let apdu = match random.gen_range(0..6) {
        0 => object(0xD0, &[0]),
        1 | 2 => object(0xD0, &[1]),
        3 => object(0xD0, &[[0x00, 0xA4, 0x04, 0x00, 0xFF, 0xFF, 0xFF, 0xFF]; 3].concat()),
        4 => object(0xD0, &[5, 6, 7]),
        _ => Vec::new(),
    };
    let nfc = match random.gen_range(0..4) {
        0 => object(0xD1, &[0]),
        1 => object(0xD1, &[1]),
        2 => object(0xD1, &[2]),
        _ => Vec::new(),
    };
    constructed(0xE3, &[&apdu, &nfc])
}

fn rule(random: &mut ChaCha8Rng) -> Vec<u8> {
    constructed(0xE2, &[&reference(random), &access(random)])
}

/// The command object of a STORE DATA.
fn command_object(random: &mut ChaCha8Rng) -> Vec<u8> {
    match random.gen_range(0..20) {
        0..13 => constructed(0xF0, &[&rule(random)]),
        13 => object(0xF1, &[]),
        14 => constructed(0xF1, &[&object(0x4F, AIDS.choose(random).unwrap())]),
        15 => constructed(0xF1, &[&reference(random)]),
        16 => constructed(0xF1, &[&rule(random)]),
        17 => object(0xF2, &[]),
        18 => object(random.gen_range(0xF0..0xFF), &[]),
        _ => {
            let mut bytes = rule(random);
            let at = random.gen_range(0..bytes.len());
            bytes[at] = random.gen();
            constructed(0xF0, &[&bytes])
        }
    }
}

/// What everybody may send.
fn read(random: &mut ChaCha8Rng) -> Vec<u8> {
    let (tag, data) = match random.gen_range(0..10) {
        0..2 => ([0xFF, 0x40], Vec::new()),
        2..5 => ([0xFF, 0x60], Vec::new()),
        5..8 => ([0xFF, 0x50], reference(random)),
        8 => ([0xDF, 0x20], Vec::new()),
        _ => ([0xDF, 0x21], Vec::new()),
    };
    // On the basic channel, or on the one that a MANAGE CHANNEL may have opened.
    let class = if random.gen_bool(0.8) { 0x80 } else { 0x81 };
    let command = CommandApdu::new(class, 0xCA, tag[0], tag[1]).with_data(data).expecting_all();
    let mut bytes = command.to_bytes().unwrap().to_vec();
    if random.gen_bool(0.05) {
        let at = random.gen_range(1..bytes.len());
        bytes[at] = random.gen();
    }
    bytes
}

impl Pair {
    pub fn access_rules(&mut self) {
        match self.random.gen_range(0..1000) {
            0..10 => self.select(),
            10..14 => {
                self.end_session();
                let answers = [0, 1].map(|i| self.sides[i].card.reset().unwrap());
                assert_eq!(answers[0], answers[1]);
                self.select();
            }
            14..40 => {
                let level = [0x33, 0x13, 0x03, 0x01, 0x01, 0x00][self.random.gen_range(0..6)];
                self.open_session(level);
            }
            40..52 => {
                let commands = ["0070000001", "01A4040C09A00000015141434C00", "00708001"];
                let command = *commands.choose(&mut self.random).unwrap();
                self.clear(&super::common::unhex(command));
            }
            52..600 => {
                let command = read(&mut self.random);
                self.clear(&command);
            }
            600..960 => self.store_rule(),
            _ => {
                let mut command = vec![0; self.random.gen_range(4..30)];
                self.random.fill_bytes(&mut command);
                // Not SELECT, nor the channel: their effects have commands of their own above.
                command[1] |= 0x01;
                self.clear(&command);
            }
        }
    }

    /// One object in one block or several; now and then a block is left out.
    fn store_rule(&mut self) {
        let object = command_object(&mut self.random);
        let size = [200, 200, 200, 40, 15][self.random.gen_range(0..5)];
        let count = object.chunks(size).count();
        for (number, block) in object.chunks(size).enumerate() {
            if self.random.gen_bool(0.03) {
                continue;
            }
            let p1 = if number + 1 == count { 0x90 } else { 0x10 };
            let command =
                CommandApdu::new(0x80, 0xE2, p1, u8::try_from(number).unwrap()).with_data(block.to_vec());
            self.secured(&command);
        }
    }
}
