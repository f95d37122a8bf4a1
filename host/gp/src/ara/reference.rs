//! REF-DO: the applet a rule is about and the device application it is for.
//!
//! ```text
//! E1 { 4F AID (5-16) | 4F 00 all | C0 00 default | nothing: carrier rule
//!      C1 20 or 32 bytes, or empty: every device application
//!      CA package name, carrier rules only }
//! ```

use std::fmt;

use jpkise_wire::tlv::{self, Tlv};
use jpkise_wire::Aid;

use super::rule::{RuleError, Twice};
use super::tag;

/// AID that Android gives a rule without one: it grants carrier privileges and takes no part in access to applets.
pub const CARRIER_PRIVILEGE_AID: Aid = Aid::literal([0xFF; 6]);

/// Longest package name, in bytes.
pub const PACKAGE_MAX: usize = 127;

/// Which applet (AID-REF-DO).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AidRef {
    /// The applet with exactly this AID.
    Aid(Aid),
    /// All applets that no other rule names (4F 00).
    All,
    /// The applet selected by default, when a channel is opened without an AID (C0 00).
    Default,
    /// No AID-REF-DO at all: an Android carrier rule.
    Absent,
}

impl AidRef {
    /// Whether the rule grants carrier privileges instead of access to an applet.
    pub fn is_carrier(self) -> bool {
        match self {
            Self::Absent => true,
            Self::Aid(aid) => aid == CARRIER_PRIVILEGE_AID,
            Self::All | Self::Default => false,
        }
    }

    /// Appends the object, or nothing.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Aid(aid) => tlv::write(out, tag::AID_REF_DO, aid.as_bytes()),
            Self::All => tlv::write(out, tag::AID_REF_DO, &[]),
            Self::Default => tlv::write(out, tag::AID_REF_DO_DEFAULT, &[]),
            Self::Absent => {}
        }
    }

    /// Reads an object that is one of the two forms.
    pub(super) fn read(object: &Tlv<'_>) -> Result<Self, RuleError> {
        match (object.tag, object.value) {
            (tag::AID_REF_DO, []) => Ok(Self::All),
            (tag::AID_REF_DO, value) => {
                Aid::new(value).map(Self::Aid).map_err(|_| RuleError::AidLength(value.len()))
            }
            (tag::AID_REF_DO_DEFAULT, []) => Ok(Self::Default),
            (tag::AID_REF_DO_DEFAULT, value) => Err(RuleError::AidLength(value.len())),
            (found, _) => Err(RuleError::Unexpected { expected: tag::AID_REF_DO, found }),
        }
    }
}

impl fmt::Display for AidRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aid(aid) => write!(f, "{aid}"),
            Self::All => f.write_str("all"),
            Self::Default => f.write_str("default"),
            Self::Absent => f.write_str("carrier"),
        }
    }
}

/// Which device application (DeviceAppID-REF-DO): a hash over the whole DER certificate of its signer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceApp {
    /// Every device application.
    All,
    /// SHA-1 of the certificate, or a UUID filled with FF.
    Sha1([u8; 20]),
    /// SHA-256 of the certificate (SEAC 1.1; Android from 10 on).
    Sha256([u8; 32]),
}

impl DeviceApp {
    /// From the value of the object: 0, 20 or 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RuleError> {
        if bytes.is_empty() {
            return Ok(Self::All);
        }
        if let Ok(hash) = bytes.try_into() {
            return Ok(Self::Sha1(hash));
        }
        bytes.try_into().map(Self::Sha256).map_err(|_| RuleError::HashLength(bytes.len()))
    }

    /// A system service without a package: its UUID, filled with FF to 20 bytes.
    pub fn from_uuid(uuid: [u8; 16]) -> Self {
        let mut value = [0xFF; 20];
        value[..16].copy_from_slice(&uuid);
        Self::Sha1(value)
    }

    /// The value of the object.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::All => &[],
            Self::Sha1(hash) => hash,
            Self::Sha256(hash) => hash,
        }
    }

    /// Appends the object.
    pub fn write(&self, out: &mut Vec<u8>) {
        tlv::write(out, tag::DEVICE_APP_ID_REF_DO, self.as_bytes());
    }
}

impl fmt::Display for DeviceApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Sha1(hash) => write!(f, "sha1:{}", hex::encode(hash)),
            Self::Sha256(hash) => write!(f, "sha256:{}", hex::encode(hash)),
        }
    }
}

impl fmt::Debug for DeviceApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceApp({self})")
    }
}

/// An Android package name: 1 to 127 ASCII letters, digits, underscores and dots.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageName(String);

impl PackageName {
    /// Checks the characters and the length.
    pub fn new(name: &str) -> Result<Self, RuleError> {
        let allowed = |c: u8| c.is_ascii_alphanumeric() || c == b'.' || c == b'_';
        if name.is_empty() || name.len() > PACKAGE_MAX || !name.bytes().all(allowed) {
            return Err(RuleError::PackageName);
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// REF-DO. Rules are merged only when these are equal, byte by byte.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    aid: AidRef,
    device_app: DeviceApp,
    package: Option<PackageName>,
}

impl Reference {
    /// A reference to an applet.
    pub fn new(aid: AidRef, device_app: DeviceApp) -> Self {
        Self { aid, device_app, package: None }
    }

    /// A carrier reference that also names the package; refused for any other AID, as Android does.
    pub fn with_package(
        aid: AidRef,
        device_app: DeviceApp,
        package: Option<PackageName>,
    ) -> Result<Self, RuleError> {
        if package.is_some() && !aid.is_carrier() {
            return Err(RuleError::PackageWithAid);
        }
        Ok(Self { aid, device_app, package })
    }

    /// Which applet.
    pub fn aid(&self) -> AidRef {
        self.aid
    }

    /// Which device application.
    pub fn device_app(&self) -> &DeviceApp {
        &self.device_app
    }

    /// Which package, in carrier rules.
    pub fn package(&self) -> Option<&PackageName> {
        self.package.as_ref()
    }

    /// `E1 { … }`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut value = Vec::new();
        self.aid.write(&mut value);
        self.device_app.write(&mut value);
        if let Some(package) = &self.package {
            tlv::write(&mut value, tag::PKG_REF_DO, package.0.as_bytes());
        }
        tlv::object(tag::REF_DO.0, &value)
    }

    /// Reads the value of a REF-DO. Objects may stand in any order; unknown ones are put into `ignored`.
    pub fn from_value(value: &[u8], ignored: &mut Vec<tlv::Tag>) -> Result<Self, RuleError> {
        let (mut aid, mut device_app, mut package) = (None, None, None);
        for object in Tlv::read_all(value)? {
            match object.tag {
                tag::AID_REF_DO | tag::AID_REF_DO_DEFAULT => {
                    aid.set_once(AidRef::read(&object)?, object.tag)?;
                }
                tag::DEVICE_APP_ID_REF_DO => {
                    device_app.set_once(DeviceApp::from_bytes(object.value)?, object.tag)?;
                }
                tag::PKG_REF_DO => {
                    let name = std::str::from_utf8(object.value).map_err(|_| RuleError::PackageName)?;
                    package.set_once(PackageName::new(name)?, object.tag)?;
                }
                unknown => ignored.push(unknown),
            }
        }
        let device_app = device_app.ok_or(RuleError::Missing(tag::DEVICE_APP_ID_REF_DO))?;
        Self::with_package(aid.unwrap_or(AidRef::Absent), device_app, package)
    }
}
