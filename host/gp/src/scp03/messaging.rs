//! Secure messaging as a state machine without I/O: wraps commands, unwraps answers (sections 6.2.4 to 6.2.7).

use jpkise_card::{CommandApdu, Expected, ResponseApdu};
use jpkise_wire::scp03::{
    command_icv, padded_length, response_icv, unpad, AesCipher, MacChain, MacKey, SMode, SecurityLevel,
    SessionKeys, BLOCK,
};
use subtle::ConstantTimeEq;

use super::error::{ScpError, SecurityFault};
use crate::channel::{class_under_mac, secured};

/// What to do with a command that has no data, at a level with C-DECRYPTION.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EmptyData {
    /// Nothing is enciphered, as section 6.2.6 says.
    #[default]
    Bare,
    /// One block of padding is enciphered, as YubiKey tools do.
    Padded,
}

/// When the encryption counter moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CounterRule {
    /// With every command, as section 6.2.6 says.
    #[default]
    EveryCommand,
    /// Only with commands that have data: some cards in the field.
    WithData,
}

/// Which class byte the C-MAC covers on logical channels 1 to 19.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MacClass {
    /// With channel number zero, as section 6.2.4 says.
    #[default]
    ChannelZero,
    /// As sent, as some hosts and cards have it.
    AsSent,
}

impl MacClass {
    /// The byte under the MAC for `class`, which shows secure messaging.
    pub(crate) const fn of(self, class: u8) -> u8 {
        match self {
            Self::ChannelZero => class_under_mac(class),
            Self::AsSent => class,
        }
    }
}

/// Deviations of cards in the field; the default is the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Policy {
    /// Commands without data.
    pub empty_data: EmptyData,
    /// Encryption counter.
    pub counter: CounterRule,
    /// Class byte under the MAC.
    pub mac_class: MacClass,
}

/// The off-card end of an authenticated channel: keys, chaining value, counter. Wiped on drop and on the first fault.
pub struct SecureMessaging {
    keys: Option<ChannelKeys>,
    chain: MacChain,
    counter: u128,
    level: SecurityLevel,
    mode: SMode,
    policy: Policy,
}

struct ChannelKeys {
    enc: AesCipher,
    mac: MacKey,
    rmac: MacKey,
}

impl SecureMessaging {
    /// From session keys and the chaining value that EXTERNAL AUTHENTICATE left.
    pub fn new(
        keys: &SessionKeys,
        chain: MacChain,
        level: SecurityLevel,
        mode: SMode,
        policy: Policy,
    ) -> Self {
        let keys = ChannelKeys {
            enc: keys.enc.cipher(),
            mac: MacKey::new(keys.mac.cipher()),
            rmac: MacKey::new(keys.rmac.cipher()),
        };
        Self { keys: Some(keys), chain, counter: 0, level, mode, policy }
    }

    /// The session's security level.
    pub fn level(&self) -> SecurityLevel {
        self.level
    }

    /// Length of MACs on the wire.
    pub fn mode(&self) -> SMode {
        self.mode
    }

    /// Whether a fault has ended the channel.
    pub fn is_closed(&self) -> bool {
        self.keys.is_none()
    }

    /// Changes what answers carry from here on, after BEGIN or END R-MAC SESSION; commands stay as they are.
    pub fn set_level(&mut self, level: SecurityLevel) {
        self.level = level;
    }

    /// Takes off and checks the R-MAC of an answer that may have one although the level has none: some cards protect the
    /// very answer that switches protection on.
    pub(crate) fn unwrap_switching(&mut self, answer: &ResponseApdu) -> Result<ResponseApdu, ScpError> {
        if self.level.has_r_mac() || answer.data.len() != self.mode.bytes() || !answer.sw.is_success() {
            return self.unwrap(answer);
        }
        let level = self.level;
        self.level = SecurityLevel::L11;
        let result = self.unwrap(answer);
        self.level = level;
        result
    }

    /// Ends the channel and wipes its keys.
    pub fn close(&mut self) {
        self.keys = None;
        self.chain = [0; BLOCK];
    }

    /// The MAC chaining value, for transcripts.
    pub fn chain(&self) -> &MacChain {
        &self.chain
    }

    /// The encryption counter after the last command, for transcripts.
    pub fn counter(&self) -> u128 {
        self.counter
    }

    /// Most plain data bytes whose secured form still is a short APDU: 255, 247, 239 or 223, by level and S mode.
    pub fn max_data(&self) -> usize {
        if !self.level.has_c_mac() {
            return CommandApdu::SHORT_MAX;
        }
        let room = CommandApdu::SHORT_MAX - self.mode.bytes();
        if self.level.has_c_enc() {
            room / BLOCK * BLOCK - 1
        } else {
            room
        }
    }

    /// Secures `command` into `out`, which is cleared first: the wire bytes. Allocates only when `out` is too small.
    ///
    /// Moves chaining value and counter, so what was wrapped must be sent, or the channel is out of step.
    pub fn wrap_into(&mut self, command: &CommandApdu, out: &mut Vec<u8>) -> Result<(), ScpError> {
        let keys = self.keys.as_ref().ok_or(ScpError::Closed)?;
        let data = command.data();
        out.clear();
        if !self.level.has_c_mac() {
            out.extend_from_slice(&command.to_bytes()?);
            return Ok(());
        }
        let enciphered =
            self.level.has_c_enc() && (!data.is_empty() || self.policy.empty_data == EmptyData::Padded);
        let field = if enciphered { padded_length(data.len()) } else { data.len() };
        let lc = field + self.mode.bytes();
        let lc16 = u16::try_from(lc).map_err(|_| ScpError::TooLong {
            length: data.len(),
            max: usize::from(u16::MAX) / BLOCK * BLOCK - BLOCK - 1,
        })?;
        if self.policy.counter == CounterRule::EveryCommand || !data.is_empty() {
            self.counter += 1;
        }

        let extended = command.is_extended() || lc > CommandApdu::SHORT_MAX;
        let class = secured(command.cla);
        out.extend_from_slice(&[class, command.ins, command.p1, command.p2]);
        let [hi, lo] = lc16.to_be_bytes();
        if extended {
            out.extend_from_slice(&[0, hi, lo]);
        } else {
            out.push(lo);
        }
        let start = out.len();
        out.extend_from_slice(data);
        if enciphered {
            out.push(0x80);
            out.resize(start + field, 0);
            let icv = command_icv(&keys.enc, self.counter);
            keys.enc.cbc_encrypt(&icv, &mut out[start..]);
        }

        let under_mac = self.policy.mac_class.of(class);
        // Le stays outside the MAC (section 6.2.4).
        self.chain = keys.mac.mac(&[&self.chain, &[under_mac], &out[1..]]);
        out.extend_from_slice(&self.chain[..self.mode.bytes()]);
        self.write_le(command, extended, out);
        Ok(())
    }

    /// Le of the secured command. An answer that gains an R-MAC and padding must not be cut by an Le meant for the plain
    /// one, so a short Le becomes 00 and an extended one grows.
    fn write_le(&self, command: &CommandApdu, extended: bool, out: &mut Vec<u8>) {
        let Some(expected) = command.expected() else { return };
        let mut ne = expected.ne();
        if self.level.has_r_mac() {
            ne = if extended { padded_length(ne) + self.mode.bytes() } else { Expected::ALL_SHORT.ne() };
        }
        // 256 is coded 00 and everything from 65,536 on 0000.
        let ne = if ne >= Expected::ALL_EXTENDED.ne() { 0 } else { ne };
        let [.., hi, lo] = ne.to_be_bytes();
        if extended {
            out.extend_from_slice(&[hi, lo]);
        } else {
            out.push(lo);
        }
    }

    /// As [`Self::wrap_into`], as a command.
    pub fn wrap(&mut self, command: &CommandApdu) -> Result<CommandApdu, ScpError> {
        let mut out = Vec::with_capacity(command.data().len() + 2 * BLOCK + 16);
        self.wrap_into(command, &mut out)?;
        let mut wrapped = CommandApdu::parse(&out)?;
        // At a level that leaves the data in clear, what it hides stays hidden in the trace.
        if let (Some(secret), false) = (command.secret(), self.level.has_c_enc()) {
            wrapped = wrapped.hiding(secret);
        }
        Ok(wrapped)
    }

    /// Checks and opens the answer to the last wrapped command into `out`, which is cleared first. A fault closes the
    /// channel.
    pub fn unwrap_into(&mut self, answer: &ResponseApdu, out: &mut Vec<u8>) -> Result<(), ScpError> {
        out.clear();
        match self.open(answer, out) {
            Ok(()) => Ok(()),
            Err(error) => {
                out.clear();
                self.close();
                Err(error)
            }
        }
    }

    /// As [`Self::unwrap_into`], as an answer.
    pub fn unwrap(&mut self, answer: &ResponseApdu) -> Result<ResponseApdu, ScpError> {
        let mut data = Vec::with_capacity(answer.data.len());
        self.unwrap_into(answer, &mut data)?;
        Ok(ResponseApdu { data, sw: answer.sw })
    }

    fn open(&self, answer: &ResponseApdu, out: &mut Vec<u8>) -> Result<(), ScpError> {
        let keys = self.keys.as_ref().ok_or(ScpError::Closed)?;
        if !self.level.has_r_mac() {
            out.extend_from_slice(&answer.data);
            return Ok(());
        }
        if !answer.sw.is_protected() {
            // Errors come bare (section 6.2.5); data beside one was never the card's.
            return if answer.data.is_empty() {
                Ok(())
            } else {
                Err(SecurityFault::DataWithErrorStatus.into())
            };
        }
        let Some(length) = answer.data.len().checked_sub(self.mode.bytes()) else {
            return Err(SecurityFault::RMacMissing.into());
        };
        let (data, r_mac) = answer.data.split_at(length);
        let expected = keys.rmac.mac(&[&self.chain, data, &answer.sw.to_bytes()]);
        if !bool::from(expected[..self.mode.bytes()].ct_eq(r_mac)) {
            return Err(SecurityFault::RMac.into());
        }
        out.extend_from_slice(data);
        if self.level.has_r_enc() && !data.is_empty() {
            if data.len() % BLOCK != 0 {
                return Err(SecurityFault::Padding.into());
            }
            let icv = response_icv(&keys.enc, self.counter);
            keys.enc.cbc_decrypt(&icv, out);
            let length = unpad(out).ok_or(SecurityFault::Padding)?;
            out.truncate(length);
        }
        Ok(())
    }
}

impl std::fmt::Debug for SecureMessaging {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SecureMessaging")
            .field("level", &self.level)
            .field("mode", &self.mode)
            .field("counter", &self.counter)
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
