//! Cards in readers. States are made by commands each time a case has changed something.

use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jpkise_card::pcsc::{wait_for_card, Change, ConnectOptions, PcscTransport, ReaderEvent, Watcher};
use jpkise_card::{Card, CardError, Transport};
use jpkise_gp::keys::KeySource;
use jpkise_wire::scp03::IParameter;
use time::OffsetDateTime;

use super::bench::{Bench, BenchError, LabCard, TargetKind, Values};
use super::identity;
use super::state::{issuer_aid, Disposition, Maker};
use super::tape::Tape;
use crate::suite::model::{CardState, Changes, Need};

/// How long the service may still show a card that has left: it looks every 400 ms.
const STALE: Duration = Duration::from_millis(500);

/// How a reader is used.
#[derive(Debug, Clone)]
pub struct ReaderOptions {
    /// The reader's whole name.
    pub reader: String,
    /// The identity of the card that may be changed; `None`: none may.
    pub destructive: Option<String>,
    /// Whether what cannot be taken back is allowed too.
    pub for_good: bool,
    /// Whether somebody is at the reader who takes the card out when asked to.
    pub attended: bool,
    /// Limit for one exchange.
    pub timeout: Duration,
    /// How long to wait for a card that went away.
    pub patience: Duration,
}

/// A card in a reader.
pub struct ReaderBench {
    options: ReaderOptions,
    maker: Option<Maker>,
    tape: Tape,
    card: LabCard,
    isd: Option<jpkise_wire::Aid>,
    i: Option<u8>,
    /// Who the card is.
    id: String,
    /// Asked once, when a case wants to know.
    disposition: Option<Disposition>,
    /// The state it is in and the values of it, as long as nothing was changed since.
    is_in: Option<(CardState, Values)>,
    started: Instant,
    watcher: Watcher,
    events: Vec<(f64, String)>,
}

impl ReaderBench {
    /// Connects. Without issuer keys no state can be made, and only cases that need none are run.
    pub fn open(
        options: ReaderOptions,
        issuer: Option<Rc<dyn KeySource>>,
        tape: Tape,
        now: OffsetDateTime,
    ) -> Result<Self, BenchError> {
        let watcher = Watcher::start();
        let card = connect(&options, &tape)?;
        let maker = issuer.map(|keys| Maker::new(keys, now)).transpose();
        let maker = maker.map_err(|e| BenchError::Open(e.to_string()))?;
        let mut bench = Self {
            options,
            maker,
            tape,
            card,
            isd: None,
            i: None,
            id: String::new(),
            disposition: None,
            is_in: None,
            started: Instant::now(),
            watcher,
            events: Vec::new(),
        };
        bench.identify()?;
        Ok(bench)
    }

    /// Learns who the card is. Nothing is changed on a card that was not named for that.
    fn identify(&mut self) -> Result<(), BenchError> {
        self.isd = issuer_aid(&mut self.card).ok().flatten();
        let facts = identity::read(self);
        let i = facts.iter().find_map(|(name, value)| (name == "scp").then(|| value.rsplit('=').next()));
        self.i = i.flatten().and_then(|i| u8::from_str_radix(i, 16).ok());
        let found = identity::card_id(&facts);
        let is_known = !self.id.is_empty();
        let wanted = self.options.destructive.as_ref().or(is_known.then_some(&self.id)).cloned();
        if let Some(wanted) = wanted.filter(|wanted| *wanted != found) {
            // A card that went away meanwhile is not another one.
            self.card.reset()?;
            if self.options.destructive.is_some() {
                return Err(BenchError::OtherCard { wanted, found });
            }
            self.note(format!("another card: {found}"));
        }
        self.id = found;
        self.disposition = None;
        Ok(())
    }

    /// What only the issuer's keys tell. Without them the card is taken for a strict one: what it would refuse is not tried.
    fn disposition(&mut self) -> &Disposition {
        let Self { disposition, maker, card, .. } = self;
        disposition.get_or_insert_with(|| match maker {
            Some(maker) => maker.disposition(card),
            None => Disposition { levels: Vec::new(), secured: true },
        })
    }

    fn note(&mut self, what: impl Into<String>) {
        self.events.push((self.started.elapsed().as_secs_f64(), what.into()));
    }

    /// Notes what the service told of this reader.
    fn hear(&mut self, event: &ReaderEvent) {
        if event.initial || event.change.reader().is_some_and(|reader| reader != self.options.reader) {
            return;
        }
        let since = event.at.saturating_duration_since(self.started);
        self.events.extend(words(&event.change).map(|what| (since.as_secs_f64(), what.to_owned())));
    }

    fn hear_all(&mut self) {
        let heard: Vec<ReaderEvent> = self.watcher.pending().collect();
        for event in &heard {
            self.hear(event);
        }
    }

    /// A new connection, as soon as a card is there that answers; an error when it is not in time, or when told to stop.
    fn reconnect(&mut self, stop: &AtomicBool) -> Result<LabCard, BenchError> {
        let deadline = Instant::now() + self.options.patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            // A connection alone may be one to a card that has left and that the service still shows.
            let back = wait_for_card(&self.options.reader, left.min(STALE))
                .map_err(|e| BenchError::from(CardError::from(e)))
                .and_then(|_| connect(&self.options, &self.tape))
                .and_then(|mut card| card.reset().map(|_| card).map_err(BenchError::from));
            match back {
                Err(_) if !left.is_zero() && !stop.load(Ordering::Relaxed) => {}
                done => return done,
            }
            if let Some(event) = self.watcher.next_within(left.min(STALE)) {
                self.hear(&event);
            }
        }
    }

    fn make(&mut self, state: CardState) -> Result<Values, BenchError> {
        let Some(maker) = &mut self.maker else {
            return Err(BenchError::state(state, "no issuer keys were given"));
        };
        let values = maker.reach(&mut self.card, state, self.is_in.take(), self.isd)?;
        self.is_in = Some((state, values.clone()));
        Ok(values)
    }
}

fn connect(options: &ReaderOptions, tape: &Tape) -> Result<LabCard, BenchError> {
    let connect = ConnectOptions { transmit_timeout: options.timeout, ..ConnectOptions::default() };
    let transport = PcscTransport::connect(&options.reader, connect).map_err(CardError::from)?;
    let transport: Box<dyn Transport> = Box::new(transport);
    let mut card = Card::new(transport);
    card.observe(tape.observer());
    Ok(card)
}

impl Bench for ReaderBench {
    fn kind(&self) -> TargetKind {
        TargetKind::Reader
    }

    fn card(&mut self) -> &mut LabCard {
        &mut self.card
    }

    fn tape(&self) -> Tape {
        self.tape.clone()
    }

    fn bring(&mut self, state: CardState) -> Result<Values, BenchError> {
        let values = match state {
            CardState::Any => Maker::common_values(self.isd),
            state => match self.is_in.as_ref().filter(|(is_in, _)| *is_in == state) {
                Some((_, values)) => values.clone(),
                None => self.make(state)?,
            },
        };
        self.card.reset()?;
        Ok(values)
    }

    fn left(&mut self, changes: Changes) {
        if changes != Changes::Nothing {
            self.is_in = None;
        }
    }

    fn can(&mut self, need: Need) -> bool {
        let offers = |bit: u8| self.i.is_some_and(|i| i & bit != 0);
        match need {
            Need::Simulator | Need::InterfaceSwitch | Need::TenTries => false,
            Need::Level(level) => self.disposition().levels.contains(&level),
            Need::NotSecured => !self.disposition().secured,
            Need::Attended => self.options.attended,
            Need::Reader | Need::Channels | Need::Load => true,
            Need::ExtendedLength => self.card.capabilities().extended_length,
            Need::PseudoRandom => offers(0x10),
            Need::S8 => !offers(IParameter::S16),
            Need::RMac => offers(0x20),
            Need::NoRMac => self.i.is_some_and(|i| i & 0x20 == 0),
            Need::REncryption => offers(0x40),
        }
    }

    fn may(&self, changes: Changes) -> bool {
        match changes {
            Changes::Nothing => true,
            Changes::Content => self.options.destructive.is_some(),
            Changes::ForGood => self.options.destructive.is_some() && self.options.for_good,
        }
    }

    fn set_contactless(&mut self, _: bool) -> bool {
        false
    }

    fn keys(&self, name: &str) -> Option<Rc<dyn KeySource>> {
        self.maker.as_ref()?.keys(name)
    }

    fn recover(&mut self, stop: &AtomicBool) -> Result<(), BenchError> {
        self.is_in = None;
        self.note("card lost");
        self.card = self.reconnect(stop)?;
        self.note("card back");
        self.identify()
    }

    fn events(&mut self) -> Vec<(f64, String)> {
        self.hear_all();
        let mut events = std::mem::take(&mut self.events);
        // The service tells of a removal after the exchange that it broke.
        events.sort_by(|one, other| one.0.total_cmp(&other.0));
        events
    }
}

/// An event in the words of the report.
fn words(change: &Change) -> Option<&'static str> {
    Some(match change {
        Change::ReaderAttached { .. } => "reader attached",
        Change::ReaderGone { .. } => "reader unplugged",
        Change::CardInserted { .. } => "card inserted",
        Change::CardRemoved { .. } => "card removed",
        Change::CardMute { .. } => "card without an ATR",
        Change::ServiceGone => "service gone",
        Change::ServiceBack => "service back",
        _ => return None,
    })
}
