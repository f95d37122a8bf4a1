//! The user's side of the card edge: files, PIN and password, signatures. Works on the phone's applet and on the
//! deployed card.

mod error;

use jpkise_card::{Expected, ResponseApdu, SecretKind};
use jpkise_wire::{Aid, StatusWord};
use sha2::{Digest, Sha256};

use crate::channel::{accept, Channel, Refusal};
use crate::edge::file::{read_binary, read_binary_short, select_application, select_ef};
use crate::edge::signature::{compute, digest_info, get_challenge};
use crate::edge::token::Availability;
use crate::edge::{
    data, reference, AppletVersion, CardStatus, EdgeError, Ef, KeyRef, Offset, Scheme, Secret, Target,
    Temporary, TokenInfo, INSTANCE_AID, SIGNATURE_LENGTH,
};

pub use error::ClientError;

/// How commands name their file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Addressing {
    /// By short EF identifier: no SELECT EF needed. This project's applet takes it everywhere.
    Short,
    /// SELECT EF first: what every deployed client does, so what every card takes.
    Select,
}

/// Name of a secret as errors carry it.
const fn kind_of(key: KeyRef) -> SecretKind {
    match key {
        KeyRef::Auth => SecretKind::Pin,
        KeyRef::Sign => SecretKind::Password,
    }
}

/// A selected JPKI application.
pub struct JpkiClient<'c, C: ?Sized> {
    channel: &'c mut C,
    addressing: Addressing,
    current: Option<Ef>,
}

impl<'c, C: Channel + ?Sized> JpkiClient<'c, C> {
    /// Selects the deployed AID. Commands go out the way every card takes them.
    pub fn select(channel: &'c mut C) -> Result<Self, ClientError> {
        Self::select_aid(channel, &INSTANCE_AID)
    }

    /// Selects the application by another AID.
    pub fn select_aid(channel: &'c mut C, aid: &Aid) -> Result<Self, ClientError> {
        let sw = channel.clear(&select_application(aid))?.sw;
        match sw {
            StatusWord::SUCCESS => Ok(Self::on_selected(channel)),
            StatusWord::NOT_FOUND => Err(ClientError::NoApplication(*aid)),
            sw => Err(Refusal { command: "SELECT", sw }.into()),
        }
    }

    /// Takes over an application that is selected already, for example while the SP-TSM's channel is open. Nothing is
    /// sent: a SELECT would end that channel and any verified state.
    pub fn on_selected(channel: &'c mut C) -> Self {
        Self { channel, addressing: Addressing::Select, current: None }
    }

    /// From here on names files by their short identifier, which saves the SELECTs. For this project's applet, which
    /// [`Self::version`] tells from a card.
    #[must_use]
    pub fn with_short_identifiers(mut self) -> Self {
        self.addressing = Addressing::Short;
        self
    }

    /// The applet's version and features; `None` on a card, which does not know the object.
    pub fn version(&mut self) -> Result<Option<AppletVersion>, ClientError> {
        let answer = self.channel.clear(&data::get_version())?;
        if answer.sw.is_success() {
            Ok(Some(AppletVersion::parse(&answer.data)?))
        } else {
            Ok(None)
        }
    }

    /// States and tries left (DF31); `None` on a card.
    pub fn status(&mut self) -> Result<Option<CardStatus>, ClientError> {
        let answer = self.channel.clear(&data::get_status())?;
        if answer.sw.is_success() {
            Ok(Some(CardStatus::parse(&answer.data)?))
        } else {
            Ok(None)
        }
    }

    /// Token information, EF 0006.
    pub fn token_info(&mut self) -> Result<TokenInfo, ClientError> {
        let bytes = self.read_prefix(Ef::TOKEN_INFO, TokenInfo::LENGTH)?;
        Ok(TokenInfo::parse(&bytes)?)
    }

    /// Which certificates are there, EF 0008.
    pub fn availability(&mut self) -> Result<Availability, ClientError> {
        let bytes = self.read_prefix(Ef::AVAILABILITY, Availability::LENGTH)?;
        Ok(Availability::parse(&bytes)?)
    }

    /// A key's certificate, DER. The signature certificate needs the password first, the phone's user-authentication
    /// certificate the PIN.
    pub fn certificate(&mut self, key: KeyRef) -> Result<Vec<u8>, ClientError> {
        self.read_der(key.certificate_ef())
    }

    /// The CA certificate above it, DER; free.
    pub fn ca_certificate(&mut self, key: KeyRef) -> Result<Vec<u8>, ClientError> {
        self.read_der(key.ca_certificate_ef())
    }

    /// Reads the DER object at the start of an EF, its length taken from its own header, so that filler behind it costs
    /// nothing and the last READ BINARY asks for no byte too many.
    pub fn read_der(&mut self, ef: Ef) -> Result<Vec<u8>, ClientError> {
        let mut object = self.read_first(ef, Expected::ALL_SHORT)?;
        let total = der_length(&object)?;
        while object.len() < total {
            let short = EdgeError::Length { what: "file", expected: total, found: object.len() };
            let missing = u32::try_from(total - object.len()).unwrap_or(u32::MAX).min(256);
            let (Some(offset), Some(expected)) = (Offset::new(object.len()), Expected::new(missing)) else {
                return Err(short.into());
            };
            let answer = self.channel.clear(&read_binary(offset, expected))?;
            let part = match answer.sw {
                StatusWord::WRONG_P1_P2 => Vec::new(),
                _ => Self::file_data(ef, answer)?,
            };
            if part.is_empty() {
                return Err(short.into());
            }
            object.extend_from_slice(&part);
        }
        object.truncate(total);
        Ok(object)
    }

    /// The first `length` bytes of an EF, at most 256, in one READ BINARY.
    fn read_prefix(&mut self, ef: Ef, length: usize) -> Result<Vec<u8>, ClientError> {
        let expected = u32::try_from(length).ok().and_then(Expected::new).unwrap_or(Expected::ALL_SHORT);
        self.read_first(ef, expected)
    }

    fn read_first(&mut self, ef: Ef, expected: Expected) -> Result<Vec<u8>, ClientError> {
        let command = match self.addressing {
            Addressing::Short => {
                self.current = Some(ef);
                read_binary_short(ef, 0, expected)
            }
            Addressing::Select => {
                self.make_current(ef)?;
                read_binary(Offset::ZERO, expected)
            }
        };
        let answer = self.channel.clear(&command)?;
        Self::file_data(ef, answer)
    }

    fn file_data(ef: Ef, answer: ResponseApdu) -> Result<Vec<u8>, ClientError> {
        let key = KeyRef::ALL.into_iter().find(|k| k.certificate_ef() == ef);
        match (answer.sw, key) {
            (StatusWord::SUCCESS, _) => Ok(answer.data),
            (StatusWord::NOT_FOUND, _) => Err(ClientError::NoFile(ef)),
            (StatusWord::SECURITY_NOT_SATISFIED, Some(key)) => Err(ClientError::NotVerified { key }),
            (StatusWord::CONDITIONS_NOT_SATISFIED, Some(key)) => {
                Err(ClientError::NotUsable { key, command: "READ BINARY" })
            }
            (sw, _) => Err(Refusal { command: "READ BINARY", sw }.into()),
        }
    }

    /// Makes an EF the current one, unless it is.
    fn make_current(&mut self, ef: Ef) -> Result<(), ClientError> {
        if self.current == Some(ef) {
            return Ok(());
        }
        // Unknown until the card has answered.
        self.current = None;
        match self.channel.clear(&select_ef(ef))?.sw {
            StatusWord::SUCCESS => {
                self.current = Some(ef);
                Ok(())
            }
            StatusWord::NOT_FOUND => Err(ClientError::NoFile(ef)),
            sw => Err(Refusal { command: "SELECT", sw }.into()),
        }
    }

    fn target(&mut self, ef: Ef) -> Result<Target, ClientError> {
        match self.addressing {
            Addressing::Short => Ok(Target::Short(ef)),
            Addressing::Select => self.make_current(ef).map(|()| Target::Current),
        }
    }

    /// Tries left for a key's PIN or password; costs none.
    pub fn tries_left(&mut self, key: KeyRef) -> Result<u8, ClientError> {
        let target = self.target(key.secret_ef())?;
        let sw = self.channel.clear(&reference::tries_left(target))?.sw;
        match sw {
            // Some cards tell a blocked secret, or a verified one, in other words than 63Cx.
            StatusWord::METHOD_BLOCKED | StatusWord::REFERENCE_DATA_NOT_USABLE => Ok(0),
            sw => sw.tries_left().ok_or(Refusal { command: "VERIFY", sw }.into()),
        }
    }

    /// VERIFY: the PIN of the user-authentication key or the password of the signature key.
    pub fn verify<S: Secret>(&mut self, secret: &S) -> Result<(), ClientError> {
        let target = self.target(S::KEY.secret_ef())?;
        let sw = self.channel.clear(&reference::verify(target, secret))?.sw;
        Self::judge(S::KEY, "VERIFY", sw)
    }

    /// Replaces a PIN or password that was verified before.
    pub fn change_verified<S: Secret>(&mut self, new: &S) -> Result<(), ClientError> {
        let target = self.target(S::KEY.secret_ef())?;
        let sw = self.channel.clear(&reference::change_verified(target, new))?.sw;
        Self::judge(S::KEY, "CHANGE REFERENCE DATA", sw)
    }

    /// Replaces the old PIN or password in one command. Only this project's applet knows the form;
    /// for a card, [`Self::verify`] and [`Self::change_verified`].
    pub fn change<S: Secret>(&mut self, old: &S, new: &S) -> Result<(), ClientError> {
        let target = self.target(S::KEY.secret_ef())?;
        let sw = self.channel.clear(&reference::change(target, old, new))?.sw;
        Self::judge(S::KEY, "CHANGE REFERENCE DATA", sw)
    }

    /// Replaces a temporary PIN or password, on the selection and while the secure channel is open in which it was set.
    /// It has one try.
    pub fn change_temporary<S: Secret>(
        &mut self,
        temporary: &Temporary<S>,
        new: &S,
    ) -> Result<(), ClientError> {
        match self.change(temporary.value(), new) {
            Err(ClientError::Blocked { secret, .. } | ClientError::WrongSecret { secret, .. }) => {
                Err(ClientError::TemporaryGone(secret))
            }
            Err(ClientError::NotUsable { .. }) => Err(ClientError::TemporaryGone(S::KIND)),
            other => other,
        }
    }

    /// What the card says to a PIN or password.
    fn judge(key: KeyRef, command: &'static str, sw: StatusWord) -> Result<(), ClientError> {
        let secret = kind_of(key);
        match (sw, sw.tries_left()) {
            (StatusWord::SUCCESS, _) => Ok(()),
            (_, Some(0)) => Err(ClientError::Blocked { secret, by_this_try: true }),
            (_, Some(tries_left)) => Err(ClientError::WrongSecret { secret, tries_left }),
            (StatusWord::METHOD_BLOCKED | StatusWord::REFERENCE_DATA_NOT_USABLE, _) => {
                Err(ClientError::Blocked { secret, by_this_try: false })
            }
            (StatusWord::SECURITY_NOT_SATISFIED, _) => Err(ClientError::NotVerified { key }),
            (StatusWord::CONDITIONS_NOT_SATISFIED, _) => Err(ClientError::NotUsable { key, command }),
            (StatusWord::WRONG_DATA, _) => Err(ClientError::SecretForm(secret)),
            (sw, _) => Err(Refusal { command, sw }.into()),
        }
    }

    /// COMPUTE DIGITAL SIGNATURE with a scheme, after [`Self::verify`].
    pub fn sign(
        &mut self,
        key: KeyRef,
        scheme: Scheme,
        input: &[u8],
    ) -> Result<[u8; SIGNATURE_LENGTH], ClientError> {
        const COMMAND: &str = "COMPUTE DIGITAL SIGNATURE";
        // The input is judged before anything is sent.
        compute(scheme, Target::Current, input)?;
        let target = self.target(key.key_ef())?;
        let mut signature = Vec::new();
        for command in compute(scheme, target, input)? {
            let answer = self.channel.clear(&command)?;
            signature = match answer.sw {
                StatusWord::SECURITY_NOT_SATISFIED => return Err(ClientError::NotVerified { key }),
                StatusWord::CONDITIONS_NOT_SATISFIED => {
                    return Err(ClientError::NotUsable { key, command: COMMAND })
                }
                _ => accept(COMMAND, answer)?,
            };
        }
        Ok(EdgeError::exactly("signature", &signature)?)
    }

    /// A PKCS#1 v1.5 signature over a SHA-256 digest, in the scheme that every card knows (00 with a DigestInfo).
    pub fn sign_digest(
        &mut self,
        key: KeyRef,
        digest: &[u8; 32],
    ) -> Result<[u8; SIGNATURE_LENGTH], ClientError> {
        self.sign(key, Scheme::Verbatim, &digest_info(digest))
    }

    /// As [`Self::sign_digest`], of a message that is hashed here.
    pub fn sign_message(
        &mut self,
        key: KeyRef,
        message: &[u8],
    ) -> Result<[u8; SIGNATURE_LENGTH], ClientError> {
        self.sign_digest(key, &Sha256::digest(message).into())
    }

    /// Random bytes from the card, 1 to 256.
    pub fn challenge(&mut self, expected: Expected) -> Result<Vec<u8>, ClientError> {
        let answer = self.channel.clear(&get_challenge(expected))?;
        Ok(accept("GET CHALLENGE", answer)?)
    }
}

/// Length of the DER object that starts here, header included.
fn der_length(start: &[u8]) -> Result<usize, ClientError> {
    let value = |what, value| ClientError::Malformed(EdgeError::Value { what, value });
    let truncated =
        || ClientError::Malformed(EdgeError::Length { what: "DER header", expected: 4, found: start.len() });
    match *start {
        [0x30, short @ 0..=0x7F, ..] => Ok(2 + usize::from(short)),
        [0x30, 0x81, length, ..] => Ok(3 + usize::from(length)),
        [0x30, 0x82, hi, lo, ..] => Ok(4 + usize::from(u16::from_be_bytes([hi, lo]))),
        [0x30, 0x81 | 0x82, ..] | [0x30] | [] => Err(truncated()),
        [0x30, length, ..] => Err(value("DER length", length)),
        [tag, ..] => Err(value("DER tag", tag)),
    }
}

#[cfg(test)]
mod tests;
