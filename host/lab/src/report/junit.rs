//! JUnit XML, in the form that build servers read (the schema of Apache Ant's `junit` task, with `skipped`).

use std::fmt::Write;

use super::RunReport;
use crate::run::{CaseResult, TargetReport, Verdict};

/// The whole run: a `testsuite` for each suite on each target.
pub fn junit(report: &RunReport) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let tests: usize = report.targets.iter().map(|t| t.cases.len()).sum();
    // Writing to a String does not fail.
    let _ = writeln!(
        out,
        "<testsuites name=\"jpkise lab\" tests=\"{tests}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{:.3}\">",
        report.count("failed"),
        report.count("broken"),
        report.count("skipped"),
        report.seconds
    );
    for target in &report.targets {
        for suite in &report.suites {
            write_suite(&mut out, report, target, &suite.id);
        }
        if let Some(error) = &target.error {
            let name = escape(&target.name);
            let _ = writeln!(out, "  <testsuite name=\"{name}\" tests=\"1\" failures=\"0\" errors=\"1\" skipped=\"0\" time=\"0\">");
            let _ = writeln!(out, "    <testcase classname=\"{name}\" name=\"open\" time=\"0\">");
            let _ = writeln!(
                out,
                "      <error message=\"{}\"/>\n    </testcase>\n  </testsuite>",
                escape(error)
            );
        }
    }
    out.push_str("</testsuites>\n");
    out
}

fn write_suite(out: &mut String, report: &RunReport, target: &TargetReport, suite: &str) {
    let cases: Vec<&CaseResult> = target.cases.iter().filter(|c| c.suite == suite).collect();
    if cases.is_empty() {
        return;
    }
    let count = |id: &str| cases.iter().filter(|c| c.verdict.id() == id).count();
    let seconds: f64 = cases.iter().map(|c| c.ms / 1000.0).sum();
    let _ = writeln!(
        out,
        "  <testsuite name=\"{}\" hostname=\"{}\" timestamp=\"{}\" tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{seconds:.3}\">",
        escape(suite),
        escape(&target.name),
        escape(&report.started),
        cases.len(),
        count("failed"),
        count("broken"),
        count("skipped")
    );
    for case in cases {
        let _ = write!(
            out,
            "    <testcase classname=\"{}.{}\" name=\"{}\" time=\"{:.3}\"",
            escape(&target.name),
            escape(suite),
            escape(&case.id),
            case.ms / 1000.0
        );
        match &case.verdict {
            Verdict::Passed => out.push_str("/>\n"),
            Verdict::Failed { step, line, doing, mismatches } => {
                let first = mismatches.first().map(ToString::to_string).unwrap_or_default();
                let all: Vec<String> = mismatches.iter().map(ToString::to_string).collect();
                let text = format!("{}\nstep {step}, line {line}: {doing}\n{}", case.name, all.join("\n"));
                let _ = writeln!(
                    out,
                    ">\n      <failure message=\"{}\" type=\"mismatch\">{}</failure>\n    </testcase>",
                    escape(&first),
                    escape(&text)
                );
            }
            Verdict::Broken { why } => {
                let _ = writeln!(out, ">\n      <error message=\"{}\"/>\n    </testcase>", escape(why));
            }
            Verdict::Skipped(skip) => {
                let message = format!("{} {}", skip.id(), skip.detail());
                let _ = writeln!(
                    out,
                    ">\n      <skipped message=\"{}\"/>\n    </testcase>",
                    escape(message.trim())
                );
            }
        }
    }
    out.push_str("  </testsuite>\n");
}

/// Text as XML character data or attribute value; characters that XML 1.0 does not know become U+FFFD.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // Line ends in attributes would become spaces.
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            c if c < ' ' || matches!(c, '\u{FFFE}' | '\u{FFFF}' | '\u{7F}'..='\u{9F}') => {
                out.push('\u{FFFD}');
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn what_a_card_says_stays_text() {
        assert_eq!(escape("a<b>&\"\u{1b}[0m\n"), "a&lt;b&gt;&amp;&quot;\u{FFFD}[0m&#10;");
        assert_eq!(escape("日本語"), "日本語");
    }
}
