//! What Cipher and Signature objects have in common: a key, a mode, and for chained schemes a first block.
//!
//! ```text
//! cell 0 key  1 initial chaining block (byte[16], chained schemes only)  2 algorithm  3 mode, 0 before init
//! ```
//! These are persistent: a reset leaves the object as its last `init` did. What is under way is not
//! ([`Engine`](crate::crypto::Engine)).

use super::key::Key;
use crate::bits::{Bits, UnsignedBits};
use crate::crypto::{BLOCK, BLOCK_LENGTH};
use crate::heap::Object;
use crate::vm::{raise, reason, type_fault, Args, Exception, Outcome, Trap, Value, Vm};

const KEY: u16 = 0;
const CHAIN: u16 = 1;
const ALGORITHM: u16 = 2;
const MODE: u16 = 3;

/// A scheme by its numbers in the API: the whole, its cipher, its padding.
pub(super) type Numbers<S> = (i8, i8, i8, S);

pub(super) fn crypto<T>(reason: i16) -> Outcome<T> {
    raise(Exception::Crypto, reason)
}

pub(super) fn illegal_use() -> Trap {
    Trap::Raise(Exception::Crypto, reason::CRYPTO_ILLEGAL_USE)
}

/// The row of a table; NO_SUCH_ALGORITHM when there is none.
pub(super) fn row<S: Copy>(table: &[Numbers<S>], number: i8) -> Outcome<Numbers<S>> {
    match table.iter().find(|row| row.0 == number) {
        Some(row) => Ok(*row),
        None => crypto(reason::NO_SUCH_ALGORITHM),
    }
}

/// getInstance: all memory the object will ever need is taken here.
pub(super) fn make(vm: &mut Vm<'_>, class: &str, number: i8, chained: bool) -> Outcome<Value> {
    let chain = if chained { Some(vm.new_bytes(BLOCK_LENGTH)?) } else { None };
    let object = vm.new_api_object(class)?;
    let view = vm.object(object)?;
    if let Some(chain) = chain {
        vm.set_cell(&view, CHAIN, chain.0)?;
    }
    vm.set_cell(&view, ALGORITHM, number.unsigned().into())?;
    Ok(object.into())
}

/// An object taken apart.
pub(super) struct This<S> {
    pub(super) object: Object,
    pub(super) numbers: (i8, i8, i8),
    pub(super) scheme: S,
    /// 0 before `init`.
    pub(super) mode: i8,
}

/// The receiver.
pub(super) fn this<S: Copy>(vm: &Vm<'_>, args: Args, class: &str, table: &[Numbers<S>]) -> Outcome<This<S>> {
    let object = vm.this(args, class)?;
    let byte = |cell| vm.cell(&object, cell).to_be_bytes()[1].signed();
    let row = table.iter().find(|row| row.0 == byte(ALGORITHM));
    let (algorithm, cipher, padding, scheme) = *row.ok_or_else(|| type_fault("no such scheme"))?;
    Ok(This { object, numbers: (algorithm, cipher, padding), scheme, mode: byte(MODE) })
}

impl<S> This<S> {
    /// init: remembers key, mode and first block; what was under way is gone.
    pub(super) fn start(&self, vm: &mut Vm<'_>, key: &Key, mode: i8, chain: Option<&[u8]>) -> Outcome<()> {
        if !key.is_initialized(vm) {
            return crypto(reason::UNINITIALIZED_KEY);
        }
        self.remember(vm, KEY, key.object.at.0)?;
        self.remember(vm, MODE, mode.unsigned().into())?;
        if let Some(chain) = chain {
            let array = vm.own_array(&self.object, CHAIN)?;
            if vm.own_bytes(&array) != chain {
                vm.put_bytes(&array, 0, chain)?;
            }
        }
        vm.state.engines.remove(&self.object.at);
        Ok(())
    }

    /// Sets a cell of the persistent state if it is another now: `init` with the same key wears nothing out.
    fn remember(&self, vm: &mut Vm<'_>, cell: u16, value: u16) -> Outcome<()> {
        if vm.cell(&self.object, cell) == value {
            return Ok(());
        }
        vm.set_cell(&self.object, cell, value)
    }

    /// The key of the last `init`.
    pub(super) fn key(&self, vm: &Vm<'_>) -> Outcome<Key> {
        if self.mode == 0 {
            return crypto(reason::INVALID_INIT);
        }
        let key = Key::stored(vm, vm.cell_ref(&self.object, KEY))?;
        if key.is_initialized(vm) {
            Ok(key)
        } else {
            crypto(reason::UNINITIALIZED_KEY)
        }
    }

    /// The first block of a chained scheme.
    pub(super) fn chain(&self, vm: &Vm<'_>) -> Outcome<[u8; BLOCK]> {
        let mut chain = [0; BLOCK];
        let array = vm.own_array(&self.object, CHAIN)?;
        vm.state.heap.read_into(&array, 0, &mut chain);
        Ok(chain)
    }
}

/// The first block that `init` was given: of the right length, and for chained schemes only; zeros when it was not.
pub(super) fn first_block(chained: bool, given: Option<Vec<u8>>) -> Outcome<Option<Vec<u8>>> {
    match (chained, given) {
        (true, Some(bytes)) if bytes.len() == BLOCK => Ok(Some(bytes)),
        (_, Some(_)) => crypto(reason::CRYPTO_ILLEGAL_VALUE),
        (true, None) => Ok(Some(vec![0; BLOCK])),
        (false, None) => Ok(None),
    }
}
