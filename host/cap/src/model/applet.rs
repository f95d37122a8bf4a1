//! Applet component (JCVM 6.5): tag 3. `u1 count  { aid  u2 install_method_offset }[count]`

use super::{Aid, ComponentTag};
use crate::bytes::{Reader, Writer};
use crate::error::CapError;

/// Applet component.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applet {
    /// The applets (modules, in GlobalPlatform's words) of the package.
    pub applets: Vec<AppletEntry>,
}

/// One applet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppletEntry {
    /// Applet AID.
    pub aid: Aid,
    /// Offset of `install(byte[],short,byte)` in the info of the Method component.
    pub install_method_offset: u16,
}

impl Applet {
    /// Reads the info of the component.
    pub fn read(info: &[u8]) -> Result<Self, CapError> {
        let mut r = Reader::new(ComponentTag::Applet, info);
        let count = r.u1()?;
        let applets = r.many(usize::from(count), |r| {
            Ok(AppletEntry { aid: r.aid()?, install_method_offset: r.u2()? })
        })?;
        r.finish()?;
        Ok(Self { applets })
    }

    /// Writes the info of the component.
    pub fn write(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.count1(self.applets.len());
        for applet in &self.applets {
            w.aid(&applet.aid);
            w.u2(applet.install_method_offset);
        }
        w.0
    }
}
