package constants;

/** Inlined constants, and values beyond 16 bits whose upper bits nobody sees. */
class Constants {
    static final boolean DEBUG = false;
    static final short SW = 0x6A80;

    static short masks(short a) {
        short low = (short) (a & 0xFF);
        short set = (short) (a | 0x8000);
        short all = (short) (a & 0xFFFF);
        return (short) (low ^ set ^ all);
    }

    static short dead(short a) {
        if (DEBUG) {
            a = 0;
        }
        return (short) (a + SW);
    }

    static byte bytes(byte a, byte b) {
        byte low = (byte) (a & 0x7F);
        byte sum = (byte) (low + 1);
        return (byte) (sum - b);
    }
}
