package arrays;

/** Element access; bastore needs no cut before it. */
class Arrays {
    static void bytes(byte[] a, short i, short v) {
        a[i] = (byte) v;
        a[(short) (i + 1)] = (byte) (v >> 8);
        a[0]++;
        a[1] |= 0x80;
    }

    static boolean booleans(boolean[] a, short i) {
        a[i] = true;
        return a[(short) 0];
    }

    static short shorts(short[] a, short i) {
        a[i] = (short) a.length;
        a[i] += 300;
        return a[0];
    }

    static Object objects(Object[] a, short i) {
        a[i] = a[0];
        return new Object[i];
    }

    static Object made(short n) {
        byte[] b = new byte[n];
        boolean[] z = new boolean[16];
        short[] s = new short[n];
        b[0] = 1;
        z[0] = true;
        s[0] = 2;
        return s;
    }
}
