//! APK files beside the vector file.

use std::collections::BTreeMap;
use std::path::Path;

use jpkise_gp::ara::DeviceApp;
use jpkise_gp::vectors::Mismatch;
use serde::Deserialize;
use serde_json::{json, Value};
use sha2::{Digest, Sha256};

use super::{same, same_bytes, wrong, Bytes};
use crate::apk::{ApkSignatures, Certificate, Scheme, Verification};

/// An APK: the certificates of its signers by scheme, or that it has none.
#[derive(Debug, Deserialize)]
pub(super) struct Apk {
    file: String,
    file_sha256: Option<Bytes>,
    #[serde(default)]
    schemes: Vec<String>,
    #[serde(default)]
    certificates: BTreeMap<String, Value>,
    android_rule_hashes: Option<Value>,
    lineage_sha256_oldest_first: Option<Value>,
    #[serde(default)]
    expect_error: bool,
}

fn digest(hash: DeviceApp) -> String {
    hex::encode(hash.as_bytes())
}

fn hashes(certificate: &Certificate) -> Value {
    json!({ "sha1": digest(certificate.sha1()), "sha256": digest(certificate.sha256()) })
}

impl Apk {
    pub(super) fn run(&self, folder: &Path) -> Result<(), Mismatch> {
        let bytes = std::fs::read(folder.join(&self.file)).map_err(|e| wrong(&self.file, &e))?;
        if let Some(expected) = &self.file_sha256 {
            same_bytes("file", &expected.0, &Sha256::digest(&bytes))?;
        }
        let read = ApkSignatures::read(&bytes, Verification::Full);
        if self.expect_error {
            return match read {
                Ok(_) => Err(Mismatch::new("signatures", "refused", "accepted")),
                Err(_) => Ok(()),
            };
        }
        let signatures = read.map_err(|e| wrong("signatures", &e))?;
        let schemes: Vec<&str> = signatures.schemes.iter().map(|(scheme, _)| scheme.name()).collect();
        same("schemes", &json!(self.schemes), &json!(schemes))?;
        for (scheme, signers) in &signatures.schemes {
            let found: Vec<Value> = signers.iter().map(|signer| hashes(&signer.certificate)).collect();
            let expected = self.certificates.get(scheme.name());
            same(scheme.name(), expected.unwrap_or(&Value::Null), &json!(found))?;
        }
        if let Some(expected) = &self.android_rule_hashes {
            let tried: Vec<String> = signatures.hashes().into_iter().map(digest).collect();
            same("hashes in the order tried", &json!([expected["sha1"], expected["sha256"]]), &json!(tried))?;
        }
        let Some(expected) = &self.lineage_sha256_oldest_first else { return Ok(()) };
        let newest = [Scheme::V31, Scheme::V3].into_iter().find_map(|s| signatures.signers(s).first());
        let lineage = newest.map(|signer| signer.lineage.as_slice()).unwrap_or_default();
        let lineage: Vec<String> = lineage.iter().map(|c| digest(c.sha256())).collect();
        same("lineage", expected, &json!(lineage))?;
        let rule: Vec<String> = signatures.rule_apps().into_iter().map(digest).collect();
        same("hash of a rule", &json!([expected[0]]), &json!(rule))
    }
}
