//! Whole sessions, run through [`Session`] over a transport that plays the recorded card.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use jpkise_card::{Capabilities, Card, CardError, CommandApdu, ResponseApdu, Transport, TransportError};
use jpkise_wire::scp03::{
    command_icv, response_icv, AesKey, Challenge, SecurityLevel, SessionKeys, StaticKeys,
    INS_INITIALIZE_UPDATE,
};
use jpkise_wire::Aid;
use rand::{CryptoRng, RngCore};
use serde::Deserialize;

use super::{byte, same, wrong, Bytes, Mismatch, Verdict};
use crate::channel::LogicalChannel;
use crate::keys::{KeySource, SoftwareKeys};
use crate::scp03::{Authenticated, ChallengeCheck, ScpError, SecurityFault, Selected, Session};

#[derive(Debug, Deserialize)]
struct Keys {
    enc: Bytes,
    mac: Bytes,
    dek: Bytes,
}

impl Keys {
    fn source(&self) -> Result<SoftwareKeys, Mismatch> {
        let key = |bytes: &[u8]| AesKey::new(bytes).map_err(|e| wrong("keys", &e));
        let keys = StaticKeys::new(key(&self.enc)?, key(&self.mac)?, key(&self.dek)?);
        Ok(keys.map_err(|e| wrong("keys", &e))?.into())
    }
}

#[derive(Debug, Deserialize)]
struct Exchange {
    command: Bytes,
    #[serde(default)]
    response: Option<Bytes>,
}

#[derive(Debug, Deserialize)]
struct Parsed {
    kdd: Bytes,
    kvn: Bytes,
    i: Bytes,
    card_challenge: Bytes,
    #[serde(default)]
    card_cryptogram: Option<Bytes>,
    #[serde(default)]
    sequence_counter: Option<Bytes>,
}

#[derive(Debug, Deserialize)]
struct Derived {
    s_enc: Bytes,
    s_mac: Bytes,
    s_rmac: Bytes,
    host_cryptogram: Bytes,
}

#[derive(Debug, Deserialize)]
struct Step {
    name: String,
    plain_command: Bytes,
    command: Bytes,
    response: Option<Bytes>,
    plain_response: Option<Bytes>,
    encryption_counter: Option<u64>,
    command_icv: Option<Bytes>,
    response_icv: Option<Bytes>,
    mac_chaining_value: Option<Bytes>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Transcript {
    s_mode: usize,
    keys: Keys,
    host_challenge: Option<Bytes>,
    initialize_update: Exchange,
    parsed: Option<Parsed>,
    pseudo_random_aid: Option<Bytes>,
    session: Option<Derived>,
    security_level: Bytes,
    external_authenticate: Option<Exchange>,
    mac_chaining_value_after_ea: Option<Bytes>,
    steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
struct Expect {
    fault: String,
    found_by: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Negative {
    target: String,
    expect: Expect,
    #[serde(flatten)]
    transcript: Transcript,
}

/// What the recorded card still has to say, and what was wrong with what it heard.
#[derive(Default)]
struct Tape {
    due: VecDeque<(Vec<u8>, Vec<u8>)>,
    wrong: Option<(Vec<u8>, Vec<u8>)>,
    beyond: usize,
}

/// A card that answers what was recorded, as long as it hears what was recorded.
#[derive(Clone, Default)]
struct Recorded(Rc<RefCell<Tape>>);

impl Recorded {
    fn expect(&self, command: &[u8], response: &[u8]) {
        self.0.borrow_mut().due.push_back((command.to_vec(), response.to_vec()));
    }

    /// Compares what was sent since the last call with what was recorded.
    fn check(&self, item: &str) -> Result<(), Mismatch> {
        let tape = self.0.borrow();
        if let Some((expected, found)) = &tape.wrong {
            return same(item, expected, found);
        }
        if tape.beyond > 0 {
            return Err(Mismatch::new(item, "no further command", tape.beyond));
        }
        if let Some((expected, _)) = tape.due.front() {
            return Err(Mismatch::new(item, hex::encode(expected), "nothing sent"));
        }
        Ok(())
    }
}

impl Transport for Recorded {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        let mut tape = self.0.borrow_mut();
        let Some((expected, response)) = tape.due.pop_front() else {
            tape.beyond += 1;
            return Err(TransportError::Removed);
        };
        if expected != command {
            tape.wrong = Some((expected, command.to_vec()));
            return Err(TransportError::Removed);
        }
        Ok(response)
    }
    fn reset(&mut self) -> Result<Vec<u8>, TransportError> {
        Ok(Vec::new())
    }
    fn atr(&self) -> &[u8] {
        &[]
    }
    fn name(&self) -> &'static str {
        "recorded"
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities { extended_length: true, ..Capabilities::default() }
    }
}

/// Gives the recorded host challenge.
struct RecordedRandom(VecDeque<u8>);

impl CryptoRng for RecordedRandom {}

impl RngCore for RecordedRandom {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_le_bytes(bytes)
    }
    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }
    fn fill_bytes(&mut self, dest: &mut [u8]) {
        for byte in dest {
            *byte = self.0.pop_front().unwrap_or_default();
        }
    }
    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), rand::Error> {
        self.fill_bytes(dest);
        Ok(())
    }
}

type Open<'a> = Session<'a, Recorded, Authenticated<'a>>;

impl Transcript {
    pub(super) fn run(&self) -> Result<Verdict, Mismatch> {
        let recorded = Recorded::default();
        let mut card = Card::new(recorded.clone());
        let keys = self.keys.source()?;
        let mut session = self.open(&mut card, &keys, &recorded)?;
        for step in &self.steps {
            step.run(&mut session, &recorded, self.session.as_ref())?;
        }
        Ok(Verdict::Passed)
    }

    fn initialize_command(&self) -> Result<CommandApdu, Mismatch> {
        let command = CommandApdu::parse(&self.initialize_update.command)
            .map_err(|e| wrong("initialize_update.command", &e))?;
        same("initialize_update.command", &[INS_INITIALIZE_UPDATE, 0], &[command.ins, command.p2])?;
        if command.data().len() != self.s_mode {
            return Err(Mismatch::new("s_mode", self.s_mode, command.data().len()));
        }
        Ok(command)
    }

    /// INITIALIZE UPDATE as the host sends it. A 16-byte challenge comes second, after the card refused one of 8.
    fn initialize<'a>(
        &self,
        card: &'a mut Card<Recorded>,
        keys: &'a SoftwareKeys,
        recorded: &Recorded,
    ) -> Result<Result<Session<'a, Recorded, crate::scp03::Initialized<'a>>, ScpError>, Mismatch> {
        let command = self.initialize_command()?;
        let response = self.initialize_update.response.as_deref().unwrap_or_default();
        let mut random = VecDeque::new();
        if self.s_mode == 16 {
            let short = command.clone().with_data([0; 8]);
            recorded.expect(&short.to_bytes().unwrap_or_default(), &[0x67, 0x00]);
            random.extend([0; 8]);
        }
        recorded.expect(&self.initialize_update.command, response);
        random.extend(command.data());
        let aid = match &self.pseudo_random_aid {
            Some(aid) => Some(Aid::new(aid).map_err(|e| wrong("pseudo_random_aid", &e))?),
            None => None,
        };
        let session = Session::<_, Selected>::at_selected(card, LogicalChannel::of(command.cla), aid);
        let result = session.initialize_update(keys, command.p1, &mut RecordedRandom(random));
        recorded.check("initialize_update.command")?;
        Ok(result)
    }

    fn open<'a>(
        &self,
        card: &'a mut Card<Recorded>,
        keys: &'a SoftwareKeys,
        recorded: &Recorded,
    ) -> Result<Open<'a>, Mismatch> {
        let session =
            self.initialize(card, keys, recorded)?.map_err(|e| wrong("initialize_update.response", &e))?;
        self.check_parsed(&session, keys)?;
        let Some(authenticate) = &self.external_authenticate else {
            return Err(Mismatch::new("external_authenticate", "a command", "none"));
        };
        recorded.expect(&authenticate.command, authenticate.response.as_deref().unwrap_or(&[0x90, 0x00]));
        let level = SecurityLevel::try_from(byte("security_level", &self.security_level)?)
            .map_err(|e| wrong("security_level", &e))?;
        let result = session.external_authenticate(level);
        recorded.check("external_authenticate.command")?;
        let session = result.map_err(|e| wrong("external_authenticate.response", &e))?;
        if let Some(chain) = &self.mac_chaining_value_after_ea {
            same("mac_chaining_value_after_ea", chain, session.messaging().chain())?;
        }
        Ok(session)
    }

    fn check_parsed(
        &self,
        session: &Session<'_, Recorded, crate::scp03::Initialized<'_>>,
        keys: &SoftwareKeys,
    ) -> Result<(), Mismatch> {
        let info = session.info();
        let command = self.initialize_command()?;
        if let Some(host) = &self.host_challenge {
            same("host_challenge", host, command.data())?;
        }
        let Some(parsed) = &self.parsed else { return Ok(()) };
        same("parsed.kdd", &parsed.kdd, &info.set.kdd)?;
        same("parsed.kvn", &parsed.kvn, &[info.set.kvn])?;
        same("parsed.i", &parsed.i, &[info.key_information.raw_i])?;
        same("parsed.card_challenge", &parsed.card_challenge, session.card_challenge().as_bytes())?;
        if let Some(cryptogram) = &parsed.card_cryptogram {
            // The session is initialized, so the cryptogram received is the one computed.
            let at = 13 + self.s_mode;
            let response = self.initialize_update.response.as_deref().unwrap_or_default();
            same(
                "parsed.card_cryptogram",
                cryptogram,
                response.get(at..at + self.s_mode).unwrap_or_default(),
            )?;
        }
        let counter = info.sequence_counter.map(|c| c.to_bytes().to_vec()).unwrap_or_default();
        same("parsed.sequence_counter", parsed.sequence_counter.as_deref().unwrap_or_default(), &counter)?;
        let expected = match (&self.pseudo_random_aid, info.key_information.i.is_pseudo_random()) {
            (_, false) => ChallengeCheck::Random,
            (Some(_), true) => ChallengeCheck::Fits,
            (None, true) => ChallengeCheck::NotChecked,
        };
        if info.challenge != expected {
            return Err(Mismatch::new(
                "pseudo_random_aid",
                format!("{expected:?}"),
                format!("{:?}", info.challenge),
            ));
        }
        if let Some(derived) = &self.session {
            let host = Challenge::new(command.data())
                .ok_or_else(|| Mismatch::new("host_challenge", "8 or 16 bytes", command.data().len()))?;
            let found = keys
                .session_keys(&info.set, &host, session.card_challenge())
                .map_err(|e| wrong("session", &e))?;
            derived.check(&found)?;
            same("session.host_cryptogram", &derived.host_cryptogram, session.host_cryptogram().as_bytes())?;
        }
        Ok(())
    }
}

impl Derived {
    fn check(&self, found: &SessionKeys) -> Result<(), Mismatch> {
        same("session.s_enc", &self.s_enc, found.enc.expose())?;
        same("session.s_mac", &self.s_mac, found.mac.expose())?;
        same("session.s_rmac", &self.s_rmac, found.rmac.expose())
    }
}

impl Step {
    fn plain(&self) -> Result<CommandApdu, Mismatch> {
        CommandApdu::parse(&self.plain_command).map_err(|e| wrong(&self.item("plain_command"), &e))
    }

    fn item(&self, field: &str) -> String {
        format!("step {:?}, {field}", self.name)
    }

    fn run(
        &self,
        session: &mut Open<'_>,
        recorded: &Recorded,
        derived: Option<&Derived>,
    ) -> Result<(), Mismatch> {
        // A step whose source gives no answer is answered by an error, which no level protects.
        let response = self.response.as_deref().unwrap_or(&[0x6F, 0x00]);
        recorded.expect(&self.command, response);
        let result = session.send(&self.plain()?);
        recorded.check(&self.item("command"))?;
        let answer: ResponseApdu = result.map_err(|e| wrong(&self.item("response"), &e))?;
        if let (Some(expected), Some(_)) = (&self.plain_response, &self.response) {
            same(&self.item("plain_response"), expected, &answer.to_bytes())?;
        }
        let messaging = session.messaging();
        // Without secure messaging there is no counter, whatever a vector's maker went on counting.
        let counter = self.encryption_counter.filter(|_| messaging.level().has_c_mac());
        if let Some(counter) = counter {
            if u128::from(counter) != messaging.counter() {
                return Err(Mismatch::new(self.item("encryption_counter"), counter, messaging.counter()));
            }
        }
        if let Some(chain) = &self.mac_chaining_value {
            same(&self.item("mac_chaining_value"), chain, messaging.chain())?;
        }
        let Some(derived) = derived else { return Ok(()) };
        let s_enc = AesKey::new(&derived.s_enc).map_err(|e| wrong("session.s_enc", &e))?.cipher();
        if let Some(icv) = &self.command_icv {
            same(&self.item("command_icv"), icv, &command_icv(&s_enc, messaging.counter()))?;
        }
        if let Some(icv) = &self.response_icv {
            same(&self.item("response_icv"), icv, &response_icv(&s_enc, messaging.counter()))?;
        }
        Ok(())
    }
}

impl Negative {
    pub(super) fn run(&self) -> Result<Verdict, Mismatch> {
        let recorded = Recorded::default();
        let mut card = Card::new(recorded.clone());
        let keys = self.transcript.keys.source()?;
        match self.target.as_str() {
            "initialize-update-response" => {
                let result = self.transcript.initialize(&mut card, &keys, &recorded)?;
                self.compare(result.err().as_ref())?;
                recorded.check("after the fault")?;
            }
            "external-authenticate" => {
                // What the host really sends is not the faulty command.
                let opened = self.transcript.open(&mut card, &keys, &recorded).err();
                self.differs("external_authenticate.command", opened)?;
            }
            "command" | "response" => {
                let mut session = self.transcript.open(&mut card, &keys, &recorded)?;
                let Some((faulty, good)) = self.transcript.steps.split_last() else {
                    return Err(Mismatch::new("steps", "at least one", 0));
                };
                for step in good {
                    step.run(&mut session, &recorded, None)?;
                }
                if self.target == "command" {
                    let result = faulty.run(&mut session, &recorded, None).err();
                    self.differs(&faulty.item("command"), result)?;
                } else {
                    self.fault(faulty, &mut session, &recorded)?;
                }
            }
            other => return Err(Mismatch::new("target", "a known target", other)),
        }
        let by_host = self.expect.found_by == "host";
        Ok(if by_host { Verdict::Passed } else { Verdict::OtherEnd })
    }

    fn fault(&self, step: &Step, session: &mut Open<'_>, recorded: &Recorded) -> Result<(), Mismatch> {
        recorded.expect(&step.command, step.response.as_deref().unwrap_or_default());
        let result = session.send(&step.plain()?);
        recorded.check(&step.item("command"))?;
        self.compare(result.err().as_ref())?;
        // The session is over: the same command again must not even be sent.
        match session.send(&step.plain()?) {
            Err(ScpError::Closed) => recorded.check("after the fault"),
            other => Err(Mismatch::new("after the fault", "a closed session", format!("{other:?}"))),
        }
    }

    fn compare(&self, error: Option<&ScpError>) -> Result<(), Mismatch> {
        let found = match error {
            None => "none",
            Some(ScpError::Cryptogram(_)) => "card-cryptogram",
            Some(
                ScpError::MalformedInitializeUpdate { .. }
                | ScpError::Card(CardError::Transport(TransportError::Malformed(_))),
            ) => "truncated",
            Some(ScpError::Fault(SecurityFault::RMac)) => "r-mac",
            Some(ScpError::Fault(SecurityFault::RMacMissing)) => "r-mac-missing",
            Some(ScpError::Fault(SecurityFault::DataWithErrorStatus)) => "data-with-error-sw",
            Some(ScpError::Fault(SecurityFault::Padding)) => "padding",
            Some(_) => "another error",
        };
        if found == self.expect.fault {
            Ok(())
        } else {
            Err(Mismatch::new("fault", &self.expect.fault, found))
        }
    }

    /// A faulty command is one that the host would not send: the first difference must be that command.
    fn differs(&self, item: &str, result: Option<Mismatch>) -> Result<(), Mismatch> {
        match result {
            Some(mismatch) if mismatch.item == item => Ok(()),
            Some(other) => Err(other),
            None => {
                Err(Mismatch::new(item, format!("a faulty command ({})", self.expect.fault), "the true one"))
            }
        }
    }
}
