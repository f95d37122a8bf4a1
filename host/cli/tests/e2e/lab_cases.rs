//! `jpkise lab` with suites of one's own: time limits on a card in a reader.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{jpkise, run, text, Reader, Sim};

fn report(out: &Path) -> Value {
    serde_json::from_slice(&fs::read(out.join("report.json")).unwrap()).unwrap()
}

/// After one wrong cryptogram every INITIALIZE UPDATE takes this card 4 seconds.
const SLOW_CARD: &str =
    "format = 1\n[authentication]\ntries = 1\nthen = \"delay\"\ndelay_ms = 4000\n[card]\nchannels = 1\n";

const IMPATIENT: &str = r#"
suite = "mine"
title = "Mine"
section = "S"
[[case]]
id = "slow"
name = "Slow"
timeout-ms = 2000
steps = [
  { select = "" },
  { open = "01", fault = "cryptogram", sw = "6300" },
  { open = "01" },
  { reset = true },
]
"#;

#[test]
fn a_case_ends_within_its_time_on_a_reader() {
    let Some(reader) = Reader::take() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let (card, suite) = (file("slow.toml", SLOW_CARD), file("mine.toml", IMPATIENT));
    let sim = Sim::start(&reader, &["--profile", &card]);
    let out = folder.path().join("out");
    let output = run(&mut jpkise(&["lab", "run", &suite, "--lab", "--reader", "Virtual PCD 00 00"])
        .args(["--out".as_ref(), out.as_os_str()]));
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
    let report = report(&out);
    let cases = report["targets"][0]["cases"].as_array().unwrap();
    assert_eq!(
        (cases[0]["verdict"].as_str(), cases[0]["step"].as_u64(), cases[0]["line"].as_u64()),
        (Some("failed"), Some(3), Some(12)),
        "{cases:#?}"
    );
    let mismatch = &cases[0]["mismatches"][0];
    assert_eq!(
        (mismatch["place"].as_str(), mismatch["expected"].as_str()),
        (Some("time of the case"), Some("at most 2000 ms")),
        "{mismatch}"
    );
    assert!(sim.interrupt().success());
    Reader::wait_until_empty();
}
