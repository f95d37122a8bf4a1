//! `jpkise cap`: build, info, dump, verify (run is in a file of its own).

use std::fs;
use std::path::Path;

use jpkise_cap::convert::{convert, ConvertOptions, Diagnostic};
use jpkise_cap::exports::{ExportPackage, ExportSet};
use jpkise_cap::inspect::{cap_info, dump, dump_exp, exp_info, info_text};
use jpkise_cap::verify::{verify, Finding, Severity};
use jpkise_cap::Cap;
use jpkise_lab::files::write_whole;
use serde_json::json;

use crate::app::App;
use crate::args::{CapBuildArgs, CapFileArgs, CapVerb};
use crate::error::CliError;
use crate::exit::Exit;
use crate::explain::file_not_read;
use crate::i18n::Text;

/// First bytes of an EXP file (Java Card VM Specification section 5.5).
const EXP_MAGIC: [u8; 4] = [0x00, 0xFA, 0xCA, 0xDE];

/// Runs the verb.
pub fn run(app: &App, verb: &CapVerb) -> Result<(), CliError> {
    match verb {
        CapVerb::Build(arguments) => build(app, arguments),
        CapVerb::Info(arguments) => info(app, arguments),
        CapVerb::Dump(arguments) => show(app, arguments),
        CapVerb::Verify(arguments) => check(app, arguments),
        CapVerb::Run(arguments) => super::cap_run::run(app, arguments),
    }
}

/// A file that is one or the other.
enum File {
    Cap(Box<Cap>),
    Exp(ExportPackage),
}

fn read(path: &Path) -> Result<File, CliError> {
    let bytes = fs::read(path).map_err(|e| file_not_read(path, &e))?;
    let parsed = if bytes.starts_with(&EXP_MAGIC) {
        ExportPackage::read_exp(&bytes).map(File::Exp).map_err(|e| e.to_string())
    } else {
        Cap::read(&bytes).map(|cap| File::Cap(Box::new(cap))).map_err(|e| e.to_string())
    };
    parsed.map_err(|reason| not_readable(path, reason))
}

/// A CAP file, and nothing else.
pub(super) fn read_cap(path: &Path) -> Result<Cap, CliError> {
    match read(path)? {
        File::Cap(cap) => Ok(*cap),
        File::Exp(_) => Err(not_readable(path, "an EXP file, not a CAP file".to_owned())),
    }
}

fn not_readable(path: &Path, reason: String) -> CliError {
    CliError::new(Exit::Usage, Text::new("err-cap").with("path", path.display())).detail(reason)
}

/// The built-in tables, with the user's export files in front.
pub(super) fn exports(paths: &[std::path::PathBuf], mut set: ExportSet) -> Result<ExportSet, CliError> {
    for path in paths {
        set.add_path(path).map_err(|error| {
            CliError::new(Exit::Usage, Text::new("err-export-path")).detail(error.to_string())
        })?;
    }
    Ok(set)
}

fn build(app: &App, arguments: &CapBuildArgs) -> Result<(), CliError> {
    let given = exports(&arguments.export_path, ExportSet::any_platform())?;
    let former = match &arguments.former {
        None => None,
        Some(path) => match read(path)? {
            File::Exp(package) => Some(package),
            File::Cap(_) => return Err(not_readable(path, "a CAP file, not an EXP file".to_owned())),
        },
    };
    let options = ConvertOptions {
        applets: arguments.applets.clone(),
        library: arguments.library,
        target: arguments.target,
        int: arguments.int,
        debug: arguments.debug,
        former,
        exports: given.given().to_vec(),
        ..ConvertOptions::new(&arguments.package, arguments.aid, arguments.package_version)
    };
    let converted = convert(&arguments.classes, &options).map_err(|e| not_converted(app, &e))?;
    // What leaves here verifies: a converter's mistake must not reach a card.
    let mut set = ExportSet::platform(arguments.target);
    given.given().iter().rev().cloned().for_each(|package| set.add(package));
    let findings = verify(&converted.cap, &set);
    if let Some(error) = findings.iter().find(|f| f.severity == Severity::Error) {
        return Err(CliError::new(Exit::Internal, Text::new("err-own-output"))
            .detail(error.to_string())
            .next(Text::new("rec-internal")));
    }
    for warning in &converted.warnings {
        crate::app::talk_line(&warning.to_string());
    }
    let jar = converted.cap.to_jar().map_err(|e| CliError::internal(e.to_string()))?;
    write_whole(&arguments.output, &jar)?;
    write_whole(&arguments.output.with_extension("exp"), &converted.exp.write_exp())?;

    for (class, aid) in &converted.applets {
        app.result(&app.messages.say(&Text::new("cap-applet").with("class", class).with("aid", aid)))?;
    }
    let built = Text::new("cap-built")
        .with("path", arguments.output.display())
        .with("bytes", converted.load_size())
        .count("applets", converted.applets.len() as u64);
    app.result(&app.messages.say(&built))?;
    app.json(&json!({
        "cap": arguments.output,
        "load_bytes": converted.load_size(),
        "components": converted.sizes.iter().map(|(tag, size)| (tag.to_string(), size)).collect::<Vec<_>>(),
        "applets": converted.applets.iter().map(|(class, aid)| json!({ "class": class, "aid": aid })).collect::<Vec<_>>(),
        "warnings": converted.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
    }))
}

fn not_converted(app: &App, diagnostics: &[Diagnostic]) -> CliError {
    for diagnostic in diagnostics {
        crate::app::talk_line(&diagnostic.to_string());
    }
    let error = CliError::new(Exit::Usage, Text::new("err-convert").count("count", diagnostics.len() as u64))
        .next(Text::new("rec-convert"));
    if app.global.json {
        error.detail(diagnostics.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    } else {
        error
    }
}

fn info(app: &App, arguments: &CapFileArgs) -> Result<(), CliError> {
    let set = exports(&arguments.export_path, ExportSet::any_platform())?;
    let info = match read(&arguments.cap)? {
        File::Cap(cap) => cap_info(&cap, &set),
        File::Exp(package) => exp_info(&package),
    };
    app.result(info_text(&info).trim_end())?;
    app.json(&info)
}

fn show(app: &App, arguments: &CapFileArgs) -> Result<(), CliError> {
    let set = exports(&arguments.export_path, ExportSet::any_platform())?;
    let text = match read(&arguments.cap)? {
        File::Cap(cap) => dump(&cap, &set),
        File::Exp(package) => dump_exp(&package),
    };
    app.result(text.trim_end())?;
    app.json(&json!({ "dump": text }))
}

fn check(app: &App, arguments: &CapFileArgs) -> Result<(), CliError> {
    let set = exports(&arguments.export_path, ExportSet::any_platform())?;
    let cap = read_cap(&arguments.cap)?;
    let findings = verify(&cap, &set);
    for finding in &findings {
        app.result(&finding.to_string())?;
    }
    let is_error = |f: &&Finding| f.severity == Severity::Error;
    let errors = findings.iter().filter(is_error).count();
    app.json(&json!({ "accepted": errors == 0, "findings": findings }))?;
    if errors > 0 {
        return Err(CliError::new(Exit::Refused, Text::new("err-verify").count("count", errors as u64)));
    }
    let accepted = Text::new("cap-accepted").count("warnings", findings.len() as u64);
    app.result(&app.messages.say(&accepted))
}
