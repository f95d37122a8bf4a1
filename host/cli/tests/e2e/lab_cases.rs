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
[[case]]
id = "next-{n}"
name = "Next"
for = [{ n = "1" }, { n = "2" }, { n = "3" }, { n = "4" }]
steps = [
  { select = "" },
  { cla = "80", ins = "CA", p1 = "00", p2 = "66", le = "00" },
  { select = "" },
]
"#;

#[test]
fn a_case_ends_within_its_time_on_a_reader_and_the_next_ones_run() {
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
    let output = run(jpkise(&["lab", "run", &suite, "--lab", "--reader", "Virtual PCD 00 00"])
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
    for case in &cases[1..] {
        assert_eq!(case["verdict"], "passed", "{cases:#?}");
    }
    assert!(sim.interrupt().success());
    Reader::wait_until_empty();
}

/// What `lab run` says and its exit status; nothing may be left in the folder when it does not begin.
fn lab(arguments: &[&str]) -> (Option<i32>, String, bool) {
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().join("out");
    let output =
        run(jpkise(&["lab", "run", "--sim", "--out", folder.to_str().unwrap(), "--lang", "en"])
            .args(arguments));
    (output.status.code(), text(&output), folder.exists())
}

#[test]
fn a_choice_of_cases_that_chooses_none_is_refused() {
    let (code, said, begun) = lab(&["gp", "scp03", "--only", "gp/get-data", "--only", "gp/slect"]);
    assert_eq!((code, begun), (Some(2), false), "{said}");
    assert!(said.contains("no case begins with gp/slect"), "{said}");
    assert!(said.contains("gp/select/isd"), "{said}");
    let (code, said, _) = lab(&["gp", "--only", "scp03/"]);
    assert_eq!(code, Some(2), "{said}");
}

#[test]
fn suites_without_a_chosen_case_are_not_in_the_report_and_one_named_twice_runs_once() {
    let (code, said, _) = lab(&["jpki", "jpki-edge", "jpki-edge", "--only", "jpki-edge/9.8/nothing"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("jpki-states"), "{said}");
    let total: Vec<&str> = said.lines().filter(|line| line.starts_with("total")).collect();
    assert_eq!(total.len(), 1, "{said}");
    assert_eq!(total[0].split_whitespace().collect::<Vec<_>>(), ["total", "1", "0", "0", "0"]);
}

#[test]
fn two_suites_of_one_name_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("own.toml");
    let own = "suite = \"gp\"\ntitle = \"T\"\nsection = \"S\"\n[[case]]\nid = \"a\"\nname = \"A\"\nsteps = [{ reset = true }]\n";
    fs::write(&path, own).unwrap();
    let path = path.to_str().unwrap();
    let (code, said, _) = lab(&["gp", path]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("own.toml") && said.contains("gp"), "{said}");
    let (code, said, _) = lab(&[path, path]);
    assert_eq!(code, Some(0), "the same file twice: {said}");
}

fn profile(name: &str) -> String {
    format!("{}/../gpse/profiles/{name}.toml", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn several_simulated_cards_stand_side_by_side_each_with_its_profile_s_keys() {
    let out = tempfile::tempdir().unwrap();
    let (default, strict) = (profile("default"), profile("strict"));
    let output = run(&mut jpkise(&[
        "lab",
        "run",
        "gp",
        "scp03",
        "--sim",
        "--profile",
        &default,
        "--sim",
        "--profile",
        &strict,
        "--sim",
        "--only",
        "gp/get-data/42",
        "--only",
        "scp03/level-33",
        "--only",
        "scp03/level-03",
        "--out",
        out.path().to_str().unwrap(),
    ]));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let report = report(out.path());
    let targets = report["targets"].as_array().unwrap();
    let names: Vec<&str> = targets.iter().map(|t| t["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["default", "strict", "sim"]);
    let verdict = |target: usize, case: &str| {
        let cases = targets[target]["cases"].as_array().unwrap();
        cases.iter().find(|c| c["id"] == case).unwrap()["verdict"].as_str().unwrap().to_owned()
    };
    assert_eq!(verdict(0, "level-33"), "passed");
    assert_eq!(verdict(1, "level-03"), "passed", "the strict card opens with the keys of its profile");
    assert_eq!(verdict(1, "level-33"), "skipped", "it offers no R-ENCRYPTION");
    assert!(out.path().join("trace-3.jsonl").exists());
    let page = fs::read_to_string(out.path().join("report.html")).unwrap();
    assert!(page.contains("id=\"differences\""), "where they differ is told at the beginning");
}

#[test]
fn what_the_lab_does_not_heed_is_refused() {
    for flag in [["--state", "card"], ["--runtime", "jcardsim"], ["--token", "card"]] {
        let (code, said, begun) = lab(&[&["gp"][..], &flag].concat());
        assert_eq!((code, begun), (Some(2), false), "{flag:?}: {said}");
    }
}

const WRONG: &str = r#"
suite = "mine"
title = "Mine"
section = "S"
layout-of = { cin = "head:2, value:*" }
[[case]]
id = "cin"
name = "CIN"
steps = [
  { select = "" },
  { cla = "80", ins = "CA", p1 = "00", p2 = "45", le = "00", layout = "cin", fields = { value = "'NO'" } },
]
[[case]]
id = "none"
name = "None"
steps = [{ select = "F0 00*6", sw = "6985" }]
"#;

#[test]
fn differences_are_told_in_the_reader_s_language_and_in_english_to_programs() {
    let folder = tempfile::tempdir().unwrap();
    let suite = folder.path().join("mine.toml");
    fs::write(&suite, WRONG).unwrap();
    for (language, said) in [
        (
            "ja",
            [
                "手順 2（11 行目）80 CA：フィールド value：期待値 4E4F、実際 4A50",
                "手順 1（16 行目）SELECT：ステータスワード：期待値 6985、実際 6A82",
            ],
        ),
        ("en", ["step 2 (line 11), 80 CA: field value: 4A50", "step 1 (line 16), SELECT: status word: 6A82"]),
    ] {
        let out = folder.path().join(language);
        let output = run(jpkise(&["lab", "run", "--sim", "--lang", language]).args([
            suite.as_os_str(),
            "--out".as_ref(),
            out.as_os_str(),
        ]));
        for said in said {
            assert!(text(&output).contains(said), "{}\n   does not say\n{said}", text(&output));
        }
        let page = fs::read_to_string(out.join("report.html")).unwrap();
        let place = if language == "ja" { "フィールド value" } else { "field value" };
        assert!(page.contains(place) && !page.contains("lab-term-"), "{language}");
        let mismatch = &report(&out)["targets"][0]["cases"][0]["mismatches"][0];
        assert_eq!(mismatch["place"], "field value");
    }
}

#[test]
fn a_suite_without_an_end_is_refused() {
    if !Path::new("/dev/zero").exists() {
        eprintln!("SKIP a suite without an end: there is no /dev/zero here");
        return;
    }
    let (code, said, _) = lab(&["/dev/zero"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("longer than 4 MiB"), "{said}");
}

#[test]
fn facts_and_figures_have_words_in_a_japanese_report() {
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().to_str().unwrap();
    let run = run(&mut jpkise(&["lab", "run", "perf", "pcsc", "--sim", "--lang", "ja", "--out", folder]));
    assert!(run.status.success(), "{}", text(&run));
    let page = fs::read_to_string(out.path().join("report.html")).unwrap();
    let report = report(out.path());
    let target = &report["targets"][0];
    let names = |facts: &Value| {
        let facts = facts.as_array().unwrap().iter();
        facts.map(|fact| fact[0].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // Abbreviations are the same in every language, but for their letters.
    for name in names(&target["identity"]).into_iter().chain(names(&report["environment"])) {
        assert!(!page.contains(&format!("<dt>{name}</dt>")), "{name} has no words");
    }
    for name in target["figures"].as_object().unwrap().keys() {
        assert!(!page.contains(&format!("<h3>{name}</h3>")), "{name} has no words");
    }
    assert!(page.contains("<h3>鍵生成</h3>"));
}

#[test]
fn a_dry_run_names_the_cases_and_opens_nothing() {
    let (code, said, begun) = lab(&["gp", "--dry-run", "--only", "gp/set-status", "--only", "gp/select/isd"]);
    assert_eq!((code, begun), (Some(0), false), "{said}");
    for line in [
        "SELECT without data selects the issuer security domain and names it",
        "gp/set-status/forward",
        "for good",
        "Dry run: no card was opened",
    ] {
        assert!(said.contains(line), "{said}\n   does not say\n{line}");
    }
    // A reader is not even looked for.
    let output =
        run(&mut jpkise(&["lab", "run", "jpki-secrets", "--reader", "no such", "--dry-run", "--json"]));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    let cases = object["cases"].as_array().unwrap();
    assert_eq!((cases.len(), object["dry_run"].as_bool()), (4, Some(true)), "{object}");
    assert_eq!(cases[0]["changes"], "content");
}

#[test]
fn exchanges_are_shown_on_request_and_a_second_trace_is_refused() {
    let (code, said, _) = lab(&["gp", "--only", "gp/select/isd", "--verbose"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("#1 ") && said.contains("SELECT"), "{said}");
    let (code, said, begun) = lab(&["gp", "--only", "gp/select/isd", "--trace", "trace.jsonl"]);
    assert_eq!((code, begun), (Some(2), false), "{said}");
    assert!(said.contains("--out"), "{said}");
}
