//! The live side: a card, and a secure channel for each of its logical channels.

use std::collections::BTreeMap;
use std::rc::Rc;

use jpkise_card::card::CardError;
use jpkise_card::{CommandApdu, PlainCommand, ResponseApdu, Transport, TransportError};
use jpkise_gp::channel::LogicalChannel;
use jpkise_gp::commands::initialize_update::InitializeUpdate;
use jpkise_gp::keys::{KeySet, KeySource};
use jpkise_gp::scp03::{Policy, SecureMessaging};
use jpkise_gp::SecureRandom;
use jpkise_wire::scp03::{
    cryptogram, AesKey, Challenge, Derivation, SMode, SecurityLevel, SessionKeys, INS_BEGIN_R_MAC_SESSION,
    INS_END_R_MAC_SESSION,
};

use super::plan::Reason;
use super::ring::Ring;
use super::stage::Stage;
use crate::compare::exchange::is_secured;
use crate::run::line::authenticate;
use crate::simulator::StartError;
use crate::suite::model::OpenFault;

const P1_MORE: u8 = 0x80;

/// What came of sending.
pub enum Sent {
    /// An answer, in clear.
    Answer(ResponseApdu),
    /// An answer whose R-MAC or padding is wrong: its status word counts, and that.
    Forged(ResponseApdu),
    /// No answer.
    Mute,
    /// It could not be sent.
    Not(Reason),
}

#[derive(Default)]
enum Session {
    #[default]
    None,
    /// INITIALIZE UPDATE was answered by a card whose keys are none of those given.
    Strange,
    Handshake(Box<Handshake>),
    Open(Box<Open>),
}

struct Open {
    messaging: SecureMessaging,
    source: Rc<dyn KeySource>,
    set: KeySet,
}

struct Handshake {
    keys: SessionKeys,
    host: Challenge,
    card: Challenge,
    source: Rc<dyn KeySource>,
    set: KeySet,
}

/// A card that is spoken to as a recording was.
pub struct Live<'c> {
    stage: &'c mut dyn Stage,
    sessions: BTreeMap<LogicalChannel, Session>,
}

impl<'c> Live<'c> {
    /// On this stage.
    pub fn new(stage: &'c mut dyn Stage) -> Self {
        Self { stage, sessions: BTreeMap::new() }
    }

    /// Cold reset; the ATR.
    pub fn reset(&mut self) -> Result<Vec<u8>, CardError> {
        self.sessions.clear();
        self.stage.card().reset()
    }

    /// As [`Self::reset`], over the other interface; `None` where that cannot be chosen.
    pub fn turn_over(&mut self) -> Result<Option<Vec<u8>>, CardError> {
        Ok(if self.stage.turn_over() { Some(self.reset()?) } else { None })
    }

    /// A simulated card of that state in the place of this one; its ATR, or `None` where that cannot be done.
    pub fn put_in(&mut self, state: &str) -> Result<Option<Vec<u8>>, StartError> {
        self.sessions.clear();
        Ok(if self.stage.put_in(state)? { Some(self.stage.card().atr().to_vec()) } else { None })
    }

    fn session(&mut self, class: u8) -> &mut Session {
        self.sessions.entry(LogicalChannel::of(class)).or_default()
    }

    /// Bytes as they are. With `exactly`, 6Cxx is not followed by a repetition.
    pub fn bytes(&mut self, bytes: &[u8], exactly: bool) -> Result<Sent, CardError> {
        let class = bytes.first().copied().unwrap_or_default();
        let answer = match CommandApdu::parse(bytes) {
            Ok(command) if !exactly => self.stage.card().send(&command),
            _ => self
                .stage
                .card()
                .served()
                .transmit(bytes)
                .and_then(|answer| {
                    ResponseApdu::parse(&answer).map_err(|_| TransportError::Malformed(answer.len()))
                })
                .map_err(CardError::from),
        };
        let sent = received(answer)?;
        if let Sent::Answer(answer) = &sent {
            let [_, ins, p1] = [class, byte(bytes, 1), byte(bytes, 2)];
            let selects = ins == 0xA4 && p1 == 0x04 && answer.sw.is_success();
            // A secured class that was refused has ended the session (Amendment D 6.2.2).
            if selects || (is_secured(class) && !answer.sw.is_success()) {
                *self.session(class) = Session::None;
            }
        }
        Ok(sent)
    }

    /// A command made anew, in clear.
    pub fn clear(&mut self, command: &CommandApdu) -> Result<Sent, CardError> {
        received(self.stage.card().send(command))
    }

    /// INITIALIZE UPDATE with a challenge of this size.
    pub fn update(
        &mut self,
        header: [u8; 4],
        mode: SMode,
        ring: &Ring,
        rng: &mut dyn SecureRandom,
    ) -> Result<Sent, CardError> {
        let [cla, ins, p1, p2] = header;
        let mut challenge = vec![0; mode.bytes()];
        rng.fill_bytes(&mut challenge);
        let command = CommandApdu::new(cla, ins, p1, p2).with_data(challenge.clone()).expecting_all();
        let sent = received(self.stage.card().send(&command))?;
        let Sent::Answer(answer) = &sent else { return Ok(sent) };
        *self.session(cla) = if answer.sw.is_success() {
            let bytes = command.to_bytes().map_err(CardError::from)?;
            let keys = ring.fitting(&bytes, &answer.to_bytes());
            keys.and_then(|keys| handshake(keys, &challenge, answer))
                .map_or(Session::Strange, |handshake| Session::Handshake(Box::new(handshake)))
        } else {
            Session::None
        };
        Ok(sent)
    }

    /// EXTERNAL AUTHENTICATE for the handshake under way.
    pub fn authenticate(
        &mut self,
        class: u8,
        level: u8,
        fault: Option<OpenFault>,
    ) -> Result<Sent, CardError> {
        let session = std::mem::take(self.session(class));
        let Session::Handshake(handshake) = session else {
            let reason =
                if matches!(session, Session::Strange) { Reason::CardKeys } else { Reason::NoChannel };
            *self.session(class) = session;
            return Ok(Sent::Not(reason));
        };
        let Handshake { keys, host, card, source, set } = *handshake;
        let proof = cryptogram(&keys.mac, Derivation::HostCryptogram, &host, &card);
        let channel = LogicalChannel::of(class);
        let (command, chain) = authenticate(channel, level, proof.as_bytes(), &keys, fault);
        let sent = received(self.stage.card().send_secured(&command, None))?;
        let accepted = matches!(&sent, Sent::Answer(answer) if answer.sw.is_success());
        if let (true, Ok(level)) = (accepted, SecurityLevel::try_from(level)) {
            let messaging = SecureMessaging::new(&keys, chain, level, host.mode(), Policy::default());
            *self.session(class) = Session::Open(Box::new(Open { messaging, source, set }));
        }
        Ok(sent)
    }

    /// Key-DEK of the session that is open, where its source gives it.
    pub fn dek(&mut self, class: u8) -> Option<AesKey> {
        let Session::Open(open) = self.session(class) else { return None };
        Some(open.source.export(&open.set).ok()?.dek)
    }

    /// A command, wrapped for the open session; in segments where the recording has it so.
    pub fn wrapped(&mut self, command: &CommandApdu, in_segments: bool) -> Result<Sent, CardError> {
        let class = command.cla;
        let mut session = std::mem::take(self.session(class));
        let result = match &mut session {
            Session::Open(open) => self.through(&mut open.messaging, command, in_segments),
            Session::Strange => Ok(Sent::Not(Reason::CardKeys)),
            _ => Ok(Sent::Not(Reason::NoChannel)),
        };
        let closed = matches!(&session, Session::Open(open) if open.messaging.is_closed());
        if !closed {
            *self.session(class) = session;
        }
        result
    }

    fn through(
        &mut self,
        messaging: &mut SecureMessaging,
        command: &CommandApdu,
        in_segments: bool,
    ) -> Result<Sent, CardError> {
        let plain = PlainCommand {
            header: command.header(),
            data_length: command.data().len(),
            secret: command.secret(),
        };
        let Ok(wrapped) = messaging.wrap(command) else { return Ok(Sent::Not(Reason::NoChannel)) };
        let answer = if in_segments {
            self.segments(&wrapped, plain)
        } else {
            self.stage.card().send_secured(&wrapped, Some(plain))
        };
        let answer = match received(answer) {
            Ok(Sent::Answer(answer)) => answer,
            other => {
                // Whether the card has seen the command is not known, so neither is its chaining value.
                messaging.close();
                return other;
            }
        };
        let Ok(clear) = messaging.unwrap(&answer) else { return Ok(Sent::Forged(answer.sw.into())) };
        if clear.sw.is_success() {
            follow_level(messaging, command);
        }
        Ok(Sent::Answer(clear))
    }

    /// Segments of 255 bytes, all but the last marked by P1.b8 (Card Specification 2.3.1 section 11.1.5.1).
    fn segments(&mut self, wrapped: &CommandApdu, plain: PlainCommand) -> Result<ResponseApdu, CardError> {
        let count = wrapped.data().len().div_ceil(CommandApdu::SHORT_MAX).max(1);
        let mut last = None;
        for (index, data) in wrapped.data().chunks(CommandApdu::SHORT_MAX).enumerate() {
            let is_last = index + 1 == count;
            let p1 = if is_last { wrapped.p1 } else { wrapped.p1 | P1_MORE };
            let mut segment = CommandApdu::new(wrapped.cla, wrapped.ins, p1, wrapped.p2).with_data(data);
            if let (true, Some(_)) = (is_last, wrapped.expected()) {
                segment = segment.expecting_all();
            }
            let answer = self.stage.card().send_secured(&segment, Some(plain))?;
            if !is_last && !answer.sw.is_success() {
                return Ok(answer);
            }
            last = Some(answer);
        }
        Ok(last.unwrap_or_else(|| jpkise_wire::StatusWord::NO_DIAGNOSIS.into()))
    }
}

fn handshake(source: Rc<dyn KeySource>, challenge: &[u8], answer: &ResponseApdu) -> Option<Handshake> {
    let parsed = InitializeUpdate::parse(&answer.data).ok()?;
    let host = Challenge::new(challenge)?;
    let set = KeySet { kvn: parsed.key_information.kvn, kdd: parsed.kdd };
    let keys = source.session_keys(&set, &host, &parsed.card_challenge).ok()?;
    Some(Handshake { keys, host, card: parsed.card_challenge, source, set })
}

/// BEGIN and END R-MAC SESSION change what answers carry.
fn follow_level(messaging: &mut SecureMessaging, command: &CommandApdu) {
    let c_mac = messaging.level().value() & SecurityLevel::L03.value();
    let level = match command.ins {
        INS_BEGIN_R_MAC_SESSION => c_mac | command.p1,
        INS_END_R_MAC_SESSION => c_mac,
        _ => return,
    };
    if let Ok(level) = SecurityLevel::try_from(level) {
        messaging.set_level(level);
    }
}

fn byte(bytes: &[u8], index: usize) -> u8 {
    bytes.get(index).copied().unwrap_or_default()
}

/// A card that does not answer is a finding; a reader that is gone is the end.
fn received(answer: Result<ResponseApdu, CardError>) -> Result<Sent, CardError> {
    match answer {
        Ok(answer) => Ok(Sent::Answer(answer)),
        Err(
            error @ CardError::Transport(
                TransportError::NoReader(_)
                | TransportError::NoCard(_)
                | TransportError::NoService
                | TransportError::Removed,
            ),
        ) => Err(error),
        Err(_) => Ok(Sent::Mute),
    }
}
