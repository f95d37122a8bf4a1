//! `jpkise lab vectors`: known answers, each file given to the part it is about.

use jpkise_lab::vectors::{run_file, FileReport, VectorsError};
use serde_json::{json, Value};

use crate::app::App;
use crate::args::VectorsArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::explain::file_not_read;
use crate::i18n::Text;

/// Runs files; names what fails and closes with the numbers. Exit 5 when anything fails, or nothing was run.
pub fn run(app: &App, arguments: &VectorsArgs) -> Result<(), CliError> {
    // All files are read before any is judged: a mistyped name is no result.
    let reports =
        arguments.files.iter().map(|path| run_file(path).map_err(not_run)).collect::<Result<Vec<_>, _>>()?;
    let (mut passed, mut failed, mut other_end) = (0, 0, 0);
    for (path, report) in arguments.files.iter().zip(&reports) {
        passed += report.passed.len();
        failed += report.failed.len();
        other_end += report.other_end.len();
        for (id, mismatch) in &report.failed {
            app.result(&format!("FAILED {id}: {mismatch} ({})", path.display()))?;
        }
    }
    app.json(&json!({
        "files": arguments.files.iter().zip(&reports).map(|(path, report)| object(&path.display().to_string(), report)).collect::<Vec<_>>(),
        "passed": passed,
        "failed": failed,
        "other_end": other_end,
    }))?;
    if other_end > 0 {
        app.talk(&Text::new("vectors-other-end").count("count", other_end as u64));
    }
    // Numbers in the form that test runners read, in every language.
    app.result(&format!("{} passed, {failed} failed", passed + other_end))?;
    if failed > 0 {
        return Err(CliError::new(Exit::Refused, Text::new("err-vectors").count("count", failed as u64)));
    }
    if passed + other_end == 0 {
        return Err(CliError::new(Exit::Usage, Text::new("err-no-vectors")));
    }
    Ok(())
}

fn object(path: &str, report: &FileReport) -> Value {
    json!({
        "file": path,
        "description": report.description,
        "passed": report.passed,
        "other_end": report.other_end,
        "failed": report.failed.iter().map(|(id, mismatch)| json!({
            "id": id, "item": mismatch.item, "expected": mismatch.expected, "found": mismatch.found,
        })).collect::<Vec<_>>(),
    })
}

fn not_run(error: VectorsError) -> CliError {
    match error {
        VectorsError::Io { path, source } => file_not_read(&path, &source),
        VectorsError::File { path, source } => {
            CliError::new(Exit::Usage, Text::new("err-vector-file").with("path", path.display()))
                .detail(source.to_string())
                .next(Text::new("rec-vector-file"))
        }
        other => CliError::internal(other.to_string()),
    }
}
