//! Helpers of several test files.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use std::path::PathBuf;

use jpkise_cap::convert::{convert, AppletOption, ConvertOptions};
use jpkise_cap::exports::Platform;
use jpkise_cap::{Aid, Cap, PackageVersion};
use jpkise_jcvm::{
    Caller, Card, InstallRequest, NoServices, PlatformServices, Process, Profile, Random, RustCrypto,
};

/// The folder of the JPKI applet's class files, when Maven has built them.
pub fn jpki_classes() -> Option<PathBuf> {
    let built = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../applet/jpki/target/classes"));
    let given = std::env::var_os("JPKISE_APPLET_CLASSES").map(PathBuf::from);
    let found = given.into_iter().chain([built]).find(|path| path.is_dir());
    if found.is_none() {
        println!("skipped: applet/jpki/target/classes is not built (mvn -f applet/pom.xml package)");
    }
    found
}

pub fn aid(hex: &str) -> Aid {
    hex.parse().unwrap()
}

/// The JPKI applet as a CAP.
pub fn jpki_cap() -> Option<Cap> {
    let classes = jpki_classes()?;
    let mut options =
        ConvertOptions::new("jp.jpkise.jpki", aid("D392F000264A504B01"), PackageVersion::new(1, 0));
    options.target = Platform::V3_0_4;
    options.applets =
        vec![AppletOption { class: "JpkiApplet".into(), aid: Some(aid("D392F000264A504B0101")) }];
    let converted = convert(&classes, &options).unwrap_or_else(|d| panic!("{d:?}"));
    Some(converted.cap)
}

pub fn card() -> Card {
    Card::with(Profile::default(), std::sync::Arc::new(RustCrypto), Random::seeded(1)).unwrap()
}

/// A secure channel that protects nothing: every level is reached, commands and answers pass unchanged.
#[derive(Default)]
pub struct OpenChannel;

impl PlatformServices for OpenChannel {
    fn process_security(&mut self, _: Caller, _: &[u8]) -> Result<Vec<u8>, u16> {
        Ok(vec![0; 29])
    }
    fn unwrap(&mut self, _: Caller, command: &[u8]) -> Result<Vec<u8>, u16> {
        let mut clear = command.to_vec();
        clear[0] &= !0x04;
        Ok(clear)
    }
    fn wrap(&mut self, _: Caller, answer: &[u8]) -> Result<Vec<u8>, u16> {
        Ok(answer[..answer.len() - 2].to_vec())
    }
    fn decrypt_data(&mut self, _: Caller, data: &[u8]) -> Result<Vec<u8>, u16> {
        Ok(data.to_vec())
    }
    fn encrypt_data(&mut self, _: Caller, data: &[u8]) -> Result<Vec<u8>, u16> {
        Ok(data.to_vec())
    }
    fn security_level(&mut self, _: Caller) -> u8 {
        0xB3
    }
    fn reset_security(&mut self, _: Caller) {}
    fn card_content_state(&mut self, caller: Caller) -> u8 {
        NoServices.card_content_state(caller)
    }
    fn set_card_content_state(&mut self, _: Caller, _: u8) -> bool {
        true
    }
    fn card_state(&mut self) -> u8 {
        1
    }
    fn set_atr_historical_bytes(&mut self, _: Caller, _: &[u8]) -> bool {
        false
    }
    fn lock_card(&mut self, _: Caller) -> bool {
        false
    }
    fn terminate_card(&mut self, _: Caller) -> bool {
        false
    }
}

/// A card with one applet selected on the basic channel.
pub struct Session<S> {
    pub card: Card,
    pub services: S,
}

impl<S: PlatformServices> Session<S> {
    /// Loads, installs, settles and selects.
    pub fn new(mut card: Card, mut services: S, cap: &Cap, instance: Aid, parameters: &[u8]) -> Self {
        let package = card.load_cap(cap).unwrap();
        let request = InstallRequest {
            package: package.aid,
            module: package.modules[0],
            instance,
            privileges: &[0],
            parameters,
        };
        card.install(&request, &mut services).unwrap();
        card.settle(&[package.aid], &[instance]).unwrap();
        assert!(card.select(0, instance, &mut services).unwrap());
        Self { card, services }
    }

    pub fn send(&mut self, apdu: &str) -> String {
        let apdu = hex::decode(apdu.replace(' ', "")).unwrap();
        hex::encode_upper(self.send_bytes(&apdu, false))
    }

    pub fn send_bytes(&mut self, apdu: &[u8], selecting: bool) -> Vec<u8> {
        let command = Process { channel: 0, contactless: false, apdu, selecting };
        self.card.process(&command, &mut self.services).unwrap_or_else(|e| panic!("{e}"))
    }
}
