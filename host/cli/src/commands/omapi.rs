//! `jpkise omapi run`: a script of Open Mobile API calls, as an app makes them, against the card behind the enforcer.
//!
//! ```text
//! open AID [P2] [as NAME]     openLogicalChannel; "default" in place of the AID passes null
//! basic [AID] [P2] [as NAME]  openBasicChannel
//! 80CADF3000                  transmit on the channel in use; "transmit 80CADF3000" is the same
//! response                    getSelectResponse
//! next                        selectNext
//! use NAME                    goes on with another channel
//! close [NAME]                closes it
//! … -> 9000                   what must come: a status word (x for any digit), an exception, true, false or null
//! # comment
//! ```

use std::collections::BTreeMap;
use std::io::Read;

use jpkise_card::{Card, Transport};
use jpkise_omapi::ace::{SeKind, WithoutAra};
use jpkise_omapi::{ace, Channel, OmapiError, SeService, Session};
use jpkise_wire::StatusWord;
use serde_json::{json, Value};

use super::ara::NamedApp;
use crate::app::App;
use crate::args::{OmapiArgs, OmapiRunArgs, OmapiVerb};
use crate::connect::with_card;
use crate::error::CliError;
use crate::exit::Exit;
use crate::explain::file_not_read;
use crate::i18n::Text;

/// Name of a channel that was given none.
const UNNAMED: &str = "";

/// What an app is thrown that calls on a channel it does not have.
const NULL_POINTER: &str = "java.lang.NullPointerException";

/// Runs the verb.
pub fn run(app: &App, arguments: &OmapiArgs) -> Result<(), CliError> {
    let OmapiVerb::Run(run) = &arguments.verb;
    let named = if run.privileged && run.app.is_empty() { None } else { Some(NamedApp::find(&run.app)?) };
    let script = parse(&read_script(run)?)?;
    let caller = ace::App {
        package: named.as_ref().and_then(|n| n.name.clone()).unwrap_or_default(),
        hashes: named.as_ref().map(NamedApp::compared).unwrap_or_default(),
        privileged: run.privileged,
    };
    with_card(app, &arguments.card, |target| {
        let mut service = SeService::new();
        let without_ara = if run.strict { WithoutAra::Deny } else { WithoutAra::FullAccess };
        let reader = service.add_reader(SeKind::Embedded, without_ara, Card::new(target.card.served()));
        let mut runner =
            Runner { app, session: reader.open_session(caller), channels: BTreeMap::new(), current: None };
        let (mut steps, mut unexpected) = (Vec::new(), 0u64);
        for line in &script {
            let (step, as_expected) = runner.step(line)?;
            steps.push(step);
            unexpected += u64::from(!as_expected);
        }
        app.json(&json!({ "reader": reader.name(), "steps": steps, "unexpected": unexpected }))?;
        if unexpected == 0 {
            Ok(())
        } else {
            Err(CliError::new(Exit::Refused, Text::new("err-omapi-unexpected").count("count", unexpected)))
        }
    })
}

fn read_script(arguments: &OmapiRunArgs) -> Result<String, CliError> {
    let Some(path) = &arguments.script else {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text)?;
        return Ok(text);
    };
    std::fs::read_to_string(path).map_err(|e| file_not_read(path, &e))
}

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Call {
    Open { basic: bool, aid: Option<Vec<u8>>, p2: u8, name: String },
    Transmit(Vec<u8>),
    Response,
    Next,
    Use(String),
    Close(Option<String>),
}

/// A line of the script.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    number: usize,
    text: String,
    call: Call,
    expected: Option<String>,
}

fn parse(script: &str) -> Result<Vec<Line>, CliError> {
    let mut lines = Vec::new();
    for (index, raw) in script.lines().enumerate() {
        let text = raw.split('#').next().unwrap_or_default().trim();
        if text.is_empty() {
            continue;
        }
        let number = index + 1;
        let (call, expected) = match text.split_once("->") {
            Some((call, expected)) => (call, Some(expected.trim().to_owned())),
            None => (text, None),
        };
        let words: Vec<&str> = call.split_whitespace().collect();
        let call = parse_call(&words).filter(|_| expected.as_deref() != Some("")).ok_or_else(|| {
            CliError::new(Exit::Usage, Text::new("err-omapi-script").with("line", number))
                .detail(text)
                .next(Text::new("rec-omapi-script"))
        })?;
        lines.push(Line { number, text: text.to_owned(), call, expected });
    }
    Ok(lines)
}

fn parse_call(words: &[&str]) -> Option<Call> {
    match words {
        [open @ ("open" | "basic"), rest @ ..] => parse_open(*open == "basic", rest),
        ["response"] => Some(Call::Response),
        ["next"] => Some(Call::Next),
        ["use", name] => Some(Call::Use((*name).to_owned())),
        ["close"] => Some(Call::Close(None)),
        ["close", name] => Some(Call::Close(Some((*name).to_owned()))),
        ["transmit", hex @ ..] | hex => {
            let bytes = hex::decode(hex.concat()).ok()?;
            // "transmit" alone hands over nothing, which the service refuses as an app would see it.
            Some(Call::Transmit(bytes))
        }
    }
}

fn parse_open(basic: bool, words: &[&str]) -> Option<Call> {
    let (words, name) = match words {
        [rest @ .., "as", name] => (rest, (*name).to_owned()),
        all => (all, UNNAMED.to_owned()),
    };
    let aid = |text: &str| match text {
        "default" => Some(None),
        hex => hex::decode(hex).ok().map(Some),
    };
    let (aid, p2) = match words {
        [] if basic => (None, 0),
        [name] => (aid(name)?, 0),
        [name, p2] if p2.len() == 2 => (aid(name)?, u8::from_str_radix(p2, 16).ok()?),
        _ => return None,
    };
    Some(Call::Open { basic, aid, p2, name })
}

struct Runner<'a, T: Transport> {
    app: &'a App,
    session: Session<T>,
    channels: BTreeMap<String, Channel<T>>,
    current: Option<String>,
}

/// What a call gave back.
enum Outcome {
    Opened {
        number: u8,
        response: Option<Vec<u8>>,
    },
    Bytes(Vec<u8>),
    Null,
    Truth(bool),
    Nothing,
    Thrown(OmapiError),
    /// A call on a channel that was never opened.
    NoChannel,
}

impl<T: Transport> Runner<'_, T> {
    /// Makes a call, tells it, and judges it.
    fn step(&mut self, line: &Line) -> Result<(Value, bool), CliError> {
        let outcome = self.call(line);
        let as_expected = match (&line.expected, &outcome) {
            (Some(expected), outcome) => outcome.is(expected),
            (None, Outcome::Thrown(_) | Outcome::NoChannel) => false,
            (None, _) => true,
        };
        let mark = if as_expected { "" } else { "  ✗" };
        self.app.result(&format!("{:>3}  {}\n     {}{mark}", line.number, line.text, self.tell(&outcome)))?;
        let mut object = outcome.json();
        object["line"] = json!(line.number);
        object["call"] = json!(line.text);
        object["expected"] = json!(as_expected);
        Ok((object, as_expected))
    }

    fn call(&mut self, line: &Line) -> Outcome {
        if let Call::Open { basic, aid, p2, name } = &line.call {
            return self.open(*basic, aid.as_deref(), *p2, name).unwrap_or_else(Outcome::Thrown);
        }
        let name = match &line.call {
            Call::Use(name) | Call::Close(Some(name)) => Some(name),
            _ => self.current.as_ref(),
        };
        let Some(channel) = name.and_then(|name| self.channels.get_mut(name)) else {
            return Outcome::NoChannel;
        };
        match &line.call {
            Call::Transmit(command) => channel.transmit(command).map_or_else(Outcome::Thrown, Outcome::Bytes),
            Call::Response => match channel.select_response() {
                Some(response) => Outcome::Bytes(response.to_vec()),
                None => Outcome::Null,
            },
            Call::Next => channel.select_next().map_or_else(Outcome::Thrown, Outcome::Truth),
            Call::Close(_) => {
                channel.close();
                Outcome::Nothing
            }
            Call::Use(name) => {
                self.current = Some(name.clone());
                Outcome::Nothing
            }
            Call::Open { .. } => Outcome::NoChannel,
        }
    }

    fn open(&mut self, basic: bool, aid: Option<&[u8]>, p2: u8, name: &str) -> Result<Outcome, OmapiError> {
        // The channel of this name is closed first, as an app that forgets it would have it closed.
        self.channels.remove(name);
        let opened = if basic {
            self.session.open_basic_channel(aid, p2)?
        } else {
            self.session.open_logical_channel(aid, p2)?
        };
        let Some(channel) = opened else { return Ok(Outcome::Null) };
        let (number, response) = (channel.number().number(), channel.select_response().map(<[u8]>::to_vec));
        self.channels.insert(name.to_owned(), channel);
        self.current = Some(name.to_owned());
        Ok(Outcome::Opened { number, response })
    }

    fn tell(&self, outcome: &Outcome) -> String {
        match outcome {
            Outcome::Opened { number, response } => {
                let text = Text::new("omapi-opened")
                    .with("number", number)
                    .with("response", response.as_ref().map_or_else(|| "null".to_owned(), hex::encode_upper));
                self.app.messages.say(&text)
            }
            Outcome::Bytes(bytes) => hex::encode_upper(bytes),
            Outcome::Null => "null".to_owned(),
            Outcome::Truth(truth) => truth.to_string(),
            Outcome::Nothing => self.app.messages.get("ok"),
            Outcome::Thrown(error) => format!("{}: {error}", error.exception()),
            Outcome::NoChannel => format!("{NULL_POINTER}: {}", self.app.messages.get("omapi-no-channel")),
        }
    }
}

impl Outcome {
    fn status_word(&self) -> Option<StatusWord> {
        let (Self::Bytes(bytes) | Self::Opened { response: Some(bytes), .. }) = self else { return None };
        let (sw1, sw2) = (bytes.len().checked_sub(2)?, bytes.len().checked_sub(1)?);
        Some(StatusWord(u16::from_be_bytes([bytes[sw1], bytes[sw2]])))
    }

    /// Whether it is what the script says must come.
    fn is(&self, expected: &str) -> bool {
        match self {
            Self::Thrown(error) => is_exception(error.exception(), expected),
            Self::NoChannel => is_exception(NULL_POINTER, expected),
            Self::Null => expected == "null",
            Self::Truth(truth) => expected == truth.to_string(),
            Self::Nothing => false,
            Self::Bytes(_) | Self::Opened { .. } => self.status_word().is_some_and(|sw| {
                let digits = sw.to_string();
                digits.len() == expected.len()
                    && digits
                        .chars()
                        .zip(expected.chars())
                        .all(|(d, e)| e.eq_ignore_ascii_case(&'x') || d.eq_ignore_ascii_case(&e))
            }),
        }
    }

    fn json(&self) -> Value {
        let sw = self.status_word().map(|sw| sw.to_string());
        match self {
            Self::Opened { number, response } => json!({
                "channel": number,
                "response": response.as_ref().map(hex::encode_upper),
                "status_word": sw,
            }),
            Self::Bytes(bytes) => json!({ "response": hex::encode_upper(bytes), "status_word": sw }),
            Self::Null => json!({ "result": null }),
            Self::Truth(truth) => json!({ "result": truth }),
            Self::Nothing => json!({}),
            Self::Thrown(error) => json!({ "exception": error.exception(), "reason": error.to_string() }),
            Self::NoChannel => json!({ "exception": NULL_POINTER, "reason": "no channel" }),
        }
    }
}

fn is_exception(exception: &str, expected: &str) -> bool {
    exception == expected || exception.rsplit('.').next() == Some(expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_reads_as_its_grammar_says() {
        let text = "# comment\nopen D392F000260100000001 0C as a -> 9000\n\nbasic\nopen default -> null\n\
                    80 CA DF30 00 -> 9xxx # version\ntransmit\nresponse\nnext -> false\nuse a\nclose a\nclose\n";
        let lines = parse(text).unwrap();
        let open = |basic, aid: Option<&str>, p2, name: &str| Call::Open {
            basic,
            aid: aid.map(|a| hex::decode(a).unwrap()),
            p2,
            name: name.to_owned(),
        };
        let calls: Vec<Call> = lines.iter().map(|line| line.call.clone()).collect();
        assert_eq!(
            calls,
            [
                open(false, Some("D392F000260100000001"), 0x0C, "a"),
                open(true, None, 0, ""),
                open(false, None, 0, ""),
                Call::Transmit(hex::decode("80CADF3000").unwrap()),
                Call::Transmit(Vec::new()),
                Call::Response,
                Call::Next,
                Call::Use("a".into()),
                Call::Close(Some("a".into())),
                Call::Close(None),
            ]
        );
        assert_eq!((lines[0].number, lines[0].expected.as_deref()), (2, Some("9000")));
        assert_eq!(lines[3].expected.as_deref(), Some("9xxx"));
        for bad in ["open", "open zz", "open D392 0C0C", "close a b", "80CADF3", "80 ->", "fly"] {
            let error = parse(&format!("next\n{bad}")).unwrap_err();
            assert_eq!((error.exit, error.key()), (Exit::Usage, "err-omapi-script"), "{bad}");
        }
    }

    #[test]
    fn expectations_hold_for_what_they_name_and_for_nothing_else() {
        let bytes = Outcome::Bytes(vec![0xAA, 0x63, 0xC2]);
        for (expected, holds) in
            [("63C2", true), ("63cx", true), ("9000", false), ("63C", false), ("null", false)]
        {
            assert_eq!(bytes.is(expected), holds, "{expected}");
        }
        let thrown = Outcome::Thrown(OmapiError::Closed);
        assert!(thrown.is("IllegalStateException") && thrown.is("java.lang.IllegalStateException"));
        assert!(!thrown.is("SecurityException") && !thrown.is("StateException"));
        assert!(Outcome::Null.is("null") && Outcome::Truth(false).is("false"));
    }
}
