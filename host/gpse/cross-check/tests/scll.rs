//! A GlobalPlatform host that was not written here, the scll crate, manages the simulated card.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../tests/common/mod.rs"]
mod common;

use common::bench::{ARA, ARA_MODULE, JPKI, JPKI_MODULE, JPKI_PACKAGE};
use common::stub::{Stub, MODULE, PACKAGE};
use common::{unhex, ISD, TEST_KEY};
use jpkise_cap::{Cap, LoadOptions};
use jpkise_card::Transport as _;
use jpkise_gpse::profile::key_version;
use jpkise_gpse::runtime::jcvm;
use jpkise_gpse::{GpSe, Jcvm, Profile};
use jpkise_wire::scp03::IParameter;
use rand::rngs::OsRng;
use scll::backend::{KeyBackend, KeyKind};
use scll::backend_rustcrypto::RustCryptoBackend;
use scll::cap::InflateCtx;
use scll::error::ScllError;

use scll::model::ScpVariant;
use scll::report::{CardLifeCycle, DeleteCascade, ScpTargetKind};
use scll::transport::{AtrAts, Transport, TransportCaps, TransportError, TransportProtocol};
use scll::workflow::{
    CreateSsdArgs, DeleteAppletArgs, InstallAppletArgs, LoadPackageArgs, NewKeyset, OpenScpArgs,
    PutSdKeysArgs, SdKeys, SetCardStatusArgs,
};
use scll::CardManager;
use sha2::{Digest, Sha256};

const SP: &str = "A00000015153504A504B49";
const ONE: &str = "F04A504B4900000001";

/// The simulated card as the other project's transport.
struct Adapter(GpSe);

impl Transport for Adapter {
    fn transmit(&mut self, command: &[u8]) -> Result<heapless::Vec<u8, 258>, TransportError> {
        let answer = self.0.transmit(command).map_err(|_| TransportError::CardRemoved)?;
        heapless::Vec::from_slice(&answer).map_err(|()| TransportError::ProtocolError)
    }
    fn capabilities(&self) -> TransportCaps {
        let protocol = TransportProtocol::T1;
        TransportCaps { handles_t0_get_response: false, protocol, contactless: false }
    }
    fn reset(&mut self) -> Result<AtrAts, TransportError> {
        let atr = self.0.reset().map_err(|_| TransportError::ReaderGone)?;
        let bytes = heapless::Vec::from_slice(&atr).map_err(|()| TransportError::ProtocolError)?;
        Ok(AtrAts { bytes, protocol: TransportProtocol::T1 })
    }
    fn protocol(&self) -> TransportProtocol {
        TransportProtocol::T1
    }
    fn is_connected(&self) -> bool {
        true
    }
}

type Manager = CardManager<Adapter, RustCryptoBackend<OsRng>>;

fn manager(profile: Profile) -> Manager {
    manager_of(GpSe::in_memory(profile, Box::new(Stub::default())).unwrap())
}

fn manager_of(card: GpSe) -> Manager {
    CardManager::new(Adapter(card), RustCryptoBackend::new(OsRng))
}

fn kind(length: usize) -> KeyKind {
    match length {
        16 => KeyKind::Aes128,
        24 => KeyKind::Aes192,
        _ => KeyKind::Aes256,
    }
}

fn import(manager: &Manager, key: &[u8]) -> SdKeys {
    let one = || manager.backend().import_key(kind(key.len()), key).unwrap();
    SdKeys { enc: one(), mac: one(), dek: one() }
}

fn open(manager: &mut Manager, aid: &str, keys: SdKeys, kvn: u8, i: u8, level: u8) -> Result<u8, ScllError> {
    let aid = unhex(aid);
    let scp = ScpVariant::Scp03 { i_param: i };
    let args = OpenScpArgs {
        target_aid: &aid,
        target_kind: ScpTargetKind::SecurityDomainAid,
        sd_keys: keys,
        advertised: &[scp],
        force_scp: Some(scp),
        kvn,
        requested_level: level,
    };
    manager.open_scp(&args).map(|opened| opened.security_level_effective)
}

#[test]
fn it_discovers_what_the_card_is() {
    let mut manager = manager(Profile::default());
    let info = manager.discover(None).unwrap();
    assert_eq!(info.isd_aid.as_bytes(), unhex(ISD));
    assert!(info.scp_supported.contains(&ScpVariant::Scp03 { i_param: 0x70 }), "{:?}", info.scp_supported);
}

#[test]
fn it_opens_sessions_of_every_level_and_key_length() {
    for length in [16usize, 24, 32] {
        for i in [0x00, 0x10, 0x20, 0x30, 0x60, 0x70] {
            let parameter = IParameter::new(i).unwrap();
            for level in [0x01, 0x03, 0x11, 0x13, 0x33] {
                let key: Vec<u8> = (0x40..).take(length).collect();
                let set = key_version(0x30, &key, &key, &key).unwrap();
                let mut manager = manager(Profile::default().with_keys(set).with_i(parameter));
                let keys = import(&manager, &key);
                let effective = open(&mut manager, ISD, keys, 0x30, i, level).unwrap();
                // It asks for no more than i offers.
                assert!(
                    effective <= level && effective & 0x03 == level & 0x03,
                    "{i:02X} {level:02X} {effective:02X}"
                );
                for _ in 0..2 {
                    let status = manager.get_card_status(&unhex(ISD)).unwrap();
                    assert_eq!(status.state, CardLifeCycle::OpReady, "i {i:02X} level {level:02X}");
                }
            }
        }
    }
}

#[test]
fn it_finds_a_card_with_other_keys_before_it_authenticates() {
    let mut manager = manager(Profile::default());
    let keys = import(&manager, &[9; 16]);
    let error = open(&mut manager, ISD, keys, 0x30, 0x70, 0x33).unwrap_err();
    assert!(matches!(error, ScllError::CardCryptogramFail), "{error:?}");
}

#[test]
fn it_creates_keys_and_deletes_a_domain_with_an_applet() {
    let (isd, sp, one) = (unhex(ISD), unhex(SP), unhex(ONE));
    let (package, module) = (unhex(PACKAGE), unhex(MODULE));
    let mut manager = manager(Profile::default());
    let factory = import(&manager, &unhex(TEST_KEY));
    open(&mut manager, ISD, factory, 0x30, 0x70, 0x33).unwrap();
    manager
        .create_ssd(&CreateSsdArgs {
            parent_sd_aid: &isd,
            ssd_aid: &sp,
            elf_aid: &unhex("A0000001515350"),
            module_aid: &unhex("A000000151535041"),
            // Security domain with trusted path and authorised management.
            privileges: [0x80, 0xC0, 0x00],
            install_params: &unhex("C9 0C 81020370 82022020 87022020"),
        })
        .unwrap();
    // Its first keys, over a channel that rests on its parent's.
    for length in [16usize, 24, 32] {
        let kvn = 0x30 + u8::try_from(length).unwrap();
        open(&mut manager, SP, factory, 0x30, 0x70, 0x33).unwrap();
        let fresh: Vec<u8> = (1..).take(length).collect();
        let new = import(&manager, &fresh);
        let (enc, mac, dek) = (new.enc, new.mac, new.dek);
        let new_keys = NewKeyset { enc, mac, dek, kind: kind(length) };
        let args = PutSdKeysArgs { dek: factory.dek, new_keys, new_kvn: kvn, target_sd_aid: &sp };
        manager.put_sd_keys(&args).unwrap();
        open(&mut manager, SP, new, kvn, 0x70, 0x33).unwrap();
        // The last set of a supplementary domain may go: its parent's keys serve it again.
        manager.delete_sd_keyset(kvn, &sp).unwrap();
    }
    open(&mut manager, SP, factory, 0x30, 0x70, 0x33).unwrap();
    let applet = InstallAppletArgs {
        parent_sd_aid: &sp,
        package_aid: &package,
        module_aid: &module,
        instance_aid: &one,
        privileges: [0, 0, 0],
        system_install_params: &[],
        applet_install_params: &[],
    };
    manager.install_applet(&applet).unwrap();
    open(&mut manager, ISD, factory, 0x30, 0x70, 0x33).unwrap();
    let inventory = manager.get_card_inventory(&isd).unwrap().inventory;
    let text = format!("{inventory:?}");
    assert_eq!(
        (inventory.security_domains.len(), inventory.applets.len(), inventory.elfs.len()),
        (2, 1, 2),
        "{text}"
    );
    assert!(matches!(manager.delete_ssd(&sp, DeleteCascade::Never), Err(_)), "it still holds an applet");
    let delete = DeleteAppletArgs { instance_aid: &one, elf_aid: None, cascade_elf: DeleteCascade::Never };
    manager.delete_applet(&delete).unwrap();
    manager.delete_ssd(&sp, DeleteCascade::Never).unwrap();
    let inventory = manager.get_card_inventory(&isd).unwrap().inventory;
    assert_eq!((inventory.security_domains.len(), inventory.applets.len()), (1, 0));
}

#[test]
fn it_locks_and_unlocks_the_card() {
    let isd = unhex(ISD);
    let mut manager = manager(Profile::default());
    let keys = import(&manager, &unhex(TEST_KEY));
    open(&mut manager, ISD, keys, 0x30, 0x70, 0x03).unwrap();
    for state in [
        CardLifeCycle::Initialized,
        CardLifeCycle::Secured,
        CardLifeCycle::CardLocked,
        CardLifeCycle::Secured,
    ] {
        let args =
            SetCardStatusArgs { target_state: state, current_state: None, force: false, isd_aid: &isd };
        manager.set_card_status(&args).unwrap();
        assert_eq!(manager.get_card_status(&isd).unwrap().state, state);
    }
}

/// A CAP that travels with the project.
fn dist(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../applet/dist");
    std::fs::read(std::path::Path::new(folder).join(name)).unwrap()
}

#[test]
fn it_loads_the_applets_caps_and_installs_from_them() {
    let isd = unhex(ISD);
    let runtime = Jcvm::new(&jcvm::Options::default(), &[]).unwrap();
    let mut manager = manager_of(GpSe::on_jcvm(Profile::default(), runtime).unwrap());
    let keys = import(&manager, &unhex(TEST_KEY));
    open(&mut manager, ISD, keys, 0x30, 0x70, 0x33).unwrap();
    let mut window = InflateCtx::new();
    for cap in [dist("jpki.cap"), dist("ara.cap")] {
        // It sends Descriptor along, which most hosts leave out.
        let options = LoadOptions { descriptor: true, debug: false };
        let file = Cap::read(&cap).unwrap().load_file_data_block(options);
        let hash = Sha256::digest(&file);
        let mut load = |hash: &[u8]| {
            let args = LoadPackageArgs { target_sd_aid: &isd, cap_zip: &cap, lfdb_hash: hash };
            manager.load_package(&args, &mut window)
        };
        load(&[0x5A; 32]).unwrap_err();
        let report = load(&hash).unwrap();
        assert_eq!(report.effective.load_file_size as usize, file.len() + 4);
        load(&hash).unwrap_err();
    }
    for (module, instance) in [(JPKI_MODULE, JPKI), (ARA_MODULE, ARA)] {
        let applet = InstallAppletArgs {
            parent_sd_aid: &isd,
            package_aid: &unhex(&module[..module.len() - 2]),
            module_aid: &unhex(module),
            instance_aid: &unhex(instance),
            privileges: [0, 0, 0],
            system_install_params: &[],
            applet_install_params: &[],
        };
        manager.install_applet(&applet).unwrap();
    }
    let inventory = manager.get_card_inventory(&isd).unwrap().inventory;
    assert_eq!((inventory.applets.len(), inventory.elfs.len()), (2, 3), "{inventory:?}");
    let package = unhex(JPKI_PACKAGE);
    let delete = DeleteAppletArgs {
        instance_aid: &unhex(JPKI),
        elf_aid: Some(&package),
        cascade_elf: DeleteCascade::Always,
    };
    manager.delete_applet(&delete).unwrap();
    let inventory = manager.get_card_inventory(&isd).unwrap().inventory;
    assert_eq!((inventory.applets.len(), inventory.elfs.len()), (1, 2), "{inventory:?}");
}
