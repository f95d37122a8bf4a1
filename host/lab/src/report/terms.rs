//! The words of differences in the reader's language. Reports for programs keep them in English, as they are made.

/// Says the message of a key with these values.
type Say<'s> = dyn Fn(&str, &[(String, String)]) -> String + 's;

/// What stands in differences word for word, and the key of its message.
pub const TERMS: [(&str, &str); 33] = [
    ("status word", "lab-term-status-word"),
    ("data", "lab-term-data"),
    ("length of the data", "lab-term-length-of-the-data"),
    ("data behind an error", "lab-term-data-behind-an-error"),
    ("answer", "lab-term-answer"),
    ("time to the answer", "lab-term-time-to-the-answer"),
    ("time of the case", "lab-term-time-of-the-case"),
    ("secure messaging", "lab-term-secure-messaging"),
    ("card cryptogram", "lab-term-card-cryptogram"),
    ("modulus", "lab-term-modulus"),
    ("signature", "lab-term-signature"),
    ("length of the signature", "lab-term-length-of-the-signature"),
    ("padded block", "lab-term-padded-block"),
    ("block type of the padding", "lab-term-block-type"),
    ("padding", "lab-term-padding"),
    ("what is signed", "lab-term-what-is-signed"),
    ("hash in the DigestInfo", "lab-term-hash-in-the-digest-info"),
    ("last byte of the PSS block", "lab-term-pss-trailer"),
    ("PSS padding", "lab-term-pss-padding"),
    ("length of the PSS salt", "lab-term-pss-salt"),
    ("hash in the PSS block", "lab-term-pss-hash"),
    ("certificate", "lab-term-certificate"),
    ("key in the certificate", "lab-term-certificate-key"),
    ("no such object", "lab-term-no-such-object"),
    ("nothing", "lab-term-nothing"),
    ("none", "lab-term-none"),
    ("absent", "lab-term-absent"),
    ("any value", "lab-term-any-value"),
    ("an answer", "lab-term-an-answer"),
    ("a protected answer", "lab-term-a-protected-answer"),
    ("the one these keys give", "lab-term-cryptogram-due"),
    ("another", "lab-term-another"),
    ("the bare hash", "lab-term-bare-hash"),
];

/// What a report tells of cards and machines, by the names in `report.json`; the message's key is `lab-fact-` and the name.
pub const FACTS: [&str; 20] = [
    "reader",
    "atr",
    "protocol",
    "extended-length",
    "contactless",
    "isd",
    "cplc",
    "chip",
    "iin",
    "cin",
    "gp-version",
    "scp",
    "keys",
    "simulated",
    "program",
    "system",
    "kernel",
    "cpu",
    "cores",
    "build",
];

/// Figures that the suites of code measure; the message's key is `lab-figure-` and the name.
pub const FIGURES: [&str; 11] = [
    "exchange",
    "reset",
    "scp03-handshake",
    "verify",
    "signature-auth",
    "signature-sign",
    "read-certificate",
    "key-generation",
    "load",
    "load-rate",
    "soak-round",
];

/// A fact or a figure by its name; one that a suite file measures is called as the file says.
pub fn named(kind: &str, known: &[&str], name: &str, say: &Say<'_>) -> String {
    if known.contains(&name) {
        say(&format!("lab-{kind}-{name}"), &[])
    } else {
        name.to_owned()
    }
}

/// A place, or what was due or found there, as far as it is made of known words; anything else as it is.
pub fn localized(text: &str, say: &Say<'_>) -> String {
    let with = |key: &str, values: &[(&str, &str)]| {
        let values: Vec<(String, String)> =
            values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        say(key, &values)
    };
    if let Some((_, key)) = TERMS.iter().find(|(term, _)| *term == text) {
        return with(key, &[]);
    }
    let number = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if let Some((place, at)) = text.rsplit_once(", at byte ").filter(|(_, at)| number(at)) {
        return with("lab-term-at-byte", &[("place", &localized(place, say)), ("number", at)]);
    }
    if let Some(place) = text.strip_suffix(", length") {
        return with("lab-term-length", &[("place", &localized(place, say))]);
    }
    if let Some(name) = text.strip_prefix("field ") {
        return with("lab-term-field", &[("name", name)]);
    }
    for (prefix, key) in [
        ("at most ", "lab-term-at-most"),
        ("at least ", "lab-term-at-least"),
        ("less than ", "lab-term-less-than"),
        ("another value than ", "lab-term-another-value-than"),
    ] {
        if let Some(value) = text.strip_prefix(prefix) {
            return with(key, &[("value", value)]);
        }
    }
    by_step(text).map_or_else(
        || text.to_owned(),
        |(took, step, line, key)| with(key, &[("took", took), ("number", step), ("line", line)]),
    )
}

/// `2000.4 ms by step 4 (line 12)`, perhaps `, no answer`.
fn by_step(text: &str) -> Option<(&str, &str, &str, &'static str)> {
    let (took, rest) = text.split_once(" by step ")?;
    let (step, rest) = rest.split_once(" (line ")?;
    let (line, rest) = rest.split_once(')')?;
    let key = match rest {
        "" => "lab-term-by-step",
        ", no answer" => "lab-term-by-step-no-answer",
        _ => return None,
    };
    Some((took, step, line, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_words_become_messages_and_others_stay() {
        let say = |key: &str, values: &[(String, String)]| {
            let values: Vec<String> = values.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("[{key} {}]", values.join(" "))
        };
        for (text, expected) in [
            ("status word", "[lab-term-status-word ]"),
            ("data, at byte 12", "[lab-term-at-byte place=[lab-term-data ] number=12]"),
            ("field tries, at byte 1", "[lab-term-at-byte place=[lab-term-field name=tries] number=1]"),
            ("6F/84, length", "[lab-term-length place=6F/84]"),
            ("at most 30 ms", "[lab-term-at-most value=30 ms]"),
            ("30.1 ms by step 2 (line 9)", "[lab-term-by-step took=30.1 ms number=2 line=9]"),
            ("9 ms by step 2 (line 9), no answer", "[lab-term-by-step-no-answer took=9 ms number=2 line=9]"),
            ("9 ms by step 2 (line 9), or so", "9 ms by step 2 (line 9), or so"),
            ("9000 (success)", "9000 (success)"),
            ("A0, at byte x", "A0, at byte x"),
        ] {
            assert_eq!(localized(text, &say), expected);
        }
    }
}
