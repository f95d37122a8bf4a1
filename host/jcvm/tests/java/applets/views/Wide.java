package views;

import javacardx.apdu.ExtendedLength;

/** The same for commands of extended length. */
public class Wide extends View implements ExtendedLength {
    public static void install(byte[] parameters, short offset, byte length) {
        new Wide().register(parameters, (short) (offset + 1), parameters[offset]);
    }
}
