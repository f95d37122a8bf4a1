//! `jpkise lab compare` and `jpkise lab replay` on cards in this process.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{jpkise, ok, run, text};

fn str_of(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Cases about PIN, password and levels, on a card with these faults; the run's own exit status is not of interest.
fn lab_run(out: &Path, seed: &str, faults: &str) {
    let profile = out.with_extension("toml");
    fs::write(&profile, format!("format = 1\n[faults]\n{faults}\n")).unwrap();
    let output =
        run(jpkise(&["lab", "run", "scp03", "jpki-secrets", "perf", "--seed", seed, "--out", str_of(out)])
            .args(["--profile", str_of(&profile)])
            .args(["--only", "jpki-secrets/p", "--only", "scp03/level", "--only", "perf/exchange"]));
    assert!(out.join("report.json").exists(), "{}", text(&output));
}

fn object(arguments: &[&str]) -> (Option<i32>, Value, String) {
    let output = run(jpkise(arguments).arg("--json"));
    let object = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&output)));
    (output.status.code(), object, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_fault_of_the_card_is_named_by_its_case_and_the_exchange_that_tells() {
    let directory = tempfile::tempdir().unwrap();
    let (a, b) = (directory.path().join("a"), directory.path().join("b"));
    lab_run(&a, "1", "");
    lab_run(&b, "2", "pin_uncounted = true");
    let page = directory.path().join("page");
    let (code, object, said) = object(&["lab", "compare", str_of(&a), str_of(&b), "--out", str_of(&page)]);
    assert_eq!(code, Some(5), "{said}");
    let cases = object["cases"].as_array().unwrap();
    let names: Vec<&str> = cases.iter().map(|c| c["case"].as_str().unwrap()).collect();
    assert_eq!(names, ["jpki-secrets/pin-counts-after-success"]);
    let column = &cases[0]["columns"][1];
    assert_eq!(
        (column["verdict"]["verdict"].as_str(), column["change"].as_str()),
        (Some("failed"), Some("worse"))
    );
    let first = &column["exchange"]["first"];
    assert_eq!((first["name"].as_str(), first["header"].as_str()), (Some("VERIFY"), Some("00200098")));
    assert_eq!(first["fields"].as_array().unwrap().len(), 1);
    assert_eq!(
        (
            first["fields"][0]["field"].as_str(),
            first["fields"][0]["a"].as_str(),
            first["fields"][0]["b"].as_str()
        ),
        (Some("status word"), Some("63C2"), Some("63C3"))
    );
    assert!(object["same"].as_u64().unwrap() > 15);
    let figures = object["figures"].as_array().unwrap();
    assert!(figures.iter().any(|f| f["columns"][1]["p_together"].is_number()), "{figures:?}");
    assert!(
        object["identity"].as_array().unwrap().is_empty()
            && object["environment"].as_array().unwrap().is_empty()
    );
    let html = fs::read_to_string(page.join("compare.html")).unwrap();
    assert!(
        html.contains("pin-counts-after-success") && html.contains("<svg") && !html.contains("lab-compare-")
    );
    let kept: Value = serde_json::from_slice(&fs::read(page.join("compare.json")).unwrap()).unwrap();
    assert_eq!(kept["cases"], object["cases"]);

    // For people, in both languages.
    let english = text(&run(&mut jpkise(&["lab", "compare", str_of(&a), str_of(&b)])));
    assert!(english.contains("status word: 63C2 wrong secret; tries left: 2 in A, 63C3"), "{english}");
    let japanese = text(&run(&mut jpkise(&["lab", "compare", str_of(&a), str_of(&b), "--lang", "ja"])));
    assert!(japanese.contains("悪化") && japanese.contains("1 件のケースの結果が異なります"), "{japanese}");
    assert!(!japanese.contains("lab-compare-") && !japanese.contains("lab-change-"), "{japanese}");

    // The other way round the case is better: different by default, not worse.
    let reversed = ["lab", "compare", str_of(&b), str_of(&a)];
    assert_eq!(run(&mut jpkise(&reversed)).status.code(), Some(5));
    ok(jpkise(&reversed).arg("--worse-only"));
    let same = ok(&mut jpkise(&["lab", "compare", str_of(&a), str_of(&a.join("report.json"))]));
    assert!(same.contains("cases came out alike"), "{same}");
}

#[test]
fn evidence_that_was_changed_or_is_of_another_schema_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (a, b) = (directory.path().join("a"), directory.path().join("b"));
    lab_run(&a, "1", "");
    lab_run(&b, "1", "");
    let both = ["lab", "compare", str_of(&a), str_of(&b)];
    ok(&mut jpkise(&both));
    let trace = b.join("trace.jsonl");
    fs::write(&trace, fs::read_to_string(&trace).unwrap().replacen("9000", "9001", 1)).unwrap();
    let output = run(&mut jpkise(&both));
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
    assert!(
        text(&output).contains("trace.jsonl") && text(&output).contains("--despite-changes"),
        "{}",
        text(&output)
    );
    let went_on = ok(jpkise(&both).arg("--despite-changes"));
    assert!(went_on.contains("trace.jsonl"), "{went_on}");

    let report = b.join("report.json");
    let later = fs::read_to_string(&report).unwrap().replacen("\"schema\": 1", "\"schema\": 2", 1);
    fs::write(&report, later).unwrap();
    let output = run(jpkise(&both).args(["--despite-changes", "--lang", "ja"]));
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("スキーマ 2"), "{}", text(&output));

    let nowhere = run(&mut jpkise(&["lab", "compare", str_of(&a), "no-such-folder"]));
    assert_eq!(nowhere.status.code(), Some(2), "{}", text(&nowhere));
    let alone = run(&mut jpkise(&["lab", "compare", str_of(&a)]));
    assert_eq!(alone.status.code(), Some(2), "{}", text(&alone));
    let target = run(jpkise(&["lab", "compare", str_of(&a)]).arg(format!("{}#other", a.display())));
    assert_eq!(target.status.code(), Some(2), "{}", text(&target));
    assert!(text(&target).contains("#NUMBER: 1 sim"), "{}", text(&target));
}

/// A trace of a command on a simulated card that is kept in a file.
fn traced(arguments: &[&str], state: &Path, trace: &Path) {
    let mut command = jpkise(arguments);
    command.env("JPKISE_PIN", "1234").env("JPKISE_PASSWORD", "ABC123");
    ok(command.args(["--sim", "--state", str_of(state), "--trace", str_of(trace)]));
}

#[test]
fn a_trace_replays_on_the_card_it_was_made_on_and_tells_what_another_answers() {
    let directory = tempfile::tempdir().unwrap();
    let (card, other) = (directory.path().join("card"), directory.path().join("other"));
    let trace = directory.path().join("trace.jsonl");
    let (input, signature) = (directory.path().join("in"), directory.path().join("sig"));
    fs::write(&input, "text").unwrap();
    traced(&["gp", "list", "--personalized"], &other, &trace);
    traced(&["gp", "list", "--personalized"], &card, &trace);
    let (code, object, said) = object(&["lab", "replay", str_of(&trace), "--sim", "--state", str_of(&card)]);
    assert_eq!(code, Some(0), "{said}");
    let found = &object["traces"][0];
    assert!(found["exchanges"].as_u64().unwrap() > 3 && found["exchanges"] == found["same"], "{found}");
    assert!(found["ignored"]["cryptogram"].as_u64().unwrap() > 0, "{found}");

    let sign = ["jpki", "sign", str_of(&input), "--form", "raw", "-o", str_of(&signature)];
    traced(&sign, &card, &trace);
    let text_of_trace = fs::read_to_string(&trace).unwrap();
    assert!(
        text_of_trace.contains("\"secret\"") && !text_of_trace.contains("414243313233"),
        "{text_of_trace}"
    );
    let pins = directory.path().join("pins");
    fs::write(&pins, "\nABC123\n").unwrap();
    let replay = ["lab", "replay", str_of(&trace), "--sim", "--pin-file", str_of(&pins), "--state"];
    ok(jpkise(&replay).arg(&card));
    // Another card has other keys: that is a difference, unless it is said beforehand.
    let output = run(jpkise(&replay).arg(&other));
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
    assert!(text(&output).contains("COMPUTE DIGITAL SIGNATURE (802A"), "{}", text(&output));
    ok(jpkise(&replay).arg(&other).arg("--other-keys"));
    // Without the password VERIFY is left out, and what follows is not taken for the card's fault.
    fs::write(&pins, "1234\n").unwrap();
    let output = run(jpkise(&replay).arg(&card).args(["--lang", "ja"]));
    assert_eq!(output.status.code(), Some(6), "{}", text(&output));
    assert!(
        text(&output).contains("秘密が指定されていない") && !text(&output).contains("lab-replay-"),
        "{}",
        text(&output)
    );
    // The plan alone sends nothing.
    let plan = ok(jpkise(&replay).arg(&card).arg("--dry-run"));
    assert!(plan.contains("VERIFY: with the value given"), "{plan}");
}

#[test]
fn the_whole_chain_replays_on_an_empty_card() {
    let directory = tempfile::tempdir().unwrap();
    let demo = directory.path().join("demo");
    ok(&mut jpkise(&["demo", "--out", str_of(&demo)]));
    let trace = demo.join("trace.jsonl");
    let (code, object, said) = object(&["lab", "replay", str_of(&trace), "--sim"]);
    assert_eq!(code, Some(0), "{said}");
    let found = &object["traces"][0];
    assert!(found["exchanges"].as_u64().unwrap() > 100 && found["exchanges"] == found["same"], "{found}");
    // Keys are made on the card, so the recorded certificates carry its own.
    assert!(
        found["remade"].as_u64().unwrap() > 10 && found["ignored"]["new-key"].as_u64().unwrap() > 0,
        "{found}"
    );
    let again = directory.path().join("again.jsonl");
    let wrong = directory.path().join("wrong.toml");
    fs::write(&wrong, "format = 1\n[faults]\nany_pin_accepted = true\n").unwrap();
    let replay =
        ["lab", "replay", str_of(&trace), "--sim", "--profile", str_of(&wrong), "--trace", str_of(&again)];
    let output = run(&mut jpkise(&replay));
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
    assert!(text(&output).contains("VERIFY"), "{}", text(&output));
    let kept = fs::read_to_string(&again).unwrap();
    assert!(
        kept.contains("{\"secret\":\"pin\"}") && !kept.contains("0020009804"),
        "secrets stay out of the new trace"
    );
}

#[test]
fn what_is_no_trace_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("trace.jsonl");
    for content in
        ["", "{}", "00A4040000\n", "{\"format\":\"jpkise trace 9\",\"reader\":\"\",\"atr\":\"\"}\n"]
    {
        fs::write(&file, content).unwrap();
        let output = run(&mut jpkise(&["lab", "replay", str_of(&file), "--sim"]));
        assert_eq!(output.status.code(), Some(2), "{content:?}: {}", text(&output));
    }
}
