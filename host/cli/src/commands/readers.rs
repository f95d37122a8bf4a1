//! `jpkise readers`.

use jpkise_card::pcsc::{list_readers, Reader};
use serde_json::json;

use crate::app::App;
use crate::error::CliError;
use crate::exit::Exit;
use crate::i18n::Text;

/// Lists readers and the cards in them.
pub fn run(app: &App) -> Result<(), CliError> {
    let readers = list_readers()?;
    let list: Vec<_> = readers
        .iter()
        .enumerate()
        .map(|(index, reader)| {
            let mut object = json!({ "index": index, "name": reader.name, "card": reader.has_card() });
            if let Some(atr) = &reader.atr {
                object["atr"] = json!(hex::encode_upper(atr));
            }
            object
        })
        .collect();
    app.json(&json!({ "readers": list }))?;
    for (index, reader) in readers.iter().enumerate() {
        let line = Text::new("reader-line")
            .with("index", index)
            .with("name", &reader.name)
            .nested("card", card(reader));
        app.result(&app.messages.say(&line))?;
    }
    if readers.is_empty() {
        return Err(CliError::new(Exit::NoCard, Text::new("err-no-reader-at-all"))
            .next(Text::new("doctor-next-reader")));
    }
    Ok(())
}

fn card(reader: &Reader) -> Text {
    match &reader.atr {
        Some(atr) => Text::new("card-present").with("atr", hex::encode_upper(atr)),
        None if reader.mute => Text::new("card-mute"),
        None => Text::new("card-none"),
    }
}
