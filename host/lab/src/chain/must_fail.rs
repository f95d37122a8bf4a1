//! What an intruder, or a mistake, tries; and what the card must answer.

use std::cell::RefCell;
use std::rc::Rc;

use jpkise_card::{Card, CommandApdu, Exchange, Observer, ResponseApdu, Transport};
use jpkise_gp::scp03::{Session, SoftwareKeys};
use jpkise_gp::LogicalChannel;
use jpkise_jpki::client::JpkiClient;
use jpkise_jpki::edge::{
    admin, data, file, reference, signature, Ef, KeyRef, Offset, Pin, Scheme, Secret, Target, TokenProfile,
    INSTANCE_AID, SP_KEY_VERSION,
};
use jpkise_wire::StatusWord;
use serde::Serialize;

use super::error::ChainError;
use super::{Event, Options, Run, Step};
use crate::secrets;

/// A thing that must fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// COMPUTE DIGITAL SIGNATURE with the signature key before VERIFY.
    SignBeforeVerify,
    /// The same with the user-authentication key.
    AuthBeforeVerify,
    /// VERIFY with a wrong PIN.
    WrongPin,
    /// READ BINARY of the signature certificate without the password.
    ReadSignCertificate,
    /// READ BINARY of the phone's user-authentication certificate without the PIN.
    ReadAuthCertificate,
    /// GENERATE ASYMMETRIC KEY PAIR without a secure channel.
    AdminWithoutChannel,
    /// The same in clear while the secure channel is open.
    AdminInClear,
    /// A secured command sent a second time.
    Replay,
    /// The channel after that: aborted.
    AfterReplay,
}

impl Case {
    /// Stable name, as in the summary and in message keys.
    pub const fn id(self) -> &'static str {
        match self {
            Self::SignBeforeVerify => "sign-before-verify",
            Self::AuthBeforeVerify => "auth-before-verify",
            Self::WrongPin => "wrong-pin",
            Self::ReadSignCertificate => "read-sign-certificate",
            Self::ReadAuthCertificate => "read-auth-certificate",
            Self::AdminWithoutChannel => "admin-without-channel",
            Self::AdminInClear => "admin-in-clear",
            Self::Replay => "replay",
            Self::AfterReplay => "after-replay",
        }
    }

    /// What the card must answer; one of these.
    pub const fn expected(self) -> &'static [StatusWord] {
        match self {
            // The first of three tries.
            Self::WrongPin => &[StatusWord(0x63C2)],
            // An aborted channel: 6985 is what `unwrap` throws then, which an applet may pass on (GP Card API,
            // SecureChannel.unwrap).
            Self::AfterReplay => &[StatusWord::SECURITY_NOT_SATISFIED, StatusWord::CONDITIONS_NOT_SATISFIED],
            _ => &[StatusWord::SECURITY_NOT_SATISFIED],
        }
    }

    /// The same for people: `6982 / 6985`.
    pub fn expectation(self) -> String {
        self.expected().iter().map(ToString::to_string).collect::<Vec<_>>().join(" / ")
    }
}

/// A thing that failed, as it must.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// [`Case::id`].
    pub case: &'static str,
    /// The card's answer.
    pub status_word: String,
    /// Tries left, where the answer tells.
    pub tries_left: Option<u8>,
}

/// Remembers the last secured command as it went over the wire.
#[derive(Clone, Default)]
struct Eavesdropper(Rc<RefCell<Option<CommandApdu>>>);

impl Observer for Eavesdropper {
    fn exchange(&mut self, exchange: &Exchange<'_>) {
        if exchange.plain.is_some() {
            *self.0.borrow_mut() = Some(exchange.command.clone());
        }
    }
    fn reset(&mut self, _atr: &[u8]) {}
}

/// Tries everything. The card is left with all tries restored.
pub(super) fn attempt<T: Transport>(
    run: &mut Run<'_, T>,
    options: &Options,
) -> Result<Vec<Refused>, ChainError> {
    run.step(Step::MustFail, |run, _| {
        let mut refused = Vec::new();
        let mut judge = |case: Case, answer: &ResponseApdu| {
            if !case.expected().contains(&answer.sw) || !answer.data.is_empty() {
                return Err(ChainError::DidNotFail { case, sw: answer.sw });
            }
            let one = Refused {
                case: case.id(),
                status_word: answer.sw.to_string(),
                tries_left: answer.sw.tries_left(),
            };
            (run.events)(&Event::Refused(&one));
            refused.push(one);
            Ok(())
        };
        without_secrets(run.card, options, &mut judge)?;
        without_channel(run.card, &mut judge)?;
        inside_channel(run.card, &secrets::sp_keys()?, &mut judge)?;
        Ok(refused)
    })
}

type Judge<'j> = dyn FnMut(Case, &ResponseApdu) -> Result<(), ChainError> + 'j;

fn without_secrets<T: Transport>(
    card: &mut Card<T>,
    options: &Options,
    judge: &mut Judge<'_>,
) -> Result<(), ChainError> {
    JpkiClient::select(card)?;
    let input = signature::digest_info(&[0x5A; 32]);
    for (case, key) in [(Case::SignBeforeVerify, KeyRef::Sign), (Case::AuthBeforeVerify, KeyRef::Auth)] {
        card.send(&file::select_ef(key.key_ef()))?;
        for command in signature::compute(Scheme::Verbatim, Target::Current, &input)? {
            let answer = card.send(&command)?;
            judge(case, &answer)?;
        }
    }
    let mut certificates = vec![(Case::ReadSignCertificate, KeyRef::Sign)];
    if options.profile == TokenProfile::Phone {
        certificates.push((Case::ReadAuthCertificate, KeyRef::Auth));
    }
    for (case, key) in certificates {
        card.send(&file::select_ef(key.certificate_ef()))?;
        let answer = card.send(&file::read_binary(Offset::ZERO, jpkise_card::Expected::ALL_SHORT))?;
        judge(case, &answer)?;
    }
    wrong_pin(card, options, judge)
}

fn wrong_pin<T: Transport>(
    card: &mut Card<T>,
    options: &Options,
    judge: &mut Judge<'_>,
) -> Result<(), ChainError> {
    card.send(&file::select_ef(Ef::AUTH_PIN))?;
    let text = if options.pin.expose() == b"0000" { "0001" } else { "0000" };
    let wrong = Pin::new(text)?;
    let answer = card.send(&reference::verify(Target::Current, &wrong))?;
    judge(Case::WrongPin, &answer)?;
    let mut client = JpkiClient::on_selected(card);
    client.verify(&options.pin)?;
    let left = client.tries_left(KeyRef::Auth)?;
    if left != 3 {
        return Err(ChainError::TriesNotRestored { left });
    }
    Ok(())
}

fn without_channel<T: Transport>(card: &mut Card<T>, judge: &mut Judge<'_>) -> Result<(), ChainError> {
    JpkiClient::select(card)?;
    let mut command = admin::generate_key_pair(KeyRef::Sign);
    // The class of secure messaging, as the command would have inside a channel.
    command.cla |= 0x04;
    let answer = card.send(&command)?;
    judge(Case::AdminWithoutChannel, &answer)
}

fn inside_channel<T: Transport>(
    card: &mut Card<T>,
    keys: &SoftwareKeys,
    judge: &mut Judge<'_>,
) -> Result<(), ChainError> {
    let ear = Eavesdropper::default();
    card.observe(Box::new(ear.clone()));
    JpkiClient::select(card)?;
    let session = Session::at_selected(card, LogicalChannel::BASIC, Some(INSTANCE_AID)).initialize_update(
        keys,
        SP_KEY_VERSION,
        &mut rand::rngs::OsRng,
    )?;
    let level = session.info().best_level();
    let mut session = session.external_authenticate(level)?;

    let answer = session.send_clear(&admin::generate_key_pair(KeyRef::Sign))?;
    judge(Case::AdminInClear, &answer)?;

    let attestation = data::get_attestation(&[0; 16]);
    let answer = session.send(&attestation)?;
    if !answer.sw.is_success() {
        return Err(ChainError::Refused { command: "GET DATA", sw: answer.sw });
    }
    let overheard = ear.0.borrow_mut().take().ok_or(ChainError::NothingOverheard)?;
    let answer = session.card().send(&overheard)?;
    judge(Case::Replay, &answer)?;
    // The channel is aborted, not back to clear: even a good command is refused until it is opened anew.
    let answer = session.send(&attestation)?;
    judge(Case::AfterReplay, &answer)
}
