//! `jpkise gp send`: commands as they stand, in clear or under secure messaging.

use std::path::Path;

use jpkise_card::names::command_name;
use jpkise_card::{CommandApdu, ResponseApdu, SecretKind};
use jpkise_gp::commands::put_key::INS_PUT_KEY;
use jpkise_gp::scp03::Session;
use serde_json::{json, Value};

use super::work::{changes, Plan};
use super::Gp;
use crate::app::App;
use crate::args::gp::{sending, SendArgs, Sending};
use crate::error::CliError;
use crate::exit::Exit;
use crate::explain::{file_not_read, meaning, refused};
use crate::i18n::Text;
use crate::keys::Channel;

/// GlobalPlatform secure messaging in the class byte, which the channel sets itself.
const SECURE_MESSAGING: u8 = 0x04;

/// Sends.
pub fn run(gp: &Gp<'_>, arguments: &SendArgs) -> Result<(), CliError> {
    let mut all = arguments.commands.clone();
    if let Some(path) = &arguments.file {
        all.extend(from_file(path)?);
    }
    if gp.app.global.dry_run {
        return list(gp.app, &all);
    }
    let dangerous = all
        .iter()
        .any(|s| matches!(s, Sending::Command { bytes, .. } if parse(bytes).is_ok_and(|c| changes(&c))));
    if dangerous {
        gp.app.consent(&Text::new("gp-ask-send"))?;
    }
    let mut told = Told { gp, keep_going: arguments.keep_going, exchanges: Vec::new(), failure: None };
    let result = if arguments.secure {
        secured(gp, &all, &mut told)
    } else {
        in_clear(gp, arguments, &all, &mut told)
    };
    gp.app.json(&json!({ "exchanges": told.exchanges }))?;
    result?;
    told.failure.map_or(Ok(()), Err)
}

fn parse(bytes: &[u8]) -> Result<CommandApdu, CliError> {
    let command = CommandApdu::parse(bytes)
        .map_err(|error| CliError::new(Exit::Usage, Text::new("err-build")).detail(error.to_string()))?;
    // What is typed here may be a PIN: traces name it, and do not write it.
    Ok(match command.ins {
        0x20 | 0x24 | 0x2C => command.hiding(SecretKind::ReferenceData),
        INS_PUT_KEY if command.cla & 0x80 != 0 => command.hiding(SecretKind::Key),
        _ => command,
    })
}

fn from_file(path: &Path) -> Result<Vec<Sending>, CliError> {
    let text = if path.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.map_err(|error| file_not_read(path, &error))?;
    let lines = text
        .lines()
        .zip(1..)
        .map(|(line, number)| (line.split('#').next().unwrap_or_default().trim(), number));
    lines
        .filter(|(line, _)| !line.is_empty())
        .map(|(line, number)| {
            sending(line).map_err(|problem| {
                CliError::new(Exit::Usage, Text::new("err-script").with("line", number)).detail(problem)
            })
        })
        .collect()
}

fn list(app: &App, all: &[Sending]) -> Result<(), CliError> {
    let plan = Plan::new(app);
    for sending in all {
        if let Sending::Command { bytes, .. } = sending {
            plan.withhold(&parse(bytes)?);
        }
    }
    plan.finish(&Text::new("gp-dry-run"), json!({}))
}

fn in_clear(gp: &Gp<'_>, arguments: &SendArgs, all: &[Sending], told: &mut Told<'_>) -> Result<(), CliError> {
    gp.with_card(|target| {
        if let Some(aid) = arguments.select.or(gp.arguments.channel.sd) {
            Session::select(&mut target.card, Some(&aid))?;
        }
        for sending in all {
            let go_on = match sending {
                Sending::Reset => {
                    target.card.reset()?;
                    true
                }
                Sending::Command { bytes, expected } => {
                    let command = parse(bytes)?;
                    let answer = target.card.send(&command)?;
                    told.one(&command, &answer, *expected)?
                }
            };
            if !go_on {
                break;
            }
        }
        Ok(())
    })
}

fn secured(gp: &Gp<'_>, all: &[Sending], told: &mut Told<'_>) -> Result<(), CliError> {
    if all.iter().any(|s| matches!(s, Sending::Reset)) {
        return Err(CliError::new(Exit::Usage, Text::new("err-reset-secured")));
    }
    gp.with_best_channel(|channel: &mut Channel<'_, '_>, _| {
        for sending in all {
            let Sending::Command { bytes, expected } = sending else { continue };
            let mut command = parse(bytes)?;
            command.cla &= !SECURE_MESSAGING;
            let answer = channel.send(&command)?;
            if !told.one(&command, &answer, *expected)? {
                break;
            }
        }
        Ok(())
    })
}

/// What the card said so far.
struct Told<'a> {
    gp: &'a Gp<'a>,
    keep_going: bool,
    exchanges: Vec<Value>,
    failure: Option<CliError>,
}

impl Told<'_> {
    /// Shows an exchange; whether the next command may go.
    fn one(
        &mut self,
        command: &CommandApdu,
        answer: &ResponseApdu,
        expected: Option<jpkise_wire::StatusWord>,
    ) -> Result<bool, CliError> {
        let name = command_name(command.header()).into_owned();
        let shown = match command.secret() {
            Some(secret) => format!("{} ({})", hex::encode_upper(command.header()), secret.name()),
            None => command.to_bytes().map(|bytes| hex::encode_upper(bytes.as_slice())).unwrap_or_default(),
        };
        let app = self.gp.app;
        app.result(&format!("> {shown}  {name}"))?;
        let words = if answer.sw.is_success() {
            String::new()
        } else {
            format!("  {}", app.messages.say(&meaning(answer.sw)))
        };
        app.result(
            format!("< {} {}{words}", hex::encode_upper(&answer.data), answer.sw)
                .replace("<  ", "< ")
                .as_str(),
        )?;
        let good = expected.map_or(answer.sw.is_protected(), |wanted| wanted == answer.sw);
        self.exchanges.push(json!({
            "name": name,
            "command": shown,
            "response": hex::encode_upper(&answer.data),
            "status_word": answer.sw.to_string(),
            "expected": expected.map(|sw| sw.to_string()),
            "ok": good,
        }));
        if !good && self.failure.is_none() {
            let error = refused(&name, answer.sw);
            self.failure = Some(match expected {
                Some(wanted) => error.detail(format!("expected {wanted}")),
                None => error,
            });
        }
        Ok(good || self.keep_going)
    }
}
