//! Recorded SCP03 sessions, ours and other projects': host and card both come out as recorded.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};

use jpkise_lab::vectors::run_file;

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn both_ends_of_every_recorded_session_come_out_byte_for_byte() {
    let mut files = vec![(here("tests/data/transcripts-own.json"), 11)];
    // Those of other projects are not part of the repository.
    for (name, at_least) in [
        ("transcripts-globalplatformpro", 1),
        ("transcripts-kaoh", 2),
        ("transcripts-pysim", 4),
        ("transcripts-samsung", 3),
        ("transcripts-scll", 3),
        ("negative", 23),
    ] {
        let path = here(&format!("../../../shared/vectors/scp03/{name}.json"));
        if path.exists() {
            files.push((path, at_least));
        } else {
            println!("skipped: {name}.json is not there");
        }
    }
    for (path, at_least) in files {
        let report = run_file(&path).unwrap();
        let done = report.passed.len() + report.other_end.len();
        println!(
            "{}: {} passed, {} the other end's",
            path.file_stem().unwrap().display(),
            report.passed.len(),
            report.other_end.len()
        );
        assert!(report.failed.is_empty() && done >= at_least, "{}: {:?}", path.display(), report.failed);
    }
}
