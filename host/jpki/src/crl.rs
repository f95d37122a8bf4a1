//! Revocation lists (RFC 5280 sections 5 and 6.3): what a certificate's CA says of it. A hold (一時保留) is an entry with the
//! reason certificateHold.

use std::fmt;

use const_oid::db::rfc5280::{
    ID_CE_CRL_REASONS, ID_CE_DELTA_CRL_INDICATOR, ID_CE_ISSUING_DISTRIBUTION_POINT,
};
use const_oid::ObjectIdentifier;
use der::Decode;
use serde::Serialize;
use time::OffsetDateTime;
use x509_cert::crl::{CertificateList, RevokedCert};
use x509_cert::ext::pkix::crl::dp::IssuingDistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{CrlDistributionPoints, CrlReason, KeyUsage};
use x509_cert::ext::Extension;

use crate::certificate::{moment, signed_part, Cert, CertificateError};
use crate::verify::{verify_signed_part, SignatureError};

/// Why a list says nothing of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CrlError {
    /// Not a version 2 list in DER.
    #[error("no revocation list: {0}")]
    Der(#[from] der::Error),
    /// A time in it does not exist.
    #[error("a time in the revocation list is none")]
    Time,
    /// It is another CA's.
    #[error("the revocation list is of another CA")]
    OtherIssuer,
    /// It is about other certificates of the CA: another distribution point, CA certificates alone.
    #[error("the revocation list is about other certificates of the CA")]
    OtherScope,
    /// The CA did not sign it, or may not sign lists.
    #[error("the revocation list is not signed by the CA")]
    Signature,
    /// A new one was due before the time in question; without nextUpdate nobody knows how old it may be.
    #[error("the revocation list is too old{}", .0.map(|due| format!(": the next was due at {due}")).unwrap_or_default())]
    Stale(Option<OffsetDateTime>),
    /// Something critical in it that is not understood here (a delta list, an indirect one).
    #[error("the revocation list has a critical part that is not understood: {0}")]
    Critical(ObjectIdentifier),
}

impl From<SignatureError> for CrlError {
    fn from(_: SignatureError) -> Self {
        Self::Signature
    }
}

impl From<CertificateError> for CrlError {
    fn from(error: CertificateError) -> Self {
        match error {
            CertificateError::Der(error) => Self::Der(error),
            CertificateError::Time => Self::Time,
            CertificateError::Key => Self::Signature,
        }
    }
}

impl CrlError {
    /// Whether another list may answer where this one does not.
    pub fn is_about_others(&self) -> bool {
        matches!(self, Self::OtherIssuer | Self::OtherScope)
    }
}

/// A certificate that its CA has revoked or holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoked {
    /// Since when.
    pub since: OffsetDateTime,
    /// Why, as far as the CA says.
    pub reason: Reason,
}

/// CRLReason (RFC 5280 section 5.3.1); unspecified where the entry has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reason {
    /// (0), or no reason given.
    Unspecified,
    /// (1)
    KeyCompromise,
    /// (2)
    CaCompromise,
    /// (3): the person's data changed.
    AffiliationChanged,
    /// (4)
    Superseded,
    /// (5)
    CessationOfOperation,
    /// (6): on hold, may come back.
    CertificateHold,
    /// (9)
    PrivilegeWithdrawn,
    /// (10)
    AaCompromise,
}

/// A revocation list. The signed bytes are kept as they came.
#[derive(Clone)]
pub struct RevocationList {
    der: Vec<u8>,
    parsed: CertificateList,
}

impl RevocationList {
    /// Reads DER.
    pub fn from_der(der: &[u8]) -> Result<Self, CrlError> {
        Ok(Self { der: der.to_vec(), parsed: CertificateList::from_der(der)? })
    }

    /// Reads PEM (label X509 CRL) or DER.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CrlError> {
        match std::str::from_utf8(bytes).ok().filter(|text| text.contains("-----BEGIN X509 CRL-----")) {
            Some(text) => Self::from_der(der::Document::from_pem(text)?.1.as_bytes()),
            None => Self::from_der(bytes),
        }
    }

    /// What it says of a certificate of `ca`, which the caller trusts; `None` when it is not on the list. A list that is not
    /// good for the moment `at` says nothing.
    pub fn status(
        &self,
        certificate: &Cert,
        ca: &Cert,
        at: OffsetDateTime,
    ) -> Result<Option<Revoked>, CrlError> {
        let list = &self.parsed.tbs_cert_list;
        let issuer = &certificate.parsed().tbs_certificate.issuer;
        if list.issuer != *issuer || list.issuer != ca.parsed().tbs_certificate.subject {
            return Err(CrlError::OtherIssuer);
        }
        self.verify(ca)?;
        self.check_scope(certificate)?;
        let due = list.next_update.as_ref().map(moment).transpose()?;
        if due.is_none_or(|due| due < at) {
            return Err(CrlError::Stale(due));
        }
        let serial = &certificate.parsed().tbs_certificate.serial_number;
        let entries = list.revoked_certificates.as_deref().unwrap_or(&[]);
        // An entry that is not understood spoils the whole list (section 5.3), whoever it is about.
        let mut found = None;
        for entry in entries {
            let reason = reason(entry)?;
            if entry.serial_number == *serial {
                let since = moment(&entry.revocation_date)?;
                found = reason.map(|reason| Revoked { since, reason });
            }
        }
        Ok(found)
    }

    fn verify(&self, ca: &Cert) -> Result<(), CrlError> {
        if !ca.extension::<KeyUsage>()?.is_none_or(|(_, usage)| usage.crl_sign()) {
            return Err(CrlError::Signature);
        }
        let algorithms = [&self.parsed.signature_algorithm, &self.parsed.tbs_cert_list.signature];
        let signature = self.parsed.signature.as_bytes().unwrap_or(&[]);
        Ok(verify_signed_part(&ca.public_key()?, algorithms, signed_part(&self.der), signature)?)
    }

    /// Section 5.2: delta and indirect lists and whatever else is critical are refused, partitions are told apart.
    fn check_scope(&self, certificate: &Cert) -> Result<(), CrlError> {
        for extension in self.parsed.tbs_cert_list.crl_extensions.as_deref().unwrap_or(&[]) {
            match extension.extn_id {
                ID_CE_ISSUING_DISTRIBUTION_POINT => check_point(extension, certificate)?,
                ID_CE_DELTA_CRL_INDICATOR => return Err(CrlError::Critical(extension.extn_id)),
                other if extension.critical => return Err(CrlError::Critical(other)),
                _ => {}
            }
        }
        Ok(())
    }
}

/// issuingDistributionPoint (section 5.2.5). Its type's own identifier in the library is that of another extension.
fn check_point(extension: &Extension, certificate: &Cert) -> Result<(), CrlError> {
    let point = IssuingDistributionPoint::from_der(extension.extn_value.as_bytes())?;
    if point.indirect_crl || point.only_some_reasons.is_some() {
        return Err(CrlError::Critical(ID_CE_ISSUING_DISTRIBUTION_POINT));
    }
    let is_about_it = match &point.distribution_point {
        None => true,
        Some(DistributionPointName::FullName(names)) => {
            points(certificate)?.iter().any(|point| names.iter().any(|name| same(point, name)))
        }
        Some(DistributionPointName::NameRelativeToCRLIssuer(_)) => false,
    };
    if point.only_contains_ca_certs || point.only_contains_attribute_certs || !is_about_it {
        return Err(CrlError::OtherScope);
    }
    Ok(())
}

/// Section 7.1: names are the same whatever string types they are written in.
fn same(one: &GeneralName, other: &GeneralName) -> bool {
    match (one, other) {
        (GeneralName::DirectoryName(one), GeneralName::DirectoryName(other)) => {
            one == other || one.to_string().eq_ignore_ascii_case(&other.to_string())
        }
        _ => one == other,
    }
}

/// Full names of the certificate's distribution points.
fn points(certificate: &Cert) -> Result<Vec<GeneralName>, CrlError> {
    let points = certificate.extension::<CrlDistributionPoints>()?.map(|(_, points)| points.0);
    let names = points.into_iter().flatten().filter_map(|point| match point.distribution_point {
        Some(DistributionPointName::FullName(names)) => Some(names),
        _ => None,
    });
    Ok(names.flatten().collect())
}

/// Why; `None` for an entry that takes a certificate from the list.
fn reason(entry: &RevokedCert) -> Result<Option<Reason>, CrlError> {
    let mut reason = Some(Reason::Unspecified);
    for extension in entry.crl_entry_extensions.as_deref().unwrap_or(&[]) {
        if extension.extn_id == ID_CE_CRL_REASONS {
            reason = match CrlReason::from_der(extension.extn_value.as_bytes())? {
                CrlReason::Unspecified => Some(Reason::Unspecified),
                CrlReason::KeyCompromise => Some(Reason::KeyCompromise),
                CrlReason::CaCompromise => Some(Reason::CaCompromise),
                CrlReason::AffiliationChanged => Some(Reason::AffiliationChanged),
                CrlReason::Superseded => Some(Reason::Superseded),
                CrlReason::CessationOfOperation => Some(Reason::CessationOfOperation),
                CrlReason::CertificateHold => Some(Reason::CertificateHold),
                CrlReason::RemoveFromCRL => None,
                CrlReason::PrivilegeWithdrawn => Some(Reason::PrivilegeWithdrawn),
                CrlReason::AaCompromise => Some(Reason::AaCompromise),
            };
        } else if extension.critical {
            return Err(CrlError::Critical(extension.extn_id));
        }
    }
    Ok(reason)
}

impl fmt::Debug for RevocationList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RevocationList({} bytes)", self.der.len())
    }
}
