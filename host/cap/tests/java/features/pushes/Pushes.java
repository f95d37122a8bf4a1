package pushes;

/** Constants in the shortest form there is. */
class Pushes {
    static void take(short s) {
    }

    static void all() {
        take((short) -1);
        take((short) 5);
        take((short) 6);
        take((short) -128);
        take((short) 127);
        take((short) 128);
        take((short) 0x9000);
    }

    static Object nothing() {
        return null;
    }

    static short shorterTheOtherWayRound(short a) {
        return (short) (a + 128 - 2);
    }
}
