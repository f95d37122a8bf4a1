package jp.jpkise.jpki;

import javacard.framework.ISOException;
import javacard.framework.JCSystem;
import javacard.framework.OwnerPIN;
import javacard.framework.Util;
import javacard.security.KeyBuilder;
import javacard.security.KeyPair;
import javacard.security.PrivateKey;
import javacard.security.RSAPublicKey;

/**
 * One of the two keys with all that belongs to it: state, key pair, certificates, the user's secret, counters.
 *
 * <pre>
 * EMPTY -> KEYED (generated) -> CERTIFIED (certificate stored) -> ACTIVE (the user has set his secret) <-> HELD
 * ACTIVE -> CERTIFIED (reset)    any but EMPTY -> REVOKED    any -> EMPTY (deleted)
 * </pre>
 *
 * The state is one byte and its write is the commit of every transition; where a second value must agree with it, both
 * stand in a transaction. Generation, resets and signatures only ever grow, over deletion too, so that an attestation
 * shows what happened since the one before.
 */
final class JpkiKey {
    static final byte EMPTY = 0;
    static final byte KEYED = 1;
    static final byte CERTIFIED = 2;
    static final byte ACTIVE = 3;
    static final byte HELD = 4;
    static final byte REVOKED = 5;

    /** Length of a SHA-256 hash. */
    static final short HASH = 32;
    /** Length of the modulus. */
    static final short MODULUS = 256;

    /** Some platforms draw a random exponent unless one is set; the card edge knows 65537 only. */
    private static final byte[] EXPONENT = {0x01, 0x00, 0x01};

    final Ef certificate;
    final Ef caCertificate;
    final OwnerPIN secret;
    /** Media on which the user may use this key. */
    final byte media;

    private final Ram ram;
    /** Where this key's temporary secret stands in {@link Ram#temporary}. */
    private final short temporary;
    private final PrivateKey privateKey;
    private final RSAPublicKey publicKey;
    private final KeyPair pair;
    private final byte[] provenHash;
    private boolean proven;
    private byte state;
    private short generation;
    private short resets;
    private short signaturesHigh;
    private short signaturesLow;

    JpkiKey(Ram ram, byte reference, byte tries, byte media, short certificateSize, short caSize) {
        this.ram = ram;
        this.media = media;
        temporary = reference == Tag.KEY_AUTH ? (short) 0 : Ram.TEMPORARY;
        privateKey = (PrivateKey) KeyBuilder.buildKey(
                KeyBuilder.TYPE_RSA_CRT_PRIVATE, KeyBuilder.LENGTH_RSA_2048, false);
        publicKey = (RSAPublicKey) KeyBuilder.buildKey(
                KeyBuilder.TYPE_RSA_PUBLIC, KeyBuilder.LENGTH_RSA_2048, false);
        pair = new KeyPair(publicKey, privateKey);
        secret = new OwnerPIN(tries, (byte) Ram.SECRET);
        provenHash = new byte[HASH];
        certificate = new Ef(certificateSize);
        caCertificate = new Ef(caSize);
    }

    byte state() {
        return state;
    }

    boolean is(byte expected) {
        return state == expected;
    }

    /** @throws ISOException 6985 unless the key is in that state */
    void require(byte expected) {
        if (state != expected) {
            ISOException.throwIt(Sw.CONDITIONS);
        }
    }

    /** @throws ISOException 6985 unless the key is in one of the two states */
    void require(byte expected, byte orElse) {
        if (state != orElse) {
            require(expected);
        }
    }

    /**
     * EMPTY -> KEYED. A tear inside the generation leaves the key EMPTY, and what is in the key objects unused.
     */
    void generate() {
        require(EMPTY);
        publicKey.setExponent(EXPONENT, (short) 0, (short) EXPONENT.length);
        pair.genKeyPair();
        JCSystem.beginTransaction();
        generation = next(generation);
        proven = false;
        state = KEYED;
        JCSystem.commitTransaction();
    }

    /**
     * Binds the key to the first hash it proves possession with: a second one would be a signature on something else.
     *
     * @throws ISOException 6985 when it was proved with another hash
     */
    void bindProof(byte[] hash, short offset) {
        require(KEYED);
        if (!proven) {
            JCSystem.beginTransaction();
            Util.arrayCopy(hash, offset, provenHash, (short) 0, HASH);
            proven = true;
            JCSystem.commitTransaction();
        } else if (Util.arrayCompare(hash, offset, provenHash, (short) 0, HASH) != 0) {
            ISOException.throwIt(Sw.CONDITIONS);
        }
    }

    /** KEYED -> CERTIFIED, when the certificate's bytes are in their file and fit. */
    void certify(short length) {
        require(KEYED);
        JCSystem.beginTransaction();
        certificate.length = length;
        state = CERTIFIED;
        JCSystem.commitTransaction();
    }

    /**
     * Sets a temporary secret. The user's own is gone with it, the tries are full, and the key signs nothing until the
     * user has set his own again.
     *
     * @param length 1 to {@link Ram#SECRET}
     */
    void setTemporary(byte[] value, short offset, short length) {
        require(CERTIFIED, ACTIVE);
        // Zeros take the place of the user's secret; they open nothing, since VERIFY is refused in this state.
        Util.arrayFillNonAtomic(ram.scratch, (short) 0, Ram.SECRET, (byte) 0);
        JCSystem.beginTransaction();
        secret.update(ram.scratch, (short) 0, (byte) Ram.SECRET);
        resets = next(resets);
        state = CERTIFIED;
        JCSystem.commitTransaction();
        ram.temporary[temporary] = (byte) length;
        Util.arrayFillNonAtomic(ram.temporary, (short) (temporary + 1), Ram.SECRET, (byte) 0xFF);
        Util.arrayCopyNonAtomic(value, offset, ram.temporary, (short) (temporary + 1), length);
    }

    boolean hasTemporary() {
        return ram.temporary[temporary] != 0;
    }

    /** Compares with the temporary secret in a time that does not depend on where they differ. */
    boolean matchesTemporary(byte[] value, short offset, short length) {
        byte difference = 0;
        for (short i = 0; i < length; i++) {
            difference |= (byte) (value[(short) (offset + i)] ^ ram.temporary[(short) (temporary + 1 + i)]);
        }
        return difference == 0;
    }

    void forgetTemporary() {
        Util.arrayFillNonAtomic(ram.temporary, temporary, Ram.TEMPORARY, (byte) 0);
    }

    /** Sets the user's own secret. CERTIFIED -> ACTIVE; ACTIVE and HELD stay. */
    void setSecret(byte[] value, short offset, short length) {
        JCSystem.beginTransaction();
        secret.update(value, offset, (byte) length);
        if (state == CERTIFIED) {
            state = ACTIVE;
        }
        JCSystem.commitTransaction();
    }

    /** ACTIVE -> HELD (certificateHold). */
    void hold() {
        require(ACTIVE);
        state = HELD;
    }

    /** HELD -> ACTIVE (removeFromCRL). */
    void release() {
        require(HELD);
        state = ACTIVE;
    }

    /** Any but EMPTY -> REVOKED, for good. The public key stays for the attestation. */
    void revoke() {
        if (state == EMPTY) {
            ISOException.throwIt(Sw.CONDITIONS);
        }
        state = REVOKED;
        privateKey.clearKey();
    }

    /** Any -> EMPTY; what the key leaves behind is for {@link #wipe}. */
    void empty() {
        state = EMPTY;
    }

    /**
     * Clears all that an EMPTY key has left. Safe to repeat after a tear; the caller keeps the flag that says it must be. Touches nothing
     * transient: at deinstallation another application is selected, and the runtime forbids it.
     */
    void wipe() {
        privateKey.clearKey();
        publicKey.clearKey();
        certificate.wipe();
        Util.arrayFillNonAtomic(provenHash, (short) 0, HASH, (byte) 0);
        secret.update(provenHash, (short) 0, (byte) Ram.SECRET);
    }

    /** Counts a signature before it is made, so that a tear can only count too many. */
    void countSignature() {
        if (signaturesLow == (short) -1) {
            JCSystem.beginTransaction();
            signaturesHigh++;
            signaturesLow = 0;
            JCSystem.commitTransaction();
        } else {
            signaturesLow++;
        }
    }

    PrivateKey privateKey() {
        return privateKey;
    }

    /** Writes the modulus, {@link #MODULUS} bytes. The key must not be EMPTY. */
    void modulus(byte[] target, short offset) {
        publicKey.getModulus(target, offset);
    }

    /** Writes generation, signatures and resets, 8 bytes. */
    short counters(byte[] target, short offset) {
        offset = Util.setShort(target, offset, generation);
        offset = Util.setShort(target, offset, signaturesHigh);
        offset = Util.setShort(target, offset, signaturesLow);
        return Util.setShort(target, offset, resets);
    }

    /** A counter that stops at its end rather than start again. */
    private static short next(short counter) {
        return counter == (short) -1 ? counter : (short) (counter + 1);
    }
}
