package org.globalplatform;

import javacard.framework.Shareable;

/** What a security domain calls to hand personalisation data to an application it is associated with. */
public interface Application extends Shareable {
    /**
     * Takes one STORE DATA command that the security domain has already unwrapped.
     *
     * @param baBuffer the APDU buffer, header included
     * @param sOffset where the command starts
     * @param sLength its length in bytes
     */
    void processData(byte[] baBuffer, short sOffset, short sLength);
}
