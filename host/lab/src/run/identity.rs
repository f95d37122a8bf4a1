//! Who the card is: what everybody may ask, asked once per target.

use jpkise_card::{Card, Transport};
use jpkise_gp::identity::Identity;
use jpkise_gp::scp03::Session;
use jpkise_gp::workflow::read_identity;

use super::bench::{Bench, TargetKind};

/// Name and value of what the card tells about itself; what it does not tell is missing.
pub fn read(bench: &mut dyn Bench) -> Vec<(String, String)> {
    let kind = bench.kind();
    let card = bench.card();
    let mut facts = vec![
        ("reader".to_owned(), card.name().to_owned()),
        ("atr".to_owned(), hex::encode_upper(card.atr())),
    ];
    let capabilities = card.capabilities();
    facts.push(("protocol".to_owned(), if capabilities.t0 { "T=0" } else { "T=1" }.to_owned()));
    facts.push(("extended-length".to_owned(), capabilities.extended_length.to_string()));
    facts.push(("contactless".to_owned(), capabilities.contactless.to_string()));
    let Ok(mut session) = Session::select(card, None) else { return facts };
    if let Some(aid) = session.aid() {
        facts.push(("isd".to_owned(), aid.to_string()));
    }
    let Ok(identity) = read_identity(&mut session) else { return facts };
    facts.extend(told(&identity).into_iter().map(|(name, value)| (name.to_owned(), value)));
    if kind == TargetKind::Simulated {
        facts.push(("simulated".to_owned(), env!("CARGO_PKG_VERSION").to_owned()));
    }
    facts
}

/// What GET DATA told, by the names that reports use; nothing in it changes from one session to the next.
pub fn told(identity: &Identity) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(cplc) = &identity.cplc {
        facts.push(("cplc", hex::encode_upper(&cplc.raw)));
        facts.extend(cplc.value.as_ref().map(|cplc| ("chip", cplc.chip_id())));
    }
    for (name, value) in [("iin", &identity.iin), ("cin", &identity.cin)] {
        facts.extend(value.as_ref().map(|v| (name, hex::encode_upper(v))));
    }
    if let Some(data) = identity.card_data.as_ref().and_then(|d| d.value.as_ref()) {
        facts.extend(data.gp_version.as_ref().map(|v| ("gp-version", v.clone())));
        facts.extend(data.protocols.iter().map(|p| ("scp", format!("SCP{:02X} i={:02X}", p.scp, p.i))));
    }
    if let Some(keys) = identity.key_information.as_ref().and_then(|k| k.value.as_ref()) {
        let sets = keys.scp03_sets();
        facts.extend(sets.iter().map(|(kvn, n)| ("keys", format!("KVN {kvn:02X}, AES-{}", n * 8))));
    }
    facts
}

/// [`card_id`] of a card, asked now.
pub fn card_id_of<T: Transport>(card: &mut Card<T>) -> String {
    let mut facts = vec![("atr".to_owned(), hex::encode_upper(card.atr()))];
    let identity = Session::select(card, None).ok().and_then(|mut session| read_identity(&mut session).ok());
    facts.extend(identity.iter().flat_map(told).map(|(name, value)| (name.to_owned(), value)));
    card_id(&facts)
}

/// The identity by which a card is named for `--destructive`: IIN and CIN where it has them, else the
/// chip's own number, else its ATR.
pub fn card_id(facts: &[(String, String)]) -> String {
    let of = |name: &str| facts.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
    match (of("iin"), of("cin"), of("chip")) {
        (Some(iin), Some(cin), _) => format!("{iin}-{cin}"),
        (_, _, Some(chip)) => chip.to_owned(),
        _ => of("atr").unwrap_or_default().to_owned(),
    }
}
