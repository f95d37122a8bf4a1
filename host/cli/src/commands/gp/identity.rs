//! A card's identity in words and as JSON.

use jpkise_gp::commands::select::Fci;
use jpkise_gp::identity::{
    CapabilityInformation, Cplc, CplcDate, Identity, KeyEntry, KeyInformationTemplate, ScpCapability,
};
use jpkise_wire::scp03::{IParameter, SequenceCounter};
use serde_json::{json, Value};

use super::Gp;
use crate::error::CliError;
use crate::i18n::Text;

/// IC fabricators as their code in CPLC tells them (ISO/IEC 7816-6 registration; the ones met on GlobalPlatform cards).
const FABRICATORS: [([u8; 2], &str); 5] = [
    ([0x47, 0x90], "NXP"),
    ([0x40, 0x90], "Infineon"),
    ([0x42, 0x50], "Samsung"),
    ([0x41, 0x80], "Atmel"),
    ([0x30, 0x60], "Renesas"),
];

/// Prints everything the card told.
pub fn show(gp: &Gp<'_>, identity: &Identity) -> Result<(), CliError> {
    gp.line(&Text::new("gp-info-card"))?;
    gp.field("gp-field-atr", upper(&identity.atr))?;
    if let Some(cplc) = &identity.cplc {
        match &cplc.value {
            Some(value) => show_cplc(gp, value)?,
            None => gp.field("gp-field-cplc", upper(&cplc.raw))?,
        }
    }
    for (name, value) in [("gp-field-iin", &identity.iin), ("gp-field-cin", &identity.cin)] {
        if let Some(value) = value {
            gp.field(name, upper(value))?;
        }
    }
    if let Some(resources) = identity.resources {
        let text = Text::new("gp-memory")
            .with("persistent", resources.free_non_volatile)
            .with("transient", resources.free_volatile);
        gp.field("gp-field-memory", gp.app.messages.say(&text))?;
        gp.field("gp-field-applications", resources.applications)?;
    }
    show_domain(gp, identity)?;
    if let Some(keys) = &identity.key_information {
        match &keys.value {
            Some(template) => show_keys(gp, template)?,
            None => gp.field("gp-field-keys", upper(&keys.raw))?,
        }
    }
    if let Some(counter) = identity.sequence_counter {
        gp.field("gp-field-counter", counter.value())?;
    }
    match identity.capabilities.as_ref().map(|c| (&c.value, &c.raw)) {
        None => Ok(()),
        Some((None, raw)) => gp.field("gp-field-capabilities", upper(raw)),
        Some((Some(capabilities), _)) => show_capabilities(gp, capabilities),
    }
}

fn show_cplc(gp: &Gp<'_>, cplc: &Cplc) -> Result<(), CliError> {
    let maker = FABRICATORS.iter().find(|(code, _)| *code == cplc.ic_fabricator);
    let maker = maker.map(|(_, name)| format!(" ({name})")).unwrap_or_default();
    gp.field("gp-field-chip", cplc.chip_id())?;
    gp.field("gp-field-ic", format!("{}{maker} {}", upper(&cplc.ic_fabricator), upper(&cplc.ic_type)))?;
    gp.field("gp-field-serial", format!("{} / {}", upper(&cplc.ic_batch), upper(&cplc.ic_serial)))?;
    gp.field(
        "gp-field-os",
        format!("{} {}", upper(&cplc.operating_system), upper(&cplc.operating_system_level)),
    )?;
    for (name, date) in [
        ("gp-field-os-date", cplc.operating_system_date),
        ("gp-field-ic-date", cplc.ic_fabrication_date),
        ("gp-field-perso-date", cplc.personalization_date),
    ] {
        if let Some((year, day)) = date.year_digit_and_day() {
            let text = Text::new("gp-date").with("year", year).with("day", day);
            gp.field(name, gp.app.messages.say(&text))?;
        }
    }
    Ok(())
}

fn show_domain(gp: &Gp<'_>, identity: &Identity) -> Result<(), CliError> {
    let fci = identity.fci.as_ref().and_then(|f| f.value.as_ref());
    let aid = fci.and_then(|f| f.aid).map(|aid| aid.to_string()).unwrap_or_default();
    gp.line(&Text::new("gp-info-domain").with("aid", aid))?;
    if let Some(max) = fci.and_then(|f| f.max_command_data) {
        gp.field("gp-field-max-data", max)?;
    }
    match identity.card_data.as_ref().map(|d| (&d.value, &d.raw)) {
        None => {}
        Some((None, raw)) => gp.field("gp-field-card-data", upper(raw))?,
        Some((Some(data), _)) => {
            if let Some(version) = &data.gp_version {
                gp.field("gp-field-gp-version", version)?;
            }
            for protocol in &data.protocols {
                gp.field("gp-field-scp", scp_words(gp, protocol.scp, protocol.i))?;
            }
            for (name, oid) in
                [("gp-field-configuration", &data.configuration), ("gp-field-chip-data", &data.chip)]
            {
                if let Some(oid) = oid {
                    gp.field(name, upper(oid))?;
                }
            }
        }
    }
    Ok(())
}

/// `SCP03, i = 70: pseudo-random challenge, R-MAC, R-ENCRYPTION`; other protocols by their numbers alone.
fn scp_words(gp: &Gp<'_>, scp: u8, i: u8) -> String {
    let mut words = vec![format!("SCP{scp:02X}, i = {i:02X}")];
    if let Some(parameter) = IParameter::new(i).filter(|_| scp == 0x03) {
        let challenge = if parameter.is_pseudo_random() { "gp-i-pseudo-random" } else { "gp-i-random" };
        words.push(gp.app.messages.get(challenge));
        for (bit, word) in
            [(IParameter::R_MAC, "R-MAC"), (IParameter::R_ENC, "R-ENCRYPTION"), (IParameter::S16, "S16")]
        {
            if i & bit != 0 {
                words.push(word.to_owned());
            }
        }
    }
    words.join(", ")
}

/// One line per key version; single keys beside whole sets on lines of their own.
pub fn show_keys(gp: &Gp<'_>, template: &KeyInformationTemplate) -> Result<(), CliError> {
    gp.line(&Text::new("gp-info-keys"))?;
    let sets = template.scp03_sets();
    for (kvn, length) in &sets {
        let text = Text::new("gp-key-set").with("kvn", format!("{kvn:02X}")).with("bits", length * 8);
        gp.line(&text)?;
    }
    for key in template.keys.iter().filter(|k| !in_set(&sets, k)) {
        let components: Vec<String> = key
            .components
            .iter()
            .map(|c| {
                let name = c.key_type.name().map_or_else(|| format!("{:02X}", c.key_type.0), str::to_owned);
                format!("{name} {}", u32::from(c.length) * 8)
            })
            .collect();
        let text = Text::new("gp-key")
            .with("kvn", format!("{:02X}", key.kvn))
            .with("kid", format!("{:02X}", key.kid))
            .with("type", components.join(" + "));
        gp.line(&text)?;
    }
    if template.keys.is_empty() {
        gp.line(&Text::new("gp-no-keys"))?;
    }
    Ok(())
}

fn in_set(sets: &[(u8, u16)], key: &KeyEntry) -> bool {
    (1..=3).contains(&key.kid) && sets.iter().any(|(kvn, _)| *kvn == key.kvn)
}

fn show_capabilities(gp: &Gp<'_>, capabilities: &CapabilityInformation) -> Result<(), CliError> {
    gp.line(&Text::new("gp-info-capabilities"))?;
    for protocol in &capabilities.protocols {
        gp.field("gp-field-scp", capability_words(protocol))?;
    }
    for (name, privileges) in [
        ("gp-field-domain-privileges", capabilities.domain_privileges),
        ("gp-field-application-privileges", capabilities.application_privileges),
    ] {
        if let Some(privileges) = privileges {
            gp.field(name, super::words::privileges(gp.app, privileges))?;
        }
    }
    if !capabilities.hashes.is_empty() {
        let names: Vec<_> = capabilities.hashes.iter().map(|h| h.name()).collect();
        gp.field("gp-field-hashes", names.join(", "))?;
    }
    Ok(())
}

fn capability_words(protocol: &ScpCapability) -> String {
    let i: Vec<String> = protocol.i.iter().map(|i| format!("{i:02X}")).collect();
    let keys: Vec<String> = protocol.key_bits.iter().map(|bits| format!("AES-{bits}")).collect();
    let mut words = vec![format!("SCP{:02X}", protocol.scp)];
    if !i.is_empty() {
        words.push(format!("i = {}", i.join(" ")));
    }
    words.extend(keys);
    words.join(", ")
}

/// Stable fields of everything the card told.
pub fn object(identity: &Identity) -> Value {
    let fci: Option<&Fci> = identity.fci.as_ref().and_then(|f| f.value.as_ref());
    json!({
        "atr": upper(&identity.atr),
        "aid": fci.and_then(|f| f.aid).map(|aid| aid.to_string()),
        "max_command_data": fci.and_then(|f| f.max_command_data),
        "card_id": identity.cplc.as_ref().and_then(|c| c.value.as_ref()).map(Cplc::chip_id),
        "cplc": identity.cplc.as_ref().map(|c| c.value.as_ref().map_or_else(|| json!({ "raw": upper(&c.raw) }), cplc)),
        "iin": identity.iin.as_deref().map(upper),
        "cin": identity.cin.as_deref().map(upper),
        "card_data": identity.card_data.as_ref().map(|d| match &d.value {
            None => json!({ "raw": upper(&d.raw) }),
            Some(data) => json!({
                "gp_version": data.gp_version,
                "globally_unique": data.globally_unique,
                "protocols": data.protocols.iter().map(|p| json!({
                    "scp": format!("{:02X}", p.scp), "i": format!("{:02X}", p.i),
                })).collect::<Vec<_>>(),
                "configuration": data.configuration.as_deref().map(upper),
                "chip": data.chip.as_deref().map(upper),
            }),
        }),
        "keys": identity.key_information.as_ref().and_then(|k| k.value.as_ref()).map(keys),
        "sequence_counter": identity.sequence_counter.map(SequenceCounter::value),
        "capabilities": identity.capabilities.as_ref().map(|c| match &c.value {
            None => json!({ "raw": upper(&c.raw) }),
            Some(value) => capabilities(value),
        }),
        "memory": identity.resources.map(|r| json!({
            "free_persistent": r.free_non_volatile,
            "free_transient": r.free_volatile,
            "applications": r.applications,
        })),
    })
}

fn cplc(cplc: &Cplc) -> Value {
    let mut object: serde_json::Map<String, Value> =
        cplc.fields().into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect();
    let day = |date: CplcDate| {
        date.year_digit_and_day().map(|(year, day)| json!({ "year_digit": year, "day": day }))
    };
    object.insert("ic_fabrication_day".to_owned(), json!(day(cplc.ic_fabrication_date)));
    Value::Object(object)
}

/// Stable fields of key information.
pub fn keys(template: &KeyInformationTemplate) -> Value {
    let entries = template.keys.iter().map(|key| {
        json!({
            "kvn": format!("{:02X}", key.kvn),
            "kid": format!("{:02X}", key.kid),
            "components": key.components.iter().map(|c| json!({
                "type": format!("{:02X}", c.key_type.0),
                "name": c.key_type.name(),
                "bits": u32::from(c.length) * 8,
            })).collect::<Vec<_>>(),
        })
    });
    entries.collect()
}

fn capabilities(value: &CapabilityInformation) -> Value {
    json!({
        "protocols": value.protocols.iter().map(|p| json!({
            "scp": format!("{:02X}", p.scp),
            "i": p.i.iter().map(|i| format!("{i:02X}")).collect::<Vec<_>>(),
            "key_bits": p.key_bits,
        })).collect::<Vec<_>>(),
        "domain_privileges": value.domain_privileges.map(|p| p.names().collect::<Vec<_>>()),
        "application_privileges": value.application_privileges.map(|p| p.names().collect::<Vec<_>>()),
        "hashes": value.hashes.iter().map(|h| h.name()).collect::<Vec<_>>(),
    })
}

/// Hexadecimal as everywhere in this program's output.
pub fn upper(bytes: &[u8]) -> String {
    hex::encode_upper(bytes)
}
