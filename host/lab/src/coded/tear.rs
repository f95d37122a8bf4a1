//! The power fails. On a simulated card after every single write of a command; on a real one between commands.

use jpkise_card::{CardError, CommandApdu, TransportError};
use jpkise_gp::commands::install::ForInstall;
use jpkise_gp::commands::put_key::{Destination, KeyBlock};
use jpkise_gp::keys::SoftwareKeys;
use jpkise_gp::workflow::{
    create_domain, delete, install, open_channel, put_keys, ChannelOptions, DomainRequest, LevelChoice,
};
use jpkise_jpki::edge::{reference, Ef, KeyRef, Pin, Target, INSTANCE_AID, SP_KEY_VERSION};
use jpkise_jpki::{channel, Admin};
use jpkise_wire::Aid;
use rand::rngs::OsRng;

use super::{verdict, Coded, Context, Stop, Test, ACTIVE, INSTALLED};
use crate::run::bench::{Bench, LabCard};
use crate::run::simulated::SimulatedBench;
use crate::run::state;
use crate::suite::model::{CardState, Changes, Need};

/// Cuts per command for each second of `--seconds`; of longer commands every n-th write is cut.
const CUTS_PER_SECOND: u64 = 6;
/// A domain that is made and deleted.
const DOMAIN: Aid = Aid::literal([0xA0, 0x00, 0x00, 0x01, 0x51, 0x54, 0x45, 0x41, 0x52]);

/// A test that cuts the power at every write of one command.
macro_rules! torn {
    ($id:literal, $name:literal, $name_ja:literal, $state:expr, $command:expr) => {
        Test {
            id: $id,
            name: $name,
            name_ja: $name_ja,
            reason: "Pull the power anywhere: the card is in the state before or after, and tries never come back",
            state: $state,
            changes: Changes::Content,
            needs: &[Need::Simulator],
            run: |context| verdict(cut_everywhere(context, &$command), $id),
        }
    };
}

/// The suite.
pub const SUITE: Coded = Coded {
    id: "tear",
    title: "Power failures",
    title_ja: "電源断",
    tests: &[
        torn!(
            "wrong-pin",
            "A wrong PIN: the try is gone or was never made",
            "誤った PIN：回数は減ったか、試行前のまま",
            ACTIVE,
            wrong_pin
        ),
        torn!("generate", "Key generation: EMPTY or KEYED", "鍵生成：EMPTY か KEYED", INSTALLED, generate),
        torn!("hold", "Hold: ACTIVE or HELD", "一時保留：ACTIVE か HELD", ACTIVE, hold),
        torn!("revoke", "Revocation: ACTIVE or REVOKED", "失効：ACTIVE か REVOKED", ACTIVE, revoke),
        torn!(
            "install",
            "INSTALL: the domain is there or not",
            "INSTALL：ドメインはあるかないか",
            CardState::Fresh,
            install_domain
        ),
        torn!(
            "install-applet",
            "INSTALL of the applet: it is there or not",
            "アプレットの INSTALL：あるかないか",
            CardState::Fresh,
            install_applet
        ),
        torn!(
            "delete",
            "DELETE of the applet: it is there or not",
            "アプレットの DELETE：あるかないか",
            INSTALLED,
            delete_applet
        ),
        torn!(
            "put-key",
            "PUT KEY: all three keys or none",
            "PUT KEY：3 つの鍵すべてか、なし",
            CardState::Fresh,
            put_key
        ),
        Test {
            id: "between-commands",
            name: "Power off between commands: nothing volatile stays, nothing persistent goes",
            name_ja: "コマンド間の電源断：揮発性のものは残らず、永続的なものは消えない",
            reason:
                "On a card in a reader the power cannot be cut inside a command; this is what can be done",
            state: ACTIVE,
            changes: Changes::Content,
            needs: &[],
            run: |context| verdict(between_commands(context), "power off"),
        },
    ],
};

/// Keys for the commands that are torn.
struct Keys {
    issuer: std::rc::Rc<dyn jpkise_gp::keys::KeySource>,
    sp: std::rc::Rc<dyn jpkise_gp::keys::KeySource>,
}

/// A command with what stands before it; the error only says that the card went.
type Torn = dyn Fn(&mut LabCard, &Keys) -> Result<(), String>;

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

fn issuer<'a>(
    card: &'a mut LabCard,
    keys: &'a Keys,
) -> Result<
    jpkise_gp::scp03::Session<'a, Box<dyn jpkise_card::Transport>, jpkise_gp::scp03::Authenticated<'a>>,
    String,
> {
    let options = ChannelOptions { level: LevelChoice::Best, ..ChannelOptions::default() };
    open_channel(card, keys.issuer.as_ref(), &options, &mut OsRng).map_err(text)
}

fn wrong_pin(card: &mut LabCard, _: &Keys) -> Result<(), String> {
    card.send(&jpkise_jpki::edge::file::select_application(&INSTANCE_AID)).map_err(text)?;
    let wrong = Pin::new("0000").map_err(text)?;
    card.send(&reference::verify(Target::Short(Ef::AUTH_PIN), &wrong)).map(drop).map_err(text)
}

fn generate(card: &mut LabCard, keys: &Keys) -> Result<(), String> {
    with_admin(card, keys, |admin| admin.generate(KeyRef::Auth).map_err(text))
}

fn hold(card: &mut LabCard, keys: &Keys) -> Result<(), String> {
    with_admin(card, keys, |admin| admin.hold(KeyRef::Auth, &mut OsRng).map(drop).map_err(text))
}

fn revoke(card: &mut LabCard, keys: &Keys) -> Result<(), String> {
    with_admin(card, keys, |admin| admin.revoke(KeyRef::Sign, &mut OsRng).map(drop).map_err(text))
}

type AppletSession<'a> =
    jpkise_gp::scp03::Session<'a, Box<dyn jpkise_card::Transport>, jpkise_gp::scp03::Authenticated<'a>>;

fn with_admin(
    card: &mut LabCard,
    keys: &Keys,
    work: impl FnOnce(&mut Admin<'_, AppletSession<'_>>) -> Result<(), String>,
) -> Result<(), String> {
    let mut session =
        channel::open(card, &INSTANCE_AID, keys.sp.as_ref(), SP_KEY_VERSION, &mut OsRng).map_err(text)?;
    let mut admin = Admin::new(&mut session).map_err(text)?;
    work(&mut admin)
}

fn install_domain(card: &mut LabCard, keys: &Keys) -> Result<(), String> {
    create_domain(&mut issuer(card, keys)?, &DomainRequest::new(DOMAIN, 0x70)).map_err(text)
}

fn install_applet(card: &mut LabCard, keys: &Keys) -> Result<(), String> {
    use jpkise_jpki::edge::{MODULE_AID, PACKAGE_AID};
    let instance = ForInstall::new(PACKAGE_AID, MODULE_AID, INSTANCE_AID);
    install(&mut issuer(card, keys)?, &instance).map_err(text)
}

fn delete_applet(card: &mut LabCard, keys: &Keys) -> Result<(), String> {
    delete(&mut issuer(card, keys)?, INSTANCE_AID, false).map_err(text)
}

fn put_key(card: &mut LabCard, keys: &Keys) -> Result<(), String> {
    let new = SoftwareKeys::same(&[0x5A; 16]).map_err(text)?;
    let destination = Destination::add(0x3A).map_err(text)?;
    put_keys(&mut issuer(card, keys)?, &new, destination, KeyBlock::default()).map(drop).map_err(text)
}

/// Everything persistent that can be asked: applications with their states, keys, and the applet's states and tries.
fn view(card: &mut LabCard, keys: &Keys) -> Result<Vec<String>, Stop> {
    let mut seen = Vec::new();
    let mut ask = |card: &mut LabCard, command: &CommandApdu| {
        let answer = card.send(command).map_err(Stop::broken)?;
        seen.push(format!("{} {}", hex::encode_upper(&answer.data), answer.sw));
        Ok::<_, Stop>(())
    };
    ask(card, &jpkise_gp::commands::select::select(&[]))?;
    ask(card, &CommandApdu::new(0x80, 0xCA, 0x00, 0xE0).expecting_all())?;
    {
        let registry = issuer(card, keys)
            .and_then(|mut session| jpkise_gp::workflow::read_registry(&mut session).map_err(text));
        seen.push(format!(
            "{:?}",
            registry.map_err(|e| Stop::differs("GET STATUS after power on", "an answer", e))?
        ));
    }
    let mut ask = |card: &mut LabCard, command: &CommandApdu| {
        let answer = card.send(command).map_err(Stop::broken)?;
        seen.push(format!("{} {}", hex::encode_upper(&answer.data), answer.sw));
        Ok::<_, Stop>(())
    };
    ask(card, &jpkise_jpki::edge::file::select_application(&INSTANCE_AID))?;
    ask(card, &CommandApdu::new(0x80, 0xCA, 0xDF, 0x31).expecting_all())?;
    Ok(seen)
}

/// The first line in which two views part.
fn first_difference(a: &[String], b: &[String]) -> String {
    a.iter().zip(b).find(|(a, b)| a != b).map(|(a, _)| a.clone()).unwrap_or_default()
}

fn simulated(bench: &mut dyn Bench) -> Result<&mut SimulatedBench, Stop> {
    bench.simulated().ok_or_else(|| Stop::broken("not a simulated card"))
}

fn cut_everywhere(context: &mut Context<'_>, command: &Torn) -> Result<(), Stop> {
    let keys = Keys { issuer: context.keys("issuer")?, sp: context.keys("sp")? };
    let bench = simulated(context.bench)?;
    let kept = bench.memory().card();
    let before = view(bench.card(), &keys)?;
    // Once whole: the state after it, and how many writes it takes.
    bench.restore(kept.clone()).map_err(Stop::broken)?;
    let start = bench.memory().writes();
    command(bench.card(), &keys)
        .map_err(|error| Stop::differs("the command without a cut", "to work", error))?;
    let writes = bench.memory().writes().saturating_sub(start);
    bench.card().reset().map_err(Stop::broken)?;
    let after = view(bench.card(), &keys)?;
    if writes == 0 {
        return Err(Stop::differs("writes of the command", "some", "none"));
    }
    let stride = writes.div_ceil(CUTS_PER_SECOND * context.options.seconds.max(1)).max(1);
    let mut cuts = 0;
    let mut cut = 0;
    while cut < writes {
        let bench = simulated(context.bench)?;
        bench.restore(kept.clone()).map_err(Stop::broken)?;
        bench.memory().cut_power_after(Some(cut));
        // What the host hears of a card that loses its power is an error, whichever.
        let _ = command(bench.card(), &keys);
        bench.memory().cut_power_after(None);
        bench.card().reset().map_err(|error| {
            Stop::differs(format!("power on after a cut at write {cut}"), "an ATR", error)
        })?;
        let found = view(bench.card(), &keys)?;
        if found != before && found != after {
            let place = format!("after a cut at write {cut} of {writes}");
            let expected =
                format!("{} or {}", first_difference(&before, &found), first_difference(&after, &found));
            return Err(Stop::differs(place, expected, first_difference(&found, &before)));
        }
        cuts += 1;
        cut += stride;
        if context.options.stopped() {
            break;
        }
    }
    context.remark(format!("{cuts} cuts in {writes} writes"));
    Ok(())
}

fn between_commands(context: &mut Context<'_>) -> Result<(), Stop> {
    use jpkise_jpki::edge::{file, signature, Scheme};
    let keys = Keys { issuer: context.keys("issuer")?, sp: context.keys("sp")? };
    let before = view(context.bench.card(), &keys)?;
    let pin = Pin::new(state::PIN).map_err(Stop::broken)?;
    let sign =
        signature::compute(Scheme::Verbatim, Target::Short(Ef::AUTH_KEY), &signature::digest_info(&[0; 32]))
            .map_err(Stop::broken)?;
    let mut sequence =
        vec![file::select_application(&INSTANCE_AID), reference::verify(Target::Short(Ef::AUTH_PIN), &pin)];
    sequence.extend(sign);
    for cut in 1..=sequence.len() {
        let card = context.bench.card();
        card.reset().map_err(Stop::broken)?;
        for command in &sequence[..cut] {
            let answer = card.send(command).map_err(Stop::broken)?;
            if !answer.sw.is_success() {
                return Err(Stop::differs(format!("{command:?}"), "9000", answer.sw));
            }
        }
        card.reset().map_err(Stop::broken)?;
        card.send(&file::select_application(&INSTANCE_AID)).map_err(Stop::broken)?;
        let last = sequence.last().map(|command| card.send(command)).transpose().map_err(lost)?;
        if let Some(answer) = last.filter(|answer| answer.sw.0 != 0x6982) {
            return Err(Stop::differs(
                format!("signing after power off behind command {cut}"),
                "6982",
                answer.sw,
            ));
        }
    }
    let after = view(context.bench.card(), &keys)?;
    context.remark(format!("power off between commands, {} times", sequence.len()));
    if before == after {
        Ok(())
    } else {
        Err(Stop::differs(
            "states and tries",
            first_difference(&before, &after),
            first_difference(&after, &before),
        ))
    }
}

fn lost(error: CardError) -> Stop {
    match error {
        CardError::Transport(TransportError::Removed) => Stop::differs("answer", "an answer", error),
        other => Stop::broken(other),
    }
}
