//! A second evaluator of access rules, written from the text of the reference alone and kept apart from the engine:
//! it has its own rules, its own merging and its own way of searching, scope by scope instead of search by search.

use std::collections::BTreeMap;

/// A rule in words. `aid`: hexadecimal, `all` or `default`; `app`: hexadecimal or empty.
#[derive(Debug, Clone)]
pub struct SlowRule {
    pub aid: String,
    pub app: String,
    /// `never`, `always`, filters as `header/mask` joined by spaces, or empty.
    pub apdu: String,
    /// `never`, `always` or empty.
    pub nfc: String,
}

/// `(apdu, nfc, via)` in the words of the vectors; filters sorted.
pub type Outcome = (String, String, String);

pub fn evaluate(rules: &[SlowRule], aid: &str, hashes: &[String]) -> Outcome {
    for (scope, by_name, by_anybody) in [(aid, "A", "B"), ("all", "C", "D")] {
        // Everybody who has a word of his own in this scope.
        let mut words: BTreeMap<&str, Vec<&SlowRule>> = BTreeMap::new();
        for rule in rules.iter().filter(|rule| rule.aid == scope) {
            words.entry(rule.app.as_str()).or_default().push(rule);
        }
        for hash in hashes {
            if let Some(own) = words.get(hash.as_str()) {
                return together(own, by_name);
            }
        }
        let somebody_else = words.keys().any(|app| !app.is_empty());
        if somebody_else {
            return ("never".into(), "never".into(), format!("{by_name}-conflict"));
        }
        if let Some(anybody) = words.get("") {
            return together(anybody, by_anybody);
        }
    }
    ("never".into(), "never".into(), "none".into())
}

fn together(rules: &[&SlowRule], via: &str) -> Outcome {
    let mut strictest = (0, String::new());
    let mut filters: Vec<&str> = Vec::new();
    for rule in rules {
        let strictness = match rule.apdu.as_str() {
            "" => 0,
            "always" => 1,
            "never" => 3,
            _ => 2,
        };
        if strictness == 2 {
            filters.extend(rule.apdu.split(' '));
        }
        if strictness > strictest.0 {
            strictest = (strictness, rule.apdu.clone());
        }
    }
    filters.sort_unstable();
    let apdu = match strictest.0 {
        0 => "never".to_owned(),
        2 => filters.join(" "),
        _ => strictest.1,
    };
    let nfc = if rules.iter().any(|rule| rule.nfc == "never") {
        "never"
    } else if rules.iter().any(|rule| rule.nfc == "always") || apdu != "never" {
        "always"
    } else {
        "never"
    };
    (apdu, nfc.to_owned(), via.to_owned())
}
