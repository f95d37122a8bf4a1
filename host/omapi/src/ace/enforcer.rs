//! The enforcer of one secure element: rules and refresh tag remembered, a decision for each app that asks.
//!
//! ```text
//! ARA-M answers, rules well formed      decide by the rules; no rules at all: nobody
//! ARA-M answers, rules malformed        nobody
//! no ARA-M, embedded or SD              Android: everybody, everything; strict: nobody
//! no ARA-M, UICC                        nobody (rule files of PKCS #15 applications are not modelled)
//! ```
//!
//! The refresh tag is read at every open; only when it differs from the remembered one are the rules read again. A
//! decision stands as long as the channel it was made for.

use jpkise_card::{CardError, CommandApdu, ResponseApdu};
use jpkise_gp::ara::answer::{read_all, read_refresh_tag};
use jpkise_gp::ara::{AnswerFault, ApduAccess, DeviceApp, NfcAccess, ReadError, Reading, RefreshTag, Rule};

use super::decide::{decide, Decision, Query, Target};

/// What kind of secure element a reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SeKind {
    /// Soldered in: `eSE1`.
    #[default]
    Embedded,
    /// SD card: `SD1`.
    Sd,
    /// SIM card: `SIM1`.
    Uicc,
}

/// What a missing ARA-M means on an embedded element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WithoutAra {
    /// As Android does: full access for everybody.
    #[default]
    FullAccess,
    /// Nobody has access.
    Deny,
}

/// An app as the enforcer sees it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct App {
    /// Package name, for people.
    pub package: String,
    /// Hashes of its certificates in the order in which they are tried.
    pub hashes: Vec<DeviceApp>,
    /// Whether it holds `SECURE_ELEMENT_PRIVILEGED_OPERATION`: no rule is asked then.
    pub privileged: bool,
}

/// Where the rules stand.
#[derive(Debug, Clone, Default)]
enum State {
    /// Never read, or to be read again.
    #[default]
    Unread,
    /// No ARA-M.
    Absent,
    /// The ARA-M is there and does not answer as it should.
    Faulty(AnswerFault),
    /// Read.
    Read { tag: RefreshTag, rules: Vec<Rule> },
}

/// Why an app has access.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It holds the system permission.
    Privileged,
    /// There is no ARA-M on the embedded element.
    NoAra,
    /// By the rules.
    Rules(Box<Decision>),
}

/// What an app may do on a channel; fixed when it is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// APDUs; never `Never`.
    pub apdu: ApduAccess,
    /// NFC events.
    pub nfc: NfcAccess,
    /// Why.
    pub reason: Reason,
}

/// Why an app has no access.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Denial {
    /// By the rules, or by their absence (step `none`).
    #[error("refused by the access rules (search {})", .0.step.name())]
    Rules(Box<Decision>),
    /// No ARA-M, and that means nobody.
    #[error("the secure element has no ARA-M")]
    NoAra,
    /// The ARA-M is faulty, and that means nobody.
    #[error("the access rules cannot be read: {0}")]
    Faulty(AnswerFault),
}

/// One way to the ARA-M, which its owner opens and closes.
pub enum AraAccess<'a> {
    /// Selected on a channel of its own.
    Selected(&'a mut dyn FnMut(&CommandApdu) -> Result<ResponseApdu, CardError>),
    /// Not on the card.
    Absent,
}

/// The enforcer.
#[derive(Debug, Default)]
pub struct Enforcer {
    kind: SeKind,
    without_ara: WithoutAra,
    state: State,
    readings: u64,
}

impl Enforcer {
    /// Nothing read yet.
    pub fn new(kind: SeKind, without_ara: WithoutAra) -> Self {
        Self { kind, without_ara, ..Self::default() }
    }

    /// What kind of element it guards.
    pub fn kind(&self) -> SeKind {
        self.kind
    }

    /// How often the rules themselves were read, not only the refresh tag.
    pub fn readings(&self) -> u64 {
        self.readings
    }

    /// The rules in force, if they could be read.
    pub fn rules(&self) -> Option<&[Rule]> {
        match &self.state {
            State::Read { rules, .. } => Some(rules),
            _ => None,
        }
    }

    /// Asks the ARA-M for its refresh tag and, if that is new, for the rules. An error of the way to the card leaves
    /// nothing remembered: the next open tries again.
    pub fn refresh(&mut self, ara: AraAccess<'_>) -> Result<(), CardError> {
        let send = match ara {
            AraAccess::Absent => {
                self.state = State::Absent;
                return Ok(());
            }
            AraAccess::Selected(send) => send,
        };
        let remembered = std::mem::take(&mut self.state);
        let fresh = read_refresh_tag(&mut *send).and_then(|tag| match remembered {
            State::Read { tag: old, rules } if old == tag => Ok(State::Read { tag, rules }),
            _ => {
                self.readings += 1;
                let list = read_all(&mut *send, Reading::Android)?;
                tracing::debug!(rules = list.rules.len(), %tag, "access rules read");
                Ok(State::Read { tag, rules: list.rules })
            }
        });
        match fresh {
            Ok(state) => self.state = state,
            Err(ReadError::Answer(fault)) => {
                tracing::warn!(%fault, "access rules cannot be read");
                self.state = State::Faulty(fault);
            }
            Err(ReadError::Exchange(error)) => return Err(error),
            // The enum is open for more; whatever it will be, nobody gets access by it.
            Err(_) => self.state = State::Unread,
        }
        Ok(())
    }

    /// Decides by what was read last.
    pub fn decide(&self, target: Target, app: &App) -> Result<Grant, Denial> {
        let everything = |reason| Grant { apdu: ApduAccess::Always, nfc: NfcAccess::Always, reason };
        if app.privileged {
            return Ok(everything(Reason::Privileged));
        }
        match &self.state {
            State::Read { rules, .. } => {
                let decision = decide(rules, &Query { target, hashes: &app.hashes });
                if decision.opens() {
                    let (apdu, nfc) = (decision.apdu.clone(), decision.nfc);
                    Ok(Grant { apdu, nfc, reason: Reason::Rules(Box::new(decision)) })
                } else {
                    Err(Denial::Rules(Box::new(decision)))
                }
            }
            State::Absent if self.kind != SeKind::Uicc && self.without_ara == WithoutAra::FullAccess => {
                Ok(everything(Reason::NoAra))
            }
            State::Absent | State::Unread => Err(Denial::NoAra),
            State::Faulty(fault) => Err(Denial::Faulty(fault.clone())),
        }
    }

    /// Whether the app learns of NFC transactions with an applet.
    pub fn nfc_allowed(&self, target: Target, app: &App) -> bool {
        match self.decide(target, app) {
            Ok(grant) => grant.nfc == NfcAccess::Always,
            Err(Denial::Rules(decision)) => decision.nfc == NfcAccess::Always,
            Err(_) => false,
        }
    }
}
