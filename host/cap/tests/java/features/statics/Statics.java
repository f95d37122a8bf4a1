package statics;

import javacard.framework.APDU;
import javacard.framework.Applet;

/** Everything a static initialiser may do. */
public class Statics extends Applet {
    static final byte[] TABLE = {1, 2, (byte) 0xFF, -128};
    static final short[] WORDS = {1, -1, 0x1234};
    static boolean[] flags = {true, false, true};
    static byte[] empty = new byte[0];
    static byte[] filled = new byte[4];
    static Object none = null;
    static byte[] later;
    static short zero;
    static byte seven = 7;
    static short negative = (short) 0x8001;
    static boolean yes = true;
    static final short CONSTANT = 99;
    static final short COMPUTED;

    static {
        filled[1] = 5;
        filled[3] = (byte) 200;
        COMPUTED = (short) (CONSTANT + 1);
    }

    public static void install(byte[] parameters, short offset, byte length) {
        new Statics().register();
    }

    public void process(APDU apdu) {
        zero = (short) (TABLE[0] + WORDS[1] + CONSTANT + COMPUTED);
    }
}
