//! A card on jCardSim to be put to the test. It cannot be cloned, so it goes from state to state by commands, and is made
//! anew only where a case has really left something.

use std::cell::Cell;
use std::rc::Rc;

use jpkise_card::{Card, Transport, TransportError};
use jpkise_gp::keys::KeySource;
use jpkise_gpse::{GpSe, Interface, JCardSim, Profile};
use jpkise_jpki::edge::{file, reference, Ef, KeyRef, Target, INSTANCE_AID, SP_KEY_VERSION};
use jpkise_jpki::Admin;
use jpkise_lab::run::bench::TargetKind;
use jpkise_lab::run::state::{issuer_aid, sp_keys, Maker};
use jpkise_lab::run::{Bench, BenchError, LabCard, Tape, Values};
use jpkise_lab::simulator;
use jpkise_lab::suite::model::{CardState, Changes, Need};
use rand::rngs::OsRng;
use time::OffsetDateTime;

pub struct JCardSimBench {
    maker: Maker,
    tape: Tape,
    card: LabCard,
    contactless: Rc<Cell<bool>>,
    isd: Option<jpkise_wire::Aid>,
    /// The state it is in, its values, and what was seen of it then.
    is_in: Option<(CardState, Values, Vec<u8>)>,
}

struct Switched(GpSe, Rc<Cell<bool>>);

impl Transport for Switched {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        self.0.set_interface(if self.1.get() { Interface::Contactless } else { Interface::Contact });
        self.0.transmit(command)
    }
    fn reset(&mut self) -> Result<Vec<u8>, TransportError> {
        self.0.reset()
    }
    fn atr(&self) -> &[u8] {
        self.0.atr()
    }
    fn name(&self) -> &str {
        self.0.name()
    }
}

impl JCardSimBench {
    /// Starts the runtime; the error says when it is not built.
    pub fn launch(now: OffsetDateTime) -> Result<Self, BenchError> {
        let open = |error: &dyn std::fmt::Display| BenchError::Open(error.to_string());
        let runtime = JCardSim::find_and_launch().map_err(|e| open(&e))?;
        let gpse = GpSe::in_memory(Profile::default(), Box::new(runtime)).map_err(|e| open(&e))?;
        let contactless = Rc::new(Cell::new(false));
        let tape = Tape::default();
        let mut card: LabCard = Card::new(Box::new(Switched(gpse, contactless.clone())));
        card.observe(tape.observer());
        let isd = issuer_aid(&mut card)?;
        let keys = Rc::new(simulator::test_keys().map_err(|e| open(&e))?);
        let maker = Maker::new(keys, now).map_err(|e| open(&e))?;
        Ok(Self { maker, tape, card, contactless, isd, is_in: None })
    }

    fn fresh_start(&mut self) -> Result<(), BenchError> {
        self.contactless.set(false);
        self.card.reset()?;
        Ok(())
    }

    /// All that a case could have changed: attestation, secrets, files, policy.
    fn seen(&mut self, values: &Values) -> Option<Vec<u8>> {
        self.fresh_start().ok()?;
        let keys = sp_keys().ok()?;
        let opened =
            jpkise_jpki::channel::open(&mut self.card, &INSTANCE_AID, &keys, SP_KEY_VERSION, &mut OsRng);
        let mut session = opened.ok()?;
        let attested = Admin::new(&mut session).ok()?.attest(&mut OsRng).ok()?;
        drop(session);
        let mut seen = Vec::new();
        for key in KeyRef::ALL {
            let key = attested.key(key);
            seen.extend([key.state as u8]);
            seen.extend(key.generation.to_be_bytes());
            seen.extend(key.signatures.to_be_bytes());
            seen.extend(key.resets.to_be_bytes());
        }
        self.card.send(&file::select_application(&INSTANCE_AID)).ok()?;
        for ef in [0x86, 0x88, 0x82, 0x8A, 0x8B] {
            let command = jpkise_card::CommandApdu::new(0x00, 0xB0, ef, 0).expecting_all();
            seen.extend(self.card.send(&command).ok()?.to_bytes());
        }
        for (key, name) in [(KeyRef::Auth, "pin"), (KeyRef::Sign, "password")] {
            let target = Target::Short(key.secret_ef());
            let kind = jpkise_card::SecretKind::ReferenceData;
            let tries = self.card.send(&reference::tries_left(target)).ok()?;
            let verified = self.card.send(&reference::verify_bytes(target, kind, values.get(name)?)).ok()?;
            seen.extend(tries.sw.to_bytes());
            seen.extend(verified.sw.to_bytes());
        }
        debug_assert_eq!(Ef::TOKEN_INFO.short_id(), 0x06);
        Some(seen)
    }
}

impl Bench for JCardSimBench {
    fn kind(&self) -> TargetKind {
        TargetKind::Simulated
    }

    fn card(&mut self) -> &mut LabCard {
        &mut self.card
    }

    fn tape(&self) -> Tape {
        self.tape.clone()
    }

    fn bring(&mut self, state: CardState) -> Result<Values, BenchError> {
        let state = if state == CardState::Any { CardState::Fresh } else { state };
        self.fresh_start()?;
        let values = match &self.is_in {
            Some((is_in, values, _)) if *is_in == state => values.clone(),
            _ => {
                let known = self.is_in.take().map(|(is_in, values, _)| (is_in, values));
                let values = self.maker.reach(&mut self.card, state, known, self.isd)?;
                let seen = self.seen(&values).unwrap_or_default();
                self.is_in = Some((state, values.clone(), seen));
                values
            }
        };
        self.fresh_start()?;
        Ok(values)
    }

    fn left(&mut self, _: Changes) {
        let Some((state, values, before)) = self.is_in.take() else { return };
        // Nothing is seen of a card without the applet: what was installed then must go.
        if self.seen(&values).is_some_and(|now| now == before && !now.is_empty()) {
            self.is_in = Some((state, values, before));
        }
    }

    fn can(&mut self, need: Need) -> bool {
        !matches!(need, Need::Reader | Need::Load)
    }

    fn may(&self, _: Changes) -> bool {
        true
    }

    fn set_contactless(&mut self, contactless: bool) -> bool {
        self.contactless.set(contactless);
        true
    }

    fn keys(&self, name: &str) -> Option<Rc<dyn KeySource>> {
        self.maker.keys(name)
    }

    fn recover(&mut self, _: &std::sync::atomic::AtomicBool) -> Result<(), BenchError> {
        self.is_in = None;
        self.fresh_start()
    }
}
