//! What has happened between two looks at the readers.

use super::readers::Reader;
use crate::transport::TransportError;

/// Something that happened to a reader, a card or the service.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// A reader is there that was not. Its card follows as an event of its own.
    ReaderAttached {
        /// Its name.
        reader: String,
    },
    /// A reader is gone, with its card if there was one in it.
    ReaderGone {
        /// Its name.
        reader: String,
    },
    /// A card is in the reader and has answered the reset.
    CardInserted {
        /// Name of the reader.
        reader: String,
        /// The card's ATR.
        atr: Vec<u8>,
    },
    /// The card is gone from the reader.
    CardRemoved {
        /// Name of the reader.
        reader: String,
    },
    /// A card is in the reader that has given no ATR.
    CardMute {
        /// Name of the reader.
        reader: String,
    },
    /// The service ended or cannot be asked; so all readers are gone.
    ServiceGone,
    /// The service is there again. Its readers follow as events of their own.
    ServiceBack,
}

impl Change {
    /// Stable name, as in JSON.
    pub const fn id(&self) -> &'static str {
        match self {
            Self::ReaderAttached { .. } => "reader-attached",
            Self::ReaderGone { .. } => "reader-gone",
            Self::CardInserted { .. } => "card-inserted",
            Self::CardRemoved { .. } => "card-removed",
            Self::CardMute { .. } => "card-mute",
            Self::ServiceGone => "service-gone",
            Self::ServiceBack => "service-back",
        }
    }

    /// Name of the reader; `None` where it is about all of them.
    pub fn reader(&self) -> Option<&str> {
        match self {
            Self::ReaderAttached { reader }
            | Self::ReaderGone { reader }
            | Self::CardInserted { reader, .. }
            | Self::CardRemoved { reader }
            | Self::CardMute { reader } => Some(reader),
            Self::ServiceGone | Self::ServiceBack => None,
        }
    }

    /// What a card in `reader` has come to by it: `None` when it is where it was.
    pub fn loss_of(&self, reader: &str) -> Option<TransportError> {
        match self {
            Self::ServiceGone => Some(TransportError::NoService),
            Self::ReaderGone { reader: name } | Self::CardRemoved { reader: name } if name == reader => {
                Some(TransportError::Removed)
            }
            _ => None,
        }
    }
}

/// What has happened from `old` to `new`; `None` is a service that does not run. Between a card that was taken out and
/// one that was put in stands a removal, seen or not.
pub(super) fn changes(old: Option<&[Reader]>, new: Option<&[Reader]>) -> Vec<Change> {
    let (old, new) = match (old, new) {
        (None, None) => return Vec::new(),
        (Some(_), None) => return vec![Change::ServiceGone],
        (None, Some(new)) => (None, new),
        (Some(old), Some(new)) => (Some(old), new),
    };
    let mut found = Vec::new();
    if old.is_none() {
        found.push(Change::ServiceBack);
    }
    let old = old.unwrap_or_default();
    let of = |readers: &[Reader], name: &str| {
        readers.iter().find(|reader| reader.name == name && reader.is_available()).cloned()
    };
    for reader in old.iter().filter(|reader| reader.is_available()) {
        if of(new, &reader.name).is_none() {
            found.push(Change::ReaderGone { reader: reader.name.clone() });
        }
    }
    for reader in new.iter().filter(|reader| reader.is_available()) {
        let before = of(old, &reader.name);
        if before.is_none() {
            found.push(Change::ReaderAttached { reader: reader.name.clone() });
        }
        found.extend(card_changes(before.as_ref(), reader));
    }
    found
}

fn card_changes(before: Option<&Reader>, now: &Reader) -> Vec<Change> {
    let reader = || now.name.clone();
    let removed = before.filter(|before| before.has_card()).filter(|before| {
        // The same count is the same card, whatever it answers: another ATR after another kind of reset is usual.
        !now.has_card() || before.card_events != now.card_events
    });
    let mut found = Vec::new();
    if removed.is_some() {
        found.push(Change::CardRemoved { reader: reader() });
    }
    let known = before.filter(|before| before.has_card() && removed.is_none());
    match &now.atr {
        Some(atr) if !now.mute && known.is_none_or(is_mute) => {
            found.push(Change::CardInserted { reader: reader(), atr: atr.clone() });
        }
        _ if now.has_card() && is_mute(now) && !known.is_some_and(is_mute) => {
            found.push(Change::CardMute { reader: reader() });
        }
        _ => {}
    }
    found
}

fn is_mute(reader: &Reader) -> bool {
    reader.mute || reader.atr.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `A` is a reader without a card; behind `=` stands its card: an ATR in hexadecimal or `mute`, and after `#` what
    /// the service has counted. `A!` does not work.
    fn readers(text: &str) -> Option<Vec<Reader>> {
        if text == "no service" {
            return None;
        }
        Some(text.split_whitespace().map(reader).collect())
    }

    fn reader(text: &str) -> Reader {
        let (text, count) = text.split_once('#').unwrap_or((text, "0"));
        let count = count.parse().unwrap();
        let (name, card) = text.split_once('=').map_or((text, None), |(name, card)| (name, Some(card)));
        match (name.strip_suffix('!'), card) {
            (Some(name), _) => Reader::unavailable(name),
            (None, None) => Reader::with_card(name, None, count),
            (None, Some("mute")) => Reader::with_card(name, Some(&[]), count),
            (None, Some(atr)) => Reader::with_card(name, Some(&hex::decode(atr).unwrap()), count),
        }
    }

    fn short(change: &Change) -> String {
        let reader = change.reader().unwrap_or_default();
        match change {
            Change::CardInserted { atr, .. } => format!("{reader} card-inserted {}", hex::encode_upper(atr)),
            other => format!("{reader} {}", other.id()).trim_start().to_owned(),
        }
    }

    #[test]
    fn events_are_what_differs_between_two_looks() {
        for (why, old, new, expected) in [
            ("nothing happened", "A=3B00#1 B", "A=3B00#1 B", &[][..]),
            ("a card is put in", "A#0", "A=3B00#1", &["A card-inserted 3B00"]),
            ("a card is taken out", "A=3B00#1", "A#2", &["A card-removed"]),
            (
                "a card is taken out and put back between two looks",
                "A=3B00#1",
                "A=3B00#3",
                &["A card-removed", "A card-inserted 3B00"],
            ),
            (
                "another card is put in its place",
                "A=3B00#1",
                "A=3B01#3",
                &["A card-removed", "A card-inserted 3B01"],
            ),
            (
                "the count starts anew behind FFFF",
                "A=3B00#65535",
                "A=3B00#1",
                &["A card-removed", "A card-inserted 3B00"],
            ),
            ("the same card answers another kind of reset otherwise", "A=3B00#1", "A=3B01#1", &[]),
            ("a card that gives no ATR", "A#0", "A=mute#1", &["A card-mute"]),
            ("it stays mute", "A=mute#1", "A=mute#1", &[]),
            ("it is taken out", "A=mute#1", "A#2", &["A card-removed"]),
            ("it answers after all", "A=mute#1", "A=3B00#1", &["A card-inserted 3B00"]),
            ("a card falls silent", "A=3B00#1", "A=mute#1", &["A card-mute"]),
            ("a mute one in place of it", "A=3B00#1", "A=mute#3", &["A card-removed", "A card-mute"]),
            ("a mute one in place of a mute one", "A=mute#1", "A=mute#3", &["A card-removed", "A card-mute"]),
            ("a reader is plugged in", "A", "A B", &["B reader-attached"]),
            (
                "a reader is plugged in with a card in it",
                "",
                "A=3B00#0",
                &["A reader-attached", "A card-inserted 3B00"],
            ),
            ("with a mute one", "", "A=mute#0", &["A reader-attached", "A card-mute"]),
            ("a reader is unplugged", "A B", "B", &["A reader-gone"]),
            ("a reader is unplugged with its card", "A=3B00#1 B=3B01#1", "B=3B01#1", &["A reader-gone"]),
            ("a reader stops working", "A=3B00#1", "A!", &["A reader-gone"]),
            ("it stays so", "A!", "A!", &[]),
            ("one that did not work is unplugged", "A!", "", &[]),
            ("it works again", "A!", "A=3B00#1", &["A reader-attached", "A card-inserted 3B00"]),
            (
                "one reader for another, the card moved along",
                "A=3B00#1",
                "B=3B00#0",
                &["A reader-gone", "B reader-attached", "B card-inserted 3B00"],
            ),
            ("the service ends", "A=3B00#1 B", "no service", &["service-gone"]),
            ("it stays away", "no service", "no service", &[]),
            ("it is back without readers", "no service", "", &["service-back"]),
            (
                "it is back with its readers",
                "no service",
                "A=3B00#0 B",
                &["service-back", "A reader-attached", "A card-inserted 3B00", "B reader-attached"],
            ),
            ("the order of readers is another", "A=3B00#1 B", "B A=3B00#1", &[]),
        ] {
            let (old, new) = (readers(old), readers(new));
            let found: Vec<String> = changes(old.as_deref(), new.as_deref()).iter().map(short).collect();
            assert_eq!(found, expected, "{why}");
        }
    }

    #[test]
    fn a_card_is_lost_with_itself_its_reader_or_the_service_and_nothing_else() {
        let named = |change: fn(String) -> Change| change("A".to_owned());
        for (change, lost) in [
            (named(|reader| Change::CardRemoved { reader }), true),
            (named(|reader| Change::ReaderGone { reader }), true),
            (Change::ServiceGone, true),
            (named(|reader| Change::CardMute { reader }), false),
            (named(|reader| Change::CardInserted { reader, atr: vec![0x3B] }), false),
            (named(|reader| Change::ReaderAttached { reader }), false),
            (Change::ServiceBack, false),
            (Change::CardRemoved { reader: "B".to_owned() }, false),
            (Change::ReaderGone { reader: "B".to_owned() }, false),
        ] {
            assert_eq!(change.loss_of("A").is_some(), lost, "{change:?}");
        }
    }
}
