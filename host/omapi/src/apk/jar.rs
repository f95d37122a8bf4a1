//! Scheme v1: a signed JAR.
//!
//! ```text
//! META-INF/x.RSA | .DSA | .EC   PKCS #7 signed data over x.SF
//! META-INF/x.SF                 digest of the manifest, or of each of its sections
//! META-INF/MANIFEST.MF          digest of each entry
//! ```

use std::io::{Cursor, Read};

use zip::ZipArchive;

use super::archive::Archive;
use super::certificate::Certificate;
use super::verify::{verify_with, Hash, Kind};
use super::{ApkError, Scheme, Signer, Verification};

mod manifest;
mod pkcs7;

use manifest::{digest_of, Section, Sections};

const MANIFEST: &str = "META-INF/MANIFEST.MF";
/// Most a file of the signature itself may have; manifests of large apps reach a few megabytes.
const META_MAX: u64 = 32 << 20;
/// Header of the signature file by which it says which newer schemes sign the APK too.
const NEWER_SCHEMES: &str = "X-Android-APK-Signed";

/// What scheme v1 says.
pub(super) struct Jar {
    pub signers: Vec<Signer>,
    pub promised: Vec<Scheme>,
}

type Zip<'a> = ZipArchive<Cursor<&'a [u8]>>;

fn malformed(field: &'static str) -> ApkError {
    ApkError::Malformed { scheme: Scheme::V1, field }
}

fn changed(what: &str) -> ApkError {
    ApkError::Content { scheme: Scheme::V1, what: what.to_owned() }
}

/// `None` when no scheme v1 signature is there.
pub(super) fn read(archive: &Archive<'_>, verification: Verification) -> Result<Option<Jar>, ApkError> {
    let mut zip =
        ZipArchive::new(Cursor::new(archive.whole)).map_err(|_| ApkError::NotAnApk("unreadable ZIP"))?;
    // The library keeps one entry of a name. Two of one name are how a verified file hides an unverified one.
    if zip.len() != archive.entries {
        return Err(ApkError::NotAnApk("two entries have one name"));
    }
    let names: Vec<String> = zip.file_names().map(ToOwned::to_owned).collect();
    let blocks: Vec<&String> = names.iter().filter(|name| is_signature_block(name)).collect();
    if blocks.is_empty() {
        return Ok(None);
    }
    let mut jar = Jar { signers: Vec::new(), promised: Vec::new() };
    let manifest = meta(&mut zip, MANIFEST)?;
    let manifest = Sections::read(&manifest).ok_or(malformed("the manifest"))?;
    for block in blocks {
        let stem = block.rsplit_once('.').map_or(block.as_str(), |(stem, _)| stem);
        let signature_file = meta(&mut zip, &format!("{stem}.SF"))?;
        let block = meta(&mut zip, block)?;
        let signed = pkcs7::read(&block).ok_or(malformed("the signature block"))?;
        let certificate = Certificate::from_der(signed.certificate)
            .map_err(|_| ApkError::Certificate { scheme: Scheme::V1 })?;
        let sections = Sections::read(&signature_file).ok_or(malformed("the signature file"))?;
        if verification == Verification::Full {
            verify_block(&signed, &certificate, &signature_file)?;
            verify_manifest(&sections, &manifest)?;
            jar.promised.extend(promised(&sections.main));
        }
        jar.signers.push(Signer { certificate, lineage: Vec::new(), sdk: None });
    }
    if verification == Verification::Full {
        verify_entries(&mut zip, &names, &manifest)?;
    }
    Ok(Some(jar))
}

/// `META-INF/NAME.RSA`, `.DSA`, `.EC`, not in a folder below.
fn is_signature_block(name: &str) -> bool {
    meta_extension(name).is_some_and(|ext| ["RSA", "DSA", "EC"].contains(&ext.as_str()))
}

fn meta_extension(name: &str) -> Option<String> {
    let file = name.strip_prefix("META-INF/").filter(|file| !file.contains('/'))?;
    file.rsplit_once('.').map(|(_, extension)| extension.to_ascii_uppercase())
}

/// Files of the signature itself, which the manifest does not list.
fn is_meta(name: &str) -> bool {
    name == MANIFEST
        || meta_extension(name).is_some_and(|ext| ["RSA", "DSA", "EC", "SF"].contains(&ext.as_str()))
}

fn meta(zip: &mut Zip<'_>, name: &str) -> Result<Vec<u8>, ApkError> {
    let entry = zip.by_name(name).map_err(|_| malformed("META-INF"))?;
    let mut bytes = Vec::new();
    entry.take(META_MAX + 1).read_to_end(&mut bytes).map_err(|_| changed(name))?;
    if bytes.len() as u64 > META_MAX {
        return Err(malformed("META-INF"));
    }
    Ok(bytes)
}

fn verify_block(
    signed: &pkcs7::Signed<'_>,
    certificate: &Certificate,
    content: &[u8],
) -> Result<(), ApkError> {
    let scheme = Scheme::V1;
    let unknown = || ApkError::Algorithm { scheme, algorithm: hex::encode(signed.signature_algorithm) };
    let hash = pkcs7::hash(signed.digest_algorithm).ok_or_else(unknown)?;
    let kind: Kind = pkcs7::kind(signed.signature_algorithm).ok_or_else(unknown)?;
    let key = certificate.public_key();
    match &signed.attributes {
        None => verify_with(scheme, kind, hash, key, content, signed.signature),
        Some(attributes) => {
            if attributes.message_digest != hash.digest(&[content]) {
                return Err(changed("signature file"));
            }
            verify_with(scheme, kind, hash, key, &attributes.as_signed, signed.signature)
        }
    }
}

/// The signature file must vouch for the whole manifest, or for each of its sections.
fn verify_manifest(signature_file: &Sections<'_>, manifest: &Sections<'_>) -> Result<(), ApkError> {
    let main = &signature_file.main;
    if let Some((hash, digest)) = digest_of(main, "-Digest-Manifest") {
        if hash.digest(&[manifest.whole]) == digest {
            return Ok(());
        }
    }
    let vouches = |section: &Section<'_>, digest: Option<(Hash, Vec<u8>)>| {
        digest.is_some_and(|(hash, digest)| hash.digest(&[section.raw]) == digest)
    };
    if let Some(digest) = digest_of(main, "-Digest-Manifest-Main-Attributes") {
        if !vouches(&manifest.main, Some(digest)) {
            return Err(changed(MANIFEST));
        }
    }
    for (name, section) in &manifest.entries {
        let stated = signature_file.entries.get(name).and_then(|stated| digest_of(stated, "-Digest"));
        if !vouches(section, stated) {
            return Err(changed(name));
        }
    }
    if manifest.entries.is_empty() {
        return Err(changed(MANIFEST));
    }
    Ok(())
}

fn verify_entries(zip: &mut Zip<'_>, names: &[String], manifest: &Sections<'_>) -> Result<(), ApkError> {
    for name in names.iter().filter(|name| !name.ends_with('/') && !is_meta(name)) {
        let stated = manifest.entries.get(name).and_then(|section| digest_of(section, "-Digest"));
        let (hash, digest) = stated.ok_or_else(|| changed(name))?;
        let entry = zip.by_name(name).map_err(|_| changed(name))?;
        if manifest::stream_digest(hash, entry).as_deref() != Some(&digest) {
            return Err(changed(name));
        }
    }
    match manifest.entries.keys().find(|name| !names.contains(name)) {
        Some(missing) => Err(changed(missing)),
        None => Ok(()),
    }
}

fn promised(main: &Section<'_>) -> Vec<Scheme> {
    let listed = main.value(NEWER_SCHEMES).unwrap_or_default();
    listed
        .split(',')
        .filter_map(|number| match number.trim() {
            "2" => Some(Scheme::V2),
            "3" => Some(Scheme::V3),
            "31" => Some(Scheme::V31),
            _ => None,
        })
        .collect()
}
