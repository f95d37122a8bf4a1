//! The probe applets and the JPKI applet behind the card manager, on either runtime.

use std::path::{Path, PathBuf};

use jpkise_cap::convert::{convert, AppletOption, ConvertOptions};
use jpkise_cap::PackageVersion;
use jpkise_gpse::runtime::{jcardsim, jcvm};
use jpkise_gpse::{GpSe, JCardSim, Jcvm, Profile};

use super::{case4, lv, send, status, Host};

pub const PROBE_PACKAGE: &str = "F04A504B4950524F";
pub const PROBE: &str = "F04A504B4950524F01";
pub const MANY_PACKAGE: &str = "F04A504B494D414E";
pub const MANY: &str = "F04A504B494D414E01";
pub const ONE: &str = "F04A504B4900000001";
pub const TWO: &str = "F04A504B4900000002";
pub const JPKI_PACKAGE: &str = "D392F000264A504B01";
pub const JPKI_MODULE: &str = "D392F000264A504B0101";
pub const ARA_MODULE: &str = "A00000015141434C00";
pub const ARA: &str = "A00000015141434C00";
pub const JPKI: &str = "D392F000260100000001";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The CAP that travels with the project.
pub fn jpki_cap() -> Vec<u8> {
    std::fs::read(root().join("applet/dist/jpki.cap")).unwrap()
}

/// The other one, the ARA-M.
pub fn ara_cap() -> Vec<u8> {
    std::fs::read(root().join("applet/dist/ara.cap")).unwrap()
}

fn probe_classes() -> Option<PathBuf> {
    let classes = root().join("jcardsim-tests/runtime/target/test-classes");
    if classes.is_dir() {
        return Some(classes);
    }
    println!("skipped: {} is not built", classes.display());
    None
}

/// Where jCardSim and the probe's class files are; `None`, after one clear line, where they are not built.
pub fn jcardsim_options() -> Option<jcardsim::Options> {
    let jar =
        std::env::var_os("JPKISE_JCARDSIM").map_or_else(|| root().join(jcardsim::JAR_PATH), PathBuf::from);
    if !jar.is_file() {
        println!("skipped: {} is not built", jar.display());
        return None;
    }
    let mut options = jcardsim::Options::new(jar);
    options.class_path.push(probe_classes()?);
    options.class_path.push(root().join("applet/ara/target/classes"));
    Some(options)
}

fn converted(classes: &Path, package: &str, aid: &str, version: (u8, u8), applet: (&str, &str)) -> Vec<u8> {
    let version = PackageVersion::new(version.0, version.1);
    let mut options = ConvertOptions::new(package, aid.parse().unwrap(), version);
    options.applets = vec![AppletOption { class: applet.0.into(), aid: Some(applet.1.parse().unwrap()) }];
    let converted = convert(classes, &options).unwrap_or_else(|d| panic!("{d:?}"));
    converted.cap.to_jar().unwrap()
}

/// The packages of the probe applets that a card can run.
pub fn probe_caps() -> Option<[Vec<u8>; 2]> {
    let classes = probe_classes()?;
    let probe = ("ProbeApplet", PROBE);
    let many = ("ManyChannelsApplet", MANY);
    Some([
        converted(&classes, "jp.jpkise.sim.probe", PROBE_PACKAGE, (2, 1), probe),
        converted(&classes, "jp.jpkise.sim.many", MANY_PACKAGE, (1, 0), many),
    ])
}

/// What makes cards.
pub enum Bench {
    JCardSim(Box<jcardsim::Options>),
    /// A new card with the applets in its ROM; every card is a clone.
    Jcvm(Box<jpkise_jcvm::Card>),
}

impl Bench {
    pub fn jcardsim() -> Option<Self> {
        jcardsim_options().map(|options| Self::JCardSim(Box::new(options)))
    }

    pub fn jcvm() -> Option<Self> {
        Self::jcvm_after(&jcvm::Options::default())
    }

    pub fn jcvm_after(options: &jcvm::Options) -> Option<Self> {
        let [probe, many] = probe_caps()?;
        let runtime = Jcvm::new(options, &[&probe, &many, &jpki_cap(), &ara_cap()]).unwrap();
        Some(Self::Jcvm(Box::new(runtime.memory().card())))
    }

    /// Whether it executes CAPs.
    pub fn is_jcvm(&self) -> bool {
        matches!(self, Self::Jcvm(_))
    }

    /// A new card.
    pub fn card(&self) -> GpSe {
        match self {
            Self::JCardSim(options) => {
                let runtime = JCardSim::launch(options).unwrap();
                GpSe::in_memory(Profile::default(), Box::new(runtime)).unwrap()
            }
            Self::Jcvm(_) => self.jcvm_card_of(Profile::default()).0,
        }
    }

    /// A new card on jcvm with its memory, in which there is no applet yet.
    pub fn jcvm_card(&self) -> (GpSe, jcvm::Memory) {
        self.jcvm_card_of(Profile { ara: false, ..Profile::default() })
    }

    /// A new card of the profile on jcvm with its memory.
    pub fn jcvm_card_of(&self, profile: Profile) -> (GpSe, jcvm::Memory) {
        let Self::Jcvm(card) = self else { panic!("another runtime") };
        let runtime = Jcvm::with_card((**card).clone());
        let memory = runtime.memory();
        (GpSe::on_jcvm(profile, runtime).unwrap(), memory)
    }
}

/// INSTALL [for install and make selectable] with the parameters in C9.
pub fn install(card: &mut GpSe, module: &str, instance: &str, parameters: &str) -> String {
    install_with(card, module, instance, "00", parameters)
}

/// The same with privileges. Every module's AID here is its package's and one byte more.
pub fn install_with(
    card: &mut GpSe,
    module: &str,
    instance: &str,
    privileges: &str,
    parameters: &str,
) -> String {
    let package = &module[..module.len() - 2];
    assert!(status(card, "00A4040000").starts_with("90"));
    let mut host = Host::default(card, 0x01);
    let c9 = format!("C9{:02X}{parameters}", parameters.len() / 2);
    let data = lv(&[package, module, instance, privileges, &c9, ""]);
    host.send(card, &case4("80E60C00", &data))
}

pub fn delete(card: &mut GpSe, aid: &str) -> String {
    assert!(status(card, "00A4040000").starts_with("90"));
    let mut host = Host::default(card, 0x01);
    host.send(card, &case4("80E40000", &format!("4F{:02X}{aid}", aid.len() / 2)))
}

pub fn select(card: &mut GpSe, aid: &str) -> String {
    send(card, &format!("00A4040C{:02X}{aid}", aid.len() / 2))
}
