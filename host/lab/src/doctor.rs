//! Checks whether everything between a program and the JPKI applet on a card is in order, from the service outwards.
//!
//! Changes nothing on the card: SELECT, and the commands that everybody may send.

use std::path::Path;

use jpkise_card::pcsc::{find_reader, list_readers, ConnectOptions, FindReaderError, PcscTransport, Reader};
use jpkise_card::{Card, TransportError};
use jpkise_gp::scp03::{ScpError, Session};
use jpkise_jpki::edge::{KeyRef, KeyState};
use jpkise_jpki::{ClientError, JpkiClient};

/// What is looked at, in order; each needs the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// pcscd runs.
    Service,
    /// This user may use it.
    Permission,
    /// vpcd's driver, for `jpkise sim`.
    Driver,
    /// A reader is there.
    Reader,
    /// A card is in it.
    Card,
    /// It answered the reset.
    Atr,
    /// The issuer security domain can be selected.
    Isd,
    /// The JPKI application can be selected.
    Applet,
    /// Its keys are in use.
    State,
}

impl Check {
    const ALL: [Self; 9] = [
        Self::Service,
        Self::Permission,
        Self::Driver,
        Self::Reader,
        Self::Card,
        Self::Atr,
        Self::Isd,
        Self::Applet,
        Self::State,
    ];

    /// Stable name, as in JSON and in message keys.
    pub const fn id(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Permission => "permission",
            Self::Driver => "driver",
            Self::Reader => "reader",
            Self::Card => "card",
            Self::Atr => "atr",
            Self::Isd => "isd",
            Self::Applet => "applet",
            Self::State => "state",
        }
    }
}

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// In order.
    Good,
    /// Not in order.
    Bad,
    /// Could not be looked at, because of what failed before.
    NotChecked,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub check: Check,
    /// How it came out.
    pub verdict: Verdict,
    /// What was seen: names, bytes, the system's words.
    pub detail: String,
    /// Tries left, where they were asked.
    pub tries: Option<Tries>,
    /// Stable name of the next step.
    pub next: Option<&'static str>,
}

/// Tries left of the user's two secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tries {
    /// Of the PIN.
    pub pin: u8,
    /// Of the signature password.
    pub password: u8,
}

/// Where pcscd's configuration of vpcd stands (Debian, Ubuntu, Fedora, upstream).
const VPCD_CONFIGURATION: [&str; 2] = ["/etc/reader.conf.d/vpcd", "/usr/local/etc/reader.conf.d/vpcd"];

struct Findings(Vec<Finding>);

impl Findings {
    fn good(&mut self, check: Check, detail: impl Into<String>) {
        self.add(check, Verdict::Good, detail, None);
    }

    fn bad(&mut self, check: Check, detail: impl Into<String>, next: &'static str) {
        self.add(check, Verdict::Bad, detail, Some(next));
    }

    fn add(&mut self, check: Check, verdict: Verdict, detail: impl Into<String>, next: Option<&'static str>) {
        self.0.push(Finding { check, verdict, detail: detail.into(), tries: None, next });
    }

    /// Everything not looked at yet stays so.
    fn finish(mut self) -> Vec<Finding> {
        for check in Check::ALL {
            if !self.0.iter().any(|f| f.check == check) {
                self.add(check, Verdict::NotChecked, "", None);
            }
        }
        self.0.sort_by_key(|f| f.check);
        self.0
    }
}

/// Looks at everything; `reader` as in `--reader`. `watch` is shown the card before the first command goes to it.
pub fn examine(reader: Option<&str>, watch: &mut dyn FnMut(&mut Card<PcscTransport>)) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    let readers = match list_readers() {
        Ok(readers) => readers,
        Err(TransportError::NoService) => {
            findings.bad(Check::Service, "", "service");
            return findings.finish();
        }
        Err(error) => {
            findings.good(Check::Service, "");
            findings.bad(Check::Permission, error.to_string(), "permission");
            return findings.finish();
        }
    };
    findings.good(Check::Service, "");
    findings.good(Check::Permission, "");
    driver(&mut findings, &readers);
    if let Some(reader) = choose(&mut findings, &readers, reader) {
        if let Some(mut connected) = card(&mut findings, reader) {
            watch(&mut connected);
            applications(&mut findings, &mut connected);
        }
    }
    findings.finish()
}

/// Only where there is no other reader is the virtual one missed.
fn driver(findings: &mut Findings, readers: &[Reader]) {
    match VPCD_CONFIGURATION.into_iter().find(|path| Path::new(path).exists()) {
        Some(path) => findings.good(Check::Driver, path),
        None if readers.is_empty() => findings.bad(Check::Driver, "", "driver"),
        None => {}
    }
}

fn choose<'a>(findings: &mut Findings, readers: &'a [Reader], wanted: Option<&str>) -> Option<&'a Reader> {
    match find_reader(readers, wanted) {
        Ok(reader) => {
            findings.good(Check::Reader, &reader.name);
            return Some(reader);
        }
        // Which of several empty readers does not matter (vpcd brings two): what is missing is a card.
        Err(FindReaderError::Ambiguous { names }) if !readers.iter().any(Reader::has_card) => {
            findings.good(Check::Reader, names.join(", "));
            findings.bad(Check::Card, "", "card");
        }
        Err(FindReaderError::Ambiguous { names }) => {
            findings.bad(Check::Reader, names.join(", "), "reader-choose");
        }
        Err(FindReaderError::NotFound { wanted, .. }) => {
            findings.bad(Check::Reader, wanted, "reader-choose");
        }
        Err(_) => findings.bad(Check::Reader, "", "reader"),
    }
    None
}

fn card(findings: &mut Findings, reader: &Reader) -> Option<Card<PcscTransport>> {
    let Some(atr) = &reader.atr else {
        if reader.mute {
            findings.good(Check::Card, "");
            findings.bad(Check::Atr, "", "card-mute");
        } else {
            findings.bad(Check::Card, "", "card");
        }
        return None;
    };
    findings.good(Check::Card, "");
    findings.good(Check::Atr, hex::encode_upper(atr));
    match PcscTransport::connect(&reader.name, ConnectOptions::default()) {
        Ok(transport) => Some(Card::new(transport)),
        Err(error) => {
            let next = if matches!(error, TransportError::Busy) { "card-busy" } else { "card-mute" };
            findings.bad(Check::Isd, error.to_string(), next);
            None
        }
    }
}

fn applications(findings: &mut Findings, card: &mut Card<PcscTransport>) {
    match Session::select(card, None) {
        Ok(session) => {
            findings.good(Check::Isd, session.aid().map(ToString::to_string).unwrap_or_default());
        }
        Err(ScpError::Card(error)) => {
            return findings.bad(Check::Isd, error.to_string(), "card-mute");
        }
        Err(error) => findings.bad(Check::Isd, error.to_string(), "isd"),
    }
    let mut client = match JpkiClient::select(card) {
        Ok(client) => client,
        Err(ClientError::NoApplication(aid)) => {
            return findings.bad(Check::Applet, aid.to_string(), "applet")
        }
        Err(error) => return findings.bad(Check::Applet, error.to_string(), "card-mute"),
    };
    match state(&mut client) {
        Ok(seen) => {
            findings.good(Check::Applet, seen.label);
            findings.0.push(Finding {
                check: Check::State,
                verdict: if seen.next.is_none() { Verdict::Good } else { Verdict::Bad },
                detail: seen.detail,
                tries: Some(seen.tries),
                next: seen.next,
            });
        }
        Err(error) => {
            let next = if matches!(error, ClientError::Channel(_)) { "card-mute" } else { "state" };
            findings.good(Check::Applet, "");
            findings.bad(Check::State, error.to_string(), next);
        }
    }
}

/// What the applet tells about itself.
struct Seen {
    label: String,
    /// The states of its keys; nothing on a deployed card, which has no such object.
    detail: String,
    tries: Tries,
    next: Option<&'static str>,
}

fn state(client: &mut JpkiClient<'_, Card<PcscTransport>>) -> Result<Seen, ClientError> {
    let label = client.token_info().map(|t| t.label.trim_end().to_owned());
    let tries = Tries { pin: client.tries_left(KeyRef::Auth)?, password: client.tries_left(KeyRef::Sign)? };
    let blocked = (tries.pin == 0 || tries.password == 0).then_some("blocked");
    let Some(status) = client.status()? else {
        return Ok(Seen { label: label?, detail: String::new(), tries, next: blocked });
    };
    let states: Vec<String> =
        KeyRef::ALL.into_iter().map(|key| format!("{key} {}", status.key(key).state)).collect();
    let active = KeyRef::ALL.into_iter().all(|key| status.key(key).state == KeyState::Active);
    let next = if active { blocked } else { Some("state") };
    Ok(Seen { label: label.unwrap_or_default(), detail: states.join(", "), tries, next })
}
