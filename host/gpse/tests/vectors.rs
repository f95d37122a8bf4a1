//! SCP03 transcripts, the card's side: the same keys and challenges give the same bytes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{send, unhex};
use jpkise_card::{CommandApdu, ResponseApdu};
use jpkise_gpse::profile::key_version;
use jpkise_gpse::secure_channel::{Opening, SecureChannel};
use jpkise_gpse::{FaultSet, GpSe, NoApplets, Profile};
use jpkise_wire::scp03::{AesKey, Challenge, IParameter, SecurityLevel, SequenceCounter, StaticKeys};
use serde_json::Value;

const SHARED: &str = "../../../shared/vectors/scp03";

fn read(path: &std::path::Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    file["vectors"].as_array().unwrap().clone()
}

/// Vectors of other projects, which are not part of the repository.
fn shared(name: &str) -> Vec<Value> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(SHARED).join(name);
    if path.exists() {
        read(&path)
    } else {
        println!("skipped: {name} is not there");
        Vec::new()
    }
}

fn own() -> Vec<Value> {
    read(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/transcripts-own.json"))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} in {value}"))
}

fn static_keys(vector: &Value) -> StaticKeys {
    let key = |name| AesKey::new(&unhex(text(&vector["keys"], name))).unwrap();
    StaticKeys::new(key("enc"), key("mac"), key("dek")).unwrap()
}

/// The card's answer to INITIALIZE UPDATE, taken apart.
struct Parsed {
    diversification: [u8; 10],
    kvn: u8,
    i: IParameter,
    challenge: Challenge,
    counter: SequenceCounter,
}

fn parse(vector: &Value) -> Parsed {
    let answer = unhex(text(&vector["initialize_update"], "response"));
    let size = usize::try_from(vector["s_mode"].as_u64().unwrap()).unwrap();
    // Some real cards say i = 70 and mean S16; the length decides.
    let i = IParameter::new(answer[12]).unwrap();
    let counter = answer.get(13 + 2 * size..16 + 2 * size).filter(|_| i.is_pseudo_random());
    Parsed {
        diversification: answer[..10].try_into().unwrap(),
        kvn: answer[10],
        i,
        challenge: Challenge::new(&answer[13..13 + size]).unwrap(),
        counter: counter.map_or_else(SequenceCounter::default, |bytes| {
            SequenceCounter::from_bytes(bytes.try_into().unwrap())
        }),
    }
}

/// The session alone: INITIALIZE UPDATE, EXTERNAL AUTHENTICATE, each command unwrapped, each answer wrapped.
fn run(vector: &Value) {
    let id = text(vector, "id");
    let (keys, parsed) = (static_keys(vector), parse(vector));
    let command = CommandApdu::parse(&unhex(text(&vector["initialize_update"], "command"))).unwrap();
    let opening = Opening {
        kvn: parsed.kvn,
        keys: &keys,
        i: parsed.i,
        diversification: parsed.diversification,
        card_challenge: parsed.challenge,
        counter: parsed.counter,
        least_level: SecurityLevel::NONE,
        faults: FaultSet::NONE,
    };
    let mut channel = SecureChannel::default();
    let answer = channel.initialize(&opening, &Challenge::new(command.data()).unwrap());
    let expected = text(&vector["initialize_update"], "response");
    assert_eq!(hex::encode(answer) + "9000", expected, "{id}: INITIALIZE UPDATE");
    let command = CommandApdu::parse(&unhex(text(&vector["external_authenticate"], "command"))).unwrap();
    channel.external_authenticate(&command).unwrap_or_else(|e| panic!("{id}: {e:?}"));
    for (number, step) in vector["steps"].as_array().unwrap().iter().enumerate() {
        let place = format!("{id}, step {} ({})", number + 1, text(step, "name"));
        let wire = CommandApdu::parse(&unhex(text(step, "command"))).unwrap();
        let plain = CommandApdu::parse(&unhex(text(step, "plain_command"))).unwrap();
        let got = channel.unwrap(wire).unwrap_or_else(|sw| panic!("{place}: {sw}"));
        assert_eq!(got.header()[1..], plain.header()[1..], "{place}");
        assert_eq!(got.data(), plain.data(), "{place}");
        assert_eq!(got.expected().is_some(), plain.expected().is_some(), "{place}");
        let Some(wire) = step["response"].as_str() else { continue };
        let answer = channel.wrap(ResponseApdu::parse(&unhex(text(step, "plain_response"))).unwrap());
        if step["response_padding"].as_str() == Some("non-minimal") {
            continue;
        }
        assert_eq!(hex::encode(answer.to_bytes()), wire, "{place}");
    }
}

#[test]
fn our_own_transcripts_come_out_byte_for_byte() {
    let vectors = own();
    assert!(vectors.len() >= 11);
    vectors.iter().for_each(run);
}

#[test]
fn the_transcripts_of_other_projects_come_out_byte_for_byte() {
    for name in ["globalplatformpro", "kaoh", "pysim", "samsung", "scll"] {
        shared(&format!("transcripts-{name}.json")).iter().for_each(run);
    }
}

/// A whole card made after the transcript; its challenge is replayed unless `aid` says how it was computed.
fn card_of(vector: &Value, replay: bool) -> GpSe {
    let parsed = parse(vector);
    let key = |name| unhex(text(&vector["keys"], name));
    let keys = key_version(parsed.kvn, &key("enc"), &key("mac"), &key("dek")).unwrap();
    let before = SequenceCounter::from_bytes({
        let [_, a, b, c] = parsed.counter.value().saturating_sub(1).to_be_bytes();
        [a, b, c]
    });
    let mut profile = Profile::default().with_keys(keys).with_i(parsed.i).with_sequence_counter(before);
    profile.diversification = parsed.diversification;
    if let Some(aid) = vector["pseudo_random_aid"].as_str() {
        profile.issuer = aid.parse().unwrap();
    }
    if replay {
        profile.replayed_challenges.push(parsed.challenge);
    }
    GpSe::in_memory(profile, Box::new(NoApplets)).unwrap()
}

#[test]
fn a_whole_card_answers_initialize_update_like_the_recorded_one() {
    let mut computed = 0;
    let others = ["globalplatformpro", "kaoh", "pysim", "samsung", "scll"];
    let others = others.iter().flat_map(|name| shared(&format!("transcripts-{name}.json")));
    for vector in own().into_iter().chain(others) {
        let id = text(&vector, "id").to_owned();
        // Where the challenge follows from counter and AID, the card must find it by itself.
        let replay = vector["pseudo_random_aid"].is_null();
        computed += usize::from(!replay);
        let mut card = card_of(&vector, replay);
        let on_channel_1 = id.ends_with("channel1");
        if on_channel_1 {
            assert_eq!(send(&mut card, "0070000001"), "019000");
        }
        let exchange = &vector["initialize_update"];
        let answer = send(&mut card, text(exchange, "command"));
        assert_eq!(answer.to_lowercase(), text(exchange, "response"), "{id}");
        let answer = send(&mut card, text(&vector["external_authenticate"], "command"));
        assert_eq!(answer, "9000", "{id}");
    }
    assert!(computed >= 8, "only {computed} challenges were computed");
}

#[test]
fn each_fault_that_a_card_must_find_gets_its_status_word_and_ends_the_session() {
    let mut found = 0;
    for vector in shared("negative.json") {
        if vector["expect"]["found_by"] != "card" {
            continue;
        }
        found += 1;
        let id = text(&vector, "id").to_owned();
        let expected = text(&vector["expect"], "status_word");
        let mut card = card_of(&vector, true);
        let answer = send(&mut card, text(&vector["initialize_update"], "command"));
        assert_eq!(answer.to_lowercase(), text(&vector["initialize_update"], "response"), "{id}");
        let answer = send(&mut card, text(&vector["external_authenticate"], "command"));
        if vector["target"] == "external-authenticate" {
            assert_eq!(answer, expected, "{id}");
            // No session: management is refused, and so is a second try without INITIALIZE UPDATE.
            assert_eq!(send(&mut card, "80F28002024F0000"), "6982", "{id}");
            let again = send(&mut card, text(&vector["external_authenticate"], "command"));
            assert_eq!(again, "6985", "{id}");
            continue;
        }
        assert_eq!(answer, "9000", "{id}");
        let steps = vector["steps"].as_array().unwrap();
        let (last, good) = steps.split_last().unwrap();
        for step in good {
            let answer = send(&mut card, text(step, "command"));
            assert_ne!(answer, "6982", "{id}: {}", text(step, "name"));
        }
        assert_eq!(send(&mut card, text(last, "command")), expected, "{id}");
        // Aborted is not ended: nothing works, in clear or not, until a new INITIALIZE UPDATE.
        assert_eq!(send(&mut card, "80CA006600"), "6982", "{id}");
        assert_eq!(send(&mut card, text(last, "command")), "6982", "{id}");
        let again = send(&mut card, text(&vector["initialize_update"], "command"));
        assert!(again.ends_with("9000"), "{id}");
    }
    println!("{found} faults");
}
