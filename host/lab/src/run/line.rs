//! SCP03 as a suite drives it: step by step, and wrongly where the suite wants that.
//!
//! [`jpkise_gp::scp03::Session`] refuses to do what is wrong, and a session that met a fault is over; a test must go on.

use jpkise_card::{CardError, CommandApdu, PlainCommand, ResponseApdu};
use jpkise_gp::channel::LogicalChannel;
use jpkise_gp::commands::initialize_update::{initialize_update, InitializeUpdate};
use jpkise_gp::keys::{KeySet, KeySource, KeySourceError};
use jpkise_gp::scp03::{best_level, Policy, ScpError, SecureMessaging};
use jpkise_gp::SecureRandom;
use jpkise_wire::scp03::{
    cryptogram, Challenge, Derivation, MacKey, SMode, SecurityLevel, SessionKeys, BLOCK,
    INS_EXTERNAL_AUTHENTICATE,
};
use jpkise_wire::StatusWord;

use super::bench::LabCard;
use crate::suite::model::{LevelWanted, OpenFault, Via};

/// GlobalPlatform class in clear and with secure messaging.
const CLA_GP: u8 = 0x80;
const CLA_GP_SECURED: u8 = 0x84;

/// How to open.
pub struct OpenRequest<'a> {
    /// Keys.
    pub keys: &'a dyn KeySource,
    /// Key version asked for.
    pub kvn: u8,
    /// Level.
    pub level: LevelWanted,
    /// Host challenge; random when not given.
    pub challenge: Option<Vec<u8>>,
    /// Logical channel.
    pub channel: u8,
    /// Made wrong on purpose.
    pub fault: Option<OpenFault>,
}

/// What came of opening.
pub struct Opened {
    /// Answer to INITIALIZE UPDATE.
    pub initialize: ResponseApdu,
    /// Status word of the last command sent.
    pub sw: StatusWord,
    /// Whether the card cryptogram was right; `None` when there was none.
    pub cryptogram: Option<bool>,
    /// The line, if the card accepted.
    pub line: Option<Line>,
}

/// Why a line could not be driven.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// Reader, card or connection.
    #[error(transparent)]
    Card(#[from] CardError),
    /// The answer is none of the protocol, or its MAC is wrong.
    #[error(transparent)]
    Scp(#[from] ScpError),
    /// The keys cannot be used.
    #[error(transparent)]
    Keys(#[from] KeySourceError),
    /// A host challenge that is neither 8 nor 16 bytes.
    #[error("a host challenge has 8 or 16 bytes, not {0}")]
    Challenge(usize),
    /// Nothing was secured before that could be sent again.
    #[error("no secured command was sent before")]
    NothingSent,
    /// The answer holds more than the protocol allows.
    #[error("the command does not fit a short APDU once it is secured")]
    TooLong,
}

/// An open channel.
pub struct Line {
    messaging: SecureMessaging,
    set: KeySet,
    /// The last secured command as sent.
    last: Option<(CommandApdu, PlainCommand)>,
}

/// INITIALIZE UPDATE and EXTERNAL AUTHENTICATE with whatever is selected.
pub fn open(
    card: &mut LabCard,
    request: &OpenRequest<'_>,
    rng: &mut dyn SecureRandom,
) -> Result<Opened, LineError> {
    let channel = LogicalChannel::new(request.channel).unwrap_or(LogicalChannel::BASIC);
    let (host, initialize) = ask(card, request, channel, rng)?;
    let sw = initialize.sw;
    if !sw.is_success() {
        return Ok(Opened { initialize, sw, cryptogram: None, line: None });
    }
    let parsed = InitializeUpdate::parse(&initialize.data)?;
    let set = KeySet { kvn: parsed.key_information.kvn, kdd: parsed.kdd };
    if parsed.card_challenge.mode() != host.mode() {
        return Err(ScpError::MalformedInitializeUpdate { length: initialize.data.len() }.into());
    }
    let keys = request.keys.session_keys(&set, &host, &parsed.card_challenge)?;
    let card_cryptogram = cryptogram(&keys.mac, Derivation::CardCryptogram, &host, &parsed.card_challenge);
    let is_right = card_cryptogram == parsed.card_cryptogram;
    let mut opened = Opened { initialize, sw, cryptogram: Some(is_right), line: None };
    if request.fault == Some(OpenFault::NoAuthenticate) {
        return Ok(opened);
    }
    let level = match request.level {
        LevelWanted::Exactly(level) => level.value(),
        LevelWanted::Best => best_level(parsed.key_information.i).value(),
        LevelWanted::Byte(byte) => byte,
    };
    let host_cryptogram = cryptogram(&keys.mac, Derivation::HostCryptogram, &host, &parsed.card_challenge);
    let (command, chain) = authenticate(channel, level, host_cryptogram.as_bytes(), &keys, request.fault);
    let answer = card.send_secured(&command, None)?;
    opened.sw = answer.sw;
    if answer.sw.is_success() {
        if let Ok(level) = SecurityLevel::try_from(level) {
            let messaging = SecureMessaging::new(&keys, chain, level, host.mode(), Policy::default());
            opened.line = Some(Line { messaging, set, last: None });
        }
    }
    Ok(opened)
}

/// INITIALIZE UPDATE; with a challenge of our own choice once more in S16, where the card asks for that by 6700.
fn ask(
    card: &mut LabCard,
    request: &OpenRequest<'_>,
    channel: LogicalChannel,
    rng: &mut dyn SecureRandom,
) -> Result<(Challenge, ResponseApdu), LineError> {
    let mut send = |bytes: &[u8]| {
        let host = Challenge::new(bytes).ok_or(LineError::Challenge(bytes.len()))?;
        let mut command = initialize_update(request.kvn, &host);
        command.cla = channel.class(command.cla);
        Ok::<_, LineError>((host, card.send(&command)?))
    };
    if let Some(bytes) = &request.challenge {
        return send(bytes);
    }
    let mut bytes = [0; BLOCK];
    rng.fill_bytes(&mut bytes);
    let (host, answer) = send(&bytes[..SMode::S8.bytes()])?;
    if answer.sw == StatusWord::WRONG_LENGTH {
        return send(&bytes);
    }
    Ok((host, answer))
}

/// EXTERNAL AUTHENTICATE with any level byte, right or wrong (Amendment D 1.1.2 section 7.1.2).
pub(crate) fn authenticate(
    channel: LogicalChannel,
    level: u8,
    host_cryptogram: &[u8],
    keys: &SessionKeys,
    fault: Option<OpenFault>,
) -> (CommandApdu, [u8; BLOCK]) {
    let mut proof = host_cryptogram.to_vec();
    if let (Some(OpenFault::Cryptogram), Some(last)) = (fault, proof.last_mut()) {
        *last ^= 1;
    }
    // 16 or 32.
    let lc = u8::try_from(2 * proof.len()).unwrap_or(u8::MAX);
    let header = [CLA_GP_SECURED, INS_EXTERNAL_AUTHENTICATE, level, 0, lc];
    let chain = MacKey::new(keys.mac.cipher()).mac(&[&[0; BLOCK], &header, &proof]);
    let mut data = [proof.as_slice(), &chain[..proof.len()]].concat();
    if let (Some(OpenFault::Mac), Some(last)) = (fault, data.last_mut()) {
        *last ^= 1;
    }
    let class = if fault == Some(OpenFault::ClearClass) { CLA_GP } else { CLA_GP_SECURED };
    let command = CommandApdu::new(channel.class(class), INS_EXTERNAL_AUTHENTICATE, level, 0).with_data(data);
    (command, chain)
}

impl Line {
    /// Whole blocks under the Key-DEK of the set in use.
    pub fn dek(&self, keys: &dyn KeySource, clear: &[u8]) -> Option<Vec<u8>> {
        keys.encrypt_dek(&self.set, clear).ok()
    }

    /// Level of the channel.
    pub fn level(&self) -> SecurityLevel {
        self.messaging.level()
    }

    /// Most data of one command.
    pub fn max_data(&self) -> usize {
        self.messaging.max_data()
    }

    /// Sends a command the way `via` says; the answer comes back checked and in clear.
    pub fn send(
        &mut self,
        card: &mut LabCard,
        command: &CommandApdu,
        via: Via,
    ) -> Result<ResponseApdu, LineError> {
        let plain = PlainCommand {
            header: command.header(),
            data_length: command.data().len(),
            secret: command.secret(),
        };
        let (wrapped, plain) = if via == Via::Replay {
            self.last.clone().ok_or(LineError::NothingSent)?
        } else {
            let wrapped = self.messaging.wrap(command)?;
            (self.spoil(wrapped, via), plain)
        };
        let answer = card.send_secured(&wrapped, Some(plain))?;
        self.last = Some((wrapped, plain));
        Ok(self.messaging.unwrap(&answer)?)
    }

    fn spoil(&self, command: CommandApdu, via: Via) -> CommandApdu {
        let mut data = command.data().to_vec();
        let mac = self.messaging.mode().bytes();
        let end = data.len();
        match via {
            Via::WrongMac => {
                if let Some(last) = data.last_mut() {
                    *last ^= 1;
                }
            }
            // Without data there is only the MAC to turn over.
            Via::WrongData => {
                let at = end.checked_sub(mac + 1).unwrap_or(end.saturating_sub(1));
                if let Some(byte) = data.get_mut(at) {
                    *byte ^= 1;
                }
            }
            Via::ShortMac => data.truncate(end.saturating_sub(mac / 2)),
            _ => return command,
        }
        let secret = command.secret();
        let command = command.with_data(data);
        match secret {
            Some(secret) => command.hiding(secret),
            None => command,
        }
    }
}
