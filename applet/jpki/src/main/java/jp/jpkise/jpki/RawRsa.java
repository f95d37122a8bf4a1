package jp.jpkise.jpki;

import javacard.framework.Util;
import javacard.security.PrivateKey;
import javacardx.crypto.Cipher;

/**
 * The bare private-key operation, and all that differs between platforms in it.
 *
 * <p>RSA without padding is the same operation for deciphering and signing. MODE_DECRYPT is the mode every platform
 * allows with a private key; MODE_ENCRYPT is refused with one by some, and by jCardSim for a full block.
 */
final class RawRsa {
    private final Cipher cipher;

    RawRsa() {
        cipher = Cipher.getInstance(Cipher.ALG_RSA_NOPAD, false);
    }

    /** Replaces the first 256 bytes of {@code block} by their private-key operation. */
    void apply(PrivateKey key, byte[] block) {
        cipher.init(key, Cipher.MODE_DECRYPT);
        short length = cipher.doFinal(block, (short) 0, JpkiKey.MODULUS, block, (short) 0);
        // Cards give 256 bytes; jCardSim drops leading zeros.
        short missing = (short) (JpkiKey.MODULUS - length);
        Util.arrayCopyNonAtomic(block, (short) 0, block, missing, length);
        Util.arrayFillNonAtomic(block, (short) 0, missing, (byte) 0);
    }
}
