//! `jpkise trace decode`: a recorded SCP03 session, verified and deciphered without a card.

use std::io::BufReader;
use std::path::Path;

use jpkise_card::CommandApdu;
use jpkise_gp::decode::{decode, hex_lines, trace_lines, Check, Decoded, Finding, Recorded, Report};
use jpkise_gp::keys::{Diversification, Handshake};
use jpkise_gp::scp03::ChallengeCheck;
use serde_json::{json, Value};

use crate::app::App;
use crate::args::KeyArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::explain::{file_not_read, trace_not_read};
use crate::i18n::Text;
use crate::keys::offline;

/// Decodes a file. Ends with exit 5 when something in it does not verify, or could not be verified.
pub fn run(app: &App, path: &Path, keys: &KeyArgs) -> Result<(), CliError> {
    let recording = read(path)?;
    let source = offline(app, keys)?;
    let report = decode(recording.clone(), source.as_ref())
        .map_err(|error| CliError::new(Exit::Usage, Text::new("err-keys")).detail(error.to_string()))?;
    for decoded in &report.exchanges {
        show(app, decoded)?;
    }
    let verdict = Verdict::of(&report);
    app.json(&json!({
        "exchanges": report.exchanges.iter().map(object).collect::<Vec<_>>(),
        "sessions": report.sessions(),
        "bad": verdict.bad,
        "not_verifiable": verdict.open,
        "hidden": verdict.hidden,
        "first_fault_line": report.first_fault().map(|d| d.line),
    }))?;
    let result = verdict.close(app, &report);
    result.map_err(|error| {
        match report.first_fault().and_then(|fault| scheme_of(app, keys, &recording, fault)) {
            Some(scheme) => error.next(Text::new("rec-decode-scheme").with("scheme", scheme.name())),
            None => error,
        }
    })
}

/// The scheme by which these keys, as masters, give a card cryptogram that does not fit them as they are: the commonest
/// mistake, found without any further exchange.
fn scheme_of(app: &App, keys: &KeyArgs, recording: &[Recorded], fault: &Decoded) -> Option<Diversification> {
    if !matches!(fault.finding, Finding::Initialized { cryptogram: Check::Bad, .. }) {
        return None;
    }
    let recorded = recording.iter().find(|r| r.line == fault.line)?;
    let handshake =
        Handshake::parse(recorded.command.as_deref()?, recorded.response.as_deref()?, None).ok()?;
    // A question on the terminal is not asked again for each scheme.
    let mut schemes = Diversification::ALL.into_iter().filter(|_| !keys.key_prompt);
    schemes.find(|scheme| {
        let tried = KeyArgs { kdf: Some(scheme.name().to_owned()), ..keys.clone() };
        offline(app, &tried).is_ok_and(|source| matches!(handshake.fits(source.as_ref()), Ok(Some(_))))
    })
}

/// Our own trace, or lines of hexadecimal: the first character tells.
fn read(path: &Path) -> Result<Vec<Recorded>, CliError> {
    let bytes = std::fs::read(path).map_err(|error| file_not_read(path, &error))?;
    if bytes.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{') {
        return trace_lines(BufReader::new(bytes.as_slice())).map_err(|error| trace_not_read(path, &error));
    }
    let refused = |line: usize, problem: &str| {
        let text = Text::new("err-hex-lines").with("path", path.display()).with("line", line);
        CliError::new(Exit::Usage, text).detail(problem).next(Text::new("rec-hex-lines"))
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| refused(1, "not text"))?;
    let recording = hex_lines(text).map_err(|error| refused(error.line, error.problem))?;
    if recording.is_empty() {
        return Err(refused(1, "no command"));
    }
    Ok(recording)
}

/// How the recording came out.
struct Verdict {
    bad: usize,
    open: usize,
    hidden: usize,
}

impl Verdict {
    fn of(report: &Report) -> Self {
        let count = |test: fn(&Finding) -> bool| report.exchanges.iter().filter(|d| test(&d.finding)).count();
        Self {
            bad: count(Finding::is_bad),
            // What was left out of the recording is nobody's fault; what follows it on a secured channel shows as open.
            open: count(|f| f.is_open() && !f.is_bad() && !matches!(f, Finding::Hidden)),
            hidden: count(|f| matches!(f, Finding::Hidden)),
        }
    }

    fn close(&self, app: &App, report: &Report) -> Result<(), CliError> {
        let sessions = report.sessions() as u64;
        let closing = Text::new("decode-closing")
            .with("exchanges", report.exchanges.len())
            .count("sessions", sessions)
            .with("bad", self.bad)
            .with("open", self.open)
            .with("hidden", self.hidden);
        app.result(&app.messages.say(&closing))?;
        match report.first_fault() {
            Some(fault) => {
                let text = Text::new("err-decode-bad").with("line", fault.line).with("name", &fault.name);
                let wrong_keys = matches!(fault.finding, Finding::Initialized { cryptogram: Check::Bad, .. });
                let error = CliError::new(Exit::Refused, text);
                Err(if wrong_keys { error.next(Text::new("rec-decode-keys")) } else { error })
            }
            None if self.open > 0 => {
                Err(CliError::new(Exit::Refused, Text::new("err-decode-open"))
                    .next(Text::new("rec-decode-open")))
            }
            None => Ok(()),
        }
    }
}

fn word(check: Check) -> &'static str {
    match check {
        Check::Good => "good",
        Check::Bad => "bad",
        Check::NotVerifiable => "not-verifiable",
    }
}

fn challenge_word(challenge: ChallengeCheck) -> &'static str {
    match challenge {
        ChallengeCheck::Random => "random",
        ChallengeCheck::Fits => "fits",
        ChallengeCheck::Differs => "differs",
        ChallengeCheck::NotChecked => "not-checked",
    }
}

fn show(app: &App, decoded: &Decoded) -> Result<(), CliError> {
    let verdict = |key: &str, check: Check| {
        let text = Text::new(key).nested("check", Text::new(format!("decode-{}", word(check))));
        app.messages.say(&text)
    };
    let mut parts: Vec<String> = Vec::new();
    match &decoded.finding {
        Finding::Clear => parts.push(app.messages.get("decode-clear")),
        Finding::Hidden => parts.push(app.messages.get("decode-hidden")),
        Finding::Malformed => parts.push(app.messages.get("decode-malformed")),
        Finding::NotInitialized => parts.push(app.messages.get("decode-not-initialized")),
        Finding::Piece => parts.push(app.messages.get("decode-piece")),
        Finding::Initialized { set, i, mode, cryptogram, challenge } => {
            let text = Text::new("decode-key-set")
                .with("kvn", format!("{:02X}", set.kvn))
                .with("i", format!("{i:02X}"))
                .with("mode", format!("S{}", mode.bytes()));
            parts.push(app.messages.say(&text));
            parts.push(verdict("decode-card-cryptogram", *cryptogram));
            parts.push(app.messages.get(&format!("decode-challenge-{}", challenge_word(*challenge))));
        }
        Finding::Authenticated { level, cryptogram, c_mac, accepted } => {
            parts.push(app.messages.say(&Text::new("decode-level").with("level", level)));
            parts.push(verdict("decode-host-cryptogram", *cryptogram));
            parts.push(verdict("decode-c-mac", *c_mac));
            if !accepted {
                parts.push(app.messages.get("decode-not-accepted"));
            }
        }
        Finding::Secured { c_mac, r_mac, .. } => {
            parts.push(verdict("decode-c-mac", *c_mac));
            parts.extend(r_mac.map(|r_mac| verdict("decode-r-mac", r_mac)));
        }
    }
    let sw = decoded.sw.map(|sw| sw.to_string()).unwrap_or_default();
    let mark = if decoded.finding.is_bad() { "!" } else { " " };
    app.result(&format!("{mark}{:>5}  {:4}  {}: {}", decoded.line, sw, decoded.name, parts.join(", ")))?;
    if let Finding::Secured { command, response, .. } = &decoded.finding {
        if let Some(command) = command {
            app.result(&format!("              > {}", plain(command)))?;
        }
        if let Some(response) = response.as_ref().filter(|r| !r.data.is_empty()) {
            app.result(&format!("              < {} {}", hex::encode_upper(&response.data), response.sw))?;
        }
    }
    Ok(())
}

fn plain(command: &CommandApdu) -> String {
    command.to_bytes().map(|bytes| hex::encode_upper(bytes.as_slice())).unwrap_or_default()
}

fn object(decoded: &Decoded) -> Value {
    let mut object = json!({
        "line": decoded.line,
        "name": decoded.name,
        "status_word": decoded.sw.map(|sw| sw.to_string()),
        "bad": decoded.finding.is_bad(),
    });
    let fields = match &decoded.finding {
        Finding::Clear => json!({ "finding": "clear" }),
        Finding::Hidden => json!({ "finding": "hidden" }),
        Finding::Malformed => json!({ "finding": "malformed" }),
        Finding::NotInitialized => json!({ "finding": "not-initialized" }),
        Finding::Piece => json!({ "finding": "piece" }),
        Finding::Initialized { set, i, mode, cryptogram, challenge } => json!({
            "finding": "initialized",
            "kvn": format!("{:02X}", set.kvn),
            "diversification_data": hex::encode_upper(set.kdd),
            "i": format!("{i:02X}"),
            "s_mode": mode.bytes(),
            "card_cryptogram": word(*cryptogram),
            "card_challenge": challenge_word(*challenge),
        }),
        Finding::Authenticated { level, cryptogram, c_mac, accepted } => json!({
            "finding": "authenticated",
            "level": level.to_string(),
            "host_cryptogram": word(*cryptogram),
            "c_mac": word(*c_mac),
            "accepted": accepted,
        }),
        Finding::Secured { c_mac, command, r_mac, response } => json!({
            "finding": "secured",
            "c_mac": word(*c_mac),
            "plain_command": command.as_ref().map(plain),
            "r_mac": r_mac.map(word),
            "plain_response": response.as_ref().map(|r| hex::encode_upper(r.to_bytes())),
        }),
    };
    if let (Value::Object(object), Value::Object(fields)) = (&mut object, fields) {
        object.extend(fields);
    }
    object
}
