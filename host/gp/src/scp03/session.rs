//! The channel as a typestate over a card.

use jpkise_card::{Card, CommandApdu, Expected, PlainCommand, ResponseApdu, Transport};
use jpkise_wire::scp03::{
    cryptogram, Challenge, Cryptogram, Derivation, IParameter, KeyLength, SMode, SecurityLevel,
    SequenceCounter, SessionKeys, BLOCK,
};
use jpkise_wire::{Aid, StatusWord};

use super::error::{CryptogramDiffers, HostRefused, RefusedBeforeKeys, ScpError};
use super::messaging::{Policy, SecureMessaging};
use crate::channel::LogicalChannel;
use crate::commands::external_authenticate::external_authenticate;
use crate::commands::initialize_update::{initialize_update, InitializeUpdate, KeyInformation};
use crate::commands::r_mac_session;
use crate::commands::select::{select, Fci};
use crate::keys::{KeySet, KeySource};
use crate::random::SecureRandom;

/// Instructions whose P1.b8 chains segments of one long command (section 11.1.5.1 of the Card Specification).
const CHAINED: [u8; 3] = [0xE4, 0xE6, 0xD8];
/// P1.b8: more segments follow.
const P1_MORE: u8 = 0x80;

/// An application is selected.
#[derive(Debug)]
pub struct Selected {
    aid: Option<Aid>,
    fci: Vec<u8>,
    sw: StatusWord,
}

/// INITIALIZE UPDATE was answered and the card cryptogram is right.
pub struct Initialized<'a> {
    selected: Selected,
    keys: &'a dyn KeySource,
    session_keys: SessionKeys,
    host_cryptogram: Cryptogram,
    card_challenge: Challenge,
    info: SessionInfo,
}

/// The channel is open.
pub struct Authenticated<'a> {
    selected: Selected,
    keys: &'a dyn KeySource,
    messaging: SecureMessaging,
    info: SessionInfo,
}

/// Whether the card challenge is the one pseudo-random mode prescribes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChallengeCheck {
    /// The card makes random challenges.
    Random,
    /// It fits counter and AID.
    Fits,
    /// It does not fit; some applications do not follow the rule, so this is a warning.
    Differs,
    /// The AID of the selected application is not known, or the key source cannot tell.
    NotChecked,
}

/// What is known of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionInfo {
    /// Key set in use.
    pub set: KeySet,
    /// Key version, i parameter.
    pub key_information: KeyInformation,
    /// Size of challenges, cryptograms, MACs.
    pub mode: SMode,
    /// Sequence counter of pseudo-random mode.
    pub sequence_counter: Option<SequenceCounter>,
    /// Pseudo-random card challenge.
    pub challenge: ChallengeCheck,
}

impl SessionInfo {
    /// The highest level the card offers: 33, 13 or 03.
    pub fn best_level(&self) -> SecurityLevel {
        best_level(self.key_information.i)
    }
}

/// The highest level of a card with this parameter: 33, 13 or 03.
pub fn best_level(i: IParameter) -> SecurityLevel {
    [SecurityLevel::L33, SecurityLevel::L13].into_iter().find(|l| i.offers(*l)).unwrap_or(SecurityLevel::L03)
}

/// A conversation with one application on one logical channel. `S` is how far it has come.
pub struct Session<'a, T, S> {
    card: &'a mut Card<T>,
    channel: LogicalChannel,
    policy: Policy,
    state: S,
}

impl<'a, T: Transport> Session<'a, T, Selected> {
    /// Selects `aid` on the basic channel, `None` for the issuer security domain.
    pub fn select(card: &'a mut Card<T>, aid: Option<&Aid>) -> Result<Self, ScpError> {
        Self::select_on(card, LogicalChannel::BASIC, aid)
    }

    /// Selects on a logical channel that is open.
    pub fn select_on(
        card: &'a mut Card<T>,
        channel: LogicalChannel,
        aid: Option<&Aid>,
    ) -> Result<Self, ScpError> {
        let mut command = select(aid.map_or(&[], |a| a.as_bytes()));
        command.cla = channel.class(command.cla);
        let answer = card.send(&command)?;
        // 6283: the card is locked, its issuer security domain is selected all the same (section 11.9.3.2).
        if !answer.sw.is_success() && answer.sw != StatusWord::CARD_LOCKED {
            return Err(ScpError::Select { aid: aid.copied(), sw: answer.sw });
        }
        let selected = Selected {
            aid: Fci::parse(&answer.data).ok().and_then(|fci| fci.aid),
            fci: answer.data,
            sw: answer.sw,
        };
        Ok(Self { card, channel, policy: Policy::default(), state: selected })
    }

    /// Takes over an application that is selected already, for example by an applet's own SELECT with P2 = 0C.
    pub fn at_selected(card: &'a mut Card<T>, channel: LogicalChannel, aid: Option<Aid>) -> Self {
        let state = Selected { aid, fci: Vec::new(), sw: StatusWord::SUCCESS };
        Self { card, channel, policy: Policy::default(), state }
    }

    /// Sets deviations a card is known for.
    #[must_use]
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// The file control information as the card sent it.
    pub fn fci(&self) -> &[u8] {
        &self.state.fci
    }

    /// The AID the card named in it.
    pub fn aid(&self) -> Option<&Aid> {
        self.state.aid.as_ref()
    }

    /// 9000, or 6283 when the card is locked.
    pub fn status(&self) -> StatusWord {
        self.state.sw
    }

    /// The card, for what goes beside the selected application: other channels, counters, its answer to reset.
    pub fn card(&mut self) -> &mut Card<T> {
        self.card
    }

    /// Sends a command in clear to the selected application.
    pub fn send_clear(&mut self, command: &CommandApdu) -> Result<ResponseApdu, ScpError> {
        send_clear(self.card, self.channel, command)
    }

    /// INITIALIZE UPDATE with key version `kvn` (00 for the domain's default), with 8-byte challenges first and 16-byte
    /// ones when the card asks for them by 6700. The card cryptogram is checked before this returns.
    pub fn initialize_update<'k>(
        self,
        keys: &'k dyn KeySource,
        kvn: u8,
        rng: &mut dyn SecureRandom,
    ) -> Result<Session<'a, T, Initialized<'k>>, ScpError> {
        let Self { card, channel, policy, state: selected } = self;
        let (mut host, mut answer) = request(card, channel, kvn, SMode::S8, rng)?;
        // How a card that knows only S16 answers an 8-byte challenge (Amendment D 1.2 section 7.1.1).
        if answer.sw == StatusWord::WRONG_LENGTH {
            (host, answer) = request(card, channel, kvn, SMode::S16, rng)?;
        }
        if !answer.sw.is_success() {
            return Err(RefusedBeforeKeys { kvn, sw: answer.sw }.into());
        }
        let parsed = InitializeUpdate::parse(&answer.data)?;
        if parsed.card_challenge.mode() != host.mode() {
            return Err(ScpError::MalformedInitializeUpdate { length: answer.data.len() });
        }
        let set = KeySet { kvn: parsed.key_information.kvn, kdd: parsed.kdd };
        let session_keys = keys.session_keys(&set, &host, &parsed.card_challenge)?;
        let expected =
            cryptogram(&session_keys.mac, Derivation::CardCryptogram, &host, &parsed.card_challenge);
        if expected != parsed.card_cryptogram {
            return Err(CryptogramDiffers { set }.into());
        }
        let info = SessionInfo {
            set,
            key_information: parsed.key_information,
            mode: host.mode(),
            sequence_counter: parsed.sequence_counter,
            challenge: check_challenge(keys, &set, &parsed, selected.aid.as_ref()),
        };
        let host_cryptogram =
            cryptogram(&session_keys.mac, Derivation::HostCryptogram, &host, &parsed.card_challenge);
        let card_challenge = parsed.card_challenge;
        let state = Initialized { selected, keys, session_keys, host_cryptogram, card_challenge, info };
        Ok(Session { card, channel, policy, state })
    }
}

impl<'a, 'k, T: Transport> Session<'a, T, Initialized<'k>> {
    /// What INITIALIZE UPDATE told.
    pub fn info(&self) -> &SessionInfo {
        &self.state.info
    }

    /// The card's challenge, for transcripts.
    pub fn card_challenge(&self) -> &Challenge {
        &self.state.card_challenge
    }

    /// The cryptogram EXTERNAL AUTHENTICATE will carry, for transcripts.
    pub fn host_cryptogram(&self) -> &Cryptogram {
        &self.state.host_cryptogram
    }

    /// EXTERNAL AUTHENTICATE at `level`; refused here when the card does not offer it.
    pub fn external_authenticate(
        self,
        level: SecurityLevel,
    ) -> Result<Session<'a, T, Authenticated<'k>>, ScpError> {
        let Self { card, channel, policy, state } = self;
        let Initialized { selected, keys, session_keys, host_cryptogram, info, .. } = state;
        let i = info.key_information.i;
        if !i.offers(level) {
            return Err(ScpError::LevelNotOffered { level, i });
        }
        let (command, chain) =
            external_authenticate(channel, level, &host_cryptogram, &session_keys, policy.mac_class);
        let answer = card.send(&command)?;
        if !answer.sw.is_success() {
            return Err(HostRefused { set: info.set, level, sw: answer.sw }.into());
        }
        let messaging = SecureMessaging::new(&session_keys, chain, level, info.mode, policy);
        Ok(Session { card, channel, policy, state: Authenticated { selected, keys, messaging, info } })
    }
}

impl<T: Transport> Session<'_, T, Authenticated<'_>> {
    /// What INITIALIZE UPDATE told.
    pub fn info(&self) -> &SessionInfo {
        &self.state.info
    }

    /// The session's security level.
    pub fn level(&self) -> SecurityLevel {
        self.state.messaging.level()
    }

    /// The AID of the selected application, where its SELECT named it.
    pub fn aid(&self) -> Option<&Aid> {
        self.state.selected.aid.as_ref()
    }

    /// Most plain data bytes of a short command in this session.
    pub fn max_data(&self) -> usize {
        self.state.messaging.max_data()
    }

    /// Whether an earlier fault has ended the channel.
    pub fn is_closed(&self) -> bool {
        self.state.messaging.is_closed()
    }

    /// `data`, whole blocks, enciphered under the Key-DEK of the set in use.
    pub fn encrypt_dek(&self, data: &[u8]) -> Result<Vec<u8>, ScpError> {
        Ok(self.state.keys.encrypt_dek(&self.state.info.set, data)?)
    }

    /// Length of the keys in use.
    pub fn key_length(&self) -> Result<KeyLength, ScpError> {
        Ok(self.state.keys.key_length(&self.state.info.set)?)
    }

    /// The card, for what goes beside the channel: other channels, counters.
    pub fn card(&mut self) -> &mut Card<T> {
        self.card
    }

    /// Sends a command under secure messaging; the answer comes back checked and in clear.
    ///
    /// The class byte is that of the basic channel without secure messaging. Status words other than 9000 come back in
    /// the answer; one outside 9000, 62xx, 63xx is not protected and proves nothing about the card. Any fault of
    /// transport or security closes the channel.
    pub fn send(&mut self, command: &CommandApdu) -> Result<ResponseApdu, ScpError> {
        let mut command = command.clone();
        command.cla = self.channel.class(command.cla);
        if !self.level().has_c_mac() {
            if self.is_closed() {
                return Err(ScpError::Closed);
            }
            return Ok(self.card.send(&command)?);
        }
        let answer = self.send_once(&command)?;
        match answer.sw.right_le() {
            // The card has counted the refused command, so it is wrapped anew. Only for a command that asked for data,
            // and only once: 6Cxx is unprotected, and one who forges it must not make us repeat more than a reading.
            Some(le) if command.expected().is_some() && command.data().is_empty() => {
                let again = command.expecting(Expected::from_short(le));
                self.send_once(&again)
            }
            _ => Ok(answer),
        }
    }

    fn send_once(&mut self, command: &CommandApdu) -> Result<ResponseApdu, ScpError> {
        let Authenticated { messaging, .. } = &mut self.state;
        let plain = PlainCommand {
            header: command.header(),
            data_length: command.data().len(),
            secret: command.secret(),
        };
        let splits = CHAINED.contains(&command.ins) && command.p1 & P1_MORE == 0;
        let fits = command.data().len() <= messaging.max_data() && !command.is_extended();
        if !fits && !splits && !self.card.capabilities().extended_length {
            return Err(ScpError::TooLong { length: command.data().len(), max: messaging.max_data() });
        }
        let wrapped = messaging.wrap(command)?;
        let result = if wrapped.is_extended() && !self.card.capabilities().extended_length {
            send_segments(self.card, &wrapped, plain)
        } else {
            self.card.send_secured(&wrapped, Some(plain)).map_err(ScpError::from)
        };
        match result {
            Ok(answer) => messaging.unwrap(&answer),
            Err(error) => {
                // Whether the card has seen the command is not known, so neither is its chaining value.
                messaging.close();
                Err(error)
            }
        }
    }

    /// BEGIN R-MAC SESSION: answers are protected from here on. For sessions opened at level 01 or 03.
    ///
    /// A status word other than 9000 comes back and leaves the level as it was.
    pub fn begin_r_mac(&mut self, r_encryption: bool) -> Result<ResponseApdu, ScpError> {
        let base = self.level().value();
        let added = SecurityLevel::R_MAC | if r_encryption { SecurityLevel::R_ENCRYPTION } else { 0 };
        let i = self.state.info.key_information.i;
        // R-ENCRYPTION without C-DECRYPTION is no level; neither is R-MAC without C-MAC.
        let level = match SecurityLevel::try_from(base | added) {
            Ok(level) if i.offers(level) && !self.level().has_r_mac() => level,
            _ => return Err(ScpError::LevelNotOffered { level: self.level(), i }),
        };
        let answer = self.switch(&r_mac_session::begin(r_encryption))?;
        if answer.sw.is_success() {
            self.state.messaging.set_level(level);
        }
        Ok(answer)
    }

    /// END R-MAC SESSION: the answer to it is the last one protected. For sessions in which [`Self::begin_r_mac`] was.
    pub fn end_r_mac(&mut self) -> Result<ResponseApdu, ScpError> {
        let answer = self.send(&r_mac_session::end())?;
        if answer.sw.is_success() {
            let base = self.level().value() & (SecurityLevel::C_MAC | SecurityLevel::C_DECRYPTION);
            let i = self.state.info.key_information.i;
            let level = SecurityLevel::try_from(base)
                .map_err(|_| ScpError::LevelNotOffered { level: self.level(), i })?;
            self.state.messaging.set_level(level);
        }
        Ok(answer)
    }

    fn switch(&mut self, command: &CommandApdu) -> Result<ResponseApdu, ScpError> {
        let mut command = command.clone();
        command.cla = self.channel.class(command.cla);
        let Authenticated { messaging, .. } = &mut self.state;
        let wrapped = messaging.wrap(&command)?;
        let plain =
            PlainCommand { header: command.header(), data_length: command.data().len(), secret: None };
        match self.card.send_secured(&wrapped, Some(plain)) {
            Ok(answer) => messaging.unwrap_switching(&answer),
            Err(error) => {
                messaging.close();
                Err(error.into())
            }
        }
    }

    /// Sends a command in clear beside the channel, as an applet may allow it. Chaining value and counter stay.
    pub fn send_clear(&mut self, command: &CommandApdu) -> Result<ResponseApdu, ScpError> {
        send_clear(self.card, self.channel, command)
    }

    /// The state of secure messaging, for transcripts.
    pub fn messaging(&self) -> &SecureMessaging {
        &self.state.messaging
    }
}

/// One INITIALIZE UPDATE with a fresh challenge.
fn request<T: Transport>(
    card: &mut Card<T>,
    channel: LogicalChannel,
    kvn: u8,
    mode: SMode,
    rng: &mut dyn SecureRandom,
) -> Result<(Challenge, ResponseApdu), ScpError> {
    let mut bytes = [0; BLOCK];
    let bytes = &mut bytes[..mode.bytes()];
    rng.fill_bytes(bytes);
    let challenge = Challenge::new(bytes).ok_or(ScpError::MalformedInitializeUpdate { length: 0 })?;
    let mut command = initialize_update(kvn, &challenge);
    command.cla = channel.class(command.cla);
    Ok((challenge, card.send(&command)?))
}

/// Whether a pseudo-random card challenge is the one counter and AID give.
pub(crate) fn check_challenge(
    keys: &dyn KeySource,
    set: &KeySet,
    parsed: &InitializeUpdate,
    aid: Option<&Aid>,
) -> ChallengeCheck {
    if !parsed.key_information.i.is_pseudo_random() {
        return ChallengeCheck::Random;
    }
    let (Some(counter), Some(aid)) = (parsed.sequence_counter, aid) else {
        return ChallengeCheck::NotChecked;
    };
    match keys.card_challenge(set, counter, aid, parsed.card_challenge.mode()) {
        Ok(challenge) if challenge == parsed.card_challenge => ChallengeCheck::Fits,
        Ok(_) => ChallengeCheck::Differs,
        Err(_) => ChallengeCheck::NotChecked,
    }
}

fn send_clear<T: Transport>(
    card: &mut Card<T>,
    channel: LogicalChannel,
    command: &CommandApdu,
) -> Result<ResponseApdu, ScpError> {
    let mut command = command.clone();
    command.cla = channel.class(command.cla);
    Ok(card.send(&command)?)
}

/// A wrapped command too long for a short APDU, in segments: security is on the whole, P1.b8 marks all but the last
/// segment, those answer a bare 9000 (GP Card Specification 2.3.1 section 11.1.5).
fn send_segments<T: Transport>(
    card: &mut Card<T>,
    wrapped: &CommandApdu,
    plain: PlainCommand,
) -> Result<ResponseApdu, ScpError> {
    let segments: Vec<&[u8]> = wrapped.data().chunks(CommandApdu::SHORT_MAX).collect();
    let Some((last, first)) = segments.split_last() else {
        return Ok(card.send_secured(wrapped, Some(plain))?);
    };
    let segment = |p1: u8, data: &[u8]| {
        let command = CommandApdu::new(wrapped.cla, wrapped.ins, p1, wrapped.p2).with_data(data);
        match wrapped.secret() {
            Some(secret) => command.hiding(secret),
            None => command,
        }
    };
    for (index, data) in first.iter().enumerate() {
        let answer = card.send_secured(&segment(wrapped.p1 | P1_MORE, data), Some(plain))?;
        if !answer.sw.is_success() || !answer.data.is_empty() {
            return Err(ScpError::Segment { index, sw: answer.sw });
        }
    }
    let mut command = segment(wrapped.p1, last);
    if wrapped.expected().is_some() {
        command = command.expecting_all();
    }
    Ok(card.send_secured(&command, Some(plain))?)
}
