//! Faults of the JPKI applet.
//!
//! Several need the user's PIN or password. They are learnt where they pass by: from a successful VERIFY or CHANGE
//! REFERENCE DATA, temporary ones from the secret block that the secure channel deciphers. A card that has seen neither
//! since it was started behaves until it has.

use std::collections::{BTreeMap, BTreeSet};

use jpkise_card::{CommandApdu, Expected};
use zeroize::Zeroizing;

use super::runtime::{status, Line};
use super::tap::Plan;
use super::{Fault, FaultSet};
use crate::runtime::{Interface, RuntimeError};

mod ins {
    pub const VERIFY: u8 = 0x20;
    pub const CHANGE: u8 = 0x24;
    pub const SIGN: u8 = 0x2A;
    pub const RESET_RETRY_COUNTER: u8 = 0x2C;
    pub const CHALLENGE: u8 = 0x84;
    pub const SELECT: u8 = 0xA4;
    pub const READ_BINARY: u8 = 0xB0;
    pub const GET_DATA: u8 = 0xCA;
    pub const STORE_DATA: u8 = 0xE2;
    pub const DEACTIVATE: u8 = 0x04;
    pub const ACTIVATE: u8 = 0x44;
    pub const TERMINATE: u8 = 0xE8;
    pub const DELETE: u8 = 0xE4;
}

/// Short identifiers of the elementary files (design, The JPKI applet's card edge).
const EF_SIGN_CERTIFICATE: u8 = 0x01;
const EF_AUTH_CERTIFICATE: u8 = 0x0A;
const EF_AUTH_KEY: u8 = 0x17;
const EF_AUTH_PIN: u8 = 0x18;
const EF_SIGN_KEY: u8 = 0x1A;
const EF_SIGN_PASSWORD: u8 = 0x1B;

const TAG_STATUS: u16 = 0xDF31;
const TAG_ATTESTATION: u16 = 0xDF32;
const STATE_ACTIVE: u8 = 3;
const STATE_HELD: u8 = 4;
/// DF32: nonce, then per key state 1, hash 32, generation 2, signatures 4, resets 2.
const NONCE: usize = 16;
const ATTESTED_KEY: usize = 41;
const ATTESTED_SIGNATURES: std::ops::Range<usize> = 35..39;
/// Secret block: 8 random, length, secret.
const BLOCK_LENGTH: usize = 8;
/// Old values in CHANGE REFERENCE DATA are padded to this.
const PIN_FIELD: usize = 4;
const PASSWORD_FIELD: usize = 16;
/// C-MAC, C-DECRYPTION and R-MAC.
const LEVEL_ADMIN: u8 = 0x13;

const OK: u16 = 0x9000;
const SUCCESS: [u8; 2] = [0x90, 0x00];
const SECURITY_STATUS: u16 = 0x6982;
const CONDITIONS: u16 = 0x6985;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Secret {
    Pin,
    Password,
}

impl Secret {
    /// P2 that means it.
    fn reference(self) -> u8 {
        0x80 | match self {
            Self::Pin => EF_AUTH_PIN,
            Self::Password => EF_SIGN_PASSWORD,
        }
    }

    fn field(self) -> usize {
        match self {
            Self::Pin => PIN_FIELD,
            Self::Password => PASSWORD_FIELD,
        }
    }

    fn padded(self, value: &[u8]) -> Zeroizing<Vec<u8>> {
        let mut field = Zeroizing::new(value.to_vec());
        field.resize(self.field(), 0xFF);
        field
    }
}

type Values = BTreeMap<Secret, Zeroizing<Vec<u8>>>;

pub(super) struct FaultyJpki {
    faults: FaultSet,
    /// The user's own.
    known: Values,
    temporary: Values,
    verified: BTreeSet<Secret>,
    current_ef: u8,
    challenge: Option<Vec<u8>>,
}

fn wrong_tries(sw: u16) -> bool {
    sw & 0xFFF0 == 0x63C0
}

fn with_data(command: &CommandApdu, data: &[u8]) -> Vec<u8> {
    let mut out = vec![command.cla, command.ins, command.p1, command.p2];
    // PIN and password commands are short and have no answer.
    out.push(u8::try_from(data.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(data);
    out
}

impl FaultyJpki {
    pub fn new(faults: FaultSet) -> Self {
        Self {
            faults,
            known: Values::new(),
            temporary: Values::new(),
            verified: BTreeSet::new(),
            current_ef: 0,
            challenge: None,
        }
    }

    pub fn forget_selection(&mut self) {
        self.verified.clear();
        self.current_ef = 0;
    }

    pub fn process(&mut self, mut line: Line<'_>) -> Result<Vec<u8>, RuntimeError> {
        if line.process.selecting {
            return self.select(line);
        }
        let Ok(command) = CommandApdu::parse(line.process.apdu) else { return line.pass() };
        let answer = match (command.cla & !0x03, command.ins) {
            (0x00, ins::VERIFY) if !command.data().is_empty() => self.verify(&mut line, &command),
            (0x00, ins::CHANGE) => self.change(&mut line, &command),
            (0x00, ins::READ_BINARY) => self.read(&mut line, &command),
            (0x00, ins::CHALLENGE) => self.get_challenge(&mut line),
            (0x00, ins::SELECT) => {
                let answer = line.pass()?;
                if let (OK, [_, id]) = (status(&answer), command.data()) {
                    self.current_ef = *id;
                }
                Ok(answer)
            }
            (0x80 | 0x90, ins::SIGN) => self.sign(&mut line, &command),
            (0x80, ins::GET_DATA) => {
                let mut answer = line.pass()?;
                self.change_data(u16::from_be_bytes([command.p1, command.p2]), &mut answer);
                Ok(answer)
            }
            (0x84, _) => self.secured(&mut line, &command),
            _ => line.pass(),
        }?;
        if status(&answer) == 0x6D00 && self.faults.has(Fault::UnknownCommandAnswered) {
            return Ok(SUCCESS.to_vec());
        }
        Ok(answer)
    }

    fn select(&mut self, mut line: Line<'_>) -> Result<Vec<u8>, RuntimeError> {
        let answer = line.pass()?;
        self.current_ef = 0;
        let before = std::mem::take(&mut self.verified);
        if self.faults.has(Fault::VerifiedSurvivesSelect) {
            self.verify_again(&mut line, before)?;
        }
        Ok(answer)
    }

    /// The secret or key that P2 means: `pin` and `password` are the identifiers that stand for the two.
    fn meant(&self, p2: u8, pin: u8, password: u8) -> Option<Secret> {
        let id = match p2 & 0x1F {
            0 => self.current_ef,
            id => id,
        };
        match id {
            _ if p2 & 0xE0 != 0x80 => None,
            id if id == pin => Some(Secret::Pin),
            id if id == password => Some(Secret::Password),
            _ => None,
        }
    }

    /// Over which interface the applet thinks a command on this secret comes.
    fn set_interface(&self, line: &mut Line<'_>, secret: Secret) {
        if secret == Secret::Password && self.faults.has(Fault::ContactlessPassword) {
            line.process.interface = Interface::Contact;
        }
    }

    fn verify(&mut self, line: &mut Line<'_>, command: &CommandApdu) -> Result<Vec<u8>, RuntimeError> {
        let Some(secret) = self.meant(command.p2, EF_AUTH_PIN, EF_SIGN_PASSWORD) else { return line.pass() };
        self.set_interface(line, secret);
        let mut value = Zeroizing::new(command.data().to_vec());
        if let (Secret::Pin, true, Some(known)) =
            (secret, self.faults.has(Fault::AnyPinAccepted), self.known.get(&secret))
        {
            value.clone_from(known);
        }
        let mut answer = line.send(&Zeroizing::new(with_data(command, &value)))?;
        if status(&answer) == CONDITIONS && self.faults.has(Fault::TemporaryPinSigns) {
            let fits = self.temporary.get(&secret).is_some_and(|temporary| *temporary == value);
            // As if the user had chosen it himself.
            if fits && status(&send_change(line, secret, &value)?) == OK {
                answer = line.send(&Zeroizing::new(with_data(command, &value)))?;
            }
        }
        let sw = status(&answer);
        if sw == OK {
            self.known.insert(secret, value);
            self.verified.insert(secret);
        } else if wrong_tries(sw) {
            self.verified.remove(&secret);
            self.after_wrong_value(line, secret, &mut answer)?;
        }
        Ok(answer)
    }

    fn change(&mut self, line: &mut Line<'_>, command: &CommandApdu) -> Result<Vec<u8>, RuntimeError> {
        let Some(secret) = self.meant(command.p2, EF_AUTH_PIN, EF_SIGN_PASSWORD) else { return line.pass() };
        self.set_interface(line, secret);
        let mut data = Zeroizing::new(command.data().to_vec());
        let old = if command.p1 == 0 { secret.field().min(data.len()) } else { 0 };
        let right = self.known.get(&secret).or(self.temporary.get(&secret));
        if let (true, true, Some(right)) = (old > 0, self.faults.has(Fault::OldPinUncompared), right) {
            data[..old].copy_from_slice(&secret.padded(right)[..old]);
        }
        let mut answer = line.send(&Zeroizing::new(with_data(command, &data)))?;
        let sw = status(&answer);
        if sw == OK {
            self.known.insert(secret, Zeroizing::new(data[old..].to_vec()));
            self.temporary.remove(&secret);
            self.verified.clear();
        } else if wrong_tries(sw) {
            self.after_wrong_value(line, secret, &mut answer)?;
        }
        Ok(answer)
    }

    fn after_wrong_value(
        &mut self,
        line: &mut Line<'_>,
        secret: Secret,
        answer: &mut Vec<u8>,
    ) -> Result<(), RuntimeError> {
        let uncounted = match secret {
            Secret::Pin => Fault::PinUncounted,
            Secret::Password => Fault::PasswordUncounted,
        };
        if self.faults.has(uncounted) {
            self.end_verification(line, secret)?;
        }
        if self.faults.has(Fault::TriesUntold) {
            *answer = vec![0x63, 0x00];
        }
        Ok(())
    }

    fn verify_again(&mut self, line: &mut Line<'_>, secrets: BTreeSet<Secret>) -> Result<(), RuntimeError> {
        for secret in secrets {
            if self.send_verify(line, secret)? {
                self.verified.insert(secret);
            }
        }
        Ok(())
    }

    /// VERIFY with what is known; `false` when nothing is, or it fails.
    fn send_verify(&mut self, line: &mut Line<'_>, secret: Secret) -> Result<bool, RuntimeError> {
        let Some(value) = self.known.get(&secret) else { return Ok(false) };
        let command = CommandApdu::new(line.process.apdu[0] & 0x03, ins::VERIFY, 0, secret.reference());
        Ok(status(&line.send(&Zeroizing::new(with_data(&command, value)))?) == OK)
    }

    /// Leaves this secret unverified with all its tries, the other one as it was.
    fn end_verification(&mut self, line: &mut Line<'_>, secret: Secret) -> Result<(), RuntimeError> {
        let Some(value) = self.known.get(&secret).cloned() else { return Ok(()) };
        if status(&send_change(line, secret, &value)?) == OK {
            let mut others = std::mem::take(&mut self.verified);
            others.remove(&secret);
            self.verify_again(line, others)?;
        }
        Ok(())
    }

    /// The command once more, as if the secret had been verified.
    fn verified_for_once(
        &mut self,
        line: &mut Line<'_>,
        secret: Secret,
        apdu: &[u8],
    ) -> Result<Option<Vec<u8>>, RuntimeError> {
        if !self.send_verify(line, secret)? {
            return Ok(None);
        }
        let answer = line.send(apdu)?;
        self.end_verification(line, secret)?;
        Ok(Some(answer))
    }

    fn read(&mut self, line: &mut Line<'_>, command: &CommandApdu) -> Result<Vec<u8>, RuntimeError> {
        let mut apdu = line.process.apdu.to_vec();
        let by_identifier = command.p1 & 0x80 != 0;
        let id = match command.p1 & 0x1F {
            id if by_identifier && id != 0 => id,
            _ => self.current_ef,
        };
        if self.faults.has(Fault::ReadOffsetIgnored) {
            apdu[3] = 0;
            if !by_identifier {
                apdu[2] = 0;
            }
        }
        let mut answer = line.send(&apdu)?;
        let free = match id {
            EF_SIGN_CERTIFICATE => Some((Fault::SignCertificateFree, Secret::Password)),
            EF_AUTH_CERTIFICATE => Some((Fault::AuthCertificateFree, Secret::Pin)),
            _ => None,
        };
        if let (SECURITY_STATUS, Some((fault, secret))) = (status(&answer), free) {
            if self.faults.has(fault) {
                answer = self.verified_for_once(line, secret, &apdu)?.unwrap_or(answer);
            }
        }
        if status(&answer) == OK {
            self.current_ef = id;
        } else if status(&answer) == 0x6B00 && self.faults.has(Fault::ReadBehindEnd) {
            answer = SUCCESS.to_vec();
        }
        Ok(answer)
    }

    fn get_challenge(&mut self, line: &mut Line<'_>) -> Result<Vec<u8>, RuntimeError> {
        let answer = line.pass()?;
        if status(&answer) != OK || !self.faults.has(Fault::ChallengeRepeated) {
            return Ok(answer);
        }
        match &self.challenge {
            Some(first) if first.len() == answer.len() => Ok(first.clone()),
            _ => Ok(self.challenge.insert(answer).clone()),
        }
    }

    fn sign(&mut self, line: &mut Line<'_>, command: &CommandApdu) -> Result<Vec<u8>, RuntimeError> {
        let chained = command.cla & 0x10 != 0;
        if chained && self.faults.has(Fault::ChainedPartLost) {
            return Ok(SUCCESS.to_vec());
        }
        let mut apdu = line.process.apdu.to_vec();
        if self.faults.has(Fault::DigestInfoMissing) && matches!(command.p1, 2 | 3) {
            apdu[2] -= 2;
        }
        let secret = self.meant(command.p2, EF_AUTH_KEY, EF_SIGN_KEY);
        if let Some(secret) = secret {
            self.set_interface(line, secret);
        }
        let mut answer = line.send(&apdu)?;
        if status(&answer) == SECURITY_STATUS && self.faults.has(Fault::SignsWithoutPin) {
            if let Some(secret) = secret {
                answer = self.verified_for_once(line, secret, &apdu)?.unwrap_or(answer);
            }
        }
        let wanted = command.expected().map_or(0, Expected::ne);
        if status(&answer) == 0x6C00 && self.faults.has(Fault::WrongLeAccepted) {
            if let Some(le) = apdu.last_mut().filter(|_| !command.is_extended()) {
                *le = 0;
            }
            answer = line.send(&apdu)?;
            if status(&answer) == OK {
                answer.truncate(wanted.min(answer.len() - 2));
                answer.extend_from_slice(&SUCCESS);
            }
        }
        if let ([.., last, 0x90, 0x00], true) =
            (answer.as_mut_slice(), self.faults.has(Fault::SignatureWrong))
        {
            *last ^= 1;
        }
        Ok(answer)
    }

    /// What GET DATA answers, data and status word.
    fn change_data(&self, tag: u16, answer: &mut [u8]) {
        if status(answer) != OK {
            return;
        }
        match tag {
            TAG_STATUS if self.faults.has(Fault::HeldShownActive) => {
                // State and tries of either key.
                for place in [0, 2] {
                    if answer.get(place) == Some(&STATE_HELD) {
                        answer[place] = STATE_ACTIVE;
                    }
                }
            }
            TAG_ATTESTATION if answer.len() > NONCE + 2 * ATTESTED_KEY => {
                if self.faults.has(Fault::NonceIgnored) {
                    answer[..NONCE].fill(0);
                }
                if self.faults.has(Fault::SignaturesUncounted) {
                    for key in answer[NONCE..][..2 * ATTESTED_KEY].chunks_exact_mut(ATTESTED_KEY) {
                        key[ATTESTED_SIGNATURES].fill(0);
                    }
                }
            }
            _ => {}
        }
    }

    /// A command of the service provider's TSM.
    fn secured(&mut self, line: &mut Line<'_>, command: &CommandApdu) -> Result<Vec<u8>, RuntimeError> {
        let ignored = match command.ins {
            ins::DEACTIVATE => self.faults.has(Fault::HoldIgnored),
            ins::ACTIVATE => self.faults.has(Fault::ReleaseIgnored),
            ins::TERMINATE => self.faults.has(Fault::RevokedSigns),
            ins::DELETE => self.faults.has(Fault::WipeIgnored),
            _ => false,
        };
        if ignored {
            return ignore(line, command);
        }
        let mut secrets: Vec<Zeroizing<Vec<u8>>> = Vec::new();
        let answer = {
            let mut secret = |block: &[u8]| {
                let length = block.get(BLOCK_LENGTH).map_or(0, |length| usize::from(*length));
                if let Some(value) = block.get(BLOCK_LENGTH + 1..).and_then(|rest| rest.get(..length)) {
                    secrets.push(Zeroizing::new(value.to_vec()));
                }
            };
            let tag = u16::from_be_bytes([command.p1, command.p2]);
            let mut data = |answer: &mut Vec<u8>| {
                if command.ins == ins::GET_DATA {
                    self.change_data(tag, answer);
                }
            };
            let sees = matches!(command.ins, ins::STORE_DATA | ins::RESET_RETRY_COUNTER);
            let level = if self.faults.has(Fault::AdminLevelUnchecked) { LEVEL_ADMIN } else { 0 };
            let plan = Plan {
                secret: if sees { Some(&mut secret) } else { None },
                answer: Some(&mut data),
                level,
                ..Plan::default()
            };
            let apdu = line.process.apdu;
            line.send_with(apdu, plan)?
        };
        for value in secrets {
            let secret = if value.len() == PIN_FIELD { Secret::Pin } else { Secret::Password };
            self.known.remove(&secret);
            self.temporary.insert(secret, value);
        }
        Ok(answer)
    }
}

/// CHANGE REFERENCE DATA of a secret to itself: gives the tries back and leaves nothing verified.
fn send_change(line: &mut Line<'_>, secret: Secret, value: &[u8]) -> Result<Vec<u8>, RuntimeError> {
    let data = Zeroizing::new([&secret.padded(value)[..], value].concat());
    let command = CommandApdu::new(line.process.apdu[0] & 0x03, ins::CHANGE, 0, secret.reference());
    line.send(&Zeroizing::new(with_data(&command, &data)))
}

/// Answers a secured command 9000 without carrying it out: the applet gets GET DATA DF31 in its place.
fn ignore(line: &mut Line<'_>, command: &CommandApdu) -> Result<Vec<u8>, RuntimeError> {
    let [status_1, status_2] = TAG_STATUS.to_be_bytes();
    let header = [ins::GET_DATA, status_1, status_2];
    let mut original = vec![command.cla, command.ins, command.p1, command.p2];
    original.push(u8::try_from(command.data().len()).unwrap_or(u8::MAX));
    original.extend_from_slice(command.data());
    let mut harmless = original.clone();
    harmless.splice(1..4, header);
    let mut plain = |plain: &mut Vec<u8>| {
        plain.splice(1.., header);
        plain.push(0);
    };
    let mut answer = |answer: &mut Vec<u8>| *answer = SUCCESS.to_vec();
    let plan = Plan {
        original: Some(original),
        command: Some(&mut plain),
        answer: Some(&mut answer),
        ..Plan::default()
    };
    line.send_with(&harmless, plan)
}
