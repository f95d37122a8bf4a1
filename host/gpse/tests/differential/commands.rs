//! Commands for the JPKI applet: right, nearly right, and wrong.

use jpkise_card::CommandApdu;
use rand::seq::SliceRandom;
use rand::{Rng, RngCore};
use rand_chacha::ChaCha8Rng;

/// One command.
pub enum Command {
    /// As it stands.
    Clear(Vec<u8>),
    /// Through the secure channel, where one is open.
    Admin(CommandApdu),
}

/// The applet's two keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    Auth,
    Sign,
}

impl Key {
    pub fn of(number: u8) -> Self {
        if number == 1 {
            Self::Auth
        } else {
            Self::Sign
        }
    }

    pub fn number(self) -> u8 {
        self as u8 + 1
    }

    pub fn certificate_file(self) -> u16 {
        [0x000A, 0x0001][self as usize]
    }

    pub fn secret_dgi(self) -> u16 {
        [0x8201, 0x8202][self as usize]
    }

    pub fn temporary(self) -> &'static [u8] {
        [&b"9876"[..], b"TEMPORARY1"][self as usize]
    }

    pub fn secret(self) -> &'static [u8] {
        [&b"1234"[..], b"PASSWORD1"][self as usize]
    }

    /// Short EF id of PIN or password as P2.
    fn reference(self) -> u8 {
        [0x98, 0x9B][self as usize]
    }

    /// Short EF id of the key as P2.
    fn signing(self) -> u8 {
        [0x97, 0x9A][self as usize]
    }

    pub fn verify(self, secret: &[u8]) -> Vec<u8> {
        apdu([0x00, 0x20, 0x00, self.reference()], secret, None)
    }

    /// From the temporary secret to the user's own.
    pub fn change_reference_data(self) -> Vec<u8> {
        let mut data = self.temporary().to_vec();
        if self == Self::Sign {
            data.resize(16, 0xFF);
        }
        data.extend_from_slice(self.secret());
        apdu([0x00, 0x24, 0x00, self.reference()], &data, None)
    }
}

fn apdu(header: [u8; 4], data: &[u8], le: Option<u8>) -> Vec<u8> {
    let mut out = header.to_vec();
    if !data.is_empty() {
        out.push(u8::try_from(data.len()).unwrap());
        out.extend_from_slice(data);
    }
    out.extend(le);
    out
}

fn bytes(random: &mut ChaCha8Rng, length: usize) -> Vec<u8> {
    let mut out = vec![0; length];
    random.fill_bytes(&mut out);
    out
}

/// One of the values that mean something, or any.
fn one_of(random: &mut ChaCha8Rng, known: &[u8]) -> u8 {
    if random.gen_bool(0.95) {
        *known.choose(random).unwrap()
    } else {
        random.gen()
    }
}

pub fn any(random: &mut ChaCha8Rng) -> Command {
    if random.gen_bool(0.2) {
        return Command::Admin(admin(random));
    }
    let mut command = user(random);
    if random.gen_bool(0.06) {
        let at = random.gen_range(0..command.len());
        command[at] = random.gen();
    }
    if random.gen_bool(0.02) {
        command.truncate(random.gen_range(0..command.len()));
    }
    if random.gen_bool(0.02) {
        command.push(random.gen());
    }
    Command::Clear(command)
}

const DIGEST_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
    0x04, 0x20,
];

fn secret(random: &mut ChaCha8Rng, key: Key) -> Vec<u8> {
    match random.gen_range(0..10) {
        0..6 => key.secret().to_vec(),
        6 => key.temporary().to_vec(),
        7 => b"0000".to_vec(),
        8 => Vec::new(),
        _ => {
            let length = random.gen_range(0..20);
            bytes(random, length)
        }
    }
}

/// What the phone's app sends.
fn user(random: &mut ChaCha8Rng) -> Vec<u8> {
    let key = if random.gen_bool(0.5) { Key::Auth } else { Key::Sign };
    let le = [None, Some(0), Some(0), Some(1), Some(0x10), Some(0xE0)][random.gen_range(0..6)];
    match random.gen_range(0..100) {
        0..20 => {
            let reference = one_of(random, &[key.reference(), key.reference(), 0x80]);
            let secret = secret(random, key);
            apdu([0x00, 0x20, 0x00, reference], &secret, None)
        }
        20..35 => {
            let file = one_of(random, &[0x01, 0x02, 0x06, 0x0A, 0x0B, 0x17, 0x18, 0x1A, 0x1B]);
            let p2 = one_of(random, &[0x0C, 0x0C, 0x00]);
            apdu([0x00, 0xA4, 0x02, p2], &[0x00, file], (p2 == 0).then_some(0))
        }
        35..55 => {
            let p1 = one_of(random, &[0x00, 0x00, 0x01, 0x02, 0x81, 0x82, 0x86, 0x8A, 0x8B]);
            apdu([0x00, 0xB0, p1, random.gen()], &[], le)
        }
        55..62 => {
            let mut data = secret(random, key);
            let p1 = one_of(random, &[0x00, 0x01]);
            if p1 == 0 {
                if key == Key::Sign {
                    data.resize(16, 0xFF);
                }
                data.extend(secret(random, key));
            }
            apdu([0x00, 0x24, p1, one_of(random, &[key.reference(), 0x80])], &data, None)
        }
        62..82 => {
            let (cla, scheme) = (one_of(random, &[0x80, 0x80, 0x80, 0x90]), random.gen_range(0..7));
            let data = if scheme == 0 && random.gen_bool(0.6) {
                [&DIGEST_INFO[..], &bytes(random, 32)].concat()
            } else {
                let length = [0, 1, 20, 32, 48, 51, 64, 117, 245, 246, 255][random.gen_range(0..11)];
                bytes(random, length)
            };
            apdu([cla, 0x2A, scheme, one_of(random, &[key.signing(), 0x80])], &data, le.or(Some(0)))
        }
        82..86 => apdu([0x00, 0x84, 0x00, 0x00], &[], le),
        86..88 => {
            let data = bytes(random, 100);
            apdu([0x00, 0x82, 0x00, 0x00], &data, None)
        }
        88..96 => {
            let tag = one_of(random, &[0x30, 0x31, 0x31, 0x32, 0x33]);
            apdu([one_of(random, &[0x80, 0x80, 0x00]), 0xCA, 0xDF, tag], &[], le)
        }
        96..98 => {
            let aid = hex::decode(crate::common::bench::JPKI).unwrap();
            apdu([0x00, 0xA4, 0x04, one_of(random, &[0x0C, 0x00])], &aid, Some(0))
        }
        _ => {
            let length = random.gen_range(0..40);
            let data = bytes(random, length);
            apdu([random.gen(), random.gen(), random.gen(), random.gen()], &data, le)
        }
    }
}

/// One signature: a command, or a message in several.
pub fn sign(random: &mut ChaCha8Rng, key: Key) -> Vec<Vec<u8>> {
    let scheme = random.gen_range(0..6);
    let command = |cla, data: &[u8]| apdu([cla, 0x2A, scheme, key.signing()], data, Some(0));
    let length = match scheme {
        0 => random.gen_range(1..246),
        2 | 4 => 32,
        _ => random.gen_range(1..256),
    };
    let parts = if scheme % 2 == 1 { random.gen_range(0..4) } else { 0 };
    let mut commands: Vec<_> = (0..parts).map(|_| command(0x90, &bytes(random, 200))).collect();
    let last = bytes(random, length);
    commands.push(command(0x80, &last));
    commands
}

/// What the SP-TSM sends.
fn admin(random: &mut ChaCha8Rng) -> CommandApdu {
    let key = one_of(random, &[1, 2]);
    let command = |ins, p1, p2| CommandApdu::new(0x80, ins, p1, p2);
    let command = match random.gen_range(0..100) {
        0..5 => command(0x46, key, 0),
        5..15 => command(0x2B, key, 0).with_data(vec![0x5A; one_of(random, &[32, 32, 20]).into()]),
        15..50 => {
            let (p1, p2) = *[(0x7F, 0x49), (0xDF, 0x3E), (0xDF, 0x32), (0xDF, 0x33)].choose(random).unwrap();
            let data = if p2 == 0x32 { vec![0xA5; 16] } else { vec![key, one_of(random, &[0, 1, 2])] };
            command(0xCA, p1, p2).with_data(if p2 == 0x33 { Vec::new() } else { data })
        }
        50..65 => {
            let dgi: &[u8] = match random.gen_range(0..5) {
                0 => &[0x01, 0x01, 0x01, 0x00],
                1 => &[0x01, 0x01, 0x01, 0x07],
                2 => &[0x01, 0x02, 0x02, 0x00, 0x05],
                3 => &[0x01, 0x02, 0x02, 0xFF, 0xFF],
                _ => &[0x00, 0x06, 0x03, 0x41, 0x42, 0x43],
            };
            command(0xE2, one_of(random, &[0x88, 0x88, 0x08]), 0).with_data(dgi)
        }
        65..72 => {
            let length = one_of(random, &[32, 32, 16]).into();
            command(0x2C, key, 0).with_data(bytes(random, length))
        }
        72..79 => command(0x04, key, 0),
        79..88 => command(0x44, key, 0),
        88..89 => command(0xE8, key, 0),
        89..91 => command(0xE4, one_of(random, &[1, 2, 0xFF]), 0),
        _ => {
            let length = random.gen_range(0..40);
            let data = bytes(random, length);
            command(random.gen(), random.gen(), random.gen()).with_data(data)
        }
    };
    if random.gen_bool(0.9) {
        command.expecting_all()
    } else {
        command
    }
}

/// A DGI cut into blocks.
pub fn store_data(dgi: u16, value: &[u8]) -> Vec<Vec<u8>> {
    let mut list = dgi.to_be_bytes().to_vec();
    match u8::try_from(value.len()) {
        Ok(length) if length < 0xFF => list.push(length),
        _ => list.extend([&[0xFF][..], &u16::try_from(value.len()).unwrap().to_be_bytes()].concat()),
    }
    list.extend_from_slice(value);
    list.chunks(200).map(<[u8]>::to_vec).collect()
}

/// A temporary secret as it is enciphered.
pub fn secret_block(secret: &[u8]) -> Vec<u8> {
    let mut block = vec![0x55; 8];
    block.push(u8::try_from(secret.len()).unwrap());
    block.extend_from_slice(secret);
    block.resize(32, 0xAA);
    block
}

fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    jpkise_wire::tlv::object(tag.into(), value)
}

/// The outline of a certificate (RFC 5280 section 4.1) for a key; the signature is nobody's.
pub fn certificate(modulus: &[u8]) -> Vec<u8> {
    let rsa = tlv(0x30, &hex::decode("06092A864886F70D0101010500").unwrap());
    let modulus = tlv(2, &[&[0], modulus].concat());
    let key = tlv(0x30, &[modulus, tlv(2, &[1, 0, 1])].concat());
    let info = tlv(0x30, &[rsa.clone(), tlv(3, &[&[0], &key[..]].concat())].concat());
    let name = tlv(0x30, &[0; 40]);
    let fields =
        [tlv(0xA0, &tlv(2, &[2])), tlv(2, &[5]), rsa.clone(), name.clone(), tlv(0x30, &[0; 30]), name, info];
    tlv(0x30, &[tlv(0x30, &fields.concat()), rsa, tlv(3, &[0; 257])].concat())
}
