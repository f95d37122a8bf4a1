//! From the key options to an open secure channel: who may use which key on which card, and how often.

use std::cell::OnceCell;
use std::path::PathBuf;

use jpkise_gp::commands::get_data::TAG_CPLC;
use jpkise_gp::identity::Cplc;
use jpkise_gp::keys::{
    Diversification, KeySource, KeySpec, KeySpecError, Pkcs11Error, Pkcs11Keys, Pkcs11Uri, SoftwareKeys,
    TryError, TryLedger,
};
use jpkise_gp::scp03::{Authenticated, Selected, Session};
use jpkise_gp::workflow::{self, ChannelOptions};

use jpkise_lab::simulator;
use jpkise_wire::scp03::KeyError;
use jpkise_wire::Aid;
use rand::rngs::OsRng;
use zeroize::Zeroizing;

use crate::app::App;
use crate::args::KeyArgs;
use crate::connect::{AnyCard, Target};
use crate::error::CliError;
use crate::exit::Exit;
use crate::i18n::Text;

/// Environment variable with the PKCS#11 module.
const ENV_PKCS11_MODULE: &str = "JPKISE_PKCS11_MODULE";
/// Environment variable with the token's PIN.
const ENV_PKCS11_PIN: &str = "JPKISE_PKCS11_PIN";

/// Keys that may be used on the card at hand.
pub struct Keys {
    /// Where they are.
    pub source: Box<dyn KeySource>,
    /// Key version named with them; 00 for the domain's default.
    pub kvn: u8,
    ledger: Option<TryLedger>,
    chip: OnceCell<String>,
}

/// A session with the issuer's or another security domain.
pub type Channel<'a, 'k> = Session<'a, Box<dyn jpkise_card::Transport>, Authenticated<'k>>;

/// An application that is selected, without a channel.
pub type Selection<'a> = Session<'a, Box<dyn jpkise_card::Transport>, Selected>;

impl Keys {
    /// The keys that the options, the key file, the environment or the answer to a question name. Without any, a
    /// simulated card is opened with its test keys, and a real one not at all.
    pub fn find(app: &App, arguments: &KeyArgs, target: &Target) -> Result<Self, CliError> {
        Self::find_or(app, arguments, target, simulator::test_keys)
    }

    /// As [`Self::find`], with other keys where none are named: those of the laboratory's service provider.
    pub fn find_or(
        app: &App,
        arguments: &KeyArgs,
        target: &Target,
        without: impl FnOnce() -> Result<SoftwareKeys, KeyError>,
    ) -> Result<Self, CliError> {
        let (source, kvn) = named(app, arguments, target.simulated, without)?;
        Self::allowed(app, arguments, target, source, kvn)
    }

    fn allowed(
        app: &App,
        arguments: &KeyArgs,
        target: &Target,
        source: Box<dyn KeySource>,
        kvn: Option<u8>,
    ) -> Result<Self, CliError> {
        if source.has_published_key() && !target.simulated && !app.global.lab {
            return Err(
                CliError::new(Exit::Policy, Text::new("err-test-key")).next(Text::new("rec-test-key"))
            );
        }
        let ledger = if target.simulated {
            None
        } else {
            Some(TryLedger::new(state_directory()?.join("tries"), arguments.max_failures))
        };
        Ok(Self { source, kvn: kvn.unwrap_or(0), ledger, chip: OnceCell::new() })
    }

    /// The public test keys, where they may be tried at all.
    pub fn test(app: &App, arguments: &KeyArgs, target: &Target) -> Result<Self, CliError> {
        let keys = simulator::test_keys().map_err(|e| CliError::internal(e.to_string()))?;
        let spec = KeySpec { kvn: arguments.kvn.clone(), ..KeySpec::default() };
        let kvn = spec.kvn()?;
        Self::allowed(app, arguments, target, Box::new(keys), kvn)
    }

    /// Opens a channel to `domain` (`None`: the issuer's), counting failures on a real card.
    pub fn open<'a, 'k>(
        &'k self,
        card: &'a mut AnyCard,
        domain: Option<Aid>,
    ) -> Result<Channel<'a, 'k>, CliError> {
        let options = ChannelOptions { aid: domain, ..ChannelOptions::default() }.with_kvn(self.kvn);
        self.open_with(card, &options)
    }

    /// As [`Self::open`], with options of the caller's.
    pub fn open_with<'a, 'k>(
        &'k self,
        card: &'a mut AnyCard,
        options: &ChannelOptions,
    ) -> Result<Channel<'a, 'k>, CliError> {
        // An application other than the issuer's domain could misread the question who the card is.
        if options.aid.is_some() {
            self.counted(card)?;
        }
        self.open_selected(Session::select(card, options.aid.as_ref())?, options)
    }

    /// Opens a channel to what is selected already: the issuer's domain, or any other after [`Self::counted`].
    pub fn open_selected<'a, 'k>(
        &'k self,
        mut session: Selection<'a>,
        options: &ChannelOptions,
    ) -> Result<Channel<'a, 'k>, CliError> {
        let source = self.source.as_ref();
        let Some(ledger) = &self.ledger else {
            return Ok(workflow::open_selected(session, source, options, &mut OsRng)?);
        };
        if self.chip.get().is_none() {
            self.learn_chip(&mut session)?;
        }
        Ok(workflow::open_selected_counted(session, source, options, &mut OsRng, ledger, self.chip())?)
    }

    /// Asked once a run.
    fn learn_chip(&self, issuer: &mut Selection<'_>) -> Result<(), CliError> {
        // Whoever else set it has set the same.
        let _ = self.chip.set(chip_id(issuer)?);
        Ok(())
    }

    fn chip(&self) -> &str {
        self.chip.get().map_or("", String::as_str)
    }

    /// Where this card's failures are counted, and its name there; nowhere for a simulated card.
    pub fn counted(&self, card: &mut AnyCard) -> Result<Option<(&TryLedger, &str)>, CliError> {
        let Some(ledger) = &self.ledger else { return Ok(None) };
        if self.chip.get().is_none() {
            self.learn_chip(&mut Session::select(card, None)?)?;
        }
        Ok(Some((ledger, self.chip())))
    }
}

/// Keys for what is recorded already: no card can be harmed with them.
pub fn offline(app: &App, arguments: &KeyArgs) -> Result<Box<dyn KeySource>, CliError> {
    Ok(named(app, arguments, false, simulator::test_keys)?.0)
}

/// The one place that names keys, and the version named with them; keys of the laboratory where those may be meant.
fn named(
    app: &App,
    arguments: &KeyArgs,
    simulated: bool,
    without: impl FnOnce() -> Result<SoftwareKeys, KeyError>,
) -> Result<(Box<dyn KeySource>, Option<u8>), CliError> {
    let kvn = arguments.kvn.clone();
    let options = KeySpec {
        key: prompt_or(app, arguments)?,
        enc: arguments.enc.clone().map(Zeroizing::new),
        mac: arguments.mac.clone().map(Zeroizing::new),
        dek: arguments.dek.clone().map(Zeroizing::new),
        kvn: kvn.clone(),
        diversification: arguments.kdf.clone(),
    };
    let environment = KeySpec::from_environment(|name| std::env::var(name).ok());
    match KeySpec::first_of(options, arguments.key_file.as_deref(), environment) {
        Ok((spec, _)) => Ok((source_of(app, &spec)?, spec.kvn()?)),
        Err(KeySpecError::Missing) if simulated || app.global.lab => {
            let keys = without().map_err(|e| CliError::internal(e.to_string()))?;
            Ok((Box::new(keys), KeySpec { kvn, ..KeySpec::default() }.kvn()?))
        }
        Err(error) => Err(error.into()),
    }
}

/// Keys in this process, or in the token that a PKCS#11 URI names.
pub fn source_of(app: &App, spec: &KeySpec) -> Result<Box<dyn KeySource>, CliError> {
    let Some(uri) = spec.key.as_ref().filter(|key| Pkcs11Uri::is_meant(key)) else {
        return Ok(Box::new(spec.keys()?));
    };
    if spec.enc.is_some() || spec.mac.is_some() || spec.dek.is_some() {
        return Err(KeySpecError::Ambiguous.into());
    }
    let uri = Pkcs11Uri::parse(uri)?;
    let diversification = match &spec.diversification {
        None => Diversification::None,
        Some(name) => {
            Diversification::named(name).ok_or_else(|| KeySpecError::Diversification(name.clone()))?
        }
    };
    let module = match (&uri.module, std::env::var_os(ENV_PKCS11_MODULE)) {
        (Some(named), _) => named.clone(),
        (None, Some(module)) => PathBuf::from(module),
        (None, None) => {
            return Err(CliError::new(Exit::Usage, Text::new("err-pkcs11-module"))
                .next(Text::new("rec-pkcs11-module")))
        }
    };
    Ok(Box::new(Pkcs11Keys::open(&uri, &module, diversification, || token_pin(app, &uri))?))
}

/// The token's PIN: from the file that the URI names, the environment, or the terminal.
fn token_pin(app: &App, uri: &Pkcs11Uri) -> Option<Zeroizing<String>> {
    if let Some(path) = &uri.pin_file {
        let text = Zeroizing::new(std::fs::read_to_string(path).ok()?);
        return Some(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()));
    }
    if let Ok(pin) = std::env::var(ENV_PKCS11_PIN) {
        return Some(Zeroizing::new(pin));
    }
    let question =
        app.messages.say(&Text::new("ask-token-pin").with("token", uri.token.as_deref().unwrap_or("")));
    rpassword::prompt_password(format!("{question} ")).ok().map(Zeroizing::new)
}

impl From<Pkcs11Error> for CliError {
    fn from(error: Pkcs11Error) -> Self {
        let (exit, key) = match &error {
            Pkcs11Error::Pin(_) | Pkcs11Error::PinNeeded => (Exit::Authentication, "pkcs11-pin"),
            Pkcs11Error::Uri(_) | Pkcs11Error::Diversification(_) => (Exit::Usage, "pkcs11-uri"),
            Pkcs11Error::Token { .. } => (Exit::NoCard, "pkcs11-token"),
            Pkcs11Error::Key { .. } | Pkcs11Error::Length(_) => (Exit::Usage, "pkcs11-key"),
            _ => (Exit::NoCard, "pkcs11-device"),
        };
        Self::new(exit, Text::new(format!("err-{key}")))
            .detail(error.to_string())
            .next(Text::new(format!("rec-{key}")))
    }
}

/// The chip's own number where it tells one, its ATR otherwise. Asked of the issuer's domain.
pub fn chip_id(session: &mut Selection<'_>) -> Result<String, CliError> {
    let cplc = workflow::get_data(session, TAG_CPLC)?;
    let chip = cplc.and_then(|bytes| Cplc::parse(&bytes).ok()).map(|cplc| cplc.chip_id());
    Ok(chip.unwrap_or_else(|| hex::encode_upper(session.card().atr())))
}

fn prompt_or(app: &App, arguments: &KeyArgs) -> Result<Option<Zeroizing<String>>, CliError> {
    if !arguments.key_prompt {
        return Ok(arguments.key.clone().map(Zeroizing::new));
    }
    if arguments.key.is_some() {
        return Err(KeySpecError::Ambiguous.into());
    }
    let question = app.messages.get("ask-key");
    rpassword::prompt_password(format!("{question} "))
        .map(|key| Some(Zeroizing::new(key)))
        .map_err(CliError::from)
}

/// Where this program keeps what it has to remember between runs (XDG Base Directory Specification, state).
fn state_directory() -> Result<PathBuf, CliError> {
    let named = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    named("XDG_STATE_HOME")
        .or_else(|| named("HOME").map(|home| home.join(".local/state")))
        .map(|directory| directory.join("jpkise"))
        .ok_or_else(|| CliError::new(Exit::Internal, Text::new("err-no-home")))
}

impl From<KeySpecError> for CliError {
    fn from(error: KeySpecError) -> Self {
        let key = match &error {
            KeySpecError::Missing => "err-key-missing",
            KeySpecError::Ambiguous => "err-key-ambiguous",
            KeySpecError::File { .. } => "err-key-file",
            _ => "err-key",
        };
        Self::new(Exit::Usage, Text::new(key)).detail(error.to_string()).next(Text::new("rec-key"))
    }
}

impl From<TryError> for CliError {
    fn from(error: TryError) -> Self {
        let detail = error.to_string();
        match error {
            TryError::Limit { failures, limit, .. } => {
                let text =
                    Text::new("err-tries").count("failures", failures.into()).count("limit", limit.into());
                Self::new(Exit::Policy, text).detail(detail).next(Text::new("rec-tries"))
            }
            _ => Self::new(Exit::Internal, Text::new("err-tries-file")).detail(detail),
        }
    }
}
