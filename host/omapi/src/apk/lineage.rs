//! The lineage of rotated keys: each key signs the certificate of the next one.
//!
//! ```text
//! version (4) = 1 | node { signed data { certificate, algorithm (4) }, flags (4), algorithm (4), signature } …
//! ```
//! The algorithm in a node's signed data is the one the key before it signs with; the one behind the flags is the one
//! this node's key signs the next node with. The first node is signed by nobody.

use super::archive::Fields;
use super::certificate::Certificate;
use super::verify::verify_signature;
use super::{ApkError, Scheme, Verification};

const VERSION: u32 = 1;

/// Certificates oldest first; the last one is the signer's.
pub(super) fn read(
    scheme: Scheme,
    bytes: &[u8],
    signer: &Certificate,
    verification: Verification,
) -> Result<Vec<Certificate>, ApkError> {
    let broken = |reason| ApkError::Lineage { scheme, reason };
    let cut = || broken("a node is truncated");
    let mut fields = Fields(bytes);
    if fields.u32() != Some(VERSION) {
        return Err(broken("its version is not 1"));
    }
    let mut certificates: Vec<Certificate> = Vec::new();
    let mut signs_with = 0;
    for node in fields.all_prefixed().ok_or_else(cut)? {
        let mut node = Fields(node);
        let signed_data = node.prefixed().ok_or_else(cut)?;
        let _flags = node.u32().ok_or_else(cut)?;
        let next_algorithm = node.u32().ok_or_else(cut)?;
        let signature = node.prefixed().ok_or_else(cut)?;
        let mut data = Fields(signed_data);
        let der = data.prefixed().ok_or_else(cut)?;
        let certificate = Certificate::from_der(der).map_err(|_| broken("a certificate is unreadable"))?;
        let algorithm = data.u32().ok_or_else(cut)?;
        if certificates.contains(&certificate) {
            return Err(broken("a certificate stands twice"));
        }
        if let (Some(parent), Verification::Full) = (certificates.last(), verification) {
            if algorithm != signs_with {
                return Err(broken("the algorithms of two nodes differ"));
            }
            verify_signature(scheme, algorithm, parent.public_key(), signed_data, signature)
                .map_err(|_| broken("a key has not signed its successor"))?;
        }
        signs_with = next_algorithm;
        certificates.push(certificate);
    }
    match certificates.last() {
        Some(last) if last == signer => Ok(certificates),
        Some(_) => Err(broken("it does not end with the signer")),
        None => Err(broken("it is empty")),
    }
}
