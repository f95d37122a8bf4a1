//! Certification requests (PKCS#10, RFC 2986) for keys that never leave the card.
//!
//! The host builds the CertificationRequestInfo, the card signs its SHA-256 (PROVE POSSESSION), the host puts both
//! together and checks the result before it believes it.

use der::asn1::BitString;
use der::{Decode, Encode};
use jpkise_wire::tlv::Tlv;
use rsa::pkcs8::EncodePublicKey;
use rsa::RsaPublicKey;
use sha2::{Digest, Sha256};
use spki::SubjectPublicKeyInfoOwned;
use x509_cert::name::Name;
use x509_cert::request::{CertReq, CertReqInfo, Version};

use crate::certificate::rsa_key;
use crate::edge::SIGNATURE_LENGTH;
use crate::oid::sha256_with_rsa;
use crate::verify::{verify_digest, SignatureError};

/// Why a certification request cannot be made or is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CsrError {
    /// Coding failed.
    #[error("no certification request: {0}")]
    Der(#[from] der::Error),
    /// The public key is not RSA.
    #[error("the request's key is not RSA")]
    Key,
    /// Not signed with SHA-256 and RSA.
    #[error("the request is not signed with sha256WithRSAEncryption")]
    Algorithm,
    /// The signature is not by the request's key.
    #[error("the request does not prove possession of its key")]
    Signature(#[from] SignatureError),
}

/// A request before its proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsrInfo {
    info: CertReqInfo,
    der: Vec<u8>,
    key: RsaPublicKey,
}

impl CsrInfo {
    /// For a key and the subject its certificate shall carry; no attributes.
    pub fn new(key: &RsaPublicKey, subject: Name) -> Result<Self, CsrError> {
        let document = key.to_public_key_der().map_err(|_| CsrError::Key)?;
        let info = CertReqInfo {
            version: Version::V1,
            subject,
            public_key: SubjectPublicKeyInfoOwned::from_der(document.as_bytes())?,
            attributes: x509_cert::attr::Attributes::new(),
        };
        let der = info.to_der()?;
        Ok(Self { info, der, key: key.clone() })
    }

    /// The DER that is hashed and signed.
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-256 of it: the input of PROVE POSSESSION.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(&self.der).into()
    }

    /// Puts the card's signature to it; refused unless it is this key's over this request.
    pub fn prove(self, signature: &[u8; SIGNATURE_LENGTH]) -> Result<Csr, CsrError> {
        verify_digest(&self.key, &self.hash(), signature)?;
        let request = CertReq {
            info: self.info,
            algorithm: sha256_with_rsa(),
            signature: BitString::from_bytes(signature)?,
        };
        let der = request.to_der()?;
        Ok(Csr { request, der, key: self.key })
    }
}

/// A certification request whose proof of possession holds. There is no other kind of this type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Csr {
    request: CertReq,
    der: Vec<u8>,
    key: RsaPublicKey,
}

impl Csr {
    /// Reads DER and checks the proof.
    pub fn from_der(der: &[u8]) -> Result<Self, CsrError> {
        let request = CertReq::from_der(der)?;
        if request.algorithm.oid != sha256_with_rsa().oid {
            return Err(CsrError::Algorithm);
        }
        let key = rsa_key(&request.info.public_key).ok_or(CsrError::Key)?;
        // Parsed above, so the first object inside is there.
        let info =
            Tlv::read(der).and_then(|(outer, _)| Tlv::read(outer.value)).map_or(&[][..], |(i, _)| i.raw);
        verify_digest(&key, &Sha256::digest(info).into(), request.signature.as_bytes().unwrap_or(&[]))?;
        Ok(Self { request, der: der.to_vec(), key })
    }

    /// The DER of the whole request.
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// PEM, label CERTIFICATE REQUEST.
    pub fn to_pem(&self) -> Result<String, CsrError> {
        let encoded = der::pem::encode_string("CERTIFICATE REQUEST", der::pem::LineEnding::LF, &self.der)
            .map_err(der::Error::from)?;
        Ok(encoded)
    }

    /// The subject asked for.
    pub fn subject(&self) -> &Name {
        &self.request.info.subject
    }

    /// The key, whose possession is proven.
    pub fn key(&self) -> &RsaPublicKey {
        &self.key
    }

    pub(crate) fn public_key_info(&self) -> &SubjectPublicKeyInfoOwned {
        &self.request.info.public_key
    }
}
