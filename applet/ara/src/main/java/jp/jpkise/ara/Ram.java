package jp.jpkise.ara;

import javacard.framework.JCSystem;
import javacard.framework.Util;

/**
 * All transient memory: 397 bytes, and two bits for each block of the rule memory. CLEAR_ON_RESET throughout, because
 * rules also arrive while the security domain is selected and not this applet.
 *
 * <pre>
 * name    bytes     users                                                       wiped
 * ref     179       the reference a command is about, see the offsets below     when the next one is read
 * pages   120       for each logical channel: what GET DATA [next] goes on with  by a change, at SELECT
 * scratch  24       head of an answer that is put together                      per command
 * vars     74       see the indices below                                       per command or sequence
 * used, heads       bitmaps: blocks in use, and the rules as they are to be      per sequence
 * </pre>
 */
final class Ram {
    // ref: a reference, unused bytes zero so that nothing of an older one is compared.
    /** Tag of the AID-REF-DO; 0: none. */
    static final short REF_AID_TAG = 0;
    static final short REF_AID_LENGTH = 1;
    static final short REF_AID = 2;
    static final short REF_HASH_LENGTH = 18;
    static final short REF_HASH = 19;
    /** 0: no package name. */
    static final short REF_PKG_LENGTH = 51;
    static final short REF_PKG = 52;
    private static final short REF_SIZE = 179;

    /** Logical channels there can be. */
    static final short CHANNELS = 20;
    // pages, per channel.
    static final short PAGE_MODE = 0;
    /** How much of the answer has gone out. */
    static final short PAGE_DONE = 1;
    /** PAGE_SPECIFIC: the rule whose reference decided. */
    static final short PAGE_RULE = 2;
    static final short PAGE_SIZE = 3;

    static final short PAGE_NONE = 0;
    static final short PAGE_ALL = 1;
    static final short PAGE_SPECIFIC = 2;
    /** The rules changed while pages were left. */
    static final short PAGE_CHANGED = 3;

    static final short SCRATCH_SIZE = 24;

    // vars.
    /** Security level of this command's secure channel; 0: it came in clear. */
    static final short LEVEL = 0;
    /** Length of this command's data in the APDU buffer. */
    static final short DATA = 1;
    /** Logical channel of this command. */
    static final short CHANNEL = 2;
    /** STORE DATA: number of the next block; 0: no sequence runs. */
    static final short NEXT_BLOCK = 3;
    /** STORE DATA: logical channel of the sequence. */
    static final short OWNER = 4;
    /** STORE DATA: first and last block of the object that arrives, and its length so far. */
    static final short STAGED_FIRST = 5;
    static final short STAGED_LAST = 6;
    static final short STAGED_LENGTH = 7;
    /** Tag (0: none of one byte), value's offset and length of the object read last. */
    static final short TAG = 8;
    static final short VALUE = 9;
    static final short LENGTH = 10;
    /** Unknown objects found in the rule. */
    static final short UNKNOWN = 11;
    /** Length of the staged rule's REF-DO and AR-DO values without unknown objects. */
    static final short REF_LENGTH = 12;
    static final short ACCESS_LENGTH = 13;
    /** Status word that a command object ends with. */
    static final short RESULT = 14;
    /** Merging: what is said of APDUs and of NFC events, and the length of all filters. */
    static final short MERGED_APDU = 15;
    static final short MERGED_NFC = 16;
    static final short MERGED_FILTERS = 17;
    /** Three cursors of three: chain, number of the block in it, block. */
    static final short CURSORS = 18;
    /** Where the next byte of a rule being written goes. */
    static final short WRITTEN = 27;
    /** A page being filled: bytes still to be passed over, where the next byte goes, where it ends. */
    static final short SKIP = 28;
    static final short OUT = 29;
    static final short OUT_END = 30;
    /** Deciding rules by search A, B, C, D. */
    static final short FOUND_A = 31;
    static final short FOUND_B = 32;
    static final short FOUND_C = 33;
    static final short FOUND_D = 34;
    /** Whether another app's hash was found for this applet, for all applets. */
    static final short OTHERS = 35;
    /** Length of the answer waiting in the APDU buffer. */
    static final short ANSWER = 36;
    private static final short VARS = 37;

    final byte[] ref;
    final short[] pages;
    final byte[] scratch;
    final short[] vars;
    final byte[] used;
    final byte[] heads;

    Ram(short bitmap) {
        ref = JCSystem.makeTransientByteArray(REF_SIZE, JCSystem.CLEAR_ON_RESET);
        pages = JCSystem.makeTransientShortArray((short) (CHANNELS * PAGE_SIZE), JCSystem.CLEAR_ON_RESET);
        scratch = JCSystem.makeTransientByteArray(SCRATCH_SIZE, JCSystem.CLEAR_ON_RESET);
        vars = JCSystem.makeTransientShortArray(VARS, JCSystem.CLEAR_ON_RESET);
        used = JCSystem.makeTransientByteArray(bitmap, JCSystem.CLEAR_ON_RESET);
        heads = JCSystem.makeTransientByteArray(bitmap, JCSystem.CLEAR_ON_RESET);
    }

    void clearReference() {
        Util.arrayFillNonAtomic(ref, (short) 0, REF_SIZE, (byte) 0);
    }

    /** Offset in {@link #pages} of this command's channel. */
    short page() {
        return (short) (vars[CHANNEL] * PAGE_SIZE);
    }

    /** The rules have changed: nobody goes on reading the old ones. */
    void endPages() {
        for (short i = 0; i < (short) (CHANNELS * PAGE_SIZE); i = (short) (i + PAGE_SIZE)) {
            if (pages[i] != PAGE_NONE) {
                pages[i] = PAGE_CHANGED;
            }
        }
    }
}
