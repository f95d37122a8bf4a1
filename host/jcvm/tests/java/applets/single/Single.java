package single;

import javacard.framework.APDU;
import javacard.framework.Applet;

/** On one channel at a time. */
public class Single extends Applet {
    public static void install(byte[] parameters, short offset, byte length) {
        new Single().register(parameters, (short) (offset + 1), parameters[offset]);
    }

    public void process(APDU apdu) {
    }
}
