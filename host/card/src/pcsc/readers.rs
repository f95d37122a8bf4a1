//! Which readers there are, and what is in them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pcsc::{ReaderState, State};

use super::lookout::{is_gone, Bell, Lookout, RETRY};
use super::transport_error;
use crate::transport::TransportError;

/// A reader as the service sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// Its name.
    pub name: String,
    present: bool,
    available: bool,
    /// ATR of the card in it.
    pub atr: Option<Vec<u8>>,
    /// A card is in it but does not answer.
    pub mute: bool,
    /// Whether another program has the card.
    pub usage: Usage,
    /// Cards put in and taken out so far, as the service counts (modulo 2¹⁶); 0 where it does not count (macOS).
    pub card_events: u32,
}

/// Who has a card already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// Nobody.
    Free,
    /// Another program, which shares it.
    Shared,
    /// Another program, for itself alone.
    Exclusive,
}

impl Reader {
    /// Whether a card is in it, answering or not.
    pub fn has_card(&self) -> bool {
        self.present
    }

    /// Whether the service can ask it.
    pub(super) fn is_available(&self) -> bool {
        self.available
    }

    pub(super) fn from_state(state: &ReaderState) -> Self {
        let flags = state.event_state();
        let present = flags.contains(State::PRESENT);
        Self {
            name: state.name().to_string_lossy().into_owned(),
            present,
            available: !flags.intersects(State::UNKNOWN | State::UNAVAILABLE),
            atr: (present && !state.atr().is_empty()).then(|| state.atr().to_vec()),
            mute: flags.contains(State::MUTE),
            usage: match (flags.contains(State::EXCLUSIVE), flags.contains(State::INUSE)) {
                (true, _) => Usage::Exclusive,
                (false, true) => Usage::Shared,
                (false, false) => Usage::Free,
            },
            card_events: state.event_count(),
        }
    }
}

/// All readers in the service's order; none is an empty list, no service an error.
pub fn list_readers() -> Result<Vec<Reader>, TransportError> {
    Lookout::new(Arc::default()).look(Duration::ZERO).map_err(|error| transport_error(error, ""))
}

/// Waits until a card is in the reader and returns its ATR. A reader that is not there may be plugged in, a service that
/// does not run may be started: what is missing at the end of the time is the error.
pub fn wait_for_card(reader: &str, limit: Duration) -> Result<Vec<u8>, TransportError> {
    let mut has_reader = false;
    let found = wait_until(Some(limit), |readers| {
        let reader = readers.iter().find(|r| r.name == reader && r.available);
        has_reader = reader.is_some();
        reader.and_then(|reader| reader.atr.clone())
    })?;
    let missing = if has_reader { TransportError::NoCard } else { TransportError::NoReader };
    found.ok_or_else(|| missing(reader.to_owned()))
}

/// Waits until the readers are as wanted, which `found` decides after every change. `None` when they are not at the end of
/// the time (without a limit there is none); an error when no service runs then.
pub fn wait_until<T>(
    limit: Option<Duration>,
    mut found: impl FnMut(&[Reader]) -> Option<T>,
) -> Result<Option<T>, TransportError> {
    let started = Instant::now();
    let bell = Arc::new(Bell::default());
    let mut lookout = Lookout::new(Arc::clone(&bell));
    loop {
        let left = limit.map_or(Duration::MAX, |limit| limit.saturating_sub(started.elapsed()));
        let value = match lookout.look(left) {
            Ok(readers) => Ok(found(&readers)),
            Err(error) if is_gone(error) => {
                bell.pause(RETRY.min(left));
                Err(TransportError::NoService)
            }
            Err(error) => return Err(transport_error(error, "")),
        };
        if left.is_zero() || matches!(value, Ok(Some(_))) {
            return value;
        }
    }
}

/// Why a reader could not be chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FindReaderError {
    /// There is none at all.
    #[error("there is no reader")]
    None,
    /// None fits.
    #[error("no reader {wanted:?}; there are: {}", names.join(", "))]
    NotFound {
        /// Name or index asked for.
        wanted: String,
        /// Readers there are.
        names: Vec<String>,
    },
    /// Several fit.
    #[error("several readers fit: {}", names.join(", "))]
    Ambiguous {
        /// Those that fit.
        names: Vec<String>,
    },
}

/// The reader meant by an index (from 0), a whole name or a part of one; without any, the only one with a card, else the
/// only one.
pub fn find_reader<'a>(readers: &'a [Reader], wanted: Option<&str>) -> Result<&'a Reader, FindReaderError> {
    if readers.is_empty() {
        return Err(FindReaderError::None);
    }
    let Some(wanted) = wanted else {
        let with_card: Vec<&Reader> = readers.iter().filter(|r| r.present).collect();
        let all: Vec<&Reader> = readers.iter().collect();
        return single(if with_card.is_empty() { &all } else { &with_card });
    };
    if let Some(reader) = readers.iter().find(|r| r.name == wanted) {
        return Ok(reader);
    }
    if let Some(reader) = wanted.parse::<usize>().ok().and_then(|index| readers.get(index)) {
        return Ok(reader);
    }
    let part = wanted.to_lowercase();
    let fitting: Vec<&Reader> = readers.iter().filter(|r| r.name.to_lowercase().contains(&part)).collect();
    if fitting.is_empty() {
        let names = readers.iter().map(|r| r.name.clone()).collect();
        return Err(FindReaderError::NotFound { wanted: wanted.to_owned(), names });
    }
    single(&fitting)
}

fn single<'a>(fitting: &[&'a Reader]) -> Result<&'a Reader, FindReaderError> {
    match fitting {
        [reader] => Ok(reader),
        _ => Err(FindReaderError::Ambiguous { names: fitting.iter().map(|r| r.name.clone()).collect() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Reader {
        /// With a card of that ATR (an empty one: mute), and as many card events counted.
        pub(in crate::pcsc) fn with_card(name: &str, atr: Option<&[u8]>, card_events: u32) -> Self {
            Self {
                name: name.to_owned(),
                present: atr.is_some(),
                available: true,
                atr: atr.filter(|atr| !atr.is_empty()).map(<[u8]>::to_vec),
                mute: atr.is_some_and(<[u8]>::is_empty),
                usage: Usage::Free,
                card_events,
            }
        }

        /// One that the service cannot ask.
        pub(in crate::pcsc) fn unavailable(name: &str) -> Self {
            Self { available: false, ..Self::with_card(name, None, 0) }
        }
    }

    fn reader(name: &str, card: bool) -> Reader {
        Reader::with_card(name, card.then_some(&[0x3B]), 0)
    }

    #[test]
    fn a_reader_is_meant_by_index_name_or_part_of_it() {
        let readers = [
            reader("Virtual PCD 00 00", false),
            reader("Virtual PCD 00 01", true),
            reader("ACR1252 1", false),
        ];
        for (wanted, found) in [
            (Some("Virtual PCD 00 00"), Ok("Virtual PCD 00 00")),
            (Some("2"), Ok("ACR1252 1")),
            (Some("acr"), Ok("ACR1252 1")),
            (None, Ok("Virtual PCD 00 01")),
            (Some("virtual"), Err(true)),
            (Some("Omnikey"), Err(false)),
            (Some("3"), Err(false)),
        ] {
            let result = find_reader(&readers, wanted);
            match found {
                Ok(name) => assert_eq!(result.unwrap().name, name, "{wanted:?}"),
                Err(ambiguous) => {
                    let error = result.unwrap_err();
                    assert_eq!(matches!(error, FindReaderError::Ambiguous { .. }), ambiguous, "{error}");
                }
            }
        }
        assert_eq!(find_reader(&[], None), Err(FindReaderError::None));
        let one = [reader("only", false)];
        assert_eq!(find_reader(&one, None).unwrap().name, "only");
    }
}
