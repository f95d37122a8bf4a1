package jp.jpkise.jpki;

import javacard.framework.ISOException;
import javacard.framework.Util;

/** Reads DER of at most 32767 bytes. Whatever reaches beyond the given end, or has a length of another form, is 6A80. */
final class Tlv {
    private static final short LENGTH_1_BYTE = 0x81;
    private static final short LENGTH_2_BYTES = 0x82;

    private Tlv() {
    }

    /**
     * @param offset where the element's one-byte tag stands
     * @param end end of what may be read; the caller guarantees that the array reaches so far
     * @return offset behind the element, at most {@code end}
     */
    static short next(byte[] data, short offset, short end) {
        short content = (short) (offset + 2);
        if (content > end) {
            ISOException.throwIt(Sw.WRONG_DATA);
        }
        short length = (short) (data[(short) (offset + 1)] & 0xFF);
        if (length >= LENGTH_1_BYTE) {
            short lengthBytes = (short) (length - 0x80);
            if (length > LENGTH_2_BYTES || lengthBytes > (short) (end - content)) {
                ISOException.throwIt(Sw.WRONG_DATA);
            }
            length = length == LENGTH_1_BYTE
                    ? (short) (data[content] & 0xFF) : Util.getShort(data, content);
            content = (short) (content + lengthBytes);
        }
        // 0x80, the indefinite form, is not DER; as a length of 128 it would read past what was meant.
        if (length < 0 || length > (short) (end - content)
                || data[(short) (offset + 1)] == (byte) 0x80) {
            ISOException.throwIt(Sw.WRONG_DATA);
        }
        return (short) (content + length);
    }

    /**
     * @param tag the tag that must stand at {@code offset}
     * @return offset of the element's content, which ends at {@link #next}
     */
    static short content(byte[] data, short offset, short end, byte tag) {
        next(data, offset, end);
        if (data[offset] != tag) {
            ISOException.throwIt(Sw.WRONG_DATA);
        }
        byte length = data[(short) (offset + 1)];
        short header = 2;
        if (length < 0) {
            header = (short) (2 + (length & 0x7F));
        }
        return (short) (offset + header);
    }
}
