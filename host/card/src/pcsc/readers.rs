//! Which readers there are, and what is in them.

use std::ffi::CString;
use std::time::{Duration, Instant};

use pcsc::{Error, ReaderState, State};

use super::{establish, transport_error};
use crate::transport::TransportError;

/// A reader as the service sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    /// Its name.
    pub name: String,
    present: bool,
    /// ATR of the card in it.
    pub atr: Option<Vec<u8>>,
    /// A card is in it but does not answer.
    pub mute: bool,
    /// Whether another program has the card.
    pub usage: Usage,
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

    fn from_state(state: &ReaderState) -> Self {
        let flags = state.event_state();
        let present = flags.contains(State::PRESENT);
        Self {
            name: state.name().to_string_lossy().into_owned(),
            present,
            atr: (present && !state.atr().is_empty()).then(|| state.atr().to_vec()),
            mute: flags.contains(State::MUTE),
            usage: match (flags.contains(State::EXCLUSIVE), flags.contains(State::INUSE)) {
                (true, _) => Usage::Exclusive,
                (false, true) => Usage::Shared,
                (false, false) => Usage::Free,
            },
        }
    }
}

/// All readers in the service's order; none is an empty list, no service an error.
pub fn list_readers() -> Result<Vec<Reader>, TransportError> {
    let context = establish()?;
    let names = match context.list_readers_owned() {
        Ok(names) => names,
        Err(Error::NoReadersAvailable) => Vec::new(),
        Err(error) => return Err(transport_error(error, "")),
    };
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let mut states: Vec<ReaderState> =
        names.into_iter().map(|name| ReaderState::new(name, State::UNAWARE)).collect();
    match context.get_status_change(Duration::ZERO, &mut states) {
        Ok(()) | Err(Error::Timeout) => Ok(states.iter().map(Reader::from_state).collect()),
        Err(error) => Err(transport_error(error, "")),
    }
}

/// Waits until a card is in the reader and returns its ATR.
pub fn wait_for_card(reader: &str, limit: Duration) -> Result<Vec<u8>, TransportError> {
    let context = establish()?;
    let name = CString::new(reader).map_err(|_| TransportError::NoReader(reader.to_owned()))?;
    let mut states = [ReaderState::new(name, State::UNAWARE)];
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match context.get_status_change(left, &mut states) {
            Ok(()) => {}
            Err(Error::Timeout) => return Err(TransportError::NoCard(reader.to_owned())),
            Err(error) => return Err(transport_error(error, reader)),
        }
        let [state] = &mut states;
        if state.event_state().intersects(State::UNKNOWN | State::UNAVAILABLE) {
            return Err(TransportError::NoReader(reader.to_owned()));
        }
        if let Some(atr) = Reader::from_state(state).atr {
            return Ok(atr);
        }
        if left.is_zero() {
            return Err(TransportError::NoCard(reader.to_owned()));
        }
        state.sync_current_state();
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

    fn reader(name: &str, card: bool) -> Reader {
        Reader {
            name: name.to_owned(),
            present: card,
            atr: card.then(|| vec![0x3B]),
            mute: false,
            usage: Usage::Free,
        }
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
