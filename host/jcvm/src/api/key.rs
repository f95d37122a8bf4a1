//! javacard.security.KeyBuilder and the key classes.
//!
//! ```text
//! cell 0 components (byte[])  1 which are set (byte[2])  2 KeyBuilder.TYPE_…  3 size in bits
//! ```
//! A component is a length of two bytes and room for the longest value. A transient key has both arrays in transient
//! memory, so that a reset takes the flags with the values. Outside a transaction a setter takes the flag away first
//! and gives it back last: a cut leaves an uninitialised key, never a mixed one.

use zeroize::Zeroizing;

use super::{jcsystem, Row};
use crate::bits::{Bits, UnsignedBits};
use crate::class::ClassId;
use crate::crypto::RsaCrt;
use crate::heap::{kind, Array, Clear, Object, Ref};
use crate::vm::{raise, reason, Args, Exception, Outcome, Trap, Value, Vm};

pub(super) const CELLS: u16 = 4;
pub(super) const REFERENCES: u16 = 2;

pub(super) const KEY: &str = "javacard/security/Key";
const BUILDER: &str = "javacard/security/KeyBuilder";

const DATA: u16 = 0;
const FLAGS: u16 = 1;
const TYPE: u16 = 2;
const SIZE: u16 = 3;

/// What a key is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Aes,
    Des,
    Hmac,
    RsaPublic,
    RsaPrivate,
    RsaCrt,
    EcPublic,
    EcPrivate,
}

/// A number or string in a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Component {
    Secret,
    Modulus,
    Exponent,
    P,
    Q,
    Dp,
    Dq,
    QInverse,
    Field,
    A,
    B,
    G,
    R,
    K,
    W,
    S,
}

use Component as C;

impl Family {
    fn class(self) -> &'static str {
        match self {
            Self::Aes => "javacard/security/AESKeyImpl",
            Self::Des => "javacard/security/DESKeyImpl",
            Self::Hmac => "javacard/security/HMACKeyImpl",
            Self::RsaPublic => "javacard/security/RSAPublicKeyImpl",
            Self::RsaPrivate => "javacard/security/RSAPrivateKeyImpl",
            Self::RsaCrt => "javacard/security/RSAPrivateCrtKeyImpl",
            Self::EcPublic => "javacard/security/ECPublicKeyImpl",
            Self::EcPrivate => "javacard/security/ECPrivateKeyImpl",
        }
    }

    /// KeyBuilder.TYPE_… and when the content is cleared.
    pub(super) fn of_type(number: i8) -> Option<(Self, Option<Clear>)> {
        Some(match number {
            1 => (Self::Des, Some(Clear::Reset)),
            2 => (Self::Des, Some(Clear::Deselect)),
            3 => (Self::Des, None),
            4 => (Self::RsaPublic, None),
            5 => (Self::RsaPrivate, None),
            6 => (Self::RsaCrt, None),
            11 => (Self::EcPublic, None),
            12 => (Self::EcPrivate, None),
            13 => (Self::Aes, Some(Clear::Reset)),
            14 => (Self::Aes, Some(Clear::Deselect)),
            15 => (Self::Aes, None),
            19 => (Self::Hmac, Some(Clear::Reset)),
            20 => (Self::Hmac, Some(Clear::Deselect)),
            21 => (Self::Hmac, None),
            22 => (Self::RsaPrivate, Some(Clear::Reset)),
            23 => (Self::RsaPrivate, Some(Clear::Deselect)),
            24 => (Self::RsaCrt, Some(Clear::Reset)),
            25 => (Self::RsaCrt, Some(Clear::Deselect)),
            30 => (Self::EcPrivate, Some(Clear::Reset)),
            31 => (Self::EcPrivate, Some(Clear::Deselect)),
            _ => return None,
        })
    }

    pub(super) fn takes_size(self, bits: u16) -> bool {
        match self {
            Self::Aes => matches!(bits, 128 | 192 | 256),
            Self::Des => matches!(bits, 64 | 128 | 192),
            // LENGTH_HMAC_…: 64 or 128; any length of key is taken up to the block.
            Self::Hmac => matches!(bits, 64 | 128),
            Self::RsaPublic | Self::RsaPrivate | Self::RsaCrt => {
                (512..=4096).contains(&bits) && bits % 32 == 0
            }
            Self::EcPublic | Self::EcPrivate => bits == 256,
        }
    }

    /// Components and the room for each.
    fn layout(self, bits: u16) -> Vec<(Component, usize)> {
        let bytes = usize::from(bits.div_ceil(8));
        let curve = [
            (C::Field, bytes),
            (C::A, bytes),
            (C::B, bytes),
            (C::G, 2 * bytes + 1),
            (C::R, bytes),
            (C::K, 2),
        ];
        match self {
            Self::Aes | Self::Des => vec![(C::Secret, bytes)],
            Self::Hmac => vec![(C::Secret, 128)],
            Self::RsaPublic | Self::RsaPrivate => vec![(C::Modulus, bytes), (C::Exponent, bytes)],
            Self::RsaCrt => {
                let half = bytes.div_ceil(2);
                [C::P, C::Q, C::Dp, C::Dq, C::QInverse].map(|c| (c, half)).to_vec()
            }
            Self::EcPublic => curve.into_iter().chain([(C::W, 2 * bytes + 1)]).collect(),
            Self::EcPrivate => curve.into_iter().chain([(C::S, bytes)]).collect(),
        }
    }
}

/// A key object taken apart.
pub(super) struct Key {
    pub(super) object: Object,
    pub(super) family: Family,
    number: i8,
    pub(super) bits: u16,
    data: Array,
    flags: Array,
}

fn crypto<T>(reason: i16) -> Outcome<T> {
    raise(Exception::Crypto, reason)
}

impl Key {
    /// The key behind an object that is known to be one of ours or not.
    pub(super) fn of(vm: &Vm<'_>, object: Object) -> Outcome<Option<Self>> {
        let class = vm.class(ClassId::of(&object))?;
        // An applet may implement Key itself; such an object is no key here.
        if !object.is_instance() || !class.name.as_deref().is_some_and(|n| n.ends_with("KeyImpl")) {
            return Ok(None);
        }
        let number = vm.cell(&object, TYPE).to_be_bytes()[1].signed();
        let bits = vm.cell(&object, SIZE);
        let Some((family, _)) = Family::of_type(number) else { return Ok(None) };
        let (data, flags) = (vm.own_array(&object, DATA)?, vm.own_array(&object, FLAGS)?);
        Ok(Some(Self { object, family, number, bits, data, flags }))
    }

    /// A key argument that may be used from here.
    pub(super) fn argument(vm: &Vm<'_>, args: Args, index: usize) -> Outcome<Self> {
        let object = vm.object_arg(args, index, KEY)?;
        Self::of(vm, object)?.ok_or(Trap::Raise(Exception::Crypto, reason::CRYPTO_ILLEGAL_VALUE))
    }

    /// The key that a cell refers to.
    pub(super) fn stored(vm: &Vm<'_>, at: Ref) -> Outcome<Self> {
        let object = vm.object(at)?;
        Self::of(vm, object)?.ok_or(Trap::Raise(Exception::Crypto, reason::UNINITIALIZED_KEY))
    }

    fn this(vm: &Vm<'_>, args: Args) -> Outcome<Self> {
        let object = vm.this(args, KEY)?;
        Self::of(vm, object)?.ok_or_else(|| crate::vm::type_fault("not a key"))
    }

    /// Index, offset of the length field, and room.
    fn place(&self, component: Component) -> Outcome<(usize, usize, usize)> {
        let mut at = 0;
        for (index, (known, room)) in self.family.layout(self.bits).into_iter().enumerate() {
            if known == component {
                return Ok((index, at, room));
            }
            at += 2 + room;
        }
        crypto(reason::CRYPTO_ILLEGAL_VALUE)
    }

    fn mask(&self, vm: &Vm<'_>) -> u16 {
        let heap = &vm.state.heap;
        u16::try_from(heap.load(&self.flags, 0) << 8 | heap.load(&self.flags, 1)).unwrap_or(0)
    }

    fn set_mask(&self, vm: &mut Vm<'_>, mask: u16) -> Outcome<()> {
        Ok(vm.state.heap.write_bytes(&self.flags, 0, &mask.to_be_bytes(), true)?)
    }

    pub(super) fn has(&self, vm: &Vm<'_>, component: Component) -> bool {
        self.place(component).is_ok_and(|(index, _, _)| self.mask(vm) & (1 << index) != 0)
    }

    pub(super) fn get(&self, vm: &Vm<'_>, component: Component) -> Outcome<Zeroizing<Vec<u8>>> {
        let (index, at, room) = self.place(component)?;
        if self.mask(vm) & (1 << index) == 0 {
            return crypto(reason::UNINITIALIZED_KEY);
        }
        let mut len = [0; 2];
        vm.state.heap.read_into(&self.data, at, &mut len);
        let len = usize::from(u16::from_be_bytes(len)).min(room);
        let mut value = Zeroizing::new(vec![0; len]);
        vm.state.heap.read_into(&self.data, at + 2, &mut value);
        Ok(value)
    }

    /// Writes a value; in a transaction as a part of it, else flag off, value, flag on.
    pub(super) fn set(&self, vm: &mut Vm<'_>, component: Component, value: &[u8]) -> Outcome<()> {
        let (index, at, room) = self.place(component)?;
        if value.len() > room {
            return crypto(reason::CRYPTO_ILLEGAL_VALUE);
        }
        let mask = self.mask(vm);
        let bit = 1u16 << index;
        if mask & bit != 0 {
            self.set_mask(vm, mask & !bit)?;
        }
        let mut record = Zeroizing::new(u16::try_from(value.len()).unwrap_or(0).to_be_bytes().to_vec());
        record.extend(value);
        self.write(vm, at, &record)?;
        self.set_mask(vm, mask | bit)
    }

    fn write(&self, vm: &mut Vm<'_>, at: usize, bytes: &[u8]) -> Outcome<()> {
        let in_transaction = vm.state.heap.store.in_transaction();
        Ok(vm.state.heap.write_words(&self.data, at, bytes, in_transaction)?)
    }

    /// Takes all flags away, then the values.
    pub(super) fn clear(&self, vm: &mut Vm<'_>) -> Outcome<()> {
        if self.mask(vm) != 0 {
            self.set_mask(vm, 0)?;
        }
        self.write(vm, 0, &vec![0; self.data.len.into()])
    }

    pub(super) fn is_initialized(&self, vm: &Vm<'_>) -> bool {
        // The cofactor is optional.
        let layout = self.family.layout(self.bits);
        layout.into_iter().filter(|(c, _)| *c != C::K).all(|(c, _)| self.has(vm, c))
    }

    /// The CRT components for the provider.
    pub(super) fn crt(&self, vm: &Vm<'_>) -> Outcome<RsaCrt> {
        Ok(RsaCrt {
            p: self.get(vm, C::P)?.to_vec(),
            q: self.get(vm, C::Q)?.to_vec(),
            dp: self.get(vm, C::Dp)?.to_vec(),
            dq: self.get(vm, C::Dq)?.to_vec(),
            q_inverse: self.get(vm, C::QInverse)?.to_vec(),
        })
    }
}

/// Makes a key object; all memory it will ever need is taken here.
pub(super) fn build(vm: &mut Vm<'_>, number: i8, bits: u16) -> Outcome<Ref> {
    let known = Family::of_type(number).filter(|(family, _)| family.takes_size(bits));
    let Some((family, clear)) = known else { return crypto(reason::NO_SUCH_ALGORITHM) };
    let room: usize = family.layout(bits).iter().map(|(_, room)| 2 + room).sum();
    let room = u16::try_from(room).map_err(|_| Trap::Raise(Exception::System, reason::NO_RESOURCE))?;
    let array = |vm: &mut Vm<'_>, len| match clear {
        Some(clear) => jcsystem::new_transient(vm, kind::BYTES, len, clear),
        None => vm.new_bytes(len),
    };
    let data = array(vm, room)?;
    let flags = array(vm, 2)?;
    let object = vm.new_api_object(family.class())?;
    let view = vm.object(object)?;
    vm.set_cell(&view, DATA, data.0)?;
    vm.set_cell(&view, FLAGS, flags.0)?;
    vm.set_cell(&view, TYPE, i16::from(number).unsigned())?;
    vm.set_cell(&view, SIZE, bits)?;
    Ok(object)
}

/// buildKey(byte keyType, short keyLength, boolean keyEncryption)
fn build_key(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let (number, bits) = (vm.byte_arg(args, 0)?, vm.short_arg(args, 1)?);
    if vm.byte_arg(args, 2)? != 0 {
        return crypto(reason::NO_SUCH_ALGORITHM);
    }
    build(vm, number, u16::try_from(bits).unwrap_or(0)).map(Value::Reference)
}

fn clear_key(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    Key::this(vm, args)?.clear(vm)?;
    Ok(Value::Void)
}

fn get_size(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    Ok(Key::this(vm, args)?.bits.signed().into())
}

fn get_type(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    Ok(Key::this(vm, args)?.number.into())
}

fn is_initialized(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let key = Key::this(vm, args)?;
    Ok(key.is_initialized(vm).into())
}

/// setKey(byte[] keyData, short kOff): as many bytes as the key has.
fn set_key(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let key = Key::this(vm, args)?;
    let len = (key.bits / 8).signed();
    let bytes = Zeroizing::new(vm.bytes_arg(args, 1, vm.short_arg(args, 2)?, len)?);
    key.set(vm, C::Secret, &bytes)?;
    Ok(Value::Void)
}

/// getKey(byte[] keyData, short kOff)
fn get_key(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    get(vm, args, C::Secret)
}

/// setKey(byte[] keyData, short kOff, short kLen)
fn set_key_of_length(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    set(vm, args, C::Secret)
}

fn set(vm: &mut Vm<'_>, args: Args, component: Component) -> Outcome<Value> {
    let key = Key::this(vm, args)?;
    let (offset, len) = (vm.short_arg(args, 2)?, vm.short_arg(args, 3)?);
    let bytes = Zeroizing::new(vm.bytes_arg(args, 1, offset, len)?);
    let wrong = bytes.is_empty() || (component == C::Modulus && bytes.len() != usize::from(key.bits / 8));
    if wrong {
        return crypto(reason::CRYPTO_ILLEGAL_VALUE);
    }
    key.set(vm, component, &bytes)?;
    Ok(Value::Void)
}

fn get(vm: &mut Vm<'_>, args: Args, component: Component) -> Outcome<Value> {
    let key = Key::this(vm, args)?;
    let bytes = key.get(vm, component)?;
    let array = vm.array_arg(args, 1)?;
    vm.put_bytes(&array, vm.short_arg(args, 2)?, &bytes)?;
    Ok(i16::try_from(bytes.len()).unwrap_or(0).into())
}

macro_rules! accessors {
    ($($component:ident $set:ident $get:ident,)*) => {
        $(
            fn $set(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
                set(vm, args, C::$component)
            }
            fn $get(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
                get(vm, args, C::$component)
            }
        )*
    };
}

accessors! {
    Modulus set_modulus get_modulus,
    Exponent set_exponent get_exponent,
    P set_p get_p,
    Q set_q get_q,
    Dp set_dp get_dp,
    Dq set_dq get_dq,
    QInverse set_pq get_pq,
    Field set_field get_field,
    A set_a get_a,
    B set_b get_b,
    G set_g get_g,
    R set_r get_r,
    W set_w get_w,
    S set_s get_s,
}

/// setK(short K): the cofactor.
fn set_k(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let key = Key::this(vm, args)?;
    let value = vm.short_arg(args, 1)?;
    key.set(vm, C::K, &value.to_be_bytes())?;
    Ok(Value::Void)
}

/// getK()
fn get_k(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let key = Key::this(vm, args)?;
    let bytes = key.get(vm, C::K)?;
    match **bytes.first_chunk::<2>().as_ref().unwrap_or(&&[0, 0]) {
        [high, low] => Ok(i16::from_be_bytes([high, low]).into()),
    }
}

const AES: &str = "javacard/security/AESKey";
const DES: &str = "javacard/security/DESKey";
const HMAC: &str = "javacard/security/HMACKey";
const RSA_PUBLIC: &str = "javacard/security/RSAPublicKey";
const RSA_PRIVATE: &str = "javacard/security/RSAPrivateKey";
const RSA_CRT: &str = "javacard/security/RSAPrivateCrtKey";
const EC: &str = "javacard/security/ECKey";
const EC_PUBLIC: &str = "javacard/security/ECPublicKey";
const EC_PRIVATE: &str = "javacard/security/ECPrivateKey";

pub(super) const METHODS: &[Row] = &[
    (BUILDER, "buildKey(BSZ)Ljavacard/security/Key;", build_key),
    (KEY, "clearKey()V", clear_key),
    (KEY, "getSize()S", get_size),
    (KEY, "getType()B", get_type),
    (KEY, "isInitialized()Z", is_initialized),
    (AES, "setKey([BS)V", set_key),
    (AES, "getKey([BS)B", get_key),
    (DES, "setKey([BS)V", set_key),
    (DES, "getKey([BS)B", get_key),
    (HMAC, "setKey([BSS)V", set_key_of_length),
    (HMAC, "getKey([BS)B", get_key),
    (RSA_PUBLIC, "setModulus([BSS)V", set_modulus),
    (RSA_PUBLIC, "getModulus([BS)S", get_modulus),
    (RSA_PUBLIC, "setExponent([BSS)V", set_exponent),
    (RSA_PUBLIC, "getExponent([BS)S", get_exponent),
    (RSA_PRIVATE, "setModulus([BSS)V", set_modulus),
    (RSA_PRIVATE, "getModulus([BS)S", get_modulus),
    (RSA_PRIVATE, "setExponent([BSS)V", set_exponent),
    (RSA_PRIVATE, "getExponent([BS)S", get_exponent),
    (RSA_CRT, "setP([BSS)V", set_p),
    (RSA_CRT, "getP([BS)S", get_p),
    (RSA_CRT, "setQ([BSS)V", set_q),
    (RSA_CRT, "getQ([BS)S", get_q),
    (RSA_CRT, "setDP1([BSS)V", set_dp),
    (RSA_CRT, "getDP1([BS)S", get_dp),
    (RSA_CRT, "setDQ1([BSS)V", set_dq),
    (RSA_CRT, "getDQ1([BS)S", get_dq),
    (RSA_CRT, "setPQ([BSS)V", set_pq),
    (RSA_CRT, "getPQ([BS)S", get_pq),
    (EC, "setFieldFP([BSS)V", set_field),
    (EC, "getField([BS)S", get_field),
    (EC, "setA([BSS)V", set_a),
    (EC, "getA([BS)S", get_a),
    (EC, "setB([BSS)V", set_b),
    (EC, "getB([BS)S", get_b),
    (EC, "setG([BSS)V", set_g),
    (EC, "getG([BS)S", get_g),
    (EC, "setR([BSS)V", set_r),
    (EC, "getR([BS)S", get_r),
    (EC, "setK(S)V", set_k),
    (EC, "getK()S", get_k),
    (EC_PUBLIC, "setW([BSS)V", set_w),
    (EC_PUBLIC, "getW([BS)S", get_w),
    (EC_PRIVATE, "setS([BSS)V", set_s),
    (EC_PRIVATE, "getS([BS)S", get_s),
];
