//! The whole chain: the ARA-M applet on the simulated GP-SE, rules stored through real secure messaging, read by the
//! enforcer, and an app on a channel. Needs the built jCardSim runtime and applet, else skips.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::PathBuf;

use jpkise_card::Card;
use jpkise_gp::ara::answer::{get_specific, read_all, read_refresh_tag, specific_from_bytes};
use jpkise_gp::ara::{
    diff, Access, AidRef, ApduAccess, DeviceApp, Filter, Filters, NfcAccess, Reading, Reference, Rule,
    RuleSet, StoreCommand, ARA_M_AID,
};
use jpkise_gp::commands::install::{personalize, ForInstall};
use jpkise_gp::commands::select::select;
use jpkise_gp::keys::SoftwareKeys;
use jpkise_gp::scp03::{Authenticated, Session};
use jpkise_gpse::runtime::jcardsim::{Options, JAR_PATH};
use jpkise_gpse::{GpSe, JCardSim, Profile};
use jpkise_omapi::ace::{decide, App, Denial, Query, SeKind, Step, Target, WithoutAra};
use jpkise_omapi::service::Security;
use jpkise_omapi::{OmapiError, Reader, SeService};
use jpkise_wire::scp03::SecurityLevel;
use jpkise_wire::Aid;

const JPKI: &str = "D392F000260100000001";
const JPKI_PACKAGE: &str = "D392F000264A504B01";
const JPKI_MODULE: &str = "D392F000264A504B0101";
fn card() -> Option<Card<GpSe>> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let jar = std::env::var_os("JPKISE_JCARDSIM").map_or_else(|| root.join(JAR_PATH), PathBuf::from);
    let classes = root.join("applet/ara/target/classes");
    if !jar.is_file() || !classes.is_dir() {
        println!("skipped: {} or {} is not built", jar.display(), classes.display());
        return None;
    }
    let mut options = Options::new(jar);
    options.class_path.push(classes);
    let runtime = JCardSim::launch(&options).unwrap();
    // With the ARA-M from the start.
    Some(Card::new(GpSe::in_memory(Profile::default(), Box::new(runtime)).unwrap()))
}

fn keys() -> SoftwareKeys {
    SoftwareKeys::same(&SoftwareKeys::DEVELOPMENT_KEY).unwrap()
}

/// A session with the security domain, or with the applet through its domain.
fn session<'a>(
    card: &'a mut Card<GpSe>,
    keys: &'a SoftwareKeys,
    aid: Option<&Aid>,
    level: SecurityLevel,
) -> Session<'a, GpSe, Authenticated<'a>> {
    let selected = Session::select(card, aid).unwrap();
    let initialized = selected.initialize_update(keys, 0, &mut rand::thread_rng()).unwrap();
    initialized.external_authenticate(level).unwrap()
}

fn install(card: &mut Card<GpSe>, package: Aid, module: Aid, instance: Aid) {
    let keys = keys();
    let mut issuer = session(card, &keys, None, SecurityLevel::L01);
    let install = ForInstall::new(package, module, instance).command_selectable();
    assert!(issuer.send(&install).unwrap().sw.is_success());
}

/// Sends a command object in the ARA-M's own session; its last status word.
fn store(card: &mut Card<GpSe>, command: &StoreCommand) -> u16 {
    let keys = keys();
    let mut session = session(card, &keys, Some(&ARA_M_AID), SecurityLevel::L01);
    let mut sw = 0;
    for block in command.commands(session.max_data()).unwrap() {
        sw = session.send(&block).unwrap().sw.0;
    }
    // jCardSim runs one selected applet at a time: the security domain takes the basic channel back.
    assert!(card.send(&select(&[])).unwrap().sw.is_success());
    sw
}

fn rules_of(card: &mut Card<GpSe>) -> Vec<Rule> {
    assert!(card.send(&select(ARA_M_AID.as_bytes())).unwrap().sw.is_success());
    let mut rules = read_all(|command| card.send(command), Reading::Strict).unwrap().rules;
    rules.sort();
    rules
}

fn rule(aid: AidRef, app: DeviceApp, apdu: ApduAccess) -> Rule {
    Rule::new(Reference::new(aid, app), Access::apdu_only(apdu))
}

fn jpki() -> AidRef {
    AidRef::Aid(JPKI.parse().unwrap())
}

fn app(hash: DeviceApp) -> App {
    App { package: "jp.example".into(), hashes: vec![hash], privileged: false }
}

const MINE: DeviceApp = DeviceApp::Sha256([0x11; 32]);
const OTHER: DeviceApp = DeviceApp::Sha1([0x22; 20]);

#[test]
fn a_listed_app_gets_through_and_another_one_is_refused_with_the_reason() {
    let Some(mut card) = card() else { return };
    let jpki_aid: Aid = JPKI.parse().unwrap();
    install(&mut card, JPKI_PACKAGE.parse().unwrap(), JPKI_MODULE.parse().unwrap(), jpki_aid);
    let filters: Vec<Filter> = vec!["80CADF30/FCFFFFFF".parse().unwrap()];
    let listed = rule(jpki(), MINE, ApduAccess::Filters(Filters::new(filters).unwrap()));
    assert_eq!(store(&mut card, &StoreCommand::Store(listed.clone())), 0x9000);

    let mut service = SeService::new();
    let reader: Reader<GpSe> = service.add_reader(SeKind::Embedded, WithoutAra::FullAccess, card);
    let session = reader.open_session(app(MINE));
    let mut channel = session.open_logical_channel(Some(jpki_aid.as_bytes()), 0x0C).unwrap().unwrap();
    let version = channel.transmit(&[0x80, 0xCA, 0xDF, 0x30, 0x00]).unwrap();
    assert!(version.ends_with(&[0x90, 0x00]));
    let status = channel.transmit(&[0x80, 0xCA, 0xDF, 0x31, 0x00]).unwrap_err();
    assert!(matches!(status, OmapiError::Security(Security::Filtered { .. })));
    drop(channel);

    let stranger = reader.open_session(app(OTHER));
    let refused = stranger.open_logical_channel(Some(jpki_aid.as_bytes()), 0x0C).err().unwrap();
    let OmapiError::Security(Security::Denied(denial)) = refused else { panic!("{refused}") };
    assert!(matches!(*denial, Denial::Rules(decision) if decision.step == Step::AConflict));

    // The rule goes: nobody gets in, and the enforcer learns of it by the refresh tag alone.
    let plan = diff(&[listed], &[]).unwrap();
    for command in plan.commands() {
        assert_eq!(reader.with_card(|card| store(card, &command)), 0x9000);
    }
    let refused = session.open_logical_channel(Some(jpki_aid.as_bytes()), 0x0C).err().unwrap();
    assert_eq!(refused.exception(), "java.lang.SecurityException");
    assert_eq!(reader.rule_readings(), 2);
}

/// Rules over few references, from a counter.
fn some_rule(n: u32) -> Rule {
    let aid = [jpki(), AidRef::All, AidRef::Default, AidRef::Aid(Aid::literal([0xA0, 0, 0, 0, 1]))];
    let apps = [MINE, OTHER, DeviceApp::All];
    let filter = |n: u8| {
        let filter = Filter { header: [0, n, 0, 0], mask: [0, 0xFF, 0, 0] };
        Some(ApduAccess::Filters(Filters::new(vec![filter; usize::from(n)]).unwrap()))
    };
    let apdu = [Some(ApduAccess::Always), Some(ApduAccess::Never), filter(1), filter(70), None];
    let nfc = [None, Some(NfcAccess::Always), Some(NfcAccess::Never)];
    let pick = |salt: u32, of: usize| (n.wrapping_mul(2_654_435_761).rotate_left(salt) >> 7) as usize % of;
    let apdu = apdu[pick(3, 5)].clone();
    let nfc = if apdu.is_none() { nfc[1 + pick(11, 2)] } else { nfc[pick(11, 3)] };
    Rule::new(Reference::new(aid[pick(17, 4)], apps[pick(23, 3)]), Access::new(apdu, nfc, None).unwrap())
}

#[test]
fn the_applet_does_what_the_model_does_and_works_out_the_same_access_as_the_engine() {
    let Some(mut card) = card() else { return };
    let mut model = RuleSet::default();
    for n in 0..120 {
        let rule = some_rule(n);
        let command = match n % 7 {
            3 => StoreCommand::Delete(jpkise_gp::ara::DeleteTarget::Reference(rule.reference.clone())),
            5 => StoreCommand::Delete(jpkise_gp::ara::DeleteTarget::Rule(rule.clone())),
            6 if n % 4 == 0 => StoreCommand::Delete(jpkise_gp::ara::DeleteTarget::Aid(rule.reference.aid())),
            _ => StoreCommand::Store(rule.clone()),
        };
        card.send(&select(ARA_M_AID.as_bytes())).unwrap();
        let before = read_refresh_tag(|command| card.send(command)).unwrap();
        let effect = model.apply(&command);
        assert_eq!(store(&mut card, &command), effect.sw.0, "{n}: {command:?}");
        let mut expected = model.rules().to_vec();
        expected.sort();
        assert_eq!(rules_of(&mut card), expected, "{n}");
        let after = read_refresh_tag(|command| card.send(command)).unwrap();
        assert_eq!(before != after, effect.refreshed, "{n}: the tag changes with every change and only then");

        // GET DATA [specific]: the card's own search against the engine.
        let reference = some_rule(n.wrapping_mul(31) + 1).reference;
        let target = match reference.aid() {
            AidRef::Aid(aid) => Target::Aid(aid),
            AidRef::Default => Target::Default,
            _ => continue,
        };
        let hashes: Vec<DeviceApp> =
            Some(*reference.device_app()).filter(|app| *app != DeviceApp::All).into_iter().collect();
        let decision = decide(model.rules(), &Query { target, hashes: &hashes });
        let answer = specific(&mut card, &reference);
        match (decision.step, answer) {
            (Step::None, None) => {}
            (_, Some(access)) => {
                assert_eq!(sorted(access.apdu().unwrap()), sorted(&decision.apdu), "{n}: {reference:?}");
                assert_eq!(access.nfc(), Some(decision.nfc), "{n}: {reference:?}");
            }
            (step, answer) => panic!("{n}: {step:?} {answer:?}"),
        }
    }
    assert!(model.rules().len() > 10);
}

/// GET DATA [specific] with its pages; `None` for 6A88.
fn specific(card: &mut Card<GpSe>, reference: &Reference) -> Option<Access> {
    let first = card.send(&get_specific(reference)).unwrap();
    if first.sw.0 == 0x6A88 {
        return None;
    }
    let mut pages =
        jpkise_gp::ara::answer::Pages::first(jpkise_gp::ara::tag::RESPONSE_AR_DO, &first.data).unwrap();
    while pages.is_incomplete() {
        let next = card.send(&jpkise_gp::ara::answer::get_next()).unwrap();
        pages = pages.next(&next.data).unwrap();
    }
    Some(specific_from_bytes(pages.whole().unwrap(), Reading::Strict).unwrap())
}

fn sorted(access: &ApduAccess) -> ApduAccess {
    match access {
        ApduAccess::Filters(filters) => {
            let mut filters = filters.as_slice().to_vec();
            filters.sort();
            ApduAccess::Filters(Filters::new(filters).unwrap())
        }
        other => other.clone(),
    }
}

/// Installation for personalization: the issuer security domain hands the objects on.
#[test]
fn the_security_domain_hands_rules_over_when_its_session_reaches_the_applet() {
    let Some(mut card) = card() else { return };
    let stored = rule(jpki(), MINE, ApduAccess::Always);
    let keys = keys();
    let mut issuer = session(&mut card, &keys, None, SecurityLevel::L01);
    assert!(issuer.send(&personalize(&ARA_M_AID)).unwrap().sw.is_success());
    let block = StoreCommand::Store(stored.clone()).commands(issuer.max_data()).unwrap().remove(0);
    assert_eq!(issuer.send(&block).unwrap().sw.0, 0x9000);
    assert_eq!(rules_of(&mut card), [stored]);
}
