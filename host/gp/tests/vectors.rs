//! Every known answer at hand: those made for this project, and those of other projects where the folder is there.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use jpkise_gp::vectors::{Vector, VectorFile, Verdict};
use serde_json::Value;

fn own() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/scp03.json")
}

/// Files of other projects, which the repository does not carry.
fn foreign() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/scp03");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        eprintln!("skipped: no vectors of other projects in {}", folder.display());
        return Vec::new();
    };
    let mut files: Vec<PathBuf> =
        entries.map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "json")).collect();
    files.sort();
    assert!(!files.is_empty(), "the folder is there but holds no vectors");
    files
}

fn run(file: &Path) -> (usize, usize) {
    let vectors = VectorFile::parse(&std::fs::read_to_string(file).unwrap()).unwrap().vectors;
    let mut failed = Vec::new();
    let mut others = 0;
    for vector in &vectors {
        match vector.run() {
            Ok(Verdict::Passed) => {}
            Ok(Verdict::OtherEnd) => others += 1,
            Err(mismatch) => failed.push(format!("{}: {mismatch}", vector.id)),
        }
    }
    assert!(failed.is_empty(), "{}:\n{}", file.display(), failed.join("\n"));
    assert!(!vectors.is_empty());
    (vectors.len(), others)
}

#[test]
fn vectors_made_for_this_project_pass() {
    let (count, others) = run(&own());
    assert_eq!((count, others), (14, 0));
}

#[test]
fn vectors_of_other_projects_pass() {
    let mut total = (0, 0);
    for file in foreign() {
        let (count, others) = run(&file);
        total = (total.0 + count, total.1 + others);
    }
    if total.0 > 0 {
        // Of 23 faults, twelve are for the card to find.
        assert_eq!(total, (104, 12));
    }
}

/// Paths of the hexadecimal strings in a vector, except what is description.
fn leaves(value: &Value, path: &str, out: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                leaves(value, &format!("{path}/{name}"), out);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                leaves(value, &format!("{path}/{index}"), out);
            }
        }
        Value::String(text) if text.len() > 1 && hex::decode(text).is_ok() => out.push(path.to_owned()),
        _ => {}
    }
}

/// The checks can fail: one changed digit anywhere in a vector is found.
#[test]
fn a_changed_digit_anywhere_in_a_vector_is_found() {
    let mut files = foreign();
    files.push(own());
    let mut changed = 0;
    for file in files {
        let json: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        for vector in json["vectors"].as_array().unwrap() {
            let mut paths = Vec::new();
            leaves(vector, "", &mut paths);
            for path in paths {
                // Key-DEK takes no part in a session; what a card should answer to a fault is the card's own affair.
                let session = matches!(vector["type"].as_str(), Some("transcript" | "negative"));
                if (session && path == "/keys/dek") || path.starts_with("/expect/") {
                    continue;
                }
                // In a fault, the faulty item is wrong already: another wrong value is as good.
                if vector["type"] == "negative" && is_faulty(vector, &path) {
                    continue;
                }
                let mut copy = vector.clone();
                let leaf = copy.pointer_mut(&path).unwrap();
                // In the middle: at the end of a command stands Le, which secure messaging may widen.
                let text = leaf.as_str().unwrap();
                let (head, tail) = text.split_at(text.len() / 2);
                let digit = if tail.starts_with('1') { '2' } else { '1' };
                *leaf = Value::String(format!("{head}{digit}{}", &tail[1..]));
                let result = serde_json::from_value::<Vector>(copy).map(|v| v.run());
                assert!(!matches!(result, Ok(Ok(_))), "{}: a change at {path} goes unnoticed", vector["id"]);
                changed += 1;
            }
        }
    }
    assert!(changed > 200, "{changed}");
}

fn is_faulty(vector: &Value, path: &str) -> bool {
    // Nothing need be enciphered before the fault; Key-ENC is covered by the transcripts.
    if path == "/keys/enc" {
        return true;
    }
    let last = vector["steps"].as_array().map_or(0, Vec::len).saturating_sub(1);
    match vector["target"].as_str() {
        Some("initialize-update-response") => true,
        Some("external-authenticate") => {
            path.starts_with("/external_authenticate") || path == "/security_level"
        }
        Some("command") => path.starts_with(&format!("/steps/{last}/")),
        Some("response") => path.starts_with(&format!("/steps/{last}/")) && !path.ends_with("command"),
        _ => false,
    }
}
