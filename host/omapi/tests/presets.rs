//! The presets against the commands that the host really builds for the applet.

#![allow(clippy::unwrap_used)]

use jpkise_card::{CommandApdu, Expected, SecretKind};
use jpkise_gp::ara::ApduAccess;
use jpkise_jpki::edge::{admin, data, file, reference, signature, Ef, KeyRef, Offset, Scheme, Target};
use jpkise_omapi::preset::{presets, JPKI_ADMIN_RELAY, JPKI_USER};

/// Commands of a user app, in the form the app hands them to the service.
fn user_commands() -> Vec<CommandApdu> {
    let mut all = vec![
        file::select_ef(Ef::TOKEN_INFO),
        file::select_ef_fci(Ef::TOKEN_INFO),
        file::read_binary(Offset::new(0x1234).unwrap(), Expected::ALL_SHORT),
        file::read_binary_short(Ef::TOKEN_INFO, 0, Expected::ALL_SHORT),
        signature::get_challenge(Expected::from_short(16)),
        signature::external_authenticate(&[0; 32], &[0x30; 70]),
        data::get_version(),
        data::get_status(),
    ];
    let schemes = [
        Scheme::Verbatim,
        Scheme::BareSha256,
        Scheme::Pkcs1Digest,
        Scheme::Pkcs1Message,
        Scheme::PssDigest,
        Scheme::PssMessage,
    ];
    for target in [Target::Current, Target::Short(Ef::AUTH_PIN), Target::Short(Ef::SIGN_KEY)] {
        all.push(reference::verify_bytes(target, SecretKind::ReferenceData, b"1234"));
        all.push(reference::tries_left(target));
        all.push(CommandApdu::new(0x00, 0x24, 0x00, target.p2()));
        all.push(CommandApdu::new(0x00, 0x24, 0x01, target.p2()));
        for scheme in schemes {
            all.extend(signature::compute(scheme, target, &[1; 32]).unwrap());
        }
    }
    // A long message goes in chained blocks.
    all.extend(signature::compute(Scheme::PssMessage, Target::Current, &[1; 1000]).unwrap());
    all
}

/// Commands of the SP-TSM as the secure channel sends them.
fn admin_commands() -> Vec<CommandApdu> {
    let key = KeyRef::Sign;
    let mut all = vec![
        admin::generate_key_pair(key),
        admin::prove_possession(key, &[0; 32]),
        admin::reset_retry_counter(key, &[0; 32]),
        admin::hold(key),
        admin::resume(key),
        admin::revoke(key),
        admin::delete(key),
        admin::wipe(),
        data::get_public_key(key, 0),
        data::get_proof(key, 0),
        data::get_attestation(&[0; 16]),
        data::get_lease(),
        CommandApdu::new(0x80, 0xE2, 0x08, 0x00),
    ];
    for command in &mut all {
        command.cla |= 0x04;
    }
    all.push(CommandApdu::new(0x80, 0x50, 0x30, 0x00));
    all.push(CommandApdu::new(0x84, 0x82, 0x33, 0x00));
    all
}

#[test]
fn a_user_app_may_send_what_users_send_and_nothing_of_the_sp_tsm_s() {
    let presets = presets();
    let access = |name: &str| ApduAccess::Filters(presets[name].clone());
    let (user, relay) = (access(JPKI_USER), access(JPKI_ADMIN_RELAY));
    for command in user_commands() {
        assert!(user.allows(command.header()) && relay.allows(command.header()), "{command:?}");
    }
    for command in admin_commands() {
        assert!(!user.allows(command.header()), "{command:?}");
        assert!(relay.allows(command.header()), "{command:?}");
    }
    for (cla, ins) in [(0x80, 0xE6), (0x80, 0xE4), (0x80, 0xF2), (0x00, 0xD6), (0x00, 0xA4), (0x84, 0xD8)] {
        assert!(!user.allows([cla, ins, 0x04, 0x00]), "{cla:02X} {ins:02X}");
    }
    assert!(presets
        .values()
        .all(|filters| filters.as_slice().iter().all(jpkise_gp::ara::Filter::is_satisfiable)));
}
