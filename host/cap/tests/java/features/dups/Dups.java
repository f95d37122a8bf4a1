package dups;

/** Assignments used as values. */
class Dups {
    short field;
    static short shared;
    byte[] data;

    static short chain(short[] a, short[] b, short i, short v) {
        return a[i] = b[i] = v;
    }

    short fields(Dups other, short v) {
        return field = other.field = shared = v;
    }

    short post(Dups other) {
        return other.field++;
    }

    short postOfThis() {
        return field++;
    }

    byte element(short i) {
        return data[i]--;
    }

    byte nested(short i) {
        byte b;
        data[b = (byte) i] = b;
        return b;
    }
}
