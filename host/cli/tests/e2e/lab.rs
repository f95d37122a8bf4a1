//! `jpkise lab`: the report as browsers and other programs see it, several readers at once, and everything that goes wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{finish, have, jpkise, ok, run, text, Reader, Sim};

const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))).unwrap()
}

fn str_of(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn artefacts() -> PathBuf {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/lab");
    fs::create_dir_all(&target).unwrap();
    target.canonicalize().unwrap()
}

/// A run that measures something and fails nothing.
fn small_run(out: &Path, language: &str) {
    ok(jpkise(&[
        "lab",
        "run",
        "gp",
        "scp03",
        "perf",
        "--lang",
        language,
        "--seed",
        "7",
        "--out",
        str_of(out),
    ])
    .args([
        "--only",
        "gp/get-data",
        "--only",
        "scp03/level",
        "--only",
        "perf/exchange",
        "--only",
        "perf/scp03",
    ]));
}

#[test]
fn a_run_leaves_files_that_other_programs_read() {
    let out = tempfile::tempdir().unwrap();
    let out = out.path().join("evidence");
    small_run(&out, "en");
    let report = json(&out.join("report.json"));
    assert_eq!((report["schema"].as_u64(), report["seed"].as_u64()), (Some(1), Some(7)));
    let cases = report["targets"][0]["cases"].as_array().unwrap();
    assert!(cases.len() > 15 && cases.iter().all(|c| c["verdict"] == "passed" || c["verdict"] == "skipped"));
    assert!(report["targets"][0]["figures"]["scp03-handshake"]["values"].as_array().unwrap().len() >= 100);
    let trace = fs::read_to_string(out.join("trace.jsonl")).unwrap();
    assert!(trace.lines().count() > 300 && !trace.contains("404142434445464748494A4B4C4D4E4F"));
    if have("sha256sum", "--version") {
        ok(Command::new("sha256sum").args(["--check", "--strict", "manifest.sha256"]).current_dir(&out));
    }
    if have("xmllint", "--version") {
        ok(Command::new("xmllint").args(["--noout", str_of(&out.join("junit.xml"))]));
    }
    let junit = fs::read_to_string(out.join("junit.xml")).unwrap();
    assert!(junit.contains("<testsuite name=\"gp\" hostname=\"sim\""), "{junit}");
    let shown = ok(&mut jpkise(&["trace", "show", str_of(&out.join("trace.jsonl"))]));
    assert!(shown.contains("INITIALIZE UPDATE"));
}

#[test]
fn a_browser_shows_the_report_without_a_complaint_and_every_plot_has_data() {
    let Some(browser) = BROWSERS.into_iter().find(|b| have(b, "--version")) else {
        eprintln!("SKIP report in a browser: none of {} is installed", BROWSERS.join(", "));
        return;
    };
    let out = tempfile::tempdir().unwrap();
    for language in ["en", "ja"] {
        small_run(out.path(), language);
        let page = out.path().join("report.html");
        let source = fs::read_to_string(&page).unwrap();
        assert!(source.contains(&format!("<html lang=\"{language}\">")));
        assert!(!source.contains("<script") && !source.contains("src=\"http") && !source.contains("{{"));
        assert!(!source.contains("lab-report-"), "a text is missing");
        let see = |arguments: &[String]| {
            let profile = tempfile::tempdir().unwrap();
            let mut command = Command::new(browser);
            command
                .args([
                    "--headless",
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-dev-shm-usage",
                    "--enable-logging=stderr",
                ])
                .arg(format!("--user-data-dir={}", profile.path().display()))
                .args(arguments)
                .arg(format!("file://{}", page.canonicalize().unwrap().display()));
            let output = run(&mut command);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{said}");
            assert!(!said.contains("CONSOLE"), "{said}");
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        for (name, size) in [("desk", "1280,2400"), ("phone", "390,2400")] {
            let picture = artefacts().join(format!("report-{language}-{name}.png"));
            see(&[
                format!("--screenshot={}", picture.display()),
                format!("--window-size={size}"),
                "--hide-scrollbars".into(),
            ]);
            assert!(fs::metadata(&picture).unwrap().len() > 10_000, "{}", picture.display());
        }
        let paper = artefacts().join(format!("report-{language}.pdf"));
        see(&[format!("--print-to-pdf={}", paper.display()), "--no-pdf-header-footer".into()]);
        assert!(fs::read(&paper).unwrap().starts_with(b"%PDF"));
        let dom = see(&["--dump-dom".to_owned()]);
        let plots: Vec<&str> =
            dom.split("<figure>").skip(1).map(|f| f.split("</figure>").next().unwrap()).collect();
        assert!(plots.len() >= 4 && plots.len() % 2 == 0, "{} plots", plots.len());
        for plot in plots {
            // The first target's colour: bars of the histogram, or the line of the percentiles.
            assert!(plot.contains("<svg") && plot.matches("#0072B2").count() >= 1, "{plot}");
        }
    }
}

#[test]
fn a_suite_with_mistakes_is_refused_with_all_their_lines() {
    let directory = tempfile::tempdir().unwrap();
    let suite = directory.path().join("mine.toml");
    fs::write(
        &suite,
        "suite = \"mine\"\ntitle = \"Mine\"\nsection = \"x\"\n[[case]]\nid = \"a\"\nname = \"A\"\nsteps = [\n  { select = \"A00\" },\n  { sent = \"x\" },\n]\n",
    )
    .unwrap();
    let out = directory.path().join("out");
    let output = run(&mut jpkise(&["lab", "run", str_of(&suite), "--out", str_of(&out)]));
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    for said in [
        "mine.toml:8:14: two hexadecimal digits make a byte",
        "mine.toml:9:5: unknown key sent; did you mean send?",
    ] {
        assert!(text(&output).contains(said), "{}", text(&output));
    }
    assert!(!out.exists(), "nothing is begun");
    let output = run(&mut jpkise(&["lab", "run", "no-such-suite"]));
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
}

#[test]
fn a_suite_of_one_s_own_runs_and_its_failure_is_told_field_by_field() {
    let directory = tempfile::tempdir().unwrap();
    let suite = directory.path().join("mine.toml");
    fs::write(
        &suite,
        "suite = \"mine\"\ntitle = \"Mine\"\nsection = \"x\"\nlayout-of = { cin = \"head:2, value:*\" }\n[[case]]\nid = \"cin\"\nname = \"CIN\"\nsteps = [\n  { select = \"\" },\n  { cla = \"80\", ins = \"CA\", p1 = \"00\", p2 = \"45\", le = \"00\", layout = \"cin\", fields = { value = \"'NO'\" } },\n]\n",
    )
    .unwrap();
    let out = directory.path().join("out");
    let output = run(&mut jpkise(&["lab", "run", str_of(&suite), "--json", "--out", str_of(&out)]));
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mismatch = &object["bad"][0]["verdict"]["mismatches"][0];
    assert_eq!(
        (mismatch["place"].as_str(), mismatch["expected"].as_str()),
        (Some("field value"), Some("4E4F"))
    );
    assert!(text(&output).contains("step 2 (line 10)"), "{}", text(&output));
}

#[test]
fn ctrl_c_ends_a_run_and_the_report_holds_what_was_done() {
    let out = tempfile::tempdir().unwrap();
    let child = jpkise(&["lab", "run", "gp", "soak", "--seconds", "60", "--out", str_of(out.path())])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while fs::read_to_string(out.path().join("trace.jsonl")).map_or(0, |t| t.matches("DF32").count()) < 2 {
        assert!(started.elapsed() < Duration::from_secs(60), "the soak test does not begin");
        sleep(Duration::from_millis(50));
    }
    let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    let output = finish(child, "jpkise lab run");
    assert_eq!(output.status.code(), Some(6), "{}", text(&output));
    let report = json(&out.path().join("report.json"));
    assert_eq!(report["stopped"], true);
    assert!(report["targets"][0]["cases"].as_array().unwrap().len() > 50);
    if have("sha256sum", "--version") {
        ok(Command::new("sha256sum").args(["--check", "manifest.sha256"]).current_dir(out.path()));
    }
}

#[test]
fn a_full_disk_is_said_and_what_was_written_before_stays_whole() {
    let mounts = Command::new("unshare").args(["--mount", "true"]).stderr(Stdio::null()).status();
    if !mounts.is_ok_and(|status| status.success()) {
        eprintln!("SKIP a full disk: no file system of limited size can be mounted here");
        return;
    }
    let out = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=96k tmpfs \"$2\" && \"$1\" lab run gp scp03 --out \"$2\"; echo \"EXIT $?\"; ls \"$2\"; cat \"$2\"/report.json";
    let output = run(Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh", env!("CARGO_BIN_EXE_jpkise"), str_of(out.path())])
        .env("JPKISE_LANG", "en"));
    let said = text(&output);
    assert!(said.contains("EXIT 1"), "{said}");
    assert!(said.contains("the disk is full") || said.to_lowercase().contains("no space"), "{said}");
    // Whole or not at all: no half file under the real name.
    assert!(!said.contains(".part"), "{said}");
}

#[test]
fn fuzzing_with_the_same_seed_sends_the_same_commands() {
    let commands = |seed: &str| {
        let out = tempfile::tempdir().unwrap();
        ok(&mut jpkise(&["lab", "fuzz", "--seconds", "3", "--seed", seed, "--out", str_of(out.path())]));
        let trace = fs::read_to_string(out.path().join("trace.jsonl")).unwrap();
        let records = trace.lines().map(|l| serde_json::from_str::<Value>(l).unwrap());
        // In clear: what is secured carries other MACs in each session.
        records
            .filter(|r| {
                r.get("plain").is_none()
                    && r["header"].as_str().is_some_and(|h| !h.starts_with("84") && !h.starts_with("8050"))
            })
            .filter_map(|r| Some(format!("{}", r.get("command")?)))
            .skip(200)
            .take(400)
            .collect::<Vec<_>>()
    };
    let (one, again, other) = (commands("11"), commands("11"), commands("12"));
    let length = one.len().min(again.len());
    assert!(length > 100, "{length} commands");
    assert_eq!(one[..length], again[..length]);
    assert_ne!(one[..length.min(other.len())], other[..length.min(other.len())]);
}

/// Cards in all four virtual readers.
fn four(reader: &Reader) -> Option<Vec<Sim>> {
    let Ok(second) = std::env::var("JPKISE_TEST_VPCD_2") else {
        eprintln!("SKIP four readers: JPKISE_TEST_VPCD_2 does not name the second pair");
        return None;
    };
    let next = |address: &str| {
        let (host, port) = address.rsplit_once(':').unwrap();
        format!("{host}:{}", port.parse::<u16>().unwrap() + 1)
    };
    let addresses = [reader.address().to_owned(), next(reader.address()), second.clone(), next(&second)];
    let sims = addresses.iter().map(|address| Sim::spawn(address, &[])).collect();
    let started = Instant::now();
    loop {
        let listed = text(&run(&mut jpkise(&["readers", "--json"])));
        if listed.matches("\"atr\": \"").count() == 4 {
            return Some(sims);
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{listed}");
        sleep(Duration::from_millis(100));
    }
}

const READERS: [&str; 4] = ["Virtual PCD 00 00", "Virtual PCD 00 01", "Second PCD 00 00", "Second PCD 00 01"];

#[test]
fn four_readers_at_once_give_one_report_with_a_column_each() {
    let Some(reader) = Reader::take() else { return };
    let Some(sims) = four(&reader) else { return };
    let out = tempfile::tempdir().unwrap();
    let listed = text(&run(&mut jpkise(&["readers", "--json"])));
    let names: Vec<&str> = READERS.into_iter().filter(|name| listed.contains(*name)).collect();
    assert_eq!(names.len(), 4, "{listed}");
    let mut command = jpkise(&["lab", "run", "gp", "pcsc", "--lab", "--out", str_of(out.path())]);
    for name in &names {
        command.args(["--reader", name]);
    }
    let printed = ok(&mut command);
    let report = json(&out.path().join("report.json"));
    let targets = report["targets"].as_array().unwrap();
    assert_eq!(targets.len(), 4);
    for target in targets {
        let cases = target["cases"].as_array().unwrap();
        let count = |verdict: &str| cases.iter().filter(|c| c["verdict"] == verdict).count();
        assert!(count("passed") > 30, "{printed}");
        // A card that was not named is not changed.
        assert!(cases.iter().any(|c| c["skip"] == "changes"));
        assert!(target["apdus"].as_u64().unwrap() > 50);
    }
    assert!(out.path().join("trace-4.jsonl").exists());
    assert!(printed.contains("--destructive 4A504B49-4A504B4953450001"), "{printed}");
    for sim in sims {
        sim.interrupt();
    }
    Reader::wait_until_empty();
}

#[test]
fn a_named_card_may_be_changed_and_a_pulled_one_ends_in_a_whole_report() {
    let Some(reader) = Reader::take() else { return };
    let sim = Sim::start(&reader, &[]);
    let out = tempfile::tempdir().unwrap();
    let other =
        run(jpkise(&["lab", "run", "gp", "--lab", "--reader", READERS[0], "--out", str_of(out.path())])
            .args(["--destructive", "SOMEBODY-ELSE"]));
    assert_eq!(other.status.code(), Some(3), "{}", text(&other));
    assert!(text(&other).contains("4A504B49-4A504B4953450001"), "{}", text(&other));

    let arguments =
        ["--destructive", "4A504B49-4A504B4953450001", "--only", "gp/install", "--only", "gp/extradite"];
    ok(jpkise(&["lab", "run", "gp", "--lab", "--reader", READERS[0], "--out", str_of(out.path())])
        .args(arguments));
    let report = json(&out.path().join("report.json"));
    let cases = report["targets"][0]["cases"].as_array().unwrap();
    assert!(cases.len() > 8 && cases.iter().all(|c| c["verdict"] == "passed"), "{cases:#?}");

    // A folder of its own: the trace of the run before would pass for the beginning of this one.
    let out = tempfile::tempdir().unwrap();
    let child = jpkise(&["lab", "run", "soak", "gp", "--seconds", "60", "--lab", "--reader", READERS[0]])
        .args(["--destructive", "4A504B49-4A504B4953450001", "--out", str_of(out.path())])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while fs::read_to_string(out.path().join("trace.jsonl")).map_or(0, |t| t.matches("DF32").count()) < 2 {
        assert!(started.elapsed() < Duration::from_secs(60), "the soak test does not begin");
        sleep(Duration::from_millis(50));
    }
    drop(sim);
    let output = finish(child, "jpkise lab run");
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
    let report = json(&out.path().join("report.json"));
    let cases = report["targets"][0]["cases"].as_array().unwrap();
    assert!(cases[0]["verdict"] == "failed" || cases[0]["verdict"] == "broken", "{}", cases[0]);
    assert!(cases.iter().skip(1).all(|c| c["skip"] == "card-gone"), "{cases:#?}");
    assert!(report["targets"][0]["events"].to_string().contains("card lost"));
    Reader::wait_until_empty();
}

#[test]
fn ctrl_c_ends_the_wait_for_a_card_that_went_away() {
    let Some(reader) = Reader::take() else { return };
    let sim = Sim::start(&reader, &["--leave-after", "300"]);
    let out = tempfile::tempdir().unwrap();
    let child = jpkise(&["lab", "run", "soak", "gp", "--seconds", "600", "--lab", "--reader", READERS[0]])
        .args(["--destructive", "4A504B49-4A504B4953450001", "--out", str_of(out.path())])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(sim.finish().success());
    let started = Instant::now();
    let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    let output = finish(child, "jpkise lab run");
    // Twenty seconds is what the lab gives a card to come back.
    assert!(started.elapsed() < Duration::from_secs(18), "{:?}", started.elapsed());
    // The case in which it went away has failed; that counts for more than the end before time.
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
    assert_eq!(json(&out.path().join("report.json"))["stopped"], true);
    Reader::wait_until_empty();
}

#[test]
fn a_card_taken_out_and_put_back_when_asked_to_passes_the_unplug_case() {
    use std::io::{BufRead, BufReader, Read};
    let Some(reader) = Reader::take() else { return };
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("card");
    let in_reader = || Sim::start(&reader, &["--state", str_of(&state)]);
    let mut sim = Some(in_reader());
    let run_it = ["lab", "run", "pcsc", "--only", "pcsc/unplug", "--reader", READERS[0], "--lab"];
    let unasked = ok(jpkise(&run_it).args(["--out", str_of(folder.path()), "--json"]));
    assert!(unasked.contains("\"skipped\": 1"), "nobody is at the reader: {unasked}");

    let mut child = jpkise(&run_it)
        .args(["--attended", "--out", str_of(folder.path())])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut screen = BufReader::new(child.stderr.take().unwrap());
    let mut until = |asked: &str| {
        let mut line = String::new();
        while screen.read_line(&mut line).unwrap() > 0 {
            if line.contains(asked) {
                return;
            }
        }
        panic!("no {asked:?} in {line}");
    };
    until("take the card out");
    assert!(sim.take().unwrap().interrupt().success());
    until("put the card back");
    let _sim = in_reader();
    let mut rest = String::new();
    screen.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success(), "{rest}");
    let report = json(&folder.path().join("report.json"));
    assert_eq!(report["targets"][0]["cases"][0]["verdict"], "passed");
    let events = report["targets"][0]["events"].to_string();
    assert!(events.contains("card removed") && events.contains("card inserted"), "{events}");
}
