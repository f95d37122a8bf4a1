//! javacard.security.KeyPair
//!
//! ```text
//! cell 0 public key  1 private key
//! ```

use zeroize::Zeroizing;

use super::key::{build, Component, Family, Key};
use super::Row;
use crate::vm::{raise, reason, Args, Exception, Outcome, Trap, Value, Vm};

pub(super) const CELLS: u16 = 2;
pub(super) const REFERENCES: u16 = 2;

const KEY_PAIR: &str = "javacard/security/KeyPair";
const PUBLIC: u16 = 0;
const PRIVATE: u16 = 1;

/// KeyPair.ALG_…
const ALG_RSA: i8 = 1;
const ALG_RSA_CRT: i8 = 2;
const ALG_EC_FP: i8 = 5;
/// Used when the public key has no exponent (KeyPair.genKeyPair).
const F4: [u8; 3] = [1, 0, 1];

/// Domain parameters of P-256 (SEC 2, 2.4.2), the default for keys without any.
mod p256 {
    pub(super) const FIELD: [u8; 32] =
        hex("FFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF");
    pub(super) const A: [u8; 32] = hex("FFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFC");
    pub(super) const B: [u8; 32] = hex("5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B");
    pub(super) const G: [u8; 65] = hex(concat!(
        "046B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296",
        "4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5"
    ));
    pub(super) const R: [u8; 32] = hex("FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551");

    const fn digit(c: u8) -> u8 {
        match c {
            b'0'..=b'9' => c - b'0',
            _ => c - b'A' + 10,
        }
    }

    const fn hex<const N: usize>(text: &str) -> [u8; N] {
        let text = text.as_bytes();
        let mut out = [0; N];
        let mut i = 0;
        while i < N {
            out[i] = digit(text[2 * i]) << 4 | digit(text[2 * i + 1]);
            i += 1;
        }
        out
    }
}

fn crypto<T>(reason: i16) -> Outcome<T> {
    raise(Exception::Crypto, reason)
}

/// KeyPair(byte algorithm, short keyLength)
fn init(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let this = vm.this(args, KEY_PAIR)?;
    let (algorithm, bits) = (vm.byte_arg(args, 1)?, vm.short_arg(args, 2)?);
    let bits = u16::try_from(bits).unwrap_or(0);
    // TYPE_RSA_PUBLIC 4, _PRIVATE 5, _CRT_PRIVATE 6, TYPE_EC_FP_PUBLIC 11, _PRIVATE 12
    let (public, private) = match algorithm {
        ALG_RSA => (4, 5),
        ALG_RSA_CRT => (4, 6),
        ALG_EC_FP => (11, 12),
        _ => return crypto(reason::NO_SUCH_ALGORITHM),
    };
    let public = build(vm, public, bits)?;
    let private = build(vm, private, bits)?;
    vm.set_cell(&this, PUBLIC, public.0)?;
    vm.set_cell(&this, PRIVATE, private.0)?;
    Ok(Value::Void)
}

/// KeyPair(PublicKey publicKey, PrivateKey privateKey)
fn init_with(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let this = vm.this(args, KEY_PAIR)?;
    let (public, private) = (Key::argument(vm, args, 1)?, Key::argument(vm, args, 2)?);
    let fits = matches!(
        (public.family, private.family),
        (Family::RsaPublic, Family::RsaPrivate | Family::RsaCrt) | (Family::EcPublic, Family::EcPrivate)
    );
    if !fits || public.bits != private.bits {
        return crypto(reason::CRYPTO_ILLEGAL_VALUE);
    }
    vm.set_cell(&this, PUBLIC, public.object.at.0)?;
    vm.set_cell(&this, PRIVATE, private.object.at.0)?;
    Ok(Value::Void)
}

/// getPublic()
fn get_public(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let this = vm.this(args, KEY_PAIR)?;
    Ok(vm.cell_ref(&this, PUBLIC).into())
}

/// getPrivate()
fn get_private(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let this = vm.this(args, KEY_PAIR)?;
    Ok(vm.cell_ref(&this, PRIVATE).into())
}

/// genKeyPair()
fn gen_key_pair(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let this = vm.this(args, KEY_PAIR)?;
    let public = Key::stored(vm, vm.cell_ref(&this, PUBLIC))?;
    let private = Key::stored(vm, vm.cell_ref(&this, PRIVATE))?;
    match private.family {
        Family::EcPrivate => generate_ec(vm, &public, &private)?,
        _ => generate_rsa(vm, &public, &private)?,
    }
    Ok(Value::Void)
}

fn generate_rsa(vm: &mut Vm<'_>, public: &Key, private: &Key) -> Outcome<()> {
    let exponent = if public.has(vm, Component::Exponent) {
        public.get(vm, Component::Exponent)?
    } else {
        Zeroizing::new(F4.to_vec())
    };
    let state = &mut *vm.state;
    let key = state.crypto.rsa_generate(private.bits.into(), &exponent, &mut state.random);
    let key = key.ok_or(Trap::Raise(Exception::Crypto, reason::CRYPTO_ILLEGAL_VALUE))?;
    // Old flags go first: a cut in between must not leave the halves of two keys.
    private.clear(vm)?;
    public.clear(vm)?;
    if private.family == Family::RsaCrt {
        private.set(vm, Component::P, &key.crt.p)?;
        private.set(vm, Component::Q, &key.crt.q)?;
        private.set(vm, Component::Dp, &key.crt.dp)?;
        private.set(vm, Component::Dq, &key.crt.dq)?;
        private.set(vm, Component::QInverse, &key.crt.q_inverse)?;
    } else {
        private.set(vm, Component::Modulus, &key.modulus)?;
        private.set(vm, Component::Exponent, &key.private_exponent)?;
    }
    public.set(vm, Component::Exponent, &exponent)?;
    public.set(vm, Component::Modulus, &key.modulus)
}

fn generate_ec(vm: &mut Vm<'_>, public: &Key, private: &Key) -> Outcome<()> {
    let parameters: [(Component, &[u8]); 5] = [
        (Component::Field, &p256::FIELD),
        (Component::A, &p256::A),
        (Component::B, &p256::B),
        (Component::G, &p256::G),
        (Component::R, &p256::R),
    ];
    for key in [public, private] {
        require_p256(vm, key)?;
    }
    let state = &mut *vm.state;
    let generated = state.crypto.p256_generate(&mut state.random);
    let (scalar, point) = generated.ok_or(Trap::Raise(Exception::Crypto, reason::CRYPTO_ILLEGAL_VALUE))?;
    let scalar = Zeroizing::new(scalar);
    for key in [private, public] {
        for (component, value) in parameters {
            if !key.has(vm, component) {
                key.set(vm, component, value)?;
            }
        }
    }
    private.set(vm, Component::S, &scalar)?;
    public.set(vm, Component::W, &point)
}

/// Whatever domain parameters the key has, they are those of P-256.
pub(super) fn require_p256(vm: &Vm<'_>, key: &Key) -> Outcome<()> {
    let parameters: [(Component, &[u8]); 5] = [
        (Component::Field, &p256::FIELD),
        (Component::A, &p256::A),
        (Component::B, &p256::B),
        (Component::G, &p256::G),
        (Component::R, &p256::R),
    ];
    for (component, expected) in parameters {
        if key.has(vm, component) && **key.get(vm, component)? != *expected {
            return crypto(reason::CRYPTO_ILLEGAL_VALUE);
        }
    }
    Ok(())
}

pub(super) const METHODS: &[Row] = &[
    (KEY_PAIR, "<init>(BS)V", init),
    (KEY_PAIR, "<init>(Ljavacard/security/PublicKey;Ljavacard/security/PrivateKey;)V", init_with),
    (KEY_PAIR, "getPublic()Ljavacard/security/PublicKey;", get_public),
    (KEY_PAIR, "getPrivate()Ljavacard/security/PrivateKey;", get_private),
    (KEY_PAIR, "genKeyPair()V", gen_key_pair),
];
