//! One logical channel of a recording.

use jpkise_card::{CommandApdu, ResponseApdu};
use jpkise_wire::scp03::{
    command_icv, cryptogram, response_icv, unpad, AesCipher, Challenge, Derivation, MacChain, MacKey,
    SecurityLevel, SessionKeys, BLOCK, INS_BEGIN_R_MAC_SESSION, INS_END_R_MAC_SESSION,
};
use jpkise_wire::{Aid, StatusWord};

use super::{Check, Finding};
use crate::channel::class_under_mac;
use crate::commands::initialize_update::InitializeUpdate;
use crate::commands::select::Fci;
use crate::keys::{KeySet, KeySource, KeySourceError};
use crate::scp03::check_challenge;

/// Instructions whose P1.b8 chains segments of one long command.
const CHAINED: [u8; 3] = [0xE4, 0xE6, 0xD8];
const P1_MORE: u8 = 0x80;
const INS_DELETE: u8 = 0xE4;
const P1_ALL_KEYS: u8 = 0xFF;

#[derive(Default)]
pub(super) struct Channel {
    aid: Option<Aid>,
    state: State,
    segments: Vec<u8>,
}

#[derive(Default)]
enum State {
    /// No session: a secured command cannot be verified.
    #[default]
    None,
    Initialized(Box<(SessionKeys, Challenge, Challenge)>),
    Open(Box<Session>),
}

struct Session {
    enc: AesCipher,
    mac: MacKey,
    rmac: MacKey,
    size: usize,
    level: SecurityLevel,
    chain: MacChain,
    counter: u128,
}

impl Channel {
    /// Nothing on this channel can be followed any more.
    pub(super) fn lose(&mut self) {
        self.state = State::None;
        self.segments.clear();
    }

    pub(super) fn select(&mut self, answer: Option<&ResponseApdu>) {
        let Some(answer) = answer.filter(|a| a.sw.is_success() || a.sw == StatusWord::CARD_LOCKED) else {
            return;
        };
        // Selecting ends the session (Card Specification 2.3.1 section 10.2.3).
        self.lose();
        self.aid = Fci::parse(&answer.data).ok().and_then(|fci| fci.aid);
    }

    pub(super) fn initialize_update(
        &mut self,
        command: &CommandApdu,
        answer: Option<&ResponseApdu>,
        keys: &dyn KeySource,
    ) -> Result<Finding, KeySourceError> {
        self.lose();
        let parsed = answer
            .filter(|a| a.sw.is_success())
            .and_then(|a| InitializeUpdate::parse(&a.data).ok())
            .zip(Challenge::new(command.data()));
        let Some((parsed, host)) = parsed.filter(|(p, h)| p.card_challenge.mode() == h.mode()) else {
            return Ok(Finding::NotInitialized);
        };
        let set = KeySet { kvn: parsed.key_information.kvn, kdd: parsed.kdd };
        let session_keys = keys.session_keys(&set, &host, &parsed.card_challenge)?;
        let expected =
            cryptogram(&session_keys.mac, Derivation::CardCryptogram, &host, &parsed.card_challenge);
        let good = expected == parsed.card_cryptogram;
        if good {
            self.state = State::Initialized(Box::new((session_keys, host, parsed.card_challenge)));
        }
        Ok(Finding::Initialized {
            set,
            i: parsed.key_information.raw_i,
            mode: host.mode(),
            cryptogram: check(good),
            challenge: check_challenge(keys, &set, &parsed, self.aid.as_ref()),
        })
    }

    pub(super) fn external_authenticate(
        &mut self,
        command: &CommandApdu,
        answer: Option<&ResponseApdu>,
    ) -> Finding {
        let state = std::mem::take(&mut self.state);
        let Ok(level) = SecurityLevel::try_from(command.p1) else { return Finding::Malformed };
        let accepted = answer.is_some_and(|a| a.sw.is_success());
        let State::Initialized(handshake) = state else {
            let open = Check::NotVerifiable;
            return Finding::Authenticated { level, cryptogram: open, c_mac: open, accepted };
        };
        let (keys, host, card) = *handshake;
        let size = host.mode().bytes();
        let Some((cryptogram_sent, tag)) =
            command.data().split_at_checked(size).filter(|(_, t)| t.len() == size)
        else {
            return Finding::Malformed;
        };
        let expected = cryptogram(&keys.mac, Derivation::HostCryptogram, &host, &card);
        let mac = MacKey::new(keys.mac.cipher());
        let Some(chain) = verify(&mac, &[0; BLOCK], command.header(), &[lc(command)], cryptogram_sent, tag)
        else {
            let cryptogram = check(expected.as_bytes() == cryptogram_sent);
            return Finding::Authenticated { level, cryptogram, c_mac: Check::Bad, accepted };
        };
        if accepted {
            let rmac = MacKey::new(keys.rmac.cipher());
            let enc = keys.enc.cipher();
            self.state = State::Open(Box::new(Session { enc, mac, rmac, size, level, chain, counter: 0 }));
        }
        let cryptogram = check(expected.as_bytes() == cryptogram_sent);
        Finding::Authenticated { level, cryptogram, c_mac: Check::Good, accepted }
    }

    pub(super) fn secured(&mut self, command: &CommandApdu, answer: Option<&ResponseApdu>) -> Finding {
        // P1 of DELETE is 00 or 80; the JPKI applet's DELETE FILE of all keys has FF there.
        let chains = CHAINED.contains(&command.ins) && [command.ins, command.p1] != [INS_DELETE, P1_ALL_KEYS];
        if chains && command.p1 & P1_MORE != 0 && answer.is_some_and(|a| a.sw.is_success()) {
            self.segments.extend_from_slice(command.data());
            return Finding::Piece;
        }
        let segments = std::mem::take(&mut self.segments);
        let State::Open(session) = &mut self.state else {
            return Finding::Secured {
                c_mac: Check::NotVerifiable,
                command: None,
                r_mac: None,
                response: None,
            };
        };
        let (c_mac, plain) = session.open_command(command, &segments);
        if c_mac == Check::Bad {
            self.lose();
            return Finding::Secured { c_mac, command: None, r_mac: None, response: None };
        }
        let (r_mac, response) = match answer {
            Some(answer) => session.open_response(answer),
            None => (session.level.has_r_mac().then_some(Check::NotVerifiable), None),
        };
        if let (Some(plain), true) = (&plain, answer.is_some_and(|a| a.sw.is_success())) {
            session.switch(plain);
        }
        Finding::Secured { c_mac, command: plain, r_mac, response }
    }
}

impl Session {
    /// Follows BEGIN and END R-MAC SESSION.
    fn switch(&mut self, plain: &CommandApdu) {
        let level = match plain.ins {
            INS_BEGIN_R_MAC_SESSION => self.level.value() | plain.p1,
            INS_END_R_MAC_SESSION => self.level.value() & SecurityLevel::L03.value(),
            _ => return,
        };
        self.level = SecurityLevel::try_from(level).unwrap_or(self.level);
    }

    fn open_command(&mut self, command: &CommandApdu, segments: &[u8]) -> (Check, Option<CommandApdu>) {
        let whole = [segments, command.data()].concat();
        let Some(length) = whole.len().checked_sub(self.size) else { return (Check::Bad, None) };
        let (field, tag) = whole.split_at(length);
        let extended = command.is_extended() || whole.len() > CommandApdu::SHORT_MAX;
        let lc16 = u16::try_from(whole.len()).unwrap_or(u16::MAX).to_be_bytes();
        let lc: &[u8] = if extended { &[0, lc16[0], lc16[1]] } else { &lc16[1..] };
        let Some(chain) = verify(&self.mac, &self.chain, command.header(), lc, field, tag) else {
            return (Check::Bad, None);
        };
        self.chain = chain;
        self.counter += 1;
        let mut data = field.to_vec();
        if self.level.has_c_enc() && !data.is_empty() {
            let Some(plain) = decipher(&self.enc, &command_icv(&self.enc, self.counter), data) else {
                return (Check::Good, None);
            };
            data = plain;
        }
        let class = class_under_mac(command.cla) & !0x04;
        let mut plain = CommandApdu::new(class, command.ins, command.p1, command.p2).with_data(data);
        if let Some(expected) = command.expected() {
            plain = plain.expecting(expected);
        }
        (Check::Good, Some(plain))
    }

    fn open_response(&self, answer: &ResponseApdu) -> (Option<Check>, Option<ResponseApdu>) {
        let ResponseApdu { data, sw } = answer;
        let sw = *sw;
        if !self.level.has_r_mac() {
            return (None, Some(answer.clone()));
        }
        // The rest of the answer is not in the recording.
        if sw.bytes_waiting().is_some() {
            return (Some(Check::NotVerifiable), None);
        }
        if !sw.is_protected() {
            // Data beside an error status was never the card's.
            let bare = data.is_empty();
            return (if bare { None } else { Some(Check::Bad) }, bare.then(|| sw.into()));
        }
        let Some(length) = data.len().checked_sub(self.size) else { return (Some(Check::Bad), None) };
        let (field, tag) = data.split_at(length);
        let full = self.rmac.mac(&[&self.chain, field, &sw.to_bytes()]);
        if &full[..self.size] != tag {
            return (Some(Check::Bad), None);
        }
        let mut data = field.to_vec();
        if self.level.has_r_enc() && !data.is_empty() {
            let Some(plain) = decipher(&self.enc, &response_icv(&self.enc, self.counter), data) else {
                return (Some(Check::Good), None);
            };
            data = plain;
        }
        (Some(Check::Good), Some(ResponseApdu::new(data, sw)))
    }
}

/// The full MAC when its beginning is `tag`. Hosts in the field put the class under the MAC with channel zero or as sent.
fn verify(
    key: &MacKey,
    chain: &MacChain,
    header: [u8; 4],
    lc: &[u8],
    field: &[u8],
    tag: &[u8],
) -> Option<MacChain> {
    [class_under_mac(header[0]), header[0]].into_iter().find_map(|class| {
        let full = key.mac(&[chain, &[class], &header[1..], lc, field]);
        full.starts_with(tag).then_some(full)
    })
}

fn decipher(key: &AesCipher, icv: &[u8; BLOCK], mut data: Vec<u8>) -> Option<Vec<u8>> {
    if data.len() % BLOCK != 0 {
        return None;
    }
    key.cbc_decrypt(icv, &mut data);
    let length = unpad(&data)?;
    data.truncate(length);
    Some(data)
}

fn check(good: bool) -> Check {
    if good {
        Check::Good
    } else {
        Check::Bad
    }
}

/// Lc of a short command.
fn lc(command: &CommandApdu) -> u8 {
    u8::try_from(command.data().len()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_p1_of_a_long_command_announces_a_segment() {
        let answer = ResponseApdu::from(StatusWord::SUCCESS);
        for (name, header, is_piece) in [
            ("DELETE, more segments", [0x84, 0xE4, 0x80, 0x00], true),
            ("DELETE", [0x84, 0xE4, 0x00, 0x80], false),
            // The JPKI applet's command for all keys, whose P1 has b8 set as well.
            ("DELETE FILE", [0x84, 0xE4, 0xFF, 0x00], false),
            ("PUT KEY, more segments", [0x84, 0xD8, 0xB0, 0x81], true),
            ("INSTALL, more segments", [0x84, 0xE6, 0x8C, 0x00], true),
        ] {
            let [cla, ins, p1, p2] = header;
            let command = CommandApdu::new(cla, ins, p1, p2).with_data([0; 8]);
            let finding = Channel::default().secured(&command, Some(&answer));
            assert_eq!(finding == Finding::Piece, is_piece, "{name}");
        }
    }
}
