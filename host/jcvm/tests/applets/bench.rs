//! The applets below `tests/java/applets` as CAPs, and a card to put them on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use jpkise_cap::convert::{convert_all, ConvertOptions, Converted};
use jpkise_cap::exports::Platform;
use jpkise_cap::{Aid, Cap, PackageVersion};
use jpkise_jcvm::{
    default_crypto, Card, CardError, InstallRequest, NoServices, PackageSummary, Process, Profile, Random,
};

use super::support;

pub fn aid(hex: &str) -> Aid {
    hex.parse().unwrap()
}

/// Class files of all test applets; `None` without a JDK.
pub fn classes() -> Option<&'static Path> {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    if !support::has_javac() {
        println!("skipped: there is no javac on the path");
        return None;
    }
    Some(MADE.get_or_init(|| {
        let sources: Vec<(String, String)> = support::sources("applets").into_iter().collect();
        support::javac("applets", 8, &sources).unwrap_or_else(|e| panic!("{e}"))
    }))
}

/// The usual options: package AID D276000177 and two letters of the name.
pub fn options(package: &str) -> ConvertOptions {
    let name = package.as_bytes();
    let aid = Aid::new(&[0xD2, 0x76, 0x00, 0x01, 0x77, name[0], name[1]]).unwrap();
    let mut options = ConvertOptions::new(package, aid, PackageVersion::new(1, 0));
    options.target = Platform::V3_0_5;
    options
}

/// These packages, in the order given; each may use those before it.
pub fn convert(classes: &Path, options: &[ConvertOptions]) -> Vec<Converted> {
    let all = convert_all(classes, options).unwrap_or_else(|e| panic!("{}", support::lines(&e)));
    // The converter gives a package after those it imports.
    let by_aid: BTreeMap<Aid, Converted> = all.into_iter().map(|c| (c.cap.header.package.aid, c)).collect();
    options.iter().map(|o| by_aid[&o.aid].clone()).collect()
}

/// One package as a CAP.
pub fn cap(package: &str) -> Option<Cap> {
    Some(convert(classes()?, &[options(package)]).remove(0).cap)
}

pub fn card(profile: Profile) -> Card {
    Card::with(profile, default_crypto(), Random::seeded(1)).unwrap()
}

pub fn load(card: &mut Card, cap: &Cap) -> PackageSummary {
    let package = card.load_cap(cap).unwrap_or_else(|e| panic!("{e}"));
    settle(card);
    package
}

/// The registry takes over all there is.
pub fn settle(card: &mut Card) {
    let packages: Vec<Aid> = card.packages().iter().map(|p| p.aid).collect();
    let instances = card.instances();
    card.settle(&packages, &instances).unwrap();
}

pub fn install(card: &mut Card, package: Aid, module: Aid, instance: Aid) {
    let request = InstallRequest { package, module, instance, privileges: &[0], parameters: &[] };
    card.install(&request, &mut NoServices).unwrap_or_else(|e| panic!("{e}"));
    let packages: Vec<Aid> = card.packages().iter().map(|p| p.aid).collect();
    let mut instances = card.instances();
    if !instances.contains(&instance) {
        instances.push(instance);
    }
    card.settle(&packages, &instances).unwrap();
}

/// Loads, installs the module with this number under `instance`.
pub fn put(card: &mut Card, cap: &Cap, module: usize, instance: &str) -> Aid {
    let package = load(card, cap);
    install(card, package.aid, package.modules[module], aid(instance));
    aid(instance)
}

/// Data and status word in hexadecimal; a refusal by the runtime gives only its status word.
pub fn send_on(card: &mut Card, channel: u8, apdu: &[u8]) -> String {
    let process = Process { channel, contactless: false, apdu, selecting: false };
    match card.process(&process, &mut NoServices) {
        Ok(answer) => hex::encode_upper(answer),
        Err(CardError::Refused(sw)) => format!("{sw:04X}"),
        Err(other) => panic!("{}: {other}", hex::encode_upper(apdu)),
    }
}

pub fn send(card: &mut Card, apdu: &str) -> String {
    send_on(card, 0, &hex::decode(apdu.replace(' ', "")).unwrap())
}

pub fn select(card: &mut Card, channel: u8, instance: Aid) -> Result<bool, String> {
    card.select(channel, instance, &mut NoServices).map_err(|e| e.to_string())
}
