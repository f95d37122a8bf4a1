//! Each fault of card manager and secure channel changes what a script is answered. Those of the applets are shown with
//! a personalised card in host/lab.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::bench::{self, ara_cap, Bench};
use common::{case4, exchange, lv, put_key_data, send, status, unhex, Host, ISD, TEST_KEY};
use jpkise_card::{CommandApdu, ResponseApdu};
use jpkise_gpse::faults::Part;
use jpkise_gpse::{Fault, FaultSet, GpSe, Jcvm, NoApplets, Profile};
use jpkise_wire::scp03::{cryptogram, mac, Challenge, Derivation, IParameter, SessionKeys, StaticKeys};

const SELECT: &str = "00A4040000";
const INITIALIZE: &str = "8050000008555555555555555500";
const DOMAIN: &str = "A00000015153504A504B49";
const OTHER_DOMAIN: &str = "A00000015153504A504B50";

fn keys() -> StaticKeys {
    StaticKeys::same(&unhex(TEST_KEY)).unwrap()
}

fn with(fault: Option<Fault>, change: impl FnOnce(&mut Profile)) -> GpSe {
    let mut profile = Profile { faults: fault.into_iter().collect(), ..Profile::default() };
    change(&mut profile);
    GpSe::in_memory(profile, Box::new(NoApplets)).unwrap()
}

/// A script: what a card of the profile, changed by the first, answers to the second.
type Script = (Fault, fn(&mut Profile), fn(&mut GpSe) -> String);

fn as_is(_: &mut Profile) {}

/// EXTERNAL AUTHENTICATE after a new INITIALIZE UPDATE, with bits of its cryptogram or MAC turned.
fn authenticate(card: &mut GpSe, level: u8, turn_cryptogram: u8, turn_mac: u8) -> String {
    let host = Challenge::new(&[0x55; 8]).unwrap();
    let answer = exchange(card, &CommandApdu::parse(&unhex(INITIALIZE)).unwrap());
    if !answer.sw.is_success() {
        return answer.sw.to_string();
    }
    let challenge = Challenge::new(&answer.data[13..21]).unwrap();
    let session = SessionKeys::derive(&keys().enc, &keys().mac, &host, &challenge);
    let mut data =
        cryptogram(&session.mac, Derivation::HostCryptogram, &host, &challenge).as_bytes().to_vec();
    data[0] ^= turn_cryptogram;
    let mut full = mac(&session.mac.cipher(), &[&[0; 16], &[0x84, 0x82, level, 0, 0x10], &data]);
    full[0] ^= turn_mac;
    data.extend_from_slice(&full[..8]);
    exchange(card, &CommandApdu::new(0x84, 0x82, level, 0).with_data(data)).sw.to_string()
}

fn opened(card: &mut GpSe, level: u8) -> Host {
    send(card, SELECT);
    Host::open(card, &keys(), 0, level)
}

/// The answer on the wire, still protected.
fn wire(card: &mut GpSe, host: &mut Host, command: &str) -> ResponseApdu {
    let wrapped = host.wrap(&CommandApdu::parse(&unhex(command)).unwrap());
    exchange(card, &wrapped)
}

/// A command with one bit of its MAC turned.
fn with_wrong_mac(card: &mut GpSe, host: &mut Host, command: &str) -> String {
    let wrapped = host.wrap(&CommandApdu::parse(&unhex(command)).unwrap());
    let mut data = wrapped.data().to_vec();
    *data.last_mut().unwrap() ^= 1;
    exchange(card, &wrapped.with_data(data)).sw.to_string()
}

fn list(host: &mut Host, card: &mut GpSe, p1: &str) -> String {
    host.send(card, &format!("80F2{p1}02024F0000"))
}

fn install_domain(host: &mut Host, card: &mut GpSe, aid: &str) {
    let data = lv(&["A0000001515350", "A000000151535041", aid, "80C000", "C900", ""]);
    assert_eq!(host.send(card, &case4("80E60C00", &data)), "009000");
}

fn delete(host: &mut Host, card: &mut GpSe, aid: &str) -> String {
    host.send(card, &case4("80E40000", &format!("4F{:02X}{aid}", aid.len() / 2)))
}

fn put_keys(host: &mut Host, card: &mut GpSe, spoil: bool) -> String {
    let new = StaticKeys::same(&[0x22; 16]).unwrap();
    let mut data = put_key_data(&keys(), &new, 0x31, true);
    if spoil {
        *data.last_mut().unwrap() ^= 1;
    }
    host.send(card, &case4("80D80081", &hex::encode(data)))
}

const CHANNEL: &[Script] = &[
    (Fault::MacUnchecked, as_is, |card| {
        let mut host = opened(card, 0x01);
        with_wrong_mac(card, &mut host, "80CA004200")
    }),
    (Fault::AuthenticationMacUnchecked, as_is, |card| authenticate(card, 0x01, 0, 1)),
    (Fault::HostCryptogramUnchecked, as_is, |card| authenticate(card, 0x01, 1, 0)),
    (Fault::CardCryptogramWrong, as_is, |card| send(card, INITIALIZE)),
    (
        Fault::LevelUnchecked,
        |profile| profile.i = IParameter::new(0x10).unwrap(),
        |card| authenticate(card, 0x33, 0, 0),
    ),
    (Fault::RMacMissing, as_is, |card| {
        let mut host = opened(card, 0x11);
        hex::encode(wire(card, &mut host, "80CA004200").data)
    }),
    (Fault::RMacWithoutStatus, as_is, |card| {
        let mut host = opened(card, 0x11);
        hex::encode(wire(card, &mut host, "80CA004200").data)
    }),
    (Fault::ResponseInClear, as_is, |card| {
        let mut host = opened(card, 0x33);
        hex::encode(&wire(card, &mut host, "80CA004200").data[..4])
    }),
    (Fault::ClearCommandAccepted, as_is, |card| {
        opened(card, 0x01);
        send(card, "80CA004200")
    }),
    (Fault::SessionSurvivesMacError, as_is, |card| {
        let mut host = opened(card, 0x01);
        let before = host.state();
        with_wrong_mac(card, &mut host, "80CA004200");
        host.refused(before);
        list(&mut host, card, "80")
    }),
    (Fault::SessionSurvivesSelect, as_is, |card| {
        let mut host = opened(card, 0x01);
        send(card, SELECT);
        list(&mut host, card, "80")
    }),
    (Fault::SequenceCounterFrozen, as_is, |card| {
        send(card, INITIALIZE);
        send(card, INITIALIZE)
    }),
    (
        Fault::CardChallengeRepeated,
        |profile| profile.i = IParameter::new(0x60).unwrap(),
        |card| (send(card, INITIALIZE)[26..42] == send(card, INITIALIZE)[26..42]).to_string(),
    ),
    (
        Fault::WrongCryptogramUncounted,
        |profile| profile.authentication_tries = Some(1),
        |card| {
            authenticate(card, 0x01, 1, 1);
            authenticate(card, 0x01, 0, 0)
        },
    ),
    (
        Fault::AuthenticationNeverBlocks,
        |profile| profile.authentication_tries = Some(1),
        |card| {
            authenticate(card, 0x01, 1, 1);
            authenticate(card, 0x01, 0, 0)
        },
    ),
    (
        Fault::TriesNotGivenBack,
        |profile| profile.authentication_tries = Some(2),
        |card| {
            authenticate(card, 0x01, 1, 1);
            authenticate(card, 0x01, 0, 0);
            send(card, SELECT);
            authenticate(card, 0x01, 1, 1);
            send(card, INITIALIZE)[..4].to_owned() + &status(card, INITIALIZE)
        },
    ),
];

const MANAGER: &[Script] = &[
    (Fault::KeyCheckValueUnchecked, as_is, |card| {
        let mut host = opened(card, 0x03);
        put_keys(&mut host, card, true)
    }),
    (Fault::KeyCheckValueWrong, as_is, |card| {
        let mut host = opened(card, 0x03);
        put_keys(&mut host, card, false)
    }),
    (Fault::PutKeyIgnored, as_is, |card| {
        let mut host = opened(card, 0x03);
        put_keys(&mut host, card, false) + &host.send(card, "80CA00E000")
    }),
    (Fault::StatusWithoutSession, as_is, |card| status(card, "80F28002024F0000")),
    (Fault::StatusOmitsLast, as_is, |card| {
        let mut host = opened(card, 0x01);
        install_domain(&mut host, card, DOMAIN);
        install_domain(&mut host, card, OTHER_DOMAIN);
        list(&mut host, card, "40")
    }),
    (Fault::StatusMoreUnsaid, as_is, |card| {
        let mut host = opened(card, 0x01);
        for number in 0..9 {
            install_domain(&mut host, card, &format!("{DOMAIN}{number:02X}"));
        }
        let answer = list(&mut host, card, "40");
        answer[answer.len() - 4..].to_owned()
    }),
    (Fault::StatusLifeCycleWrong, as_is, |card| {
        let mut host = opened(card, 0x01);
        install_domain(&mut host, card, DOMAIN);
        list(&mut host, card, "40")
    }),
    (Fault::StatusPrivilegesWrong, as_is, |card| {
        let mut host = opened(card, 0x01);
        install_domain(&mut host, card, DOMAIN);
        list(&mut host, card, "40")
    }),
    (Fault::CardStateIgnored, as_is, |card| {
        let mut host = opened(card, 0x01);
        host.send(card, "80F0800F00") + &list(&mut host, card, "80")
    }),
    (Fault::CardStateBackwards, as_is, |card| {
        let mut host = opened(card, 0x01);
        host.send(card, "80F0800F00");
        host.send(card, "80F0800700")
    }),
    (Fault::LockIgnored, as_is, |card| {
        let mut host = opened(card, 0x01);
        install_domain(&mut host, card, DOMAIN);
        host.send(card, &case4("80F04080", DOMAIN));
        status(card, &format!("00A4040C0B{DOMAIN}"))
    }),
    (Fault::ChannelBeyondLimit, as_is, |card| {
        for _ in 0..3 {
            assert_eq!(status(card, "0070000001"), "9000");
        }
        send(card, "0070000001")
    }),
    (Fault::ChannelCloseIgnored, as_is, |card| {
        send(card, "0070000001");
        send(card, "00708001") + &status(card, "81CA9F7F00")
    }),
    (Fault::UnknownInstructionAccepted, as_is, |card| send(card, "80DE000000")),
    (Fault::UnknownAidSelected, as_is, |card| send(card, "00A4040005F00000000000")),
    (Fault::PartialAidRefused, as_is, |card| send(card, "00A4040005A00000015100")),
    (Fault::SelectWithoutFci, as_is, |card| send(card, SELECT)),
    (Fault::CplcMissing, as_is, |card| send(card, "80CA9F7F00")),
    (Fault::KeyInformationWrong, as_is, |card| send(card, "80CA00E000")),
    (Fault::DeleteIgnored, as_is, |card| {
        let mut host = opened(card, 0x01);
        install_domain(&mut host, card, DOMAIN);
        delete(&mut host, card, DOMAIN) + &list(&mut host, card, "40")
    }),
    (Fault::DeleteInUse, as_is, |card| {
        let mut host = opened(card, 0x01);
        install_domain(&mut host, card, DOMAIN);
        install_domain(&mut host, card, OTHER_DOMAIN);
        let extradition = lv(&[DOMAIN, "", OTHER_DOMAIN, "", "", ""]);
        assert_eq!(host.send(card, &case4("80E61000", &extradition)), "009000");
        delete(&mut host, card, DOMAIN)
    }),
    (Fault::ExtraditionIgnored, as_is, |card| {
        let mut host = opened(card, 0x01);
        install_domain(&mut host, card, DOMAIN);
        install_domain(&mut host, card, OTHER_DOMAIN);
        let extradition = lv(&[DOMAIN, "", OTHER_DOMAIN, "", "", ""]);
        host.send(card, &case4("80E61000", &extradition)) + &list(&mut host, card, "40")
    }),
    (Fault::StoreDataOrderIgnored, as_is, |card| {
        let mut host = opened(card, 0x01);
        host.send(card, "80E2100003420401");
        host.send(card, "80E2900503020304")
    }),
    (Fault::StoredDataLost, as_is, |card| {
        let mut host = opened(card, 0x01);
        host.send(card, "80E2900003420101") + &host.send(card, "80CA004200")
    }),
];

fn compare(scripts: &[Script]) {
    for (fault, change, script) in scripts {
        let well = script(&mut with(None, change));
        let broken = script(&mut with(Some(*fault), change));
        println!("{fault}\n  - {well}\n  + {broken}");
        assert_ne!(well, broken, "{fault}: {}", fault.what());
        // And only this one: a card with a fault of another part answers as a good one.
        let other = if *fault == Fault::CplcMissing { Fault::SelectWithoutFci } else { Fault::CplcMissing };
        assert_eq!(well, script(&mut with(Some(other), change)), "{fault} beside {other}");
    }
}

#[test]
fn each_fault_of_the_secure_channel_shows() {
    compare(CHANNEL);
}

#[test]
fn each_fault_of_the_card_manager_shows() {
    compare(MANAGER);
}

/// On the virtual machine, where packages can be loaded.
fn load_out_of_order(fault: FaultSet) -> String {
    let profile = Profile { faults: fault, ara: false, ..Profile::default() };
    let runtime = Jcvm::new(&profile.jcvm_options(), &[]).unwrap();
    let mut card = GpSe::on_jcvm(profile, runtime).unwrap();
    let mut host = opened(&mut card, 0x01);
    let announced = lv(&["A00000015141434C", ISD, "", "", ""]);
    assert_eq!(host.send(&mut card, &case4("80E60200", &announced)), "009000");
    let cap = jpkise_cap::Cap::read(&ara_cap()).unwrap();
    let file = cap.load_file_data_block(jpkise_cap::LoadOptions::default());
    let mut data = vec![0xC4, 0x82];
    data.extend_from_slice(&u16::try_from(file.len()).unwrap().to_be_bytes());
    data.extend_from_slice(&file);
    let blocks: Vec<&[u8]> = data.chunks(200).collect();
    let mut last = String::new();
    for (number, block) in blocks.iter().enumerate() {
        let p1 = if number + 1 == blocks.len() { 0x80 } else { 0 };
        // The second block comes with the third one's number.
        let number = if number == 1 { 2 } else { number };
        last = host.send(&mut card, &case4(&format!("80E8{p1:02X}{number:02X}"), &hex::encode(block)));
        if !last.ends_with("9000") {
            break;
        }
    }
    last
}

#[test]
fn a_card_that_ignores_block_numbers_loads_what_comes_out_of_order() {
    assert_eq!(load_out_of_order(FaultSet::NONE), "6985");
    assert_eq!(load_out_of_order(Fault::LoadBlockOrderIgnored.into()), "009000");
}

#[test]
fn every_fault_of_this_part_of_the_card_has_its_script() {
    let shown: Vec<Fault> = CHANNEL.iter().chain(MANAGER).map(|(fault, ..)| *fault).collect();
    for fault in Fault::ALL {
        let here = matches!(fault.part(), Part::SecureChannel | Part::CardManager);
        let elsewhere = *fault == Fault::LoadBlockOrderIgnored;
        assert_eq!(shown.contains(fault), here && !elsewhere, "{fault}");
    }
}

#[test]
fn a_profile_names_faults_and_knows_no_others() {
    let text = |key: &str| format!("format = 1\n[faults]\n{key} = true");
    for fault in Fault::ALL {
        assert_eq!(Profile::from_toml(&text(fault.name())).unwrap().faults, FaultSet::from(*fault));
    }
    let error = Profile::from_toml(&text("everything")).unwrap_err();
    assert_eq!((error.line(), error.key()), (3, Some("faults.everything")));
    let off = "format = 1\n[faults]\nmac_unchecked = false";
    assert!(Profile::from_toml(off).unwrap().faults.is_empty());
}

/// A decorated runtime with a fault of an applet that is not asked for anything answers as the runtime itself.
#[test]
fn a_faulty_runtime_leaves_other_applets_alone() {
    let Some(bench) = Bench::jcvm() else { return };
    let run = |faults: FaultSet| {
        let profile = Profile { faults, ..Profile::default() };
        let (mut card, _) = bench.jcvm_card_of(profile);
        bench::install(&mut card, bench::PROBE, bench::ONE, "");
        bench::select(&mut card, bench::ONE);
        let clear = send(&mut card, "80120000021234") + &send(&mut card, "80FF0000");
        let mut host = Host::open(&mut card, &keys(), 0x30, 0x33);
        clear + &host.send(&mut card, &case4("80300000", "0102"))
    };
    assert_eq!(
        run(FaultSet::NONE),
        run(Fault::ALL.iter().copied().filter(|f| matches!(f.part(), Part::Jpki | Part::Ara)).collect())
    );
}
