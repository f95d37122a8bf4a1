package jp.jpkise.jpki;

import java.util.Arrays;
import javacard.framework.APDU;
import javacard.framework.ISOException;
import javacard.framework.Util;
import jp.jpkise.sim.GpProvider;
import org.globalplatform.SecureChannel;

/**
 * A secure channel whose cryptography a reader of a test can do by eye, with the rules of the real one.
 *
 * <p>C-MAC is eight bytes 4D, R-MAC eight bytes 52; command encryption turns every byte by A5, response encryption by 3C,
 * the DEK by 5A.
 */
final class StubChannel implements SecureChannel, GpProvider {
    static final byte[] C_MAC_BYTES = Hex.bytes("4D4D4D4D4D4D4D4D");
    static final byte[] R_MAC_BYTES = Hex.bytes("5252525252525252");
    static final int COMMAND_KEY = 0xA5;
    static final int RESPONSE_KEY = 0x3C;
    static final int DATA_KEY = 0x5A;
    /** What INITIALIZE UPDATE answers. */
    static final byte[] INITIALIZE_UPDATE_ANSWER = Hex.bytes("00".repeat(29));

    private int level;
    private boolean aborted;
    private int unwraps;
    private int resets;
    private boolean failWrap;

    /** Sets the session's level directly: AUTHENTICATED (80) and the bits of EXTERNAL AUTHENTICATE's P1. */
    void setLevel(int level) {
        this.level = level;
    }

    int level() {
        return level;
    }

    int unwraps() {
        return unwraps;
    }

    int resets() {
        return resets;
    }

    void failNextWrap() {
        failWrap = true;
    }

    @Override
    public SecureChannel secureChannel() {
        return this;
    }

    @Override
    public short processSecurity(APDU apdu) {
        byte[] buffer = apdu.getBuffer();
        short length = apdu.setIncomingAndReceive();
        if (buffer[1] == 0x50) {
            level = 0;
            aborted = false;
            return Util.arrayCopyNonAtomic(INITIALIZE_UPDATE_ANSWER, (short) 0, buffer, (short) 5,
                    (short) INITIALIZE_UPDATE_ANSWER.length) > 0 ? (short) INITIALIZE_UPDATE_ANSWER.length : 0;
        }
        if (length != 16 || buffer[5] != 0) {
            level = 0;
            ISOException.throwIt((short) 0x6300);
        }
        level = 0x80 | buffer[2];
        return 0;
    }

    @Override
    public short unwrap(byte[] buffer, short offset, short length) {
        unwraps++;
        if ((buffer[offset] & 0x04) == 0) {
            return length;
        }
        if (aborted) {
            ISOException.throwIt((short) 0x6985);
        }
        if ((level & 0x01) == 0) {
            buffer[offset] &= (byte) ~0x04;
            return length;
        }
        int macAt = offset + length - 8;
        if (macAt < offset + 5 || !Arrays.equals(buffer, macAt, macAt + 8, C_MAC_BYTES, 0, 8)) {
            level = 0;
            aborted = true;
            ISOException.throwIt((short) 0x6982);
        }
        if ((level & 0x02) != 0) {
            turn(buffer, offset + 5, macAt, COMMAND_KEY);
        }
        Arrays.fill(buffer, macAt, macAt + 8, (byte) 0);
        buffer[offset] &= (byte) ~0x04;
        buffer[offset + 4] = (byte) (length - 13);
        return (short) (length - 8);
    }

    @Override
    public short wrap(byte[] buffer, short offset, short length) {
        if (aborted || level == 0 || failWrap) {
            failWrap = false;
            ISOException.throwIt((short) 0x6985);
        }
        int end = offset + length - 2;
        if ((level & 0x20) != 0) {
            turn(buffer, offset, end, RESPONSE_KEY);
        }
        if ((level & 0x10) != 0) {
            System.arraycopy(R_MAC_BYTES, 0, buffer, end, 8);
            end += 8;
        }
        return (short) (end - offset);
    }

    @Override
    public short decryptData(byte[] buffer, short offset, short length) {
        turn(buffer, offset, offset + length, DATA_KEY);
        return length;
    }

    @Override
    public short encryptData(byte[] buffer, short offset, short length) {
        return decryptData(buffer, offset, length);
    }

    @Override
    public void resetSecurity() {
        level = 0;
        aborted = false;
        resets++;
    }

    @Override
    public byte getSecurityLevel() {
        return (byte) level;
    }

    static void turn(byte[] bytes, int from, int to, int key) {
        for (int i = from; i < to; i++) {
            bytes[i] ^= (byte) key;
        }
    }
}
