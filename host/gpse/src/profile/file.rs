//! Profiles as TOML (`docs/profiles.md`): every key has a type of its own, unknown keys are refused.

use std::path::Path;
use std::time::Duration;

use jpkise_cap::exports::Platform;
use jpkise_wire::scp03::{
    diversify_set, AesKey, Diversification, IParameter, SecurityLevel, SequenceCounter, StaticKeys,
    KDD_LENGTH,
};
use toml::de::DeTable;
use zeroize::Zeroizing;

use super::error::{Problem, ProfileError, ProfileFileError};
use super::reader::{Entry, Lines, Section};
use super::{AfterTries, Preinstalled, Profile, CPLC_LENGTH};
use crate::faults::Fault;
use crate::random::Randomness;
use crate::registry::{life_cycle, KeyVersion, Privilege, Privileges};
use crate::runtime::jcvm::REGION;
use crate::runtime::{Channel, Interface};

/// The one format there is.
const FORMAT: u64 = 1;
/// Longest pause: more and a reader takes the card for dead.
const MAX_DELAY_MS: u64 = 10_000;

const LIFE_CYCLES: [(&str, u8); 5] = [
    ("OP_READY", life_cycle::OP_READY),
    ("INITIALIZED", life_cycle::INITIALIZED),
    ("SECURED", life_cycle::SECURED),
    ("CARD_LOCKED", life_cycle::CARD_LOCKED),
    ("TERMINATED", life_cycle::TERMINATED),
];
const INTERFACES: [(&str, Interface); 2] =
    [("contact", Interface::Contact), ("contactless", Interface::Contactless)];

impl Profile {
    /// Reads a profile; what the file leaves out is as in [`Profile::default`]. `docs/profiles.md` lists the keys.
    pub fn from_toml(text: &str) -> Result<Self, ProfileError> {
        let lines = Lines(text);
        // The message alone: its long form shows the line, which may hold a key.
        let document = DeTable::parse(text).map_err(|error| ProfileError::Syntax {
            line: lines.at(error.span().map_or(0, |span| span.start)),
            message: error.message().to_owned(),
        })?;
        let top = Section::new(&lines, String::new(), Some(document.get_ref()), 1);
        let format = top.need("format")?;
        if format.int(0..=u64::from(u32::MAX))? != FORMAT {
            return Err(format.wrong(Problem::Format));
        }
        let mut profile = Self::default();
        profile.read_identity(top.section("identity")?)?;
        profile.read_card(top.section("card")?)?;
        profile.read_scp03(top.section("scp03")?)?;
        profile.read_authentication(top.section("authentication")?)?;
        profile.read_contactless(top.section("contactless")?)?;
        profile.read_memory(top.section("memory")?)?;
        profile.read_buffers(top.section("buffers")?)?;
        profile.read_machine(top.section("machine")?)?;
        if let Some(sets) = top.sections("keys")? {
            profile.keys.clear();
            for set in sets {
                let version = read_keys(set, &profile)?;
                profile.keys.push(version);
            }
        }
        for applet in top.sections("applets")?.unwrap_or_default() {
            let applet = read_applet(applet)?;
            profile.applets.push(applet);
        }
        profile.read_faults(top.section("faults")?)?;
        top.finish()?;
        Ok(profile)
    }

    /// Reads a profile file; its text, which may hold keys, is wiped afterwards.
    pub fn read(path: &Path) -> Result<Self, ProfileFileError> {
        let text = std::fs::read_to_string(path).map(Zeroizing::new);
        let text = text.map_err(|source| ProfileFileError::Read { path: path.to_owned(), source })?;
        Self::from_toml(&text).map_err(|source| ProfileFileError::Profile { path: path.to_owned(), source })
    }

    fn read_identity(&mut self, section: Section<'_>) -> Result<(), ProfileError> {
        if let Some(entry) = section.get("historical_bytes") {
            self.historical_bytes = entry.hex(&[0..=15])?.to_vec();
        }
        if let Some(entry) = section.get("issuer") {
            self.issuer = entry.aid()?;
        }
        if let Some(entry) = section.get("iin") {
            self.issuer_identification = entry.hex(&[0..=16])?.to_vec();
        }
        if let Some(entry) = section.get("cin") {
            self.card_image = entry.hex(&[0..=16])?.to_vec();
        }
        if let Some(entry) = section.get("cplc") {
            let bytes = entry.hex(&[CPLC_LENGTH..=CPLC_LENGTH])?;
            self.production.copy_from_slice(&bytes);
        }
        if let Some(entry) = section.get("diversification_data") {
            let bytes = entry.hex(&[KDD_LENGTH..=KDD_LENGTH])?;
            self.diversification.copy_from_slice(&bytes);
        }
        section.finish()
    }

    fn read_card(&mut self, section: Section<'_>) -> Result<(), ProfileError> {
        if let Some(entry) = section.get("life_cycle") {
            self.card_state = entry.choice(&LIFE_CYCLES)?;
        }
        if let Some(entry) = section.get("channels") {
            self.channels = entry.number(1..=Channel::COUNT as u64)?;
        }
        if let Some(entry) = section.get("interface") {
            self.interface = entry.choice(&INTERFACES)?;
        }
        if let Some(entry) = section.get("ara") {
            self.ara = entry.bool()?;
        }
        if let Some(entry) = section.get("jpki_in_rom") {
            self.jpki_in_rom = entry.bool()?;
        }
        if let Some(entry) = section.get("seed") {
            self.randomness = Randomness::Seeded(entry.int(0..=u64::MAX)?);
        }
        section.finish()
    }

    fn read_scp03(&mut self, section: Section<'_>) -> Result<(), ProfileError> {
        let whole = section.get("i");
        let mut i = self.i.value();
        if let Some(entry) = &whole {
            i = entry.byte()?;
        }
        let bits = [
            ("s16", IParameter::S16),
            ("pseudo_random", IParameter::PSEUDO_RANDOM),
            ("r_mac", IParameter::R_MAC),
            ("r_encryption", IParameter::R_ENC),
        ];
        let mut last = whole;
        for (key, bit) in bits {
            let Some(entry) = section.get(key) else { continue };
            if last.as_ref().is_some_and(|last| last.is("scp03.i")) {
                return Err(entry.wrong(Problem::Beside("i")));
            }
            i = if entry.bool()? { i | bit } else { i & !bit };
            last = Some(entry);
        }
        if let Some(entry) = last {
            self.i = IParameter::new(i).ok_or_else(|| entry.wrong(Problem::IParameter))?;
        }
        if let Some(entry) = section.get("minimum_level") {
            let level = SecurityLevel::try_from(entry.byte()?).ok().filter(|level| self.i.offers(*level));
            self.minimum_level = level.ok_or_else(|| entry.wrong(Problem::NotOffered))?;
        }
        section.finish()
    }

    fn read_authentication(&mut self, section: Section<'_>) -> Result<(), ProfileError> {
        let unlimited = section.get("unlimited").map(|entry| entry.bool()).transpose()?.unwrap_or(false);
        if unlimited {
            self.authentication_tries = None;
        }
        if let Some(entry) = section.get("tries") {
            if unlimited {
                return Err(entry.wrong(Problem::Beside("unlimited = true")));
            }
            self.authentication_tries = Some(entry.number(1..=255)?);
        }
        let delays = match section.get("then") {
            Some(entry) => entry.choice(&[("block", false), ("delay", true)])?,
            None => false,
        };
        match (delays, section.get("delay_ms")) {
            (false, Some(entry)) => return Err(entry.wrong(Problem::Only("then = \"delay\""))),
            (false, None) => self.after_tries = AfterTries::Block,
            (true, None) => return Err(section.missing("delay_ms")),
            (true, Some(entry)) => {
                self.after_tries = AfterTries::Delay(Duration::from_millis(entry.int(1..=MAX_DELAY_MS)?));
            }
        }
        section.finish()
    }

    fn read_contactless(&mut self, section: Section<'_>) -> Result<(), ProfileError> {
        if let Some(entry) = section.get("uid") {
            self.contactless.uid = entry.hex(&[4..=4, 7..=7, 10..=10])?.to_vec();
        }
        if let Some(entry) = section.get("historical_bytes") {
            self.contactless.historical_bytes = entry.hex(&[0..=15])?.to_vec();
        }
        section.finish()
    }

    fn read_memory(&mut self, section: Section<'_>) -> Result<(), ProfileError> {
        if let Some(entry) = section.get("persistent") {
            self.machine.persistent = entry.number(4096..=524_280)?;
        }
        if let Some(entry) = section.get("transient") {
            self.machine.transient = entry.number(256..=32_767)?;
        }
        if let Some(entry) = section.get("commit_buffer") {
            self.machine.commit_capacity = entry.number(256..=65_536)?;
        }
        if let Some(entry) = section.get("registry") {
            let size = entry.number(512..=65_535)?;
            self.machine.regions = vec![(REGION.to_owned(), size)];
        }
        if let Some(entry) = section.get("told_persistent") {
            self.free_persistent = entry.number(0..=u64::from(u32::MAX))?;
        }
        if let Some(entry) = section.get("told_transient") {
            self.free_transient = entry.number(0..=u64::from(u32::MAX))?;
        }
        section.finish()
    }

    fn read_buffers(&mut self, section: Section<'_>) -> Result<(), ProfileError> {
        if let Some(entry) = section.get("apdu") {
            // JCRE section 9.4: at least 133.
            self.machine.apdu_buffer = entry.number(133..=32_767)?;
        }
        if let Some(entry) = section.get("incoming_block") {
            self.machine.incoming_block = Some(entry.number(1..=254)?);
        }
        if let Some(entry) = section.get("chaining") {
            self.chaining_buffer = entry.number(0..=65_535)?;
        }
        if let Some(entry) = section.get("extended_length") {
            self.extended_length = entry.bool()?;
        }
        section.finish()
    }

    fn read_faults(&mut self, section: Section<'_>) -> Result<(), ProfileError> {
        for fault in Fault::ALL {
            if section.get(fault.name()).map(|entry| entry.bool()).transpose()?.unwrap_or(false) {
                self.faults = self.faults.with(*fault);
            }
        }
        section.finish()
    }

    fn read_machine(&mut self, section: Section<'_>) -> Result<(), ProfileError> {
        if let Some(entry) = section.get("platform") {
            let platforms: Vec<_> =
                Platform::ALL.iter().map(|platform| (platform.name(), *platform)).collect();
            self.machine.platform = entry.choice(&platforms)?;
        }
        if let Some(entry) = section.get("int") {
            self.machine.int_supported = entry.bool()?;
        }
        if let Some(entry) = section.get("instruction_budget") {
            self.machine.instruction_budget = entry.int(100..=u64::from(u32::MAX))?;
        }
        section.finish()
    }
}

/// Lengths of an AES key.
const KEY_LENGTHS: &[std::ops::RangeInclusive<usize>] = &[16..=16, 24..=24, 32..=32];

/// One `[[keys]]`: `key` for all three or `enc`, `mac` and `dek`, the card's own or masters of a scheme.
fn read_keys(section: Section<'_>, profile: &Profile) -> Result<KeyVersion, ProfileError> {
    let number = section.need("kvn")?;
    let kvn = number.byte()?;
    // 01 to 7F, or FF for a factory set (GP Card Specification 2.3.1 section 7.5.5).
    if !matches!(kvn, 0x01..=0x7F | 0xFF) {
        return Err(number.wrong(Problem::KeyVersion));
    }
    if profile.keys.iter().any(|version| version.kvn == kvn) {
        return Err(number.wrong(Problem::Repeated));
    }
    let masters = read_masters(&section, &number)?;
    let set = match section.get("diversification") {
        None => masters,
        Some(entry) => {
            let names: Vec<_> = Diversification::ALL.iter().map(|scheme| (scheme.name(), *scheme)).collect();
            let scheme = entry.choice(&names)?;
            diversify_set(scheme, &masters, &profile.diversification)
                .map_err(|_| entry.wrong(Problem::MasterLength))?
        }
    };
    let mut version = KeyVersion::of(kvn, set);
    if let Some(entry) = section.get("sequence_counter") {
        let [_, bytes @ ..] = entry.number::<u32>(0..=0x00FF_FFFF)?.to_be_bytes();
        version.counter = SequenceCounter::from_bytes(bytes);
    }
    section.finish()?;
    Ok(version)
}

fn read_masters(section: &Section<'_>, number: &Entry<'_>) -> Result<StaticKeys, ProfileError> {
    let key = |entry: &Entry<'_>| {
        let bytes = entry.hex(KEY_LENGTHS)?;
        AesKey::new(&bytes).map_err(|_| entry.wrong(Problem::Hex))
    };
    let same = section.get("key");
    let names = ["enc", "mac", "dek"];
    let single = names.map(|name| section.get(name));
    let Some(same) = same else {
        let [enc, mac, dek] = single;
        let need = |entry: Option<Entry<'_>>, name| key(&entry.ok_or_else(|| section.missing(name))?);
        let (enc, mac, dek) = (need(enc, names[0])?, need(mac, names[1])?, need(dek, names[2])?);
        return StaticKeys::new(enc, mac, dek).map_err(|_| number.wrong(Problem::MixedLengths));
    };
    if let Some(entry) = single.iter().flatten().next() {
        return Err(entry.wrong(Problem::Beside("key")));
    }
    let key = key(&same)?;
    Ok(StaticKeys { enc: key.duplicate(), mac: key.duplicate(), dek: key })
}

/// One `[[applets]]`.
fn read_applet(section: Section<'_>) -> Result<Preinstalled, ProfileError> {
    let aid = |key| section.need(key).and_then(|entry: Entry<'_>| entry.aid());
    let (package, module, instance) = (aid("package")?, aid("module")?, aid("instance")?);
    let privileges = match section.get("privileges") {
        Some(entry) => {
            let field = entry.hex(&[1..=1, 3..=3])?;
            Privileges::parse(&field)
                .filter(|privileges| !privileges.has(Privilege::SECURITY_DOMAIN))
                .ok_or_else(|| entry.wrong(Problem::Privileges))?
        }
        None => Privileges::default(),
    };
    let parameters = match section.get("parameters") {
        Some(entry) => entry.hex(&[0..=240])?.to_vec(),
        None => Vec::new(),
    };
    section.finish()?;
    Ok(Preinstalled { package, module, instance, privileges, parameters })
}
