package calls;

import javacard.framework.Util;
import javacard.security.AESKey;
import javacard.security.Key;

/** Each kind of call. */
class Calls {
    short own(byte a, short b, Object c) {
        return b;
    }

    private short hidden(short a) {
        return a;
    }

    static short fixed(byte[] a) {
        return Util.getShort(a, (short) 0);
    }

    short all(AESKey key, Key any, Object o, byte[] a) {
        key.setKey(a, (short) 0);
        any.clearKey();
        if (key.isInitialized() && o.equals(this) && a.equals(o)) {
            hidden((short) 1);
        }
        fixed(a);
        return own((byte) 1, (short) 2, null);
    }

    static Object make() {
        return new Calls();
    }
}
