//! What is to be done to an SE, decided before anything is sent.

use std::fmt;

use serde::Serialize;

use super::PersonalizeError;
use crate::edge::{KeyRef, KeyState, TokenInfo};

/// What the SE is expected to hold already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// Nothing: a freshly installed applet. Saves asking; a key that is there makes the run fail without harm.
    #[default]
    Fresh,
    /// Ask first (one attestation more) and do only what is missing, as after a run that was cut. A key without a
    /// certificate is deleted and made anew: the request it was bound to is not known here.
    Resume,
    /// Ask first, delete whatever is there, held and revoked keys too, and personalise anew.
    Replace,
}

/// What a personalisation is to leave behind.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Keys to make, certify and hand over; user authentication first if both.
    pub keys: Vec<KeyRef>,
    /// EF 0006.
    pub token_info: TokenInfo,
    /// Policy bits to set, when not those of install.
    pub policy: Option<u8>,
    /// Lease of the signature key to set, when not off.
    pub lease: Option<u16>,
    /// What to expect.
    pub start: Start,
    /// Whether the user is at hand to set secrets of his own. Otherwise keys end CERTIFIED, and a reset makes them
    /// ACTIVE later.
    pub hand_over: bool,
    /// Store token information, policy and lease even when no key needs anything: an earlier run may have been cut before
    /// them.
    pub refresh: bool,
}

impl Plan {
    /// Both keys on a fresh SE.
    pub fn new(token_info: TokenInfo) -> Self {
        Self {
            keys: KeyRef::ALL.to_vec(),
            token_info,
            policy: None,
            lease: None,
            start: Start::Fresh,
            hand_over: true,
            refresh: false,
        }
    }
}

/// One step of a run, the unit of progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case", tag = "step", content = "key")]
#[non_exhaustive]
pub enum Step {
    /// Asking what is there.
    Inspect,
    /// DELETE FILE.
    Delete(KeyRef),
    /// GENERATE ASYMMETRIC KEY PAIR: the long one, seconds on some chips.
    Generate(KeyRef),
    /// Reading the public key.
    ReadKey(KeyRef),
    /// PROVE POSSESSION and reading the proof.
    Prove(KeyRef),
    /// The CA issues; nothing goes to the SE.
    Issue(KeyRef),
    /// STORE DATA: certificates, token information, temporary secrets.
    Store,
    /// The app replaces the temporary secret with the user's.
    SetSecret(KeyRef),
    /// The final attestation.
    Attest,
}

impl Step {
    /// Whether it changes the SE.
    pub const fn changes(self) -> bool {
        !matches!(self, Self::Inspect | Self::ReadKey(_) | Self::Issue(_) | Self::Attest)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inspect => f.write_str("inspect"),
            Self::Delete(key) => write!(f, "delete {key}"),
            Self::Generate(key) => write!(f, "generate {key}"),
            Self::ReadKey(key) => write!(f, "read key {key}"),
            Self::Prove(key) => write!(f, "prove {key}"),
            Self::Issue(key) => write!(f, "issue {key}"),
            Self::Store => f.write_str("store"),
            Self::SetSecret(key) => write!(f, "set secret {key}"),
            Self::Attest => f.write_str("attest"),
        }
    }
}

/// What becomes of a key pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Make {
    /// It is there and certified.
    Nothing,
    /// There is none.
    New,
    /// It is deleted first.
    Anew,
    /// It is there with its request, and lacks the certificate.
    Certificate,
}

/// What one key needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyWork {
    pub(super) key: KeyRef,
    make: Make,
    pub(super) secret: bool,
}

impl KeyWork {
    pub(super) fn deletes(self) -> bool {
        self.make == Make::Anew
    }

    fn generates(self) -> bool {
        matches!(self.make, Make::New | Make::Anew)
    }

    pub(super) fn issues(self) -> bool {
        self.make != Make::Nothing
    }

    pub(super) fn is_needed(self) -> bool {
        self.issues() || self.secret
    }

    /// The key is there with its request: nothing of it is made anew.
    pub(super) fn keep(&mut self) {
        self.make = Make::Certificate;
    }
}

/// What a key in this state needs.
fn work(key: KeyRef, state: KeyState, start: Start, hand_over: bool) -> Result<KeyWork, PersonalizeError> {
    let (make, secret) = match (start, state) {
        (_, KeyState::Empty) => (Make::New, true),
        (Start::Replace, _) | (Start::Resume, KeyState::Keyed) => (Make::Anew, true),
        (Start::Resume, KeyState::Certified) => (Make::Nothing, true),
        (Start::Resume, KeyState::Active) => (Make::Nothing, false),
        (Start::Resume, KeyState::Held | KeyState::Revoked) | (Start::Fresh, _) => {
            return Err(PersonalizeError::State { key, state })
        }
    };
    Ok(KeyWork { key, make, secret: secret && hand_over })
}

/// The steps of a run, in order.
pub(super) fn steps(inspected: bool, work: &[KeyWork], refresh: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    if inspected {
        steps.push(Step::Inspect);
    }
    steps.extend(work.iter().filter(|w| w.deletes()).map(|w| Step::Delete(w.key)));
    for w in work.iter().filter(|w| w.issues()) {
        if w.generates() {
            steps.extend([Step::Generate(w.key), Step::ReadKey(w.key), Step::Prove(w.key)]);
        }
        steps.push(Step::Issue(w.key));
    }
    if refresh || work.iter().any(|w| w.is_needed()) {
        steps.push(Step::Store);
    }
    steps.extend(work.iter().filter(|w| w.secret).map(|w| Step::SetSecret(w.key)));
    steps.push(Step::Attest);
    steps
}

impl Plan {
    /// The steps that SEs in these states would take, for a dry run. `states` are asked for each key of the plan.
    pub fn steps(&self, states: impl Fn(KeyRef) -> KeyState) -> Result<Vec<Step>, PersonalizeError> {
        let work = self.work(states)?;
        Ok(steps(self.start != Start::Fresh, &work, self.refresh))
    }

    pub(super) fn work(&self, states: impl Fn(KeyRef) -> KeyState) -> Result<Vec<KeyWork>, PersonalizeError> {
        self.keys.iter().map(|key| work(*key, states(*key), self.start, self.hand_over)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::TokenProfile;

    fn plan(start: Start) -> Plan {
        Plan { start, ..Plan::new(TokenInfo::new(TokenProfile::Phone, "1")) }
    }

    fn names(start: Start, auth: KeyState, sign: KeyState) -> String {
        let states = |key| if key == KeyRef::Auth { auth } else { sign };
        match plan(start).steps(states) {
            Ok(steps) => steps.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn each_state_gets_what_it_lacks() {
        use KeyState::{Active, Certified, Empty, Held, Keyed, Revoked};
        for (start, auth, sign, expected) in [
            (
                Start::Fresh,
                Empty,
                Empty,
                "generate auth, read key auth, prove auth, issue auth, generate sign, read key sign, prove sign, \
                 issue sign, store, set secret auth, set secret sign, attest",
            ),
            (Start::Resume, Active, Active, "inspect, attest"),
            (Start::Resume, Active, Certified, "inspect, store, set secret sign, attest"),
            (
                Start::Resume,
                Certified,
                Keyed,
                "inspect, delete sign, generate sign, read key sign, prove sign, issue sign, store, set secret auth, \
                 set secret sign, attest",
            ),
            (Start::Resume, Active, Held, "the sign key is HELD: this start does not change it"),
            (Start::Resume, Revoked, Empty, "the auth key is REVOKED: this start does not change it"),
            (Start::Fresh, Empty, Keyed, "the sign key is KEYED: this start does not change it"),
            (
                Start::Replace,
                Empty,
                Revoked,
                "inspect, delete sign, generate auth, read key auth, prove auth, issue auth, generate sign, read key \
                 sign, prove sign, issue sign, store, set secret auth, set secret sign, attest",
            ),
        ] {
            assert_eq!(names(start, auth, sign), expected);
        }
    }
}
