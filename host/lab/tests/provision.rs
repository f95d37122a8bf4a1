//! A plan carried out on the simulated SE: whole, cut at every exchange, repeated; with the test CA and another one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::OnceLock;

use jpkise_card::{Card, Transport, TransportError};
use jpkise_gp::ara::file::Presets;
use jpkise_gp::ara::{card as ara, AraError, ProvideError, Reading, Rule, RuleFile, ARA_M_AID};
use jpkise_gp::keys::SoftwareKeys;
use jpkise_gp::workflow::{delete, open_channel, read_registry, ChannelOptions};
use jpkise_gpse::GpSe;
use jpkise_jpki::ca::{Hierarchy, Subscriber};
use jpkise_jpki::edge::{KeyRef, KeyState, Password, Pin, TokenProfile, INSTANCE_AID, SP_DOMAIN_AID};
use jpkise_jpki::personalize::{Issued, Issuer, IssuerError, TestIssuer};
use jpkise_jpki::provision::{
    provision, Event, Failure, Journal, Outcome, PlanFile, ProvisionError, Request, SeRecord, Stage, Status,
};
use jpkise_jpki::{csr::Csr, JpkiClient, KnownSecrets};
use jpkise_lab::secrets;
use jpkise_lab::simulator::{self, RuntimeKind};
use rand::rngs::OsRng;
use time::OffsetDateTime;

const PLAN: &str = r#"
format = "jpkise-plan/1"
[keys]
issuer = "test"
first = "env:FIRST"
own = "lab"
[ca]
kind = "test"
folder = "ca"
"#;

/// What happens at an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The line and the card's power go, the command is not carried out.
    Before,
    /// The command is carried out, its answer is lost.
    After,
    /// As before the command, and the program is killed: it gets to do nothing more.
    Killed,
}

/// The SE on a thread that can be cut.
struct Cut {
    se: GpSe,
    exchanges: usize,
    at: Option<(usize, Fault)>,
}

impl Transport for Cut {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        let number = self.exchanges;
        self.exchanges += 1;
        match self.at {
            Some((at, _)) if number > at => Err(TransportError::Removed),
            Some((at, fault)) if number == at => {
                if fault == Fault::After {
                    self.se.transmit(command)?;
                }
                self.se.reset()?;
                if fault == Fault::Killed {
                    std::panic::resume_unwind(Box::new("killed"));
                }
                Err(TransportError::Removed)
            }
            _ => self.se.transmit(command),
        }
    }
    fn reset(&mut self) -> Result<Vec<u8>, TransportError> {
        self.se.reset()
    }
    fn atr(&self) -> &[u8] {
        self.se.atr()
    }
    fn name(&self) -> &str {
        self.se.name()
    }
}

fn new_card() -> Card<Cut> {
    let se = simulator::start(RuntimeKind::Jcvm).unwrap().into_transport();
    Card::new(Cut { se, exchanges: 0, at: None })
}

fn hierarchy() -> &'static Hierarchy {
    static HIERARCHY: OnceLock<Hierarchy> = OnceLock::new();
    HIERARCHY.get_or_init(|| Hierarchy::generate(now(), &mut OsRng).unwrap())
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

fn user() -> KnownSecrets {
    KnownSecrets { pin: Pin::new(secrets::PIN).unwrap(), password: Password::new(secrets::PASSWORD).unwrap() }
}

fn test_issuer(subscriber: &Subscriber) -> TestIssuer<'_, OsRng> {
    TestIssuer {
        hierarchy: hierarchy(),
        subscriber,
        profile: TokenProfile::Phone,
        now: now(),
        not_after_limit: None,
        rng: OsRng,
    }
}

fn first_keys() -> SoftwareKeys {
    SoftwareKeys::same(&[0x11; 16]).unwrap()
}

fn run(card: &mut Card<Cut>, plan: &str, folder: &Path) -> Result<Outcome, Failure> {
    let subscriber = Subscriber::sample();
    run_with(card, plan, folder, &mut test_issuer(&subscriber), &mut |_| ())
}

fn run_with(
    card: &mut Card<Cut>,
    plan: &str,
    folder: &Path,
    issuer: &mut dyn Issuer,
    events: &mut dyn FnMut(Event),
) -> Result<Outcome, Failure> {
    run_with_rules(card, plan, folder, None, issuer, events)
}

fn run_with_rules(
    card: &mut Card<Cut>,
    plan: &str,
    folder: &Path,
    rules: Option<Vec<Rule>>,
    issuer: &mut dyn Issuer,
    events: &mut dyn FnMut(Event),
) -> Result<Outcome, Failure> {
    let plan = PlanFile::parse(plan).unwrap();
    let (issuer_keys, first, own) =
        (simulator::test_keys().unwrap(), first_keys(), secrets::sp_keys().unwrap());
    let request = Request {
        plan: &plan,
        plan_sha256: [7; 32],
        issuer_keys: plan.keys.issuer.as_ref().map(|_| &issuer_keys as _),
        first_keys: &first,
        own_keys: &own,
        own_keys_published: true,
        cap: None,
        rules,
        clock: &now,
    };
    let mut journal_of = |chip: &str| Journal::in_folder(folder, chip);
    provision(card, &request, &mut journal_of, issuer, &mut user(), &mut OsRng, events)
}

/// What of a record must be the same however often the run was cut.
fn essence(record: &SeRecord) -> SeRecord {
    let mut record = record.clone();
    (record.started, record.finished, record.runs, record.apdus) = (String::new(), None, 0, 0);
    record.personalization_apdus = None;
    for key in &mut record.keys {
        assert_eq!(key.modulus.as_ref().unwrap().len(), 512);
        assert!(key.certificate.is_some(), "{key:?}");
        (key.modulus, key.modulus_sha256) = (None, String::new());
        (key.generation, key.resets) = (0, 0);
        let certificate = key.certificate.as_mut().unwrap();
        (certificate.serial, certificate.sha256, certificate.not_before) = Default::default();
        certificate.length = 0;
    }
    record
}

fn signs(card: &mut Card<Cut>) {
    let mut client = JpkiClient::select(card).unwrap();
    client.verify(&Pin::new(secrets::PIN).unwrap()).unwrap();
    client.verify(&Password::new(secrets::PASSWORD).unwrap()).unwrap();
    for key in KeyRef::ALL {
        let certificate = jpkise_jpki::Cert::from_der(&client.certificate(key).unwrap()).unwrap();
        let signature = client.sign_message(key, b"message").unwrap();
        jpkise_jpki::verify::verify_message(&certificate.public_key().unwrap(), b"message", &signature)
            .unwrap();
    }
}

/// The first set opens nothing any more, the own one does.
fn is_on_own_keys(card: &mut Card<Cut>) {
    let options = ChannelOptions::to(SP_DOMAIN_AID);
    let own = secrets::sp_keys().unwrap();
    open_channel(card, &own, &options.with_kvn(0x30), &mut OsRng).unwrap();
    assert!(open_channel(card, &first_keys(), &options.with_kvn(0x20), &mut OsRng).is_err());
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_plan_is_carried_out_and_a_second_run_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut card = new_card();
    let mut stages = Vec::new();
    let subscriber = Subscriber::sample();
    let done = run_with(&mut card, PLAN, folder.path(), &mut test_issuer(&subscriber), &mut |event| {
        if let Event::Stage(stage) = event {
            stages.push(stage);
        }
    })
    .unwrap();
    assert!(done.changed);
    let skipped = [Stage::Load, Stage::AccessRules];
    let expected: Vec<Stage> = Stage::ALL.into_iter().filter(|s| !skipped.contains(s)).collect();
    assert_eq!(stages, expected);
    let record = &done.record;
    assert_eq!((record.status, record.runs), (Status::Complete, 1));
    assert_eq!(record.apdus, card.apdus());
    let budget = record.personalization_apdus.unwrap();
    println!("{budget} APDUs from SELECT to DF32, {} in all", record.apdus);
    assert!(budget <= 45, "{budget}");
    assert_eq!(
        (record.domain.kvn.as_deref(), record.domain.replaced_kvn.as_deref()),
        (Some("30"), Some("20"))
    );
    assert_eq!(record.domain.key_check_values.len(), 3);
    assert!(record.domain.test_keys);
    assert!(record.se.cplc.as_ref().is_some_and(|cplc| cplc.len() == 84 || cplc.len() == 90));
    assert!(record.keys.iter().all(|key| key.state == KeyState::Active));
    is_on_own_keys(&mut card);
    signs(&mut card);

    let path = folder.path().join(files(folder.path()).first().unwrap());
    assert_eq!(files(folder.path()).len(), 1, "{:?}", files(folder.path()));
    let written = std::fs::read_to_string(&path).unwrap();
    assert_eq!(serde_json::from_str::<SeRecord>(&written).unwrap(), *record);
    for hidden in ["花子", "東京", "Chiyoda", "\"1234\"", "ABC123", "50515253"] {
        assert!(!written.contains(hidden), "{hidden} in {written}");
    }

    let again = run(&mut card, PLAN, folder.path()).unwrap();
    assert!(!again.changed);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), written, "the record was touched");
    signs(&mut card);
}

/// The answer to every exchange lost, in turn; then the same plan to its end. The gentler faults at every fourth.
#[test]
fn a_run_cut_at_any_exchange_is_taken_up_and_ends_the_same() {
    let (whole, expected) = {
        let folder = tempfile::tempdir().unwrap();
        let mut card = new_card();
        let done = run(&mut card, PLAN, folder.path()).unwrap();
        (card.transport_mut().exchanges, essence(&done.record))
    };
    let faults: Vec<(usize, Fault)> = (0..whole)
        .flat_map(|number| {
            let gentler = match number % 4 {
                1 => Some((number, Fault::Before)),
                3 => Some((number, Fault::Killed)),
                _ => None,
            };
            [Some((number, Fault::After)), gentler].into_iter().flatten()
        })
        .collect();
    println!("{whole} exchanges, {} faults", faults.len());
    std::thread::scope(|scope| {
        // Every other one, so that the two halves take as long.
        for half in 0..2 {
            let (faults, expected) = (&faults, &expected);
            scope.spawn(move || {
                for (number, fault) in faults.iter().skip(half).step_by(2) {
                    cut_and_resume(*number, *fault, expected);
                }
            });
        }
    });
}

fn cut_and_resume(number: usize, fault: Fault, expected: &SeRecord) {
    let folder = tempfile::tempdir().unwrap();
    let mut card = new_card();
    card.transport_mut().at = Some((number, fault));
    let place = format!("{fault:?} {number}");
    let cut = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&mut card, PLAN, folder.path())));
    match cut {
        Ok(result) => {
            let failure = result.expect_err(&place);
            assert_eq!(failure.begun, !files(folder.path()).is_empty(), "{place}: {failure}");
        }
        Err(_) => assert_eq!(fault, Fault::Killed),
    }
    card.transport_mut().at = None;
    let done = run(&mut card, PLAN, folder.path()).unwrap_or_else(|e| panic!("{place}: {e}"));
    assert_eq!(essence(&done.record), *expected, "{place}");
    assert_eq!(files(folder.path()).len(), 1, "{place}: {:?}", files(folder.path()));
    is_on_own_keys(&mut card);
    signs(&mut card);
    let again = run(&mut card, PLAN, folder.path()).unwrap();
    assert!(!again.changed, "{place}");
}

/// A CA that answers when asked the second time.
struct Slow<'a> {
    inner: TestIssuer<'a, OsRng>,
    answers: bool,
}

impl Issuer for Slow<'_> {
    fn subject(&mut self, key: KeyRef) -> Result<x509_cert::name::Name, IssuerError> {
        self.inner.subject(key)
    }
    fn issue(&mut self, key: KeyRef, request: &Csr) -> Result<Option<Issued>, IssuerError> {
        if self.answers {
            self.inner.issue(key, request)
        } else {
            Ok(None)
        }
    }
}

#[test]
fn a_ca_that_answers_later_gets_the_keys_that_were_made() {
    let folder = tempfile::tempdir().unwrap();
    let mut card = new_card();
    let subscriber = Subscriber::sample();
    let mut ca = Slow { inner: test_issuer(&subscriber), answers: false };
    for _ in 0..2 {
        let failure = run_with(&mut card, PLAN, folder.path(), &mut ca, &mut |_| ()).unwrap_err();
        let record = failure.record.unwrap();
        assert_eq!((record.status, failure.stage), (Status::Waiting, Stage::Personalize));
        assert!(failure.begun);
    }
    ca.answers = true;
    let done = run_with(&mut card, PLAN, folder.path(), &mut ca, &mut |_| ()).unwrap();
    for key in &done.record.keys {
        assert_eq!((key.generation, key.state), (1, KeyState::Active), "the first key pair was kept");
    }
    signs(&mut card);
}

#[test]
fn without_a_user_keys_end_certified_and_that_is_complete() {
    let folder = tempfile::tempdir().unwrap();
    let mut card = new_card();
    let plan = format!("{PLAN}[user]\nsecrets = \"later\"\n");
    let done = run(&mut card, &plan, folder.path()).unwrap();
    assert!(done.record.keys.iter().all(|k| k.state == KeyState::Certified && k.resets == 0));
    assert!(!run(&mut card, &plan, folder.path()).unwrap().changed);
    // The user comes: the plan that asks him finishes.
    let done = run(&mut card, PLAN, folder.path()).unwrap();
    assert!(done.changed && done.record.keys.iter().all(|k| k.state == KeyState::Active));
    assert!(done.record.keys.iter().all(|k| k.certificate.is_some()));
}

#[test]
fn keys_that_the_plan_does_not_name_are_not_tried() {
    let folder = tempfile::tempdir().unwrap();
    let mut card = new_card();
    let plan = PLAN.replace("own = \"lab\"", "own = \"lab\"\nown-kvn = \"31\"\nfirst-kvn = \"21\"");
    run(&mut card, PLAN, folder.path()).unwrap();
    let other = tempfile::tempdir().unwrap();
    let failure = run(&mut card, &plan, other.path()).unwrap_err();
    assert!(matches!(failure.error, ProvisionError::OtherKeys { kvn: Some(0x30), .. }), "{failure}");
    assert!(!failure.begun && files(other.path()).is_empty());
}

#[test]
fn a_wiped_se_gets_a_new_record_and_the_old_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut card = new_card();
    let first = run(&mut card, PLAN, folder.path()).unwrap().record;
    let keys = secrets::sp_keys().unwrap();
    let mut session =
        open_channel(&mut card, &keys, &ChannelOptions::to(INSTANCE_AID).with_kvn(0x30), &mut OsRng).unwrap();
    jpkise_jpki::Admin::new(&mut session).unwrap().delete(KeyRef::Sign, &mut OsRng).unwrap();
    drop(session);
    let second = run(&mut card, PLAN, folder.path()).unwrap();
    assert!(second.changed);
    let names = files(folder.path());
    assert_eq!(names.len(), 2, "{names:?}");
    let generations: Vec<u16> = second.record.keys.iter().map(|k| k.generation).collect();
    assert_eq!(generations, [1, 2]);
    assert_eq!(second.record.keys[0], first.keys[0], "the key that stayed keeps its certificate's record");
}

/// Rules for apps of these hashes.
fn rules(apps: &[&str]) -> Vec<Rule> {
    let rule = |app: &&str| {
        format!(
            "[[rule]]\naid = \"{INSTANCE_AID}\"\napp = \"sha256:{}\"\napdu = \"always\"\n",
            app.repeat(32)
        )
    };
    let text = format!("format = 1\n{}", apps.iter().map(rule).collect::<String>());
    RuleFile::parse_for(&text, &Presets::new(), INSTANCE_AID).unwrap().rules
}

fn run_rules(
    card: &mut Card<Cut>,
    folder: &Path,
    rules: &[Rule],
    events: &mut dyn FnMut(Event),
) -> Result<Outcome, Failure> {
    let subscriber = Subscriber::sample();
    run_with_rules(card, PLAN, folder, Some(rules.to_vec()), &mut test_issuer(&subscriber), events)
}

fn held(card: &mut Card<Cut>) -> Vec<Rule> {
    ara::read(card, Reading::Strict).unwrap().rules
}

/// Cut at every exchange up to the personalisation, before the command and after it by turns: an applet that answers has its
/// rules, and the same plan ends with both.
#[test]
fn an_applet_is_never_reachable_without_its_rules_wherever_a_run_is_cut() {
    let both = rules(&["A1", "B2"]);
    let mut events = Vec::new();
    let folder = tempfile::tempdir().unwrap();
    run_rules(&mut new_card(), folder.path(), &both, &mut |event| events.push(event)).unwrap();
    assert!(events.contains(&Event::Rules { added: 2, removed: 0 }));
    let mut reached = 0;
    let mut unselectable = 0;
    for number in 0.. {
        let fault = if number % 2 == 0 { Fault::After } else { Fault::Before };
        let place = format!("{fault:?} {number}");
        let folder = tempfile::tempdir().unwrap();
        let mut card = new_card();
        card.transport_mut().at = Some((number, fault));
        let failure = run_rules(&mut card, folder.path(), &both, &mut |_| ()).expect_err(&place);
        if failure.stage >= Stage::Personalize {
            break;
        }
        card.transport_mut().at = None;
        let keys = simulator::test_keys().unwrap();
        let registry = {
            let mut session = open_channel(&mut card, &keys, &ChannelOptions::default(), &mut OsRng).unwrap();
            read_registry(&mut session).unwrap()
        };
        let present = registry.find(&INSTANCE_AID).is_some();
        if JpkiClient::select(&mut card).is_ok() {
            assert_eq!(held(&mut card), both, "{place}");
            reached += 1;
        } else {
            unselectable += usize::from(present);
        }
        let done = run_rules(&mut card, folder.path(), &both, &mut |_| ())
            .unwrap_or_else(|e| panic!("{place}: {e}"));
        assert_eq!((done.record.status, done.record.access_rules.len()), (Status::Complete, 2), "{place}");
        assert_eq!(held(&mut card), both, "{place}");
        signs(&mut card);
        let again = run_rules(&mut card, folder.path(), &both, &mut |_| ()).unwrap();
        assert!(!again.changed, "{place}");
    }
    println!("{unselectable} cuts left the applet unselectable, {reached} with its rules");
    assert!(unselectable >= 3 && reached > 0);
}

#[test]
fn a_whitelist_that_differs_from_the_plan_s_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let mut card = new_card();
    let first = run_rules(&mut card, folder.path(), &rules(&["A1", "B2"]), &mut |_| ()).unwrap().record;
    assert_eq!(first.access_rules[0].app, format!("sha256:{}", "a1".repeat(32)));
    let mut events = Vec::new();
    let done =
        run_rules(&mut card, folder.path(), &rules(&["B2", "C3"]), &mut |event| events.push(event)).unwrap();
    assert!(done.changed && events.contains(&Event::Stage(Stage::AccessRules)));
    assert!(events.contains(&Event::Rules { added: 1, removed: 1 }), "{events:?}");
    let mut found = held(&mut card);
    found.sort_by_key(Rule::to_bytes);
    assert_eq!(found, rules(&["B2", "C3"]));
    let apps: Vec<&str> = done.record.access_rules.iter().map(|rule| &rule.app[7..9]).collect();
    assert_eq!(apps, ["b2", "c3"]);
    assert_eq!(done.record.keys, first.keys, "the keys stay");
    // A plan without rules leaves those of the card, and what is known of them.
    let again = run(&mut card, PLAN, folder.path()).unwrap();
    assert!(!again.changed && again.record.access_rules.len() == 2);
    signs(&mut card);
}

#[test]
fn a_card_without_ara_m_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut card = new_card();
    let keys = simulator::test_keys().unwrap();
    let contents = |card: &mut Card<Cut>| {
        let mut session = open_channel(card, &keys, &ChannelOptions::default(), &mut OsRng).unwrap();
        let registry = read_registry(&mut session).unwrap();
        (registry.find(&INSTANCE_AID).is_some(), registry.find(&SP_DOMAIN_AID).is_some())
    };
    {
        let mut session = open_channel(&mut card, &keys, &ChannelOptions::default(), &mut OsRng).unwrap();
        delete(&mut session, ARA_M_AID, false).unwrap();
    }
    let before = contents(&mut card);
    let failure = run_rules(&mut card, folder.path(), &rules(&["A1"]), &mut |_| ()).unwrap_err();
    let missing =
        matches!(failure.error, ProvisionError::Rules(ProvideError::Undone(AraError::NotThere { .. })));
    assert!(missing, "{failure}");
    assert!(!failure.begun && files(folder.path()).is_empty());
    assert_eq!(contents(&mut card), before);
    assert!(!before.0, "the applet is not there");
}
