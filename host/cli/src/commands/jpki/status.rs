//! `jpkise jpki status`: everything the application tells, and with the SP-TSM's keys what it attests.

use jpkise_gp::keys::KeySource;
use jpkise_jpki::edge::{AppletVersion, Attestation, CardStatus, KeyRef, TokenInfo};
use jpkise_jpki::probe::probe;
use jpkise_jpki::{Admin, Cert, ClientError};
use jpkise_lab::{secrets as lab, simulator};
use jpkise_wire::Aid;
use rand::rngs::OsRng;
use serde_json::{json, Value};

use super::card::{aid, key_name, open, select, sp_keys, state_name};
use super::certificate::{read, time_text, to_json};
use super::secret::Secrets;
use crate::app::App;
use crate::args::{JpkiArgs, StatusArgs};
use crate::connect::{with_card, Target};
use crate::error::CliError;
use crate::i18n::Text;
use crate::table;

/// What is known of one key.
struct KeyFacts {
    key: KeyRef,
    tries: u8,
    certificate: Found,
    ca: Found,
}

/// A certificate looked for.
enum Found {
    Here(Box<Cert>),
    Locked,
    Missing,
}

/// Everything found out.
struct Facts {
    token: Option<TokenInfo>,
    version: Option<AppletVersion>,
    status: Option<CardStatus>,
    keys: Vec<KeyFacts>,
    attestation: Option<Attestation>,
    /// Key version of the domain, and whether everybody knows its keys.
    domain: Option<(u8, bool)>,
}

/// Shows the application.
pub fn run(app: &App, arguments: &JpkiArgs, own: &StatusArgs) -> Result<(), CliError> {
    let aid = aid(arguments);
    let mut secrets = Secrets::new(app, &arguments.secrets)?;
    let facts = with_card(app, &arguments.card, |target| gather(app, own, target, &aid, &mut secrets))?;
    show(app, &facts)?;
    app.json(&to_object(&aid, &facts))
}

fn gather(
    app: &App,
    own: &StatusArgs,
    target: &mut Target,
    aid: &Aid,
    secrets: &mut Secrets<'_>,
) -> Result<Facts, CliError> {
    let mut client = select(&mut target.card, aid)?;
    let version = client.version()?;
    let status = client.status()?;
    let token = optional(client.token_info())?;
    let mut keys = Vec::new();
    for key in KeyRef::ALL {
        let tries = client.tries_left(key)?;
        let unlock = own.unlock.iter().any(|k| KeyRef::from(*k) == key);
        let certificate = if unlock {
            Found::Here(Box::new(Cert::from_der(&read(&mut client, secrets, key)?)?))
        } else {
            found(client.certificate(key))?
        };
        let ca = found(client.ca_certificate(key))?;
        keys.push(KeyFacts { key, tries, certificate, ca });
    }
    let mut facts = Facts { token, version, status, keys, attestation: None, domain: None };
    // A card that is not of this project has no such channel.
    if version.is_some() && (target.simulated || app.global.lab || own.probe_keys) {
        let (test, sp) = (internal(simulator::test_keys())?, internal(lab::sp_keys())?);
        let published: [&dyn KeySource; 2] = [&test, &sp];
        let probed = probe(&mut target.card, aid, 0, &published, &mut OsRng)?;
        facts.domain = probed.map(|p| (p.set.kvn, p.fits.is_some()));
    }
    if own.attest {
        let keys = sp_keys(app, &own.keys, target)?;
        let mut session = open(&mut target.card, &keys, *aid)?;
        facts.attestation = Some(Admin::new(&mut session)?.attest(&mut OsRng)?);
    }
    Ok(facts)
}

fn internal<T, E: std::fmt::Display>(result: Result<T, E>) -> Result<T, CliError> {
    result.map_err(|e| CliError::internal(e.to_string()))
}

/// What a card may lack without being out of order.
fn optional<T>(result: Result<T, ClientError>) -> Result<Option<T>, CliError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(ClientError::NoFile(_) | ClientError::Malformed(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn found(certificate: Result<Vec<u8>, ClientError>) -> Result<Found, CliError> {
    match certificate {
        Ok(der) => Ok(Found::Here(Box::new(Cert::from_der(&der)?))),
        Err(ClientError::NotVerified { .. }) => Ok(Found::Locked),
        Err(ClientError::NoFile(_) | ClientError::NotUsable { .. }) => Ok(Found::Missing),
        Err(error) => Err(error.into()),
    }
}

fn show(app: &App, facts: &Facts) -> Result<(), CliError> {
    let say = |key: &str| app.messages.get(key);
    if let Some(token) = &facts.token {
        let text = Text::new("jpki-token").with("label", &token.label).with("serial", &token.serial);
        app.result(&app.messages.say(&text))?;
    }
    match &facts.version {
        Some(v) => {
            let text = Text::new("jpki-applet").with("version", format!("{}.{}", v.major, v.minor));
            app.result(&app.messages.say(&text))?;
        }
        None => app.result(&say("jpki-no-version"))?,
    }
    match facts.domain {
        Some((kvn, true)) => {
            app.result(&app.messages.say(&Text::new("jpki-on-test-keys").with("kvn", format!("{kvn:02X}"))))?;
        }
        Some((kvn, false)) => {
            app.result(&app.messages.say(&Text::new("jpki-on-own-keys").with("kvn", format!("{kvn:02X}"))))?;
        }
        None => {}
    }
    let mut rows = vec![[
        say("column-key"),
        say("column-state"),
        say("column-tries"),
        say("column-valid-to"),
        say("column-generation"),
        say("column-signatures"),
        say("column-resets"),
    ]];
    for of in &facts.keys {
        let attested = facts.attestation.as_ref().map(|a| a.key(of.key));
        let state = attested.map(|a| a.state).or_else(|| facts.status.as_ref().map(|s| s.key(of.key).state));
        let valid_to = match &of.certificate {
            Found::Here(certificate) => time_text(certificate.not_after()),
            Found::Locked => say("column-locked"),
            Found::Missing => "-".to_owned(),
        };
        let count = |number: Option<u32>| number.map_or_else(|| "-".to_owned(), |n| n.to_string());
        rows.push([
            app.messages.say(&key_name(of.key)),
            state.map_or_else(|| "-".to_owned(), |s| format!("{s} ({})", app.messages.say(&state_name(s)))),
            of.tries.to_string(),
            valid_to,
            count(attested.map(|a| a.generation.into())),
            count(attested.map(|a| a.signatures)),
            count(attested.map(|a| a.resets.into())),
        ]);
    }
    for line in table::listing(&rows) {
        app.result(&line)?;
    }
    for of in &facts.keys {
        if let Found::Here(certificate) = &of.ca {
            let text = Text::new("jpki-ca-line")
                .nested("key", key_name(of.key))
                .with("issuer", &certificate.parsed().tbs_certificate.subject)
                .with("to", time_text(certificate.not_after()));
            app.result(&app.messages.say(&text))?;
            if certificate.is_test() {
                app.result(&format!("  {}", say("cert-test")))?;
            }
        }
    }
    Ok(())
}

fn to_object(aid: &Aid, facts: &Facts) -> Value {
    let keys: Vec<Value> = facts
        .keys
        .iter()
        .map(|of| {
            let attested = facts.attestation.as_ref().map(|a| a.key(of.key));
            let state =
                attested.map(|a| a.state).or_else(|| facts.status.as_ref().map(|s| s.key(of.key).state));
            json!({
                "key": of.key,
                "state": state,
                "tries_left": of.tries,
                "certificate": certificate_object(&of.certificate),
                "ca": certificate_object(&of.ca),
                "generation": attested.map(|a| a.generation),
                "signatures": attested.map(|a| a.signatures),
                "resets": attested.map(|a| a.resets),
                "modulus_sha256": attested.map(|a| hex::encode_upper(a.modulus_hash)),
            })
        })
        .collect();
    json!({
        "aid": aid.to_string(),
        "token": facts.token.as_ref().map(|t| json!({ "label": t.label, "serial": t.serial, "manufacturer": t.manufacturer, "model": t.model })),
        "applet": facts.version.map(|v| json!({
            "version": format!("{}.{}", v.major, v.minor),
            "features": format!("{:04X}", v.features),
            "apdu_buffer": v.apdu_buffer,
        })),
        "key_version": facts.domain.map(|(kvn, _)| format!("{kvn:02X}")),
        "test_keys": facts.domain.map(|(_, published)| published),
        "attested": facts.attestation.is_some(),
        "device_counter": facts.status.map(|s| s.device_counter),
        "keys": keys,
    })
}

fn certificate_object(found: &Found) -> Value {
    match found {
        Found::Here(certificate) => to_json(certificate, false),
        Found::Locked => json!({ "locked": true }),
        Found::Missing => Value::Null,
    }
}
