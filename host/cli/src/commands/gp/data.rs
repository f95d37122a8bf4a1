//! `jpkise gp store-data`: data for a security domain, or through it for an application.

use jpkise_gp::commands::store_data::{blocks, Encipherment, Format, Structure as Coding};
use jpkise_gp::workflow;
use jpkise_gp::GpError;
use serde_json::json;

use super::work::Plan;
use super::{words, Gp};
use crate::args::gp::{StoreDataArgs, Structure};
use crate::error::CliError;
use crate::exit::Exit;
use crate::explain::file_not_read;
use crate::i18n::Text;

/// Stores.
pub fn run(gp: &Gp<'_>, arguments: &StoreDataArgs) -> Result<(), CliError> {
    let data = data(arguments)?;
    let format = Format {
        structure: match arguments.format {
            Structure::Tlv => Coding::BerTlv,
            Structure::Dgi => Coding::Dgi,
            Structure::Plain => Coding::None,
        },
        encipherment: if arguments.enciphered { Encipherment::All } else { Encipherment::None },
        answer: arguments.answer,
    };
    gp.with_best_channel(|channel, _| {
        let size = arguments.block.unwrap_or(usize::MAX).min(channel.max_data());
        let blocks = blocks(format, &data, size).map_err(GpError::from)?;
        let mut plan = Plan::new(gp.app);
        let receiver = arguments.application.or(gp.arguments.channel.sd);
        let text = Text::new("gp-plan-store-data")
            .with("bytes", data.len())
            .count("blocks", blocks.len() as u64)
            .with(
                "receiver",
                receiver
                    .map_or_else(|| gp.app.messages.get("gp-kind-issuer-domain"), |aid| words::named(&aid)),
            );
        let fields = json!({
            "bytes": data.len(), "blocks": blocks.len(), "receiver": receiver.map(|aid| aid.to_string()),
        });
        plan.step("store-data", &text, fields)?;
        let mut guarded = plan.over(channel);
        let answer = match arguments.application {
            Some(aid) => workflow::personalize(&mut guarded, aid, &blocks, &mut |_| {})?,
            None => workflow::store_blocks(&mut guarded, &blocks, &mut |_| {})?,
        };
        if !answer.is_empty() && !gp.app.global.dry_run {
            gp.field("gp-field-answer", hex::encode_upper(&answer))?;
        }
        let done = Text::new("gp-stored").with("bytes", data.len()).count("blocks", blocks.len() as u64);
        plan.finish(
            &done,
            json!({ "bytes": data.len(), "blocks": blocks.len(), "answer": hex::encode_upper(&answer) }),
        )
    })
}

/// The data as given, or a file's: hexadecimal text when it is nothing else, its bytes otherwise.
fn data(arguments: &StoreDataArgs) -> Result<Vec<u8>, CliError> {
    let Some(path) = &arguments.file else {
        let data: Vec<u8> = arguments.data.iter().flat_map(|b| b.0.iter().copied()).collect();
        return if data.is_empty() {
            Err(CliError::new(Exit::Usage, Text::new("err-usage")))
        } else {
            Ok(data)
        };
    };
    let bytes = std::fs::read(path).map_err(|error| file_not_read(path, &error))?;
    let text = std::str::from_utf8(&bytes).ok().map(|text| text.split_whitespace().collect::<String>());
    Ok(text.and_then(|text| hex::decode(text).ok()).unwrap_or(bytes))
}
