//! The same work over and over: nothing must run out, slow down for good, or change.

use std::time::{Duration, Instant};

use jpkise_jpki::edge::{KeyRef, Password, Pin, INSTANCE_AID, SP_KEY_VERSION};
use jpkise_jpki::{channel, Admin, JpkiClient};

use super::{verdict, Coded, Context, Stop, Test, ACTIVE};
use crate::run::state;
use crate::suite::model::Changes;

/// The suite.
pub const SUITE: Coded = Coded {
    id: "soak",
    title: "The same work over and over",
    title_ja: "同じ作業の繰り返し",
    tests: &[Test {
        id: "day",
        name: "Verify, sign, read, attest, as long as --seconds says; memory and states stay",
        name_ja: "--seconds の間、検証・署名・読出し・状態証明を繰り返しても、メモリと状態は変わらない",
        reason: "An applet that loses a byte a day is a dead phone in a year",
        state: ACTIVE,
        changes: Changes::Content,
        needs: &[],
        run: |context| verdict(day(context), "soak"),
    }],
};

fn day(context: &mut Context<'_>) -> Result<(), Stop> {
    let keys = context.keys("sp")?;
    let until = Instant::now() + Duration::from_secs(context.options.seconds);
    let before = resources(context)?;
    let mut rounds = 0u64;
    while Instant::now() < until && !context.options.stopped() {
        let pin = Pin::new(state::PIN).map_err(Stop::broken)?;
        let password = Password::new(state::PASSWORD).map_err(Stop::broken)?;
        let wrong = |what: &str, error: &dyn std::fmt::Display| {
            Stop::differs(format!("{what} in round {}", rounds + 1), "to work", error)
        };
        let clock = Instant::now();
        let mut client = JpkiClient::select(context.bench.card()).map_err(|e| wrong("SELECT", &e))?;
        client.verify(&pin).map_err(|e| wrong("VERIFY", &e))?;
        client.verify(&password).map_err(|e| wrong("VERIFY", &e))?;
        for key in KeyRef::ALL {
            client.sign_digest(key, &[0x5A; 32]).map_err(|e| wrong("COMPUTE DIGITAL SIGNATURE", &e))?;
        }
        client.certificate(KeyRef::Auth).map_err(|e| wrong("READ BINARY", &e))?;
        let card = context.bench.card();
        let mut session = channel::open(card, &INSTANCE_AID, keys.as_ref(), SP_KEY_VERSION, &mut context.rng)
            .map_err(|e| wrong("SCP03", &e))?;
        let mut admin = Admin::new(&mut session).map_err(|e| wrong("SCP03", &e))?;
        admin.attest(&mut rand::rngs::OsRng).map_err(|e| wrong("GET DATA DF32", &e))?;
        context.time("soak-round", clock.elapsed());
        rounds += 1;
    }
    let after = resources(context)?;
    context.remark(format!("{rounds} rounds"));
    if before.is_some() && before != after {
        let show = |value: Option<Vec<u8>>| value.map(hex::encode_upper).unwrap_or_default();
        return Err(Stop::differs("free memory (FF21)", show(before), show(after)));
    }
    Ok(())
}

/// Extended card resources, where the card tells them.
fn resources(context: &mut Context<'_>) -> Result<Option<Vec<u8>>, Stop> {
    use jpkise_card::CommandApdu;
    let card = context.bench.card();
    card.reset().map_err(Stop::broken)?;
    card.send(&jpkise_gp::commands::select::select(&[])).map_err(Stop::broken)?;
    let answer =
        card.send(&CommandApdu::new(0x80, 0xCA, 0xFF, 0x21).expecting_all()).map_err(Stop::broken)?;
    Ok(answer.sw.is_success().then_some(answer.data))
}
