//! javacard.security.Signature; cells as in [`engine`](super::engine).

use zeroize::Zeroizing;

use super::cipher::rsa;
use super::engine::{self, crypto, first_block, illegal_use, Numbers};
use super::key::{Component, Family, Key};
use super::keypair::require_p256;
use super::Row;
use crate::bits::Bits;
use crate::crypto::padding::{digest_info, pkcs1_type1, pss_encode, pss_verify};
use crate::crypto::{cbc_encrypt, cmac, Aes, Engine, HashAlgorithm, BLOCK, BLOCK_LENGTH};
use crate::vm::{check_range, reason, Args, Outcome, Value, Vm};

const SIGNATURE: &str = "javacard/security/Signature";
const IMPL: &str = "javacard/security/SignatureImpl";

/// MODE_SIGN, MODE_VERIFY
const MODE_SIGN: i8 = 1;
const MODE_VERIFY: i8 = 2;

use HashAlgorithm::{Sha1, Sha224, Sha256, Sha384, Sha512};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Pkcs1(HashAlgorithm),
    Pss(HashAlgorithm),
    Ecdsa(HashAlgorithm),
    Hmac(HashAlgorithm),
    CbcMac,
    Cmac,
}

/// `ALG_…`, `SIG_CIPHER_…`, `Cipher.PAD_…` of what is there.
pub(super) const SCHEMES: &[Numbers<Scheme>] = &[
    (10, 3, 7, Scheme::Pkcs1(Sha1)),
    (39, 3, 7, Scheme::Pkcs1(Sha224)),
    (40, 3, 7, Scheme::Pkcs1(Sha256)),
    (41, 3, 7, Scheme::Pkcs1(Sha384)),
    (42, 3, 7, Scheme::Pkcs1(Sha512)),
    (21, 3, 8, Scheme::Pss(Sha1)),
    (43, 3, 8, Scheme::Pss(Sha224)),
    (44, 3, 8, Scheme::Pss(Sha256)),
    (45, 3, 8, Scheme::Pss(Sha384)),
    (46, 3, 8, Scheme::Pss(Sha512)),
    (17, 5, 0, Scheme::Ecdsa(Sha1)),
    (37, 5, 0, Scheme::Ecdsa(Sha224)),
    (33, 5, 0, Scheme::Ecdsa(Sha256)),
    (34, 5, 0, Scheme::Ecdsa(Sha384)),
    (38, 5, 0, Scheme::Ecdsa(Sha512)),
    (24, 7, 0, Scheme::Hmac(Sha1)),
    (25, 7, 0, Scheme::Hmac(Sha256)),
    (26, 7, 0, Scheme::Hmac(Sha384)),
    (27, 7, 0, Scheme::Hmac(Sha512)),
    (18, 6, 1, Scheme::CbcMac),
    (49, 10, 0, Scheme::Cmac),
];

impl Scheme {
    fn hash(self) -> Option<HashAlgorithm> {
        match self {
            Self::Pkcs1(h) | Self::Pss(h) | Self::Ecdsa(h) | Self::Hmac(h) => Some(h),
            Self::CbcMac | Self::Cmac => None,
        }
    }

    /// Whether the message is hashed as it comes; a MAC keeps it.
    fn hashes(self) -> Option<HashAlgorithm> {
        match self {
            Self::Hmac(_) => None,
            other => other.hash(),
        }
    }

    fn takes(self, key: &Key, mode: i8) -> bool {
        let signs = mode == MODE_SIGN;
        match self {
            Self::Pkcs1(_) | Self::Pss(_) if signs => {
                matches!(key.family, Family::RsaPrivate | Family::RsaCrt)
            }
            Self::Pkcs1(_) | Self::Pss(_) => key.family == Family::RsaPublic,
            Self::Ecdsa(_) if signs => key.family == Family::EcPrivate,
            Self::Ecdsa(_) => key.family == Family::EcPublic,
            Self::Hmac(_) => key.family == Family::Hmac,
            Self::CbcMac | Self::Cmac => key.family == Family::Aes,
        }
    }
}

/// getInstance(byte algorithm, boolean externalAccess)
fn get_instance(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let number = vm.byte_arg(args, 0)?;
    make(vm, number)
}

/// getInstance(byte messageDigestAlgorithm, byte cipherAlgorithm, byte paddingAlgorithm, boolean externalAccess)
fn get_instance_of(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let (digest, cipher, padding) = (vm.byte_arg(args, 0)?, vm.byte_arg(args, 1)?, vm.byte_arg(args, 2)?);
    let row = SCHEMES.iter().find(|(_, c, p, scheme)| {
        let number = scheme.hash().map_or(0, HashAlgorithm::number);
        (number, *c) == (digest, cipher) && (*p == padding || *p == 0)
    });
    make(vm, row.map_or(0, |row| row.0))
}

fn make(vm: &mut Vm<'_>, number: i8) -> Outcome<Value> {
    let (_, _, _, scheme) = engine::row(SCHEMES, number)?;
    engine::make(vm, IMPL, number, scheme == Scheme::CbcMac)
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
    let chain = first_block(this.scheme == Scheme::CbcMac, parameters)?;
    if !matches!(mode, MODE_SIGN | MODE_VERIFY) || !this.scheme.takes(&key, mode) {
        return crypto(reason::CRYPTO_ILLEGAL_VALUE);
    }
    this.start(vm, &key, mode, chain.as_deref())?;
    Ok(Value::Void)
}

/// The engine with more of the message in it.
fn feed(vm: &Vm<'_>, this: &This, data: &[u8]) -> Engine {
    let engine = vm.state.engines.get(&this.object.at).cloned();
    let mut engine = engine.unwrap_or_else(|| match this.scheme.hashes() {
        Some(algorithm) => Engine::Hash(algorithm.start()),
        None => Engine::Buffer { pending: Vec::new(), chain: [0; BLOCK] },
    });
    match &mut engine {
        Engine::Hash(hash) => hash.update(data),
        Engine::Buffer { pending, .. } => pending.extend(data),
    }
    engine
}

/// Digest or whole message at the end.
fn finish(engine: &Engine) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(match engine {
        Engine::Hash(hash) => hash.clone().finish(),
        Engine::Buffer { pending, .. } => pending.clone(),
    })
}

/// update(byte[] inBuff, short inOffset, short inLength)
fn update(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let this = this(vm, args)?;
    this.key(vm)?;
    let data = vm.bytes_arg(args, 1, vm.short_arg(args, 2)?, vm.short_arg(args, 3)?)?;
    let engine = feed(vm, &this, &data);
    vm.state.engines.insert(this.object.at, engine);
    Ok(Value::Void)
}

/// The signature of a digest, or the MAC of a message.
fn produce(vm: &mut Vm<'_>, this: &This, key: &Key, input: &[u8]) -> Outcome<Vec<u8>> {
    let len = usize::from(key.bits / 8);
    match this.scheme {
        Scheme::Pkcs1(algorithm) => {
            let block = pkcs1_type1(&digest_info(algorithm, input), len).ok_or_else(illegal_use)?;
            rsa(vm, key, &block)
        }
        Scheme::Pss(algorithm) => {
            let block = pss_encode(algorithm, input, len, &mut vm.state.random).ok_or_else(illegal_use)?;
            rsa(vm, key, &block)
        }
        Scheme::Ecdsa(_) => {
            require_p256(vm, key)?;
            let scalar = key.get(vm, Component::S)?;
            vm.state.crypto.p256_sign(&scalar, input).ok_or_else(illegal_use)
        }
        _ => mac(vm, this, key, input),
    }
}

fn mac(vm: &Vm<'_>, this: &This, key: &Key, message: &[u8]) -> Outcome<Vec<u8>> {
    let secret = key.get(vm, Component::Secret)?;
    if let Scheme::Hmac(algorithm) = this.scheme {
        return Ok(hmac(algorithm, &secret, message));
    }
    let aes = Aes::new(&secret).ok_or_else(illegal_use)?;
    if this.scheme == Scheme::Cmac {
        return Ok(cmac(&aes, message).to_vec());
    }
    if message.is_empty() || message.len() % BLOCK != 0 {
        return Err(illegal_use());
    }
    let mut chain = this.chain(vm)?;
    cbc_encrypt(&aes, &mut chain, message);
    Ok(chain.to_vec())
}

/// HMAC (RFC 2104)
fn hmac(algorithm: HashAlgorithm, key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block =
        Zeroizing::new(if key.len() > algorithm.block() { algorithm.digest(key) } else { key.to_vec() });
    block.resize(algorithm.block(), 0);
    let keyed = |pad: u8, data: &[u8]| {
        let mut hash = algorithm.start();
        let masked: Zeroizing<Vec<u8>> = Zeroizing::new(block.iter().map(|b| b ^ pad).collect());
        hash.update(&masked);
        hash.update(data);
        hash.finish()
    };
    keyed(0x5C, &keyed(0x36, message))
}

fn is_right(vm: &Vm<'_>, this: &This, key: &Key, input: &[u8], signature: &[u8]) -> Outcome<bool> {
    let len = usize::from(key.bits / 8);
    Ok(match this.scheme {
        Scheme::Pkcs1(_) | Scheme::Pss(_) if signature.len() != len => false,
        Scheme::Pkcs1(algorithm) => match rsa(vm, key, signature) {
            Ok(block) => pkcs1_type1(&digest_info(algorithm, input), len).is_some_and(|right| right == block),
            Err(_) => false,
        },
        Scheme::Pss(algorithm) => match rsa(vm, key, signature) {
            Ok(block) => pss_verify(algorithm, input, &block),
            Err(_) => false,
        },
        Scheme::Ecdsa(_) => {
            require_p256(vm, key)?;
            let point = key.get(vm, Component::W)?;
            vm.state.crypto.p256_verify(&point, input, signature)
        }
        _ => {
            let right = mac(vm, this, key, input)?;
            right.len() == signature.len()
                && right.iter().zip(signature).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
        }
    })
}

/// sign(byte[] inBuff, short inOffset, short inLength, byte[] sigBuff, short sigOffset)
fn sign(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let this = this(vm, args)?;
    let data = vm.bytes_arg(args, 1, vm.short_arg(args, 2)?, vm.short_arg(args, 3)?)?;
    let input = finish(&feed(vm, &this, &data));
    put_signature(vm, args, &this, &input)
}

/// signPreComputedHash(byte[] hashBuff, short hashOffset, short hashLength, byte[] sigBuff, short sigOffset)
fn sign_hash(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let this = this(vm, args)?;
    let hash = hash_arg(vm, args, &this)?;
    put_signature(vm, args, &this, &hash)
}

fn hash_arg(vm: &Vm<'_>, args: Args, this: &This) -> Outcome<Vec<u8>> {
    let hash = vm.bytes_arg(args, 1, vm.short_arg(args, 2)?, vm.short_arg(args, 3)?)?;
    match this.scheme.hashes() {
        Some(algorithm) if algorithm.len() == hash.len() => Ok(hash),
        _ => Err(illegal_use()),
    }
}

fn put_signature(vm: &mut Vm<'_>, args: Args, this: &This, input: &[u8]) -> Outcome<Value> {
    let key = this.key(vm)?;
    if this.mode != MODE_SIGN {
        return crypto(reason::INVALID_INIT);
    }
    let out = vm.array_arg(args, 4)?;
    let offset = vm.short_arg(args, 5)?;
    let signature = produce(vm, this, &key, input)?;
    let len = i16::try_from(signature.len()).unwrap_or(i16::MAX);
    check_range(&out, offset, len)?;
    vm.state.engines.remove(&this.object.at);
    vm.put_bytes(&out, offset, &signature)?;
    Ok(len.into())
}

/// verify(byte[] inBuff, short inOffset, short inLength, byte[] sigBuff, short sigOffset, short sigLength)
fn verify(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let this = this(vm, args)?;
    let data = vm.bytes_arg(args, 1, vm.short_arg(args, 2)?, vm.short_arg(args, 3)?)?;
    let input = finish(&feed(vm, &this, &data));
    check_signature(vm, args, &this, &input)
}

/// verifyPreComputedHash(byte[] hashBuff, short hashOffset, short hashLength, byte[] sigBuff, short sigOffset, short sigLength)
fn verify_hash(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    let this = this(vm, args)?;
    let hash = hash_arg(vm, args, &this)?;
    check_signature(vm, args, &this, &hash)
}

fn check_signature(vm: &mut Vm<'_>, args: Args, this: &This, input: &[u8]) -> Outcome<Value> {
    let key = this.key(vm)?;
    if this.mode != MODE_VERIFY {
        return crypto(reason::INVALID_INIT);
    }
    let signature = vm.bytes_arg(args, 4, vm.short_arg(args, 5)?, vm.short_arg(args, 6)?)?;
    let right = is_right(vm, this, &key, input, &signature)?;
    vm.state.engines.remove(&this.object.at);
    Ok(right.into())
}

/// getLength()
fn get_length(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    /// SEQUENCE of two integers of up to 33 bytes.
    const P256_DER: i16 = 72;
    let this = this(vm, args)?;
    let key = this.key(vm)?;
    Ok(match this.scheme {
        Scheme::Pkcs1(_) | Scheme::Pss(_) => (key.bits / 8).signed(),
        Scheme::Ecdsa(_) => P256_DER,
        Scheme::Hmac(algorithm) => i16::try_from(algorithm.len()).unwrap_or(0),
        Scheme::CbcMac | Scheme::Cmac => BLOCK_LENGTH.signed(),
    }
    .into())
}

/// getAlgorithm()
fn get_algorithm(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    Ok(this(vm, args)?.numbers.0.into())
}

/// getMessageDigestAlgorithm()
fn get_digest_algorithm(vm: &mut Vm<'_>, args: Args) -> Outcome<Value> {
    Ok(this(vm, args)?.scheme.hash().map_or(0, HashAlgorithm::number).into())
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
    (SIGNATURE, "getInstance(BZ)Ljavacard/security/Signature;", get_instance),
    (SIGNATURE, "getInstance(BBBZ)Ljavacard/security/Signature;", get_instance_of),
    (SIGNATURE, "init(Ljavacard/security/Key;B)V", init),
    (SIGNATURE, "init(Ljavacard/security/Key;B[BSS)V", init_with),
    (SIGNATURE, "update([BSS)V", update),
    (SIGNATURE, "sign([BSS[BS)S", sign),
    (SIGNATURE, "verify([BSS[BSS)Z", verify),
    (SIGNATURE, "signPreComputedHash([BSS[BS)S", sign_hash),
    (SIGNATURE, "verifyPreComputedHash([BSS[BSS)Z", verify_hash),
    (SIGNATURE, "getLength()S", get_length),
    (SIGNATURE, "getAlgorithm()B", get_algorithm),
    (SIGNATURE, "getMessageDigestAlgorithm()B", get_digest_algorithm),
    (SIGNATURE, "getCipherAlgorithm()B", get_cipher_algorithm),
    (SIGNATURE, "getPaddingAlgorithm()B", get_padding_algorithm),
];
