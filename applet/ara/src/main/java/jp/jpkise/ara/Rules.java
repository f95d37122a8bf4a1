package jp.jpkise.ara;

import javacard.framework.ISOException;
import javacard.framework.Util;

/**
 * Reads rules and references, in a chain of blocks or in an array: {@code array} is null for a chain.
 *
 * <p>Whatever a strict reader would refuse is 6A80 here, since one bad rule makes a phone refuse the whole list.
 */
final class Rules {
    // What compare() tells of a stored rule and the reference in Ram.
    static final byte SAME_AID = 1;
    static final byte SAME_APP = 2;
    static final byte SAME_PKG = 4;
    static final byte SAME_ALL = 7;
    static final byte ALL_AIDS = 8;
    static final byte ALL_APPS = 16;

    // What is said of APDUs or NFC events, from the weakest word to the strongest.
    static final byte NOTHING = 0;
    static final byte ALWAYS = 1;
    static final byte FILTERS = 2;
    static final byte NEVER = 3;

    private static final short AID_MIN = 5;
    private static final short AID_MAX = 16;
    private static final short SHA1 = 20;
    private static final short SHA256 = 32;
    private static final short PKG_MAX = 127;
    private static final short PERM = 8;
    private static final short FILTER = 8;
    /** Android's AID for carrier rules: FFFFFFFFFFFF. */
    private static final short CARRIER_LENGTH = 6;

    private final Ram ram;
    private final Blocks blocks;

    Rules(Ram ram, Blocks blocks) {
        this.ram = ram;
        this.blocks = blocks;
    }

    private byte at(byte[] array, short first, short offset) {
        return array == null ? blocks.get(first, offset) : array[offset];
    }

    /**
     * Reads the head of an object: TAG, VALUE and LENGTH in {@link Ram#vars}.
     *
     * @param end of what may be read; the caller guarantees that array or chain reaches so far
     * @return offset behind the object, at most {@code end}
     */
    short object(byte[] array, short first, short offset, short end) {
        short[] vars = ram.vars;
        short left = (short) (end - offset);
        if (left < 2) {
            ISOException.throwIt(Sw.WRONG_DATA);
        }
        byte tag = at(array, first, offset++);
        left--;
        vars[Ram.TAG] = (short) (tag & 0xFF);
        if ((tag & 0x1F) == 0x1F) {
            // A tag of several bytes: none of ours, passed over.
            vars[Ram.TAG] = 0;
            byte more;
            do {
                if (left < 2) {
                    ISOException.throwIt(Sw.WRONG_DATA);
                }
                more = at(array, first, offset++);
                left--;
            } while (more < 0);
        }
        short length = (short) (at(array, first, offset++) & 0xFF);
        left--;
        if (length >= 0x80) {
            short bytes = (short) (length - 0x80);
            if (bytes == 0 || bytes > 2 || left < bytes) {
                ISOException.throwIt(Sw.WRONG_DATA);
            }
            length = 0;
            for (short i = 0; i < bytes; i++) {
                length = (short) ((short) (length << 8) | (short) (at(array, first, offset++) & 0xFF));
                left--;
            }
        }
        if (length < 0 || length > left) {
            ISOException.throwIt(Sw.WRONG_DATA);
        }
        vars[Ram.VALUE] = offset;
        vars[Ram.LENGTH] = length;
        return (short) (offset + length);
    }

    /** Bytes of an object with a tag of one byte. */
    static short size(short length) {
        return (short) (length + (length < 0x80 ? 2 : length < 0x100 ? 3 : 4));
    }

    private static void require(boolean good) {
        if (!good) {
            ISOException.throwIt(Sw.WRONG_DATA);
        }
    }

    /**
     * Checks the value of a REF-DO and brings it to {@link Ram#ref}. Counts unknown objects.
     *
     * @return its length without them
     */
    short readReference(byte[] array, short first, short offset, short end) {
        short[] vars = ram.vars;
        byte[] ref = ram.ref;
        ram.clearReference();
        boolean app = false;
        short known = 0;
        while (offset < end) {
            short behind = object(array, first, offset, end);
            short length = vars[Ram.LENGTH];
            switch ((byte) vars[Ram.TAG]) {
                case Tag.AID_REF_DO:
                case Tag.AID_REF_DO_DEFAULT:
                    require(ref[Ram.REF_AID_TAG] == 0);
                    readAid(array, first);
                    break;
                case Tag.DEVICE_APP_ID_REF_DO:
                    require(!app && (length == 0 || length == SHA1 || length == SHA256));
                    app = true;
                    ref[Ram.REF_HASH_LENGTH] = (byte) length;
                    take(array, first, Ram.REF_HASH);
                    break;
                case Tag.PKG_REF_DO:
                    require(ref[Ram.REF_PKG_LENGTH] == 0 && length > 0 && length <= PKG_MAX);
                    ref[Ram.REF_PKG_LENGTH] = (byte) length;
                    take(array, first, Ram.REF_PKG);
                    requireName(length);
                    break;
                default:
                    vars[Ram.UNKNOWN]++;
                    length = -1;
            }
            if (length >= 0) {
                known = (short) (known + size(length));
            }
            offset = behind;
        }
        require(app && (ref[Ram.REF_PKG_LENGTH] == 0 || isCarrier()));
        return known;
    }

    /** Brings the AID-REF-DO just read to {@link Ram#ref}. */
    void readAid(byte[] array, short first) {
        short length = ram.vars[Ram.LENGTH];
        byte tag = (byte) ram.vars[Ram.TAG];
        require(length == 0 || tag == Tag.AID_REF_DO && length >= AID_MIN && length <= AID_MAX);
        ram.ref[Ram.REF_AID_TAG] = tag;
        ram.ref[Ram.REF_AID_LENGTH] = (byte) length;
        take(array, first, Ram.REF_AID);
    }

    private void take(byte[] array, short first, short to) {
        short from = ram.vars[Ram.VALUE];
        for (short i = 0; i < ram.vars[Ram.LENGTH]; i++) {
            ram.ref[(short) (to + i)] = at(array, first, (short) (from + i));
        }
    }

    /** Letters, digits, dot and underscore. */
    private void requireName(short length) {
        for (short i = 0; i < length; i++) {
            byte c = ram.ref[(short) (Ram.REF_PKG + i)];
            require(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_');
        }
    }

    /** Whether the reference in {@link Ram#ref} grants carrier privileges instead of access to an applet. */
    boolean isCarrier() {
        if (ram.ref[Ram.REF_AID_TAG] == 0) {
            return true;
        }
        if (ram.ref[Ram.REF_AID_LENGTH] != CARRIER_LENGTH) {
            return false;
        }
        for (short i = 0; i < CARRIER_LENGTH; i++) {
            if (ram.ref[(short) (Ram.REF_AID + i)] != (byte) 0xFF) {
                return false;
            }
        }
        return true;
    }

    /**
     * Checks the value of an AR-DO in a chain. Counts unknown objects.
     *
     * @return its length without them
     */
    short checkAccess(short first, short offset, short end) {
        short[] vars = ram.vars;
        boolean apdu = false;
        boolean nfc = false;
        boolean perm = false;
        short known = 0;
        while (offset < end) {
            short behind = object(null, first, offset, end);
            short length = vars[Ram.LENGTH];
            switch ((byte) vars[Ram.TAG]) {
                case Tag.APDU_AR_DO:
                    require(!apdu && (length == 1 ? isFlag(first) : length > 0 && (length & (FILTER - 1)) == 0));
                    apdu = true;
                    break;
                case Tag.NFC_AR_DO:
                    require(!nfc && length == 1 && isFlag(first));
                    nfc = true;
                    break;
                case Tag.PERM_AR_DO:
                    require(!perm && length == PERM);
                    perm = true;
                    break;
                default:
                    vars[Ram.UNKNOWN]++;
                    length = -1;
            }
            if (length >= 0) {
                known = (short) (known + size(length));
            }
            offset = behind;
        }
        require(apdu || nfc || perm);
        return known;
    }

    private boolean isFlag(short first) {
        byte value = blocks.get(first, ram.vars[Ram.VALUE]);
        return value == 0 || value == 1;
    }

    /**
     * Checks the value of a REF-AR-DO in a chain: REF-DO, AR-DO, perhaps unknown objects. Its reference goes to
     * {@link Ram#ref}, the lengths of both without unknown objects to REF_LENGTH and ACCESS_LENGTH.
     */
    void check(short first, short offset, short end) {
        short[] vars = ram.vars;
        offset = expect(first, offset, end, Tag.REF_DO);
        vars[Ram.REF_LENGTH] = readReference(null, first, vars[Ram.VALUE], offset);
        offset = expect(first, offset, end, Tag.AR_DO);
        vars[Ram.ACCESS_LENGTH] = checkAccess(first, vars[Ram.VALUE], offset);
        while (offset < end) {
            offset = object(null, first, offset, end);
            byte tag = (byte) vars[Ram.TAG];
            require(tag != Tag.REF_DO && tag != Tag.AR_DO);
            vars[Ram.UNKNOWN]++;
        }
    }

    private short expect(short first, short offset, short end, byte tag) {
        short behind = object(null, first, offset, end);
        require((byte) ram.vars[Ram.TAG] == tag);
        return behind;
    }

    // Stored rules: checked when they were stored, so their lengths are right.

    /** Length of a stored rule. */
    short length(short rule) {
        return object(null, rule, (short) 0, Short.MAX_VALUE);
    }

    /**
     * Goes to a part of a rule: VALUE and LENGTH are those of its REF-DO or AR-DO.
     *
     * @return offset behind the part
     */
    short part(short first, short ruleOffset, byte part) {
        object(null, first, ruleOffset, Short.MAX_VALUE);
        short end = object(null, first, ram.vars[Ram.VALUE], Short.MAX_VALUE);
        return part == Tag.REF_DO ? end : object(null, first, end, Short.MAX_VALUE);
    }

    /** Brings the reference of a stored rule to {@link Ram#ref}. */
    void loadReference(short rule) {
        short end = part(rule, (short) 0, Tag.REF_DO);
        readReference(null, rule, ram.vars[Ram.VALUE], end);
    }

    /** Compares a stored rule's reference with {@link Ram#ref}: the bits above. */
    byte compare(short rule) {
        short[] vars = ram.vars;
        byte[] ref = ram.ref;
        byte result = 0;
        // An object that is in neither is the same in both.
        if (ref[Ram.REF_AID_TAG] == 0) {
            result |= SAME_AID;
        }
        if (ref[Ram.REF_PKG_LENGTH] == 0) {
            result |= SAME_PKG;
        }
        short end = part(rule, (short) 0, Tag.REF_DO);
        short offset = vars[Ram.VALUE];
        while (offset < end) {
            offset = object(null, rule, offset, end);
            byte tag = (byte) vars[Ram.TAG];
            switch (tag) {
                case Tag.AID_REF_DO:
                case Tag.AID_REF_DO_DEFAULT:
                    result &= ~SAME_AID;
                    if (tag == ref[Ram.REF_AID_TAG] && equals(rule, Ram.REF_AID_LENGTH, Ram.REF_AID)) {
                        result |= SAME_AID;
                    }
                    if (tag == Tag.AID_REF_DO && vars[Ram.LENGTH] == 0) {
                        result |= ALL_AIDS;
                    }
                    break;
                case Tag.DEVICE_APP_ID_REF_DO:
                    if (equals(rule, Ram.REF_HASH_LENGTH, Ram.REF_HASH)) {
                        result |= SAME_APP;
                    }
                    if (vars[Ram.LENGTH] == 0) {
                        result |= ALL_APPS;
                    }
                    break;
                default:
                    result &= ~SAME_PKG;
                    if (equals(rule, Ram.REF_PKG_LENGTH, Ram.REF_PKG)) {
                        result |= SAME_PKG;
                    }
            }
        }
        return result;
    }

    private boolean equals(short rule, short lengthAt, short at) {
        short length = ram.vars[Ram.LENGTH];
        if (length != (short) (ram.ref[lengthAt] & 0xFF)) {
            return false;
        }
        for (short i = 0; i < length; i++) {
            if (blocks.get(rule, (short) (ram.vars[Ram.VALUE] + i)) != ram.ref[(short) (at + i)]) {
                return false;
            }
        }
        return true;
    }

    /**
     * Finds a statement in a rule's AR-DO.
     *
     * @return whether it is there; then VALUE and LENGTH are its
     */
    boolean find(short first, short ruleOffset, byte tag) {
        short end = part(first, ruleOffset, Tag.AR_DO);
        short offset = ram.vars[Ram.VALUE];
        while (offset < end) {
            offset = object(null, first, offset, end);
            if ((byte) ram.vars[Ram.TAG] == tag) {
                return true;
            }
        }
        return false;
    }

    /** What a rule says of APDUs (D0) or NFC events (D1). */
    byte word(short first, short ruleOffset, byte tag) {
        if (!find(first, ruleOffset, tag)) {
            return NOTHING;
        }
        if (ram.vars[Ram.LENGTH] != 1) {
            return FILTERS;
        }
        return blocks.get(first, ram.vars[Ram.VALUE]) == 0 ? NEVER : ALWAYS;
    }

    /** Whether two rules' statements of a kind are the same bytes, or in neither. */
    boolean sameStatement(short first, short ruleOffset, short other, byte tag) {
        short[] vars = ram.vars;
        boolean there = find(first, ruleOffset, tag);
        short value = vars[Ram.VALUE];
        short length = vars[Ram.LENGTH];
        if (there != find(other, (short) 0, tag)) {
            return false;
        }
        if (!there) {
            return true;
        }
        if (length != vars[Ram.LENGTH]) {
            return false;
        }
        for (short i = 0; i < length; i++) {
            if (blocks.get(first, (short) (value + i)) != blocks.get(other, (short) (vars[Ram.VALUE] + i))) {
                return false;
            }
        }
        return true;
    }

    /** Whether two rules allow the same. */
    boolean sameAccess(short first, short ruleOffset, short other) {
        return sameStatement(first, ruleOffset, other, Tag.APDU_AR_DO)
                && sameStatement(first, ruleOffset, other, Tag.NFC_AR_DO)
                && sameStatement(first, ruleOffset, other, Tag.PERM_AR_DO);
    }

    /** Whether two rules for one reference say opposite things: what one allows the other forbids. */
    boolean opposite(short first, short ruleOffset, short other) {
        return opposite(word(first, ruleOffset, Tag.APDU_AR_DO), word(other, (short) 0, Tag.APDU_AR_DO))
                || opposite(word(first, ruleOffset, Tag.NFC_AR_DO), word(other, (short) 0, Tag.NFC_AR_DO))
                || find(first, ruleOffset, Tag.PERM_AR_DO) && find(other, (short) 0, Tag.PERM_AR_DO)
                        && !sameStatement(first, ruleOffset, other, Tag.PERM_AR_DO);
    }

    private static boolean opposite(byte a, byte b) {
        return a != NOTHING && b != NOTHING && (a == NEVER) != (b == NEVER);
    }

    // Writing a rule over the object it arrived in.

    /** Writes the staged rule, whose REF-AR-DO stands at {@code ruleOffset}, to the start: shortest lengths, known objects. */
    void normalize(short first, short ruleOffset) {
        short[] vars = ram.vars;
        short refLength = vars[Ram.REF_LENGTH];
        short accessLength = vars[Ram.ACCESS_LENGTH];
        short refEnd = part(first, ruleOffset, Tag.REF_DO);
        short ref = vars[Ram.VALUE];
        short accessEnd = object(null, first, refEnd, Short.MAX_VALUE);
        short access = vars[Ram.VALUE];
        vars[Ram.WRITTEN] = 0;
        putHead(Tag.REF_AR_DO, (short) (size(refLength) + size(accessLength)));
        putHead(Tag.REF_DO, refLength);
        putKnown(first, ref, refEnd, Tag.REF_DO);
        putHead(Tag.AR_DO, accessLength);
        putKnown(first, access, accessEnd, Tag.AR_DO);
    }

    private void putHead(byte tag, short length) {
        blocks.put(tag);
        if (length >= 0x100) {
            blocks.put((byte) 0x82);
            blocks.put((byte) (length >> 8));
        } else if (length >= 0x80) {
            blocks.put((byte) 0x81);
        }
        blocks.put((byte) length);
    }

    private void putKnown(short first, short offset, short end, byte part) {
        short[] vars = ram.vars;
        while (offset < end) {
            offset = object(null, first, offset, end);
            byte tag = (byte) vars[Ram.TAG];
            if (!(part == Tag.REF_DO ? isInReference(tag) : isInAccess(tag))) {
                continue;
            }
            short value = vars[Ram.VALUE];
            short length = vars[Ram.LENGTH];
            putHead(tag, length);
            for (short i = 0; i < length; i++) {
                blocks.put(blocks.get(first, (short) (value + i)));
            }
        }
    }

    private static boolean isInReference(byte tag) {
        return tag == Tag.AID_REF_DO || tag == Tag.AID_REF_DO_DEFAULT || tag == Tag.DEVICE_APP_ID_REF_DO
                || tag == Tag.PKG_REF_DO;
    }

    private static boolean isInAccess(byte tag) {
        return tag == Tag.APDU_AR_DO || tag == Tag.NFC_AR_DO || tag == Tag.PERM_AR_DO;
    }
}
