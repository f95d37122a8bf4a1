package com.licel.jcardsim.crypto;

import java.math.BigInteger;
import javacard.framework.JCSystem;
import javacard.framework.Util;
import javacard.security.CryptoException;

/**
 * A key component. Takes the place of jCardSim's class of this name, which reads a component back with the length of the
 * longest value it ever held: a key pair generated into a used key object is wrong whenever a component (about one key
 * in 85) is a byte shorter than the one before.
 */
public final class ByteContainer {
    private final byte memoryType;
    private byte[] data;
    private short length;

    public ByteContainer() {
        this(JCSystem.MEMORY_TYPE_PERSISTENT);
    }

    public ByteContainer(byte memoryType) {
        this.memoryType = memoryType;
    }

    public ByteContainer(BigInteger value) {
        this();
        setBigInteger(value);
    }

    public ByteContainer(byte[] source, short offset, short length) {
        this();
        setBytes(source, offset, length);
    }

    public void setBigInteger(BigInteger value) {
        if (value.signum() < 0) {
            throw new IllegalArgumentException("a key component is never negative");
        }
        byte[] bytes = value.toByteArray();
        int sign = bytes.length > 1 && bytes[0] == 0 ? 1 : 0;
        setBytes(bytes, (short) sign, (short) (bytes.length - sign));
    }

    public void setBytes(byte[] source) {
        setBytes(source, (short) 0, (short) source.length);
    }

    public void setBytes(byte[] source, short offset, short length) {
        if (data == null || data.length < length) {
            data = memoryType == JCSystem.MEMORY_TYPE_PERSISTENT
                    ? new byte[length]
                    : JCSystem.makeTransientByteArray(length, memoryType);
        }
        Util.arrayCopy(source, offset, data, (short) 0, length);
        this.length = length;
    }

    public BigInteger getBigInteger() {
        requireValue();
        return new BigInteger(1, data, 0, length);
    }

    public byte[] getBytes(byte event) {
        requireValue();
        byte[] copy = JCSystem.makeTransientByteArray(length, event);
        getBytes(copy, (short) 0);
        return copy;
    }

    public short getBytes(byte[] target, short offset) {
        requireValue();
        if (target.length - offset < length) {
            CryptoException.throwIt(CryptoException.ILLEGAL_VALUE);
        }
        return (short) (Util.arrayCopy(data, (short) 0, target, offset, length) - offset);
    }

    public void clear() {
        if (data != null) {
            Util.arrayFillNonAtomic(data, (short) 0, (short) data.length, (byte) 0);
        }
        length = 0;
    }

    public boolean isInitialized() {
        return length > 0;
    }

    private void requireValue() {
        if (length == 0) {
            CryptoException.throwIt(CryptoException.UNINITIALIZED_KEY);
        }
    }
}
