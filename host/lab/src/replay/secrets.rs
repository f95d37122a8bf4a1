//! PIN and password given anew, in place of those that the recording leaves out.

use jpkise_card::{CommandApdu, SecretKind};
use jpkise_jpki::edge::reference::{change, change_verified, verify};
use jpkise_jpki::edge::{Ef, Password, Pin, Secret, SecretBlock, Target};
use jpkise_wire::scp03::{dek_decrypt, AesKey};
use jpkise_wire::StatusWord;

use super::plan::Reason;

const INS_VERIFY: u8 = 0x20;
const INS_CHANGE: u8 = 0x24;
const INS_RESET: u8 = 0x2C;
const INS_STORE_DATA: u8 = 0xE2;
const P1_NEW: u8 = 0x01;
/// P2: the current EF.
const P2_CURRENT: u8 = 0x80;
const SHORT_EF: u8 = 0x1F;

/// Values given for a replay. Without a new value CHANGE REFERENCE DATA sets the one in use again.
#[derive(Default)]
pub struct Given {
    /// PIN of the authentication key.
    pub pin: Option<Pin>,
    /// Password of the signature key.
    pub password: Option<Password>,
    /// What the PIN is changed to.
    pub new_pin: Option<Pin>,
    /// What the password is changed to.
    pub new_password: Option<Password>,
    /// Temporary PIN, set over the secure channel and replaced by CHANGE REFERENCE DATA.
    pub(super) temporary_pin: Option<Pin>,
    /// Temporary password.
    pub(super) temporary_password: Option<Password>,
}

impl Given {
    /// The command with this header, its value given anew: the right one, or a wrong one where the recorded answer says
    /// that it was wrong.
    pub(super) fn command(
        &self,
        header: [u8; 4],
        kind: &str,
        file: Option<u16>,
        recorded: Option<StatusWord>,
    ) -> Result<CommandApdu, Reason> {
        let [cla, ins, p1, p2] = header;
        if !matches!(ins, INS_VERIFY | INS_CHANGE)
            || matches!(recorded, Some(StatusWord::WRONG_DATA | StatusWord::WRONG_LENGTH))
        {
            return Err(if matches!(ins, INS_VERIFY | INS_CHANGE) {
                Reason::WrongForm
            } else {
                Reason::Secret
            });
        }
        let file = if p2 == P2_CURRENT { file } else { Some(u16::from(p2 & SHORT_EF)) };
        let wrong = recorded.is_some_and(|sw| sw.tries_left().is_some());
        let replaces = ins == INS_CHANGE && p1 != P1_NEW;
        let of = |ef: Ef| Some(ef.id()) == file;
        // Where no file was selected any value is refused alike.
        let any = file.is_none()
            && kind == SecretKind::ReferenceData.name()
            && recorded.is_some_and(|sw| !sw.is_success() && !wrong);
        let command = if any || of(Ef::AUTH_PIN) || (file.is_none() && kind == SecretKind::Pin.name()) {
            let own = self.pin.as_ref().ok_or(Reason::Secret)?;
            let now = self.temporary_pin.as_ref().filter(|_| replaces).unwrap_or(own);
            let other = other_pin(now).ok_or(Reason::Secret)?;
            build(ins, p1, &Values { now, other: &other, new: self.new_pin.as_ref().unwrap_or(own), wrong })
        } else if of(Ef::SIGN_PASSWORD) || (file.is_none() && kind == SecretKind::Password.name()) {
            let own = self.password.as_ref().ok_or(Reason::Secret)?;
            let now = self.temporary_password.as_ref().filter(|_| replaces).unwrap_or(own);
            let other = other_password(now).ok_or(Reason::Secret)?;
            build(
                ins,
                p1,
                &Values { now, other: &other, new: self.new_password.as_ref().unwrap_or(own), wrong },
            )
        } else {
            return Err(Reason::Secret);
        };
        // The class carries the logical channel; P2 stays as it was.
        let mut command = command;
        command.cla = cla;
        command.p2 = p2;
        Ok(command)
    }

    /// The same values once more: those of a card that is kept.
    pub(super) fn duplicate(&self) -> Self {
        Self {
            pin: self.pin.as_ref().map(Pin::duplicate),
            password: self.password.as_ref().map(Password::duplicate),
            new_pin: self.new_pin.as_ref().map(Pin::duplicate),
            new_password: self.new_password.as_ref().map(Password::duplicate),
            temporary_pin: None,
            temporary_password: None,
        }
    }

    /// Temporary secrets do not outlive the card's session.
    pub(super) fn forget_temporary(&mut self) {
        self.temporary_pin = None;
        self.temporary_password = None;
    }

    /// Takes the temporary secrets of a secured command that succeeded: RESET RETRY COUNTER, or STORE DATA with 8201 or 8202,
    /// whose values are secret blocks under the Key-DEK.
    pub(super) fn temporary(&mut self, command: &CommandApdu, dek: &AesKey) {
        let data = command.data();
        match command.ins {
            INS_RESET => self.block(command.p1, data, dek),
            // These groupings stand in one block, behind the rest of another value perhaps. What only looks like one does
            // not decipher to the form of a secret.
            INS_STORE_DATA => {
                for at in 0..data.len() {
                    if let Some(&[0x82, key @ (1 | 2), 0x20]) =
                        data.get(at..at + 3).and_then(|d| d.first_chunk())
                    {
                        self.block(
                            key,
                            data.get(at + 3..at + 3 + SecretBlock::LENGTH).unwrap_or_default(),
                            dek,
                        );
                    }
                }
            }
            _ => {}
        }
    }

    /// 8 random bytes, length, secret, filling.
    fn block(&mut self, key: u8, enciphered: &[u8], dek: &AesKey) {
        let Some(clear) =
            dek_decrypt(dek, enciphered).ok().filter(|_| enciphered.len() == SecretBlock::LENGTH)
        else {
            return;
        };
        let secret = clear.get(8).and_then(|length| clear.get(9..9 + usize::from(*length)));
        let Some(text) = secret.and_then(|secret| std::str::from_utf8(secret).ok()) else { return };
        match key {
            1 => self.temporary_pin = Pin::new(text).ok().or(self.temporary_pin.take()),
            2 => self.temporary_password = Password::new(text).ok().or(self.temporary_password.take()),
            _ => {}
        }
    }

    /// After a CHANGE REFERENCE DATA that succeeded.
    pub(super) fn changed(&mut self, header: [u8; 4], file: Option<u16>) {
        let file = if header[3] == P2_CURRENT { file } else { Some(u16::from(header[3] & SHORT_EF)) };
        if header[1] != INS_CHANGE {
            return;
        }
        if file == Some(Ef::AUTH_PIN.id()) {
            self.temporary_pin = None;
            if let Some(new) = self.new_pin.take() {
                self.pin = Some(new);
            }
        } else if file == Some(Ef::SIGN_PASSWORD.id()) {
            self.temporary_password = None;
            if let Some(new) = self.new_password.take() {
                self.password = Some(new);
            }
        }
    }
}

struct Values<'s, S> {
    now: &'s S,
    other: &'s S,
    new: &'s S,
    wrong: bool,
}

fn build<S: Secret>(ins: u8, p1: u8, values: &Values<'_, S>) -> CommandApdu {
    let used = if values.wrong { values.other } else { values.now };
    // The target is replaced by the recorded P2.
    match (ins, p1) {
        (INS_VERIFY, _) => verify(Target::Current, used),
        (_, P1_NEW) => change_verified(Target::Current, values.new),
        _ => change(Target::Current, used, values.new),
    }
}

/// A PIN that is not this one.
fn other_pin(pin: &Pin) -> Option<Pin> {
    Pin::new(std::str::from_utf8(&other(pin.expose(), b'0', b'1')).ok()?).ok()
}

/// A password that is not this one and has its form.
fn other_password(password: &Password) -> Option<Password> {
    let bytes = password.expose();
    let last = *bytes.last()?;
    let (first, second) = if last.is_ascii_digit() { (b'0', b'1') } else { (b'A', b'B') };
    Password::new(std::str::from_utf8(&other(bytes, first, second)).ok()?).ok()
}

fn other(bytes: &[u8], first: u8, second: u8) -> zeroize::Zeroizing<Vec<u8>> {
    let mut changed = zeroize::Zeroizing::new(bytes.to_vec());
    if let Some(last) = changed.last_mut() {
        *last = if *last == first { second } else { first };
    }
    changed
}
