//! javacardx.crypto.Cipher; cells as in [`engine`](super::engine).

use zeroize::Zeroizing;

use super::engine::{self, crypto, first_block, illegal_use, Numbers};
use super::key::{Component, Family, Key};
use super::Row;
use crate::crypto::padding::{pkcs1_remove, pkcs1_type1, pkcs1_type2, BlockPadding};
use crate::crypto::{cbc_decrypt, cbc_encrypt, ecb, Aes, Engine, BLOCK};
use crate::vm::{check_range, reason, Args, Exception, Outcome, Trap, Value, Vm};

const CIPHER: &str = "javacardx/crypto/Cipher";
const IMPL: &str = "javacardx/crypto/CipherImpl";

/// MODE_DECRYPT, MODE_ENCRYPT
const MODE_DECRYPT: i8 = 1;
const MODE_ENCRYPT: i8 = 2;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    RsaNoPad,
    RsaPkcs1,
    Ecb(BlockPadding),
    Cbc(BlockPadding),
}

impl Scheme {
    fn is_chained(self) -> bool {
        matches!(self, Self::Cbc(_))
    }
}

/// `ALG_…`, `CIPHER_…`, `PAD_…` of what is there.
pub(super) const SCHEMES: &[Numbers<Scheme>] = &[
    (10, 7, 7, Scheme::RsaPkcs1),
    (12, 7, 1, Scheme::RsaNoPad),
    (13, 1, 1, Scheme::Cbc(BlockPadding::None)),
    (14, 2, 1, Scheme::Ecb(BlockPadding::None)),
    (22, 1, 2, Scheme::Cbc(BlockPadding::Zeros)),
    (23, 1, 3, Scheme::Cbc(BlockPadding::Bit)),
    (24, 1, 6, Scheme::Cbc(BlockPadding::Count)),
    (25, 2, 2, Scheme::Ecb(BlockPadding::Zeros)),
    (26, 2, 3, Scheme::Ecb(BlockPadding::Bit)),
    (27, 2, 6, Scheme::Ecb(BlockPadding::Count)),
];

/// getInstance(byte algorithm, boolean externalAccess)
fn get_instance(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let number = vm.byte_arg(args, 0)?;
    make(vm, number)
}

/// getInstance(byte cipherAlgorithm, byte paddingAlgorithm, boolean externalAccess)
fn get_instance_of(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let (cipher, padding) = (vm.byte_arg(args, 0)?, vm.byte_arg(args, 1)?);
    let number = SCHEMES.iter().find(|(_, c, p, _)| (*c, *p) == (cipher, padding)).map(|row| row.0);
    make(vm, number.unwrap_or(0))
}

fn make(vm: &mut Vm<'_>, number: i8) -> Outcome<Value> {
    let (_, _, _, scheme) = engine::row(SCHEMES, number)?;
    engine::make(vm, IMPL, number, scheme.is_chained())
}

type This = engine::This<Scheme>;

fn this(vm: &Vm<'_>, args: Args) -> Outcome<This> {
    engine::this(vm, args, IMPL, SCHEMES)
}

/// init(Key theKey, byte theMode)
fn init(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    start(vm, args, None)
}

/// init(Key theKey, byte theMode, byte[] bArray, short bOff, short bLen)
fn init_with(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let bytes = vm.bytes_arg(args, 3, vm.short_arg(args, 4)?, vm.short_arg(args, 5)?)?;
    start(vm, args, Some(bytes))
}

fn start(vm: &mut Vm<'_>, args: Args, parameters: Option<Vec<u8>>) -> Outcome<Value> {
    let this = this(vm, args)?;
    let key = Key::argument(vm, args, 1)?;
    let mode = vm.byte_arg(args, 2)?;
    let fits = match this.scheme {
        Scheme::RsaNoPad | Scheme::RsaPkcs1 => {
            matches!(key.family, Family::RsaPublic | Family::RsaPrivate | Family::RsaCrt)
        }
        Scheme::Ecb(_) | Scheme::Cbc(_) => key.family == Family::Aes,
    };
    let chain = first_block(this.scheme.is_chained(), parameters)?;
    if !fits || !matches!(mode, MODE_DECRYPT | MODE_ENCRYPT) {
        return crypto(reason::CRYPTO_ILLEGAL_VALUE);
    }
    this.start(vm, &key, mode, chain.as_deref())?;
    Ok(Value::Void)
}

/// The buffered input and chaining block; as init left them when there are none.
fn under_way(vm: &Vm<'_>, this: &This) -> Outcome<(Vec<u8>, [u8; BLOCK])> {
    if let Some(Engine::Buffer { pending, chain }) = vm.state.engines.get(&this.object.at) {
        return Ok((pending.clone(), *chain));
    }
    let chain = if this.scheme.is_chained() { this.chain(vm)? } else { [0; BLOCK] };
    Ok((Vec::new(), chain))
}

fn aes_of(vm: &Vm<'_>, key: &Key) -> Outcome<Aes> {
    let bytes = key.get(vm, Component::Secret)?;
    Aes::new(&bytes).ok_or(Trap::Raise(Exception::Crypto, reason::UNINITIALIZED_KEY))
}

fn crypt(this: &This, aes: &Aes, chain: &mut [u8; BLOCK], data: &[u8]) -> Vec<u8> {
    match (this.scheme, this.mode) {
        (Scheme::Cbc(_), MODE_ENCRYPT) => cbc_encrypt(aes, chain, data),
        (Scheme::Cbc(_), _) => cbc_decrypt(aes, chain, data),
        (_, mode) => ecb(aes, data, mode == MODE_ENCRYPT),
    }
}

/// update(byte[] inBuff, short inOffset, short inLength, byte[] outBuff, short outOffset)
fn update(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let this = this(vm, args)?;
    let key = this.key(vm)?;
    let input = vm.bytes_arg(args, 1, vm.short_arg(args, 2)?, vm.short_arg(args, 3)?)?;
    let out = vm.array_arg(args, 4)?;
    let offset = vm.short_arg(args, 5)?;
    let (mut pending, mut chain) = under_way(vm, &this)?;
    pending.extend(input);
    let (Scheme::Ecb(padding) | Scheme::Cbc(padding)) = this.scheme else {
        if pending.len() > usize::from(key.bits / 8) {
            return Err(illegal_use());
        }
        vm.state.engines.insert(this.object.at, Engine::Buffer { pending, chain });
        return Ok(Value::Short(0));
    };
    let mut whole = pending.len() / BLOCK * BLOCK;
    // The last block may be padding that has to come off.
    let held_back = this.mode == MODE_DECRYPT && matches!(padding, BlockPadding::Bit | BlockPadding::Count);
    if held_back && whole == pending.len() && whole > 0 {
        whole -= BLOCK;
    }
    let aes = aes_of(vm, &key)?;
    let result = crypt(&this, &aes, &mut chain, &pending[..whole]);
    let len = i16::try_from(result.len()).unwrap_or(i16::MAX);
    check_range(&out, offset, len)?;
    pending.drain(..whole);
    vm.state.engines.insert(this.object.at, Engine::Buffer { pending, chain });
    vm.put_bytes(&out, offset, &result)?;
    Ok(len.into())
}

/// doFinal(byte[] inBuff, short inOffset, short inLength, byte[] outBuff, short outOffset)
fn do_final(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let this = this(vm, args)?;
    let key = this.key(vm)?;
    let input = vm.bytes_arg(args, 1, vm.short_arg(args, 2)?, vm.short_arg(args, 3)?)?;
    let out = vm.array_arg(args, 4)?;
    let offset = vm.short_arg(args, 5)?;
    let (mut pending, mut chain) = under_way(vm, &this)?;
    pending.extend(input);
    let pending = Zeroizing::new(pending);
    let result = match this.scheme {
        Scheme::RsaNoPad | Scheme::RsaPkcs1 => rsa_final(vm, &this, &key, &pending)?,
        Scheme::Ecb(padding) | Scheme::Cbc(padding) => {
            let aes = aes_of(vm, &key)?;
            if this.mode == MODE_ENCRYPT {
                let padded = padding.add(pending.to_vec(), BLOCK).ok_or_else(illegal_use)?;
                crypt(&this, &aes, &mut chain, &padded)
            } else {
                if pending.len() % BLOCK != 0 {
                    return Err(illegal_use());
                }
                let clear = crypt(&this, &aes, &mut chain, &pending);
                padding.remove(clear, BLOCK).ok_or_else(illegal_use)?
            }
        }
    };
    let result = Zeroizing::new(result);
    let len = i16::try_from(result.len()).unwrap_or(i16::MAX);
    check_range(&out, offset, len)?;
    vm.state.engines.remove(&this.object.at);
    vm.put_bytes(&out, offset, &result)?;
    Ok(len.into())
}

fn rsa_final(vm: &mut Vm<'_>, this: &This, key: &Key, input: &[u8]) -> Outcome<Vec<u8>> {
    let len = usize::from(key.bits / 8);
    let public = key.family == Family::RsaPublic;
    if this.scheme == Scheme::RsaPkcs1 && this.mode == MODE_ENCRYPT {
        let block =
            if public { pkcs1_type2(input, len, &mut vm.state.random) } else { pkcs1_type1(input, len) };
        let block = Zeroizing::new(block.ok_or_else(illegal_use)?);
        return rsa(vm, key, &block);
    }
    if input.len() != len {
        return Err(illegal_use());
    }
    let block = rsa(vm, key, input)?;
    if this.scheme == Scheme::RsaNoPad {
        return Ok(block);
    }
    let block = Zeroizing::new(block);
    pkcs1_remove(&block, if public { 1 } else { 2 }).ok_or_else(illegal_use)
}

/// The RSA operation of whatever key it is; as long as the modulus.
pub(super) fn rsa(vm: &Vm<'_>, key: &Key, input: &[u8]) -> Outcome<Vec<u8>> {
    let crypto = &vm.state.crypto;
    let result = if key.family == Family::RsaCrt {
        crypto.rsa_crt(&key.crt(vm)?, input)
    } else {
        let (modulus, exponent) = (key.get(vm, Component::Modulus)?, key.get(vm, Component::Exponent)?);
        crypto.rsa_raw(&modulus, &exponent, input)
    };
    let mut result = result.ok_or_else(illegal_use)?;
    let len = usize::from(key.bits / 8);
    while result.len() < len {
        result.insert(0, 0);
    }
    Ok(result)
}

/// getAlgorithm()
fn get_algorithm(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    Ok(this(vm, args)?.numbers.0.into())
}

/// getCipherAlgorithm()
fn get_cipher_algorithm(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    Ok(this(vm, args)?.numbers.1.into())
}

/// getPaddingAlgorithm()
fn get_padding_algorithm(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    Ok(this(vm, args)?.numbers.2.into())
}

pub(super) const METHODS: &[Row] = &[
    (CIPHER, "getInstance(BZ)Ljavacardx/crypto/Cipher;", get_instance),
    (CIPHER, "getInstance(BBZ)Ljavacardx/crypto/Cipher;", get_instance_of),
    (CIPHER, "init(Ljavacard/security/Key;B)V", init),
    (CIPHER, "init(Ljavacard/security/Key;B[BSS)V", init_with),
    (CIPHER, "update([BSS[BS)S", update),
    (CIPHER, "doFinal([BSS[BS)S", do_final),
    (CIPHER, "getAlgorithm()B", get_algorithm),
    (CIPHER, "getCipherAlgorithm()B", get_cipher_algorithm),
    (CIPHER, "getPaddingAlgorithm()B", get_padding_algorithm),
];
