//! Faults of the ARA-M.

use jpkise_card::CommandApdu;
use jpkise_wire::Aid;

use super::runtime::{status, Line};
use super::tap::{Plan, Tap};
use super::{Fault, FaultSet};
use crate::runtime::RuntimeError;

const INS_GET_DATA: u8 = 0xCA;
const INS_STORE_DATA: u8 = 0xE2;
/// P1 P2 of GET DATA (SEAC section 4.1).
const ALL: u16 = 0xFF40;
const SPECIFIC: u16 = 0xFF50;
const NEXT: u16 = 0xFF60;
const REFRESH_TAG: u16 = 0xDF20;
/// Command objects of STORE DATA.
const STORE: u8 = 0xF0;
const DELETE: u8 = 0xF1;
/// What an ARA-M answers without changing anything: its client AIDs, as one block that is the last.
const HARMLESS: [u8; 6] = [INS_STORE_DATA, 0x91, 0x00, 0x02, 0xF6, 0x00];
const SUCCESS: [u8; 2] = [0x90, 0x00];
const NOTHING_FOUND: [u8; 2] = [0x6A, 0x88];
/// FF50 { E3 { D0 always, D1 always } }.
const ALWAYS: [u8; 13] = [0xFF, 0x50, 0x08, 0xE3, 0x06, 0xD0, 0x01, 0x01, 0xD1, 0x01, 0x01, 0x90, 0x00];
/// Bytes of an answer's page.
const PAGE: usize = 255;

pub(super) struct FaultyAra {
    faults: FaultSet,
    /// Whether the command object under way is one to be dropped.
    swallowing: bool,
    refresh_tag: Option<Vec<u8>>,
    /// The rules as they were first read, and how much of them has gone out since.
    stale: Option<Vec<u8>>,
    sent: usize,
}

impl FaultyAra {
    pub fn new(faults: FaultSet) -> Self {
        Self { faults, swallowing: false, refresh_tag: None, stale: None, sent: usize::MAX }
    }

    pub fn forget_selection(&mut self) {
        self.swallowing = false;
        self.sent = usize::MAX;
    }

    /// Whether this block of STORE DATA, header and data in clear, is to be dropped.
    pub fn swallows(&mut self, command: &[u8]) -> bool {
        let [_, INS_STORE_DATA, _, number, _, data @ ..] = command else { return false };
        if *number == 0 {
            self.swallowing = match data.first() {
                Some(&STORE) => self.faults.has(Fault::RuleNotStored),
                Some(&DELETE) => self.faults.has(Fault::RuleNotDeleted),
                _ => false,
            };
        }
        self.swallowing
    }

    pub fn process(&mut self, mut line: Line<'_>, instance: Aid) -> Result<Vec<u8>, RuntimeError> {
        let Ok(command) = CommandApdu::parse(line.process.apdu) else { return line.pass() };
        if line.process.selecting {
            return line.pass();
        }
        match (command.cla & !0x03, command.ins) {
            (0x84, INS_STORE_DATA) => self.store(line),
            (0x80, INS_STORE_DATA) if self.faults.has(Fault::RulesOpenToAll) => {
                store_in_clear(&mut line, &command, instance)
            }
            (0x80, INS_GET_DATA) => self.get(line, u16::from_be_bytes([command.p1, command.p2])),
            _ => line.pass(),
        }
    }

    /// In the applet's own channel a dropped block becomes a command that changes nothing.
    fn store(&mut self, mut line: Line<'_>) -> Result<Vec<u8>, RuntimeError> {
        let dropped = std::cell::Cell::new(false);
        let mut command = |plain: &mut Vec<u8>| {
            dropped.set(self.swallows(plain));
            if dropped.get() {
                plain.splice(1.., HARMLESS);
            }
        };
        let mut answer = |answer: &mut Vec<u8>| {
            if dropped.get() {
                *answer = SUCCESS.to_vec();
            }
        };
        let plan = Plan { command: Some(&mut command), answer: Some(&mut answer), ..Plan::default() };
        let apdu = line.process.apdu;
        line.send_with(apdu, plan)
    }

    fn get(&mut self, mut line: Line<'_>, what: u16) -> Result<Vec<u8>, RuntimeError> {
        match what {
            SPECIFIC if self.faults.has(Fault::SpecificAllowsAll) => Ok(ALWAYS.to_vec()),
            NEXT if self.faults.has(Fault::NextPageMissing) => Ok(NOTHING_FOUND.to_vec()),
            REFRESH_TAG if self.faults.has(Fault::RefreshTagFrozen) => match &self.refresh_tag {
                Some(tag) => Ok(tag.clone()),
                None => Ok(self.refresh_tag.insert(line.pass()?).clone()),
            },
            ALL if self.faults.has(Fault::RulesStale) => {
                if self.stale.is_none() {
                    self.stale = Some(whole(&mut line)?);
                }
                self.sent = 0;
                Ok(self.page())
            }
            NEXT if self.faults.has(Fault::RulesStale) && self.sent != usize::MAX => Ok(self.page()),
            _ => {
                self.sent = usize::MAX;
                line.pass()
            }
        }
    }

    fn page(&mut self) -> Vec<u8> {
        let rest = self.stale.as_deref().and_then(|all| all.get(self.sent..)).unwrap_or_default();
        if rest.is_empty() {
            return NOTHING_FOUND.to_vec();
        }
        let page = &rest[..rest.len().min(PAGE)];
        self.sent += page.len();
        [page, &SUCCESS].concat()
    }
}

/// All pages of GET DATA all.
fn whole(line: &mut Line<'_>) -> Result<Vec<u8>, RuntimeError> {
    let mut all = Vec::new();
    let cla = line.process.apdu[0];
    let mut answer = line.pass()?;
    while status(&answer) == 0x9000 {
        answer.truncate(answer.len() - 2);
        all.append(&mut answer);
        answer = line.send(&[cla, INS_GET_DATA, 0xFF, 0x60, 0x00])?;
    }
    Ok(all)
}

/// STORE DATA without a session, handed over as if the security domain had one.
fn store_in_clear(
    line: &mut Line<'_>,
    command: &CommandApdu,
    instance: Aid,
) -> Result<Vec<u8>, RuntimeError> {
    let plan = Plan { always_open: true, level: 0x01, ..Plan::default() };
    let mut services = Tap { inner: &mut *line.services, plan };
    let mut clear = vec![command.cla, command.ins, command.p1, command.p2];
    // A short command: at most 255 bytes.
    clear.push(u8::try_from(command.data().len()).unwrap_or(u8::MAX));
    clear.extend_from_slice(command.data());
    match line.runtime.personalize(line.process.channel, instance, &clear, &mut services) {
        Ok(mut answer) => {
            answer.extend_from_slice(&SUCCESS);
            Ok(answer)
        }
        Err(RuntimeError::Refused(sw)) => Ok(sw.to_bytes().to_vec()),
        Err(failed) => Err(failed),
    }
}
