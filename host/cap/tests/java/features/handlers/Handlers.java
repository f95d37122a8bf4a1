package handlers;

import javacard.framework.CardRuntimeException;
import javacard.framework.ISOException;
import javacard.framework.UserException;

/** try, catch and finally, also nested. */
class Handlers {
    static short value;

    static void simple() {
        try {
            ISOException.throwIt((short) 1);
        } catch (ISOException e) {
            value = e.getReason();
        }
    }

    static short unused() {
        try {
            return risky();
        } catch (CardRuntimeException e) {
            return -1;
        }
    }

    static short several() {
        try {
            return risky();
        } catch (ISOException e) {
            return 1;
        } catch (NullPointerException e) {
            return 2;
        } finally {
            value = 0;
        }
    }

    static void nested(byte[] b) throws UserException {
        try {
            try {
                b[0] = 1;
            } catch (ArrayIndexOutOfBoundsException e) {
                UserException.throwIt((short) 7);
            } finally {
                value++;
            }
        } catch (NullPointerException e) {
            value--;
        }
    }

    static short inLoop(short n) {
        while (true) {
            try {
                n--;
                if (n == 0) {
                    return value;
                }
                risky();
            } finally {
                value = n;
            }
        }
    }

    static short risky() {
        throw new OwnException((short) 3);
    }
}
