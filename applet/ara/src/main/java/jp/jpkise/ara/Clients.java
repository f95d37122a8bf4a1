package jp.jpkise.ara;

import javacard.framework.ISOException;
import javacard.framework.Util;

/** AIDs of the ARA-Cs that have registered: two lists, of which one counts; the other is filled and then takes its place. */
final class Clients {
    private static final short MOST = 8;
    /** Length and AID, up to 16 bytes. */
    private static final short SLOT = 17;
    private static final short LIST = 1 + MOST * SLOT;

    private final byte[] lists;
    /** Index 0: which list counts, 0 or 1. */
    private final byte[] current;

    Clients() {
        lists = new byte[(short) (2 * LIST)];
        current = new byte[1];
    }

    private short list(byte which) {
        return which == 0 ? 0 : LIST;
    }

    /** Begins the list that is to count. */
    void begin() {
        lists[list((byte) (1 - current[0]))] = 0;
    }

    /** Adds an AID, as {@link Rules#readAid} left it in Ram. */
    void add(byte[] ref) {
        short list = list((byte) (1 - current[0]));
        byte count = lists[list];
        if (count == MOST) {
            ISOException.throwIt(Sw.NO_MEMORY);
        }
        short slot = (short) (list + 1 + count * SLOT);
        lists[slot] = ref[Ram.REF_AID_LENGTH];
        Util.arrayCopyNonAtomic(ref, Ram.REF_AID, lists, (short) (slot + 1), (short) (SLOT - 1));
        lists[list] = (byte) (count + 1);
    }

    /** The list begun counts from now on. */
    void commit() {
        current[0] = (byte) (1 - current[0]);
    }

    /** Writes FF70 { 4F … }. @return offset behind it */
    short write(byte[] out, short offset) {
        short list = list(current[0]);
        short content = (short) (offset + 4);
        short at = content;
        for (short i = 0; i < lists[list]; i++) {
            short slot = (short) (list + 1 + i * SLOT);
            out[at++] = Tag.AID_REF_DO;
            at = Util.arrayCopyNonAtomic(lists, slot, out, at, (short) (1 + lists[slot]));
        }
        short length = (short) (at - content);
        Util.setShort(out, offset, Tag.CLIENT_AIDS);
        if (length < 0x80) {
            // The length takes one byte and not two.
            Util.arrayCopyNonAtomic(out, content, out, (short) (content - 1), length);
            out[(short) (offset + 2)] = (byte) length;
            return (short) (at - 1);
        }
        out[(short) (offset + 2)] = (byte) 0x81;
        out[(short) (offset + 3)] = (byte) length;
        return at;
    }
}
