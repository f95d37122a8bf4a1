//! Interval arithmetic over Java int values.
//!
//! Every operation gives an interval that holds all results Java can compute from operands in the given intervals,
//! wrap-around at 32 bits included. The converter refuses an expression only where these intervals show that 16 bits
//! could give another result.

use crate::classfile::{BinaryOp, Condition};

/// All ints from `lo` to `hi`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Lowest value.
    pub lo: i32,
    /// Highest value.
    pub hi: i32,
}

/// Bounds at which widening stops on its way out.
const STEPS: [i32; 17] = [
    i32::MIN,
    -65536,
    -32769,
    -32768,
    -256,
    -129,
    -128,
    -1,
    0,
    1,
    127,
    128,
    255,
    256,
    32767,
    65535,
    i32::MAX,
];

impl Range {
    /// All ints.
    pub const INT: Self = Self::new(i32::MIN, i32::MAX);
    /// What 16 bits hold.
    pub const SHORT: Self = Self::new(-32768, 32767);
    /// What 8 bits hold.
    pub const BYTE: Self = Self::new(-128, 127);
    /// false and true.
    pub const BOOLEAN: Self = Self::new(0, 1);
    /// Lengths of arrays in Java Card.
    pub const LENGTH: Self = Self::new(0, 32767);

    /// From `lo` to `hi`.
    pub const fn new(lo: i32, hi: i32) -> Self {
        Self { lo, hi }
    }

    /// One value.
    pub const fn constant(value: i32) -> Self {
        Self::new(value, value)
    }

    /// The value, when there is only one.
    pub fn singleton(self) -> Option<i32> {
        (self.lo == self.hi).then_some(self.lo)
    }

    /// Whether every value lies in `other`.
    pub fn within(self, other: Self) -> bool {
        self.lo >= other.lo && self.hi <= other.hi
    }

    /// The smallest interval that holds both.
    #[must_use]
    pub fn hull(self, other: Self) -> Self {
        Self::new(self.lo.min(other.lo), self.hi.max(other.hi))
    }

    /// `other` grown to the next step where it exceeds `self`, so that loops settle.
    #[must_use]
    pub fn widen(self, other: Self) -> Self {
        let down = |v: i32| STEPS.into_iter().rev().find(|s| *s <= v).unwrap_or(i32::MIN);
        let up = |v: i32| STEPS.into_iter().find(|s| *s >= v).unwrap_or(i32::MAX);
        let lo = if other.lo < self.lo { down(other.lo) } else { self.lo };
        let hi = if other.hi > self.hi { up(other.hi) } else { self.hi };
        Self::new(lo, hi)
    }

    /// The exact interval when it fits an int; else anything, because the result wraps.
    fn exact(lo: i64, hi: i64) -> Self {
        match (i32::try_from(lo), i32::try_from(hi)) {
            (Ok(lo), Ok(hi)) => Self::new(lo, hi),
            _ => Self::INT,
        }
    }

    /// Hull of results that were computed exactly.
    fn hull_of(values: impl IntoIterator<Item = i64>) -> Self {
        let (mut lo, mut hi) = (i64::MAX, i64::MIN);
        for value in values {
            lo = lo.min(value);
            hi = hi.max(value);
        }
        Self::exact(lo, hi)
    }

    /// `a op b`
    #[must_use]
    pub fn binary(op: BinaryOp, a: Self, b: Self) -> Self {
        let (alo, ahi, blo, bhi) = (i64::from(a.lo), i64::from(a.hi), i64::from(b.lo), i64::from(b.hi));
        match op {
            BinaryOp::Add => Self::exact(alo + blo, ahi + bhi),
            BinaryOp::Sub => Self::exact(alo - bhi, ahi - blo),
            BinaryOp::Mul => Self::hull_of([alo * blo, alo * bhi, ahi * blo, ahi * bhi]),
            BinaryOp::Div => Self::divide(a, b),
            BinaryOp::Rem => Self::remainder(a, b),
            BinaryOp::Shl | BinaryOp::Shr | BinaryOp::Ushr => Self::shift(op, a, b),
            BinaryOp::And => Self::and(a, b),
            BinaryOp::Or => Self::or(a, b),
            BinaryOp::Xor => Self::xor(a, b),
        }
    }

    /// `-a`
    #[must_use]
    pub fn negate(self) -> Self {
        Self::exact(-i64::from(self.hi), -i64::from(self.lo))
    }

    /// A cast to a type of `bits` bits: unchanged where it fits, else any value of the type.
    #[must_use]
    pub fn narrow(self, to: Self) -> Self {
        if self.within(to) {
            self
        } else {
            to
        }
    }

    fn divide(a: Self, b: Self) -> Self {
        // A divisor of 0 throws, so only the others count; extremes lie at the ends and next to 0.
        let divisors = [b.lo, b.hi, -1, 1].into_iter().filter(|d| *d != 0 && b.lo <= *d && *d <= b.hi);
        let results: Vec<i64> =
            divisors.flat_map(|d| [i64::from(a.lo) / i64::from(d), i64::from(a.hi) / i64::from(d)]).collect();
        if results.is_empty() {
            return Self::constant(0);
        }
        Self::hull_of(results)
    }

    fn remainder(a: Self, b: Self) -> Self {
        let most = i64::from(b.lo).abs().max(i64::from(b.hi).abs()) - 1;
        let lo = if a.lo < 0 { i64::from(a.lo).max(-most) } else { 0 };
        let hi = if a.hi > 0 { i64::from(a.hi).min(most) } else { 0 };
        if a.lo >= 0 && (b.lo > a.hi || b.hi < a.hi.saturating_neg()) {
            return a;
        }
        Self::exact(lo.min(0), hi.max(0))
    }

    fn shift(op: BinaryOp, a: Self, count: Self) -> Self {
        // Only the low five bits of the count matter.
        let counts = match count.singleton() {
            Some(c) => (c & 31)..=(c & 31),
            None if count.within(Self::new(0, 31)) => count.lo..=count.hi,
            None => 0..=31,
        };
        let (first, last) = (*counts.start(), *counts.end());
        let ends = [(a.lo, first), (a.lo, last), (a.hi, first), (a.hi, last)];
        match op {
            BinaryOp::Shl => Self::hull_of(ends.map(|(v, c)| i64::from(v) << c)),
            BinaryOp::Shr => Self::hull_of(ends.map(|(v, c)| i64::from(v >> c))),
            _ if a.lo >= 0 => Self::hull_of(ends.map(|(v, c)| i64::from(v >> c))),
            _ if first == 0 && last == 0 => a,
            _ if first == 0 => Self::INT,
            _ => {
                let unsigned = |v: i32, c: i32| i64::from(u32::from_ne_bytes(v.to_ne_bytes()) >> c);
                if a.hi < 0 {
                    Self::hull_of(ends.map(|(v, c)| unsigned(v, c)))
                } else {
                    Self::hull_of([0, unsigned(-1, first), unsigned(a.hi, first)])
                }
            }
        }
    }

    /// All bits that a non-negative value up to `v`, or a negative one down to `v`, can have below its sign.
    fn mask(v: i32) -> i32 {
        let magnitude = if v < 0 { !v } else { v };
        i32::try_from((1i64 << (32 - magnitude.leading_zeros())) - 1).unwrap_or(i32::MAX)
    }

    fn and(a: Self, b: Self) -> Self {
        if let (Some(x), Some(y)) = (a.singleton(), b.singleton()) {
            return Self::constant(x & y);
        }
        let lo = if a.lo < 0 && b.lo < 0 { !Self::mask(a.lo.min(b.lo)) } else { 0 };
        let hi = match (a.lo >= 0, b.lo >= 0) {
            (true, true) => a.hi.min(b.hi),
            (true, false) => a.hi,
            (false, true) => b.hi,
            (false, false) => a.hi.max(b.hi),
        };
        Self::new(lo, hi.max(lo))
    }

    fn or(a: Self, b: Self) -> Self {
        if let (Some(x), Some(y)) = (a.singleton(), b.singleton()) {
            return Self::constant(x | y);
        }
        let lo = if a.lo >= 0 && b.lo >= 0 { a.lo.max(b.lo) } else { a.lo.min(b.lo) };
        let hi = if a.hi < 0 || b.hi < 0 { -1 } else { Self::mask(a.hi.max(b.hi)) };
        Self::new(lo, hi.max(lo))
    }

    fn xor(a: Self, b: Self) -> Self {
        if let (Some(x), Some(y)) = (a.singleton(), b.singleton()) {
            return Self::constant(x ^ y);
        }
        let mask = [a.lo, a.hi, b.lo, b.hi].map(Self::mask).into_iter().max().unwrap_or(i32::MAX);
        let lo = if a.lo >= 0 && b.lo >= 0 { 0 } else { !mask };
        Self::new(lo, mask)
    }

    /// What is known of `a` and `b` once `a condition b` holds; `None` when it cannot hold.
    pub fn assume(condition: Condition, a: Self, b: Self) -> Option<(Self, Self)> {
        let (mut a, mut b) = (a, b);
        match condition {
            Condition::Eq => {
                let both = Self::new(a.lo.max(b.lo), a.hi.min(b.hi));
                (a, b) = (both, both);
            }
            Condition::Ne => {
                a = a.without(b);
                b = b.without(a);
            }
            Condition::Lt => {
                a.hi = a.hi.min(b.hi.saturating_sub(1));
                b.lo = b.lo.max(a.lo.saturating_add(1));
            }
            Condition::Le => {
                a.hi = a.hi.min(b.hi);
                b.lo = b.lo.max(a.lo);
            }
            Condition::Gt => {
                let (y, x) = Self::assume(Condition::Lt, b, a)?;
                (a, b) = (x, y);
            }
            Condition::Ge => {
                let (y, x) = Self::assume(Condition::Le, b, a)?;
                (a, b) = (x, y);
            }
        }
        (a.lo <= a.hi && b.lo <= b.hi).then_some((a, b))
    }

    /// Cuts off an end that equals the single value of `other`.
    fn without(self, other: Self) -> Self {
        match other.singleton() {
            Some(v) if v == self.lo && self.lo < self.hi => Self::new(self.lo + 1, self.hi),
            Some(v) if v == self.hi && self.lo < self.hi => Self::new(self.lo, self.hi - 1),
            _ => self,
        }
    }

    /// Whether `a == b` gives the same answer on the low 16 bits alone: no two different values in the intervals lie
    /// a multiple of 65536 apart.
    pub fn equality_survives_16_bits(a: Self, b: Self) -> bool {
        let (most, least) = (i64::from(a.hi) - i64::from(b.lo), i64::from(a.lo) - i64::from(b.hi));
        most < 65536 && least > -65536
    }
}

impl Condition {
    /// The opposite.
    #[must_use]
    pub fn negate(self) -> Self {
        match self {
            Self::Eq => Self::Ne,
            Self::Ne => Self::Eq,
            Self::Lt => Self::Ge,
            Self::Ge => Self::Lt,
            Self::Gt => Self::Le,
            Self::Le => Self::Gt,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OPS: [BinaryOp; 11] = [
        BinaryOp::Add,
        BinaryOp::Sub,
        BinaryOp::Mul,
        BinaryOp::Div,
        BinaryOp::Rem,
        BinaryOp::Shl,
        BinaryOp::Shr,
        BinaryOp::Ushr,
        BinaryOp::And,
        BinaryOp::Or,
        BinaryOp::Xor,
    ];
    const CONDITIONS: [Condition; 6] =
        [Condition::Eq, Condition::Ne, Condition::Lt, Condition::Ge, Condition::Gt, Condition::Le];

    fn holds(condition: Condition, a: i32, b: i32) -> bool {
        match condition {
            Condition::Eq => a == b,
            Condition::Ne => a != b,
            Condition::Lt => a < b,
            Condition::Ge => a >= b,
            Condition::Gt => a > b,
            Condition::Le => a <= b,
        }
    }

    fn contains(range: Range, value: i32) -> bool {
        range.lo <= value && value <= range.hi
    }

    #[test]
    fn small_intervals_hold_every_result() {
        let bounds = [-9, -8, -3, -1, 0, 1, 2, 5, 7, 8];
        let ranges: Vec<Range> = bounds
            .iter()
            .flat_map(|lo| bounds.iter().filter(move |hi| *hi >= lo).map(|hi| Range::new(*lo, *hi)))
            .collect();
        for op in OPS {
            for a in &ranges {
                for b in &ranges {
                    let result = Range::binary(op, *a, *b);
                    for x in a.lo..=a.hi {
                        for y in b.lo..=b.hi {
                            if let Some(value) = op.apply(x, y) {
                                assert!(
                                    contains(result, value),
                                    "{x} {op:?} {y} = {value}, not in {result:?}"
                                );
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn intervals_are_as_narrow_as_sources_need() {
        let byte_masked = Range::binary(BinaryOp::And, Range::SHORT, Range::constant(0xFF));
        assert_eq!(byte_masked, Range::new(0, 255));
        assert_eq!(Range::binary(BinaryOp::Add, byte_masked, Range::constant(1)), Range::new(1, 256));
        assert_eq!(Range::binary(BinaryOp::Div, Range::SHORT, Range::constant(2)), Range::new(-16384, 16383));
        assert_eq!(Range::binary(BinaryOp::Rem, Range::SHORT, Range::constant(10)), Range::new(-9, 9));
        assert_eq!(Range::binary(BinaryOp::Shl, byte_masked, Range::constant(8)), Range::new(0, 65280));
        assert_eq!(Range::binary(BinaryOp::Or, Range::new(0, 65280), byte_masked), Range::new(0, 65535));
        assert_eq!(Range::binary(BinaryOp::Ushr, Range::LENGTH, Range::constant(8)), Range::new(0, 127));
        assert_eq!(Range::SHORT.negate(), Range::new(-32767, 32768));
        assert!(!Range::equality_survives_16_bits(Range::new(-65536, 65534), Range::constant(0)));
        assert!(Range::equality_survives_16_bits(Range::new(-65535, 65535), Range::constant(0)));
    }

    fn value() -> impl Strategy<Value = i32> {
        let special = prop::sample::select(vec![
            i32::MIN,
            -65537,
            -65536,
            -32769,
            -32768,
            -129,
            -128,
            -1,
            0,
            1,
            31,
            32,
            127,
            128,
            255,
            32767,
            32768,
            65535,
            i32::MAX,
        ]);
        prop_oneof![special, any::<i32>(), -70_000..70_000i32, -40..40i32]
    }

    fn range() -> impl Strategy<Value = Range> {
        (value(), value()).prop_map(|(a, b)| Range::new(a.min(b), a.max(b)))
    }

    /// A value inside: an end, or anywhere.
    fn within(range: Range, pick: u32) -> i32 {
        match pick % 4 {
            0 => range.lo,
            1 => range.hi,
            _ => {
                let span = i64::from(range.hi) - i64::from(range.lo) + 1;
                i32::try_from(i64::from(range.lo) + i64::from(pick / 4) % span).unwrap()
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn any_interval_holds_every_result(a in range(), b in range(), i in any::<u32>(), j in any::<u32>(), op in 0..11usize) {
            let (x, y) = (within(a, i), within(b, j));
            if let Some(value) = OPS[op].apply(x, y) {
                let result = Range::binary(OPS[op], a, b);
                prop_assert!(contains(result, value), "{x} {:?} {y} = {value}, not in {result:?}", OPS[op]);
            }
            prop_assert!(contains(a.negate(), x.wrapping_neg()));
            let short = i32::from(i16::from_le_bytes([x.to_le_bytes()[0], x.to_le_bytes()[1]]));
            prop_assert!(contains(a.narrow(Range::SHORT), short));
            prop_assert!(a.within(a.hull(b)) && a.hull(b).within(a.widen(a.hull(b))));
        }

        #[test]
        fn what_is_assumed_holds(a in range(), b in range(), i in any::<u32>(), j in any::<u32>(), c in 0..6usize) {
            let (x, y) = (within(a, i), within(b, j));
            if holds(CONDITIONS[c], x, y) {
                let (a, b) = Range::assume(CONDITIONS[c], a, b).expect("possible");
                prop_assert!(contains(a, x) && contains(b, y));
            }
            let low = |v: i32| [v.to_le_bytes()[0], v.to_le_bytes()[1]];
            if Range::equality_survives_16_bits(a, b) {
                prop_assert_eq!(x == y, low(x) == low(y));
            }
        }
    }
}
