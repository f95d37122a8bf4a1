package jp.jpkise.jpki;

import javacard.framework.APDU;
import javacard.framework.ISO7816;
import javacard.framework.ISOException;
import javacard.framework.Util;
import org.globalplatform.GPSystem;

/**
 * The user's PIN and password, and the temporary ones that come before them.
 *
 * <pre>
 * VERIFY                 00 20 00 P2 |                      63Cx whatever the state, nothing changed
 *                                    | secret               9000, 63Cx, 6700, 6984 (6983 by policy), 6985, 6A86, 6A88
 * CHANGE REFERENCE DATA  00 24 01 P2 | new                  9000, 6700, 6982, 6985, 6A80, 6A86, 6A88
 *                        00 24 00 P2 | old, padded || new   also 63Cx, 6984 (6983)
 * RESET RETRY COUNTER    84 2C KK 00 | secret block         9000, 6700, 6982, 6985, 6A80, 6A86
 * </pre>
 *
 * Order of checks: reference exists, (empty VERIFY answers here,) length, medium, state, form of a new secret, blocked,
 * then the comparison.
 *
 * <p>Secret block, 32 bytes under the domain's DEK: 8 random, length, secret, random filling.
 */
final class Secrets {
    static final short BLOCK = 32;

    private static final short BLOCK_LENGTH_OFFSET = 8;
    private static final short PIN = 4;
    private static final short PASSWORD_MIN = 6;

    private static final byte CHANGE_WITH_OLD = 0x00;
    private static final byte CHANGE_AFTER_VERIFY = 0x01;

    private static final byte PADDING = (byte) 0xFF;

    // ASCII; Java Card has no character type.
    private static final byte DIGIT_0 = 0x30;
    private static final byte DIGIT_9 = 0x39;
    private static final byte LETTER_A = 0x41;
    private static final byte LETTER_Z = 0x5A;

    private final Ram ram;
    private final Config config;
    private final SecureGuard guard;
    private final Files files;

    Secrets(Ram ram, Config config, SecureGuard guard, Files files) {
        this.ram = ram;
        this.config = config;
        this.guard = guard;
        this.files = files;
    }

    void verify(APDU apdu) {
        byte[] buffer = apdu.getBuffer();
        if (buffer[ISO7816.OFFSET_P1] != 0) {
            ISOException.throwIt(Sw.WRONG_P1P2);
        }
        JpkiKey key = files.secretOf(buffer[ISO7816.OFFSET_P2]);
        short length = guard.receive(apdu);
        if (length == 0) {
            throwTriesLeft(key);
        }
        if (length > Ram.SECRET) {
            ISOException.throwIt(Sw.WRONG_LENGTH);
        }
        config.requireMedium(key);
        key.require(JpkiKey.ACTIVE, JpkiKey.HELD);
        compare(key, length);
    }

    void change(APDU apdu) {
        byte[] buffer = apdu.getBuffer();
        byte p1 = buffer[ISO7816.OFFSET_P1];
        if (p1 != CHANGE_WITH_OLD && p1 != CHANGE_AFTER_VERIFY) {
            ISOException.throwIt(Sw.WRONG_P1P2);
        }
        JpkiKey key = files.secretOf(buffer[ISO7816.OFFSET_P2]);
        short oldLength = 0;
        if (p1 == CHANGE_WITH_OLD) {
            oldLength = key == files.auth ? PIN : Ram.SECRET;
        }
        short newLength = (short) (guard.receive(apdu) - oldLength);
        if (newLength <= 0 || newLength > Ram.SECRET) {
            ISOException.throwIt(Sw.WRONG_LENGTH);
        }
        config.requireMedium(key);
        if (!(key.is(JpkiKey.CERTIFIED) && p1 == CHANGE_WITH_OLD)) {
            key.require(JpkiKey.ACTIVE, JpkiKey.HELD);
        }
        requireForm(key, ram.scratch, oldLength, newLength);
        if (p1 == CHANGE_AFTER_VERIFY) {
            if (!key.secret.isValidated()) {
                ISOException.throwIt(Sw.SECURITY_STATUS);
            }
        } else if (key.is(JpkiKey.CERTIFIED)) {
            useTemporary(key, oldLength);
        } else {
            compare(key, withoutPadding(oldLength));
        }
        key.setSecret(ram.scratch, oldLength, newLength);
        unverifyAll();
    }

    /** RESET RETRY COUNTER. The channel was checked by the caller, and how much data there is. */
    void resetRetryCounter(JpkiKey key, byte[] buffer) {
        setTemporary(key, buffer, ISO7816.OFFSET_CDATA);
    }

    /**
     * Sets a temporary secret from a secret block.
     *
     * @param offset where {@link #BLOCK} bytes stand in the APDU buffer; they are deciphered in place and wiped
     * @throws ISOException 6985 by state, 6A80 for a secret of wrong form
     */
    void setTemporary(JpkiKey key, byte[] buffer, short offset) {
        key.require(JpkiKey.CERTIFIED, JpkiKey.ACTIVE);
        GPSystem.getSecureChannel().decryptData(buffer, offset, BLOCK);
        short value = (short) (offset + BLOCK_LENGTH_OFFSET + 1);
        short length = buffer[(short) (value - 1)];
        boolean right = length > 0 && length <= Ram.SECRET && isRightForm(key, buffer, value, length);
        if (right) {
            key.setTemporary(buffer, value, length);
        }
        Util.arrayFillNonAtomic(buffer, offset, BLOCK, (byte) 0);
        if (!right) {
            ISOException.throwIt(Sw.WRONG_DATA);
        }
    }

    /** Ends the verified state of both secrets. */
    void unverifyAll() {
        files.auth.secret.reset();
        files.sign.secret.reset();
    }

    /** Compares the start of scratch with the user's secret; the platform counts the tries. */
    private void compare(JpkiKey key, short length) {
        if (key.secret.getTriesRemaining() == 0) {
            ISOException.throwIt(config.has(Config.BLOCKED_IS_6983)
                    ? Sw.AUTH_METHOD_BLOCKED : Sw.REFERENCE_DATA_UNUSABLE);
        }
        if (!key.secret.check(ram.scratch, (short) 0, (byte) length)) {
            throwTriesLeft(key);
        }
    }

    /** Uses up the temporary secret, right or wrong: it has one try, and needs the channel that brought it. */
    private void useTemporary(JpkiKey key, short length) {
        if (!key.hasTemporary() || !guard.isAdminChannelOpen()) {
            key.forgetTemporary();
            ISOException.throwIt(Sw.CONDITIONS);
        }
        boolean right = key.matchesTemporary(ram.scratch, (short) 0, length);
        key.forgetTemporary();
        if (!right) {
            ISOException.throwIt(Sw.TRIES_LEFT);
        }
    }

    /** @return length of the old secret without its padding, at least 1 so that there is something to compare */
    private short withoutPadding(short length) {
        while (length > 1 && ram.scratch[(short) (length - 1)] == PADDING) {
            length--;
        }
        return length;
    }

    private void requireForm(JpkiKey key, byte[] value, short offset, short length) {
        if (!isRightForm(key, value, offset, length)) {
            ISOException.throwIt(Sw.WRONG_DATA);
        }
    }

    /** PIN: exactly 4 digits. Password: 6 to 16 of A-Z and 0-9, with at least one of each kind. */
    private boolean isRightForm(JpkiKey key, byte[] value, short offset, short length) {
        short digits = 0;
        short letters = 0;
        for (short i = 0; i < length; i++) {
            byte c = value[(short) (offset + i)];
            if (c >= DIGIT_0 && c <= DIGIT_9) {
                digits++;
            } else if (c >= LETTER_A && c <= LETTER_Z) {
                letters++;
            }
        }
        if (key == files.auth) {
            return length == PIN && digits == PIN;
        }
        return length >= PASSWORD_MIN && digits > 0 && letters > 0
                && (short) (digits + letters) == length;
    }

    private static void throwTriesLeft(JpkiKey key) {
        ISOException.throwIt((short) (Sw.TRIES_LEFT | key.secret.getTriesRemaining()));
    }
}
