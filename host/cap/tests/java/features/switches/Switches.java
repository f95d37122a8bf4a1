package switches;

/** Dense and sparse switches, and keys no short can have. */
class Switches {
    static short dense(short k) {
        switch (k) {
            case 0:
                return 10;
            case 1:
                return 11;
            case 2:
            case 3:
                return 12;
            default:
                return 13;
        }
    }

    static short sparse(byte k) {
        switch (k) {
            case -100:
                return 1;
            case 5:
                return 2;
            case 100:
                return 3;
        }
        return 4;
    }

    static short holes(short k) {
        switch (k) {
            case 1:
                return 1;
            case 9:
                return 2;
            case 10:
                return 3;
            default:
                return 4;
        }
    }

    static void only(short k) {
        switch (k) {
            default:
                Switches.dense(k);
        }
    }

    static short status(short sw) {
        switch (sw) {
            case (short) 0x9000:
                return 0;
            case 0x6A82:
                return 1;
            default:
                return 2;
        }
    }
}
