//! The whole of personalisation over SCP03 against a simulated SE, its budget of commands, its faults.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::se::{Fault, Se, KEY};
use common::{hierarchy, rng, NOW};
use jpkise_card::{Card, CommandApdu, ResponseApdu};
use jpkise_gp::scp03::{Authenticated, Session, SoftwareKeys};
use jpkise_jpki::admin::{Admin, AdminError, AttestationError, KnownSecrets, UserApp};
use jpkise_jpki::ca::Subscriber;
use jpkise_jpki::channel::open;
use jpkise_jpki::edge::{
    KeyRef, KeyState, Password, Pin, Secret, Temporary, TokenInfo, TokenProfile, INSTANCE_AID,
};
use jpkise_jpki::personalize::{
    personalize, Event, Issued, Issuer, IssuerError, PersonalizeError, Personalized, Plan, Record, Start,
    Step, TestIssuer,
};
use jpkise_jpki::verify::{verify_chain, verify_message};
use jpkise_jpki::{csr::Csr, Cert, Channel, ClientError, JpkiClient};
use jpkise_wire::scp03::SecurityLevel;
use rand_chacha::ChaCha20Rng;
use x509_cert::name::Name;

fn secrets() -> KnownSecrets {
    KnownSecrets { pin: Pin::new("1234").unwrap(), password: Password::new("ABC123").unwrap() }
}

fn plan(start: Start) -> Plan {
    Plan { start, ..Plan::new(TokenInfo::new(TokenProfile::Phone, "0000000000000001")) }
}

fn issuer(subscriber: &Subscriber) -> TestIssuer<'_, ChaCha20Rng> {
    TestIssuer {
        hierarchy: hierarchy(),
        subscriber,
        profile: TokenProfile::Phone,
        now: NOW,
        not_after_limit: None,
        rng: rng(20),
    }
}

/// Selects, opens the channel at a level and hands it to `work`; `None` when it does not open.
fn in_channel<R>(
    card: &mut Card<Se>,
    level: SecurityLevel,
    seed: u64,
    work: impl for<'s> FnOnce(&mut Session<'s, Se, Authenticated<'s>>) -> R,
) -> Option<R> {
    let keys = SoftwareKeys::same(&KEY).unwrap();
    let mut session = Session::select(card, Some(&INSTANCE_AID))
        .ok()?
        .initialize_update(&keys, 0x30, &mut rng(seed))
        .ok()?
        .external_authenticate(level)
        .ok()?;
    Some(work(&mut session))
}

fn run(card: &mut Card<Se>, start: Start) -> Result<Personalized, PersonalizeError> {
    run_with(card, start, &mut secrets(), &mut |_| ()).expect("the channel opens")
}

fn run_with(
    card: &mut Card<Se>,
    start: Start,
    app: &mut dyn UserApp,
    progress: &mut dyn FnMut(Event),
) -> Option<Result<Personalized, PersonalizeError>> {
    let subscriber = Subscriber::sample();
    in_channel(card, SecurityLevel::L33, 30, |session| {
        personalize(session, &plan(start), &mut issuer(&subscriber), app, &mut rng(31), progress)
    })
}

fn states(card: &mut Card<Se>) -> [u8; 2] {
    card.transport_mut().keys.each_ref().map(|k| k.state)
}

#[test]
fn a_personalisation_takes_at_most_45_commands_from_select_to_attestation() {
    let mut card = Card::new(Se::new());
    let done = run(&mut card, Start::Fresh).unwrap();
    println!("{} APDUs, {} bytes", card.apdus(), card.bytes());
    assert!(card.apdus() <= 45, "{} APDUs", card.apdus());
    assert_eq!(
        u64::from(done.record.secured_commands) + 3 + 2,
        card.apdus(),
        "3 to open, 2 of the app in clear"
    );
    let se = card.transport_mut();
    let to_certified = se.commands.iter().filter(|c| c[..2] != [0x00, 0x24]).count();
    assert!(to_certified <= 43, "{to_certified} APDUs without the app's");
    assert!(se.longest <= 4 + 1 + 255 + 1);
    assert_eq!(states(&mut card), [3, 3]);
}

#[test]
fn afterwards_the_user_signs_with_his_own_secrets_and_everything_verifies() {
    let mut card = Card::new(Se::new());
    let done = run(&mut card, Start::Fresh).unwrap();
    let mut client = JpkiClient::select(&mut card).unwrap();
    assert!(matches!(client.certificate(KeyRef::Sign), Err(ClientError::NotVerified { key: KeyRef::Sign })));
    assert_eq!(client.token_info().unwrap().profile(), Some(TokenProfile::Phone));
    client.verify(&Pin::new("1234").unwrap()).unwrap();
    client.verify(&Password::new("ABC123").unwrap()).unwrap();
    for certified in &done.certified {
        let key = certified.key;
        let certificate = Cert::from_der(&client.certificate(key).unwrap()).unwrap();
        let ca = Cert::from_der(&client.ca_certificate(key).unwrap()).unwrap();
        assert_eq!((&certificate, &ca), (&certified.issued.certificate, &certified.issued.ca));
        verify_chain(&certificate, &ca, key, NOW).unwrap();
        let signature = client.sign_message(key, b"message").unwrap();
        verify_message(&certificate.public_key().unwrap(), b"message", &signature).unwrap();
        assert_eq!(certified.request.key(), &certificate.public_key().unwrap());
    }
}

#[test]
fn the_record_is_json_without_secrets_or_personal_data() {
    let mut card = Card::new(Se::new());
    let record = run(&mut card, Start::Fresh).unwrap().record;
    let json = serde_json::to_string_pretty(&record).unwrap();
    assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record);
    for hidden in ["1234\"", "ABC123", "花子", "東京", "Chiyoda", "pin", "password"] {
        assert!(!json.contains(hidden), "{hidden} in {json}");
    }
    assert_eq!((record.label.as_str(), record.level.as_str()), ("JPKIAPGPSETOKEN", "33"));
    assert!(record.changed && record.lease.is_none());
    for key in &record.keys {
        assert_eq!((key.state, key.generation, key.resets), (KeyState::Active, 1, 1));
        let certificate = key.certificate.as_ref().unwrap();
        assert_eq!(certificate.not_after, "2031-04-02T14:59:59Z");
        assert_eq!(key.modulus.as_ref().unwrap().len(), 512);
    }
}

#[test]
fn progress_names_every_step_once_and_counts_them() {
    let mut events = Vec::new();
    let mut card = Card::new(Se::new());
    run_with(&mut card, Start::Fresh, &mut secrets(), &mut |e| events.push(e)).unwrap().unwrap();
    let steps: Vec<(Step, usize, usize)> = events
        .iter()
        .filter_map(|e| match e {
            Event::Step { step, number, of } => Some((*step, *number, *of)),
            _ => None,
        })
        .collect();
    let expected = plan(Start::Fresh).steps(|_| KeyState::Empty).unwrap();
    assert_eq!(steps.iter().map(|s| s.0).collect::<Vec<_>>(), expected);
    assert!(steps.iter().enumerate().all(|(i, (_, number, of))| *number == i + 1 && *of == expected.len()));
    let blocks = events.iter().filter(|e| matches!(e, Event::Block { .. })).count();
    assert!(events.contains(&Event::Block { done: blocks, of: blocks }));
}

#[test]
fn a_run_that_was_cut_anywhere_is_taken_up_and_a_finished_one_is_left_alone() {
    let whole = {
        let mut card = Card::new(Se::new());
        run(&mut card, Start::Fresh).unwrap();
        card.transport_mut().commands.len()
    };
    for fault in (0..whole).flat_map(|n| [Fault::CutBefore(n), Fault::CutAfter(n)]) {
        let mut se = Se::new();
        se.fault = Some(fault);
        let mut card = Card::new(se);
        if let Some(result) = run_with(&mut card, Start::Fresh, &mut secrets(), &mut |_| ()) {
            let error = result.map(|_| ()).expect_err("the run was cut");
            assert!(matches!(error, PersonalizeError::Step { .. }), "{fault:?}: {error}");
        }
        card.transport_mut().fault = None;
        run(&mut card, Start::Resume).unwrap_or_else(|e| panic!("{fault:?}: {e}"));
        assert_eq!(states(&mut card), [3, 3], "{fault:?}");
        assert!(card.transport_mut().files.contains_key(&0x0006), "{fault:?}");
        let mut client = JpkiClient::select(&mut card).unwrap();
        client.verify(&Pin::new("1234").unwrap()).unwrap();
        client.verify(&Password::new("ABC123").unwrap()).unwrap();
        for key in KeyRef::ALL {
            let certificate = Cert::from_der(&client.certificate(key).unwrap()).unwrap();
            let ca = Cert::from_der(&client.ca_certificate(key).unwrap()).unwrap();
            verify_chain(&certificate, &ca, key, NOW).unwrap();
            let signature = client.sign_message(key, b"after the cut").unwrap();
            verify_message(&certificate.public_key().unwrap(), b"after the cut", &signature).unwrap();
        }
        let before = card.transport_mut().files.clone();
        let again = run(&mut card, Start::Resume).unwrap();
        assert!(!again.record.changed && again.certified.is_empty());
        assert_eq!(card.transport_mut().files, before);
    }
}

#[test]
fn no_flipped_bit_on_the_way_goes_unnoticed() {
    let mut counting = Card::new(Se::new());
    run(&mut counting, Start::Fresh).unwrap();
    let se = counting.transport_mut();
    // From the first secured command on; what the app sends in clear is its own to judge.
    let secured: Vec<usize> = (3..se.commands.len()).filter(|n| se.commands[*n][0] == 0x84).collect();
    for n in secured {
        for at in [0, 9, 100] {
            let mut se = Se::new();
            se.fault = Some(Fault::Flip(n, at));
            let mut card = Card::new(se);
            let result = run_with(&mut card, Start::Fresh, &mut secrets(), &mut |_| ());
            assert!(result.is_none_or(|r| r.is_err()), "command {n}, byte {at}");
        }
    }
}

#[test]
fn an_se_with_a_key_is_not_taken_for_a_fresh_one() {
    let mut card = Card::new(Se::new());
    run(&mut card, Start::Fresh).unwrap();
    let error = run(&mut card, Start::Fresh).map(|_| ()).unwrap_err();
    assert!(matches!(error, PersonalizeError::NotFresh { key: KeyRef::Auth }));
    assert_eq!(states(&mut card), [3, 3], "and nothing was changed");
}

#[test]
fn replacing_makes_new_keys_whatever_was_there() {
    let mut card = Card::new(Se::new());
    let first = run(&mut card, Start::Fresh).unwrap();
    in_channel(&mut card, SecurityLevel::L33, 40, |session| {
        let mut admin = Admin::new(session).unwrap();
        admin.hold(KeyRef::Auth, &mut rng(41)).unwrap();
        admin.revoke(KeyRef::Sign, &mut rng(42)).unwrap();
    });
    let error = run(&mut card, Start::Resume).map(|_| ()).unwrap_err();
    assert!(matches!(error, PersonalizeError::State { key: KeyRef::Auth, state: KeyState::Held }));
    let second = run(&mut card, Start::Replace).unwrap();
    for (one, two) in first.record.keys.iter().zip(&second.record.keys) {
        assert_eq!((two.generation, two.state), (2, KeyState::Active));
        assert_ne!(one.modulus_sha256, two.modulus_sha256);
    }
}

#[test]
fn a_channel_without_r_mac_is_refused_before_anything_is_sent() {
    for level in [SecurityLevel::L01, SecurityLevel::L03, SecurityLevel::L11] {
        let mut card = Card::new(Se::new());
        let subscriber = Subscriber::sample();
        let error = in_channel(&mut card, level, 50, |session| {
            let mut issuer = issuer(&subscriber);
            personalize(session, &plan(Start::Fresh), &mut issuer, &mut secrets(), &mut rng(51), &mut |_| ())
                .map(|_| ())
                .unwrap_err()
        });
        assert!(
            matches!(error.unwrap(), PersonalizeError::Channel(AdminError::Level(found)) if found == level)
        );
        assert_eq!(card.transport_mut().commands.len(), 3);
    }
    let mut card = Card::new(Se::new());
    let subscriber = Subscriber::sample();
    in_channel(&mut card, SecurityLevel::L13, 52, |session| {
        let mut issuer = issuer(&subscriber);
        personalize(session, &plan(Start::Fresh), &mut issuer, &mut secrets(), &mut rng(53), &mut |_| ())
            .unwrap();
    });
    assert_eq!(states(&mut card), [3, 3], "13 is enough");
}

/// An app that sends something of its own instead.
struct Rogue(fn(Temporary<Pin>, &mut dyn Channel) -> Result<(), ClientError>);

impl UserApp for Rogue {
    fn set_pin(&mut self, temporary: Temporary<Pin>, card: &mut dyn Channel) -> Result<(), ClientError> {
        (self.0)(temporary, card)
    }

    fn set_password(&mut self, _: Temporary<Password>, _: &mut dyn Channel) -> Result<(), ClientError> {
        Ok(())
    }
}

#[test]
fn a_temporary_secret_has_one_try_and_a_user_who_sets_none_leaves_the_key_certified() {
    let wrong = |_: Temporary<Pin>, card: &mut dyn Channel| {
        let guess = Temporary::<Pin>::random(&mut rng(60));
        JpkiClient::on_selected(card)
            .with_short_identifiers()
            .change_temporary(&guess, &Pin::new("9999").unwrap())
    };
    let mut card = Card::new(Se::new());
    let error =
        run_with(&mut card, Start::Fresh, &mut Rogue(wrong), &mut |_| ()).unwrap().map(|_| ()).unwrap_err();
    assert!(
        matches!(
            error,
            PersonalizeError::Step {
                step: Step::SetSecret(KeyRef::Auth),
                source: AdminError::App { source: ClientError::TemporaryGone(_), .. }
            }
        ),
        "{error}"
    );
    let idle = |_: Temporary<Pin>, _: &mut dyn Channel| Ok(());
    let error =
        run_with(&mut card, Start::Resume, &mut Rogue(idle), &mut |_| ()).unwrap().map(|_| ()).unwrap_err();
    let PersonalizeError::Step { step: Step::Attest, source: AdminError::Attestation(why) } = error else {
        panic!("{error}")
    };
    assert_eq!(
        why,
        AttestationError::State { key: KeyRef::Auth, expected: KeyState::Active, found: KeyState::Certified }
    );
}

#[test]
fn the_sp_tsm_s_commands_never_carry_the_user_s_secret() {
    struct Watch;
    impl jpkise_card::Observer for Watch {
        fn exchange(&mut self, exchange: &jpkise_card::Exchange<'_>) {
            let data = exchange.command.data();
            let has = |secret: &[u8]| data.windows(secret.len()).any(|w| w == secret);
            if has(b"7531") || has(b"QWE987RTY654") {
                assert_eq!(exchange.command.header()[..2], [0x00, 0x24]);
                assert!(exchange.secret.is_some(), "and the trace is told to hide it");
            }
            assert!(exchange.plain.is_none_or(|p| p.secret.is_none() || p.header[1] == 0xE2));
        }
        fn reset(&mut self, _: &[u8]) {}
    }
    let mut card = Card::new(Se::new());
    card.observe(Box::new(Watch));
    let mut app =
        KnownSecrets { pin: Pin::new("7531").unwrap(), password: Password::new("QWE987RTY654").unwrap() };
    run_with(&mut card, Start::Fresh, &mut app, &mut |_| ()).unwrap().unwrap();
    assert_eq!(card.transport_mut().keys[0].secret.as_deref(), Some(app.pin.expose()));
    assert_eq!(card.transport_mut().keys[1].secret.as_deref(), Some(app.password.expose()));
}

/// A CA that issues for another key.
struct WrongCa(Issued);

impl Issuer for WrongCa {
    fn subject(&mut self, key: KeyRef) -> Result<Name, IssuerError> {
        Ok(hierarchy().of(key).subject(&Subscriber::sample(), NOW, &mut rng(70))?)
    }

    fn issue(&mut self, _: KeyRef, _: &Csr) -> Result<Option<Issued>, IssuerError> {
        Ok(Some(self.0.clone()))
    }
}

#[test]
fn a_certificate_for_another_key_or_ca_is_not_stored() {
    let other_key = common::certificate(KeyRef::Sign, TokenProfile::Phone);
    let own_key = common::certificate(KeyRef::Auth, TokenProfile::Phone);
    let sign_ca = hierarchy().sign.certificate().clone();
    for issued in
        [Issued { certificate: other_key, ca: sign_ca.clone() }, Issued { certificate: own_key, ca: sign_ca }]
    {
        let mut card = Card::new(Se::new());
        let error = in_channel(&mut card, SecurityLevel::L33, 71, |session| {
            let mut ca = WrongCa(issued);
            personalize(session, &plan(Start::Fresh), &mut ca, &mut secrets(), &mut rng(72), &mut |_| ())
                .map(|_| ())
                .unwrap_err()
        });
        assert!(matches!(error.unwrap(), PersonalizeError::WrongCertificate { key: KeyRef::Auth }));
        assert!(card.transport_mut().files.is_empty());
    }
}

#[test]
fn hold_release_reset_revocation_and_deletion_are_attested() {
    let mut card = Card::new(Se::new());
    run(&mut card, Start::Fresh).unwrap();
    card.transport_mut().keys[0].tries = 0;
    in_channel(&mut card, SecurityLevel::L33, 80, |session| {
        let mut admin = Admin::new(session).unwrap();
        let rng = &mut rng(81);
        assert_eq!(admin.hold(KeyRef::Sign, rng).unwrap().sign.state, KeyState::Held);
        assert!(matches!(admin.hold(KeyRef::Sign, rng), Err(AdminError::Refused(_))));
        assert_eq!(admin.resume(KeyRef::Sign, rng).unwrap().sign.state, KeyState::Active);
        let after = admin.reset(KeyRef::Auth, &mut secrets(), rng).unwrap();
        assert_eq!((after.auth.state, after.auth.resets), (KeyState::Active, 2));
        assert_eq!(admin.revoke(KeyRef::Sign, rng).unwrap().sign.state, KeyState::Revoked);
        let after = admin.delete(KeyRef::Sign, rng).unwrap();
        assert_eq!((after.sign.state, after.sign.modulus_hash), (KeyState::Empty, [0; 32]));
        let after = admin.wipe(rng).unwrap();
        assert_eq!((after.auth.state, after.sign.state), (KeyState::Empty, KeyState::Empty));
    })
    .unwrap();
    assert_eq!(card.transport_mut().keys[0].tries, 3);
}

#[test]
fn an_attestation_for_another_nonce_is_an_old_one() {
    /// Answers every attestation with the first one it saw.
    struct Stale<C>(C, Option<ResponseApdu>);
    impl<C: Channel> Channel for Stale<C> {
        fn clear(&mut self, command: &CommandApdu) -> Result<ResponseApdu, jpkise_jpki::ChannelError> {
            self.0.clear(command)
        }
    }
    impl<C: jpkise_jpki::AdminChannel> jpkise_jpki::AdminChannel for Stale<C> {
        fn secured(&mut self, command: &CommandApdu) -> Result<ResponseApdu, jpkise_jpki::ChannelError> {
            let fresh = self.0.secured(command)?;
            Ok(self.1.get_or_insert(fresh).clone())
        }
        fn encrypt_dek(&mut self, clear: &[u8]) -> Result<Vec<u8>, jpkise_jpki::ChannelError> {
            self.0.encrypt_dek(clear)
        }
        fn level(&self) -> SecurityLevel {
            self.0.level()
        }
        fn max_data(&self) -> usize {
            self.0.max_data()
        }
    }
    let mut card = Card::new(Se::new());
    let keys = SoftwareKeys::same(&KEY).unwrap();
    let session = open(&mut card, &INSTANCE_AID, &keys, 0x30, &mut rng(90)).unwrap();
    assert_eq!(session.level(), SecurityLevel::L33, "the best that is offered");
    let mut stale = Stale(session, None);
    let mut admin = Admin::new(&mut stale).unwrap();
    let rng = &mut rng(91);
    admin.attest(rng).unwrap();
    assert!(matches!(admin.attest(rng), Err(AdminError::Attestation(AttestationError::Nonce))));
}
