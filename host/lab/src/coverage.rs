//! Which commands no case has touched.
//!
//! The tables are lists of command headers: the card manager's after the Card Specification, the applets' from the
//! builders that the host itself uses, so that a command cannot be added there and forgotten here.

use std::collections::BTreeSet;

use jpkise_card::names::command_name;
use jpkise_card::{CommandApdu, Expected};
use jpkise_gp::ara::answer;
use jpkise_gp::ara::reference::{AidRef, DeviceApp, Reference};
use jpkise_jpki::edge::{
    admin, data, file, reference, signature, Ef, KeyRef, Offset, Scheme, Target, INSTANCE_AID,
};

use crate::run::CaseResult;

/// Headers of the issuer security domain's commands (GP Card Specification 2.3.1 table 11-1; Amendment D section 7).
const CARD_MANAGER: [[u8; 4]; 30] = [
    [0x00, 0xA4, 0x04, 0x00],
    [0x00, 0xA4, 0x04, 0x02],
    [0x00, 0x70, 0x00, 0x00],
    [0x00, 0x70, 0x80, 0x01],
    [0x00, 0xC0, 0x00, 0x00],
    [0x80, 0xCA, 0x00, 0x42],
    [0x80, 0xCA, 0x00, 0x45],
    [0x80, 0xCA, 0x00, 0x66],
    [0x80, 0xCA, 0x00, 0x67],
    [0x80, 0xCA, 0x00, 0xC1],
    [0x80, 0xCA, 0x00, 0xD3],
    [0x80, 0xCA, 0x00, 0xE0],
    [0x80, 0xCA, 0x2F, 0x00],
    [0x80, 0xCA, 0x5F, 0x50],
    [0x80, 0xCA, 0x9F, 0x7F],
    [0x80, 0xCA, 0xFF, 0x21],
    [0x80, 0xF2, 0x80, 0x02],
    [0x80, 0xF0, 0x80, 0x07],
    [0x80, 0xE6, 0x02, 0x00],
    [0x80, 0xE6, 0x04, 0x00],
    [0x80, 0xE6, 0x08, 0x00],
    [0x80, 0xE6, 0x0C, 0x00],
    [0x80, 0xE6, 0x10, 0x00],
    [0x80, 0xE6, 0x20, 0x00],
    [0x80, 0xE6, 0x40, 0x00],
    [0x80, 0xE8, 0x80, 0x00],
    [0x80, 0xE4, 0x00, 0x00],
    [0x80, 0xD8, 0x00, 0x81],
    [0x80, 0xE2, 0x90, 0x00],
    [0x80, 0x50, 0x00, 0x00],
];
const SCP03: [[u8; 4]; 4] =
    [[0x80, 0x50, 0x00, 0x00], [0x84, 0x82, 0x33, 0x00], [0x80, 0x7A, 0x10, 0x01], [0x80, 0x78, 0x00, 0x03]];

/// The headers of a suite's commands; none for suites that cover no table.
pub fn table(suite: &str) -> Vec<[u8; 4]> {
    let commands = match suite {
        "gp" => return CARD_MANAGER.to_vec(),
        "scp03" => return SCP03.to_vec(),
        "ara" => ara(),
        "jpki" => jpki(),
        _ => Vec::new(),
    };
    commands.iter().map(CommandApdu::header).collect()
}

fn ara() -> Vec<CommandApdu> {
    let reference = Reference::new(AidRef::All, DeviceApp::All);
    let version = answer::InterfaceVersion::V1_1;
    vec![
        answer::get_all(),
        answer::get_next(),
        answer::get_specific(&reference),
        answer::get_refresh_tag(),
        answer::get_config(version),
        CommandApdu::new(0x80, 0xE2, 0x90, 0x00),
    ]
}

fn jpki() -> Vec<CommandApdu> {
    let key = KeyRef::Auth;
    let target = Target::Short(Ef::AUTH_PIN);
    let block = [0; jpkise_jpki::edge::SecretBlock::LENGTH];
    let mut commands = vec![
        file::select_application(&INSTANCE_AID),
        file::select_ef(Ef::TOKEN_INFO),
        file::read_binary(Offset::ZERO, Expected::ALL_SHORT),
        reference::tries_left(target),
        CommandApdu::new(0x00, 0x24, 0x01, 0x98),
        signature::get_challenge(Expected::ALL_SHORT),
        CommandApdu::new(0x00, 0x82, 0x00, 0x00),
        data::get_version(),
        data::get_status(),
        data::get_public_key(key, 0),
        data::get_proof(key, 0),
        data::get_attestation(&[0; 16]),
        data::get_lease(),
        CommandApdu::new(0x80, 0xE2, 0x88, 0x00),
        admin::generate_key_pair(key),
        admin::prove_possession(key, &[0; 32]),
        admin::reset_retry_counter(key, &block),
        admin::hold(key),
        admin::resume(key),
        admin::revoke(key),
        admin::delete(key),
    ];
    commands.extend(signature::compute(Scheme::Verbatim, Target::Current, &[0]).into_iter().flatten());
    commands
}

/// Names of the table's commands that no exchange of these cases carries.
pub fn untouched<'c>(suite: &str, cases: impl Iterator<Item = &'c CaseResult>) -> Vec<String> {
    let touched: BTreeSet<String> = cases
        // A suite in several files has a name for each: `jpki-states` is part of `jpki`.
        .filter(|case| {
            case.suite.strip_prefix(suite).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        })
        .flat_map(|case| case.exchanges.iter().map(|exchange| exchange.name.clone()))
        .collect();
    let mut names: Vec<String> = table(suite).into_iter().map(|h| command_name(h).into_owned()).collect();
    names.sort();
    names.dedup();
    names.retain(|name| !touched.contains(name));
    names
}
