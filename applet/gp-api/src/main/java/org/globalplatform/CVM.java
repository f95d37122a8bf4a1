package org.globalplatform;

import javacard.framework.Shareable;

/** The card's global PIN service. */
public interface CVM extends Shareable {
    /** {@link #verify}: the value was right. */
    short CVM_SUCCESS = 0;
    /** {@link #verify}: the value was wrong. */
    short CVM_FAILURE = -1;
    /** The value is ASCII digits. */
    byte FORMAT_ASCII = 1;
    /** The value is packed decimal digits. */
    byte FORMAT_BCD = 2;
    /** The value is any bytes. */
    byte FORMAT_HEX = 3;

    /** @return whether a value has been set */
    boolean isActive();

    /** @return whether a value was presented in this card session, right or wrong */
    boolean isSubmitted();

    /** @return whether the right value was presented in this card session */
    boolean isVerified();

    /** @return whether the tries are used up */
    boolean isBlocked();

    /** @return how many tries are left */
    byte getTriesRemaining();

    /**
     * Sets a new value and full tries.
     *
     * @return false when the caller may not do this
     */
    boolean update(byte[] baBuffer, short sOffset, byte bLength, byte bFormat);

    /**
     * Forgets what was presented in this session.
     *
     * @return false when the caller may not do this
     */
    boolean resetState();

    /**
     * Uses up the tries.
     *
     * @return false when the caller may not do this
     */
    boolean blockState();

    /**
     * Gives back full tries.
     *
     * @return false when the caller may not do this
     */
    boolean resetAndUnblockState();

    /**
     * Sets how many tries there are.
     *
     * @return false when the caller may not do this
     */
    boolean setTryLimit(byte bTryLimit);

    /**
     * Compares a value.
     *
     * @return {@link #CVM_SUCCESS} or {@link #CVM_FAILURE}
     */
    short verify(byte[] baBuffer, short sOffset, byte bLength, byte bFormat);
}
