//! Structure-aware fuzzing of card manager, applet and ARA-M: commands that look right and are not.
//!
//! The run is a row of *episodes*: a reset, a SELECT, a secure channel at times, then a few commands. What an episode
//! sends is drawn from a generator seeded by the run's seed and the episode's number alone, so that a seed repeats a run
//! command by command. After each answer and each episode the invariants are asked:
//!
//! | invariant | broken by |
//! |---|---|
//! | a precise answer | 6Fxx |
//! | an answer at all | silence, or fewer than two bytes |
//! | nothing changes without success | DF31, or the registry, before and after an episode of refusals only |
//! | secrets stay inside | PIN, password or a key in an answer |
//! | the same again | another row of status words when a simulated card goes through the episode once more |

use std::time::{Duration, Instant};

use jpkise_card::{CommandApdu, Transport};
use jpkise_gp::workflow::{open_channel, read_registry, ChannelOptions, LevelChoice};
use jpkise_jpki::edge::{INSTANCE_AID, SP_KEY_VERSION};
use jpkise_wire::scp03::SecurityLevel;
use jpkise_wire::Aid;
use rand::rngs::OsRng;
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::{verdict, Coded, Context, Stop, Test, ACTIVE};
use crate::run::line::{self, Line, OpenRequest};
use crate::run::outcome::Mismatch;
use crate::run::state;
use crate::suite::model::{CardState, Changes, LevelWanted, Via};

/// Longest episode.
const COMMANDS: usize = 12;
/// Findings after which a test ends: more of the same help nobody.
const MAX_FINDINGS: usize = 5;

/// The suite.
pub const SUITE: Coded = Coded {
    id: "fuzz",
    title: "Structured nonsense",
    title_ja: "構造を持つでたらめ",
    tests: &[
        Test {
            id: "card-manager",
            name: "The card manager under structured nonsense",
            name_ja: "でたらめなコマンドに対するカードマネージャ",
            reason: "Whoever holds the phone can send anything",
            state: ACTIVE,
            changes: Changes::ForGood,
            needs: &[],
            run: |context| verdict(fuzz(context, &Subject::CARD_MANAGER), "fuzz"),
        },
        Test {
            id: "jpki",
            name: "The JPKI applet under structured nonsense",
            name_ja: "でたらめなコマンドに対する JPKI アプレット",
            reason: "Whoever holds the phone can send anything",
            state: ACTIVE,
            changes: Changes::ForGood,
            needs: &[],
            run: |context| verdict(fuzz(context, &Subject::JPKI), "fuzz"),
        },
        Test {
            id: "ara",
            name: "The ARA-M under structured nonsense",
            name_ja: "でたらめなコマンドに対する ARA-M",
            reason: "Whoever holds the phone can send anything",
            state: CardState::Ara,
            changes: Changes::ForGood,
            needs: &[],
            run: |context| verdict(fuzz(context, &Subject::ARA), "fuzz"),
        },
    ],
};

/// What is fuzzed: where, and the headers that mean something there (CLA INS P1 P2, the last two as alternatives).
struct Subject {
    aid: Option<Aid>,
    keys: &'static str,
    kvn: u8,
    headers: &'static [(u8, u8, &'static [u8], &'static [u8])],
    /// Beginnings of data fields that mean something there.
    seeds: &'static [&'static [u8]],
}

impl Subject {
    const CARD_MANAGER: Self = Self {
        aid: None,
        keys: "issuer",
        kvn: 0,
        headers: &[
            (
                0x80,
                0xCA,
                &[0x00, 0x9F, 0xFF, 0x2F, 0x5F],
                &[0x42, 0x45, 0x66, 0x67, 0xE0, 0xC1, 0xD3, 0x7F, 0x21, 0x00, 0x50],
            ),
            (0x80, 0xF2, &[0x80, 0x40, 0x20, 0x10], &[0x00, 0x01, 0x02, 0x03]),
            (0x80, 0xF0, &[0x40, 0x60], &[0x00, 0x07, 0x80, 0x83]),
            (0x80, 0xE6, &[0x02, 0x04, 0x08, 0x0C, 0x10, 0x20, 0x40, 0x82, 0x8C], &[0x00]),
            (0x80, 0xE8, &[0x00, 0x80], &[0x00, 0x01, 0xFF]),
            (0x80, 0xE4, &[0x00, 0x80], &[0x00, 0x80]),
            (0x80, 0xD8, &[0x00, 0x30, 0x31], &[0x01, 0x81, 0x82]),
            (0x80, 0xE2, &[0x10, 0x88, 0x90, 0x91, 0xE0], &[0x00, 0x01]),
            (0x80, 0x50, &[0x00, 0x30, 0x31, 0xFF], &[0x00, 0x01]),
            (0x84, 0x82, &[0x00, 0x01, 0x03, 0x33], &[0x00]),
            (0x80, 0x7A, &[0x10, 0x30], &[0x01]),
            (0x80, 0x78, &[0x00], &[0x03]),
            (0x00, 0x70, &[0x00, 0x80], &[0x00, 0x01, 0x02, 0x03, 0x04]),
            (0x00, 0xA4, &[0x04], &[0x00, 0x02, 0x0C]),
            (0x00, 0xC0, &[0x00], &[0x00]),
        ],
        seeds: &[
            &[0x4F, 0x00],
            &[0x4F, 0x08, 0xA0, 0, 0, 1, 0x51, 0, 0, 0],
            &[0xD2, 0x01, 0x31],
            &[0x07, 0xA0, 0, 0, 1, 0x51, 0x53, 0x50, 0x08, 0xA0, 0, 0, 1, 0x51, 0x53, 0x50, 0x41],
            &[0x31, 0x88, 0x10],
            &[0x45, 0x08, 1, 2, 3, 4, 5, 6, 7, 8],
            &[0x00, 0x70, 0x0A, 0x45, 0x08],
            &[0xC4, 0x82, 0x10, 0x00, 0xDE, 0xCA, 0xFF, 0xED],
            &[0xE2, 0x10],
        ],
    };

    const JPKI: Self = Self {
        aid: Some(INSTANCE_AID),
        keys: "sp",
        kvn: SP_KEY_VERSION,
        headers: &[
            (0x00, 0xA4, &[0x02, 0x04], &[0x0C, 0x00]),
            (0x00, 0xB0, &[0x00, 0x01, 0x7F, 0x81, 0x82, 0x86, 0x8A, 0x9F], &[0x00, 0x01, 0x80, 0xFF]),
            (0x00, 0x20, &[0x00, 0x01], &[0x80, 0x98, 0x9B, 0x81, 0x00]),
            (0x00, 0x24, &[0x00, 0x01, 0x02], &[0x80, 0x98, 0x9B]),
            (0x80, 0x2A, &[0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06], &[0x80, 0x97, 0x9A]),
            (0x90, 0x2A, &[0x01, 0x03, 0x05], &[0x97, 0x9A]),
            (0x00, 0x84, &[0x00], &[0x00]),
            (0x00, 0x82, &[0x00], &[0x00]),
            (0x80, 0xCA, &[0xDF, 0x7F], &[0x30, 0x31, 0x32, 0x33, 0x3E, 0x49]),
            (0x80, 0x46, &[0x01, 0x02, 0x03], &[0x00]),
            (0x80, 0x2B, &[0x01, 0x02], &[0x00]),
            (0x80, 0xE2, &[0x08, 0x88, 0x80], &[0x00, 0x01]),
            (0x80, 0x2C, &[0x01, 0x02], &[0x00]),
            (0x80, 0x04, &[0x01, 0x02], &[0x00]),
            (0x80, 0x44, &[0x01, 0x02], &[0x00]),
            (0x80, 0x50, &[0x30, 0x00], &[0x00]),
            (0x84, 0x82, &[0x01, 0x13, 0x33], &[0x00]),
        ],
        seeds: &[
            b"1234",
            b"0000",
            b"ABC123",
            &[0x00, 0x0A],
            &[0x00, 0x1B],
            &[0x00, 0x01],
            &[0x30, 0x31, 0x30, 0x0D, 0x06, 0x09],
            &[0x00, 0x06, 0xA0],
            &[0x01, 0x01, 0x01, 0x02],
            &[0x01, 0x02, 0x02, 0xFF, 0xFF],
            &[0x82, 0x01, 0x20],
            &[0x01, 0x00],
            &[0x02, 0x01],
        ],
    };

    const ARA: Self = Self {
        aid: Some(jpkise_gp::ara::ARA_M_AID),
        keys: "issuer",
        kvn: 0,
        headers: &[
            (0x80, 0xCA, &[0xFF, 0xDF], &[0x40, 0x50, 0x60, 0x20, 0x21]),
            (0x80, 0xE2, &[0x10, 0x90, 0x91, 0x80], &[0x00, 0x01, 0x02]),
            (0x80, 0x50, &[0x00, 0x30], &[0x00]),
            (0x84, 0x82, &[0x01, 0x33], &[0x00]),
            (0x00, 0xA4, &[0x04], &[0x00, 0x02]),
        ],
        seeds: &[
            &[0xF0, 0x20, 0xE2, 0x1E, 0xE1, 0x17, 0x4F, 0x00, 0xC1, 0x14],
            &[0xF1, 0x00],
            &[0xF2, 0x00],
            &[0xF7, 0x07, 0x4F, 0x05],
            &[0xE1, 0x04, 0x4F, 0x00, 0xC1, 0x00],
            &[0xE4, 0x05, 0xE6, 0x03, 1, 0, 0],
        ],
    };
}

/// One thing an episode does.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Act {
    /// A secure channel is opened, well.
    Open,
    /// A command, secured where a channel is open and the flag says so.
    Send(CommandApdu, bool),
    /// Bytes as they are.
    Raw(Vec<u8>),
}

/// What episode `number` does.
fn episode(subject: &Subject, rng: &mut ChaCha20Rng) -> Vec<Act> {
    let mut acts = Vec::new();
    if rng.gen_ratio(2, 5) {
        acts.push(Act::Open);
    }
    for _ in 0..rng.gen_range(1..=COMMANDS) {
        acts.push(act(subject, rng));
    }
    acts
}

fn pick<T: Copy>(rng: &mut ChaCha20Rng, all: &[T]) -> Option<T> {
    (!all.is_empty()).then(|| all[rng.gen_range(0..all.len())])
}

fn act(subject: &Subject, rng: &mut ChaCha20Rng) -> Act {
    let Some((mut cla, mut ins, p1s, p2s)) = pick(rng, subject.headers) else { return Act::Open };
    let mut p1 = pick(rng, p1s).unwrap_or(0);
    let mut p2 = pick(rng, p2s).unwrap_or(0);
    let mut data = data(subject, rng);
    // One part in four goes wrong.
    match rng.gen_range(0..24) {
        0 => cla ^= 1 << rng.gen_range(0..8),
        1 => ins ^= 1 << rng.gen_range(0..8),
        2 => p1 = rng.gen(),
        3 => p2 = rng.gen(),
        4 => data.truncate(rng.gen_range(0..=data.len())),
        5 => data.extend((0..rng.gen_range(0..64)).map(|_| rng.gen::<u8>())),
        _ => {}
    }
    // What nobody can take back, and what every later episode would trip over, is left out: the last key of a domain, the
    // card's own state, the third wrong try in a row is allowed to come about by itself.
    let ends_the_card = ins == 0xF0 && p1 & 0x80 != 0;
    let secured = !rng.gen_ratio(1, 6);
    if rng.gen_ratio(1, 30) {
        let mut raw = vec![cla, ins, p1, p2];
        raw.push(rng.gen());
        raw.extend(&data);
        raw.truncate(rng.gen_range(0..=raw.len()));
        if !ends_the_card {
            return Act::Raw(raw);
        }
    }
    data.truncate(CommandApdu::SHORT_MAX);
    let p1 = if ends_the_card { 0x40 } else { p1 };
    let mut command = CommandApdu::new(cla, ins, p1, p2).with_data(data);
    if rng.gen_ratio(4, 5) {
        command = command.expecting(jpkise_card::Expected::from_short(if rng.gen_ratio(1, 6) {
            rng.gen()
        } else {
            0
        }));
    }
    Act::Send(command, secured)
}

fn data(subject: &Subject, rng: &mut ChaCha20Rng) -> Vec<u8> {
    match rng.gen_range(0..6) {
        0 => Vec::new(),
        1 => {
            let mut random = vec![0; rng.gen_range(1..=40)];
            rng.fill_bytes(&mut random);
            random
        }
        2 => vec![rng.gen(); rng.gen_range(1..=255)],
        _ => {
            let mut seed = pick(rng, subject.seeds).unwrap_or_default().to_vec();
            // Sometimes a bit of it, or its length byte, is another.
            if rng.gen_ratio(1, 3) && !seed.is_empty() {
                let at = rng.gen_range(0..seed.len());
                seed[at] ^= 1 << rng.gen_range(0..8);
            }
            if rng.gen_bool(0.5) {
                seed.extend((0..rng.gen_range(0..32)).map(|_| rng.gen::<u8>()));
            }
            seed
        }
    }
}

/// What an episode came to: a status word for each act, and what broke.
struct Played {
    words: Vec<String>,
    findings: Vec<Mismatch>,
    /// Whether any command was accepted, in part even: then states may change.
    accepted: bool,
}

fn show(act: &Act) -> String {
    match act {
        Act::Open => "SCP03".to_owned(),
        Act::Send(command, secured) => {
            let bytes = command.to_bytes().map(|b| hex::encode_upper(b.as_slice())).unwrap_or_default();
            if *secured {
                bytes
            } else {
                format!("{bytes} (in clear)")
            }
        }
        Act::Raw(bytes) => hex::encode_upper(bytes),
    }
}

fn play(
    context: &mut Context<'_>,
    subject: &Subject,
    acts: &[Act],
    number: u64,
    secrets: &[Vec<u8>],
) -> Result<Played, Stop> {
    let keys = context.keys(subject.keys)?;
    let mut played = Played { words: Vec::new(), findings: Vec::new(), accepted: false };
    context.bench.card().reset().map_err(Stop::broken)?;
    let select = jpkise_gp::commands::select::select(subject.aid.as_ref().map_or(&[], |a| a.as_bytes()));
    let selected = context.bench.card().send(&select).map_err(Stop::broken)?;
    if !selected.sw.is_success() {
        played.findings.push(Mismatch::new(format!("episode {number}, SELECT"), "9000", selected.sw));
        return Ok(played);
    }
    let mut open: Option<Line> = None;
    for (index, act) in acts.iter().enumerate() {
        let place = || format!("episode {number}, command {}: {}", index + 1, show(act));
        let card = context.bench.card();
        let answer = match act {
            Act::Open => {
                let request = OpenRequest {
                    keys: keys.as_ref(),
                    kvn: subject.kvn,
                    level: LevelWanted::Exactly(SecurityLevel::L13),
                    challenge: None,
                    channel: 0,
                    fault: None,
                };
                let opened = line::open(card, &request, &mut context.rng).map_err(Stop::broken)?;
                open = opened.line;
                played.words.push(opened.sw.to_string());
                continue;
            }
            Act::Raw(bytes) => match card.served().transmit(bytes) {
                Ok(answer) => jpkise_card::ResponseApdu::parse(&answer).map_err(|e| e.to_string()),
                Err(error) => Err(error.to_string()),
            },
            Act::Send(command, secured) => {
                match open.as_mut().filter(|_| *secured && command.cla & 0x60 == 0) {
                    Some(line) if command.data().len() <= line.max_data() => {
                        let mut command = command.clone();
                        command.cla &= !0x0C;
                        match line.send(card, &command, Via::Secured) {
                            Ok(answer) => Ok(answer),
                            // Its MAC is wrong because the card has ended the session; that it ended is in the status word.
                            Err(line::LineError::Card(error)) => Err(error.to_string()),
                            Err(_) => {
                                open = None;
                                played.words.push("closed".to_owned());
                                continue;
                            }
                        }
                    }
                    _ => card.send(command).map_err(|error| error.to_string()),
                }
            }
        };
        match answer {
            Err(error) => {
                played.findings.push(Mismatch::new(place(), "an answer", error));
                return Ok(played);
            }
            Ok(answer) => {
                played.words.push(answer.sw.to_string());
                played.accepted |= answer.sw.is_protected() || answer.sw.sw1() == 0x61;
                if answer.sw.sw1() == 0x6F {
                    played.findings.push(Mismatch::new(place(), "a precise status word", answer.sw));
                }
                for secret in secrets {
                    if answer.data.windows(secret.len()).any(|window| window == secret.as_slice()) {
                        played.findings.push(Mismatch::new(place(), "no secret in the answer", "one"));
                    }
                }
            }
        }
    }
    Ok(played)
}

/// Everything persistent that can be asked without changing it.
fn persistent(context: &mut Context<'_>) -> Result<Vec<String>, Stop> {
    let keys = context.keys("issuer")?;
    let card = context.bench.card();
    card.reset().map_err(Stop::broken)?;
    let options = ChannelOptions { level: LevelChoice::Best, ..ChannelOptions::default() };
    let mut session = open_channel(card, keys.as_ref(), &options, &mut OsRng).map_err(Stop::broken)?;
    let mut seen = vec![format!("{:?}", read_registry(&mut session).map_err(Stop::broken)?)];
    for (aid, p1, p2) in [(INSTANCE_AID, 0xDF, 0x31), (jpkise_gp::ara::ARA_M_AID, 0xDF, 0x20)] {
        card.send(&jpkise_gp::commands::select::select(aid.as_bytes())).map_err(Stop::broken)?;
        let answer =
            card.send(&CommandApdu::new(0x80, 0xCA, p1, p2).expecting_all()).map_err(Stop::broken)?;
        seen.push(hex::encode_upper(answer.data));
    }
    Ok(seen)
}

fn fuzz(context: &mut Context<'_>, subject: &Subject) -> Result<(), Stop> {
    let share = Duration::from_secs(context.options.seconds) / u32::try_from(SUITE.tests.len()).unwrap_or(1);
    let until = Instant::now() + share;
    let secrets: Vec<Vec<u8>> = vec![
        state::PIN.as_bytes().to_vec(),
        state::PASSWORD.as_bytes().to_vec(),
        (0x40..0x50).collect(),
        (0x50..0x60).collect(),
        (0x60..0x70).collect(),
    ];
    let kept = context.bench.simulated().map(|bench| bench.memory().card());
    let (mut number, mut commands, mut findings) = (0u64, 0usize, Vec::new());
    let mut seed = [0; 32];
    context.rng.fill_bytes(&mut seed);
    let before = persistent(context)?;
    while Instant::now() < until && !context.options.stopped() && findings.len() < MAX_FINDINGS {
        number += 1;
        // A generator of its own for each episode: what one draws does not depend on how the others went.
        let mut drawn = ChaCha20Rng::from_seed(seed);
        drawn.set_stream(number);
        let acts = episode(subject, &mut drawn);
        commands += acts.len();
        restore(context, kept.as_ref())?;
        let played = play(context, subject, &acts, number, &secrets)?;
        let unjudged = played.findings.is_empty();
        findings.extend(played.findings);
        let sampled = number % 8 == 0;
        if unjudged && !played.accepted && (sampled || kept.is_none()) {
            let after = persistent(context)?;
            if let Some((was, is)) = before.iter().zip(&after).find(|(was, is)| was != is) {
                findings.push(Mismatch::new(format!("episode {number}, refused from end to end"), was, is));
            }
        }
        if unjudged && sampled && kept.is_some() {
            restore(context, kept.as_ref())?;
            let again = play(context, subject, &acts, number, &secrets)?;
            if again.words != played.words {
                let (was, is) = (played.words.join(" "), again.words.join(" "));
                findings.push(Mismatch::new(format!("episode {number} once more"), was, is));
            }
        }
        if kept.is_none() && played.accepted {
            break_if_locked(context, subject)?;
        }
    }
    context.remark(format!("{number} episodes, {commands} commands, seed {}", context.options.seed));
    if findings.is_empty() {
        Ok(())
    } else {
        Err(Stop::Differs(findings))
    }
}

/// A card in a reader cannot be put back: once its application is gone there is nothing left to fuzz.
fn break_if_locked(context: &mut Context<'_>, subject: &Subject) -> Result<(), Stop> {
    let select = jpkise_gp::commands::select::select(subject.aid.as_ref().map_or(&[], |a| a.as_bytes()));
    let answer = context.bench.card().send(&select).map_err(Stop::broken)?;
    if answer.sw.is_success() {
        Ok(())
    } else {
        Err(Stop::broken("an accepted command has taken the application away; start from another card"))
    }
}

fn restore(context: &mut Context<'_>, kept: Option<&jpkise_jcvm::Card>) -> Result<(), Stop> {
    match (kept, context.bench.simulated()) {
        (Some(kept), Some(bench)) => bench.restore(kept.clone()).map_err(Stop::broken),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_the_same_commands_again_and_another_seed_others() {
        let draw = |seed: u64, number: u64| {
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            rng.set_stream(number);
            episode(&Subject::JPKI, &mut rng).iter().map(show).collect::<Vec<_>>()
        };
        for number in 1..50 {
            assert_eq!(draw(1, number), draw(1, number));
        }
        assert_ne!(
            (1..20).map(|n| draw(1, n)).collect::<Vec<_>>(),
            (1..20).map(|n| draw(2, n)).collect::<Vec<_>>()
        );
    }

    #[test]
    fn nothing_drawn_ends_the_card_s_life() {
        for subject in [&Subject::CARD_MANAGER, &Subject::JPKI, &Subject::ARA] {
            for number in 0..2000 {
                let mut rng = ChaCha20Rng::seed_from_u64(number);
                for act in episode(subject, &mut rng) {
                    let header = match &act {
                        Act::Open => continue,
                        Act::Send(command, _) => command.header().to_vec(),
                        Act::Raw(bytes) => bytes.clone(),
                    };
                    let ends = header.get(1) == Some(&0xF0) && header.get(2).is_some_and(|p1| p1 & 0x80 != 0);
                    assert!(!ends, "{}", show(&act));
                }
            }
        }
    }
}
