//! Which local variable slots are live.

use crate::classfile::{Code, Jvm};

/// Live local variable slots in front of each instruction, as bit sets.
pub(super) struct Live {
    words: usize,
    bits: Vec<u64>,
}

impl Live {
    /// Whether a slot is read before it is stored to, from an instruction on.
    pub(super) fn at(&self, instruction: usize, slot: usize) -> bool {
        self.bits[instruction * self.words + slot / 64] >> (slot % 64) & 1 != 0
    }

    /// Runs backwards until nothing changes.
    pub(super) fn compute(code: &Code) -> Self {
        let words = usize::from(code.max_locals).div_ceil(64).max(1);
        let n = code.instructions.len();
        let mut live = Self { words, bits: vec![0; words * n] };
        let mut changed = true;
        while changed {
            changed = false;
            for at in (0..n).rev() {
                changed |= live.update(code, at);
            }
        }
        live
    }

    fn update(&mut self, code: &Code, at: usize) -> bool {
        let jvm = &code.instructions[at].jvm;
        let mut now = vec![0u64; self.words];
        let mut add = |from: usize| {
            let from = self.bits.get(from * self.words..(from + 1) * self.words).unwrap_or(&[]);
            now.iter_mut().zip(from).for_each(|(a, b)| *a |= b);
        };
        jvm.targets().into_iter().for_each(&mut add);
        if jvm.falls_through() {
            add(at + 1);
        }
        let bit = |slot: u16| (usize::from(slot) / 64, 1u64 << (slot % 64));
        match jvm {
            Jvm::Store(_, slot) => {
                let (word, mask) = bit(*slot);
                if let Some(word) = now.get_mut(word) {
                    *word &= !mask;
                }
            }
            Jvm::Load(_, slot) | Jvm::Increment { slot, .. } => {
                let (word, mask) = bit(*slot);
                if let Some(word) = now.get_mut(word) {
                    *word |= mask;
                }
            }
            _ => {}
        }
        for handler in code.handlers.iter().filter(|h| (h.start..h.end).contains(&at)) {
            let from = &self.bits[handler.handler * self.words..(handler.handler + 1) * self.words];
            now.iter_mut().zip(from).for_each(|(a, b)| *a |= b);
        }
        let known = &mut self.bits[at * self.words..(at + 1) * self.words];
        let changed = *known != now[..];
        known.copy_from_slice(&now);
        changed
    }
}
