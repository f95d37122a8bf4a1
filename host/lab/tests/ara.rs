//! The ARA-M in the simulated secure element: there from the start, fed through real secure messaging, whole after any
//! power cut. On both runtimes where it concerns both; jCardSim has to be built for its half.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use jpkise_card::{Card, Transport};
use jpkise_gp::ara::{
    self, Access, AidRef, ApduAccess, DeleteTarget, DeviceApp, Filter, Filters, Held, NfcAccess, Reading,
    Reference, Rule, StoreCommand, Way, ARA_M_AID, ARA_PACKAGE_AID,
};
use jpkise_gp::workflow::{open_channel, read_registry, ChannelOptions, LevelChoice};
use jpkise_gpse::runtime::jcardsim::LaunchError;
use jpkise_gpse::runtime::jcvm::Memory;
use jpkise_gpse::{GpSe, Jcvm, Profile};
use jpkise_lab::dist::ARA_CAP;
use jpkise_lab::simulator::{test_keys, RuntimeKind, SimulatorOptions, StartError};
use jpkise_wire::scp03::SecurityLevel;
use jpkise_wire::Aid;
use rand::rngs::OsRng;

const KINDS: [RuntimeKind; 2] = [RuntimeKind::Jcvm, RuntimeKind::JCardSim];

fn start(options: &SimulatorOptions) -> Option<Card<GpSe>> {
    match options.start() {
        Ok((card, _)) => Some(card),
        Err(StartError::JCardSim(LaunchError::NotBuilt { .. })) => {
            println!("SKIP on jCardSim: its runtime is not built");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

/// A new card on each runtime there is, with or without the ARA-M.
fn cards(ara: bool) -> Vec<Card<GpSe>> {
    let options = |runtime| SimulatorOptions {
        runtime,
        profile: Profile { ara, ..Profile::default() }.into(),
        ..SimulatorOptions::default()
    };
    KINDS.into_iter().filter_map(|runtime| start(&options(runtime))).collect()
}

/// Writes command objects in a session of the security domain or of the ARA-M.
fn write<T: Transport>(card: &mut Card<T>, way: Way, commands: &[StoreCommand]) -> Result<(), ara::AraError> {
    let keys = test_keys().unwrap();
    let aid = (way == Way::Direct).then_some(ARA_M_AID);
    let level = LevelChoice::Exactly(SecurityLevel::L13);
    let options = ChannelOptions { aid, level, ..ChannelOptions::default() };
    let mut session = open_channel(card, &keys, &options, &mut OsRng)?;
    ara::card::write(&mut session, way, commands, &mut |_| {})
}

fn held<T: Transport>(card: &mut Card<T>) -> Held {
    let held = ara::card::read(card, Reading::Strict).unwrap();
    // The basic channel goes back to the issuer: jCardSim runs one selected applet at a time.
    card.reset().unwrap();
    held
}

fn sorted(mut rules: Vec<Rule>) -> Vec<Rule> {
    rules.sort();
    rules
}

/// Rules of mixed size and form, no two with one reference: from a few bytes to more than a block of STORE DATA.
fn mixed(count: u8) -> Vec<Rule> {
    (0..count)
        .map(|n| {
            let aid = match n % 5 {
                0 => AidRef::All,
                1 => AidRef::Default,
                _ => AidRef::Aid(
                    Aid::new(&[&[0xA0, 0, 0, 0, n], &[n; 11][..usize::from(n % 12)]].concat()).unwrap(),
                ),
            };
            let app = if n % 2 == 0 { DeviceApp::Sha256([n; 32]) } else { DeviceApp::Sha1([n; 20]) };
            let filters = |count: usize| {
                let filter = Filter { header: [0x80, n, 0, 0], mask: [0xFC, 0xFF, 0, 0] };
                ApduAccess::Filters(Filters::new(vec![filter; count]).unwrap())
            };
            let apdu = match n % 14 {
                0 => filters(40),
                1..=3 => filters(usize::from(n % 4) + 1),
                4 => ApduAccess::Never,
                _ => ApduAccess::Always,
            };
            let nfc = (n % 3 == 0).then_some(NfcAccess::Never);
            Rule::new(Reference::new(aid, app), Access::new(Some(apdu), nfc, None).unwrap())
        })
        .collect()
}

fn stores(rules: &[Rule]) -> Vec<StoreCommand> {
    rules.iter().cloned().map(StoreCommand::Store).collect()
}

#[test]
fn the_ara_m_is_there_from_the_start_and_belongs_to_the_issuer_s_domain() {
    for mut card in cards(true) {
        assert_eq!(held(&mut card).rules, []);
        let keys = test_keys().unwrap();
        let mut session = open_channel(&mut card, &keys, &ChannelOptions::default(), &mut OsRng).unwrap();
        let registry = read_registry(&mut session).unwrap();
        let entry = registry.applications.iter().find(|a| a.aid == ARA_M_AID).expect("listed");
        assert_eq!(entry.domain, Some(Aid::literal([0xA0, 0, 0, 1, 0x51, 0, 0, 0])));
        assert_eq!(entry.load_file, Some(ARA_PACKAGE_AID));
    }
}

#[test]
fn a_profile_may_leave_it_out() {
    for mut card in cards(false) {
        let error = ara::card::read(&mut card, Reading::Strict).unwrap_err();
        assert!(matches!(error, ara::AraError::NotThere { .. }), "{error}");
    }
}

#[test]
fn rules_arrive_through_the_domain_and_in_the_ara_m_s_own_channel() {
    for mut card in cards(true) {
        let rules = mixed(8);
        let mut tags = vec![held(&mut card).refresh_tag];
        write(&mut card, Way::Domain, &stores(&rules[..4])).unwrap();
        tags.push(held(&mut card).refresh_tag);
        write(&mut card, Way::Direct, &stores(&rules[4..])).unwrap();
        let now = held(&mut card);
        tags.push(now.refresh_tag);
        assert_eq!(sorted(now.rules), sorted(rules.clone()));
        assert!(tags[0] != tags[1] && tags[1] != tags[2]);
        // Without a session nobody changes anything.
        let name = card.transport_mut().name().to_owned();
        card.send(&jpkise_gp::commands::select::select(ARA_M_AID.as_bytes())).unwrap();
        let clear = StoreCommand::Delete(DeleteTarget::All).commands(255).unwrap();
        assert_eq!(card.send(&clear[0]).unwrap().sw.0, 0x6982, "{name}");
        assert_eq!(held(&mut card).refresh_tag, tags[2], "{name}");
        write(&mut card, Way::Domain, &[StoreCommand::Delete(DeleteTarget::All)]).unwrap();
        assert_eq!(held(&mut card).rules, [], "{name}");
    }
}

/// A new card with the ARA-M alone in its ROM.
fn jcvm() -> (Card<GpSe>, Memory) {
    let profile = Profile::default();
    let runtime = Jcvm::new(&profile.jcvm_options(), &[ARA_CAP]).unwrap();
    let memory = runtime.memory();
    (Card::new(GpSe::on_jcvm(profile, runtime).unwrap()), memory)
}

fn twin(memory: &Memory) -> (Card<GpSe>, Memory) {
    let runtime = Jcvm::with_card(memory.card());
    let memory = runtime.memory();
    (Card::new(GpSe::on_jcvm(Profile::default(), runtime).unwrap()), memory)
}

#[test]
fn two_hundred_rules_of_mixed_size_come_back_in_pages_and_their_memory_is_given_back() {
    let (mut card, memory) = jcvm();
    let rules = mixed(200);
    let objects = |memory: &Memory| {
        let free = memory.card().free_memory();
        (free.persistent, free.transient)
    };
    let before = objects(&memory);
    for round in 0..2 {
        write(&mut card, Way::Domain, &stores(&rules)).unwrap();
        let now = held(&mut card);
        assert_eq!(sorted(now.rules), sorted(rules.clone()), "round {round}");
        // Nothing is created after installation: a deleted rule's memory is the applet's own, and used again.
        assert_eq!(objects(&memory), before, "round {round}");
        let (half, rest) = rules.split_at(100);
        let by_rule = half.iter().cloned().map(|rule| StoreCommand::Delete(DeleteTarget::Rule(rule)));
        write(&mut card, Way::Domain, &by_rule.collect::<Vec<_>>()).unwrap();
        assert_eq!(sorted(held(&mut card).rules), sorted(rest.to_vec()), "round {round}");
        write(&mut card, Way::Direct, &[StoreCommand::Delete(DeleteTarget::All)]).unwrap();
        assert_eq!(held(&mut card).rules, [], "round {round}");
    }
    assert_eq!(objects(&memory), before);
}

/// What tells two rule sets apart without reading all pages: the refresh tag, and the first page, which begins with the
/// length of all rules.
fn glance(card: &mut Card<GpSe>) -> (Vec<u8>, Vec<u8>) {
    card.send(&jpkise_gp::commands::select::select(ARA_M_AID.as_bytes())).unwrap();
    let tag = card.send(&ara::answer::get_refresh_tag()).unwrap().data;
    let page = card.send(&ara::answer::get_all()).unwrap().data;
    card.reset().unwrap();
    (tag, page)
}

/// Cuts the power after every write of one command object's way into a card: nothing but the rules of before, with the
/// tag of before, or those of after with a new one. Every so often, and where the one becomes the other, all rules are
/// read and the object is sent again.
fn cut_everywhere(memory: &Memory, way: Way, command: &StoreCommand) {
    let commands = std::slice::from_ref(command);
    let (mut card, _) = twin(memory);
    let (before, glance_before) = (held(&mut card), glance(&mut card));
    let (mut card, probe) = twin(memory);
    let start = probe.writes();
    write(&mut card, way, commands).unwrap();
    let writes = probe.writes() - start;
    let (after, glance_after) = (held(&mut card), glance(&mut card));
    assert_ne!(before.refresh_tag, after.refresh_tag);
    let cut = |n: u64| {
        let (mut card, memory) = twin(memory);
        memory.cut_power_after(Some(n));
        assert!(write(&mut card, way, commands).is_err(), "cut after {n} of {writes} went unnoticed");
        memory.cut_power_after(None);
        card.reset().unwrap();
        card
    };
    let look = |n: u64, thorough: bool| {
        let mut card = cut(n);
        let (tag, page) = glance(&mut card);
        let is_new = tag != glance_before.0;
        let expected = if is_new { &glance_after.1 } else { &glance_before.1 };
        assert_eq!(&page, expected, "cut after {n} of {writes}: rules and tag belong together");
        if thorough {
            let rules = if is_new { &after.rules } else { &before.rules };
            assert_eq!(&held(&mut card).rules, rules, "cut after {n} of {writes}");
            // The card goes on as if nothing had been.
            assert_eq!(write(&mut card, way, commands).is_err(), is_new, "cut after {n}, sent again");
            assert_eq!(held(&mut card).rules, after.rules, "cut after {n}, sent again");
        }
        is_new
    };
    let halves = std::thread::scope(|scope| {
        let halves = [0, 1].map(|half| {
            scope.spawn(move || {
                (0..writes)
                    .filter(|n| n % 2 == half)
                    .map(|n| (n, look(n, n % 100 == half)))
                    .collect::<Vec<_>>()
            })
        });
        halves.map(|half| half.join().unwrap())
    });
    let mut seen = halves.concat();
    seen.sort_unstable();
    // Once new, always new.
    let first_new = seen.iter().position(|(_, is_new)| *is_new).map_or(writes, |at| at as u64);
    assert!(seen.iter().all(|(n, is_new)| *is_new == (*n >= first_new)));
    for n in first_new.saturating_sub(2)..(first_new + 2).min(writes) {
        look(n, true);
    }
    println!("{way:?}: {writes} writes, the first {first_new} cuts leave the old rules");
    assert!(first_new > 0);
}

#[test]
fn storing_with_two_hundred_rules_on_the_card_is_whole_or_not_at_all() {
    let (mut card, memory) = jcvm();
    let rules = mixed(201);
    let (last, first) = rules.split_last().unwrap();
    write(&mut card, Way::Domain, &stores(first)).unwrap();
    drop(card);
    // A rule that takes more than one block of STORE DATA, in the domain's session; a short one in the ARA-M's own.
    let filter = Filter { header: [0x80, 1, 0, 0], mask: [0xFC, 0xFF, 0, 0] };
    let long = ApduAccess::Filters(Filters::new(vec![filter; 24]).unwrap());
    let long = Rule::new(last.reference.clone(), Access::apdu_only(long));
    let command = StoreCommand::Store(long);
    assert!(command.commands(231).unwrap().len() > 1);
    cut_everywhere(&memory, Way::Domain, &command);
    cut_everywhere(&memory, Way::Direct, &StoreCommand::Store(last.clone()));
}

#[test]
fn deleting_is_whole_or_not_at_all() {
    let (mut card, memory) = jcvm();
    let rules = mixed(20);
    write(&mut card, Way::Domain, &stores(&rules)).unwrap();
    drop(card);
    for target in
        [DeleteTarget::All, DeleteTarget::Aid(AidRef::Default), DeleteTarget::Rule(rules[7].clone())]
    {
        cut_everywhere(&memory, Way::Domain, &StoreCommand::Delete(target));
    }
}

/// The client AIDs that the ARA-M gives out in its own channel.
fn clients(card: &mut Card<GpSe>) -> Vec<u8> {
    let keys = test_keys().unwrap();
    let level = LevelChoice::Exactly(SecurityLevel::L13);
    let options = ChannelOptions { aid: Some(ARA_M_AID), level, ..ChannelOptions::default() };
    let mut session = open_channel(card, &keys, &options, &mut OsRng).unwrap();
    let command = StoreCommand::GetClientAids.commands(100).unwrap().remove(0);
    session.send(&command).unwrap().data
}

#[test]
fn clients_are_registered_whole_or_not_at_all_and_leave_the_rules_alone() {
    let (mut card, memory) = jcvm();
    let aid = |n: u8| Aid::new(&[0xA0, 0, 0, 0, n, 1]).unwrap();
    let first = StoreCommand::RegisterClientAids(vec![aid(1), aid(2)]);
    write(&mut card, Way::Domain, std::slice::from_ref(&first)).unwrap();
    write(&mut card, Way::Domain, &stores(&mixed(3))).unwrap();
    let (before, rules) = (clients(&mut card), held(&mut card));
    assert_eq!(hex::encode(&before), "ff70104f06a000000001014f06a00000000201");
    drop(card);
    let command = StoreCommand::RegisterClientAids(vec![aid(3)]);
    let commands = std::slice::from_ref(&command);
    let (mut card, probe) = twin(&memory);
    let start = probe.writes();
    write(&mut card, Way::Direct, commands).unwrap();
    let writes = probe.writes() - start;
    let after = clients(&mut card);
    assert_eq!(hex::encode(&after), "ff70084f06a00000000301");
    for n in 0..writes {
        let (mut card, memory) = twin(&memory);
        memory.cut_power_after(Some(n));
        assert!(write(&mut card, Way::Direct, commands).is_err());
        memory.cut_power_after(None);
        card.reset().unwrap();
        let now = clients(&mut card);
        assert!(now == before || now == after, "cut after {n} of {writes}");
        assert_eq!(held(&mut card), rules, "cut after {n}: the phone need not read anew");
    }
}
