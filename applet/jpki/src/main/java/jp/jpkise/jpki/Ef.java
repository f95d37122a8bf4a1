package jp.jpkise.jpki;

import javacard.framework.Util;

/**
 * A transparent elementary file. Bytes up to {@link #length} are its content; bytes behind it count for nothing, so a
 * file is written while its length is 0 and the length, one atomic write, is the commit.
 */
final class Ef {
    final byte[] data;
    short length;

    Ef(short capacity) {
        data = new byte[capacity];
    }

    /** Leaves an empty file without a trace of its content; a torn wipe is safe to repeat. */
    void wipe() {
        length = 0;
        Util.arrayFillNonAtomic(data, (short) 0, (short) data.length, (byte) 0);
    }
}
