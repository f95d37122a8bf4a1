//! Checks whether everything between a program and the JPKI applet on a card is in order, from the service outwards.
//!
//! Changes nothing on the card: SELECT, and the commands that everybody may send.

use std::path::Path;

use jpkise_card::pcsc::{find_reader, list_readers, ConnectOptions, PcscTransport, Reader};
use jpkise_card::{Card, TransportError};
use jpkise_gp::scp03::Session;
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
    /// Stable name of the next step.
    pub next: Option<&'static str>,
}

/// Where pcscd's configuration of vpcd stands (Debian, Ubuntu, Fedora, upstream).
const VPCD_CONFIGURATION: [&str; 2] = ["/etc/reader.conf.d/vpcd", "/usr/local/etc/reader.conf.d/vpcd"];

struct Findings(Vec<Finding>);

impl Findings {
    fn good(&mut self, check: Check, detail: impl Into<String>) {
        self.0.push(Finding { check, verdict: Verdict::Good, detail: detail.into(), next: None });
    }

    fn bad(&mut self, check: Check, detail: impl Into<String>, next: &'static str) {
        self.0.push(Finding { check, verdict: Verdict::Bad, detail: detail.into(), next: Some(next) });
    }

    /// Everything not looked at yet stays so.
    fn finish(mut self) -> Vec<Finding> {
        for check in Check::ALL {
            if !self.0.iter().any(|f| f.check == check) {
                let detail = String::new();
                self.0.push(Finding { check, verdict: Verdict::NotChecked, detail, next: None });
            }
        }
        self.0.sort_by_key(|f| f.check);
        self.0
    }
}

/// Looks at everything; `reader` as in `--reader`.
pub fn examine(reader: Option<&str>) -> Vec<Finding> {
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
    match find_reader(&readers, reader) {
        Ok(reader) => {
            findings.good(Check::Reader, &reader.name);
            card(&mut findings, reader);
        }
        Err(error) => findings.bad(Check::Reader, error.to_string(), "reader"),
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

fn card(findings: &mut Findings, reader: &Reader) {
    let Some(atr) = &reader.atr else {
        if reader.mute {
            findings.good(Check::Card, "");
            findings.bad(Check::Atr, "", "card-mute");
        } else {
            findings.bad(Check::Card, "", "card");
        }
        return;
    };
    findings.good(Check::Card, "");
    findings.good(Check::Atr, hex::encode_upper(atr));
    match PcscTransport::connect(&reader.name, ConnectOptions::default()) {
        Ok(transport) => applications(findings, &mut Card::new(transport)),
        Err(error) => findings.bad(Check::Isd, error.to_string(), "card-busy"),
    }
}

fn applications(findings: &mut Findings, card: &mut Card<PcscTransport>) {
    match Session::select(card, None) {
        Ok(session) => {
            findings.good(Check::Isd, session.aid().map(ToString::to_string).unwrap_or_default());
        }
        Err(error) => findings.bad(Check::Isd, error.to_string(), "isd"),
    }
    let mut client = match JpkiClient::select(card) {
        Ok(client) => client,
        Err(error) => return findings.bad(Check::Applet, error.to_string(), "applet"),
    };
    match state(&mut client) {
        Ok((label, active, detail)) => {
            findings.good(Check::Applet, label);
            if active {
                findings.good(Check::State, detail);
            } else {
                findings.bad(Check::State, detail, "state");
            }
        }
        Err(error) => {
            findings.good(Check::Applet, "");
            findings.bad(Check::State, error.to_string(), "state");
        }
    }
}

/// Label, whether both keys are in use, and what to show for it. A deployed card has no status object: there the tries
/// left tell that it is alive.
fn state(client: &mut JpkiClient<'_, Card<PcscTransport>>) -> Result<(String, bool, String), ClientError> {
    let label = client.token_info().map(|t| t.label.trim_end().to_owned());
    let tries = |c: &mut JpkiClient<'_, _>, key| c.tries_left(key);
    let (pin, password) = (tries(client, KeyRef::Auth)?, tries(client, KeyRef::Sign)?);
    let left = format!("PIN {pin}, password {password} tries left");
    match client.status()? {
        None => Ok((label?, true, left)),
        Some(status) => {
            let states: Vec<String> =
                KeyRef::ALL.into_iter().map(|key| format!("{key} {}", status.key(key).state)).collect();
            let active = KeyRef::ALL.into_iter().all(|key| status.key(key).state == KeyState::Active);
            Ok((label.unwrap_or_default(), active, format!("{}; {left}", states.join(", "))))
        }
    }
}
