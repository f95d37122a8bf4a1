package branches;

/** Comparisons, loops, and a jump too far for one byte. */
class Branches {
    static short compare(short a, short b) {
        if (a == b) {
            return 1;
        }
        if (a < 0 || b >= 10) {
            return 2;
        }
        if (a != 0 && b > a) {
            return 3;
        }
        return a <= b ? (short) 4 : (short) 5;
    }

    static short references(Object a, Object b) {
        if (a == null) {
            return 0;
        }
        if (b != null && a != b) {
            return 1;
        }
        return 2;
    }

    static boolean equal(short a, short b) {
        return a == b;
    }

    static short loop(short n) {
        short sum = 0;
        for (short i = 0; i < n; i++) {
            if (i == 7) {
                continue;
            }
            sum += i;
            while (sum > 1000) {
                sum -= 1000;
            }
        }
        do {
            sum--;
        } while (sum > 0);
        return sum;
    }

    static void far(short a, byte[] b) {
        while (a != 0) {
            b[0] = (byte) (b[1] + b[2]);
            b[1] = (byte) (b[2] + b[3]);
            b[2] = (byte) (b[3] + b[4]);
            b[3] = (byte) (b[4] + b[5]);
            b[4] = (byte) (b[5] + b[6]);
            b[5] = (byte) (b[6] + b[7]);
            b[6] = (byte) (b[7] + b[8]);
            b[7] = (byte) (b[8] + b[9]);
            b[8] = (byte) (b[9] + b[10]);
            b[9] = (byte) (b[10] + b[11]);
            b[10] = (byte) (b[11] + b[12]);
            b[11] = (byte) (b[12] + b[13]);
            a--;
        }
    }
}
