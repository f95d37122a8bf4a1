//! A recording done again on a card, and which answers differ from the recorded ones.
//!
//! | recorded | done again |
//! |---|---|
//! | a command in clear | the same bytes |
//! | `{"secret": …}` in VERIFY, CHANGE REFERENCE DATA | with the value given, or a wrong one where it was wrong then |
//! | INITIALIZE UPDATE, EXTERNAL AUTHENTICATE | with challenges of their own and the keys given |
//! | a secured command | deciphered with the keys and wrapped for the new session |
//! | one whose MAC was wrong, or without a session | the same bytes: the card must refuse them as it did then |
//! | a certificate for a key that was made anew | with the new public key put in; its CA's signature is wrong then |
//! | what no key or value reveals | not at all, and that is said |

mod certificate;
mod consent;
pub mod live;
pub mod plan;
mod ring;
mod secrets;
pub mod stage;

use std::collections::BTreeMap;

use jpkise_card::card::CardError;
use jpkise_card::trace::Record;
use jpkise_card::{CommandApdu, ResponseApdu};
use jpkise_gp::keys::KeySourceError;
use jpkise_gp::SecureRandom;
use jpkise_wire::StatusWord;
use serde::Serialize;

use crate::compare::exchange::{
    differences, makes_a_key, Allowance, FieldDifference, Follower, Ignored, Joined, Side,
};
use crate::run::simulated::UNNAMED;
use crate::simulator::StartError;
use crate::suite::model::{CardState, Changes};
use certificate::{Block, PublicKeys};
use live::{Live, Sent};
use plan::{Known, Reason, Step, Unit, Way};
use stage::Stage;

pub use ring::Ring;
pub use secrets::Given;

/// Version of the object: raised when a field changes its meaning or goes away.
pub const SCHEMA: u32 = 1;

/// Why a replay could not be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// Reader or card is gone.
    #[error(transparent)]
    Card(#[from] CardError),
    /// A key source failed.
    #[error(transparent)]
    Keys(#[from] KeySourceError),
    /// A simulated card could not be started.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// What a replay may do, and what it is not to wonder at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// How far it may change the card.
    pub most: Changes,
    /// The JPKI applet on this card has keys of its own: their public parts, certificates and signatures are not compared.
    pub other_keys: bool,
}

/// An exchange that did not come out as recorded, or was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Its number in the trace.
    pub number: u64,
    /// Name of the command.
    pub name: String,
    /// CLA INS P1 P2 before secure messaging.
    pub header: String,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What became of an exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    /// The answer differs: `a` as recorded, `b` now.
    Different {
        /// What differs.
        fields: Vec<FieldDifference>,
        /// Whether something before it could not be done that may have changed the card: then this may follow from it.
        after_gap: bool,
    },
    /// Not done.
    NotReplayed {
        /// Why.
        reason: Reason,
    },
}

/// What came of a recording.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Replayed {
    /// Exchanges of the recording, answers in pieces counted once.
    pub exchanges: usize,
    /// Answered as recorded.
    pub same: usize,
    /// Answered otherwise, with nothing missing before.
    pub different: usize,
    /// Answered otherwise, after something that could not be done.
    pub different_after_gap: usize,
    /// Not done.
    pub not_replayed: usize,
    /// The same by reason.
    pub reasons: BTreeMap<&'static str, usize>,
    /// Parts of answers that differ by their nature and were not compared, by type.
    pub ignored: BTreeMap<&'static str, usize>,
    /// Blocks of certificates that were sent with the new public key of the card in place of the recorded one.
    pub remade: usize,
    /// Resets, the one at the beginning left out.
    pub resets: usize,
    /// ATRs that are not the recorded ones: recorded, now.
    pub atrs: Vec<(String, String)>,
    /// Everything that was not the same.
    pub items: Vec<Item>,
}

/// Whether a recording has a handshake, so that keys are needed for all of it.
pub fn needs_keys(records: &[Record]) -> bool {
    records.iter().any(|r| matches!(r, Record::Exchange(x) if x.name == "INITIALIZE UPDATE"))
}

/// Whether simulated cards took each other's place in it.
pub fn needs_cards(records: &[Record]) -> bool {
    records.iter().any(|r| matches!(r, Record::Reset { card: Some(_), .. }))
}

/// Does a recording again. The card is reset first. What differs and what could not be done is in the result; an error is
/// a card that is gone, and what was found until then is in `found`.
pub fn replay(
    records: &[Record],
    stage: &mut dyn Stage,
    ring: &mut Ring,
    given: &mut Given,
    terms: &Terms,
    rng: &mut dyn SecureRandom,
    found: &mut Replayed,
) -> Result<(), ReplayError> {
    let steps = plan::plan(records, ring)?;
    found.exchanges = steps.iter().filter(|step| matches!(step, Step::Unit(_))).count();
    let fresh = (false, given.duplicate());
    let mut again = Again {
        live: Live::new(stage),
        ring,
        given,
        terms,
        rng,
        found,
        follower: Follower::default(),
        allowance: Allowance { new_keys: terms.other_keys, other_nonces: false },
        gap: false,
        elsewhere: false,
        made: BTreeMap::from([(CardState::Fresh.to_string(), fresh)]),
        pieces: Vec::new(),
        public_keys: PublicKeys::default(),
    };
    let recorded = records.iter().find_map(|r| match r {
        Record::Start(start) => Some(start.atr.clone()),
        _ => None,
    });
    again.reset(&recorded.unwrap_or_default())?;
    for (index, step) in steps.iter().enumerate() {
        match step {
            Step::Reset { atr, card: None } => {
                again.found.resets += 1;
                again.reset(atr)?;
            }
            Step::Reset { atr, card: Some(state) } => {
                again.found.resets += 1;
                again.put_in(atr, state)?;
            }
            Step::Unit(unit) => again.unit(unit, (&steps, index))?,
        }
    }
    Ok(())
}

struct Again<'a> {
    live: Live<'a>,
    ring: &'a Ring,
    given: &'a mut Given,
    terms: &'a Terms,
    rng: &'a mut dyn SecureRandom,
    found: &'a mut Replayed,
    follower: Follower,
    allowance: Allowance,
    /// Something that may have changed the card was not done.
    gap: bool,
    /// The recording goes on with a card that is not here.
    elsewhere: bool,
    /// States of simulated cards: whether something was left out on the way to them, and the values that they have.
    made: BTreeMap<String, (bool, Given)>,
    /// Segments of a long command, whose last one is still to come.
    pieces: Vec<Unit>,
    public_keys: PublicKeys,
}

impl Again<'_> {
    fn reset(&mut self, recorded: &str) -> Result<(), ReplayError> {
        let mut atr = self.live.reset()?;
        // A card that was reached over the other interface had another ATR.
        let is_recorded = |atr: &[u8]| recorded.eq_ignore_ascii_case(&hex::encode(atr));
        if !recorded.is_empty() && !is_recorded(&atr) {
            if let Some(other) = self.live.turn_over()? {
                atr = if is_recorded(&other) { other } else { self.live.turn_over()?.unwrap_or(other) };
            }
        }
        self.follower = Follower::default();
        self.given.forget_temporary();
        self.told(recorded, &atr);
        Ok(())
    }

    fn told(&mut self, recorded: &str, atr: &[u8]) {
        let atr = hex::encode_upper(atr);
        let pair = (recorded.to_uppercase(), atr);
        if !recorded.is_empty() && pair.0 != pair.1 && !self.found.atrs.contains(&pair) {
            self.found.atrs.push(pair);
        }
    }

    /// Another simulated card: the commands that follow are about that one, whatever came before.
    fn put_in(&mut self, recorded: &str, state: &str) -> Result<(), ReplayError> {
        self.elsewhere = state == UNNAMED;
        if self.elsewhere {
            self.gap = true;
            return Ok(());
        }
        let Some(atr) = self.live.put_in(state)? else {
            // The card at hand may be in another state.
            self.gap = true;
            return self.reset(recorded);
        };
        self.follower = Follower::default();
        self.given.forget_temporary();
        self.told(recorded, &atr);
        // A state that was made with something left out stays so; another card is not touched by it.
        let now = || (self.gap, self.given.duplicate());
        let (gap, given) = self.made.entry(state.to_owned()).or_insert_with(now);
        self.gap = *gap;
        *self.given = given.duplicate();
        Ok(())
    }

    fn unit(&mut self, unit: &Unit, place: (&[Step], usize)) -> Result<(), ReplayError> {
        let harm = consent::harm(unit);
        let allowed = match (harm, self.terms.most) {
            _ if self.elsewhere => Err(Reason::OtherCard),
            (harm, most) if harm <= most => Ok(()),
            (Changes::ForGood, _) => Err(Reason::ForGood),
            _ => Err(Reason::Changes),
        };
        let sent = match allowed {
            Ok(()) => self.send(unit, place)?,
            Err(reason) => Some(Sent::Not(reason)),
        };
        // A segment: what it comes to shows with the last one.
        let Some(sent) = sent else {
            self.pieces.push(unit.clone());
            return Ok(());
        };
        let pieces = std::mem::take(&mut self.pieces);
        if let Sent::Not(reason) = sent {
            for unit in pieces.iter().chain([unit]) {
                self.not_replayed(unit, reason);
            }
            return Ok(());
        }
        self.found.same += pieces.len();
        self.judge(unit, sent)
    }

    fn send(&mut self, unit: &Unit, (steps, index): (&[Step], usize)) -> Result<Option<Sent>, ReplayError> {
        let recorded = unit.recorded.answer.as_ref().map(|(_, sw)| *sw);
        let header = unit.recorded.header;
        Ok(Some(match &unit.way {
            Way::Piece => return Ok(None),
            Way::Not(reason) => Sent::Not(*reason),
            Way::Bytes(bytes) => {
                let exactly = recorded.is_some_and(|sw| sw.right_le().is_some());
                self.live.bytes(bytes, exactly)?
            }
            Way::Secret { kind } => {
                let file = self.follower.file(header[0]);
                match self.given.command(header, kind, file, recorded) {
                    Ok(command) => {
                        let secured = unit.recorded.secured;
                        let sent =
                            if secured { self.wrapped(&command)? } else { self.live.clear(&command)? };
                        if matches!(&sent, Sent::Answer(answer) if answer.sw.is_success()) {
                            self.given.changed(header, file);
                        }
                        sent
                    }
                    Err(reason) => Sent::Not(reason),
                }
            }
            Way::Update { mode } => self.live.update(header, *mode, self.ring, self.rng)?,
            Way::Authenticate { level, fault } => self.live.authenticate(header[0], *level, *fault)?,
            Way::Stored { command, sequence } => {
                match self.public_keys.block(steps, *sequence, index.saturating_sub(sequence.0)) {
                    Block::Remade(data) => {
                        self.found.remade += 1;
                        self.wrapped(&command.clone().with_data(data))?
                    }
                    Block::AsRecorded => self.wrapped(command)?,
                    Block::Unknown => Sent::Not(Reason::NewKey),
                }
            }
            Way::Wrapped(command) => self.wrapped(command)?,
        }))
    }

    fn wrapped(&mut self, command: &CommandApdu) -> Result<Sent, ReplayError> {
        let sent = self.live.wrapped(command, !self.pieces.is_empty())?;
        if let (Sent::Answer(answer), Some(dek)) = (&sent, self.live.dek(command.cla)) {
            if answer.sw.is_success() {
                self.given.temporary(command, &dek);
            }
        }
        Ok(sent)
    }

    fn not_replayed(&mut self, unit: &Unit, reason: Reason) {
        self.found.not_replayed += 1;
        *self.found.reasons.entry(reason.id()).or_default() += 1;
        // What was refused then has changed nothing, and neither has a question.
        let succeeded = unit.recorded.answer.as_ref().is_some_and(|(_, sw)| sw.is_protected());
        self.gap |= succeeded && !consent::only_asks(unit);
        self.item(unit, Outcome::NotReplayed { reason });
        self.follower.follow(&unit.recorded);
    }

    fn item(&mut self, unit: &Unit, outcome: Outcome) {
        self.found.items.push(Item {
            number: unit.number,
            name: unit.recorded.name.clone(),
            header: hex::encode_upper(unit.recorded.header),
            outcome,
        });
    }

    fn judge(&mut self, unit: &Unit, sent: Sent) -> Result<(), ReplayError> {
        let mut forged = None;
        let answer = match sent {
            Sent::Answer(answer) => Some(answer),
            Sent::Forged(answer) => {
                forged = Some(FieldDifference {
                    field: "R-MAC".to_owned(),
                    a: Some("good".to_owned()),
                    b: Some("bad".to_owned()),
                });
                Some(answer)
            }
            Sent::Mute | Sent::Not(_) => None,
        };
        let mute = answer.is_none();
        let now =
            Joined { answer: answer.map(|ResponseApdu { data, sw }| (data, sw)), ..unit.recorded.clone() };
        if makes_a_key(now.header) && now.answer.as_ref().is_some_and(|(_, sw)| sw.is_success()) {
            self.allowance.new_keys = true;
        }
        if let (Way::Wrapped(command), Some((recorded, _)), Some((data, _))) =
            (&unit.way, &unit.recorded.answer, &now.answer)
        {
            self.public_keys.page(command, recorded, data);
        }
        let mut fields = if unit.known == Known::All && forged.is_none() {
            let side = |exchange| Side { exchange, before: &self.follower, is_plain: true };
            let findings = differences(side(&unit.recorded), side(&now), self.allowance);
            for ignored in findings.ignored {
                *self.found.ignored.entry(ignored.id()).or_default() += 1;
            }
            findings.fields
        } else {
            *self.found.ignored.entry(Ignored::Enciphered.id()).or_default() += usize::from(forged.is_none());
            status_words(&unit.recorded, &now)
        };
        fields.extend(forged);
        self.follower.follow(&unit.recorded);
        if fields.is_empty() {
            self.found.same += 1;
        } else {
            let after_gap = self.gap;
            if after_gap {
                self.found.different_after_gap += 1;
            } else {
                self.found.different += 1;
            }
            self.item(unit, Outcome::Different { fields, after_gap });
        }
        // A card that does not answer any more answers after a reset, or is gone.
        if mute && unit.recorded.answer.is_some() {
            self.live.reset()?;
        }
        Ok(())
    }
}

fn status_words(recorded: &Joined, now: &Joined) -> Vec<FieldDifference> {
    let sw = |side: &Joined| side.answer.as_ref().map(|(_, sw)| *sw);
    let text = |sw: Option<StatusWord>| sw.map(|sw| sw.to_string());
    if sw(recorded) == sw(now) {
        return Vec::new();
    }
    let field = "status word".to_owned();
    vec![FieldDifference { field, a: text(sw(recorded)), b: text(sw(now)) }]
}
