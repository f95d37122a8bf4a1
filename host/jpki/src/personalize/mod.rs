//! Personalisation: from an applet without keys to one with two certified keys and the user's own secrets.
//!
//! Per key: the SE generates the pair, its public key is read, the SE proves possession over the request, the CA issues.
//! Then everything is stored in one STORE DATA sequence: CA certificates, token information, certificates, temporary
//! secrets. Then the app replaces the temporary secrets on the same selection, and an attestation ends the run.

mod issuer;
mod plan;
mod record;

use rand::{CryptoRng, RngCore};

use crate::admin::{expect_state, Admin, AdminError, AttestationError, Temporaries, UserApp};
use crate::certificate::CertificateError;
use crate::channel::{AdminChannel, Refusal};
use crate::csr::{Csr, CsrError, CsrInfo};
use crate::edge::data::LEASE_OFF;
use crate::edge::{Attestation, CardPublicKey, Dgi, KeyRef, KeyState, PackError};
use crate::verify::verify_signed_by;
use jpkise_wire::StatusWord;

pub use issuer::{Issued, Issuer, IssuerError, TestIssuer};
use plan::{steps, KeyWork};
pub use plan::{Plan, Start, Step};
pub use record::{CertificateRecord, KeyRecord, Record};

/// Why a personalisation did not come to its end. What was done before stays: [`Start::Resume`] takes it up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PersonalizeError {
    /// A step on the SE failed.
    #[error("{step}: {source}")]
    Step {
        /// The step.
        step: Step,
        /// The reason.
        source: AdminError,
    },
    /// The secure channel is not good enough, or not there.
    #[error(transparent)]
    Channel(AdminError),
    /// The key is in a state that the plan's start does not cover.
    #[error("the {key} key is {state}: this start does not change it")]
    State {
        /// The key.
        key: KeyRef,
        /// Its state.
        state: KeyState,
    },
    /// The SE refused to generate: there is a key already, against [`Start::Fresh`].
    #[error("the {key} key is there already")]
    NotFresh {
        /// The key.
        key: KeyRef,
    },
    /// The SE did not prove that it has the key whose public half it showed.
    #[error("proof of possession of the {key} key: {source}")]
    Proof {
        /// The key.
        key: KeyRef,
        /// The reason.
        source: CsrError,
    },
    /// The CA failed.
    #[error("the CA did not issue the {key} certificate: {source}")]
    Issuer {
        /// The key.
        key: KeyRef,
        /// The CA's reason.
        source: IssuerError,
    },
    /// The CA issued for another key, or the CA certificate is not the one that signed.
    #[error("the {key} certificate issued does not fit the key or its CA certificate")]
    WrongCertificate {
        /// The key.
        key: KeyRef,
    },
    /// The CA has the requests and has not answered yet. Nothing was stored; [`Start::Resume`] takes it up.
    #[error("waiting for the CA's certificates of: {}", .keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Waiting {
        /// The keys that lack a certificate.
        keys: Vec<KeyRef>,
    },
    /// A certificate cannot be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Token information or a certificate cannot be sent.
    #[error(transparent)]
    Pack(#[from] PackError),
}

/// What happens, for a progress bar or a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A step begins.
    Step {
        /// Which one.
        step: Step,
        /// From 1.
        number: usize,
        /// Steps in all, this one included.
        of: usize,
    },
    /// A STORE DATA block was taken.
    Block {
        /// Blocks taken.
        done: usize,
        /// Blocks in all.
        of: usize,
    },
}

/// What came of a personalisation.
#[derive(Debug)]
pub struct Personalized {
    /// To be kept.
    pub record: Record,
    /// Request and certificates of each key certified in this run.
    pub certified: Vec<Certified>,
    /// The final attestation.
    pub attestation: Attestation,
}

/// One key certified.
#[derive(Debug, Clone)]
pub struct Certified {
    /// The key.
    pub key: KeyRef,
    /// The request that the SE proved.
    pub request: Csr,
    /// The certificates stored.
    pub issued: Issued,
    public_key: CardPublicKey,
}

/// Names the steps as they begin.
struct Tracker<'a> {
    number: usize,
    of: usize,
    progress: &'a mut dyn FnMut(Event),
}

impl Tracker<'_> {
    fn begin(&mut self, step: Step) -> impl Fn(AdminError) -> PersonalizeError {
        self.number += 1;
        (self.progress)(Event::Step { step, number: self.number, of: self.of });
        move |source| PersonalizeError::Step { step, source }
    }
}

/// Runs a plan over the applet's open secure channel (level 13 or 33). Every SE-side refusal names its step; what an
/// interrupted run leaves is a state that [`Start::Resume`] continues from.
pub fn personalize<C: AdminChannel, R: RngCore + CryptoRng>(
    channel: &mut C,
    plan: &Plan,
    issuer: &mut dyn Issuer,
    app: &mut dyn UserApp,
    rng: &mut R,
    progress: &mut dyn FnMut(Event),
) -> Result<Personalized, PersonalizeError> {
    let level = channel.level().to_string();
    let mut admin = Admin::new(channel).map_err(PersonalizeError::Channel)?;
    // The token information must be sound before a key is made for it.
    let token_info = plan
        .token_info
        .build()
        .map_err(|source| PersonalizeError::Step { step: Step::Store, source: source.into() })?;

    let mut tracker = Tracker { number: 0, of: 0, progress };
    let mut kept_keys = Vec::new();
    let work = match plan.start {
        Start::Fresh => plan.work(|_| KeyState::Empty)?,
        Start::Resume | Start::Replace => {
            // How many steps there are is known only after this one; until then it is all there is.
            tracker.of = 1;
            let at = tracker.begin(Step::Inspect);
            let found = admin.attest(rng).map_err(&at)?;
            let mut work = plan.work(|key| found.key(key).state)?;
            if plan.start == Start::Resume {
                for w in work.iter_mut().filter(|w| w.deletes()) {
                    let Some(request) = issuer.earlier(w.key) else { continue };
                    let public_key = admin.public_key(w.key).map_err(&at)?;
                    if request.key() == public_key.rsa() {
                        w.keep();
                        kept_keys.push((w.key, request, public_key));
                    }
                }
            }
            work
        }
    };
    tracker.of = steps(plan.start != Start::Fresh, &work, plan.refresh).len();

    for w in work.iter().filter(|w| w.deletes()) {
        let at = tracker.begin(Step::Delete(w.key));
        admin.delete(w.key, rng).map_err(at)?;
    }
    let mut certified = Vec::new();
    let mut waiting = Vec::new();
    for w in work.iter().filter(|w| w.issues()) {
        let (request, public_key) = match kept_keys.iter().position(|(key, ..)| *key == w.key) {
            Some(index) => {
                let (_, request, public_key) = kept_keys.swap_remove(index);
                (request, public_key)
            }
            None => generate(&mut admin, w.key, issuer, &mut tracker)?,
        };
        match certify(w.key, request, public_key, issuer, &mut tracker)? {
            Some(done) => certified.push(done),
            None => waiting.push(w.key),
        }
    }
    if !waiting.is_empty() {
        return Err(PersonalizeError::Waiting { keys: waiting });
    }
    let changed = plan.refresh || work.iter().any(|w| w.is_needed());
    let mut kept = Temporaries::default();
    if changed {
        let at = tracker.begin(Step::Store);
        let mut dgis = vec![Dgi::token_info(&token_info)];
        dgis.extend(plan.policy.map(Dgi::policy));
        dgis.extend(plan.lease.map(Dgi::lease));
        for c in &certified {
            dgis.push(Dgi::ca_certificate(c.key, c.issued.ca.as_der())?);
            dgis.push(Dgi::certificate(c.key, c.issued.certificate.as_der())?);
        }
        for w in work.iter().filter(|w| w.secret) {
            let enciphered = admin.temporary(w.key, &mut kept, rng).map_err(&at)?;
            dgis.push(Dgi::temporary(w.key, &enciphered));
        }
        admin.store(&dgis, |done, of| (tracker.progress)(Event::Block { done, of })).map_err(at)?;
    }
    for w in work.iter().filter(|w| w.secret) {
        let at = tracker.begin(Step::SetSecret(w.key));
        admin.hand_over(w.key, &mut kept, app).map_err(at)?;
    }

    let at = tracker.begin(Step::Attest);
    let attestation = admin.attest(rng).map_err(&at)?;
    check(&attestation, plan.hand_over, &work, &certified).map_err(|e| at(e.into()))?;

    let mut record = Record::new(&plan.token_info, level, changed, admin.commands());
    record.lease = (attestation.lease != LEASE_OFF).then_some(attestation.lease);
    for w in &work {
        let own = certified.iter().find(|c| c.key == w.key);
        record.keys.push(KeyRecord::new(
            w.key,
            &attestation,
            own.map(|c| &c.public_key),
            own.map(|c| &c.issued),
        )?);
    }
    Ok(Personalized { record, certified, attestation })
}

/// Generation to proven request, for one key.
fn generate<C: AdminChannel>(
    admin: &mut Admin<'_, C>,
    key: KeyRef,
    issuer: &mut dyn Issuer,
    tracker: &mut Tracker<'_>,
) -> Result<(Csr, CardPublicKey), PersonalizeError> {
    let at = tracker.begin(Step::Generate(key));
    admin.generate(key).map_err(|error| match error {
        AdminError::Refused(Refusal { sw: StatusWord::CONDITIONS_NOT_SATISFIED, .. }) => {
            PersonalizeError::NotFresh { key }
        }
        other => at(other),
    })?;
    let at = tracker.begin(Step::ReadKey(key));
    let public_key = admin.public_key(key).map_err(at)?;

    let at = tracker.begin(Step::Prove(key));
    let subject = issuer.subject(key).map_err(|source| PersonalizeError::Issuer { key, source })?;
    let proof_error = |source| PersonalizeError::Proof { key, source };
    let info = CsrInfo::new(public_key.rsa(), subject).map_err(proof_error)?;
    let signature = admin.prove(key, &info.hash()).map_err(at)?;
    let request = info.prove(&signature).map_err(proof_error)?;
    Ok((request, public_key))
}

/// The CA's answer to a request, checked; `None` when it comes later.
fn certify(
    key: KeyRef,
    request: Csr,
    public_key: CardPublicKey,
    issuer: &mut dyn Issuer,
    tracker: &mut Tracker<'_>,
) -> Result<Option<Certified>, PersonalizeError> {
    let _ = tracker.begin(Step::Issue(key));
    let issued = issuer.issue(key, &request).map_err(|source| PersonalizeError::Issuer { key, source })?;
    let Some(issued) = issued else { return Ok(None) };
    let fits = issued.certificate.public_key()? == *public_key.rsa()
        && verify_signed_by(&issued.certificate, &issued.ca.public_key()?).is_ok();
    if fits {
        Ok(Some(Certified { key, request, issued, public_key }))
    } else {
        Err(PersonalizeError::WrongCertificate { key })
    }
}

/// Every key of the plan is ACTIVE (or CERTIFIED where no user was at hand), and those certified here are the ones the SE
/// says it has.
fn check(
    attestation: &Attestation,
    hand_over: bool,
    work: &[KeyWork],
    certified: &[Certified],
) -> Result<(), AttestationError> {
    for w in work {
        if hand_over || attestation.key(w.key).state != KeyState::Certified {
            expect_state(attestation, w.key, KeyState::Active)?;
        }
    }
    for c in certified {
        if attestation.key(c.key).modulus_hash != c.public_key.modulus_hash() {
            return Err(AttestationError::Key { key: c.key });
        }
    }
    Ok(())
}
