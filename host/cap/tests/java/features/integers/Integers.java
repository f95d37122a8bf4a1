package integers;

/** int in every role; the package is converted with int support. */
class Integers {
    int field;
    static int shared = 100000;

    static int parameters(int a, short b, int c) {
        return a + b - c;
    }

    static boolean compare(int a, int b) {
        return a < b || a == 0;
    }

    int fields(int v) {
        field = v;
        field += shared;
        return field++;
    }

    static int arrays(int[] a, short i) {
        a[i] = a[0] * 3;
        int[] b = new int[2];
        b[0] = a.length;
        return b[0] >>> 3;
    }

    static short narrow(int a, short s) {
        short r = (short) (a >> 16);
        byte q = (byte) a;
        return (short) (r + q + ((s * s) / 7));
    }

    static int locals(short n) {
        int sum = 0;
        for (int i = 0; i < n; i += 1000) {
            sum += i;
        }
        return ~sum;
    }

    static int select(int k) {
        switch (k) {
            case 1:
                return -k;
            case 100000:
                return 2;
            default:
                return k % 10;
        }
    }

    static int dense(int k) {
        switch (k) {
            case 10:
                return 1;
            case 11:
                return 70000;
            case 12:
                return 3;
            case 13:
                return -32769;
        }
        return 0;
    }
}
