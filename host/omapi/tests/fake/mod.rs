//! A secure element for the service's tests: four channels, an ARA-M that keeps rules, and the applets that Android's
//! compatibility test suite asks for, made after its own description of what they answer.

use std::cell::RefCell;
use std::rc::Rc;

use jpkise_card::{Transport, TransportError};
use jpkise_gp::ara::{Rule, RuleSet, StoreCommand, ARA_M_AID};
use jpkise_wire::tlv;

use crate::requirements::{LONG_SELECT, SELECTABLE};

/// What the test looks at from outside.
#[derive(Default)]
pub struct Card {
    pub rules: RuleSet,
    pub refresh_tag: u64,
    pub ara_present: bool,
    /// Answers FF40 with these bytes instead of the rules.
    pub ara_answer: Option<Vec<u8>>,
    /// The transport fails with "removed" from now on.
    pub removed: bool,
    /// Selected AID by channel, `None` for a closed one; channel 0 begins with the default applet.
    pub channels: [Option<Vec<u8>>; 4],
    /// Every command as it came.
    pub log: Vec<Vec<u8>>,
    page_size: usize,
    page: [usize; 4],
    waiting: Vec<u8>,
    select_p2: [u8; 4],
}

impl Card {
    pub fn open_channels(&self) -> usize {
        self.channels[1..].iter().flatten().count()
    }

    pub fn store(&mut self, rule: &Rule) {
        let effect = self.rules.apply(&StoreCommand::Store(rule.clone()));
        self.refresh_tag += u64::from(effect.refreshed);
    }

    pub fn clear(&mut self) {
        self.rules = RuleSet::default();
        self.refresh_tag += 1;
    }
}

/// The transport; the card stays in the test's hands.
#[derive(Clone)]
pub struct FakeSe(pub Rc<RefCell<Card>>);

impl FakeSe {
    pub fn with_rules(rules: &[Rule]) -> Self {
        let mut card = Card { ara_present: true, page_size: 100, refresh_tag: 1, ..Card::default() };
        card.channels[0] = Some(Vec::new());
        for rule in rules {
            card.store(rule);
        }
        Self(Rc::new(RefCell::new(card)))
    }
}

const OK: u16 = 0x9000;

fn answer(data: &[u8], sw: u16) -> Vec<u8> {
    [data, &sw.to_be_bytes()].concat()
}

impl Transport for FakeSe {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, TransportError> {
        let mut card = self.0.borrow_mut();
        if card.removed {
            return Err(TransportError::Removed);
        }
        card.log.push(command.to_vec());
        Ok(card.run(command))
    }
    fn reset(&mut self) -> Result<Vec<u8>, TransportError> {
        Ok(vec![0x3B, 0x00])
    }
    fn atr(&self) -> &[u8] {
        &[0x3B, 0x00]
    }
    fn name(&self) -> &'static str {
        "fake"
    }
}

impl Card {
    fn run(&mut self, command: &[u8]) -> Vec<u8> {
        let &[cla, ins, p1, p2, ref body @ ..] = command else { return answer(&[], 0x6700) };
        let channel = usize::from(cla & 0x03);
        let Some(selected) = self.channels[channel].clone() else { return answer(&[], 0x6881) };
        let data =
            body.split_first().map_or(&[][..], |(lc, rest)| rest.get(..usize::from(*lc)).unwrap_or(&[]));
        match (cla & 0xFC, ins, p1) {
            (0x00, 0x70, 0x00) => match (1..4).find(|n| self.channels[*n].is_none()) {
                Some(free) => {
                    self.channels[free] = Some(Vec::new());
                    answer(&[u8::try_from(free).unwrap()], OK)
                }
                None => answer(&[], 0x6A81),
            },
            (0x00, 0x70, 0x80) => {
                self.channels[usize::from(p2)] = None;
                answer(&[], OK)
            }
            (0x00, 0xA4, 0x04) => self.select(channel, &selected, p2, data),
            (_, 0xC0, 0) => self.more(),
            _ if selected == ARA_M_AID.as_bytes() => self.ara(channel, ins, u16::from_be_bytes([p1, p2])),
            _ => self.applet(channel, [cla, ins, p1, p2], data),
        }
    }

    fn select(&mut self, channel: usize, selected: &[u8], p2: u8, name: &[u8]) -> Vec<u8> {
        let mut there = vec![hex::decode(SELECTABLE).unwrap(), hex::decode(LONG_SELECT).unwrap()];
        if self.ara_present {
            there.push(ARA_M_AID.as_bytes().to_vec());
        }
        if name.is_empty() {
            self.channels[channel] = Some(Vec::new());
            return answer(&[], OK);
        }
        let matching = there.into_iter().filter(|aid| aid.starts_with(name));
        let found = if p2 & 0x03 == 0x02 {
            matching.skip_while(|aid| aid != selected).nth(1)
        } else {
            matching.into_iter().next()
        };
        let Some(aid) = found else { return answer(&[], 0x6A82) };
        self.select_p2[channel] = p2;
        let long = hex::encode(&aid) == LONG_SELECT;
        let fci = tlv::constructed(
            0x6F,
            &[&tlv::object(0x84, &aid), &tlv::object(0xA5, &vec![0x5A; if long { 600 } else { 4 }])],
        );
        self.channels[channel] = Some(aid);
        self.waiting = fci;
        self.more()
    }

    /// The next piece of a long answer.
    fn more(&mut self) -> Vec<u8> {
        let rest = self.waiting.split_off(self.waiting.len().min(255));
        let piece = std::mem::replace(&mut self.waiting, rest);
        let sw = match self.waiting.len() {
            0 => OK,
            left => 0x6100 | u16::try_from(left.min(255)).unwrap(),
        };
        answer(&piece, sw)
    }

    fn ara(&mut self, channel: usize, ins: u8, what: u16) -> Vec<u8> {
        let value: Vec<u8> = self.rules.rules().iter().flat_map(Rule::to_bytes).collect();
        let all = self.ara_answer.clone().unwrap_or_else(|| tlv::object(0xFF40, &value));
        let from = match (ins, what) {
            (0xCA, 0xFF40) => 0,
            (0xCA, 0xFF60) if self.page[channel] < all.len() => self.page[channel],
            (0xCA, 0xDF20) => return answer(&tlv::object(0xDF20, &self.refresh_tag.to_be_bytes()), OK),
            _ => return answer(&[], 0x6A88),
        };
        let to = all.len().min(from + self.page_size);
        self.page[channel] = to;
        answer(&all[from..to], OK)
    }

    /// The compatibility suite's applet: 06 and 0A answer nothing, 08 and 0C 256 bytes, C2 to C8 and CF as many as P1 P2
    /// say, F3 a warning, F4 the P2 of SELECT.
    fn applet(&mut self, channel: usize, [_, ins, p1, p2]: [u8; 4], data: &[u8]) -> Vec<u8> {
        const WARNINGS: [u16; 4] = [0x6200, 0x6281, 0x63F1, 0x63C2];
        match ins {
            0x06 | 0x0A | 0xA4 => answer(&[], OK),
            0x08 | 0x0C => answer(&[0x77; 256], OK),
            0xC2 | 0xC4 | 0xC6 | 0xC8 | 0xCF => {
                self.waiting = vec![0x11; usize::from(u16::from_be_bytes([p1, p2]))];
                self.more()
            }
            0xF3 => {
                let sw = WARNINGS[usize::from(p1)];
                answer(
                    if matches!(p2, 0x08 | 0x0C) {
                        if data.is_empty() {
                            &[0x22; 3]
                        } else {
                            data
                        }
                    } else {
                        &[]
                    },
                    sw,
                )
            }
            0xF4 => answer(&[self.select_p2[channel]], OK),
            _ => answer(&[], 0x6D00),
        }
    }
}
