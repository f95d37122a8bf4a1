//! A test certification authority with JPKI-shaped profiles: one CA per certificate type, as deployed.
//!
//! Everything it issues carries `O=JPKISE-TEST` and is worth nothing outside a lab. Clock and randomness come from the
//! caller.

mod name;
mod profile;
mod store;
mod subscriber;
mod validity;

use der::asn1::BitString;
use rand::{CryptoRng, Rng, RngCore};
use rsa::pkcs8::EncodePublicKey;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use sha2::{Digest, Sha256};
use spki::SubjectPublicKeyInfoOwned;
use time::{Duration, OffsetDateTime};
use x509_cert::certificate::{Certificate, TbsCertificate, Version};
use x509_cert::ext::Extension;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::time::Validity;

use der::{Decode, Encode};

use crate::certificate::{Cert, CertificateError};
use crate::csr::Csr;
use crate::edge::{KeyRef, TokenProfile};
use crate::oid::sha256_with_rsa;

pub use name::ORGANIZATION;
pub(crate) use profile::key_identifier;
pub use profile::{policy, OCSP_URI};
pub use store::LoadError;
pub use subscriber::{BasicAttributes, Sex, Subscriber};
pub(crate) use validity::coded as coded_time;

/// Bits of the CA's keys and of those it certifies.
const KEY_BITS: usize = 2048;
/// Life of a CA certificate.
const CA_LIFE: Duration = Duration::days(3652);

/// Why the CA could not issue.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CaError {
    /// Key generation or signing failed.
    #[error("RSA: {0}")]
    Rsa(#[from] rsa::Error),
    /// Coding failed: a name or attribute has characters or a length that X.509 does not take.
    #[error("coding the certificate: {0}")]
    Der(#[from] der::Error),
    /// The certificate made could not be read back.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The key in the request is not RSA-2048.
    #[error("the request's key is not RSA-2048")]
    Key,
    /// No end of validity can be computed from the birth date and the time of issue, or it would lie before the start.
    #[error("the certificate would have no time of validity")]
    Validity,
}

/// What an issued certificate depends on besides the request.
#[derive(Debug, Clone)]
pub struct Issuance<'a> {
    /// Whom it is for.
    pub subscriber: &'a Subscriber,
    /// Phone or card: decides the policy.
    pub profile: TokenProfile,
    /// Time of issue, start of validity.
    pub now: OffsetDateTime,
    /// Validity ends here at the latest, whatever the birthday: the end of the card's certificate.
    pub not_after_limit: Option<OffsetDateTime>,
}

/// A certification authority for one of the two certificate types.
pub struct TestCa {
    key_ref: KeyRef,
    key: RsaPrivateKey,
    certificate: Cert,
}

impl std::fmt::Debug for TestCa {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TestCa({}, {:?})", self.key_ref, self.certificate)
    }
}

impl TestCa {
    /// A new CA: key pair and self-signed certificate.
    pub fn generate(
        key_ref: KeyRef,
        now: OffsetDateTime,
        rng: &mut (impl RngCore + CryptoRng),
    ) -> Result<Self, CaError> {
        let key = RsaPrivateKey::new(rng, KEY_BITS)?;
        let name = name::ca(key_ref)?;
        let public_key = public_key_info(&key)?;
        let template = Template {
            issuer: name.clone(),
            subject: name,
            validity: validity::validity(now, now + CA_LIFE)?,
            extensions: profile::authority(key_ref, &public_key)?,
            public_key,
        };
        let certificate = template.sign(&key, rng)?;
        Ok(Self { key_ref, key, certificate })
    }

    /// Which certificates it issues.
    pub fn key_ref(&self) -> KeyRef {
        self.key_ref
    }

    /// Its own certificate.
    pub fn certificate(&self) -> &Cert {
        &self.certificate
    }

    /// A subject name for a subscriber, with a CN not used before.
    pub fn subject(
        &self,
        subscriber: &Subscriber,
        now: OffsetDateTime,
        rng: &mut (impl RngCore + CryptoRng),
    ) -> Result<Name, CaError> {
        Ok(name::subject(self.key_ref, subscriber, now, rng)?)
    }

    /// Issues the certificate for a request whose proof of possession holds. The subject is the request's.
    pub fn issue(
        &self,
        csr: &Csr,
        issuance: &Issuance<'_>,
        rng: &mut (impl RngCore + CryptoRng),
    ) -> Result<Cert, CaError> {
        if rsa::traits::PublicKeyParts::n(csr.key()).bits() != KEY_BITS {
            return Err(CaError::Key);
        }
        let birth = issuance.subscriber.attributes.birth;
        let not_after = validity::not_after(issuance.now, birth, issuance.not_after_limit)
            .filter(|end| *end > issuance.now)
            .ok_or(CaError::Validity)?;
        let public_key = csr.public_key_info().clone();
        let ca = self.certificate.parsed();
        let template = Template {
            issuer: ca.tbs_certificate.subject.clone(),
            subject: csr.subject().clone(),
            validity: validity::validity(issuance.now, not_after)?,
            extensions: profile::end_entity(
                self.key_ref,
                issuance.profile,
                issuance.subscriber,
                &public_key,
                ca,
            )?,
            public_key,
        };
        template.sign(&self.key, rng)
    }
}

fn public_key_info(key: &RsaPrivateKey) -> Result<SubjectPublicKeyInfoOwned, CaError> {
    let document = key.to_public_key().to_public_key_der().map_err(|_| CaError::Key)?;
    Ok(SubjectPublicKeyInfoOwned::from_der(document.as_bytes())?)
}

/// A certificate before its serial number and signature.
struct Template {
    issuer: Name,
    subject: Name,
    validity: Validity,
    extensions: Vec<Extension>,
    public_key: SubjectPublicKeyInfoOwned,
}

impl Template {
    fn sign(self, key: &RsaPrivateKey, rng: &mut (impl RngCore + CryptoRng)) -> Result<Cert, CaError> {
        // Random, so that no state has to be kept to make serial numbers unique; positive and 8 bytes long.
        let serial: u64 = rng.gen_range(1 << 56..1 << 63);
        let tbs_certificate = TbsCertificate {
            version: Version::V3,
            serial_number: SerialNumber::new(&serial.to_be_bytes())?,
            signature: sha256_with_rsa(),
            issuer: self.issuer,
            validity: self.validity,
            subject: self.subject,
            subject_public_key_info: self.public_key,
            issuer_unique_id: None,
            subject_unique_id: None,
            extensions: Some(self.extensions),
        };
        let digest = Sha256::digest(tbs_certificate.to_der()?);
        let signature = key.sign_with_rng(rng, Pkcs1v15Sign::new::<Sha256>(), &digest)?;
        Ok(Cert::from_parsed(Certificate {
            tbs_certificate,
            signature_algorithm: sha256_with_rsa(),
            signature: BitString::from_bytes(&signature)?,
        })?)
    }
}

/// Both CAs of a lab.
#[derive(Debug)]
pub struct Hierarchy {
    /// Issues user-authentication certificates.
    pub auth: TestCa,
    /// Issues signature certificates.
    pub sign: TestCa,
}

impl Hierarchy {
    /// Two new CAs, which live as long as the value does unless they are saved.
    pub fn generate(now: OffsetDateTime, rng: &mut (impl RngCore + CryptoRng)) -> Result<Self, CaError> {
        Ok(Self {
            auth: TestCa::generate(KeyRef::Auth, now, rng)?,
            sign: TestCa::generate(KeyRef::Sign, now, rng)?,
        })
    }

    /// The CA of one certificate type.
    pub const fn of(&self, key: KeyRef) -> &TestCa {
        match key {
            KeyRef::Auth => &self.auth,
            KeyRef::Sign => &self.sign,
        }
    }
}
