//! The card's side of SCP03 vector files: the simulated card, given a recorded session's keys and challenges, must answer
//! with the recorded bytes; given a session with a fault that a card has to find, it must find it and end the session.

use jpkise_card::{CommandApdu, ResponseApdu, Transport};
use jpkise_gp::vectors::Mismatch;
use jpkise_gpse::profile::key_version;
use jpkise_gpse::secure_channel::{Opening, SecureChannel};
use jpkise_gpse::{GpSe, NoApplets, Profile};
use jpkise_wire::scp03::{
    AesKey, Challenge, IParameter, SecurityLevel, SequenceCounter, StaticKeys, KDD_LENGTH,
};
use jpkise_wire::Aid;
use serde::Deserialize;

/// GET DATA of the card data: a command that an aborted session must refuse.
const ANY_COMMAND: &str = "80ca006600";
/// GET STATUS, which needs a session.
const REGISTRY: &str = "80f28002024f0000";
/// MANAGE CHANNEL: the next free one.
const OPEN_CHANNEL: &str = "0070000001";

/// As much of a vector as the card's side needs.
#[derive(Deserialize)]
pub struct CardVector {
    #[serde(rename = "type")]
    kind: String,
    keys: Option<Keys>,
    s_mode: Option<usize>,
    initialize_update: Option<Recorded>,
    external_authenticate: Option<Recorded>,
    #[serde(default)]
    steps: Vec<Step>,
    pseudo_random_aid: Option<String>,
    target: Option<String>,
    expect: Option<Expect>,
}

#[derive(Deserialize)]
struct Keys {
    enc: String,
    mac: String,
    dek: String,
}

#[derive(Deserialize)]
struct Recorded {
    command: String,
    #[serde(default)]
    response: String,
}

#[derive(Deserialize)]
struct Step {
    name: String,
    command: String,
    response: Option<String>,
    plain_command: Option<String>,
    plain_response: Option<String>,
    response_padding: Option<String>,
}

#[derive(Deserialize)]
struct Expect {
    found_by: Option<String>,
    status_word: Option<String>,
}

/// The card's answer to INITIALIZE UPDATE, taken apart.
struct Parsed {
    diversification: [u8; KDD_LENGTH],
    kvn: u8,
    i: IParameter,
    challenge: Challenge,
    counter: SequenceCounter,
}

impl CardVector {
    /// Runs the card's side; `None` for a vector that has none.
    pub fn run(&self) -> Option<Result<(), Mismatch>> {
        let found_by_card = || self.expect.as_ref().is_some_and(|e| e.found_by.as_deref() == Some("card"));
        match self.kind.as_str() {
            "transcript" => Some(self.transcript()),
            "negative" if found_by_card() => Some(self.fault()),
            _ => None,
        }
    }

    /// Byte for byte: the answer to INITIALIZE UPDATE, each command unwrapped, each answer wrapped.
    fn transcript(&self) -> Result<(), Mismatch> {
        let (initialize, authenticate) = self.opening()?;
        let (keys, parsed) = (self.static_keys()?, self.parsed(initialize)?);
        let opening = Opening {
            kvn: parsed.kvn,
            keys: &keys,
            i: parsed.i,
            diversification: parsed.diversification,
            card_challenge: parsed.challenge,
            counter: parsed.counter,
            least_level: SecurityLevel::NONE,
            faults: jpkise_gpse::faults::FaultSet::NONE,
        };
        let host = command("INITIALIZE UPDATE", &initialize.command)?;
        let host =
            Challenge::new(host.data()).ok_or_else(|| wrong("INITIALIZE UPDATE", "a challenge", "none"))?;
        let mut channel = SecureChannel::default();
        let answer = hex::encode(channel.initialize(&opening, &host)) + "9000";
        same("INITIALIZE UPDATE", &initialize.response, &answer)?;
        let sent = command("EXTERNAL AUTHENTICATE", &authenticate.command)?;
        channel
            .external_authenticate(&sent)
            .map_err(|error| wrong("EXTERNAL AUTHENTICATE", "accepted", &format!("{error:?}")))?;
        self.steps.iter().zip(1..).try_for_each(|(step, number)| step.replay(&mut channel, number))?;
        self.whole_card(&parsed, initialize, authenticate)
    }

    /// The session of a whole card, which computes its challenge where the vector says from which AID.
    fn whole_card(
        &self,
        parsed: &Parsed,
        initialize: &Recorded,
        authenticate: &Recorded,
    ) -> Result<(), Mismatch> {
        let mut card = self.card(parsed, self.pseudo_random_aid.is_none())?;
        // The class says on which logical channel the session was recorded.
        for _ in 0..command("INITIALIZE UPDATE", &initialize.command)?.header()[0] & 3 {
            let opened = send(&mut card, OPEN_CHANNEL)?;
            same("MANAGE CHANNEL", "9000", &opened[opened.len().saturating_sub(4)..])?;
        }
        same("INITIALIZE UPDATE", &initialize.response, &send(&mut card, &initialize.command)?)?;
        same("EXTERNAL AUTHENTICATE", "9000", &send(&mut card, &authenticate.command)?)
    }

    /// The fault gets its status word, and nothing works after it until a new INITIALIZE UPDATE.
    fn fault(&self) -> Result<(), Mismatch> {
        let (initialize, authenticate) = self.opening()?;
        let expected = self.expect.as_ref().and_then(|e| e.status_word.as_deref()).unwrap_or("6982");
        let mut card = self.card(&self.parsed(initialize)?, true)?;
        same("INITIALIZE UPDATE", &initialize.response, &send(&mut card, &initialize.command)?)?;
        let answer = send(&mut card, &authenticate.command)?;
        if self.target.as_deref() == Some("external-authenticate") {
            same("EXTERNAL AUTHENTICATE", expected, &answer)?;
            same("management without a session", "6982", &send(&mut card, REGISTRY)?)?;
            return same("without a session", "6985", &send(&mut card, &authenticate.command)?);
        }
        same("EXTERNAL AUTHENTICATE", "9000", &answer)?;
        let (last, good) = self.steps.split_last().ok_or_else(|| wrong("steps", "one", "none"))?;
        for step in good {
            let answer = send(&mut card, &step.command)?;
            if answer == "6982" {
                return Err(wrong(&step.name, "accepted", &answer));
            }
        }
        same(&last.name, expected, &send(&mut card, &last.command)?)?;
        same("an aborted session", "6982", &send(&mut card, ANY_COMMAND)?)?;
        same("an aborted session, secured", "6982", &send(&mut card, &last.command)?)?;
        let again = send(&mut card, &initialize.command)?;
        same("a new session", "9000", &again[again.len().saturating_sub(4)..])
    }

    fn opening(&self) -> Result<(&Recorded, &Recorded), Mismatch> {
        let initialize = self.initialize_update.as_ref();
        let authenticate = self.external_authenticate.as_ref();
        initialize
            .zip(authenticate)
            .ok_or_else(|| wrong("the opening of the session", "two commands", "fewer"))
    }

    fn parsed(&self, initialize: &Recorded) -> Result<Parsed, Mismatch> {
        let answer = bytes("INITIALIZE UPDATE", &initialize.response)?;
        let size = self.s_mode.unwrap_or(8);
        let read = || {
            // Some cards say i = 70 and mean S16; the length decides.
            let i = IParameter::new(*answer.get(12)?)?;
            let counter = answer.get(13 + 2 * size..16 + 2 * size).filter(|_| i.is_pseudo_random());
            let counter: Option<[u8; 3]> = counter.and_then(|bytes| bytes.try_into().ok());
            Some(Parsed {
                diversification: answer.get(..KDD_LENGTH)?.try_into().ok()?,
                kvn: *answer.get(KDD_LENGTH)?,
                i,
                challenge: Challenge::new(answer.get(13..13 + size)?)?,
                counter: counter.map_or_else(SequenceCounter::default, SequenceCounter::from_bytes),
            })
        };
        read().ok_or_else(|| wrong("INITIALIZE UPDATE", "an answer of SCP03", &initialize.response))
    }

    fn key_bytes(&self) -> Result<[Vec<u8>; 3], Mismatch> {
        let keys = self.keys.as_ref().ok_or_else(|| wrong("keys", "three", "none"))?;
        Ok([bytes("Key-ENC", &keys.enc)?, bytes("Key-MAC", &keys.mac)?, bytes("Key-DEK", &keys.dek)?])
    }

    fn static_keys(&self) -> Result<StaticKeys, Mismatch> {
        let [enc, mac, dek] = self.key_bytes()?;
        let key =
            |bytes: &[u8]| AesKey::new(bytes).map_err(|error| wrong("keys", "AES keys", &error.to_string()));
        StaticKeys::new(key(&enc)?, key(&mac)?, key(&dek)?)
            .map_err(|error| wrong("keys", "one length", &error.to_string()))
    }

    /// A whole card that stands where the recorded one stood; with `replay` it gives the recorded challenge.
    fn card(&self, parsed: &Parsed, replay: bool) -> Result<GpSe, Mismatch> {
        let [enc, mac, dek] = self.key_bytes()?;
        let keys = key_version(parsed.kvn, &enc, &mac, &dek)
            .map_err(|error| wrong("keys", "a key version", &error.to_string()))?;
        let [_, a, b, c] = parsed.counter.value().saturating_sub(1).to_be_bytes();
        let before = SequenceCounter::from_bytes([a, b, c]);
        let mut profile = Profile::default().with_keys(keys).with_i(parsed.i).with_sequence_counter(before);
        profile.diversification = parsed.diversification;
        if let Some(aid) = &self.pseudo_random_aid {
            let aid: Aid = aid.parse().map_err(|_| wrong("pseudo_random_aid", "an AID", aid))?;
            profile.issuer = aid;
        }
        if replay {
            profile.replayed_challenges.push(parsed.challenge);
        }
        GpSe::in_memory(profile, Box::new(NoApplets))
            .map_err(|error| wrong("the card", "up", &error.to_string()))
    }
}

impl Step {
    fn replay(&self, channel: &mut SecureChannel, number: usize) -> Result<(), Mismatch> {
        let place = |what: &str| format!("step {number} ({}), {what}", self.name);
        let got = channel
            .unwrap(command(&place("command"), &self.command)?)
            .map_err(|sw| wrong(&place("unwrap"), "accepted", &sw.to_string()))?;
        if let Some(plain) = &self.plain_command {
            let plain = command(&place("plain command"), plain)?;
            same(&place("header"), &hex::encode(&plain.header()[1..]), &hex::encode(&got.header()[1..]))?;
            same(&place("plain data"), &hex::encode(plain.data()), &hex::encode(got.data()))?;
        }
        let (Some(wire), Some(plain)) = (&self.response, &self.plain_response) else { return Ok(()) };
        // An answer of a foreign card with more padding than needed is read by the host, and not made by ours.
        if self.response_padding.as_deref() == Some("non-minimal") {
            return Ok(());
        }
        let plain = ResponseApdu::parse(&bytes(&place("plain answer"), plain)?)
            .map_err(|error| wrong(&place("plain answer"), "an answer", &error.to_string()))?;
        same(&place("answer"), wire, &hex::encode(channel.wrap(plain).to_bytes()))
    }
}

fn send(card: &mut GpSe, command: &str) -> Result<String, Mismatch> {
    let sent = bytes("command", command)?;
    let answer = card.transmit(&sent).map_err(|error| wrong("the card", "an answer", &error.to_string()))?;
    Ok(hex::encode(answer))
}

fn bytes(item: &str, text: &str) -> Result<Vec<u8>, Mismatch> {
    hex::decode(text).map_err(|_| wrong(item, "hexadecimal", text))
}

fn command(item: &str, text: &str) -> Result<CommandApdu, Mismatch> {
    CommandApdu::parse(&bytes(item, text)?).map_err(|error| wrong(item, "a command", &error.to_string()))
}

fn same(item: &str, expected: &str, found: &str) -> Result<(), Mismatch> {
    if expected.eq_ignore_ascii_case(found) {
        Ok(())
    } else {
        Err(wrong(item, expected, found))
    }
}

fn wrong(item: &str, expected: &str, found: &str) -> Mismatch {
    Mismatch::new(format!("card side: {item}"), expected, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = include_str!("../tests/data/transcripts-own.json");

    fn run(text: &str) -> Option<Result<(), Mismatch>> {
        serde_json::from_str::<CardVector>(text).unwrap().run()
    }

    fn vectors() -> Vec<serde_json::Value> {
        let file: serde_json::Value = serde_json::from_str(OWN).unwrap();
        file["vectors"].as_array().unwrap().clone()
    }

    #[test]
    fn our_transcripts_come_out_of_the_card_byte_for_byte_and_any_changed_one_does_not() {
        let all = vectors();
        assert!(all.len() >= 11);
        for vector in all {
            let id = vector["id"].as_str().unwrap().to_owned();
            assert_eq!(run(&vector.to_string()), Some(Ok(())), "{id}");
            for path in ["/initialize_update/response", "/external_authenticate/command", "/steps/0/command"]
            {
                let mut changed = vector.clone();
                let field = changed.pointer_mut(path).unwrap();
                let mut bytes = hex::decode(field.as_str().unwrap()).unwrap();
                // Challenge or cryptogram of INITIALIZE UPDATE, the MAC of a command: the counter behind the cryptogram is
                // given to the card, not computed by it.
                let place = if path.ends_with("response") { 25 } else { bytes.len() - 4 };
                bytes[place] ^= 1;
                *field = hex::encode(bytes).into();
                let outcome = run(&changed.to_string()).unwrap();
                assert!(outcome.is_err_and(|m| m.item.starts_with("card side")), "{id}: {path}");
            }
        }
    }

    #[test]
    fn vectors_without_a_card_s_side_are_left_to_the_other() {
        for text in [
            r#"{"id":"x","type":"kcv","key":"00"}"#,
            r#"{"id":"x","type":"negative","expect":{"fault":"r-mac","found_by":"host"},"steps":[]}"#,
        ] {
            assert_eq!(run(text), None);
        }
        assert!(matches!(run(r#"{"id":"x","type":"transcript","steps":[]}"#), Some(Err(_))));
    }
}
