//! Checks whether everything between a program and the JPKI applet on a card is in order, from the service outwards.
//!
//! Changes nothing on the card: SELECT, and the commands that everybody may send.

use std::fs;
use std::path::Path;

use jpkise_card::pcsc::{
    find_reader, list_readers, ConnectOptions, FindReaderError, PcscTransport, Reader, Usage,
};
use jpkise_card::{Card, TransportError};
use jpkise_gp::ara::answer::read_all;
use jpkise_gp::ara::{Reading, ARA_M_AID};
use jpkise_gp::scp03::{ScpError, Selected, Session};
use jpkise_gp::workflow::read_identity;
use jpkise_jpki::edge::{AppletVersion, KeyRef, KeyState};
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
    /// Nobody keeps it from us.
    Holder,
    /// It answered the reset.
    Atr,
    /// The issuer security domain can be selected.
    Isd,
    /// What it says of GlobalPlatform version and secure channel.
    Profile,
    /// The published test keys open it; looked at only when asked for.
    TestKeys,
    /// An ARA-M, and how many rules it holds.
    Ara,
    /// The JPKI application can be selected.
    Applet,
    /// Its version, for this project's applet.
    Version,
    /// Its keys are in use.
    State,
}

impl Check {
    const ALL: [Self; 14] = [
        Self::Service,
        Self::Permission,
        Self::Driver,
        Self::Reader,
        Self::Card,
        Self::Holder,
        Self::Atr,
        Self::Isd,
        Self::Profile,
        Self::TestKeys,
        Self::Ara,
        Self::Applet,
        Self::Version,
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
            Self::Holder => "holder",
            Self::Atr => "atr",
            Self::Isd => "isd",
            Self::Profile => "profile",
            Self::TestKeys => "test-keys",
            Self::Ara => "ara",
            Self::Applet => "applet",
            Self::Version => "version",
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
    /// Was not looked at: something before it failed, nobody asked for it, or the card has no such thing.
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

/// What to look at.
#[derive(Debug, Clone, Copy, Default)]
pub struct Questions<'q> {
    /// Reader, as in `--reader`.
    pub reader: Option<&'q str>,
    /// Whether to try the published test keys. It begins a handshake and ends it before the card could count a failure;
    /// some cards count even that, so it is done on nobody's card unasked.
    pub test_keys: bool,
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

/// Looks at everything. `watch` is shown the card before the first command goes to it.
pub fn examine(questions: &Questions<'_>, watch: &mut dyn FnMut(&mut Card<PcscTransport>)) -> Vec<Finding> {
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
    if let Some(reader) = choose(&mut findings, &readers, questions.reader) {
        if let Some(mut connected) = card(&mut findings, reader) {
            watch(&mut connected);
            card_manager(&mut findings, &mut connected, questions.test_keys);
            applications(&mut findings, &mut connected);
        }
    }
    findings.finish()
}

/// Only where there is no other reader is the virtual one missed. A removed package leaves its configuration behind, so
/// the driver that it names must be there too.
fn driver(findings: &mut Findings, readers: &[Reader]) {
    let found = VPCD_CONFIGURATION.into_iter().find_map(|path| {
        let configuration = fs::read_to_string(path).ok()?;
        library(&configuration).filter(|library| Path::new(library).exists()).map(str::to_owned)
    });
    match found {
        Some(library) => findings.good(Check::Driver, library),
        None if readers.is_empty() => findings.bad(Check::Driver, "", "driver"),
        None => {}
    }
}

/// The driver that an entry of reader.conf(5) names.
fn library(configuration: &str) -> Option<&str> {
    configuration.lines().find_map(|line| {
        let value = line.trim_start().strip_prefix("LIBPATH")?;
        value.starts_with([' ', '\t']).then(|| value.trim().trim_matches('"'))
    })
}

/// Who has the card already: the service tells how, the system which programs use the service at all.
fn holder(findings: &mut Findings, reader: &Reader) {
    let programs = programs_with_pcsc().join(", ");
    match reader.usage {
        Usage::Exclusive => findings.bad(Check::Holder, programs, "card-busy"),
        Usage::Shared => findings.good(Check::Holder, programs),
        Usage::Free => findings.good(Check::Holder, ""),
    }
}

/// Names of other processes that have loaded the PC/SC library, where the system shows that to us.
fn programs_with_pcsc() -> Vec<String> {
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let own = std::process::id().to_string();
    let mut names: Vec<String> = processes
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.bytes().all(|b| b.is_ascii_digit()) && name != own
        })
        .filter(|entry| {
            fs::read_to_string(entry.path().join("maps")).is_ok_and(|maps| maps.contains("libpcsclite.so"))
        })
        .filter_map(|entry| {
            let name = fs::read_to_string(entry.path().join("comm")).ok()?;
            let name = name.trim().to_owned();
            (name != "pcscd").then(|| format!("{name} ({})", entry.file_name().to_string_lossy()))
        })
        .collect();
    names.sort();
    names
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
    holder(findings, reader);
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

/// The issuer security domain, what it says of itself, and the ARA-M.
fn card_manager(findings: &mut Findings, card: &mut Card<PcscTransport>, test_keys: bool) {
    let mut session = match Session::select(card, None) {
        Ok(session) => session,
        Err(ScpError::Card(error)) => return findings.bad(Check::Isd, error.to_string(), "card-mute"),
        Err(error) => return findings.bad(Check::Isd, error.to_string(), "isd"),
    };
    findings.good(Check::Isd, session.aid().map(ToString::to_string).unwrap_or_default());
    if let Ok(identity) = read_identity(&mut session) {
        if let Some(data) = identity.card_data.as_ref().and_then(|d| d.value.as_ref()) {
            let version = data.gp_version.iter().map(|version| format!("GlobalPlatform {version}"));
            let protocols = data.protocols.iter().map(|p| format!("SCP{:02X} i={:02X}", p.scp, p.i));
            findings.good(Check::Profile, version.chain(protocols).collect::<Vec<_>>().join(", "));
        }
    }
    if test_keys {
        opens_with_test_keys(findings, session);
    }
    access_rules(findings, card);
}

/// INITIALIZE UPDATE, and the card cryptogram looked at here: the card is not told how that came out.
fn opens_with_test_keys(findings: &mut Findings, session: Session<'_, PcscTransport, Selected>) {
    let Ok(keys) = crate::simulator::test_keys() else { return };
    match session.initialize_update(&keys, 0, &mut rand::rngs::OsRng) {
        Ok(session) => {
            findings.bad(Check::TestKeys, format!("KVN {:02X}", session.info().set.kvn), "test-keys");
        }
        Err(ScpError::Cryptogram(_)) => findings.good(Check::TestKeys, ""),
        Err(error) => findings.add(Check::TestKeys, Verdict::NotChecked, error.to_string(), None),
    }
}

/// Whether there is an ARA-M, and how many rules it tells everybody.
fn access_rules(findings: &mut Findings, card: &mut Card<PcscTransport>) {
    let selected = card.send(&jpkise_gp::commands::select::select(ARA_M_AID.as_bytes()));
    if !selected.is_ok_and(|answer| answer.sw.is_success()) {
        return;
    }
    match read_all(|command| card.send(command), Reading::Strict) {
        Ok(list) => findings.good(Check::Ara, list.rules.len().to_string()),
        Err(error) => findings.bad(Check::Ara, error.to_string(), "ara"),
    }
}

fn applications(findings: &mut Findings, card: &mut Card<PcscTransport>) {
    let mut client = match JpkiClient::select(card) {
        Ok(client) => client,
        Err(ClientError::NoApplication(aid)) => {
            return findings.bad(Check::Applet, aid.to_string(), "applet")
        }
        Err(error) => return findings.bad(Check::Applet, error.to_string(), "card-mute"),
    };
    if let Ok(Some(version)) = client.version() {
        let AppletVersion { major, minor, features, apdu_buffer } = version;
        let detail = format!("{major}.{minor}, features {features:04X}, APDU buffer {apdu_buffer}");
        findings.good(Check::Version, detail);
    }
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

#[cfg(test)]
mod tests {
    use super::library;

    #[test]
    fn the_driver_is_read_from_the_configuration() {
        for (text, found) in [
            ("FRIENDLYNAME \"Virtual PCD\"\nLIBPATH   /usr/lib/x.so\n", Some("/usr/lib/x.so")),
            ("  LIBPATH \"/a b.so\"", Some("/a b.so")),
            ("#LIBPATH /no.so", None),
            ("LIBPATHS /no.so", None),
            ("", None),
        ] {
            assert_eq!(library(text), found, "{text}");
        }
    }
}
