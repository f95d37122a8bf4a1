//! `docs/card-edge.md`: the applet's protocol page, laid out from its conformance suites, so that what is written is what
//! is tested.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::suite::model::{Action, Case, Command, Expectation, LevelWanted, Step, Suite};

/// The page's prose; each line `{{name}}` is replaced by a table.
const TEMPLATE: &str = include_str!("../suites/card-edge.md");

/// States in the order in which a key comes through them, as columns.
const STATES: [&str; 6] = ["empty", "keyed", "certified", "active", "held", "revoked"];

/// The page. `states` holds cases named key/command/condition/state; every case of the others becomes a line.
pub fn page(states: &Suite, demands: &Suite, channel: &Suite) -> String {
    let mut page = String::new();
    for line in TEMPLATE.lines() {
        match line {
            "{{commands}}" => page.push_str(&commands(states)),
            "{{states}}" => page.push_str(&matrices(states)),
            "{{demands}}" => page.push_str(&lines(demands)),
            "{{channel}}" => page.push_str(&lines(channel)),
            line => {
                page.push_str(line);
                page.push('\n');
            }
        }
    }
    page
}

/// How the suites' commands look: header, data, Le.
fn commands(suite: &Suite) -> String {
    let mut rows = BTreeMap::new();
    let steps = suite.cases.iter().flat_map(|case| &case.steps);
    for command in steps.filter_map(|step| match &step.action {
        Action::Send(command) => Some(command),
        _ => None,
    }) {
        rows.entry(command.name.clone()).or_insert_with(|| exchange(command));
    }
    let mut table = String::from("| name | CLA INS P1 P2 \\| data \\| Le |\n|---|---|\n");
    for (name, bytes) in rows {
        let _ = writeln!(table, "| {name} | `{bytes}` |");
    }
    table
}

/// A command as it is written in these pages.
fn exchange(command: &Command) -> String {
    let header = [&command.cla, &command.ins, &command.p1, &command.p2].map(ToString::to_string).join(" ");
    let data = command.data.to_string();
    let data = if data.is_empty() { data } else { format!(" \\| {data}") };
    let le = command.le.as_ref().map(|le| format!(" \\| {le}")).unwrap_or_default();
    format!("{header}{data}{le}")
}

/// Commands in the order of the file, each with its cells by state.
type Rows<'s> = Vec<(&'s str, BTreeMap<&'s str, String>)>;

/// One table a key and condition: commands down, states across.
fn matrices(suite: &Suite) -> String {
    // In the order of the file: key, condition, then command.
    let mut order: Vec<(&str, &str)> = Vec::new();
    let mut cells: BTreeMap<(&str, &str), Rows<'_>> = BTreeMap::new();
    for case in &suite.cases {
        let parts: Vec<&str> = case.id.split('/').collect();
        let &[key, command, condition, state] = parts.as_slice() else { continue };
        if !order.contains(&(key, condition)) {
            order.push((key, condition));
        }
        let rows = cells.entry((key, condition)).or_default();
        let at = rows.iter().position(|(name, _)| *name == command).unwrap_or_else(|| {
            rows.push((command, BTreeMap::new()));
            rows.len() - 1
        });
        rows[at].1.insert(state, case.steps.last().map(|step| answer(&step.expect)).unwrap_or_default());
    }
    let mut out = String::new();
    let mut last = "";
    for (key, condition) in order {
        if key != last {
            let title = match key {
                "auth" => "User-authentication key",
                "sign" => "Signature key",
                "both" => "One secret, the other key",
                _ => "Card-wide",
            };
            let _ = writeln!(out, "### {title}\n");
            last = key;
        }
        let _ = writeln!(out, "{}:\n", condition_name(condition));
        let heads = STATES.map(str::to_uppercase).join(" | ");
        let _ = writeln!(out, "| command | {heads} |\n|---|{}", "---|".repeat(STATES.len()));
        for (command, row) in cells.get(&(key, condition)).into_iter().flatten() {
            let row: Vec<&str> =
                STATES.iter().map(|state| row.get(state).map_or("", String::as_str)).collect();
            let _ = writeln!(out, "| {command} | {} |", row.join(" | "));
        }
        out.push('\n');
    }
    out
}

fn condition_name(condition: &str) -> String {
    match condition {
        "selected" => "Selected, in clear, by contact".into(),
        "pin" => "After VERIFY of the PIN".into(),
        "password" => "After VERIFY of the password".into(),
        "pin-or-none" => "After VERIFY of the PIN where the state allows it".into(),
        "pin-blocked" => "PIN blocked".into(),
        "password-blocked" => "Password blocked".into(),
        "contactless" => "Selected by contactless".into(),
        "card-profile" => "Token profile of the plastic card".into(),
        "clear-in-channel-33" => "In clear while a channel of level 33 is open".into(),
        other => match other.strip_prefix("channel-") {
            Some(level) => format!("In the secure channel at level {level}"),
            None => other.into(),
        },
    }
}

/// Status word and what else is expected, in a cell.
fn answer(expect: &Expectation) -> String {
    let mut text = expect.sw.to_string();
    if let Some(length) = &expect.length {
        let (from, to) = (*length.0.start(), *length.0.end());
        let _ = match to {
            _ if from == to => write!(text, ", {from} bytes"),
            usize::MAX => write!(text, ", {from} bytes or more"),
            _ => write!(text, ", {from} to {to} bytes"),
        };
    }
    if let Some(data) = &expect.data {
        let _ = write!(text, ", `{data}`");
    }
    for (name, pattern) in &expect.fields {
        let _ = write!(text, ", {name} `{pattern}`");
    }
    text
}

/// A line a case: name, what is sent and what must come, the reason or the section.
fn lines(suite: &Suite) -> String {
    let mut out = String::new();
    let mut last = "";
    for case in &suite.cases {
        let group = case.id.split(['/', '.']).next().unwrap_or_default();
        if group != last {
            let _ = writeln!(out, "{}### {}\n", if last.is_empty() { "" } else { "\n" }, group_name(group));
            let _ =
                writeln!(out, "| demand | given | sent, and what must come | because |\n|---|---|---|---|");
            last = group;
        }
        let _ = writeln!(out, "| {} | {} | {} | {} |", case.name, given(case), sent(case), because(case));
    }
    out
}

fn group_name(group: &str) -> String {
    match group {
        "5" => "Secrets, counters, status words (reference, section 5)".into(),
        "8" => "The phone (reference, section 8)".into(),
        "9" => "What clients demand of an applet (reference, section 9)".into(),
        "own" => "What the applet says of itself".into(),
        "channel" => "The channel".into(),
        "parameters" => "Parameters and lengths, checked before the state".into(),
        "issuance" => "Keys, proofs, certificates".into(),
        "store-data" => "STORE DATA".into(),
        "temporary" => "Temporary secrets".into(),
        "life" => "Hold and release".into(),
        "install" => "Installation parameters".into(),
        other => other.into(),
    }
}

fn given(case: &Case) -> String {
    let conditions: Vec<String> = case.preparations.iter().map(|name| condition_name(name)).collect();
    format!("{}; {}", case.state, conditions.join(", ")).trim_end_matches("; ").to_owned()
}

fn because(case: &Case) -> String {
    let parts = [case.reason.as_str(), case.section.as_str()];
    parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join("; ")
}

fn sent(case: &Case) -> String {
    case.steps.iter().filter_map(step).collect::<Vec<_>>().join("<br>")
}

fn step(step: &Step) -> Option<String> {
    let what = match &step.action {
        Action::Send(command) => format!("`{}`", exchange(command)),
        Action::Raw(bytes) => format!("`{bytes}`"),
        Action::Open(open) => {
            let level = match &open.level {
                LevelWanted::Exactly(level) => level.to_string(),
                LevelWanted::Best => "best".into(),
                LevelWanted::Byte(byte) => format!("{byte:02X}"),
            };
            format!("SCP03 at level {level}")
        }
        Action::Use(name) => format!("({name})"),
        Action::Reset => "reset".into(),
        Action::Interface { contactless } => {
            if *contactless { "by contactless" } else { "by contact" }.into()
        }
        Action::Let(_) if !step.expect.checks.is_empty() => String::new(),
        Action::Let(_) | Action::Forget { .. } => return None,
    };
    let is_command = matches!(step.action, Action::Send(_) | Action::Raw(_) | Action::Open(_));
    let mut text = if is_command { format!("{what} → {}", answer(&step.expect)) } else { what };
    for check in &step.expect.checks {
        let _ = write!(text, "{}`{}`", if text.is_empty() { "" } else { ", " }, check.text());
    }
    Some(text)
}
