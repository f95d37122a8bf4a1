//! What a reader does with resets, long answers, other programs, and bytes that are no command.

use std::time::{Duration, Instant};

use jpkise_card::pcsc::{Change, ConnectOptions, PcscTransport, Watcher};
use jpkise_card::{CardError, CommandApdu, Transport, TransportError};

use super::{verdict, Coded, Context, Stop, Test, ACTIVE};
use crate::run::runner::Ask;
use crate::suite::model::{CardState, Changes, Need};

/// The suite.
pub const SUITE: Coded = Coded {
    id: "pcsc",
    title: "Reader and transport",
    title_ja: "リーダーと伝送路",
    tests: &[
        Test {
            id: "reset",
            name: "Ten cold resets give the same ATR, and every time an empty session",
            name_ja: "10 回のコールドリセットで ATR は同じ、セッションは毎回空",
            reason: "ISO/IEC 7816-3 section 8; a reset that resets nothing leaves PINs verified",
            state: CardState::Any,
            changes: Changes::Nothing,
            needs: &[],
            run: |context| verdict(resets(context), "reset"),
        },
        Test {
            id: "long-answer",
            name: "An answer of 256 bytes comes whole, fifty times",
            name_ja: "256 バイトの応答が 50 回とも欠けずに届く",
            reason: "Readers have cut the last bytes, and signatures are that long",
            state: ACTIVE,
            changes: Changes::Nothing,
            needs: &[],
            run: |context| verdict(long_answers(context), "READ BINARY"),
        },
        Test {
            id: "extended-length",
            name: "A command in extended length is answered as its short form is",
            name_ja: "拡張長のコマンドに短縮長と同じ応答が返る",
            reason: "ISO/IEC 7816-3 section 12.1; some readers announce what they cannot",
            state: CardState::Any,
            changes: Changes::Nothing,
            needs: &[Need::ExtendedLength],
            run: |context| verdict(extended(context), "GET DATA"),
        },
        Test {
            id: "no-command",
            name: "Bytes that are no command are refused, and the card works on",
            name_ja: "コマンドでないバイト列は拒否され、カードは動き続ける",
            reason: "A program's mistake must not cost a reset",
            state: CardState::Any,
            changes: Changes::Nothing,
            needs: &[],
            run: |context| verdict(no_commands(context), "bytes as they are"),
        },
        Test {
            id: "transaction",
            name: "While one program holds a transaction, another one waits and does not hang",
            name_ja: "一方がトランザクション中は、もう一方は待つがハングしない",
            reason: "PC/SC part 5: SCardBeginTransaction",
            state: CardState::Any,
            changes: Changes::Nothing,
            needs: &[Need::Reader],
            run: |context| verdict(transactions(context), "SCardBeginTransaction"),
        },
        Test {
            id: "reset-by-other",
            name: "A card that another program reset says so, and answers again after it",
            name_ja: "他プログラムによるリセットは通知され、その後も応答する",
            reason: "PC/SC part 5: SCARD_W_RESET_CARD; what was selected is gone",
            state: CardState::Any,
            changes: Changes::Nothing,
            needs: &[Need::Reader],
            run: |context| verdict(reset_by_other(context), "SCardTransmit"),
        },
        Test {
            id: "unplug",
            name: "A card that is taken out ends the exchange, is told by the service, and works when it is back",
            name_ja: "抜かれたカードは交信を終わらせ、サービスが通知し、戻せば再び使える",
            reason: "PC/SC part 5: SCARD_W_REMOVED_CARD and SCardGetStatusChange; a program must neither hang nor go on",
            state: CardState::Any,
            changes: Changes::Nothing,
            needs: &[Need::Reader, Need::Attended],
            run: |context| verdict(unplug(context), "the card taken out and put back"),
        },
    ],
};

fn get_card_data() -> CommandApdu {
    CommandApdu::new(0x80, 0xCA, 0x00, 0x66).expecting_all()
}

fn select_isd(context: &mut Context<'_>) -> Result<(), Stop> {
    let answer =
        context.bench.card().send(&jpkise_gp::commands::select::select(&[])).map_err(Stop::broken)?;
    if answer.sw.is_success() {
        Ok(())
    } else {
        Err(Stop::differs("SELECT", "9000", answer.sw))
    }
}

fn resets(context: &mut Context<'_>) -> Result<(), Stop> {
    const TIMES: usize = 10;
    let first = context.bench.card().reset().map_err(Stop::broken)?;
    let get_status = CommandApdu::new(0x80, 0xF2, 0x80, 0x02).with_data([0x4F, 0]).expecting_all();
    for _ in 0..TIMES {
        let clock = Instant::now();
        let atr = context.bench.card().reset().map_err(Stop::broken)?;
        context.time("reset", clock.elapsed());
        if atr != first {
            return Err(Stop::differs("ATR", hex::encode_upper(&first), hex::encode_upper(atr)));
        }
        select_isd(context)?;
        let answer = context.bench.card().send(&get_status).map_err(Stop::broken)?;
        if answer.sw.is_success() {
            return Err(Stop::differs("GET STATUS without a session", "a refusal", answer.sw));
        }
    }
    Ok(())
}

fn long_answers(context: &mut Context<'_>) -> Result<(), Stop> {
    use jpkise_jpki::edge::{file, Ef, KeyRef, Offset, INSTANCE_AID};
    const TIMES: usize = 50;
    let card = context.bench.card();
    card.send(&file::select_application(&INSTANCE_AID)).map_err(Stop::broken)?;
    card.send(&file::select_ef(Ef::SIGN_CA_CERTIFICATE)).map_err(Stop::broken)?;
    let expected = context.values.get(&format!("{}-ca", KeyRef::Sign)).cloned().unwrap_or_default();
    let expected = expected.get(..256).unwrap_or_default().to_vec();
    for _ in 0..TIMES {
        let read = file::read_binary(Offset::ZERO, jpkise_card::Expected::ALL_SHORT);
        let answer = context.bench.card().send(&read).map_err(Stop::broken)?;
        if answer.data != expected {
            let found = format!("{} bytes, {}", answer.data.len(), answer.sw);
            return Err(Stop::differs("answer", "256 bytes of the certificate", found));
        }
    }
    Ok(())
}

fn extended(context: &mut Context<'_>) -> Result<(), Stop> {
    select_isd(context)?;
    let card = context.bench.card();
    let short = card.send(&get_card_data()).map_err(Stop::broken)?;
    let long = CommandApdu::new(0x80, 0xCA, 0x00, 0x66).expecting(jpkise_card::Expected::ALL_EXTENDED);
    let long = card.send(&long).map_err(Stop::broken)?;
    if long == short {
        Ok(())
    } else {
        Err(Stop::differs("answer in extended length", format!("{short:?}"), format!("{long:?}")))
    }
}

fn no_commands(context: &mut Context<'_>) -> Result<(), Stop> {
    select_isd(context)?;
    for bytes in [&[0x80, 0xCA, 0x00][..], &[0x80, 0xCA, 0, 0x66, 5, 1, 2], &[0xFF; 5]] {
        match context.bench.card().served().transmit(bytes) {
            Ok(answer) => {
                if answer.ends_with(&[0x90, 0x00]) {
                    return Err(Stop::differs(hex::encode_upper(bytes), "a refusal", "9000"));
                }
            }
            // PC/SC itself, or the driver, may refuse what is no APDU.
            Err(TransportError::Pcsc(_) | TransportError::Malformed(_)) => {}
            Err(error) => return Err(Stop::differs(hex::encode_upper(bytes), "a refusal", error)),
        }
        let answer = context.bench.card().send(&get_card_data()).map_err(Stop::broken)?;
        if !answer.sw.is_success() {
            let place = format!("GET DATA after {}", hex::encode_upper(bytes));
            return Err(Stop::differs(place, "9000", answer.sw));
        }
    }
    Ok(())
}

fn second(context: &mut Context<'_>, limit: Duration) -> Result<PcscTransport, Stop> {
    let name = context.bench.card().name().to_owned();
    let options = ConnectOptions { connect_timeout: limit, ..ConnectOptions::default() };
    PcscTransport::connect(&name, options).map_err(Stop::broken)
}

fn transactions(context: &mut Context<'_>) -> Result<(), Stop> {
    const LIMIT: Duration = Duration::from_millis(500);
    let mut one = second(context, Duration::from_secs(5))?;
    let mut two = second(context, LIMIT)?;
    one.begin().map_err(Stop::broken)?;
    let clock = Instant::now();
    let other = two.begin();
    if other.is_ok() {
        return Err(Stop::differs("a second transaction", "to wait", "began at once"));
    }
    if clock.elapsed() > LIMIT * 4 {
        return Err(Stop::differs("a second transaction", "an error after its limit", "hung"));
    }
    one.transmit(&[0x00, 0xA4, 0x04, 0x00, 0x00]).map_err(Stop::broken)?;
    one.end().map_err(Stop::broken)?;
    Ok(())
}

fn reset_by_other(context: &mut Context<'_>) -> Result<(), Stop> {
    select_isd(context)?;
    // A second connection resets the card when it ends.
    drop(second(context, Duration::from_secs(5))?);
    let told = context.bench.card().send(&get_card_data());
    match told {
        Err(jpkise_card::CardError::Transport(TransportError::Reset)) => {}
        Ok(answer) => context.remark(format!("this reader does not tell: {}", answer.sw)),
        Err(error) => return Err(Stop::differs("the first exchange after it", "card was reset", error)),
    }
    select_isd(context)
}

/// How long somebody has to take the card out, or to put it back.
const HAND: Duration = Duration::from_secs(60);
/// How long the service may take to tell of it; pcscd looks every 400 ms.
const NOTICE: Duration = Duration::from_secs(10);

fn unplug(context: &mut Context<'_>) -> Result<(), Stop> {
    let reader = context.bench.card().name().to_owned();
    let watcher = Watcher::start();
    select_isd(context)?;
    let before = context.bench.card().send(&get_card_data()).map_err(Stop::broken)?;

    (context.ask)(Ask::TakeOut);
    let lost = until_lost(context)?;
    if !matches!(lost, TransportError::Removed | TransportError::NoCard(_) | TransportError::NoReader(_)) {
        return Err(Stop::differs("an exchange without the card", TransportError::Removed, lost));
    }
    told(&watcher, &reader, "card removed", |change| {
        matches!(change, Change::CardRemoved { .. } | Change::ReaderGone { .. })
    })?;

    (context.ask)(Ask::PutBack);
    let clock = Instant::now();
    while let Err(error) = context.bench.recover(&context.options.stop) {
        if clock.elapsed() > HAND || context.options.stopped() {
            return Err(Stop::broken(error));
        }
    }
    told(&watcher, &reader, "card inserted", |change| matches!(change, Change::CardInserted { .. }))?;
    select_isd(context)?;
    let after = context.bench.card().send(&get_card_data()).map_err(Stop::broken)?;
    if after == before {
        Ok(())
    } else {
        Err(Stop::differs("GET DATA 0066 of the card put back", format!("{before:?}"), format!("{after:?}")))
    }
}

/// Exchanges until one ends without an answer: how.
fn until_lost(context: &mut Context<'_>) -> Result<TransportError, Stop> {
    const PAUSE: Duration = Duration::from_millis(20);
    let clock = Instant::now();
    loop {
        match context.bench.card().send(&get_card_data()) {
            Err(CardError::Transport(error)) => return Ok(error),
            Err(error) => return Err(Stop::broken(error)),
            Ok(_) if clock.elapsed() > HAND || context.options.stopped() => {
                return Err(Stop::broken("nobody took the card out"));
            }
            Ok(_) => std::thread::sleep(PAUSE),
        }
    }
}

/// Waits until the service has told of this reader what is due.
fn told(watcher: &Watcher, reader: &str, due: &str, is: impl Fn(&Change) -> bool) -> Result<(), Stop> {
    let clock = Instant::now();
    while let Some(event) = watcher.next_within(NOTICE.saturating_sub(clock.elapsed())) {
        if !event.initial && event.change.reader() == Some(reader) && is(&event.change) {
            return Ok(());
        }
    }
    Err(Stop::differs("what the service tells", due, "nothing of it"))
}
