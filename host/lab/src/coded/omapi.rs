//! The access control enforcer of a phone in front of the card: rules stored through the security domain, read as a phone
//! reads them, and apps that get through or do not.

use jpkise_card::Card;
use jpkise_gp::ara::{
    Access, AidRef, ApduAccess, DeviceApp, Filter, Filters, Reference, Rule, StoreCommand, ARA_M_AID,
};
use jpkise_gp::workflow::{open_channel, store_blocks, ChannelOptions, LevelChoice};
use jpkise_omapi::ace::{App, SeKind, WithoutAra};
use jpkise_omapi::SeService;
use rand::rngs::OsRng;

use super::{verdict, Coded, Context, Stop, Test};
use crate::suite::model::{CardState, Changes, Need};

const MINE: DeviceApp = DeviceApp::Sha256([0x11; 32]);
const OTHER: DeviceApp = DeviceApp::Sha1([0x22; 20]);

/// The suite.
pub const SUITE: Coded = Coded {
    id: "omapi",
    title: "Open Mobile API and access control",
    title_ja: "Open Mobile API とアクセス制御",
    tests: &[
        Test {
            id: "no-rules",
            name: "Without rules no app gets a channel",
            name_ja: "ルールがなければどのアプリもチャネルを得られない",
            reason: "GPD_SPE_013 1.1 section 4.2.3: no rule means never",
            state: CardState::Ara,
            changes: Changes::Content,
            needs: &[Need::Channels],
            run: |context| verdict(no_rules(context), "openLogicalChannel"),
        },
        Test {
            id: "listed-app",
            name: "The listed app gets through, within its filters; another app does not",
            name_ja: "登録アプリだけがフィルターの範囲で通り、他のアプリは通らない",
            reason: "GPD_SPE_013 1.1 section 4.2.3",
            state: CardState::Ara,
            changes: Changes::Content,
            needs: &[Need::Channels],
            run: |context| verdict(listed_app(context), "openLogicalChannel"),
        },
        Test {
            id: "rule-withdrawn",
            name: "A rule that is deleted no longer opens a channel, because the refresh tag changed",
            name_ja: "削除されたルールではもう開けない（更新タグが変わるため）",
            reason: "GPD_SPE_013 1.1 section 4.1: a phone reads rules anew only when the tag differs",
            state: CardState::Ara,
            changes: Changes::Content,
            needs: &[Need::Channels],
            run: |context| verdict(rule_withdrawn(context), "openLogicalChannel"),
        },
    ],
};

fn store(context: &mut Context<'_>, command: &StoreCommand) -> Result<(), Stop> {
    let keys = context.keys("issuer")?;
    let options = ChannelOptions::to(ARA_M_AID).with_level(LevelChoice::Best);
    let mut session =
        open_channel(context.bench.card(), keys.as_ref(), &options, &mut OsRng).map_err(Stop::broken)?;
    let blocks = command.commands(session.max_data()).map_err(Stop::broken)?;
    store_blocks(&mut session, &blocks, &mut |_| {}).map_err(Stop::broken)?;
    context.bench.card().reset().map_err(Stop::broken)?;
    Ok(())
}

fn clear(context: &mut Context<'_>) -> Result<(), Stop> {
    match store(context, &StoreCommand::Delete(jpkise_gp::ara::DeleteTarget::All)) {
        // Nothing was there: 6A88.
        Err(Stop::Broken(why)) if !why.contains("6A88") => Err(Stop::Broken(why)),
        _ => Ok(()),
    }
}

fn app(hash: DeviceApp) -> App {
    App { package: "jp.example.lab".to_owned(), hashes: vec![hash], privileged: false }
}

/// Runs `work` with a phone's service in front of the card.
fn phone<R>(context: &mut Context<'_>, work: impl FnOnce(&Phone<'_>) -> Result<R, Stop>) -> Result<R, Stop> {
    let mut service = SeService::new();
    let card = Card::new(context.bench.card().served());
    let reader = service.add_reader(SeKind::Embedded, WithoutAra::Deny, card);
    let result = work(&reader);
    service.shutdown();
    result
}

type Phone<'r> = jpkise_omapi::Reader<jpkise_card::Served<'r, Box<dyn jpkise_card::Transport>>>;

/// Whether the app gets a channel.
fn opens(reader: &Phone<'_>, hash: DeviceApp) -> Result<bool, Stop> {
    let session = reader.open_session(app(hash));
    let opened = session.open_logical_channel(Some(TARGET), 0x00);
    match opened {
        Ok(Some(_)) => Ok(true),
        Ok(None) => Err(Stop::broken("no logical channel is free")),
        Err(jpkise_omapi::OmapiError::Security(_)) => Ok(false),
        Err(error) => Err(Stop::broken(error)),
    }
}

/// An application that is on every card with an ARA-M.
const TARGET: &[u8] = &[0xA0, 0x00, 0x00, 0x01, 0x51, 0x41, 0x43, 0x4C, 0x00];

fn rule() -> Result<Rule, Stop> {
    let filter: Filter = "80CADF20/FCFFFFFF".parse().map_err(|_| Stop::broken("filter"))?;
    let filters = Filters::new(vec![filter]).ok_or_else(|| Stop::broken("filters"))?;
    let reference = Reference::new(AidRef::Aid(ARA_M_AID), MINE);
    Ok(Rule::new(reference, Access::apdu_only(ApduAccess::Filters(filters))))
}

fn no_rules(context: &mut Context<'_>) -> Result<(), Stop> {
    clear(context)?;
    if phone(context, |reader| opens(reader, MINE))? {
        return Err(Stop::differs("a channel without rules", "denied", "opened"));
    }
    Ok(())
}

fn listed_app(context: &mut Context<'_>) -> Result<(), Stop> {
    clear(context)?;
    store(context, &StoreCommand::Store(rule()?))?;
    phone(context, |reader| {
        if opens(reader, OTHER)? {
            return Err(Stop::differs("a channel for an app that no rule names", "denied", "opened"));
        }
        let session = reader.open_session(app(MINE));
        let opened = session
            .open_logical_channel(Some(TARGET), 0x00)
            .map_err(|error| Stop::differs("a channel for the listed app", "opened", error))?;
        let mut channel = opened.ok_or_else(|| Stop::broken("no logical channel is free"))?;
        let inside = channel.transmit(&[0x80, 0xCA, 0xDF, 0x20, 0x00]);
        if !inside.as_ref().is_ok_and(|answer| answer.ends_with(&[0x90, 0x00])) {
            return Err(Stop::differs("a command inside the filter", "9000", format!("{inside:02X?}")));
        }
        match channel.transmit(&[0x80, 0xCA, 0xFF, 0x40, 0x00]) {
            Err(jpkise_omapi::OmapiError::Security(_)) => Ok(()),
            other => Err(Stop::differs("a command outside the filter", "denied", format!("{other:02X?}"))),
        }
    })
}

fn rule_withdrawn(context: &mut Context<'_>) -> Result<(), Stop> {
    clear(context)?;
    store(context, &StoreCommand::Store(rule()?))?;
    if !phone(context, |reader| opens(reader, MINE))? {
        return Err(Stop::differs("a channel for the listed app", "opened", "denied"));
    }
    clear(context)?;
    if phone(context, |reader| opens(reader, MINE))? {
        return Err(Stop::differs("a channel after the rule was deleted", "denied", "opened"));
    }
    Ok(())
}
