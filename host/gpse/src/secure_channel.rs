//! SCP03, the card's side: the session as a state machine (GP Amendment D sections 5 and 6).
//!
//! BEGIN and END R-MAC SESSION change what an open session does to answers, from the next command on:
//!
//! ```text
//! 84 7A 10|30 01  Lc  [LV element, not looked at] C-MAC             10 R-MAC, 30 R-MAC and R-ENCRYPTION
//! 84 78 00 03  Lc  C-MAC                               Le 00        back to the level of EXTERNAL AUTHENTICATE
//! SW 6985 not in this state, or not offered by i; 6A86 P1 P2; 6A80 data
//! ```
//!
//! INITIALIZE UPDATE leads from any state to `Initialized`, a good EXTERNAL AUTHENTICATE from there to `Open`, any
//! security error from `Open` to `Aborted`. Aborted is not ended: nothing that wants the channel works until a new
//! INITIALIZE UPDATE or the end of the session (GP Card Spec 2.3.1 section 10.2.3).
//!
//! Keys, counters of failures and the choice of the key set belong to the caller; this module sees one session.

use jpkise_card::{CommandApdu, ResponseApdu};
use jpkise_wire::lv::LvReader;
use jpkise_wire::scp03::{
    command_icv, cryptogram, dek_decrypt, dek_encrypt, mac, pad, response_icv, unpad, AesCipher, AesKey,
    Challenge, Cryptogram, Derivation, IParameter, MacChain, SMode, SecurityLevel, SequenceCounter,
    SessionKeys, StaticKeys, BLOCK, KDD_LENGTH, SCP_IDENTIFIER,
};
use jpkise_wire::StatusWord;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::faults::{Fault, FaultSet};

/// Bit of `SecureChannel.getSecurityLevel` for an authenticated session (GP Card API, interface SecureChannel).
pub const AUTHENTICATED: u8 = 0x80;
/// BEGIN R-MAC SESSION (Amendment D section 7.1.3).
pub const INS_BEGIN_R_MAC_SESSION: u8 = 0x7A;
/// END R-MAC SESSION (Amendment D section 7.1.4).
pub const INS_END_R_MAC_SESSION: u8 = 0x78;
const P2_BEGIN_R_MAC_SESSION: u8 = 0x01;
const P2_END_R_MAC_SESSION: u8 = 0x03;
/// CLA bit of GlobalPlatform secure messaging on channels 0 to 3 (GP Card Spec 2.3.1 table 11-12).
const CLA_SECURE: u8 = 0x04;
/// CLA bits that show secure messaging of any kind on channels 0 to 3 (ISO/IEC 7816-4 table 2).
const CLA_SECURE_MASK: u8 = 0x0C;
/// CLA bits with the number of channels 0 to 3.
const CLA_CHANNEL_MASK: u8 = 0x03;

/// Whether the class byte shows secure messaging; classes of channels 4 to 19 keep it in another bit.
pub const fn shows_secure_messaging(cla: u8) -> bool {
    if cla & 0x40 == 0 {
        cla & CLA_SECURE_MASK != 0
    } else {
        cla & 0x20 != 0
    }
}

/// What INITIALIZE UPDATE works with, chosen by the caller.
#[derive(Debug)]
pub struct Opening<'a> {
    /// Key version number of `keys`.
    pub kvn: u8,
    /// The key set.
    pub keys: &'a StaticKeys,
    /// i parameter.
    pub i: IParameter,
    /// Key diversification data.
    pub diversification: [u8; KDD_LENGTH],
    /// The card challenge.
    pub card_challenge: Challenge,
    /// Sequence counter, shown when the challenge is pseudo-random.
    pub counter: SequenceCounter,
    /// The least level that EXTERNAL AUTHENTICATE may ask for.
    pub least_level: SecurityLevel,
    /// What the session does wrong on purpose.
    pub faults: FaultSet,
}

/// Why EXTERNAL AUTHENTICATE failed. [`Self::is_attempt`] separates faults of form from tried keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthenticationError {
    /// No INITIALIZE UPDATE came right before: 6985.
    NotInitialized,
    /// Data field not cryptogram and MAC: 6700.
    Length,
    /// P1 no level that i offers, or P2 not 00: 6A86.
    Level,
    /// Class byte without secure messaging: 6E00.
    Class,
    /// C-MAC wrong: 6982.
    Mac,
    /// Host cryptogram wrong: 6300.
    Cryptogram,
}

impl AuthenticationError {
    /// Whether keys were tried and found wrong, which the key version counts.
    pub const fn is_attempt(self) -> bool {
        matches!(self, Self::Mac | Self::Cryptogram)
    }

    /// The answer.
    pub const fn status_word(self) -> StatusWord {
        match self {
            Self::NotInitialized => StatusWord::CONDITIONS_NOT_SATISFIED,
            Self::Length => StatusWord::WRONG_LENGTH,
            Self::Level => StatusWord::INCORRECT_P1_P2,
            Self::Class => StatusWord::CLA_NOT_SUPPORTED,
            Self::Mac => StatusWord::SECURITY_NOT_SATISFIED,
            Self::Cryptogram => StatusWord::AUTHENTICATION_FAILED,
        }
    }
}

/// Keys and offers of one session, from INITIALIZE UPDATE on.
struct Session {
    enc: AesCipher,
    mac: AesCipher,
    rmac: AesCipher,
    /// Key-DEK is static; the copy outlives a PUT KEY that replaces the set.
    dek: AesKey,
    mode: SMode,
    i: IParameter,
    least_level: SecurityLevel,
    faults: FaultSet,
}

impl Session {
    fn offers(&self, level: SecurityLevel) -> bool {
        let least = self.least_level.value();
        self.faults.has(Fault::LevelUnchecked) || self.i.offers(level) && level.value() & least == least
    }

    /// C-MAC over header and data, the class as if on the basic channel; the full MAC.
    fn command_mac(&self, chain: &MacChain, command: &CommandApdu, data: &[u8]) -> [u8; BLOCK] {
        let mut header = [0u8; 7];
        header[0] = command.cla & !CLA_CHANNEL_MASK;
        header[1..4].copy_from_slice(&command.header()[1..]);
        let length = data.len() + self.mode.bytes();
        // Lc as on the wire: three bytes when the wrapped command is extended, as off-card tools do (the text of the
        // specification knows short commands only).
        let header_length = match u8::try_from(length) {
            Ok(lc) if !command.is_extended() => {
                header[4] = lc;
                5
            }
            _ => {
                // An APDU's data field has at most 65,535 bytes.
                header[5..7].copy_from_slice(&u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
                7
            }
        };
        mac(&self.mac, &[chain, &header[..header_length], data])
    }
}

/// An authenticated session.
struct Open {
    session: Session,
    /// Level of EXTERNAL AUTHENTICATE.
    opened: SecurityLevel,
    /// Level in force.
    level: SecurityLevel,
    chain: MacChain,
    /// Commands so far; 0 after EXTERNAL AUTHENTICATE.
    counter: u128,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.chain.zeroize();
    }
}

#[derive(Default)]
enum State {
    #[default]
    None,
    Initialized(Box<Session>, Cryptogram),
    Open(Box<Open>),
    Aborted,
}

/// The secure channel of one logical channel's selected application.
#[derive(Default)]
pub struct SecureChannel {
    state: State,
}

impl SecureChannel {
    /// INITIALIZE UPDATE: derives the session keys and returns the answer's data. Ends whatever was there.
    pub fn initialize(&mut self, opening: &Opening<'_>, host: &Challenge) -> Vec<u8> {
        let Opening { keys, i, card_challenge, .. } = opening;
        let session_keys = SessionKeys::derive(&keys.enc, &keys.mac, host, card_challenge);
        let card = cryptogram(&session_keys.mac, Derivation::CardCryptogram, host, card_challenge);
        let expected = cryptogram(&session_keys.mac, Derivation::HostCryptogram, host, card_challenge);
        self.state = State::Initialized(
            Box::new(Session {
                enc: session_keys.enc.cipher(),
                mac: session_keys.mac.cipher(),
                rmac: session_keys.rmac.cipher(),
                dek: keys.dek.duplicate(),
                mode: host.mode(),
                i: *i,
                least_level: opening.least_level,
                faults: opening.faults,
            }),
            expected,
        );
        let mut answer = opening.diversification.to_vec();
        answer.extend_from_slice(&[opening.kvn, SCP_IDENTIFIER, i.value()]);
        answer.extend_from_slice(card_challenge.as_bytes());
        answer.extend_from_slice(card.as_bytes());
        if let (Some(last), true) = (answer.last_mut(), opening.faults.has(Fault::CardCryptogramWrong)) {
            *last ^= 1;
        }
        if i.is_pseudo_random() {
            answer.extend_from_slice(&opening.counter.to_bytes());
        }
        answer
    }

    /// EXTERNAL AUTHENTICATE. Any failure leaves no session.
    pub fn external_authenticate(&mut self, command: &CommandApdu) -> Result<(), AuthenticationError> {
        let State::Initialized(session, expected) = std::mem::take(&mut self.state) else {
            return Err(AuthenticationError::NotInitialized);
        };
        if command.cla & !CLA_CHANNEL_MASK != 0x80 | CLA_SECURE {
            return Err(AuthenticationError::Class);
        }
        let size = session.mode.bytes();
        if command.data().len() != 2 * size {
            return Err(AuthenticationError::Length);
        }
        let level = SecurityLevel::try_from(command.p1).ok().filter(|level| session.offers(*level));
        let (Some(level), 0) = (level, command.p2) else {
            return Err(AuthenticationError::Level);
        };
        let (host_cryptogram, received) = command.data().split_at(size);
        let chain = session.command_mac(&[0; BLOCK], command, host_cryptogram);
        let unchecked = |fault| session.faults.has(fault);
        if !bool::from(chain[..size].ct_eq(received)) && !unchecked(Fault::AuthenticationMacUnchecked) {
            return Err(AuthenticationError::Mac);
        }
        let right = Challenge::new(host_cryptogram) == Some(expected);
        if !right && !unchecked(Fault::HostCryptogramUnchecked) {
            return Err(AuthenticationError::Cryptogram);
        }
        self.state =
            State::Open(Box::new(Open { session: *session, opened: level, level, chain, counter: 0 }));
        Ok(())
    }

    /// Checks and deciphers a command under the session's level; without a session, or at level 00, it passes
    /// unchanged. Any fault aborts the session. The result's class has no secure messaging bits.
    pub fn unwrap(&mut self, command: CommandApdu) -> Result<CommandApdu, StatusWord> {
        let is_clear = !shows_secure_messaging(command.cla);
        match &mut self.state {
            State::None | State::Initialized(..) => Ok(command),
            State::Aborted => Err(StatusWord::SECURITY_NOT_SATISFIED),
            State::Open(open) if !open.level.has_c_mac() => Ok(command),
            State::Open(open) if open.has(Fault::ClearCommandAccepted) && is_clear => Ok(command),
            State::Open(open) => {
                if let Some(plain) = open.unwrap(&command) {
                    Ok(plain)
                } else {
                    if !open.has(Fault::SessionSurvivesMacError) {
                        self.state = State::Aborted;
                    }
                    Err(StatusWord::SECURITY_NOT_SATISFIED)
                }
            }
        }
    }

    /// Protects an answer under the session's level; errors and answers outside R-MAC pass unchanged.
    pub fn wrap(&self, answer: ResponseApdu) -> ResponseApdu {
        match &self.state {
            State::Open(open) if open.level.has_r_mac() && answer.sw.is_protected() => open.wrap(answer),
            _ => answer,
        }
    }

    /// BEGIN or END R-MAC SESSION, already unwrapped: the answer, protected as the session was when the command came.
    /// An error leaves the session as it is.
    pub fn change_r_mac(&mut self, command: &CommandApdu) -> Result<ResponseApdu, StatusWord> {
        let State::Open(open) = &self.state else { return Err(StatusWord::CONDITIONS_NOT_SATISFIED) };
        let next = open.level_after(command)?;
        let answer = self.wrap(StatusWord::SUCCESS.into());
        if let State::Open(open) = &mut self.state {
            open.level = next;
        }
        Ok(answer)
    }

    /// The level of the open session.
    pub fn level(&self) -> Option<SecurityLevel> {
        match &self.state {
            State::Open(open) => Some(open.level),
            _ => None,
        }
    }

    /// Size of challenges and MACs in the open session.
    pub fn mode(&self) -> Option<SMode> {
        match &self.state {
            State::Open(open) => Some(open.session.mode),
            _ => None,
        }
    }

    /// Bits of `SecureChannel.getSecurityLevel`.
    pub fn level_bits(&self) -> u8 {
        self.level().map_or(0, |level| AUTHENTICATED | level.value())
    }

    /// Whether a session was aborted and not ended yet.
    pub fn is_aborted(&self) -> bool {
        matches!(self.state, State::Aborted)
    }

    /// Whether INITIALIZE UPDATE was the last command.
    pub fn is_initialized(&self) -> bool {
        matches!(self.state, State::Initialized(..))
    }

    /// Drops a pending INITIALIZE UPDATE: EXTERNAL AUTHENTICATE must follow directly.
    pub fn forget_initialization(&mut self) {
        if self.is_initialized() {
            self.state = State::None;
        }
    }

    /// Aborts an open session.
    pub fn abort(&mut self) {
        if matches!(self.state, State::Open(_)) {
            self.state = State::Aborted;
        }
    }

    /// Ends whatever is there.
    pub fn end(&mut self) {
        self.state = State::None;
    }

    /// Deciphers whole blocks under the session's Key-DEK; `None` outside a session or for other lengths.
    pub fn decrypt_data(&self, data: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        match &self.state {
            State::Open(open) => dek_decrypt(&open.session.dek, data).ok(),
            _ => None,
        }
    }

    /// Enciphers whole blocks under the session's Key-DEK; `None` outside a session or for other lengths.
    pub fn encrypt_data(&self, data: &[u8]) -> Option<Vec<u8>> {
        match &self.state {
            State::Open(open) => dek_encrypt(&open.session.dek, data).ok(),
            _ => None,
        }
    }

    /// Most answer bytes that, once protected, fit `limit` bytes before the status word.
    pub fn plain_answer_limit(&self, limit: usize) -> usize {
        match &self.state {
            State::Open(open) if open.level.has_r_mac() => {
                let room = limit.saturating_sub(open.session.mode.bytes());
                if open.level.has_r_enc() {
                    // Whole blocks, at least one byte of padding.
                    (room / BLOCK * BLOCK).saturating_sub(1)
                } else {
                    room
                }
            }
            _ => limit,
        }
    }
}

impl Open {
    fn has(&self, fault: Fault) -> bool {
        self.session.faults.has(fault)
    }

    fn level_after(&self, command: &CommandApdu) -> Result<SecurityLevel, StatusWord> {
        let refused = StatusWord::CONDITIONS_NOT_SATISFIED;
        if command.ins == INS_END_R_MAC_SESSION {
            if command.p1 != 0 || command.p2 != P2_END_R_MAC_SESSION {
                return Err(StatusWord::INCORRECT_P1_P2);
            }
            if !command.data().is_empty() {
                return Err(StatusWord::WRONG_DATA);
            }
            // What EXTERNAL AUTHENTICATE has set is no R-MAC session that could be ended.
            return if self.level == self.opened { Err(refused) } else { Ok(self.opened) };
        }
        let asked = command.p1;
        let known = [SecurityLevel::R_MAC, SecurityLevel::R_MAC | SecurityLevel::R_ENCRYPTION];
        if !known.contains(&asked) || command.p2 != P2_BEGIN_R_MAC_SESSION {
            return Err(StatusWord::INCORRECT_P1_P2);
        }
        let mut element = LvReader::new(command.data());
        if !element.is_at_end() && (element.field().is_err() || !element.is_at_end()) {
            return Err(StatusWord::WRONG_DATA);
        }
        let has_it =
            if asked == SecurityLevel::R_MAC { self.level.has_r_mac() } else { self.level.has_r_enc() };
        let goes_back = self.level.has_r_enc();
        // 11 with R-ENCRYPTION is no level: R-ENCRYPTION needs C-DECRYPTION.
        let level = SecurityLevel::try_from(self.level.value() | asked).ok();
        let level = level.filter(|level| level.has_c_mac() && self.session.i.offers(*level));
        level.filter(|_| !has_it && !goes_back).ok_or(refused)
    }

    fn unwrap(&mut self, command: &CommandApdu) -> Option<CommandApdu> {
        if !shows_secure_messaging(command.cla) {
            return None;
        }
        let size = self.session.mode.bytes();
        let (data, received) = command.data().split_at_checked(command.data().len().checked_sub(size)?)?;
        let chain = self.session.command_mac(&self.chain, command, data);
        if !bool::from(chain[..size].ct_eq(received)) && !self.has(Fault::MacUnchecked) {
            return None;
        }
        self.chain = chain;
        self.counter = self.counter.checked_add(1)?;
        let mut plain = Zeroizing::new(data.to_vec());
        if self.level.has_c_enc() && !plain.is_empty() {
            if plain.len() % BLOCK != 0 {
                return None;
            }
            self.session.enc.cbc_decrypt(&command_icv(&self.session.enc, self.counter), &mut plain);
            let length = unpad(&plain)?;
            plain[length..].zeroize();
            plain.truncate(length);
        }
        let mut clear = CommandApdu::new(clear_class(command.cla), command.ins, command.p1, command.p2)
            .with_data(std::mem::take(&mut *plain));
        if let Some(expected) = command.expected() {
            clear = clear.expecting(expected);
        }
        Some(clear)
    }

    fn wrap(&self, answer: ResponseApdu) -> ResponseApdu {
        let ResponseApdu { mut data, sw } = answer;
        if self.level.has_r_enc() && !data.is_empty() && !self.has(Fault::ResponseInClear) {
            pad(&mut data);
            self.session.enc.cbc_encrypt(&response_icv(&self.session.enc, self.counter), &mut data);
        }
        if self.has(Fault::RMacMissing) {
            return ResponseApdu::new(data, sw);
        }
        let covered = sw.to_bytes();
        let covered = if self.has(Fault::RMacWithoutStatus) { &[][..] } else { &covered };
        let full = mac(&self.session.rmac, &[&self.chain, &data, covered]);
        data.extend_from_slice(&full[..self.session.mode.bytes()]);
        ResponseApdu::new(data, sw)
    }
}

/// The class byte without its secure messaging bits.
const fn clear_class(cla: u8) -> u8 {
    if cla & 0x40 == 0 {
        cla & !CLA_SECURE_MASK
    } else {
        cla & !0x20
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(level: u8) -> (SecureChannel, SessionKeys, MacChain) {
        let keys = StaticKeys::same(&[0x40; 16]).unwrap();
        let host = Challenge::new(&[1; 8]).unwrap();
        let card_challenge = Challenge::new(&[2; 8]).unwrap();
        let opening = Opening {
            kvn: 0x30,
            keys: &keys,
            i: IParameter::new(0x60).unwrap(),
            diversification: [0; 10],
            card_challenge,
            counter: SequenceCounter::default(),
            least_level: SecurityLevel::NONE,
            faults: FaultSet::NONE,
        };
        let mut channel = SecureChannel::default();
        channel.initialize(&opening, &host);
        let session = SessionKeys::derive(&keys.enc, &keys.mac, &host, &card_challenge);
        let answer = cryptogram(&session.mac, Derivation::HostCryptogram, &host, &card_challenge);
        let mut data = answer.as_bytes().to_vec();
        let chain = mac(&session.mac.cipher(), &[&[0; 16], &[0x84, 0x82, level, 0, 0x10], &data]);
        data.extend_from_slice(&chain[..8]);
        channel.external_authenticate(&CommandApdu::new(0x84, 0x82, level, 0).with_data(data)).unwrap();
        (channel, session, chain)
    }

    #[test]
    fn level_00_authenticates_and_checks_nothing_afterwards() {
        let (mut channel, ..) = opened(0x00);
        assert_eq!(channel.level_bits(), AUTHENTICATED);
        let command = CommandApdu::new(0x80, 0xF2, 0x80, 2).with_data([0x4F, 0]);
        assert!(channel.unwrap(command.clone()).unwrap() == command);
    }

    #[test]
    fn an_aborted_session_stays_shut_until_it_is_ended() {
        let (mut channel, ..) = opened(0x01);
        let clear = CommandApdu::new(0x80, 0xCA, 0, 0x66);
        assert_eq!(channel.unwrap(clear.clone()), Err(StatusWord::SECURITY_NOT_SATISFIED));
        assert!(channel.is_aborted());
        assert_eq!(channel.level_bits(), 0);
        assert_eq!(channel.unwrap(clear.clone()), Err(StatusWord::SECURITY_NOT_SATISFIED));
        assert!(channel.decrypt_data(&[0; 16]).is_none());
        channel.end();
        assert!(channel.unwrap(clear).is_ok());
    }

    #[test]
    fn answer_limits_leave_room_for_mac_and_padding() {
        for (level, limit) in [(0x01, 256), (0x13, 248), (0x33, 239)] {
            let (channel, ..) = opened(level);
            assert_eq!(channel.plain_answer_limit(256), limit, "level {level:02X}");
            let wrapped = channel.wrap(ResponseApdu::new(vec![0; limit], StatusWord::SUCCESS));
            assert!(wrapped.data.len() <= 256);
        }
    }

    #[test]
    fn empty_data_may_come_as_a_block_of_padding() {
        // YubiKey tools encipher even an empty data field.
        let (mut channel, session, chain) = opened(0x03);
        let mut data = Vec::new();
        pad(&mut data);
        session.enc.cipher().cbc_encrypt(&command_icv(&session.enc.cipher(), 1), &mut data);
        let full = mac(&session.mac.cipher(), &[&chain, &[0x84, 0xF2, 0, 0, 24], &data]);
        data.extend_from_slice(&full[..8]);
        let plain = channel.unwrap(CommandApdu::new(0x84, 0xF2, 0, 0).with_data(data)).unwrap();
        assert!(plain.data().is_empty());
        assert_eq!(plain.cla, 0x80);
    }

    #[test]
    fn authentication_needs_the_class_of_secure_messaging() {
        let (mut channel, ..) = opened(0x01);
        let again = CommandApdu::new(0x84, 0x82, 1, 0).with_data([0; 16]);
        assert_eq!(channel.external_authenticate(&again), Err(AuthenticationError::NotInitialized));
        assert_eq!(channel.level(), None);
    }
}
