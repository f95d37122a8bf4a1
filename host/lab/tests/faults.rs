//! Each fault of the applets changes what a script is answered, on one personalised card restored for every run; those
//! of card manager and secure channel are shown in host/gpse.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::OnceLock;

use jpkise_card::{Card, CommandApdu, Transport};
use jpkise_gp::ara::{
    self, Access, AidRef, ApduAccess, DeleteTarget, DeviceApp, Filter, Filters, Reading, Reference, Rule,
    StoreCommand, Way, ARA_M_AID,
};
use jpkise_gp::keys::SoftwareKeys;
use jpkise_gp::workflow::{open_channel, ChannelOptions, LevelChoice};
use jpkise_gpse::faults::Part;
use jpkise_gpse::runtime::jcardsim::LaunchError;
use jpkise_gpse::{Fault, FaultSet, GpSe, Interface, Jcvm, Profile};
use jpkise_jpki::edge::{Password, Pin, TokenProfile, INSTANCE_AID, SP_KEY_VERSION};
use jpkise_lab::chain::{self, Options};
use jpkise_lab::simulator::{test_keys, RuntimeKind, SimulatorOptions, StartError};
use jpkise_wire::scp03::{AesKey, SecurityLevel, StaticKeys};
use rand::rngs::OsRng;
use tempfile::TempDir;
use time::OffsetDateTime;

fn people() -> Options {
    Options {
        profile: TokenProfile::Phone,
        issuer_keys: test_keys().unwrap(),
        pin: Pin::new("1234").unwrap(),
        password: Password::new("ABC123").unwrap(),
        now: OffsetDateTime::now_utc(),
    }
}

/// A personalised card in a file, made once.
fn personalized() -> &'static Path {
    static CARD: OnceLock<(TempDir, std::path::PathBuf)> = OnceLock::new();
    &CARD
        .get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("card");
            let options = SimulatorOptions { state: Some(path.clone()), ..SimulatorOptions::default() };
            let (mut card, kept) = options.start().unwrap();
            chain::provision(&mut card, &people(), &mut |_| {}).unwrap();
            kept.unwrap().save().unwrap();
            (folder, path)
        })
        .1
}

type Se = Card<GpSe>;

fn card_with(faults: FaultSet) -> Se {
    let profile = Profile { faults, ..Profile::default() };
    let runtime = Jcvm::restore(&profile.jcvm_options(), personalized()).unwrap();
    Card::new(GpSe::on_jcvm(profile, runtime).unwrap())
}

const SELECT: &str = "00A4040C0AD392F000260100000001";
const VERIFY_PIN: &str = "002000980431323334";
const WRONG_PIN: &str = "002000980439393939";
const EMPTY_PIN: &str = "00200098";
const VERIFY_PASSWORD: &str = "0020009B06414243313233";
const WRONG_PASSWORD: &str = "0020009B065A5A5A393939";
const EMPTY_PASSWORD: &str = "0020009B";
const READ_SIGN_CERTIFICATE: &str = "00B0810010";
const READ_AUTH_CERTIFICATE: &str = "00B08A0010";
const STATUS: &str = "80CADF3100";

fn sign(scheme: u8, p2: &str) -> String {
    format!("802A{scheme:02X}{p2}20{}00", "A5".repeat(32))
}

/// With the authentication key.
fn sign_auth() -> String {
    sign(2, "97")
}

/// Sends commands in clear, SELECT of the applet first; the answers' status words and the last answer.
fn run(card: &mut Se, commands: &[&str]) -> String {
    let mut words = Vec::new();
    let mut last = Vec::new();
    for command in std::iter::once(&SELECT).chain(commands) {
        last = card.transport_mut().transmit(&hex::decode(command).unwrap()).unwrap();
        words.push(hex::encode(&last[last.len() - 2..]));
    }
    format!("{} {}", words.join(" "), hex::encode(last))
}

/// One secured command in the applet's own channel; the session stays open for `then`, which is sent in clear.
fn admin(card: &mut Se, level: SecurityLevel, header: [u8; 3], data: &[u8], then: &[&str]) -> String {
    let key = |first: u8| AesKey::new(&(first..first + 16).collect::<Vec<u8>>()).unwrap();
    let keys = SoftwareKeys::new(StaticKeys::new(key(0x50), key(0x60), key(0x70)).unwrap());
    let options = ChannelOptions {
        aid: Some(INSTANCE_AID),
        kvn: SP_KEY_VERSION,
        level: LevelChoice::Exactly(level),
        ..ChannelOptions::default()
    };
    let mut session = open_channel(card, &keys, &options, &mut OsRng).unwrap();
    let data = if header[0] == 0x2C { session.encrypt_dek(data).unwrap() } else { data.to_vec() };
    let mut command = CommandApdu::new(0x80, header[0], header[1], header[2]).with_data(data);
    if header[0] == 0xCA {
        command = command.expecting_all();
    }
    let mut out = match session.send(&command) {
        Ok(answer) => hex::encode(answer.to_bytes()),
        Err(error) => error.to_string(),
    };
    for command in then {
        let answer = session.card().transport_mut().transmit(&hex::decode(command).unwrap()).unwrap();
        out.push(' ');
        out.push_str(&hex::encode(answer));
    }
    out
}

fn secured(card: &mut Se, ins: u8) -> String {
    admin(card, SecurityLevel::L33, [ins, 0x01, 0x00], &[], &[])
}

fn verified_signature(card: &mut Se) -> String {
    run(card, &[VERIFY_PIN, &sign_auth()])
}

type Script = (Fault, fn(&mut Se) -> String);

const JPKI: &[Script] = &[
    (Fault::PinUncounted, |card| run(card, &[VERIFY_PIN, WRONG_PIN, WRONG_PIN, EMPTY_PIN])),
    (Fault::PasswordUncounted, |card| {
        run(card, &[VERIFY_PASSWORD, WRONG_PASSWORD, WRONG_PASSWORD, EMPTY_PASSWORD])
    }),
    (Fault::AnyPinAccepted, |card| run(card, &[VERIFY_PIN, WRONG_PIN])),
    (Fault::OldPinUncompared, |card| run(card, &[VERIFY_PIN, "00240098083939393934333231"])),
    (Fault::TriesUntold, |card| run(card, &[WRONG_PIN])),
    (Fault::VerifiedSurvivesSelect, |card| run(card, &[VERIFY_PIN, SELECT, &sign_auth()])),
    (Fault::SignCertificateFree, |card| run(card, &[VERIFY_PASSWORD, SELECT, READ_SIGN_CERTIFICATE])),
    (Fault::AuthCertificateFree, |card| run(card, &[VERIFY_PIN, SELECT, READ_AUTH_CERTIFICATE])),
    (Fault::SignsWithoutPin, |card| run(card, &[VERIFY_PIN, SELECT, &sign_auth()])),
    (Fault::TemporaryPinSigns, |card| {
        let mut block = [0; 32];
        block[8] = 4;
        block[9..13].copy_from_slice(b"5678");
        let then = ["002000980435363738", &sign_auth()];
        admin(card, SecurityLevel::L33, [0x2C, 0x01, 0x00], &block, &then)
    }),
    (Fault::ContactlessPassword, |card| {
        card.transport_mut().set_interface(Interface::Contactless);
        run(card, &[VERIFY_PASSWORD])
    }),
    (Fault::HoldIgnored, |card| secured(card, 0x04) + &verified_signature(card)),
    (Fault::ReleaseIgnored, |card| secured(card, 0x04) + &secured(card, 0x44) + &verified_signature(card)),
    (Fault::RevokedSigns, |card| secured(card, 0xE8) + &verified_signature(card)),
    (Fault::WipeIgnored, |card| secured(card, 0xE4) + &run(card, &[STATUS])),
    (Fault::AdminLevelUnchecked, |card| {
        admin(card, SecurityLevel::L03, [0xCA, 0xDF, 0x32], &[0x11; 16], &[])
    }),
    (Fault::PaddingWrong, verified_signature),
    (Fault::DigestInfoMissing, verified_signature),
    (Fault::SignatureWrong, verified_signature),
    (Fault::ChainedPartLost, |card| run(card, &[VERIFY_PIN, "902A039703414243", "802A03970344454600"])),
    (Fault::ReadOffsetIgnored, |card| run(card, &["00A4020C020006", "00B0000A05"])),
    (Fault::ReadBehindEnd, |card| run(card, &["00A4020C020006", "00B07F0000"])),
    (Fault::WrongLeAccepted, |card| {
        let wrong = sign_auth();
        run(card, &[VERIFY_PIN, &format!("{}10", &wrong[..wrong.len() - 2])])
    }),
    (Fault::NonceIgnored, |card| admin(card, SecurityLevel::L33, [0xCA, 0xDF, 0x32], &[0x11; 16], &[])),
    (Fault::SignaturesUncounted, |card| {
        verified_signature(card);
        admin(card, SecurityLevel::L33, [0xCA, 0xDF, 0x32], &[0x11; 16], &[])
    }),
    (Fault::HeldShownActive, |card| secured(card, 0x04) + &run(card, &[STATUS])),
    (Fault::ChallengeRepeated, |card| {
        let answer = run(card, &["0084000008"]);
        (answer == run(card, &["0084000008"])).to_string()
    }),
    (Fault::UnknownCommandAnswered, |card| run(card, &["00DE000000"])),
];

fn rule(number: u8, filters: usize) -> Rule {
    let filter = Filter { header: [0x80, number, 0, 0], mask: [0xFC, 0xFF, 0, 0] };
    let apdu = ApduAccess::Filters(Filters::new(vec![filter; filters]).unwrap());
    let reference = Reference::new(AidRef::Aid(INSTANCE_AID), DeviceApp::Sha1([number; 20]));
    Rule::new(reference, Access::apdu_only(apdu))
}

fn write(card: &mut Se, way: Way, commands: &[StoreCommand]) {
    let keys = test_keys().unwrap();
    let aid = (way == Way::Direct).then_some(ARA_M_AID);
    let level = LevelChoice::Exactly(SecurityLevel::L13);
    let options = ChannelOptions { aid, level, ..ChannelOptions::default() };
    let mut session = open_channel(card, &keys, &options, &mut OsRng).unwrap();
    ara::card::write(&mut session, way, commands, &mut |_| {}).unwrap();
}

fn rules(card: &mut Se) -> String {
    match ara::card::read(card, Reading::Strict) {
        Ok(mut held) => {
            held.rules.sort();
            format!("{:?}", held.rules)
        }
        Err(error) => error.to_string(),
    }
}

fn stores(numbers: std::ops::Range<u8>, filters: usize) -> Vec<StoreCommand> {
    numbers.map(|number| StoreCommand::Store(rule(number, filters))).collect()
}

fn tag(card: &mut Se) -> String {
    format!("{:?}", ara::card::read(card, Reading::Strict).unwrap().refresh_tag)
}

const ARA: &[Script] = &[
    // Rules of more than one block too, through the domain and in the ARA-M's own channel.
    (Fault::RuleNotStored, |card| {
        write(card, Way::Domain, &stores(0..2, 40));
        let first = rules(card);
        write(card, Way::Direct, &stores(2..4, 40));
        let delete = StoreCommand::Delete(DeleteTarget::Aid(AidRef::All));
        // Deleting what is not there is still refused, so that nothing else has changed.
        let keys = test_keys().unwrap();
        let mut session = open_channel(card, &keys, &ChannelOptions::default(), &mut OsRng).unwrap();
        let refused = ara::card::write(&mut session, Way::Domain, &[delete], &mut |_| {}).is_err();
        drop(session);
        format!("{first} {} {refused}", rules(card))
    }),
    (Fault::RuleNotDeleted, |card| {
        write(card, Way::Domain, &stores(0..3, 2));
        write(card, Way::Domain, &[StoreCommand::Delete(DeleteTarget::Rule(rule(0, 2)))]);
        let first = rules(card);
        write(card, Way::Direct, &[StoreCommand::Delete(DeleteTarget::All)]);
        first + &rules(card)
    }),
    (Fault::RulesOpenToAll, |card| {
        let command = StoreCommand::Store(rule(0, 1)).commands(255).unwrap().remove(0);
        card.send(&jpkise_gp::commands::select::select(ARA_M_AID.as_bytes())).unwrap();
        let sw = card.send(&command).unwrap().sw;
        format!("{sw} {}", rules(card))
    }),
    (Fault::RefreshTagFrozen, |card| {
        let before = tag(card);
        write(card, Way::Domain, &stores(0..1, 1));
        (before == tag(card)).to_string()
    }),
    (Fault::RulesStale, |card| {
        write(card, Way::Domain, &stores(0..6, 8));
        let before = rules(card);
        write(card, Way::Domain, &stores(6..7, 8));
        before + &rules(card)
    }),
    (Fault::NextPageMissing, |card| {
        write(card, Way::Domain, &stores(0..6, 8));
        rules(card)
    }),
    (Fault::SpecificAllowsAll, |card| {
        write(card, Way::Domain, &stores(0..1, 1));
        card.send(&jpkise_gp::commands::select::select(ARA_M_AID.as_bytes())).unwrap();
        let stranger = Reference::new(AidRef::Aid(INSTANCE_AID), DeviceApp::Sha1([0xEE; 20]));
        hex::encode(card.send(&ara::answer::get_specific(&stranger)).unwrap().to_bytes())
    }),
];

fn compare(scripts: &[Script], beside: Fault) {
    for (fault, script) in scripts {
        let well = script(&mut card_with(FaultSet::NONE));
        let broken = script(&mut card_with((*fault).into()));
        println!("{fault}\n  - {well}\n  + {broken}");
        assert_ne!(well, broken, "{fault}: {}", fault.what());
        // The decorator alone, with a fault that these scripts do not touch, changes nothing.
        assert_eq!(well, script(&mut card_with(beside.into())), "{fault} beside {beside}");
    }
}

#[test]
fn each_fault_of_the_jpki_applet_shows() {
    compare(JPKI, Fault::SpecificAllowsAll);
}

#[test]
fn each_fault_of_the_ara_m_shows() {
    compare(ARA, Fault::UnknownCommandAnswered);
}

#[test]
fn every_fault_of_the_applets_has_its_script() {
    let shown: Vec<Fault> = JPKI.iter().chain(ARA).map(|(fault, _)| *fault).collect();
    for fault in Fault::ALL {
        let here = matches!(fault.part(), Part::Jpki | Part::Ara);
        assert_eq!(shown.contains(fault), here, "{fault}");
    }
}

fn provisioned(runtime: RuntimeKind, fault: Option<Fault>) -> Result<Se, StartError> {
    let profile = Profile { faults: fault.into_iter().collect(), ..Profile::default() };
    let options = SimulatorOptions { runtime, profile: profile.into(), ..SimulatorOptions::default() };
    let (mut card, _) = options.start()?;
    let fault = fault.map_or("none", Fault::name);
    chain::provision(&mut card, &people(), &mut |_| {}).unwrap_or_else(|error| panic!("{fault}: {error}"));
    Ok(card)
}

/// The decorator needs nothing of a runtime but its seam: the same scripts on jCardSim, a few of them.
#[test]
fn faults_of_applets_show_on_jcardsim_too() {
    let scripts = |fault: &&Script| {
        let few = [Fault::PinUncounted, Fault::SignCertificateFree, Fault::HoldIgnored, Fault::RuleNotStored];
        few.contains(&fault.0)
    };
    for (fault, script) in JPKI.iter().chain(ARA).filter(scripts) {
        let mut broken = match provisioned(RuntimeKind::JCardSim, Some(*fault)) {
            Ok(card) => card,
            Err(StartError::JCardSim(LaunchError::NotBuilt { .. })) => {
                println!("SKIP on jCardSim: its runtime is not built");
                return;
            }
            Err(error) => panic!("{error}"),
        };
        // Certificates and keys differ from card to card: the first words tell.
        let words = |answer: String| answer.chars().take(24).collect::<String>();
        let well = words(script(&mut card_with(FaultSet::NONE)));
        assert_ne!(well, words(script(&mut broken)), "{fault}");
    }
}

/// A card that was personalised without a fault has it from the next start on, and a clone of it has none.
#[test]
fn faults_begin_with_a_start_and_are_not_of_the_card() {
    let restored = Jcvm::restore(&Profile::default().jcvm_options(), personalized()).unwrap();
    let memory = restored.memory();
    let of = |fault: FaultSet| {
        let profile = Profile { faults: fault, ..Profile::default() };
        let runtime = Jcvm::with_card(memory.card());
        let clone = runtime.memory();
        (Card::new(GpSe::on_jcvm(profile, runtime).unwrap()), clone)
    };
    let well = verified_signature(&mut of(FaultSet::NONE).0);
    let (mut broken, clone) = of(Fault::PaddingWrong.into());
    assert_ne!(verified_signature(&mut broken), well);
    let again = GpSe::on_jcvm(Profile::default(), Jcvm::with_card(clone.card())).unwrap();
    assert_eq!(verified_signature(&mut Card::new(again)), well);
}

/// A whole chain runs on a card with any one fault of an applet that a well-behaved client never meets.
#[test]
fn faults_that_concern_misuse_leave_the_chain_alone() {
    for fault in [Fault::PinUncounted, Fault::PaddingWrong, Fault::SignCertificateFree, Fault::RuleNotDeleted]
    {
        provisioned(RuntimeKind::Jcvm, Some(fault)).unwrap();
    }
}
