//! `jpkise cap run`: a CAP straight on the virtual machine.

use std::fs;
use std::io::{self, Read};

use jpkise_cap::Cap;
use jpkise_jcvm::{CardError, FaultKind, Profile};
use jpkise_lab::cap_run::{self, Event, Plan, RunError, ScriptError};
use serde_json::json;

use super::cap::read_cap;
use crate::app::{talk_line, App};
use crate::args::CapRunArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::explain::file_not_read;
use crate::i18n::Text;

/// Loads, installs, selects, sends the script, tells what it took.
pub fn run(app: &App, arguments: &CapRunArgs) -> Result<(), CliError> {
    let cap = read_cap(&arguments.cap)?;
    let plan = Plan {
        imports: arguments.imports.iter().map(|path| read_cap(path)).collect::<Result<_, _>>()?,
        cap,
        module: arguments.module,
        instance: arguments.instance,
        parameters: arguments.parameters.0.clone(),
        contactless: arguments.contactless,
        script: cap_run::read_script(&script(arguments)?)?,
    };
    let caps: Vec<&Cap> = plan.imports.iter().chain([&plan.cap]).collect();
    let tracer = arguments.trace_bytecode.then(|| cap_run::bytecode_tracer(&caps, talk_line));
    let mut exchanges = Vec::new();
    let mut installed = None;
    let mut output = Ok(());
    let result = cap_run::run(&plan, Profile::default(), tracer, &mut |event| {
        let line = match event {
            Event::Installed { instance } => {
                installed = Some(instance.to_string());
                return;
            }
            Event::Exchange { line, command, answer } => {
                let (command, answer) = (hex::encode_upper(command), hex::encode_upper(answer));
                if app.global.json {
                    exchanges.push(json!({ "line": line, "command": command, "answer": answer }));
                }
                format!("> {command}\n< {answer}")
            }
            Event::Reset => "reset".to_owned(),
        };
        let printed = app.result(&line);
        if output.is_ok() {
            output = printed;
        }
    });
    output?;
    let memory = result?;
    app.talk(
        &Text::new("cap-run-memory")
            .with("packages", memory.packages)
            .with("instance", memory.instance)
            .with("transient", memory.transient)
            .with("growth", memory.growth),
    );
    app.json(&json!({
        "package": plan.cap.header.package.aid.to_string(),
        "instance": installed,
        "exchanges": exchanges,
        "memory": {
            "packages": memory.packages,
            "instance": memory.instance,
            "transient": memory.transient,
            "growth": memory.growth,
        },
    }))
}

fn script(arguments: &CapRunArgs) -> Result<String, CliError> {
    if let Some(path) = &arguments.script {
        return fs::read_to_string(path).map_err(|e| file_not_read(path, &e));
    }
    let mut text = String::new();
    io::stdin().lock().read_to_string(&mut text)?;
    Ok(text)
}

impl From<ScriptError> for CliError {
    fn from(error: ScriptError) -> Self {
        Self::new(Exit::Usage, Text::new("err-script").with("line", error.line)).detail(error.text)
    }
}

impl From<RunError> for CliError {
    fn from(error: RunError) -> Self {
        let detail = error.to_string();
        match error {
            RunError::NoApplet(_) | RunError::WhichApplet(_) => {
                Self::new(Exit::Usage, Text::new("err-which-applet")).detail(detail)
            }
            RunError::Card { source: CardError::Fault(fault), .. }
                if fault.kind == FaultKind::InstructionBudget =>
            {
                Self::new(Exit::Refused, Text::new("err-mute")).detail(detail)
            }
            RunError::Card { source: CardError::Fault(_), .. } => {
                Self::new(Exit::Refused, Text::new("err-vm-fault"))
                    .detail(detail)
                    .next(Text::new("rec-vm-fault"))
            }
            _ => Self::new(Exit::Refused, Text::new("err-cap-run")).detail(detail),
        }
    }
}
