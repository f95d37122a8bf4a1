package jp.jpkise.ara;

import javacard.framework.ISOException;
import javacard.framework.JCSystem;
import javacard.framework.Util;
import javacard.security.RandomData;

/**
 * The rule memory: blocks of 32 bytes, chained. A rule is a chain; which chains are rules says one bitmap of their first
 * blocks, and that bitmap alone. Whatever no rule of the bitmap reaches is free.
 *
 * <p>So a new rule is written where nobody looks, in as many steps as it takes, and one short transaction makes it
 * count: bitmap, total length and refresh tag. Deleting changes the bitmap too and moves nothing. Pull the power
 * anywhere and the card has the rules of before or of after, with the tag that belongs to them.
 */
final class Blocks {
    static final short NONE = -1;
    static final short BLOCK = 32;
    private static final short SHIFT = 5;
    private static final short MASK = 31;
    /** Blocks that storing leaves free, so that there is always room for a command of 255 bytes that deletes. */
    private static final short RESERVE = 8;
    static final short TAG_SIZE = 8;

    // Cursors: one for what arrives, one for what is stored, one for writing.
    private static final short CURSOR_SIZE = 3;
    private static final short CURSOR_STORED = Ram.CURSORS + CURSOR_SIZE;
    private static final short CURSOR_WRITE = Ram.CURSORS + 2 * CURSOR_SIZE;

    private final Ram ram;
    private final RandomData random;
    private final byte[] data;
    private final short[] next;
    private final byte[] heads;
    private final byte[] refreshTag;
    /** Index 0: length of all rules together. */
    private final short[] total;
    private final short count;

    /** @param count of blocks, at most 1023 */
    Blocks(Ram ram, short count) {
        this.ram = ram;
        this.count = count;
        random = RandomData.getInstance(RandomData.ALG_SECURE_RANDOM);
        data = new byte[(short) (count * BLOCK)];
        next = new short[count];
        heads = new byte[bitmap(count)];
        refreshTag = new byte[TAG_SIZE];
        total = new short[1];
        random.generateData(refreshTag, (short) 0, TAG_SIZE);
    }

    static short bitmap(short count) {
        return (short) ((short) (count + 7) / 8);
    }

    /** Length of all rules together. */
    short total() {
        return total[0];
    }

    /** @return offset behind the tag in {@code out} */
    short copyRefreshTag(byte[] out, short offset) {
        return Util.arrayCopyNonAtomic(refreshTag, (short) 0, out, offset, TAG_SIZE);
    }

    /** @return the first rule at or behind block {@code from}, or NONE */
    short rule(short from) {
        for (short i = from; i < count; i++) {
            // A byte of eight free blocks is passed over at once.
            if ((i & 7) == 0 && heads[(short) (i >> 3)] == 0) {
                i = (short) (i + 7);
            } else if (isSet(heads, i)) {
                return i;
            }
        }
        return NONE;
    }

    // Reading.

    /** Byte {@code offset} of the chain that begins with block {@code first}; the caller keeps to the chain's length. */
    byte get(short first, short offset) {
        short block = block(first == ram.vars[Ram.STAGED_FIRST] ? Ram.CURSORS : CURSOR_STORED, first,
                (short) (offset >> SHIFT));
        return data[(short) ((short) (block << SHIFT) + (short) (offset & MASK))];
    }

    /** Copies a part of a chain. */
    void copy(short first, short offset, byte[] out, short outOffset, short length) {
        while (length > 0) {
            short block = block(CURSOR_STORED, first, (short) (offset >> SHIFT));
            short in = (short) (offset & MASK);
            short part = (short) (BLOCK - in);
            if (part > length) {
                part = length;
            }
            Util.arrayCopyNonAtomic(data, (short) ((short) (block << SHIFT) + in), out, outOffset, part);
            offset = (short) (offset + part);
            outOffset = (short) (outOffset + part);
            length = (short) (length - part);
        }
    }

    /** Block number {@code index} of a chain, from where the cursor stands if that is not behind it already. */
    private short block(short cursor, short first, short index) {
        short[] vars = ram.vars;
        short at = vars[(short) (cursor + 1)];
        short block = vars[(short) (cursor + 2)];
        if (vars[cursor] != first || at > index) {
            at = 0;
            block = first;
        }
        while (at < index) {
            block = next[block];
            at++;
        }
        vars[cursor] = first;
        vars[(short) (cursor + 1)] = at;
        vars[(short) (cursor + 2)] = block;
        return block;
    }

    private void forgetCursors() {
        ram.vars[Ram.CURSORS] = NONE;
        ram.vars[CURSOR_STORED] = NONE;
        ram.vars[CURSOR_WRITE] = NONE;
    }

    // Staging: an object arrives.

    /** Begins an object; what was staged before is forgotten. */
    void stage() {
        short[] vars = ram.vars;
        forgetCursors();
        vars[Ram.STAGED_FIRST] = NONE;
        vars[Ram.STAGED_LAST] = NONE;
        vars[Ram.STAGED_LENGTH] = 0;
        Util.arrayFillNonAtomic(ram.used, (short) 0, (short) ram.used.length, (byte) 0);
        for (short rule = rule((short) 0); rule != NONE; rule = rule((short) (rule + 1))) {
            for (short block = rule; block != NONE; block = next[block]) {
                set(ram.used, block);
            }
        }
    }

    /** Appends to the object that arrives. */
    void append(byte[] source, short offset, short length) {
        short[] vars = ram.vars;
        while (length > 0) {
            short in = (short) (vars[Ram.STAGED_LENGTH] & MASK);
            if (in == 0) {
                extend();
            }
            short part = (short) (BLOCK - in);
            if (part > length) {
                part = length;
            }
            short to = (short) ((short) (vars[Ram.STAGED_LAST] << SHIFT) + in);
            Util.arrayCopyNonAtomic(source, offset, data, to, part);
            offset = (short) (offset + part);
            length = (short) (length - part);
            vars[Ram.STAGED_LENGTH] = (short) (vars[Ram.STAGED_LENGTH] + part);
        }
    }

    private void extend() {
        short[] vars = ram.vars;
        short block = 0;
        while (block < count && isSet(ram.used, block)) {
            block++;
        }
        if (block == count) {
            ISOException.throwIt(Sw.NO_MEMORY);
        }
        set(ram.used, block);
        next[block] = NONE;
        if (vars[Ram.STAGED_FIRST] == NONE) {
            vars[Ram.STAGED_FIRST] = block;
        } else {
            next[vars[Ram.STAGED_LAST]] = block;
        }
        vars[Ram.STAGED_LAST] = block;
    }

    /** Writes byte WRITTEN of what is staged over it and goes on to the next; never farther than it has been read. */
    void put(byte value) {
        short[] vars = ram.vars;
        short offset = vars[Ram.WRITTEN];
        short block = block(CURSOR_WRITE, vars[Ram.STAGED_FIRST], (short) (offset >> SHIFT));
        data[(short) ((short) (block << SHIFT) + (short) (offset & MASK))] = value;
        vars[Ram.WRITTEN] = (short) (offset + 1);
    }

    // Commitment.

    /** Begins a change: a copy of what the rules are. */
    void begin() {
        Util.arrayCopyNonAtomic(heads, (short) 0, ram.heads, (short) 0, (short) heads.length);
    }

    /** In the change begun, the rule is no more. */
    void drop(short rule) {
        ram.heads[(short) (rule >> 3)] &= (byte) ~(1 << (rule & 7));
    }

    /**
     * What is staged, as far as it has been written over, becomes a rule.
     *
     * @throws ISOException 6A84 when that would leave no room to delete
     */
    void commitStaged() {
        short[] vars = ram.vars;
        short first = vars[Ram.STAGED_FIRST];
        short length = vars[Ram.WRITTEN];
        short last = block(CURSOR_WRITE, first, (short) ((short) (length - 1) >> SHIFT));
        short free = 0;
        for (short i = 0; i < count; i++) {
            if (!isSet(ram.used, i)) {
                free++;
            }
        }
        for (short block = next[last]; block != NONE; block = next[block]) {
            free++;
        }
        if (free < RESERVE) {
            ISOException.throwIt(Sw.NO_MEMORY);
        }
        next[last] = NONE;
        begin();
        set(ram.heads, first);
        commit((short) (total[0] + length));
    }

    /** Makes the change count, with a new refresh tag. */
    void commit(short newTotal) {
        makeTag();
        boolean own = JCSystem.getTransactionDepth() == 0;
        if (own) {
            JCSystem.beginTransaction();
        }
        Util.arrayCopy(ram.heads, (short) 0, heads, (short) 0, (short) heads.length);
        Util.arrayCopy(ram.scratch, (short) 0, refreshTag, (short) 0, TAG_SIZE);
        total[0] = newTotal;
        if (own) {
            JCSystem.commitTransaction();
        }
        forgetCursors();
        ram.endPages();
    }

    /** A new refresh tag, nothing else. */
    void renewTag() {
        makeTag();
        Util.arrayCopy(ram.scratch, (short) 0, refreshTag, (short) 0, TAG_SIZE);
    }

    private void makeTag() {
        random.generateData(ram.scratch, (short) 0, TAG_SIZE);
        if (Util.arrayCompare(ram.scratch, (short) 0, refreshTag, (short) 0, TAG_SIZE) == 0) {
            ram.scratch[0]++;
        }
    }

    private static boolean isSet(byte[] bits, short index) {
        return (bits[(short) (index >> 3)] & (1 << (index & 7))) != 0;
    }

    private static void set(byte[] bits, short index) {
        bits[(short) (index >> 3)] |= (byte) (1 << (index & 7));
    }
}
