package ternaries;

/** Values that meet on the stack. */
class Ternaries {
    short field;

    static short pick(boolean c, short a, byte b) {
        return c ? a : b;
    }

    static boolean logic(short a, short b, boolean c) {
        boolean both = a > 0 && b > 0;
        boolean either = a > 0 || c;
        return both ^ either | !c & both;
    }

    void into(boolean c, short v) {
        field = (short) (c ? v + 1 : v - 1);
    }

    static byte index(byte[] a, boolean c) {
        return a[c ? (short) 0 : (short) 1];
    }
}
