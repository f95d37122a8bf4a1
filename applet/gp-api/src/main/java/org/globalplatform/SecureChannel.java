package org.globalplatform;

import javacard.framework.APDU;
import javacard.framework.Shareable;

/**
 * The secure channel of the security domain an application is associated with.
 *
 * <p>All buffers handed over must be global arrays: in practice the APDU buffer.
 */
public interface SecureChannel extends Shareable {
    /** {@link #getSecurityLevel}: the off-card side has authenticated itself. */
    byte AUTHENTICATED = (byte) 0x80;
    /** {@link #getSecurityLevel}: commands are deciphered. */
    byte C_DECRYPTION = 0x02;
    /** {@link #getSecurityLevel}: commands carry a MAC. */
    byte C_MAC = 0x01;
    /** {@link #getSecurityLevel}: responses are enciphered. */
    byte R_ENCRYPTION = 0x20;
    /** {@link #getSecurityLevel}: responses carry a MAC. */
    byte R_MAC = 0x10;
    /** {@link #getSecurityLevel}: no session, or nothing asked of it. */
    byte NO_SECURITY_LEVEL = 0x00;

    /**
     * Handles INITIALIZE UPDATE and EXTERNAL AUTHENTICATE, receiving their data itself.
     *
     * @return length of the answer, which stands in the APDU buffer from offset 5 and is the caller's to send
     */
    short processSecurity(APDU apdu);

    /**
     * Protects an answer in place as the session's level asks.
     *
     * @param baBuffer data followed by the status word
     * @param sOffset where the data starts
     * @param sLength length of both together
     * @return length of the protected answer, without the status word
     */
    short wrap(byte[] baBuffer, short sOffset, short sLength);

    /**
     * Checks and deciphers a command in place. A command whose class byte shows no secure messaging comes back as it is.
     *
     * @param baBuffer the whole command, header included
     * @param sOffset where the class byte is
     * @param sLength its length
     * @return length of the command in clear, header included; the class byte and Lc are corrected
     */
    short unwrap(byte[] baBuffer, short sOffset, short sLength);

    /**
     * Deciphers data under the domain's data encryption key, in place.
     *
     * @return length of the clear data
     */
    short decryptData(byte[] baBuffer, short sOffset, short sLength);

    /**
     * Enciphers data under the domain's data encryption key, in place.
     *
     * @return length of the enciphered data
     */
    short encryptData(byte[] baBuffer, short sOffset, short sLength);

    /** Ends the session. */
    void resetSecurity();

    /** @return the bits above that hold for this session now */
    byte getSecurityLevel();
}
