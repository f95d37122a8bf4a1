//! `jpkise cap run`: a CAP straight on the virtual machine.

use std::fs;
use std::io::{self, Read};

use jpkise_cap::Cap;
use jpkise_jcvm::{CardError, FaultKind, HeapChange, HeapEntry, HeapKind, HeapOwner, HeapReport, Profile};
use jpkise_lab::cap_run::{self, ClassNames, Event, Plan, RunError, ScriptError, Stage};
use serde_json::json;

use super::cap::read_cap;
use crate::app::{talk_line, App};
use crate::args::CapRunArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::explain::file_not_read;
use crate::i18n::Text;
use crate::table;

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
        heap: arguments.heap,
    };
    let caps: Vec<&Cap> = plan.imports.iter().chain([&plan.cap]).collect();
    let tracer = arguments.trace_bytecode.then(|| cap_run::bytecode_tracer(&caps, talk_line));
    let names = ClassNames::new(&caps);
    let mut exchanges = Vec::new();
    let mut heaps = Vec::new();
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
            Event::Heap { after, report, changes } => {
                if app.global.json {
                    heaps.push(heap_json(*after, report, changes.as_deref(), &names));
                    return;
                }
                heap_text(app, *after, report, changes.as_deref(), &names)
            }
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
        "heap": heaps,
        "memory": {
            "packages": memory.packages,
            "instance": memory.instance,
            "transient": memory.transient,
            "growth": memory.growth,
        },
    }))
}

/// Whose an object is; empty for the runtime's own.
fn owner(owner: HeapOwner) -> String {
    match owner {
        HeapOwner::Runtime => String::new(),
        HeapOwner::Package(aid) | HeapOwner::Instance(aid) => aid.to_string(),
    }
}

/// Stable name of what is no Java object.
const fn record(kind: &HeapKind) -> &'static str {
    match kind {
        HeapKind::LoadFile => "load-file",
        HeapKind::StaticFields => "static-fields",
        _ => "record",
    }
}

/// A table of all objects, and one of what has come and gone.
fn heap_text(
    app: &App,
    after: Stage,
    report: &HeapReport,
    changes: Option<&[HeapChange]>,
    names: &ClassNames,
) -> String {
    let say = |key: &'static str| app.messages.get(key);
    let what = |kind: &HeapKind| {
        names.of(kind).unwrap_or_else(|| match kind {
            HeapKind::LoadFile => say("cap-run-heap-load-file"),
            HeapKind::StaticFields => say("cap-run-heap-static-fields"),
            _ => say("cap-run-heap-record"),
        })
    };
    let whose = |at| match at {
        HeapOwner::Runtime => say("cap-run-heap-runtime"),
        other => owner(other),
    };
    let columns = ["what", "owner", "count", "persistent", "reset", "deselect"];
    let head = columns.map(|column| match column {
        "what" => say("cap-run-heap-what"),
        "owner" => say("cap-run-heap-owner"),
        "count" => say("cap-run-heap-count"),
        "persistent" => say("cap-run-heap-persistent"),
        "reset" => say("cap-run-heap-reset"),
        _ => say("cap-run-heap-deselect"),
    });
    let mut rows = vec![head];
    let sum = |of: fn(&HeapEntry) -> u32| report.entries.iter().map(of).sum::<u32>().to_string();
    rows.extend(report.entries.iter().map(|e| {
        let numbers = [e.count, e.persistent, e.on_reset, e.on_deselect].map(|n| n.to_string());
        let [count, persistent, reset, deselect] = numbers;
        [what(&e.kind), whose(e.owner), count, persistent, reset, deselect]
    }));
    rows.push([
        say("cap-run-heap-sum"),
        String::new(),
        sum(|e| e.count),
        sum(|e| e.persistent),
        sum(|e| e.on_reset),
        sum(|e| e.on_deselect),
    ]);
    let free = Text::new("cap-run-heap-free")
        .with("persistent", report.free.persistent)
        .with("transient", report.free.transient);
    let mut lines = vec![app.messages.say(&Text::new("cap-run-heap").with("after", after))];
    lines.extend(table::render(&rows));
    lines.push(app.messages.say(&free));
    match changes {
        None => {}
        Some([]) => lines.push(say("cap-run-heap-unchanged")),
        Some(changes) => {
            lines.push(say("cap-run-heap-changes"));
            lines.extend(changes.iter().map(|c| {
                format!(
                    "  {} {}: {:+}, {:+} / {:+}",
                    whose(c.owner),
                    what(&c.kind),
                    c.count,
                    c.persistent,
                    c.transient
                )
            }));
        }
    }
    lines.join("\n")
}

fn heap_json(
    after: Stage,
    report: &HeapReport,
    changes: Option<&[HeapChange]>,
    names: &ClassNames,
) -> serde_json::Value {
    let what = |kind: &HeapKind| names.of(kind).unwrap_or_else(|| record(kind).to_owned());
    let objects: Vec<_> = (report.entries.iter())
        .map(|e| {
            json!({
                "type": what(&e.kind),
                "owner": owner(e.owner),
                "count": e.count,
                "persistent": e.persistent,
                "clear_on_reset": e.on_reset,
                "clear_on_deselect": e.on_deselect,
            })
        })
        .collect();
    let changes = changes.map(|changes| {
        let change = |c: &HeapChange| {
            json!({
                "type": what(&c.kind),
                "owner": owner(c.owner),
                "count": c.count,
                "persistent": c.persistent,
                "transient": c.transient,
            })
        };
        changes.iter().map(change).collect::<Vec<_>>()
    });
    json!({
        "after": after.to_string(),
        "objects": objects,
        "free": { "persistent": report.free.persistent, "transient": report.free.transient },
        "changes": changes,
    })
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
