//! The APK signing block and the signers of schemes v2, v3 and v3.1 in it.
//!
//! ```text
//! size (8) | { length (8), id (4), value } … | size (8) | "APK Sig Block 42"        all numbers little-endian
//! v2 value    [ signer { signed data, [ { algorithm, signature } ], public key } ]   [ ] and { } behind a length (4)
//! v3 value    the same with minimum and maximum SDK (4 each) behind the signed data
//! signed data [ { algorithm, digest } ], [ certificate ], (v3: SDKs,) [ { id (4), value } ]
//! ```

use super::archive::{Archive, Fields};
use super::certificate::Certificate;
use super::{lineage, ApkError, Scheme, Signer, Verification};

pub(super) const ID_V2: u32 = 0x7109_871A;
pub(super) const ID_V3: u32 = 0xF053_68C0;
pub(super) const ID_V31: u32 = 0x1B93_AD61;

const MAGIC: &[u8] = b"APK Sig Block 42";
/// Second size field and magic.
const FOOTER: usize = 8 + 16;
/// First size field.
const HEADER: usize = 8;

/// Attribute of a v2 signer: the scheme that must be there too.
const ATTRIBUTE_STRIPPING_PROTECTION: u32 = 0xBEEF_F00D;
/// Attribute of a v3 signer: the lineage of its keys.
const ATTRIBUTE_LINEAGE: u32 = 0x3BA0_6F8C;
/// Attribute of a v3 signer: v3.1 must be there for newer Android versions.
const ATTRIBUTE_ROTATION_MIN_SDK: u32 = 0x559F_8B02;

/// The signing block; without one, `pairs` is empty.
#[derive(Debug, Clone)]
pub(super) struct Block<'a> {
    /// Offset in the file.
    pub start: usize,
    pairs: Vec<(u32, &'a [u8])>,
}

impl<'a> Block<'a> {
    pub(super) fn read(archive: &Archive<'a>) -> Result<Self, ApkError> {
        let before = archive.before_directory;
        let none = Self { start: before.len(), pairs: Vec::new() };
        let Some((content, footer)) = before.split_last_chunk::<FOOTER>() else {
            return Ok(none);
        };
        if &footer[8..] != MAGIC {
            return Ok(none);
        }
        let lies = ApkError::Block("its size does not fit the file");
        let mut fields = Fields(&footer[..8]);
        let size = fields.u64().and_then(|size| usize::try_from(size).ok()).ok_or(lies.clone())?;
        let pairs_length = size.checked_sub(FOOTER).ok_or(lies.clone())?;
        let pairs_start = content.len().checked_sub(pairs_length).ok_or(lies.clone())?;
        let start = pairs_start.checked_sub(HEADER).ok_or(lies.clone())?;
        let mut head = Fields(&content[start..pairs_start]);
        if head.u64().and_then(|first| usize::try_from(first).ok()) != Some(size) {
            return Err(ApkError::Block("its two size fields differ"));
        }
        let mut pairs: Vec<(u32, &[u8])> = Vec::new();
        let mut rest = Fields(&content[pairs_start..]);
        while !rest.0.is_empty() {
            let cut = ApkError::Block("a pair reaches beyond the block");
            let length = rest.u64().and_then(|n| usize::try_from(n).ok()).ok_or(cut.clone())?;
            let mut pair = Fields(rest.take(length).ok_or(cut.clone())?);
            let id = pair.u32().ok_or(cut)?;
            if [ID_V2, ID_V3, ID_V31].contains(&id) && pairs.iter().any(|(other, _)| *other == id) {
                return Err(ApkError::Block("a scheme stands twice"));
            }
            pairs.push((id, pair.0));
        }
        Ok(Self { start, pairs })
    }

    pub(super) fn value(&self, id: u32) -> Option<&'a [u8]> {
        self.pairs.iter().find(|(other, _)| *other == id).map(|(_, value)| *value)
    }
}

/// One signer as it stands in the block.
#[derive(Debug, Clone)]
pub(super) struct BlockSigner<'a> {
    pub signed_data: &'a [u8],
    pub digests: Vec<(u32, &'a [u8])>,
    pub signatures: Vec<(u32, &'a [u8])>,
    pub certificate: Certificate,
    pub public_key: &'a [u8],
    pub sdk: Option<(u32, u32)>,
    /// The scheme that an attribute says must be there too.
    pub promised: Option<Scheme>,
    lineage: Option<&'a [u8]>,
}

impl BlockSigner<'_> {
    pub(super) fn read(&self, scheme: Scheme, verification: Verification) -> Result<Signer, ApkError> {
        let lineage = match self.lineage {
            Some(bytes) => lineage::read(scheme, bytes, &self.certificate, verification)?,
            None => Vec::new(),
        };
        Ok(Signer { certificate: self.certificate.clone(), lineage, sdk: self.sdk })
    }
}

/// The signers of a scheme's value, at least one.
pub(super) fn signers(scheme: Scheme, value: &[u8]) -> Result<Vec<BlockSigner<'_>>, ApkError> {
    let malformed = |field| ApkError::Malformed { scheme, field };
    let mut outer = Fields(value);
    let list = outer.prefixed().filter(|_| outer.0.is_empty()).ok_or(malformed("the list of signers"))?;
    let entries = Fields(list).all_prefixed().ok_or(malformed("a signer"))?;
    if entries.is_empty() {
        return Err(malformed("the list of signers"));
    }
    entries.into_iter().map(|entry| signer(scheme, entry)).collect()
}

fn signer(scheme: Scheme, bytes: &[u8]) -> Result<BlockSigner<'_>, ApkError> {
    let malformed = |field| ApkError::Malformed { scheme, field };
    let has_sdk = scheme != Scheme::V2;
    let mut fields = Fields(bytes);
    let signed_data = fields.prefixed().ok_or(malformed("the signed data"))?;
    let sdk_of = |fields: &mut Fields<'_>| -> Option<Option<(u32, u32)>> {
        Some(if has_sdk { Some((fields.u32()?, fields.u32()?)) } else { None })
    };
    let sdk = sdk_of(&mut fields).ok_or(malformed("the SDK range"))?;
    let signatures = fields.prefixed().and_then(numbered).ok_or(malformed("the signatures"))?;
    let public_key = fields.prefixed().ok_or(malformed("the public key"))?;
    if !fields.0.is_empty() {
        return Err(malformed("the signer"));
    }

    let mut data = Fields(signed_data);
    let digests = data.prefixed().and_then(numbered).ok_or(malformed("the digests"))?;
    let certificates = data.prefixed().and_then(|c| Fields(c).all_prefixed());
    let first = certificates.and_then(|all| all.first().copied()).ok_or(malformed("the certificates"))?;
    let certificate = Certificate::from_der(first).map_err(|_| ApkError::Certificate { scheme })?;
    // Outside the signed data the range is not protected; they must say the same.
    if sdk_of(&mut data).ok_or(malformed("the SDK range"))? != sdk {
        return Err(malformed("the SDK range"));
    }
    let attributes =
        data.prefixed().and_then(|a| Fields(a).all_prefixed()).ok_or(malformed("the attributes"))?;
    let (mut promised, mut lineage) = (None, None);
    for attribute in attributes {
        let mut attribute = Fields(attribute);
        match attribute.u32().ok_or(malformed("an attribute"))? {
            ATTRIBUTE_STRIPPING_PROTECTION if scheme == Scheme::V2 => {
                promised = (attribute.u32() == Some(3)).then_some(Scheme::V3);
            }
            ATTRIBUTE_ROTATION_MIN_SDK if scheme == Scheme::V3 => promised = Some(Scheme::V31),
            ATTRIBUTE_LINEAGE if has_sdk => lineage = Some(attribute.0),
            _ => {}
        }
    }
    Ok(BlockSigner { signed_data, digests, signatures, certificate, public_key, sdk, promised, lineage })
}

/// `[ { number (4), bytes } ]`.
fn numbered(list: &[u8]) -> Option<Vec<(u32, &[u8])>> {
    let entries = Fields(list).all_prefixed()?;
    let entry = |bytes| {
        let mut fields = Fields(bytes);
        Some((fields.u32()?, fields.prefixed()?))
    };
    entries.into_iter().map(entry).collect()
}
