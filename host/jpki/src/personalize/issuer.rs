//! The certification authority as personalisation sees it.

use std::error::Error;

use rand::{CryptoRng, RngCore};
use time::OffsetDateTime;
use x509_cert::name::Name;

use crate::ca::{CaError, Hierarchy, Issuance, Subscriber};
use crate::certificate::Cert;
use crate::csr::Csr;
use crate::edge::{KeyRef, TokenProfile};

/// The CA refused or failed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct IssuerError(pub Box<dyn Error + Send + Sync>);

impl From<CaError> for IssuerError {
    fn from(error: CaError) -> Self {
        Self(Box::new(error))
    }
}

/// A certificate and the CA certificate above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The subscriber's certificate.
    pub certificate: Cert,
    /// The CA's.
    pub ca: Cert,
}

/// Names subjects and issues certificates: the test CA, or a service.
pub trait Issuer {
    /// The subject for which the SE shall prove possession.
    fn subject(&mut self, key: KeyRef) -> Result<Name, IssuerError>;

    /// The certificate for a request whose proof holds; `None` when it comes later, from a CA that is asked by file or by
    /// people. The run then stops with the keys made and [`Start::Resume`](super::Start::Resume) takes it up.
    fn issue(&mut self, key: KeyRef, request: &Csr) -> Result<Option<Issued>, IssuerError>;

    /// The request that an earlier run made for this key, if it was kept. With it a key that was generated and proven
    /// is certified as it is; without it such a key is deleted and made anew, since it signs one request only.
    fn earlier(&mut self, key: KeyRef) -> Option<Csr> {
        let _ = key;
        None
    }
}

/// The test CA as issuer, for one subscriber at one time.
pub struct TestIssuer<'a, R> {
    /// Both CAs.
    pub hierarchy: &'a Hierarchy,
    /// Whom the certificates are for.
    pub subscriber: &'a Subscriber,
    /// Phone or card.
    pub profile: TokenProfile,
    /// Time of issue.
    pub now: OffsetDateTime,
    /// End of the card's certificate, which the phone's does not outlive.
    pub not_after_limit: Option<OffsetDateTime>,
    /// Randomness for names, serial numbers and blinding.
    pub rng: R,
}

impl<R: RngCore + CryptoRng> Issuer for TestIssuer<'_, R> {
    fn subject(&mut self, key: KeyRef) -> Result<Name, IssuerError> {
        Ok(self.hierarchy.of(key).subject(self.subscriber, self.now, &mut self.rng)?)
    }

    fn issue(&mut self, key: KeyRef, request: &Csr) -> Result<Option<Issued>, IssuerError> {
        let ca = self.hierarchy.of(key);
        let issuance = Issuance {
            subscriber: self.subscriber,
            profile: self.profile,
            now: self.now,
            not_after_limit: self.not_after_limit,
        };
        let certificate = ca.issue(request, &issuance, &mut self.rng)?;
        Ok(Some(Issued { certificate, ca: ca.certificate().clone() }))
    }
}
