//! Registry entries in words.

use jpkise_gp::registry::{Entry, Kind, LifeCycle, Privileges};
use jpkise_wire::Aid;
use serde_json::{json, Value};

use crate::app::App;
use crate::i18n::Text;

/// Objects that many cards have, by their AID. The standards' own names: no language of ours.
const KNOWN: [(&[u8], &str); 11] = [
    (&[0xA0, 0x00, 0x00, 0x01, 0x51, 0x53, 0x50], "GlobalPlatform security domain code"),
    (&[0xA0, 0x00, 0x00, 0x01, 0x51, 0x53, 0x50, 0x41], "GlobalPlatform security domain"),
    (&[0xA0, 0x00, 0x00, 0x01, 0x51, 0x41, 0x43, 0x4C], "ARA code"),
    (&[0xA0, 0x00, 0x00, 0x01, 0x51, 0x41, 0x43, 0x4C, 0x00], "ARA-M"),
    (&[0xA0, 0x00, 0x00, 0x01, 0x51, 0x53, 0x50, 0x4A, 0x50, 0x4B, 0x49], "JPKI SP"),
    (&[0xD3, 0x92, 0xF0, 0x00, 0x26, 0x4A, 0x50, 0x4B, 0x01], "JPKI code"),
    (&[0xD3, 0x92, 0xF0, 0x00, 0x26, 0x4A, 0x50, 0x4B, 0x01, 0x01], "JPKI"),
    (&[0xD3, 0x92, 0xF0, 0x00, 0x26, 0x01, 0x00, 0x00, 0x00, 0x01], "JPKI"),
    (&[0xA0, 0x00, 0x00, 0x03, 0x08, 0x00, 0x00, 0x10, 0x00, 0x01, 0x00], "PIV"),
    (&[0xD2, 0x76, 0x00, 0x01, 0x24, 0x01], "OpenPGP"),
    (b"2PAY.SYS.DDF01", "PPSE"),
];

/// The name under which an AID is known.
pub fn known(aid: &Aid) -> Option<&'static str> {
    KNOWN.iter().find(|(bytes, _)| aid.as_bytes() == *bytes).map(|(_, name)| *name)
}

/// What it is, for message keys and JSON.
pub fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::IssuerDomain => "issuer-domain",
        Kind::Domain => "domain",
        Kind::Application => "application",
        Kind::LoadFile => "load-file",
    }
}

/// AID with its name, where it has one.
pub fn named(aid: &Aid) -> String {
    known(aid).map_or_else(|| aid.to_string(), |name| format!("{aid} ({name})"))
}

/// Life cycle as the standard writes it, with the byte where the word leaves something open.
pub fn life_cycle(state: LifeCycle) -> String {
    match state.name() {
        Some("LOCKED") | None => format!("{state} ({:02X})", state.value),
        Some(name) => name.to_owned(),
    }
}

/// Privileges in words of the language.
pub fn privileges(app: &App, privileges: Privileges) -> String {
    let words: Vec<_> = privileges.names().map(|name| privilege(app, name)).collect();
    words.join(&app.messages.get("list-separator"))
}

/// One privilege in words of the language.
pub fn privilege(app: &App, name: &str) -> String {
    app.messages.get(&format!("privilege-{name}"))
}

/// A whole entry on one line: what it is, AID, state.
pub fn entry(entry: &Entry) -> Text {
    let mut text = Text::new(format!("gp-entry-{}", kind(entry.life_cycle.kind)))
        .with("aid", named(&entry.aid))
        .with("state", life_cycle(entry.life_cycle));
    let version = entry.version.map(|(major, minor)| format!(" {major}.{minor}"));
    text = text.with("version", version.unwrap_or_default());
    text
}

/// An entry's stable fields.
pub fn object(entry: &Entry) -> Value {
    let mut object = json!({
        "aid": entry.aid.to_string(),
        "kind": kind(entry.life_cycle.kind),
        "life_cycle": entry.life_cycle.name(),
        "life_cycle_byte": format!("{:02X}", entry.life_cycle.value),
    });
    if let Some(name) = known(&entry.aid) {
        object["name"] = json!(name);
    }
    if let Some(privileges) = entry.privileges {
        object["privileges"] = json!(privileges.names().collect::<Vec<_>>());
        object["privilege_bytes"] = json!(privileges.to_string());
    }
    for (field, aid) in [("load_file", entry.load_file), ("domain", entry.domain)] {
        if let Some(aid) = aid {
            object[field] = json!(aid.to_string());
        }
    }
    if let Some((major, minor)) = entry.version {
        object["version"] = json!(format!("{major}.{minor}"));
    }
    if !entry.modules.is_empty() {
        object["modules"] = json!(entry.modules.iter().map(ToString::to_string).collect::<Vec<_>>());
    }
    if let Some(contactless) = entry.contactless {
        object["contactless"] = json!(match contactless {
            0x00 => "deactivated",
            0x01 => "activated",
            0x80 => "not-activatable",
            _ => "unknown",
        });
    }
    if !entry.implicit_selection.is_empty() {
        object["implicit_selection"] = json!(hex::encode_upper(&entry.implicit_selection));
    }
    object
}
