//! How long things take. Judges nothing but that they work; the figures go into the report.

use std::time::Instant;

use jpkise_cap::{Cap, LoadOptions};
use jpkise_gp::commands::install::ForLoad;
use jpkise_gp::workflow::{delete, load, open_channel, ChannelOptions, LevelChoice, LoadRequest};
use jpkise_jpki::edge::{KeyRef, Pin, INSTANCE_AID, SP_KEY_VERSION};
use jpkise_jpki::{channel, Admin, JpkiClient};
use jpkise_wire::Aid;

use super::{verdict, Coded, Context, Stop, Test, ACTIVE, INSTALLED};
use crate::run::state;
use crate::suite::model::{CardState, Changes, Need};

/// How often quick things are measured, and slow ones.
const QUICK: usize = 100;
const SLOW: usize = 20;
/// How often a package is loaded.
const LOADS: usize = 5;

/// The suite.
pub const SUITE: Coded = Coded {
    id: "perf",
    title: "Times and rates",
    title_ja: "時間と速度",
    tests: &[
        Test {
            id: "exchange",
            name: "Time of a short exchange",
            name_ja: "短いやり取りの時間",
            reason: "What reader and transport cost without the card's work",
            state: CardState::Any,
            changes: Changes::Nothing,
            needs: &[],
            run: |context| verdict(exchange(context), "GET DATA"),
        },
        Test {
            id: "scp03",
            name: "Time of an SCP03 handshake, SELECT included",
            name_ja: "SELECT を含む SCP03 ハンドシェイクの時間",
            reason: "Every session of a TSM begins with it",
            state: CardState::Fresh,
            changes: Changes::Content,
            needs: &[],
            run: |context| verdict(handshake(context), "SCP03"),
        },
        Test {
            id: "verify-and-sign",
            name: "Time of VERIFY and of a signature with each key",
            name_ja: "VERIFY と各鍵の署名の時間",
            reason: "What a user waits for",
            state: ACTIVE,
            changes: Changes::Nothing,
            needs: &[],
            run: |context| verdict(verify_and_sign(context), "COMPUTE DIGITAL SIGNATURE"),
        },
        Test {
            id: "read-certificate",
            name: "Time of reading a certificate",
            name_ja: "証明書読出しの時間",
            reason: "What a user waits for",
            state: ACTIVE,
            changes: Changes::Nothing,
            needs: &[],
            run: |context| verdict(read_certificate(context), "READ BINARY"),
        },
        Test {
            id: "generate",
            name: "Time of key generation on the card",
            name_ja: "カード内の鍵生成の時間",
            reason: "The longest step of an issuance, and the least even one",
            state: INSTALLED,
            changes: Changes::Content,
            needs: &[],
            run: |context| verdict(generate(context), "GENERATE ASYMMETRIC KEY PAIR"),
        },
        Test {
            id: "load",
            name: "Rate of loading a package",
            name_ja: "パッケージのロード速度",
            reason: "What an SEI-TSM waits for",
            state: CardState::Fresh,
            changes: Changes::Content,
            needs: &[Need::Load],
            run: |context| verdict(load_package(context), "LOAD"),
        },
    ],
};

fn exchange(context: &mut Context<'_>) -> Result<(), Stop> {
    use jpkise_card::CommandApdu;
    let card = context.bench.card();
    card.send(&jpkise_gp::commands::select::select(&[])).map_err(Stop::broken)?;
    let command = CommandApdu::new(0x80, 0xCA, 0x00, 0x66).expecting_all();
    for _ in 0..QUICK {
        let clock = Instant::now();
        context.bench.card().send(&command).map_err(Stop::broken)?;
        context.time("exchange", clock.elapsed());
    }
    Ok(())
}

fn handshake(context: &mut Context<'_>) -> Result<(), Stop> {
    let keys = context.keys("issuer")?;
    for _ in 0..QUICK {
        let clock = Instant::now();
        let options = ChannelOptions { level: LevelChoice::Best, ..ChannelOptions::default() };
        open_channel(context.bench.card(), keys.as_ref(), &options, &mut context.rng)
            .map_err(Stop::broken)?;
        context.time("scp03-handshake", clock.elapsed());
    }
    Ok(())
}

fn verify_and_sign(context: &mut Context<'_>) -> Result<(), Stop> {
    let pin = || Pin::new(state::PIN).map_err(Stop::broken);
    let password = jpkise_jpki::edge::Password::new(state::PASSWORD).map_err(Stop::broken)?;
    for _ in 0..SLOW {
        let mut client = JpkiClient::select(context.bench.card()).map_err(Stop::broken)?;
        let clock = Instant::now();
        client.verify(&pin()?).map_err(Stop::broken)?;
        let verified = clock.elapsed();
        client.verify(&password).map_err(Stop::broken)?;
        let mut times = Vec::new();
        for key in KeyRef::ALL {
            let clock = Instant::now();
            client.sign_digest(key, &[0x5A; 32]).map_err(Stop::broken)?;
            times.push((key, clock.elapsed()));
        }
        context.time("verify", verified);
        for (key, took) in times {
            context.time(&format!("signature-{key}"), took);
        }
        if context.options.stopped() {
            break;
        }
    }
    Ok(())
}

fn read_certificate(context: &mut Context<'_>) -> Result<(), Stop> {
    let pin = Pin::new(state::PIN).map_err(Stop::broken)?;
    for _ in 0..SLOW {
        let mut client = JpkiClient::select(context.bench.card()).map_err(Stop::broken)?;
        client.verify(&pin).map_err(Stop::broken)?;
        let clock = Instant::now();
        let certificate = client.certificate(KeyRef::Auth).map_err(Stop::broken)?;
        let took = clock.elapsed();
        context.time("read-certificate", took);
        let expected = context.values.get("auth-certificate");
        if expected.is_some_and(|expected| *expected != certificate) {
            return Err(Stop::differs("certificate", "the one that was stored", "another"));
        }
    }
    Ok(())
}

fn generate(context: &mut Context<'_>) -> Result<(), Stop> {
    let keys = context.keys("sp")?;
    for _ in 0..SLOW {
        let card = context.bench.card();
        let mut session = channel::open(card, &INSTANCE_AID, keys.as_ref(), SP_KEY_VERSION, &mut context.rng)
            .map_err(Stop::broken)?;
        let mut admin = Admin::new(&mut session).map_err(Stop::broken)?;
        let clock = Instant::now();
        admin.generate(KeyRef::Auth).map_err(Stop::broken)?;
        let took = clock.elapsed();
        // A key that cannot be read was not made.
        admin.public_key(KeyRef::Auth).map_err(Stop::broken)?;
        admin.delete(KeyRef::Auth, &mut rand::rngs::OsRng).map_err(Stop::broken)?;
        context.time("key-generation", took);
        if context.options.stopped() {
            break;
        }
    }
    Ok(())
}

/// The JPKI applet's package under another AID, as it is sent, and that AID.
pub(super) fn renamed_package() -> Result<(Vec<u8>, Aid), Stop> {
    let cap = Cap::read(crate::dist::JPKI_CAP).map_err(Stop::broken)?;
    let mut block = cap.load_file_data_block(LoadOptions::default());
    let own = cap.header.package.aid.as_bytes().to_vec();
    let mut other = own.clone();
    if let Some(last) = other.last_mut() {
        *last = 0x7E;
    }
    // Package AID in Header, module AID in Applet: the same bytes in front.
    let places: Vec<usize> = block
        .windows(own.len())
        .enumerate()
        .filter(|(_, w)| *w == own.as_slice())
        .map(|(at, _)| at)
        .collect();
    for at in places {
        block[at..at + other.len()].copy_from_slice(&other);
    }
    Ok((block, Aid::new(&other).map_err(Stop::broken)?))
}

fn load_package(context: &mut Context<'_>) -> Result<(), Stop> {
    let keys = context.keys("issuer")?;
    let (block, aid) = renamed_package()?;
    for _ in 0..LOADS {
        let options = ChannelOptions { level: LevelChoice::Best, ..ChannelOptions::default() };
        let mut session = open_channel(context.bench.card(), keys.as_ref(), &options, &mut context.rng)
            .map_err(Stop::broken)?;
        let request = LoadRequest {
            announcement: ForLoad::new(aid, None),
            data_block: &block,
            daps: Vec::new(),
            block_size: None,
        };
        let clock = Instant::now();
        let loaded = load(&mut session, &request, &mut |_| {});
        let took = clock.elapsed();
        loaded.map_err(|error| Stop::differs("LOAD", "the package taken", error))?;
        delete(&mut session, aid, false)
            .map_err(|error| Stop::differs("DELETE", "the package deleted", error))?;
        context.time("load", took);
        #[allow(clippy::cast_precision_loss)]
        let rate = block.len() as f64 / took.as_secs_f64().max(1e-9);
        context.figure("load-rate", "bytes/s", rate);
    }
    context.remark(format!("{} bytes a load", block.len()));
    Ok(())
}
