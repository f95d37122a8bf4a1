//! The steps of a case, one after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use jpkise_card::{CardError, CommandApdu, Expected, ResponseApdu, Transport, TransportError};
use jpkise_gp::channel::LogicalChannel;
use jpkise_gp::keys::{KeySource, SoftwareKeys};
use jpkise_gp::SecureRandom;
use jpkise_wire::scp03::{AesKey, StaticKeys};
use jpkise_wire::tlv::{Tag, Tlv};
use jpkise_wire::StatusWord;
use rand::RngCore;
use rand_chacha::ChaCha20Rng;

use super::bench::{Bench, BenchError, Values};
use super::limit::{milliseconds, CaseTime, TIME_OF_THE_CASE};
use super::line::{self, Line, LineError, OpenRequest};
use super::outcome::{Figure, Mismatch, Verdict};
use crate::suite::model::{Action, Command, Expectation, Open, Place, Step, Suite, TagPath, Via};
use crate::suite::{ByteExpression, EvalError, Pattern, PatternMismatch, Resolve};

/// SELECT by name, which ends the session on its logical channel (GP Card Specification 2.3.1 section 10.2.3).
const INS_SELECT: u8 = 0xA4;
const P1_BY_NAME: u8 = 0x04;

/// Longest way of preparations within preparations.
const MAX_DEPTH: usize = 16;

/// Why a step did not come out.
#[derive(Debug)]
pub enum StepError {
    /// The card did otherwise than it must.
    Differs(Vec<Mismatch>),
    /// It cannot be judged.
    Broken(String),
    /// The card or the way to it is gone, or it gave no answer.
    Lost(CardError),
}

impl From<EvalError> for StepError {
    fn from(error: EvalError) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<CardError> for StepError {
    fn from(error: CardError) -> Self {
        Self::Lost(error)
    }
}

impl From<LineError> for StepError {
    fn from(error: LineError) -> Self {
        use jpkise_gp::scp03::ScpError;
        match error {
            LineError::Card(error) | LineError::Scp(ScpError::Card(error)) => Self::Lost(error),
            // A wrong MAC, or data behind an error: the card's fault, not ours.
            LineError::Scp(error @ (ScpError::Fault(_) | ScpError::MalformedInitializeUpdate { .. })) => {
                Self::Differs(vec![Mismatch::new("secure messaging", "a protected answer", error)])
            }
            other => Self::Broken(other.to_string()),
        }
    }
}

impl From<BenchError> for StepError {
    fn from(error: BenchError) -> Self {
        match error {
            BenchError::Card(error) => Self::Lost(error),
            other => Self::Broken(other.to_string()),
        }
    }
}

/// What a case knows while it runs.
pub struct Play<'p> {
    suite: &'p Suite,
    bench: &'p mut dyn Bench,
    values: Values,
    keys: BTreeMap<String, Rc<dyn KeySource>>,
    /// Secure channels by logical channel, with their keys.
    lines: BTreeMap<u8, (Line, Rc<dyn KeySource>)>,
    /// Logical channels whose secure channel a SELECT or a reset has ended: used only where a step says `secured`.
    ended: BTreeSet<u8>,
    /// The logical channel of the line used last, for `dek(…)`.
    current: u8,
    rng: &'p mut ChaCha20Rng,
    figures: &'p mut BTreeMap<String, Figure>,
}

/// Values, chance and keys for expressions.
struct Scope<'s> {
    values: &'s Values,
    rng: &'s mut ChaCha20Rng,
    line: Option<&'s (Line, Rc<dyn KeySource>)>,
}

impl Resolve for Scope<'_> {
    fn value(&self, name: &str) -> Option<Vec<u8>> {
        self.values.get(name).cloned()
    }
    fn random(&mut self, out: &mut [u8]) {
        self.rng.fill_bytes(out);
    }
    fn dek(&mut self, clear: &[u8]) -> Option<Vec<u8>> {
        let (line, keys) = self.line?;
        line.dek(keys.as_ref(), clear)
    }
}

impl<'p> Play<'p> {
    /// For one case; `values` are those of the card's state.
    pub fn new(
        suite: &'p Suite,
        bench: &'p mut dyn Bench,
        values: Values,
        rng: &'p mut ChaCha20Rng,
        figures: &'p mut BTreeMap<String, Figure>,
    ) -> Result<Self, StepError> {
        let mut play = Self {
            suite,
            bench,
            values,
            keys: BTreeMap::new(),
            lines: BTreeMap::new(),
            ended: BTreeSet::new(),
            current: 0,
            rng,
            figures,
        };
        for (name, expression) in &suite.values {
            // One that rests on a state not asked for stays without a value; who uses it hears so.
            if let Ok(value) = play.evaluate(expression) {
                play.values.insert(name.clone(), value);
            }
        }
        for (name, set) in &suite.keys {
            let key = |play: &mut Self, expression| -> Result<AesKey, StepError> {
                let bytes = play.evaluate(expression)?;
                AesKey::new(&bytes).map_err(|e| StepError::Broken(format!("keys.{name}: {e}")))
            };
            let (enc, mac, dek) =
                (key(&mut play, &set.enc)?, key(&mut play, &set.mac)?, key(&mut play, &set.dek)?);
            let keys = StaticKeys::new(enc, mac, dek).map_err(|e| StepError::Broken(e.to_string()))?;
            play.keys.insert(name.clone(), Rc::new(SoftwareKeys::new(keys)));
        }
        Ok(play)
    }

    /// Preparations, then the steps, which together may take as long as `limit`; the first that does not come out ends
    /// it.
    pub fn run(&mut self, preparations: &[String], steps: &[Step], limit: Option<Duration>) -> Verdict {
        for name in preparations {
            if let Err((line, error)) = self.prepare(name, 0) {
                return broken_preparation(name, line, &error);
            }
        }
        let time = CaseTime::start(limit);
        if limit.is_some() {
            self.bench.card().transport_mut().set_deadline(time.deadline());
        }
        let verdict = self.run_steps(steps, &time);
        if limit.is_some() {
            self.bench.card().transport_mut().set_deadline(None);
        }
        verdict
    }

    fn run_steps(&mut self, steps: &[Step], time: &CaseTime) -> Verdict {
        for (index, step) in steps.iter().enumerate() {
            let result = self.step(step, 0);
            let number = index + 1;
            let took = time.ran_out();
            let mut mismatches = match result {
                Ok(()) => Vec::new(),
                Err(StepError::Differs(mismatches)) => mismatches,
                Err(StepError::Broken(reason)) => {
                    return Verdict::Broken { why: format!("line {}: {}: {reason}", step.line, doing(step)) };
                }
                // Cut off by the case's own limit: that is what there is to say.
                Err(StepError::Lost(CardError::Transport(TransportError::Timeout(_)))) if took.is_some() => {
                    let step = format!("step {number} (line {}), no answer", step.line);
                    took.iter().map(|took| took.mismatch(&step)).collect()
                }
                // No answer where one was due is the card's failure.
                Err(StepError::Lost(error)) => vec![Mismatch::new("answer", "an answer", error)],
            };
            if let Some(took) = took.filter(|_| mismatches.iter().all(|m| m.place != TIME_OF_THE_CASE)) {
                mismatches.push(took.mismatch(&format!("step {number} (line {})", step.line)));
            }
            if !mismatches.is_empty() {
                return Verdict::Failed { step: number, line: step.line, doing: doing(step), mismatches };
            }
        }
        Verdict::Passed
    }

    fn prepare(&mut self, name: &str, depth: usize) -> Result<(), (usize, StepError)> {
        let suite = self.suite;
        let Some(preparation) = suite.preparations.get(name).filter(|_| depth < MAX_DEPTH) else {
            return Err((0, StepError::Broken(format!("no preparation {name}"))));
        };
        for before in &preparation.after {
            self.prepare(before, depth + 1)?;
        }
        for step in &preparation.steps {
            self.step(step, depth + 1).map_err(|error| (step.line, error))?;
        }
        Ok(())
    }

    fn evaluate(&mut self, expression: &ByteExpression) -> Result<Vec<u8>, EvalError> {
        expression.evaluate(&mut self.scope())
    }

    fn scope(&mut self) -> Scope<'_> {
        let line = self.lines.get(&self.current);
        Scope { values: &self.values, rng: self.rng, line }
    }

    fn step(&mut self, step: &Step, depth: usize) -> Result<(), StepError> {
        let before = self.bench.tape().count();
        let result = self.act(step, depth)?;
        let micros = self.bench.tape().last_us();
        let sent = self.bench.tape().count() > before;
        if let (Some(name), true) = (&step.measure, sent) {
            let figure = self.figures.entry(name.clone()).or_default();
            "ms".clone_into(&mut figure.unit);
            #[allow(clippy::cast_precision_loss)]
            figure.values.push(micros as f64 / 1000.0);
        }
        let mut mismatches = Vec::new();
        if let Some((answer, command)) = &result {
            let opens = matches!(step.action, Action::Open(_));
            self.judge(&step.expect, answer, opens, &mut mismatches)?;
            if mismatches.is_empty() {
                for (name, place) in &step.keep {
                    let value = self.find(place, &step.expect, answer, command)?;
                    self.values.insert(name.clone(), value);
                }
            }
            let took = Duration::from_micros(micros);
            if let Some(within) = step.expect.within.filter(|within| sent && took > *within) {
                let (most, took) = (milliseconds(within), milliseconds(took));
                mismatches.push(Mismatch::new("time to the answer", format!("at most {most}"), took));
            }
        }
        if mismatches.is_empty() {
            for check in &step.expect.checks {
                match check.verify(&mut self.scope()) {
                    Ok(()) => {}
                    Err(crate::suite::CheckFailed::Value(error)) => return Err(error.into()),
                    Err(crate::suite::CheckFailed::NotSo { differences, .. }) => mismatches
                        .extend(differences.iter().map(|d| Mismatch::new(&d.place, &d.expected, &d.found))),
                }
            }
        }
        if mismatches.is_empty() {
            Ok(())
        } else {
            Err(StepError::Differs(mismatches))
        }
    }

    /// Does what the step says; the answer and the command as it went out, if there was an exchange.
    fn act(&mut self, step: &Step, depth: usize) -> Result<Option<(ResponseApdu, Vec<u8>)>, StepError> {
        match &step.action {
            Action::Send(command) => self.send(command).map(Some),
            Action::Raw(expression) => {
                let bytes = self.evaluate(expression)?;
                Ok(Some((self.raw(&bytes)?, bytes)))
            }
            Action::Open(open) => {
                let (answer, sw) = self.open(open)?;
                // Judged as one answer: the data of INITIALIZE UPDATE, the last status word.
                Ok(Some((ResponseApdu::new(answer.data, sw), Vec::new())))
            }
            Action::Forget { channel } => {
                self.lines.remove(channel);
                Ok(None)
            }
            Action::Reset => {
                self.ended.extend(self.lines.keys());
                self.bench.card().reset()?;
                Ok(None)
            }
            Action::Interface { contactless } => {
                if self.bench.set_contactless(*contactless) {
                    Ok(None)
                } else {
                    Err(StepError::Broken("the interface of this target cannot be chosen".to_owned()))
                }
            }
            Action::Let(values) => {
                for (name, expression) in values {
                    let value = self.evaluate(expression)?;
                    self.values.insert(name.clone(), value);
                }
                Ok(None)
            }
            Action::Use(name) => {
                self.prepare(name, depth + 1).map_err(|(_, error)| error)?;
                Ok(None)
            }
        }
    }

    /// Bytes that may be no command: past everything that reads commands, to the card.
    fn raw(&mut self, bytes: &[u8]) -> Result<ResponseApdu, StepError> {
        let answer = self.bench.card().served().transmit(bytes).map_err(CardError::from)?;
        ResponseApdu::parse(&answer)
            .map_err(|_| StepError::Lost(TransportError::Malformed(answer.len()).into()))
    }

    fn send(&mut self, command: &Command) -> Result<(ResponseApdu, Vec<u8>), StepError> {
        let apdu = self.command(command)?;
        let channel = command.channel;
        let secured = match command.via {
            Via::Auto => self.lines.contains_key(&channel) && !self.ended.contains(&channel),
            Via::Clear | Via::ClassOnly => false,
            _ => true,
        };
        if !secured {
            let mut apdu = apdu;
            if command.via == Via::ClassOnly {
                apdu.cla |= 0x04;
            }
            let bytes = apdu.to_bytes().map(|b| b.to_vec()).unwrap_or_default();
            let answer = self.bench.card().send(&apdu)?;
            let selects = apdu.ins == INS_SELECT && apdu.p1 == P1_BY_NAME && apdu.cla & 0x80 == 0;
            if selects && matches!(answer.sw, StatusWord::SUCCESS | StatusWord::CARD_LOCKED) {
                self.ended.insert(channel);
            }
            return Ok((answer, bytes));
        }
        let Some((line, _)) = self.lines.get_mut(&channel) else {
            return Err(StepError::Broken(format!("no secure channel is open on channel {channel}")));
        };
        self.current = channel;
        let answer = line.send(self.bench.card(), &apdu, command.via)?;
        let bytes = apdu.to_bytes().map(|b| b.to_vec()).unwrap_or_default();
        Ok((answer, bytes))
    }

    fn command(&mut self, command: &Command) -> Result<CommandApdu, StepError> {
        let byte = |this: &mut Self, expression: &ByteExpression, what: &str| match this
            .evaluate(expression)?
            .as_slice()
        {
            [byte] => Ok(*byte),
            other => Err(StepError::Broken(format!("{what} has {} bytes", other.len()))),
        };
        let cla = byte(self, &command.cla, "cla")?;
        let ins = byte(self, &command.ins, "ins")?;
        let p1 = byte(self, &command.p1, "p1")?;
        let p2 = byte(self, &command.p2, "p2")?;
        let channel = LogicalChannel::new(command.channel).unwrap_or(LogicalChannel::BASIC);
        let data = self.evaluate(&command.data)?;
        let mut apdu = CommandApdu::new(channel.class(cla), ins, p1, p2).with_data(data);
        if let Some(le) = &command.le {
            let expected = match self.evaluate(le)?.as_slice() {
                [le] => Expected::from_short(*le),
                [0, 0] => Expected::ALL_EXTENDED,
                [hi, lo] => {
                    Expected::new(u16::from_be_bytes([*hi, *lo]).into()).unwrap_or(Expected::ALL_EXTENDED)
                }
                other => return Err(StepError::Broken(format!("le has {} bytes", other.len()))),
            };
            apdu = apdu.expecting(expected);
        }
        if command.extended {
            apdu = apdu.in_extended_form();
        }
        if let Some(secret) = command.secret {
            apdu = apdu.hiding(secret);
        }
        Ok(apdu)
    }

    fn open(&mut self, open: &Open) -> Result<(ResponseApdu, StatusWord), StepError> {
        let kvn = match self.evaluate(&open.kvn)?.as_slice() {
            [kvn] => *kvn,
            other => return Err(StepError::Broken(format!("kvn has {} bytes", other.len()))),
        };
        let challenge = open.challenge.as_ref().map(|c| self.evaluate(c)).transpose()?;
        self.lines.remove(&open.channel);
        let keys = self.keys.get(&open.keys).cloned().or_else(|| self.bench.keys(&open.keys));
        let keys = keys.ok_or_else(|| StepError::Broken(format!("no keys {}", open.keys)))?;
        let request = OpenRequest {
            keys: keys.as_ref(),
            kvn,
            level: open.level,
            challenge,
            channel: open.channel,
            fault: open.fault,
        };
        let rng: &mut dyn SecureRandom = self.rng;
        let opened = line::open(self.bench.card(), &request, rng)?;
        if opened.cryptogram == Some(false) && opened.sw.is_success() {
            let differs = Mismatch::new("card cryptogram", "the one these keys give", "another");
            return Err(StepError::Differs(vec![differs]));
        }
        if let Some(line) = opened.line {
            self.lines.insert(open.channel, (line, keys));
            self.ended.remove(&open.channel);
            self.current = open.channel;
        }
        Ok((opened.initialize, opened.sw))
    }

    fn judge(
        &mut self,
        expect: &Expectation,
        answer: &ResponseApdu,
        opens: bool,
        out: &mut Vec<Mismatch>,
    ) -> Result<(), StepError> {
        if !expect.sw.matches(answer.sw) {
            let meaning = answer.sw.standard_text().map(|t| format!(" ({t})")).unwrap_or_default();
            out.push(Mismatch::new("status word", &expect.sw, format!("{}{meaning}", answer.sw)));
            // What stands in an answer of another kind says nothing.
            return Ok(());
        }
        let data = &answer.data;
        // Of SCP03 the data is INITIALIZE UPDATE's and the status word EXTERNAL AUTHENTICATE's.
        let says_data = expect.data.is_some() || expect.length.is_some() || opens;
        if !answer.sw.is_protected() && !says_data && !data.is_empty() {
            out.push(Mismatch::new("data behind an error", "none", hex::encode_upper(data)));
        }
        if let Some(lengths) = &expect.length {
            if !lengths.0.contains(&data.len()) {
                out.push(Mismatch::new("length of the data", lengths, data.len()));
            }
        }
        if let Some(pattern) = &expect.data {
            self.hold("data", pattern, data, out)?;
        }
        if let Some(layout) = expect.layout.as_ref().and_then(|name| self.suite.layouts.get(name)) {
            if let Some(length) = layout.length().filter(|l| *l != data.len()) {
                out.push(Mismatch::new("length of the data", length, data.len()));
            }
            for (name, pattern) in &expect.fields {
                let part = layout.part(name, data.len()).and_then(|(from, to)| data.get(from..to));
                match part {
                    Some(part) => self.hold(&format!("field {name}"), pattern, part, out)?,
                    None => out.push(Mismatch::new(format!("field {name}"), self.shown(pattern), "nothing")),
                }
            }
        }
        for (path, pattern) in &expect.objects {
            match (object(data, path), pattern) {
                (Some(value), Some(pattern)) => self.hold(&path.to_string(), pattern, &value, out)?,
                (None, Some(pattern)) => out.push(Mismatch::new(path, self.shown(pattern), "no such object")),
                (Some(value), None) => out.push(Mismatch::new(path, "absent", hex::encode_upper(value))),
                (None, None) => {}
            }
        }
        Ok(())
    }

    /// A pattern with its values, as far as they are known.
    fn shown(&mut self, pattern: &Pattern) -> String {
        abridged(&pattern.shown(&mut self.scope()).unwrap_or_else(|_| pattern.to_string()))
    }

    fn hold(
        &mut self,
        place: &str,
        pattern: &Pattern,
        bytes: &[u8],
        out: &mut Vec<Mismatch>,
    ) -> Result<(), StepError> {
        match pattern.matches(bytes, &mut self.scope()) {
            Ok(kept) => self.values.extend(kept),
            Err(PatternMismatch::Value(error)) => return Err(error.into()),
            Err(PatternMismatch::Length { expected, found }) => {
                out.push(Mismatch::new(format!("{place}, length"), expected, found));
            }
            Err(PatternMismatch::Bytes { offset, expected, found }) => {
                let place = if offset == 0 { place.to_owned() } else { format!("{place}, at byte {offset}") };
                out.push(Mismatch::new(place, abridged(&expected), abridged(&found)));
            }
        }
        Ok(())
    }

    fn find(
        &self,
        place: &Place,
        expect: &Expectation,
        answer: &ResponseApdu,
        command: &[u8],
    ) -> Result<Vec<u8>, StepError> {
        let data = &answer.data;
        let missing = || StepError::Broken(format!("{place:?} is not in the answer"));
        match place {
            Place::Data { from, to } => {
                data.get(*from..to.unwrap_or(data.len())).map(<[u8]>::to_vec).ok_or_else(missing)
            }
            Place::Object(path) => object(data, path).ok_or_else(missing),
            Place::Field(name) => {
                let layout = expect.layout.as_ref().and_then(|l| self.suite.layouts.get(l));
                let part = layout.and_then(|l| l.part(name, data.len()));
                part.and_then(|(from, to)| data.get(from..to)).map(<[u8]>::to_vec).ok_or_else(missing)
            }
            Place::StatusWord => Ok(answer.sw.to_bytes().to_vec()),
            Place::Command => Ok(command.to_vec()),
        }
    }
}

fn broken_preparation(name: &str, line: usize, error: &StepError) -> Verdict {
    let why = match error {
        StepError::Differs(mismatches) => {
            mismatches.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        }
        StepError::Broken(reason) => reason.clone(),
        StepError::Lost(error) => error.to_string(),
    };
    Verdict::Broken { why: format!("{name}, line {line}: {why}") }
}

/// What a step does, in a few words.
fn doing(step: &Step) -> String {
    if let Some(note) = &step.note {
        return note.clone();
    }
    match &step.action {
        Action::Send(command) if !command.name.is_empty() => command.name.clone(),
        Action::Send(command) => format!("{} {}", command.cla, command.ins),
        Action::Raw(_) => "bytes as they are".to_owned(),
        Action::Open(_) => "SCP03".to_owned(),
        Action::Forget { .. } => "forget the channel".to_owned(),
        Action::Reset => "reset".to_owned(),
        Action::Interface { .. } => "interface".to_owned(),
        Action::Let(_) => "check".to_owned(),
        Action::Use(name) => name.clone(),
    }
}

/// Differences are read by people; a certificate is not.
fn abridged(text: &str) -> String {
    const SHOWN: usize = 64;
    if text.len() <= SHOWN || !text.is_ascii() {
        return text.to_owned();
    }
    format!("{}… ({} bytes)", &text[..SHOWN], text.len() / 2)
}

/// The value of the object at a path.
fn object(data: &[u8], path: &TagPath) -> Option<Vec<u8>> {
    let mut here = data.to_vec();
    for (tag, index) in &path.0 {
        let objects = Tlv::read_all(&here).ok()?;
        let found = objects.iter().filter(|o| o.tag == Tag(*tag)).nth(*index)?;
        here = found.value.to_vec();
    }
    Some(here)
}
