//! Union-find over small integers.

/// Classes of values that have to be treated alike.
#[derive(Debug, Clone)]
pub(super) struct UnionFind(Vec<u32>);

impl UnionFind {
    pub(super) fn new(len: usize) -> Self {
        Self((0..u32::try_from(len).unwrap_or(u32::MAX)).collect())
    }

    /// The representative.
    pub(super) fn find(&self, mut x: u32) -> u32 {
        while self.0[x as usize] != x {
            x = self.0[x as usize];
        }
        x
    }

    /// Makes two classes one; the smaller number represents it.
    pub(super) fn union(&mut self, a: u32, b: u32) {
        let (a, b) = (self.find(a), self.find(b));
        let (low, high) = (a.min(b), a.max(b));
        self.0[high as usize] = low;
    }
}
