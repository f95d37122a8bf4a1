//! Import component (JCVM 6.6): tag 4. `u1 count  package_info[count]`; the index is the package token.

use super::header::{read_package, write_package};
use super::{ComponentTag, PackageInfo};
use crate::bytes::{Reader, Writer};
use crate::error::CapError;

/// Import component.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Import {
    /// Imported packages; index = package token.
    pub packages: Vec<PackageInfo>,
}

impl Import {
    /// Reads the info of the component.
    pub fn read(info: &[u8]) -> Result<Self, CapError> {
        let mut r = Reader::new(ComponentTag::Import, info);
        let count = r.u1()?;
        let packages = r.many(usize::from(count), read_package)?;
        r.finish()?;
        Ok(Self { packages })
    }

    /// Writes the info of the component.
    pub fn write(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.count1(self.packages.len());
        for package in &self.packages {
            write_package(&mut w, package);
        }
        w.0
    }
}
