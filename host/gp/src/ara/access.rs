//! AR-DO: what a rule allows.
//!
//! ```text
//! E3 { D0 00 never | D0 01 always | D0 n x 8 bytes (4 header, 4 mask)
//!      D1 00 never | D1 01 always
//!      DB 8 bytes, Android carrier privileges }                       at least one of them
//! ```

use std::fmt;
use std::str::FromStr;

use jpkise_wire::tlv::{self, Tlv};

use super::rule::{Reading, RuleError, Twice};
use super::tag;

/// Bytes of one APDU filter.
const FILTER: usize = 8;

/// One APDU filter: a command passes when its header under the mask equals the header given.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Filter {
    /// CLA INS P1 P2 to compare with, as they stand.
    pub header: [u8; 4],
    /// Which bits of the command's header count.
    pub mask: [u8; 4],
}

impl Filter {
    /// Whether a command with this header passes. The filter's own header is not masked (SEAC section 4.2.3).
    pub fn allows(&self, command: [u8; 4]) -> bool {
        (0..4).all(|i| command[i] & self.mask[i] == self.header[i])
    }

    /// Whether any command can pass: a header bit outside the mask never matches.
    pub fn is_satisfiable(&self) -> bool {
        (0..4).all(|i| self.header[i] & !self.mask[i] == 0)
    }

    /// Whether every command that passes `other` passes this filter too.
    pub fn covers(&self, other: &Self) -> bool {
        (0..4).all(|i| self.mask[i] & !other.mask[i] == 0 && other.header[i] & self.mask[i] == self.header[i])
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", hex::encode_upper(self.header), hex::encode_upper(self.mask))
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Filter({self})")
    }
}

impl FromStr for Filter {
    type Err = RuleError;

    /// `00A40000/F0FF0000`, as people write it.
    fn from_str(text: &str) -> Result<Self, RuleError> {
        let part = |part: &str| -> Result<[u8; 4], RuleError> {
            let compact: String = part.chars().filter(|c| !c.is_whitespace()).collect();
            let bytes = hex::decode(compact).map_err(|_| RuleError::FilterText(text.to_owned()))?;
            bytes.try_into().map_err(|_| RuleError::FilterText(text.to_owned()))
        };
        let (header, mask) = text.split_once('/').ok_or_else(|| RuleError::FilterText(text.to_owned()))?;
        Ok(Self { header: part(header)?, mask: part(mask)? })
    }
}

/// One filter or more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Filters(Vec<Filter>);

impl Filters {
    /// `None` for an empty list.
    pub fn new(filters: Vec<Filter>) -> Option<Self> {
        (!filters.is_empty()).then_some(Self(filters))
    }

    /// The filters.
    pub fn as_slice(&self) -> &[Filter] {
        &self.0
    }

    /// The filter that lets a header pass, if one does.
    pub fn passing(&self, header: [u8; 4]) -> Option<&Filter> {
        self.0.iter().find(|filter| filter.allows(header))
    }
}

/// Which APDUs (APDU-AR-DO).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ApduAccess {
    /// None.
    Never,
    /// All.
    Always,
    /// Those that pass one of the filters.
    Filters(Filters),
}

impl ApduAccess {
    /// Whether a command with this header may be sent.
    pub fn allows(&self, header: [u8; 4]) -> bool {
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::Filters(filters) => filters.passing(header).is_some(),
        }
    }

    /// The value of the object.
    pub fn to_value(&self) -> Vec<u8> {
        match self {
            Self::Never => vec![0x00],
            Self::Always => vec![0x01],
            Self::Filters(filters) => filters.0.iter().flat_map(|f| [f.header, f.mask].concat()).collect(),
        }
    }

    fn read(value: &[u8], reading: Reading) -> Result<Self, RuleError> {
        match value {
            [0x00] => return Ok(Self::Never),
            [0x01] => return Ok(Self::Always),
            [] if reading == Reading::Android => return Ok(Self::Never),
            _ => {}
        }
        let malformed = RuleError::ApduArDo { length: value.len() };
        let chunks = value.chunks_exact(FILTER);
        if !chunks.remainder().is_empty() {
            return Err(malformed);
        }
        let filters = chunks
            .map(|c| Filter { header: [c[0], c[1], c[2], c[3]], mask: [c[4], c[5], c[6], c[7]] })
            .collect();
        Filters::new(filters).map(Self::Filters).ok_or(malformed)
    }
}

/// Whether the device application learns of NFC transactions with the applet (NFC-AR-DO).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NfcAccess {
    /// No.
    Never,
    /// Yes.
    Always,
}

/// Android carrier privileges (PERM-AR-DO), a bit mask that is carried and not interpreted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Permissions(pub [u8; 8]);

/// AR-DO: at least one statement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Access {
    apdu: Option<ApduAccess>,
    nfc: Option<NfcAccess>,
    permissions: Option<Permissions>,
}

impl Access {
    /// Refused when nothing is stated.
    pub fn new(
        apdu: Option<ApduAccess>,
        nfc: Option<NfcAccess>,
        permissions: Option<Permissions>,
    ) -> Result<Self, RuleError> {
        if apdu.is_none() && nfc.is_none() && permissions.is_none() {
            return Err(RuleError::EmptyAccess);
        }
        Ok(Self { apdu, nfc, permissions })
    }

    /// Access to APDUs, nothing said of NFC events.
    pub fn apdu_only(apdu: ApduAccess) -> Self {
        Self { apdu: Some(apdu), nfc: None, permissions: None }
    }

    /// What is stated of APDUs.
    pub fn apdu(&self) -> Option<&ApduAccess> {
        self.apdu.as_ref()
    }

    /// What is stated of NFC events.
    pub fn nfc(&self) -> Option<NfcAccess> {
        self.nfc
    }

    /// Carrier privileges.
    pub fn permissions(&self) -> Option<Permissions> {
        self.permissions
    }

    /// Whether a rule with this access and one with `other`, both for one reference, say opposite things: one allows
    /// what the other forbids. Filters beside always, or beside other filters, add up and are no conflict.
    pub fn conflicts_with(&self, other: &Self) -> bool {
        let never = |a: &Self| a.apdu.as_ref().map(|apdu| *apdu == ApduAccess::Never);
        let apdu = matches!((never(self), never(other)), (Some(a), Some(b)) if a != b);
        let nfc = matches!((self.nfc, other.nfc), (Some(a), Some(b)) if a != b);
        let permissions = matches!((self.permissions, other.permissions), (Some(a), Some(b)) if a != b);
        apdu || nfc || permissions
    }

    /// `E3 { … }`.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut value = Vec::new();
        if let Some(apdu) = &self.apdu {
            tlv::write(&mut value, tag::APDU_AR_DO, &apdu.to_value());
        }
        if let Some(nfc) = self.nfc {
            tlv::write(&mut value, tag::NFC_AR_DO, &[u8::from(nfc == NfcAccess::Always)]);
        }
        if let Some(Permissions(bits)) = &self.permissions {
            tlv::write(&mut value, tag::PERM_AR_DO, bits);
        }
        tlv::object(tag::AR_DO.0, &value)
    }

    /// Reads the value of an AR-DO. Objects may stand in any order; unknown ones are put into `ignored`.
    pub fn from_value(
        value: &[u8],
        reading: Reading,
        ignored: &mut Vec<tlv::Tag>,
    ) -> Result<Self, RuleError> {
        let (mut apdu, mut nfc, mut permissions) = (None, None, None);
        for object in Tlv::read_all(value)? {
            match object.tag {
                tag::APDU_AR_DO => apdu.set_once(ApduAccess::read(object.value, reading)?, object.tag)?,
                tag::NFC_AR_DO => {
                    let access = match object.value {
                        [0x00] => NfcAccess::Never,
                        [0x01] => NfcAccess::Always,
                        other => return Err(RuleError::NfcArDo { length: other.len() }),
                    };
                    nfc.set_once(access, object.tag)?;
                }
                tag::PERM_AR_DO => {
                    let bits = object
                        .value
                        .try_into()
                        .map_err(|_| RuleError::PermArDo { length: object.value.len() })?;
                    permissions.set_once(Permissions(bits), object.tag)?;
                }
                unknown => ignored.push(unknown),
            }
        }
        Self::new(apdu, nfc, permissions)
    }
}
