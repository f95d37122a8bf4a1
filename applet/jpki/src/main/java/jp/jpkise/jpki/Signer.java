package jp.jpkise.jpki;

import javacard.framework.APDU;
import javacard.framework.ISO7816;
import javacard.framework.ISOException;
import javacard.framework.Util;
import javacard.security.MessageDigest;
import javacard.security.RandomData;

/**
 * All signing: COMPUTE DIGITAL SIGNATURE for the user, PROVE POSSESSION for the issuer, GET CHALLENGE for its randomness.
 *
 * <pre>
 * COMPUTE DIGITAL SIGNATURE  80 2A P1 P2 | data | Le 00 -> 256 bytes, 9000
 *   P1 00  1 - 245 bytes, padded as they are (PKCS#1 v1.5 type 1)
 *      01  message; its bare SHA-256 is padded               90 2A: more of the message follows
 *      02  SHA-256 hash; the DigestInfo is added
 *      03  message; hash and DigestInfo on card              likewise
 *      04  SHA-256 hash; PSS with SHA-256, MGF1, 32 bytes of random salt
 *      05  message; likewise, hashed on card                 likewise
 *   6700 no data or too much, 6884 chained though the scheme takes a hash, 6982, 6985 (also a hash of another length, and
 *   in the secure channel), 6A80 not a DigestInfo where the policy wants one, 6A86, 6A88, 6C00 a wrong Le
 * </pre>
 *
 * Order of checks: P1 P2, medium, state, verified, lengths, Le; then the signature is counted, then made.
 */
final class Signer {
    private static final byte SCHEME_VERBATIM = 0;
    private static final byte SCHEME_BARE_HASH = 1;
    private static final byte SCHEME_HASH_PSS = 4;
    private static final byte SCHEME_MESSAGE_PSS = 5;
    /** The schemes whose message the card hashes are the odd ones. */
    private static final byte SCHEME_HASHES = 1;

    /** What PKCS#1 v1.5 leaves of 256 bytes (RFC 8017, 9.2: at least 8 of padding, 3 around it). */
    private static final short LONGEST_VERBATIM = 245;
    private static final short NE_MAX = 256;

    /** DigestInfo of SHA-256 before the hash (RFC 8017, 9.2 note 1). */
    private static final byte[] SHA256_PREFIX = {
        0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, (byte) 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
        0x05, 0x00, 0x04, 0x20};

    // PSS (RFC 8017, 9.1.1), emLen 256, hLen = sLen = 32: maskedDB (223) || H (32) || BC.
    private static final short PSS_H = 223;
    private static final short PSS_SALT = 191;
    private static final short PSS_TRAILER = 255;
    private static final short PSS_ZEROS = 8;

    private final Ram ram;
    private final Config config;
    private final SecureGuard guard;
    private final Files files;
    private final RawRsa rsa;
    private final MessageDigest sha256;
    private final RandomData random;

    Signer(Ram ram, Config config, SecureGuard guard, Files files) {
        this.ram = ram;
        this.config = config;
        this.guard = guard;
        this.files = files;
        rsa = new RawRsa();
        sha256 = MessageDigest.getInstance(MessageDigest.ALG_SHA_256, false);
        random = RandomData.getInstance(RandomData.ALG_SECURE_RANDOM);
    }

    /** GET CHALLENGE: 00 84 00 00 Le, 1 to 256 bytes. */
    void getChallenge(APDU apdu) {
        if (Util.getShort(apdu.getBuffer(), ISO7816.OFFSET_P1) != 0) {
            ISOException.throwIt(Sw.WRONG_P1P2);
        }
        short length = guard.startAnswer(apdu);
        random.generateData(ram.scratch, (short) 0, length);
        guard.answer(apdu, ram.scratch, (short) 0, length);
    }

    /** @param more whether the class byte says that more of the message follows */
    void compute(APDU apdu, boolean more) {
        byte[] buffer = apdu.getBuffer();
        if (guard.isSecure()) {
            ISOException.throwIt(Sw.CONDITIONS);
        }
        byte scheme = buffer[ISO7816.OFFSET_P1];
        if (scheme < SCHEME_VERBATIM || scheme > SCHEME_MESSAGE_PSS) {
            ISOException.throwIt(Sw.WRONG_P1P2);
        }
        JpkiKey key = files.keyOf(buffer[ISO7816.OFFSET_P2]);
        config.requireMedium(key);
        key.require(JpkiKey.ACTIVE);
        if (!key.secret.isValidated()) {
            ISOException.throwIt(Sw.SECURITY_STATUS);
        }
        short p1p2 = Util.getShort(buffer, ISO7816.OFFSET_P1);
        boolean hashes = (scheme & SCHEME_HASHES) != 0;
        if (more && !hashes) {
            ISOException.throwIt(Sw.CHAINING_NOT_SUPPORTED);
        }
        boolean continues = ram.vars[Ram.CHAIN] == p1p2;
        ram.vars[Ram.CHAIN] = 0;
        if (!continues) {
            sha256.reset();
        }
        short length = guard.receive(apdu);
        if (length == 0 && (more || !continues)) {
            ISOException.throwIt(Sw.WRONG_LENGTH);
        }
        if (more) {
            sha256.update(ram.scratch, (short) 0, length);
            ram.vars[Ram.CHAIN] = p1p2;
            return;
        }
        requireInput(scheme, length);
        short ne = apdu.setOutgoing();
        // Without Le (T=0, or a client that leaves it out) the signature is sent all the same.
        if (ne != 0 && ne != NE_MAX) {
            ISOException.throwIt(Sw.WRONG_LE_WANT_256);
        }
        if (hashes) {
            length = sha256.doFinal(ram.scratch, (short) 0, length, ram.scratch, (short) 0);
        }
        if (scheme >= SCHEME_HASH_PSS) {
            padPss(buffer);
        } else if (scheme <= SCHEME_BARE_HASH) {
            padPkcs1(length);
        } else {
            padDigestInfo();
        }
        key.countSignature();
        rsa.apply(key.privateKey(), ram.scratch);
        guard.answer(apdu, ram.scratch, (short) 0, JpkiKey.MODULUS);
    }

    /**
     * PROVE POSSESSION: 84 2B KK 00 | 32 bytes, the hash of the CertificationRequestInfo. The signature waits in scratch
     * for GET DATA.
     *
     * @param buffer the APDU buffer with the hash at offset 5
     */
    void provePossession(JpkiKey key, byte reference, byte[] buffer) {
        key.bindProof(buffer, ISO7816.OFFSET_CDATA);
        Util.arrayCopyNonAtomic(buffer, ISO7816.OFFSET_CDATA, ram.scratch, (short) 0, JpkiKey.HASH);
        padDigestInfo();
        rsa.apply(key.privateKey(), ram.scratch);
        ram.vars[Ram.PROOF] = reference;
    }

    /**
     * Writes the SHA-256 of the modulus; zeros for a key that has none. Overwrites scratch.
     *
     * @return offset behind it
     */
    short hashModulus(JpkiKey key, byte[] target, short offset) {
        if (key.is(JpkiKey.EMPTY)) {
            return Util.arrayFillNonAtomic(target, offset, JpkiKey.HASH, (byte) 0);
        }
        key.modulus(ram.scratch, (short) 0);
        sha256.reset();
        sha256.doFinal(ram.scratch, (short) 0, JpkiKey.MODULUS, target, offset);
        return (short) (offset + JpkiKey.HASH);
    }

    private void requireInput(byte scheme, short length) {
        if (scheme == SCHEME_VERBATIM) {
            if (length > LONGEST_VERBATIM) {
                ISOException.throwIt(Sw.WRONG_LENGTH);
            }
            if (config.has(Config.DIGEST_INFO_ONLY)) {
                requireDigestInfo(length);
            }
        } else if (scheme == SCHEME_BARE_HASH) {
            if (config.has(Config.DIGEST_INFO_ONLY)) {
                ISOException.throwIt(Sw.CONDITIONS);
            }
        } else if ((scheme & SCHEME_HASHES) == 0 && length != JpkiKey.HASH) {
            ISOException.throwIt(Sw.CONDITIONS);
        }
    }

    /**
     * DigestInfo (RFC 8017, A.2.4): SEQUENCE { SEQUENCE { OBJECT IDENTIFIER, NULL or nothing }, OCTET STRING } and nothing
     * behind it. Clients write it with and without the NULL.
     */
    private void requireDigestInfo(short length) {
        byte[] data = ram.scratch;
        short algorithm = Tlv.content(data, (short) 0, length, Tag.SEQUENCE);
        short oid = Tlv.content(data, algorithm, length, Tag.SEQUENCE);
        short digest = Tlv.next(data, algorithm, length);
        Tlv.content(data, oid, digest, Tag.OBJECT_IDENTIFIER);
        short parameters = Tlv.next(data, oid, digest);
        if (parameters != digest
                && (Tlv.content(data, parameters, digest, Tag.NULL) != digest)) {
            ISOException.throwIt(Sw.WRONG_DATA);
        }
        Tlv.content(data, digest, length, Tag.OCTET_STRING);
        if (Tlv.next(data, (short) 0, length) != length || Tlv.next(data, digest, length) != length) {
            ISOException.throwIt(Sw.WRONG_DATA);
        }
    }

    /** Pads the hash at the start of scratch as a DigestInfo. */
    private void padDigestInfo() {
        byte[] scratch = ram.scratch;
        short prefix = (short) SHA256_PREFIX.length;
        Util.arrayCopyNonAtomic(scratch, (short) 0, scratch, prefix, JpkiKey.HASH);
        Util.arrayCopyNonAtomic(SHA256_PREFIX, (short) 0, scratch, (short) 0, prefix);
        padPkcs1((short) (prefix + JpkiKey.HASH));
    }

    /** EMSA-PKCS1-v1_5 (RFC 8017, 9.2): 00 01 FF .. FF 00 and the first {@code length} bytes of scratch. */
    private void padPkcs1(short length) {
        byte[] scratch = ram.scratch;
        short start = (short) (JpkiKey.MODULUS - length);
        Util.arrayCopyNonAtomic(scratch, (short) 0, scratch, start, length);
        scratch[0] = 0;
        scratch[1] = 1;
        Util.arrayFillNonAtomic(scratch, (short) 2, (short) (start - 3), (byte) 0xFF);
        scratch[(short) (start - 1)] = 0;
    }

    /**
     * EMSA-PSS of the hash at the start of scratch.
     *
     * @param work at least 72 bytes to work in: the APDU buffer, whose command has been read
     */
    private void padPss(byte[] work) {
        byte[] scratch = ram.scratch;
        // M' = 8 zeros || hash || salt; H is its hash.
        Util.arrayFillNonAtomic(work, (short) 0, PSS_ZEROS, (byte) 0);
        short saltInWork = Util.arrayCopyNonAtomic(scratch, (short) 0, work, PSS_ZEROS, JpkiKey.HASH);
        random.generateData(work, saltInWork, JpkiKey.HASH);
        sha256.doFinal(work, (short) 0, (short) (saltInWork + JpkiKey.HASH), scratch, PSS_H);
        // DB = zeros || 01 || salt.
        Util.arrayFillNonAtomic(scratch, (short) 0, PSS_SALT, (byte) 0);
        scratch[(short) (PSS_SALT - 1)] = 1;
        Util.arrayCopyNonAtomic(work, saltInWork, scratch, PSS_SALT, JpkiKey.HASH);
        // MGF1 (RFC 8017, B.2.1) over H: the mask of each 32 bytes is the hash of H and a four-byte counter.
        Util.arrayCopyNonAtomic(scratch, PSS_H, work, (short) 0, JpkiKey.HASH);
        Util.arrayFillNonAtomic(work, JpkiKey.HASH, (short) 4, (byte) 0);
        short mask = (short) (JpkiKey.HASH + 4);
        for (short block = 0; block < PSS_H; block = (short) (block + JpkiKey.HASH)) {
            sha256.doFinal(work, (short) 0, mask, work, mask);
            for (short i = 0; i < JpkiKey.HASH && (short) (block + i) < PSS_H; i++) {
                scratch[(short) (block + i)] ^= work[(short) (mask + i)];
            }
            work[(short) (mask - 1)]++;
        }
        scratch[0] &= 0x7F;
        scratch[PSS_TRAILER] = (byte) 0xBC;
    }
}
