//! `jpkise trace`.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use jpkise_card::trace::{render, TraceReader};

use crate::app::App;
use crate::error::CliError;
use crate::explain::{file_not_read, trace_not_read};

/// Shows a recorded trace. Streams: a trace may be longer than memory is large.
pub fn show(app: &App, path: &Path) -> Result<(), CliError> {
    let file = File::open(path).map_err(|e| file_not_read(path, &e))?;
    let mut records = Vec::new();
    for record in TraceReader::new(BufReader::new(file)) {
        let record = record.map_err(|e| trace_not_read(path, &e))?;
        if app.global.json {
            records.push(record);
        } else {
            app.result(&render(&record))?;
        }
    }
    app.json(&serde_json::json!({ "records": records }))
}
