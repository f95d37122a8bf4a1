//! The apps of the demonstration: one APK, signed with a throw-away key, and the same APK signed again with another. Made for
//! the access control vectors; they carry no code.

use jpkise_gp::ara::{Access, AidRef, ApduAccess, DeviceApp, NfcAccess, Reference, Rule};
use jpkise_jpki::edge::INSTANCE_AID;
use jpkise_omapi::ace::App;
use jpkise_omapi::apk::{ApkError, ApkSignatures, Verification};
use jpkise_omapi::preset::{presets, JPKI_USER};

/// The app whose certificate the SP has told the SEI-TSM.
const LISTED_APK: &[u8] = include_bytes!("../../omapi/tests/data/apk/rsa-v1v2v3.apk");
/// The same app, taken apart and signed by somebody else.
const RESIGNED_APK: &[u8] = include_bytes!("../../omapi/tests/data/apk/ec-v2only.apk");
/// Its name.
const PACKAGE: &str = "jp.jpkise.example";

/// An app of the demonstration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DemoApp {
    /// The rules name its certificate.
    Listed,
    /// The listed app, signed again with another key.
    Resigned,
    /// An app nobody has heard of.
    Unlisted,
}

impl DemoApp {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Listed, Self::Resigned, Self::Unlisted];

    /// Stable name, as in the summary and in message keys.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::Resigned => "resigned",
            Self::Unlisted => "unlisted",
        }
    }

    /// As the enforcer sees it: the APK's signatures are verified, the hashes are those Android would try.
    pub fn app(self) -> Result<App, ApkError> {
        let hashes = match self {
            Self::Listed => ApkSignatures::read(LISTED_APK, Verification::Full)?.hashes(),
            Self::Resigned => ApkSignatures::read(RESIGNED_APK, Verification::Full)?.hashes(),
            Self::Unlisted => vec![DeviceApp::Sha1([0x5A; 20]), DeviceApp::Sha256([0x5A; 32])],
        };
        let package = if self == Self::Unlisted { "jp.example.other" } else { PACKAGE };
        Ok(App { package: package.to_owned(), hashes, privileged: false })
    }
}

/// The whitelist that comes with the JPKI applet: the listed app may send what users send, and learns of no NFC event.
pub fn rules() -> Result<Vec<Rule>, ApkError> {
    let apps = ApkSignatures::read(LISTED_APK, Verification::Full)?.rule_apps();
    // The preset is made from a table that is not empty; without it nothing would be allowed.
    let apdu = presets().remove(JPKI_USER).map_or(ApduAccess::Never, ApduAccess::Filters);
    let rule = |app| {
        let access = Access::new(Some(apdu.clone()), Some(NfcAccess::Never), None);
        let access = access.unwrap_or_else(|_| Access::apdu_only(ApduAccess::Never));
        Rule::new(Reference::new(AidRef::Aid(INSTANCE_AID), app), access)
    };
    Ok(apps.into_iter().map(rule).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resigned_app_has_other_hashes_than_the_listed_one() {
        let [listed, resigned, unlisted] = DemoApp::ALL.map(|app| app.app().unwrap());
        assert_eq!(listed.package, resigned.package);
        assert!(listed.hashes.iter().all(|h| !resigned.hashes.contains(h) && !unlisted.hashes.contains(h)));
        let rules = rules().unwrap();
        assert!(rules.iter().all(|rule| listed.hashes.contains(rule.reference.device_app())));
        assert!(matches!(rules[0].access.apdu(), Some(ApduAccess::Filters(_))));
    }
}
