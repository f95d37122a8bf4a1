//! PINs and passwords: from standard input, a file, the environment or a question, never from the command line; judged by
//! their form before a try is risked.

use std::collections::VecDeque;
use std::fs;
use std::io::{self, IsTerminal, Read};

use jpkise_jpki::admin::replace_temporary;
use jpkise_jpki::edge::{KeyRef, Password, Pin, SecretError, Temporary};
use jpkise_jpki::{Channel, ClientError, JpkiClient, UserApp};
use jpkise_lab::secrets as lab;
use zeroize::Zeroizing;

use crate::app::App;
use crate::args::SecretArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::explain::file_not_read;
use crate::i18n::Text;

/// More bytes than any file of PINs has: a bound against a pipe that never ends.
const MOST_BYTES: u64 = 4096;

/// A PIN or a password of the right form.
pub enum Given {
    /// Of the authentication key.
    Pin(Pin),
    /// Of the signature key.
    Password(Password),
}

impl Given {
    fn parse(key: KeyRef, text: &str) -> Result<Self, SecretError> {
        Ok(match key {
            KeyRef::Auth => Self::Pin(Pin::new(text)?),
            KeyRef::Sign => Self::Password(Password::from_input(text)?),
        })
    }

    fn verify<C: Channel + ?Sized>(&self, client: &mut JpkiClient<'_, C>) -> Result<(), ClientError> {
        match self {
            Self::Pin(pin) => client.verify(pin),
            Self::Password(password) => client.verify(password),
        }
    }

    /// Replaces the one verified before.
    pub fn replace<C: Channel + ?Sized>(&self, client: &mut JpkiClient<'_, C>) -> Result<(), ClientError> {
        match self {
            Self::Pin(pin) => client.change_verified(pin),
            Self::Password(password) => client.change_verified(password),
        }
    }
}

/// Which value is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Current,
    New,
}

/// Where this run's PINs and passwords come from.
pub struct Secrets<'a> {
    app: &'a App,
    /// Lines not used yet, where standard input or a file was named.
    lines: Option<VecDeque<Zeroizing<String>>>,
}

impl<'a> Secrets<'a> {
    /// Reads standard input or the file, if one of them is named.
    pub fn new(app: &'a App, arguments: &SecretArgs) -> Result<Self, CliError> {
        let mut text = Zeroizing::new(String::new());
        let lines = if arguments.pin_stdin {
            io::stdin().lock().take(MOST_BYTES).read_to_string(&mut text)?;
            Some(text)
        } else if let Some(path) = &arguments.pin_file {
            fs::File::open(path)
                .and_then(|file| file.take(MOST_BYTES).read_to_string(&mut text))
                .map_err(|e| file_not_read(path, &e))?;
            Some(text)
        } else {
            None
        };
        let lines = lines.map(|text| {
            text.lines().map(|line| Zeroizing::new(line.trim_end_matches('\r').to_owned())).collect()
        });
        Ok(Self { app, lines })
    }

    /// The PIN or password in use.
    pub fn current(&mut self, key: KeyRef) -> Result<Given, CliError> {
        self.get(key, Wanted::Current)
    }

    /// The new one. On a terminal it is asked for twice.
    pub fn new_one(&mut self, key: KeyRef) -> Result<Given, CliError> {
        self.get(key, Wanted::New)
    }

    fn get(&mut self, key: KeyRef, wanted: Wanted) -> Result<Given, CliError> {
        let text = self.text(key, wanted)?;
        parse(key, &text)
    }

    /// Values that may be missing, in the order PIN, password, new PIN, new password: lines that are not empty, else the
    /// environment. Nothing is asked.
    pub fn all_given(&mut self) -> Result<[Option<Given>; 4], CliError> {
        let mut take = |key, wanted| {
            let line = self.lines.as_mut().and_then(VecDeque::pop_front);
            let variable = || std::env::var(variable(key, wanted)).ok().map(Zeroizing::new);
            let text = if self.lines.is_some() { line } else { variable() };
            text.filter(|text| !text.is_empty()).map(|text| parse(key, &text)).transpose()
        };
        Ok([
            take(KeyRef::Auth, Wanted::Current)?,
            take(KeyRef::Sign, Wanted::Current)?,
            take(KeyRef::Auth, Wanted::New)?,
            take(KeyRef::Sign, Wanted::New)?,
        ])
    }

    fn text(&mut self, key: KeyRef, wanted: Wanted) -> Result<Zeroizing<String>, CliError> {
        let missing = || {
            CliError::new(Exit::Usage, Text::new("err-secret-missing").nested("secret", name(key)))
                .next(Text::new("rec-secret-missing").with("variable", variable(key, wanted)))
        };
        if let Some(lines) = &mut self.lines {
            return lines.pop_front().ok_or_else(missing);
        }
        if let Some(text) = std::env::var(variable(key, wanted)).ok().filter(|text| !text.is_empty()) {
            return Ok(Zeroizing::new(text));
        }
        if !io::stdin().is_terminal() {
            return Err(missing());
        }
        let question = match wanted {
            Wanted::Current => "ask-secret",
            Wanted::New => "ask-new-secret",
        };
        let text = self.ask(&Text::new(question).nested("secret", name(key)))?;
        if wanted == Wanted::New {
            let again = self.ask(&Text::new("ask-secret-again"))?;
            if *again != *text {
                return Err(CliError::new(Exit::Usage, Text::new("err-secrets-differ")));
            }
        }
        Ok(text)
    }

    fn ask(&self, question: &Text) -> Result<Zeroizing<String>, CliError> {
        let question = self.app.messages.say(question);
        Ok(rpassword::prompt_password(format!("{question} ")).map(Zeroizing::new)?)
    }

    /// VERIFY, once: tries before, the value, tries after. Nothing is sent for a blocked secret or a value of wrong form;
    /// the last try needs a yes of its own.
    pub fn unlock<C: Channel + ?Sized>(
        &mut self,
        client: &mut JpkiClient<'_, C>,
        key: KeyRef,
    ) -> Result<(), CliError> {
        let before = self.tries_to_spend(client, key)?;
        let given = self.current(key)?;
        self.try_once(client, key, &given, before)?;
        self.say_tries(client, key)?;
        Ok(())
    }

    /// As [`Self::unlock`], for a value about to be replaced: the new one, judged before the old one is tried.
    pub fn change<C: Channel + ?Sized>(
        &mut self,
        client: &mut JpkiClient<'_, C>,
        key: KeyRef,
    ) -> Result<Given, CliError> {
        let before = self.tries_to_spend(client, key)?;
        let given = self.current(key)?;
        let new = self.new_one(key)?;
        self.try_once(client, key, &given, before)?;
        Ok(new)
    }

    fn tries_to_spend<C: Channel + ?Sized>(
        &self,
        client: &mut JpkiClient<'_, C>,
        key: KeyRef,
    ) -> Result<u8, CliError> {
        match self.say_tries(client, key)? {
            0 => Err(blocked(key)),
            tries => Ok(tries),
        }
    }

    fn try_once<C: Channel + ?Sized>(
        &self,
        client: &mut JpkiClient<'_, C>,
        key: KeyRef,
        given: &Given,
        before: u8,
    ) -> Result<(), CliError> {
        if before == 1 {
            self.app.consent(&Text::new("jpki-last-try").nested("secret", name(key)))?;
        }
        given.verify(client).map_err(|error| match error {
            ClientError::Blocked { .. } => blocked(key),
            other => CliError::from(other),
        })
    }

    /// Says the tries left.
    pub fn say_tries<C: Channel + ?Sized>(
        &self,
        client: &mut JpkiClient<'_, C>,
        key: KeyRef,
    ) -> Result<u8, CliError> {
        let tries = client.tries_left(key)?;
        self.app.talk(&Text::new("jpki-tries").nested("secret", name(key)).count("tries", tries.into()));
        Ok(tries)
    }
}

fn parse(key: KeyRef, text: &str) -> Result<Given, CliError> {
    Given::parse(key, text).map_err(|error| {
        let what = match error {
            SecretError::Pin => "err-form-pin",
            SecretError::PasswordLength => "err-form-password-length",
            SecretError::PasswordCharacters => "err-form-password-characters",
            _ => "err-form-password-mixture",
        };
        CliError::new(Exit::Usage, Text::new(what)).next(Text::new("rec-form"))
    })
}

/// PIN or password, as people call it.
pub fn name(key: KeyRef) -> Text {
    Text::new(match key {
        KeyRef::Auth => "secret-pin",
        KeyRef::Sign => "secret-password",
    })
}

fn variable(key: KeyRef, wanted: Wanted) -> &'static str {
    match (key, wanted) {
        (KeyRef::Auth, Wanted::Current) => "JPKISE_PIN",
        (KeyRef::Auth, Wanted::New) => "JPKISE_NEW_PIN",
        (KeyRef::Sign, Wanted::Current) => "JPKISE_PASSWORD",
        (KeyRef::Sign, Wanted::New) => "JPKISE_NEW_PASSWORD",
    }
}

fn blocked(key: KeyRef) -> CliError {
    let text = Text::new("err-secret-blocked").nested("secret", name(key));
    let mut error = CliError::new(Exit::Authentication, text).next(Text::new("rec-blocked").with("key", key));
    error.tries_left = Some(0);
    error
}

/// The user's app, as far as this program plays it: it holds the values that the user has chosen and replaces temporary
/// ones by them, in clear on the selection. The SP-TSM's side never sees them.
#[derive(Default)]
pub struct OwnSecrets {
    /// The user's PIN.
    pub pin: Option<Pin>,
    /// The user's password.
    pub password: Option<Password>,
}

impl OwnSecrets {
    /// Takes what the user has chosen for `key`.
    pub fn choose(&mut self, secrets: &mut Secrets<'_>, key: KeyRef) -> Result<(), CliError> {
        match secrets.new_one(key)? {
            Given::Pin(pin) => self.pin = Some(pin),
            Given::Password(password) => self.password = Some(password),
        }
        Ok(())
    }
}

impl OwnSecrets {
    /// The laboratory's public ones.
    pub fn choose_lab(&mut self) -> Result<(), CliError> {
        let internal = |e: SecretError| CliError::internal(e.to_string());
        self.pin = Some(Pin::new(lab::PIN).map_err(internal)?);
        self.password = Some(Password::new(lab::PASSWORD).map_err(internal)?);
        Ok(())
    }
}

impl UserApp for OwnSecrets {
    fn set_pin(&mut self, temporary: Temporary<Pin>, card: &mut dyn Channel) -> Result<(), ClientError> {
        let own = self.pin.as_ref().ok_or(ClientError::NotVerified { key: KeyRef::Auth })?;
        replace_temporary(card, &temporary, own)
    }

    fn set_password(
        &mut self,
        temporary: Temporary<Password>,
        card: &mut dyn Channel,
    ) -> Result<(), ClientError> {
        let own = self.password.as_ref().ok_or(ClientError::NotVerified { key: KeyRef::Sign })?;
        replace_temporary(card, &temporary, own)
    }
}
