//! Header component (JCVM 6.3): tag 1.
//!
//! ```text
//! u4 magic  u1 minor  u1 major  u1 flags  package_info  { format >= 2.2: u1 length  u1 name[] }
//! ```

use super::{ComponentTag, FormatVersion, PackageInfo, PackageVersion};
use crate::bytes::{Reader, Writer};
use crate::error::{CapError, FormatRule};

/// First four bytes of the info.
pub const MAGIC: u32 = 0xDECA_FFED;
/// ACC_INT: the package uses int.
pub const FLAG_INT: u8 = 1;
/// ACC_EXPORT: there is an Export component.
pub const FLAG_EXPORT: u8 = 2;
/// ACC_APPLET: there is an Applet component.
pub const FLAG_APPLET: u8 = 4;
/// ACC_EXTENDED (2.3): several packages or more than 64 KiB of code; refused.
pub const FLAG_EXTENDED: u8 = 8;

/// Header component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// CAP format version.
    pub format: FormatVersion,
    /// Sum of `FLAG_…`.
    pub flags: u8,
    /// The package this CAP file holds.
    pub package: PackageInfo,
    /// Package name with slashes; from 2.2 on, and only remote or debugged packages carry one. `Some` with no bytes
    /// and `None` differ in the file.
    pub package_name: Option<Vec<u8>>,
}

impl Header {
    /// Whether the package declares the use of int.
    pub fn uses_int(&self) -> bool {
        self.flags & FLAG_INT != 0
    }

    /// Reads the info of the component.
    pub fn read(info: &[u8]) -> Result<Self, CapError> {
        let mut r = Reader::new(ComponentTag::Header, info);
        let magic = r.u4()?;
        if magic != MAGIC {
            return Err(r.error_at(0, FormatRule::Magic(magic)));
        }
        let (minor, major) = (r.u1()?, r.u1()?);
        let Some(format) = FormatVersion::from_numbers(major, minor) else {
            return Err(r.error_at(4, FormatRule::FormatVersion { major, minor }));
        };
        let flags = r.u1()?;
        if flags & FLAG_EXTENDED != 0 {
            return Err(r.error_at(6, FormatRule::ExtendedFormat));
        }
        let package = read_package(&mut r)?;
        let package_name = if format >= FormatVersion::V2_2 && r.remaining() > 0 {
            let len = r.u1()?;
            Some(r.take(usize::from(len))?.to_vec())
        } else {
            None
        };
        r.finish()?;
        Ok(Self { format, flags, package, package_name })
    }

    /// Writes the info of the component.
    pub fn write(&self) -> Vec<u8> {
        let mut w = Writer::default();
        let (major, minor) = self.format.numbers();
        w.u4(MAGIC);
        w.u1(minor);
        w.u1(major);
        w.u1(self.flags);
        write_package(&mut w, &self.package);
        if let Some(name) = &self.package_name {
            w.count1(name.len());
            w.bytes(name);
        }
        w.0
    }
}

pub(super) fn read_package(r: &mut Reader<'_>) -> Result<PackageInfo, CapError> {
    let (minor, major) = (r.u1()?, r.u1()?);
    Ok(PackageInfo { version: PackageVersion { major, minor }, aid: r.aid()? })
}

pub(super) fn write_package(w: &mut Writer, package: &PackageInfo) {
    w.u1(package.version.minor);
    w.u1(package.version.major);
    w.aid(&package.aid);
}
