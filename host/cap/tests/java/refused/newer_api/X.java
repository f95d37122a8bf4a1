package refused.newer_api;

import javacard.framework.SensitiveArrays;

class X {
    static void check(byte[] a) {
        SensitiveArrays.assertIntegrity(a); //! class javacard.framework.SensitiveArrays does not exist in Java Card
    }
}
