//! The requirements of Android's compatibility test suite against the simulated GP-SE: a test applet in bytecode, the ARA-M,
//! the card manager and the runtime; and what happens when rules change, or power goes, in the middle. Needs the test
//! applets' class files, else skips.

#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "requirements/mod.rs"]
mod requirements;

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;

use jpkise_cap::convert::{convert, AppletOption, ConvertOptions};
use jpkise_cap::PackageVersion;
use jpkise_card::{Card, Transport, TransportError};
use jpkise_gp::ara::card::{read, write, Way};
use jpkise_gp::ara::{
    diff, install_with_rules, remove_with_rules, Access, AidRef, ApduAccess, DeviceApp, Provision, Reading,
    Reference, Rule, StoreCommand, Withdrawal,
};
use jpkise_gp::commands::install::ForInstall;
use jpkise_gp::keys::SoftwareKeys;
use jpkise_gp::scp03::{Authenticated, Session};
use jpkise_gp::workflow::{self, open_channel, read_registry, ChannelOptions};
use jpkise_gpse::runtime::jcvm::Options;
use jpkise_gpse::{GpSe, Jcvm, Profile};
use jpkise_omapi::ace::{SeKind, Step, WithoutAra};
use jpkise_omapi::service::Security;
use jpkise_omapi::{OmapiError, Reader, SeService};
use jpkise_wire::Aid;
use requirements::{app, bytes, LONG_SELECT, MINE, SELECTABLE};

// Of the same RID as the instances: a card need not register an applet under another (Java Card API, Applet.register).
const PACKAGE: &str = "A000000476416E64435453";
const MODULE: &str = "A000000476416E6443545301";
const OTHER: DeviceApp = DeviceApp::Sha256([0x22; 32]);

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The test applet's CAP, converted from its class files; `None`, after one clear line, where they are not built.
fn cts_cap() -> Option<Vec<u8>> {
    let classes = root().join("jcardsim-tests/runtime/target/test-classes");
    if !classes.join("jp/jpkise/sim/cts/CtsApplet.class").is_file() {
        println!(
            "skipped: {} holds no CtsApplet (mvn -f jcardsim-tests/pom.xml test-compile)",
            classes.display()
        );
        return None;
    }
    let package = PACKAGE.parse().unwrap();
    let mut options = ConvertOptions::new("jp.jpkise.sim.cts", package, PackageVersion::new(1, 0));
    let aid = Some(MODULE.parse().unwrap());
    options.applets = vec![AppletOption { class: "CtsApplet".into(), aid }];
    Some(convert(&classes, &options).unwrap_or_else(|d| panic!("{d:?}")).cap.to_jar().unwrap())
}

fn keys() -> SoftwareKeys {
    SoftwareKeys::same(&SoftwareKeys::DEVELOPMENT_KEY).unwrap()
}

fn issuer<'a, 'k, T: Transport>(
    card: &'a mut Card<T>,
    keys: &'k SoftwareKeys,
) -> Session<'a, T, Authenticated<'k>> {
    open_channel(card, keys, &ChannelOptions::default(), &mut rand::rngs::OsRng).unwrap()
}

fn instance(aid: &str, parameters: &[u8]) -> ForInstall {
    ForInstall::new(PACKAGE.parse().unwrap(), MODULE.parse().unwrap(), aid.parse().unwrap())
        .with_parameters(parameters)
}

fn rule(aid: AidRef, app: DeviceApp, apdu: ApduAccess) -> Rule {
    Rule::new(Reference::new(aid, app), Access::apdu_only(apdu))
}

/// A card with the ARA-M and the package of the test applet.
fn card() -> Option<Card<GpSe>> {
    let ara = std::fs::read(root().join("applet/dist/ara.cap")).unwrap();
    let runtime = Jcvm::new(&Options::default(), &[&cts_cap()?, &ara]).unwrap();
    Some(Card::new(GpSe::on_jcvm(Profile::default(), runtime).unwrap()))
}

/// Both applets of the suite, and one rule that lets everybody in.
fn suite() -> Option<Reader<GpSe>> {
    let mut card = card()?;
    let keys = keys();
    let mut session = issuer(&mut card, &keys);
    workflow::install(&mut session, &instance(SELECTABLE, &[])).unwrap();
    workflow::install(&mut session, &instance(LONG_SELECT, &[1])).unwrap();
    let everybody = StoreCommand::Store(rule(AidRef::All, DeviceApp::All, ApduAccess::Always));
    write(&mut session, Way::Domain, &[everybody], &mut |_| {}).unwrap();
    drop(session);
    Some(SeService::new().add_reader(SeKind::Embedded, WithoutAra::FullAccess, card))
}

/// Makes the rules these, as the SE's manager does while apps are at work.
fn set_rules(reader: &Reader<GpSe>, desired: &[Rule]) {
    let keys = keys();
    reader.with_card(|card| {
        let present = read(card, Reading::Android).unwrap().rules;
        let commands: Vec<StoreCommand> = diff(&present, desired).unwrap().commands().collect();
        write(&mut issuer(card, &keys), Way::Domain, &commands, &mut |_| {}).unwrap();
    });
}

#[test]
fn the_simulated_se_meets_the_requirements_of_the_compatibility_suite() {
    let Some(reader) = suite() else { return };
    requirements::all(&reader);
}

#[test]
fn rules_that_change_under_an_open_channel_act_on_the_next_one() {
    let Some(reader) = suite() else { return };
    let applet = AidRef::Aid(SELECTABLE.parse().unwrap());
    let always = |device_app| rule(applet, device_app, ApduAccess::Always);
    set_rules(&reader, &[always(MINE)]);
    let (mine, other) = (reader.open_session(app(MINE)), reader.open_session(app(OTHER)));
    let open =
        |session: &jpkise_omapi::Session<GpSe>| session.open_logical_channel(Some(&bytes(SELECTABLE)), 0);
    let mut held = open(&mine).unwrap().unwrap();
    for round in 0..6 {
        let (named, other_way) = if round % 2 == 0 { (OTHER, MINE) } else { (MINE, OTHER) };
        set_rules(&reader, &[always(named)]);
        // The decision of the open channel stands.
        assert_eq!(held.transmit(&bytes("00060000")).unwrap(), [0x90, 0x00], "{round}");
        let (let_in, shut_out) = if named == MINE { (&mine, &other) } else { (&other, &mine) };
        let refused = open(shut_out).err().unwrap();
        assert_eq!(refused.exception(), "java.lang.SecurityException", "{round}: {other_way}");
        let mut fresh = open(let_in).unwrap().unwrap();
        assert_eq!(fresh.transmit(&bytes("000a000001aa")).unwrap(), [0x90, 0x00]);
    }
    assert!(held.is_open());
    set_rules(&reader, &[]);
    let refused = open(&mine).err().unwrap();
    let OmapiError::Security(Security::Denied(denial)) = refused else { panic!("{refused}") };
    assert!(matches!(*denial, jpkise_omapi::ace::Denial::Rules(d) if d.step == Step::None));
    held.close();
    assert!(open(&mine).is_err());
}

/// A card that stops answering after so many commands: the line is cut, or the process killed.
#[derive(Clone)]
struct Cut {
    left: Rc<Cell<usize>>,
}

struct CutCard {
    card: GpSe,
    cut: Cut,
}

impl Transport for CutCard {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        if self.cut.left.get() == 0 {
            return Err(TransportError::Removed);
        }
        self.cut.left.set(self.cut.left.get() - 1);
        self.card.transmit(command)
    }
    fn reset(&mut self) -> Result<Vec<u8>, TransportError> {
        self.card.reset()
    }
    fn atr(&self) -> &[u8] {
        self.card.atr()
    }
    fn name(&self) -> &str {
        self.card.name()
    }
}

/// What a phone finds: whether the applet is on the card, whether its rules are all there, who gets through.
fn found(card: Card<CutCard>, keys: &SoftwareKeys, rules: &[Rule]) -> (bool, bool, bool, bool) {
    let applet: Aid = SELECTABLE.parse().unwrap();
    let mut card = card;
    card.reset().unwrap();
    let on_card = read_registry(&mut issuer(&mut card, keys)).unwrap().find(&applet).is_some();
    let held = read(&mut card, Reading::Android).unwrap().rules;
    let complete = rules.iter().all(|rule| held.contains(rule));
    let stranger_rules = held.iter().any(|rule| rules.contains(rule));
    card.reset().unwrap();
    let reader = SeService::new().add_reader(SeKind::Embedded, WithoutAra::FullAccess, card);
    let opens = |device_app| {
        let session = reader.open_session(app(device_app));
        session.open_logical_channel(Some(applet.as_bytes()), 0).is_ok()
    };
    let (mine, stranger) = (opens(MINE), opens(OTHER));
    assert!(!stranger, "a stranger reaches the applet");
    assert!(!stranger_rules || on_card, "rules outlive their applet");
    assert!(!mine || complete, "the applet is reached without all of its rules");
    (on_card, complete, mine, stranger)
}

#[test]
fn wherever_the_line_is_cut_the_applet_is_not_reached_without_its_rules_and_they_do_not_outlive_it() {
    if cts_cap().is_none() {
        return;
    }
    let applet: Aid = SELECTABLE.parse().unwrap();
    let of = |app, apdu| rule(AidRef::Aid(applet), app, apdu);
    let rules = [of(MINE, ApduAccess::Always), of(DeviceApp::Sha1([7; 20]), ApduAccess::Always)];
    let keys = keys();
    let (mut whole_install, mut whole_removal) = (0, 0);
    for phase in ["install", "remove"] {
        for cut_after in 0..12 {
            let cut = Cut { left: Rc::new(Cell::new(usize::MAX)) };
            let mut card =
                Card::new(CutCard { card: self::card().unwrap().into_transport(), cut: cut.clone() });
            // Everybody may reach what no rule names: the danger that the order must keep out.
            let everybody = StoreCommand::Store(rule(AidRef::All, DeviceApp::All, ApduAccess::Always));
            write(&mut issuer(&mut card, &keys), Way::Domain, &[everybody], &mut |_| {}).unwrap();
            let install = |card: &mut Card<CutCard>, left| {
                let present = read(card, Reading::Android).unwrap().rules;
                let plan = Provision::new(applet, &present, &rules).unwrap();
                let mut session = issuer(card, &keys);
                cut.left.set(left);
                install_with_rules(&mut session, &instance(SELECTABLE, &[]), &plan, &mut |_| {})
            };
            let done = if phase == "install" {
                install(&mut card, cut_after).is_ok()
            } else {
                install(&mut card, usize::MAX).unwrap();
                let present = read(&mut card, Reading::Android).unwrap().rules;
                let plan = Withdrawal::new(&[applet], &present).unwrap();
                let mut session = issuer(&mut card, &keys);
                cut.left.set(cut_after);
                let delete = |channel: &mut _| workflow::delete(channel, applet, false);
                remove_with_rules(&mut session, &plan, delete, &mut |_| {}).is_ok()
            };
            cut.left.set(usize::MAX);
            let state = found(card, &keys, &rules);
            if done {
                let expected =
                    if phase == "install" { (true, true, true, false) } else { (false, false, false, false) };
                assert_eq!(state, expected, "{phase}");
                if phase == "install" {
                    whole_install = cut_after;
                } else {
                    whole_removal = cut_after;
                }
                break;
            }
        }
    }
    // INSTALL, two rules with their announcements, MAKE SELECTABLE; SET STATUS, the same, DELETE.
    assert_eq!((whole_install, whole_removal), (6, 6));
}
