//! One simulated SE with the JPKI applet, driven by bytes: the host side of SCP03 in pieces that a test can see and spoil.

use jpkise_card::{CommandApdu, ResponseApdu, Transport, TransportError};
use jpkise_gp::commands::external_authenticate::external_authenticate;
use jpkise_gp::commands::install::ForInstall;
use jpkise_gp::scp03::{MacClass, Policy, SecureMessaging};
use jpkise_gp::LogicalChannel;
use jpkise_gpse::profile::TEST_KEY;
use jpkise_gpse::runtime::jcvm::{Memory, Options};
use jpkise_gpse::{GpSe, Interface, Jcvm, Profile, Randomness};
use jpkise_jpki::edge::{
    self, admin, data, reference, KeyRef, KeyState, Target, INSTANCE_AID, MODULE_AID, PACKAGE_AID,
};
use jpkise_lab::dist::JPKI_CAP;
use jpkise_wire::scp03::{
    cryptogram, dek_encrypt, Challenge, Derivation, SMode, SecurityLevel, SessionKeys, StaticKeys,
};
use jpkise_wire::tlv::{constructed, object};

pub const PIN: &[u8] = b"4711";
pub const PASSWORD: &[u8] = b"QWERTY0123456789";
pub const TEMPORARY_PIN: &[u8] = b"0815";
pub const TEMPORARY_PASSWORD: &[u8] = b"TEMPORARY1";

/// Data and status word.
pub type Answer = (Vec<u8>, u16);

pub fn secret(key: KeyRef) -> &'static [u8] {
    match key {
        KeyRef::Auth => PIN,
        KeyRef::Sign => PASSWORD,
    }
}

pub fn temporary(key: KeyRef) -> &'static [u8] {
    match key {
        KeyRef::Auth => TEMPORARY_PIN,
        KeyRef::Sign => TEMPORARY_PASSWORD,
    }
}

fn test_keys() -> StaticKeys {
    StaticKeys::same(&TEST_KEY).unwrap()
}

/// A secret block under the test DEK.
pub fn secret_block(secret: &[u8]) -> Vec<u8> {
    let mut block = vec![0x77; 32];
    block[8] = u8::try_from(secret.len()).unwrap();
    block[9..9 + secret.len()].copy_from_slice(secret);
    dek_encrypt(&test_keys().dek, &block).unwrap()
}

/// The outline of a certificate (RFC 5280, 4.1) for a key, `filling` bytes longer than need be; nobody signed it.
pub fn certificate(modulus: &[u8], filling: usize) -> Vec<u8> {
    let sequence = |parts: &[&[u8]]| object(0x30, &parts.concat());
    let algorithm = sequence(&[&[0x06, 9, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 1], &[5, 0]]);
    let key = sequence(&[&object(2, &[&[0], modulus].concat()), &[2, 3, 1, 0, 1]]);
    let info = sequence(&[&algorithm, &object(3, &[&[0], &key[..]].concat())]);
    let name = sequence(&[&vec![0x0C; 40 + filling]]);
    let version = constructed(0xA0, &[&[2, 1, 2]]);
    let fields =
        sequence(&[&version, &[2, 1, 5], &algorithm, &name, &sequence(&[&[0; 30]]), &name[..], &info]);
    sequence(&[&fields, &algorithm, &object(3, &[0; 257])])
}

/// Key, length, value.
pub fn dgi(tag: u16, value: &[u8]) -> Vec<u8> {
    let length = match u8::try_from(value.len()) {
        Ok(short) if short < 0xFF => vec![short],
        _ => [&[0xFF][..], &u16::try_from(value.len()).unwrap().to_be_bytes()].concat(),
    };
    [&tag.to_be_bytes()[..], &length, value].concat()
}

pub struct Se {
    pub card: GpSe,
    memory: Memory,
    session: Option<SecureMessaging>,
}

impl Se {
    /// A new card on jcvm with the applet installed under the issuer's domain, not selected.
    pub fn on_jcvm(parameters: &[u8]) -> Self {
        let mut se = Self::blank();
        assert_eq!(se.install(parameters), 0x9000);
        se
    }

    /// The applet in ROM, not installed.
    pub fn blank() -> Self {
        let options = Options { randomness: Randomness::Seeded(7), ..Options::default() };
        Self::around(Jcvm::new(&options, &[JPKI_CAP]).unwrap())
    }

    /// A further card with that memory.
    pub fn of(card: jpkise_jcvm::Card) -> Self {
        Self::around(Jcvm::with_card(card))
    }

    fn around(runtime: Jcvm) -> Self {
        let memory = runtime.memory();
        let card = GpSe::on_jcvm(Profile::default().seeded(3), runtime).unwrap();
        Self { card, memory, session: None }
    }

    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// What the card's memory holds now, as a card.
    pub fn image(&self) -> jpkise_jcvm::Card {
        self.memory().card()
    }

    // Bytes.

    pub fn transmit(&mut self, command: &[u8]) -> Result<Answer, TransportError> {
        let mut answer = self.card.transmit(command)?;
        assert!((2..=258).contains(&answer.len()), "{} -> {} bytes", hex::encode(command), answer.len());
        let sw = answer.split_off(answer.len() - 2);
        Ok((answer, u16::from_be_bytes([sw[0], sw[1]])))
    }

    pub fn send(&mut self, command: &[u8]) -> Answer {
        self.transmit(command).unwrap()
    }

    pub fn clear(&mut self, command: &CommandApdu) -> Answer {
        self.send(&command.to_bytes().unwrap())
    }

    pub fn reset(&mut self) {
        self.session = None;
        self.card.reset().unwrap();
    }

    pub fn set_interface(&mut self, interface: Interface) {
        self.card.set_interface(interface);
        self.reset();
    }

    pub fn select(&mut self) -> u16 {
        self.session = None;
        self.clear(&edge::file::select_application(&INSTANCE_AID)).1
    }

    // The secure channel of what is selected.

    /// Opens a session; `Err` is the refusal.
    pub fn open(&mut self, level: u8) -> Result<(), u16> {
        self.session = None;
        let host = Challenge::new(&[0x55; 8]).unwrap();
        let command = CommandApdu::new(0x80, 0x50, 0, 0).with_data(host.as_bytes()).expecting_all();
        let (answer, sw) = self.clear(&command);
        if sw != 0x9000 {
            return Err(sw);
        }
        let card = Challenge::new(&answer[13..21]).unwrap();
        let keys = test_keys();
        let session = SessionKeys::derive(&keys.enc, &keys.mac, &host, &card);
        let mine = cryptogram(&session.mac, Derivation::HostCryptogram, &host, &card);
        let level = SecurityLevel::try_from(level).unwrap();
        let class = MacClass::default();
        let (command, chain) =
            external_authenticate(LogicalChannel::new(0).unwrap(), level, &mine, &session, class);
        let (_, sw) = self.clear(&command);
        if sw != 0x9000 {
            return Err(sw);
        }
        self.session = Some(SecureMessaging::new(&session, chain, level, SMode::S8, Policy::default()));
        Ok(())
    }

    pub fn has_session(&self) -> bool {
        self.session.is_some()
    }

    /// The command as it goes over the wire; the session has moved on. In clear when there is none.
    pub fn wrap(&mut self, command: &CommandApdu) -> Vec<u8> {
        match &mut self.session {
            Some(session) => session.wrap(command).unwrap().to_bytes().unwrap().to_vec(),
            None => command.to_bytes().unwrap().to_vec(),
        }
    }

    /// What a wrapped command's answer says. One that does not fit the session ends it, and is given back as it came.
    pub fn unwrap(&mut self, answer: Answer) -> Answer {
        let Some(session) = &mut self.session else { return answer };
        let wrapped = ResponseApdu::new(answer.0.clone(), jpkise_wire::StatusWord(answer.1));
        if let Ok(open) = session.unwrap(&wrapped) {
            return (open.data, open.sw.0);
        }
        self.session = None;
        answer
    }

    pub fn try_secured(&mut self, command: &CommandApdu) -> Result<Answer, TransportError> {
        let wrapped = self.wrap(command);
        let answer = self.transmit(&wrapped)?;
        assert!(self.session.is_some());
        Ok(self.unwrap(answer))
    }

    pub fn secured(&mut self, command: &CommandApdu) -> Answer {
        self.try_secured(command).unwrap()
    }

    pub fn must(&mut self, command: &CommandApdu) -> Vec<u8> {
        let (data, sw) = self.secured(command);
        assert_eq!(sw, 0x9000, "{command:?}");
        data
    }

    // The applet's life.

    /// INSTALL [for install and make selectable] under the issuer's domain.
    pub fn install(&mut self, parameters: &[u8]) -> u16 {
        self.open_issuer();
        self.secured(&install_command(parameters)).1
    }

    /// A session with the issuer's domain.
    pub fn open_issuer(&mut self) {
        assert_eq!(self.send(&[0x00, 0xA4, 0x04, 0x00, 0x00]).1, 0x9000);
        self.open(0x33).unwrap();
    }

    /// Selected, with a session fit for administration.
    pub fn administer(&mut self) {
        assert_eq!(self.select(), 0x9000);
        self.open(0x33).unwrap();
    }

    pub fn modulus(&mut self, key: KeyRef) -> Vec<u8> {
        let first = self.must(&data::get_public_key(key, 0).expecting_all());
        let second = self.must(&data::get_public_key(key, 1).expecting_all());
        [first, second].concat()[9..265].to_vec()
    }

    pub fn store(&mut self, dgis: &[u8]) -> Result<u16, TransportError> {
        let blocks: Vec<&[u8]> = dgis.chunks(223).collect();
        for (number, block) in blocks.iter().enumerate() {
            let p1 = if number + 1 == blocks.len() { 0x88 } else { 0x08 };
            let command = CommandApdu::new(0x80, 0xE2, p1, u8::try_from(number).unwrap()).with_data(*block);
            let (_, sw) = self.try_secured(&command)?;
            if sw != 0x9000 {
                return Ok(sw);
            }
        }
        Ok(0x9000)
    }

    /// Takes an EMPTY key to that state, in a session it opens; its user's secret is [`secret`].
    pub fn bring(&mut self, key: KeyRef, state: KeyState) {
        if state == KeyState::Empty {
            return;
        }
        self.administer();
        self.must(&admin::generate_key_pair(key));
        if state == KeyState::Keyed {
            return;
        }
        let der = certificate(&self.modulus(key), 200);
        assert_eq!(self.store(&dgi(key.certificate_ef().id(), &der)).unwrap(), 0x9000);
        if state == KeyState::Certified {
            return;
        }
        let block: [u8; 32] = secret_block(temporary(key)).try_into().unwrap();
        self.must(&admin::reset_retry_counter(key, &block));
        assert_eq!(self.clear(&change(key, temporary(key), secret(key))).1, 0x9000);
        match state {
            KeyState::Held => drop(self.must(&admin::hold(key))),
            KeyState::Revoked => drop(self.must(&admin::revoke(key))),
            _ => {}
        }
    }
}

pub fn install_command(parameters: &[u8]) -> CommandApdu {
    let request = ForInstall::new(PACKAGE_AID, MODULE_AID, INSTANCE_AID).with_parameters(parameters.to_vec());
    request.command_selectable()
}

pub fn verify(key: KeyRef, secret: &[u8]) -> CommandApdu {
    reference::verify_bytes(Target::Short(key.secret_ef()), jpkise_card::SecretKind::ReferenceData, secret)
}

/// CHANGE REFERENCE DATA with the old value, padded.
pub fn change(key: KeyRef, old: &[u8], new: &[u8]) -> CommandApdu {
    let mut data = old.to_vec();
    data.resize(if key == KeyRef::Auth { 4 } else { 16 }, 0xFF);
    data.extend_from_slice(new);
    CommandApdu::new(0x00, 0x24, 0x00, pin_reference(key)).with_data(data)
}

/// CHANGE REFERENCE DATA after VERIFY.
pub fn change_verified(key: KeyRef, new: &[u8]) -> CommandApdu {
    CommandApdu::new(0x00, 0x24, 0x01, pin_reference(key)).with_data(new)
}

fn pin_reference(key: KeyRef) -> u8 {
    match key {
        KeyRef::Auth => 0x98,
        KeyRef::Sign => 0x9B,
    }
}

/// COMPUTE DIGITAL SIGNATURE over a SHA-256 hash.
pub fn sign(key: KeyRef, hash: &[u8; 32]) -> CommandApdu {
    let p2 = match key {
        KeyRef::Auth => 0x97,
        KeyRef::Sign => 0x9A,
    };
    CommandApdu::new(0x80, 0x2A, 0x02, p2).with_data(*hash).expecting_all()
}
