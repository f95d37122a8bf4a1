mod file;
mod paging;
mod plan;
mod properties;

use super::{Access, AidRef, ApduAccess, DeviceApp, Filter, Filters, NfcAccess, Reference, Rule};

/// A rule as tests write it.
pub(in crate::ara) fn rule(aid: &str, app: u8, apdu: &str, nfc: Option<bool>) -> Rule {
    let aid = match aid {
        "all" => AidRef::All,
        "default" => AidRef::Default,
        hex => AidRef::Aid(hex.parse().unwrap()),
    };
    let app = if app == 0 { DeviceApp::All } else { DeviceApp::Sha1([app; 20]) };
    let apdu = match apdu {
        "" => None,
        "never" => Some(ApduAccess::Never),
        "always" => Some(ApduAccess::Always),
        filters => {
            let filters: Vec<Filter> = filters.split(' ').map(|f| f.parse().unwrap()).collect();
            Filters::new(filters).map(ApduAccess::Filters)
        }
    };
    let nfc = nfc.map(|always| if always { NfcAccess::Always } else { NfcAccess::Never });
    Rule::new(Reference::new(aid, app), Access::new(apdu, nfc, None).unwrap())
}

pub(in crate::ara) const JPKI: &str = "D392F000260100000001";
