package jp.jpkise.jpki;

import javacard.framework.APDU;
import javacard.framework.ISO7816;
import javacard.framework.ISOException;
import javacard.framework.Util;

/**
 * The life of the keys under the service provider's hand, and all GET DATA.
 *
 * <pre>
 * GENERATE ASYMMETRIC KEY PAIR  84 46 KK 00          EMPTY -> KEYED
 * PROVE POSSESSION              84 2B KK 00 | 32     KEYED
 * RESET RETRY COUNTER           84 2C KK 00 | 32     CERTIFIED, ACTIVE -> CERTIFIED
 * DEACTIVATE FILE               84 04 KK 00          ACTIVE -> HELD
 * ACTIVATE FILE                 84 44 KK 00          HELD -> ACTIVE
 * TERMINATE EF                  84 E8 KK 00          any but EMPTY -> REVOKED
 * DELETE FILE                   84 E4 KK 00          any -> EMPTY; KK = FF everything
 *   each 9000, 6700, 6982, 6985, 6A86
 * GET DATA                      80 CA DF30           version (2), features (2), APDU buffer (2)
 *                               80 CA DF31           per key state (1), tries (1); device counter (4)
 *                               84 CA 7F49 | KK page public key, 224 bytes a page
 *                               84 CA DF3E | KK page proof of possession, likewise, right after 2B
 *                               84 CA DF32 | 16      attestation
 *                               84 CA DF33           lease: 6A88 in this version
 *   each 9000, 6700, 6982, 6985, 6A80 (KK), 6A88, 6B00 (page)
 * </pre>
 */
final class Issuance {
    private static final short VERSION = 0x0001;
    /** Bits: 1 message chaining, 2 PSS, 4 lease, 8 device key and PIN-free authentication. */
    private static final short FEATURES = 0x0003;
    /** The lease counter is off: it comes with a later version. */
    private static final short LEASE_OFF = (short) 0xFFFF;
    private static final short NONCE = 16;

    private static final short PAGE = SecureGuard.LONGEST_WRAPPED;

    // Everything that DELETE FILE can wipe, as bits of the flag that lets it be finished after a tear.
    private static final byte WIPE_AUTH = 0x01;
    private static final byte WIPE_SIGN = 0x02;
    private static final byte WIPE_COMMON = 0x04;
    private static final byte WIPE_ALL = 0x07;

    /** 7F49 { 81 modulus, 82 exponent } up to the modulus. */
    private static final byte[] BEFORE_MODULUS = {
        0x7F, 0x49, (byte) 0x82, 0x01, 0x09, (byte) 0x81, (byte) 0x82, 0x01, 0x00};
    private static final byte[] AFTER_MODULUS = {(byte) 0x82, 0x03, 0x01, 0x00, 0x01};
    /** How much of the modulus the first page holds. */
    private static final short MODULUS_ON_PAGE_0 = 215;

    private final Ram ram;
    private final SecureGuard guard;
    private final Files files;
    private final Secrets secrets;
    private final Signer signer;
    /** Persistent: what is being wiped. */
    private byte wiping;

    Issuance(Ram ram, SecureGuard guard, Files files, Secrets secrets, Signer signer) {
        this.ram = ram;
        this.guard = guard;
        this.files = files;
        this.secrets = secrets;
        this.signer = signer;
    }

    /**
     * The commands on one key.
     *
     * @param buffer the APDU buffer, data at offset 5
     * @param length of the data; the caller has checked the channel
     */
    void command(byte[] buffer, short length) {
        byte ins = buffer[ISO7816.OFFSET_INS];
        byte reference = buffer[ISO7816.OFFSET_P1];
        JpkiKey key = files.keyByReference(reference);
        boolean all = ins == Ins.DELETE_FILE && reference == Tag.KEY_ALL;
        if (buffer[ISO7816.OFFSET_P2] != 0 || key == null && !all) {
            ISOException.throwIt(Sw.WRONG_P1P2);
        }
        short wanted = 0;
        if (ins == Ins.PROVE_POSSESSION) {
            wanted = JpkiKey.HASH;
        } else if (ins == Ins.RESET_RETRY_COUNTER) {
            wanted = Secrets.BLOCK;
        }
        requireLength(length, wanted);
        switch (ins) {
            case Ins.GENERATE_ASYMMETRIC_KEY_PAIR:
                key.generate();
                break;
            case Ins.PROVE_POSSESSION:
                signer.provePossession(key, reference, buffer);
                break;
            case Ins.RESET_RETRY_COUNTER:
                secrets.resetRetryCounter(key, buffer);
                break;
            case Ins.DEACTIVATE_FILE:
                key.hold();
                break;
            case Ins.ACTIVATE_FILE:
                key.release();
                break;
            case Ins.TERMINATE_EF:
                key.revoke();
                break;
            default:
                ram.forgetTemporary();
                wipe(all ? WIPE_ALL : reference == Tag.KEY_AUTH ? WIPE_AUTH : WIPE_SIGN);
        }
    }

    /** GET DATA, for everybody and in the channel. */
    void getData(APDU apdu) {
        byte[] buffer = apdu.getBuffer();
        short tag = Util.getShort(buffer, ISO7816.OFFSET_P1);
        switch (tag) {
            case Tag.VERSION:
                answerVersion(apdu, (short) buffer.length);
                break;
            case Tag.STATUS:
                answerStatus(apdu);
                break;
            case Tag.PUBLIC_KEY:
                requireLength(guard.requireAdmin(), (short) 2);
                answerPublicKey(apdu, buffer);
                break;
            case Tag.PROOF:
                requireLength(guard.requireAdmin(), (short) 2);
                answerProof(apdu, buffer);
                break;
            case Tag.ATTESTATION:
                requireLength(guard.requireAdmin(), NONCE);
                answerAttestation(apdu, buffer);
                break;
            case Tag.LEASE:
                // Comes with a later version; whom it is for is settled already.
                guard.requireAdmin();
                ISOException.throwIt(Sw.REFERENCE_NOT_FOUND);
                break;
            default:
                ISOException.throwIt(Sw.REFERENCE_NOT_FOUND);
        }
    }

    /** Takes up a wipe that a tear cut short. */
    void resume() {
        if (wiping != 0) {
            wipe((byte) 0);
        }
    }

    /** Leaves nothing behind. Also called at deinstallation, when no transient memory may be touched. */
    void wipeAll() {
        wipe(WIPE_ALL);
    }

    /**
     * Repeats safely: the flag is the first thing set and the last one cleared. No key is usable any more before the
     * first byte is cleared, so that a wipe the platform cannot finish leaves nothing to sign with.
     */
    private void wipe(byte what) {
        wiping |= what;
        if ((wiping & WIPE_AUTH) != 0) {
            files.auth.empty();
        }
        if ((wiping & WIPE_SIGN) != 0) {
            files.sign.empty();
        }
        if ((wiping & WIPE_AUTH) != 0) {
            files.auth.wipe();
        }
        if ((wiping & WIPE_SIGN) != 0) {
            files.sign.wipe();
        }
        if ((wiping & WIPE_COMMON) != 0) {
            files.auth.caCertificate.wipe();
            files.sign.caCertificate.wipe();
            wipeTokenInfo();
        }
        wiping = 0;
    }

    /** The label stays: it says what kind of token this is, and clients give up without it. */
    private void wipeTokenInfo() {
        Ef token = files.tokenInfo;
        token.length = Config.LABEL;
        Util.arrayFillNonAtomic(token.data, Config.LABEL, (short) (token.data.length - Config.LABEL), (byte) 0);
    }

    private void answerVersion(APDU apdu, short apduBuffer) {
        byte[] scratch = ram.scratch;
        short end = Util.setShort(scratch, (short) 0, VERSION);
        end = Util.setShort(scratch, end, FEATURES);
        end = Util.setShort(scratch, end, apduBuffer);
        guard.answer(apdu, scratch, (short) 0, end);
    }

    private void answerStatus(APDU apdu) {
        byte[] scratch = ram.scratch;
        scratch[0] = files.auth.state();
        scratch[1] = files.auth.secret.getTriesRemaining();
        scratch[2] = files.sign.state();
        scratch[3] = files.sign.secret.getTriesRemaining();
        short end = Util.arrayFillNonAtomic(scratch, (short) 4, (short) 4, (byte) 0);
        guard.answer(apdu, scratch, (short) 0, end);
    }

    private void answerPublicKey(APDU apdu, byte[] buffer) {
        JpkiKey key = keyInData(buffer);
        if (key.is(JpkiKey.EMPTY)) {
            ISOException.throwIt(Sw.CONDITIONS);
        }
        byte page = pageInData(buffer);
        byte[] scratch = ram.scratch;
        key.modulus(scratch, (short) 0);
        // The template is longer than scratch, so each page is put together in the APDU buffer, where it is wrapped.
        short end;
        if (page == 0) {
            end = Util.arrayCopyNonAtomic(BEFORE_MODULUS, (short) 0, buffer, (short) 0, (short) BEFORE_MODULUS.length);
            end = Util.arrayCopyNonAtomic(scratch, (short) 0, buffer, end, MODULUS_ON_PAGE_0);
        } else {
            end = Util.arrayCopyNonAtomic(scratch, MODULUS_ON_PAGE_0, buffer, (short) 0,
                    (short) (JpkiKey.MODULUS - MODULUS_ON_PAGE_0));
            end = Util.arrayCopyNonAtomic(AFTER_MODULUS, (short) 0, buffer, end, (short) AFTER_MODULUS.length);
        }
        guard.answer(apdu, buffer, (short) 0, end);
    }

    private void answerProof(APDU apdu, byte[] buffer) {
        keyInData(buffer);
        if (ram.vars[Ram.PROOF] != buffer[ISO7816.OFFSET_CDATA]) {
            ISOException.throwIt(Sw.CONDITIONS);
        }
        if (pageInData(buffer) == 0) {
            guard.answer(apdu, ram.scratch, (short) 0, PAGE);
        } else {
            guard.answer(apdu, ram.scratch, PAGE, (short) (JpkiKey.MODULUS - PAGE));
        }
    }

    /** Nonce, then per key state (1), SHA-256 of the modulus (32), generation (2), signatures (4), resets (2); lease (2). */
    private void answerAttestation(APDU apdu, byte[] buffer) {
        short end = Util.arrayCopyNonAtomic(buffer, ISO7816.OFFSET_CDATA, buffer, (short) 0, NONCE);
        end = attest(files.auth, buffer, end);
        end = attest(files.sign, buffer, end);
        end = Util.setShort(buffer, end, LEASE_OFF);
        guard.answer(apdu, buffer, (short) 0, end);
    }

    private short attest(JpkiKey key, byte[] buffer, short offset) {
        buffer[offset] = key.state();
        offset = signer.hashModulus(key, buffer, (short) (offset + 1));
        return key.counters(buffer, offset);
    }

    private JpkiKey keyInData(byte[] buffer) {
        JpkiKey key = files.keyByReference(buffer[ISO7816.OFFSET_CDATA]);
        if (key == null) {
            ISOException.throwIt(Sw.WRONG_DATA);
        }
        return key;
    }

    /** @return 0 or 1: what is asked for page by page has two */
    private static byte pageInData(byte[] buffer) {
        byte page = buffer[(short) (ISO7816.OFFSET_CDATA + 1)];
        if ((page & 0xFE) != 0) {
            ISOException.throwIt(Sw.WRONG_OFFSET);
        }
        return page;
    }

    private static void requireLength(short length, short wanted) {
        if (length != wanted) {
            ISOException.throwIt(Sw.WRONG_LENGTH);
        }
    }
}
