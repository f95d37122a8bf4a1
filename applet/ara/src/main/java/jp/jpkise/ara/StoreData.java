package jp.jpkise.ara;

import javacard.framework.ISO7816;
import javacard.framework.ISOException;

/**
 * STORE DATA: one command object over as many blocks as it needs.
 *
 * <pre>
 * 80 E2 10 nn | part of the object; more follows            9000, 6700, 6982, 6985, 6A84, 6A86
 * 80 E2 90 nn | the last part; the object is carried out
 *   F0 { E2 }                                    store      9000, 6381, 6382, 6A80, 6A84, 6A89
 *   F1 { } all, { 4F } { C0 } of an AID, { E1 } of a reference, { E2 } one rule    9000, 6A80, 6A88
 *   F2 { }                                       new refresh tag
 *   F6 { }  FF70 { 4F … }, in this applet's own channel only; F7 { 4F … } client AIDs
 *   others                                       6981
 * </pre>
 *
 * nn counts from 00; 00 begins a sequence and ends what another channel had begun. Nothing changes before the last block,
 * and then everything at once.
 */
final class StoreData {
    private static final byte P1_LAST = (byte) 0x80;
    /** Last block and "answer possible" may be set or not; of the rest only BER-TLV in clear. */
    private static final byte P1_FREE = (byte) 0x81;
    private static final byte P1_BER_TLV = 0x10;

    private final Ram ram;
    private final Blocks blocks;
    private final Rules rules;
    private final Clients clients;

    StoreData(Ram ram, Blocks blocks, Rules rules, Clients clients) {
        this.ram = ram;
        this.blocks = blocks;
        this.rules = rules;
        this.clients = clients;
    }

    /** Ends a sequence on this command's channel. */
    void end() {
        if (ram.vars[Ram.OWNER] == ram.vars[Ram.CHANNEL]) {
            ram.vars[Ram.NEXT_BLOCK] = 0;
        }
    }

    /**
     * @param offset where the command starts; its data stand five bytes behind
     * @param length of the data; the caller has checked channel and session
     * @param answers whether an answer can be given
     * @return length of the answer, which then stands at the start of {@code buffer}; the status word is in RESULT
     */
    short store(byte[] buffer, short offset, short length, boolean answers) {
        short[] vars = ram.vars;
        byte p1 = buffer[(short) (offset + ISO7816.OFFSET_P1)];
        short number = (short) (buffer[(short) (offset + ISO7816.OFFSET_P2)] & 0xFF);
        short expected = vars[Ram.NEXT_BLOCK];
        boolean owner = vars[Ram.OWNER] == vars[Ram.CHANNEL];
        if (number == 0 || owner) {
            // Whatever comes of this block, the sequence goes on only from its end.
            vars[Ram.NEXT_BLOCK] = 0;
        }
        if ((byte) (p1 & ~P1_FREE) != P1_BER_TLV) {
            ISOException.throwIt(Sw.WRONG_P1P2);
        }
        if (number != 0 && (number != expected || !owner)) {
            ISOException.throwIt(Sw.CONDITIONS);
        }
        if (length == 0) {
            ISOException.throwIt(Sw.WRONG_LENGTH);
        }
        if (number == 0) {
            blocks.stage();
            vars[Ram.OWNER] = vars[Ram.CHANNEL];
        }
        blocks.append(buffer, (short) (offset + ISO7816.OFFSET_CDATA), length);
        vars[Ram.RESULT] = Sw.OK;
        if ((p1 & P1_LAST) == 0) {
            vars[Ram.NEXT_BLOCK] = (short) (number + 1);
            return 0;
        }
        return carryOut(buffer, answers);
    }

    private short carryOut(byte[] buffer, boolean answers) {
        short[] vars = ram.vars;
        short first = vars[Ram.STAGED_FIRST];
        short end = vars[Ram.STAGED_LENGTH];
        require(rules.object(null, first, (short) 0, end) == end);
        short value = vars[Ram.VALUE];
        boolean empty = vars[Ram.LENGTH] == 0;
        vars[Ram.UNKNOWN] = 0;
        switch ((byte) vars[Ram.TAG]) {
            case Tag.STORE:
                storeRule(first, value, end);
                return 0;
            case Tag.DELETE:
                if (empty) {
                    deleteAll();
                } else {
                    delete(first, value, end);
                }
                return 0;
            case Tag.UPDATE_REFRESH_TAG:
                require(empty);
                blocks.renewTag();
                return 0;
            case Tag.REGISTER_CLIENT_AIDS:
                register(first, value, end);
                return 0;
            case Tag.GET_CLIENT_AIDS:
                require(empty);
                if (!answers) {
                    ISOException.throwIt(Sw.COMMAND_OBJECT);
                }
                return clients.write(buffer, (short) 0);
            default:
                ISOException.throwIt(Sw.COMMAND_OBJECT);
                return 0;
        }
    }

    private void storeRule(short first, short offset, short end) {
        short[] vars = ram.vars;
        readRule(first, offset, end);
        boolean discarded = vars[Ram.UNKNOWN] != 0;
        boolean beside = false;
        for (short rule = blocks.rule((short) 0); rule != Blocks.NONE; rule = blocks.rule((short) (rule + 1))) {
            if ((rules.compare(rule) & Rules.SAME_ALL) != Rules.SAME_ALL) {
                continue;
            }
            beside = true;
            if (rules.sameAccess(first, offset, rule)) {
                // It is there: nothing to do, and nothing for a phone to read again.
                vars[Ram.RESULT] = Sw.DUPLICATE_REFERENCE;
                return;
            }
            if (rules.opposite(first, offset, rule)) {
                ISOException.throwIt(Sw.CONFLICT);
            }
        }
        rules.normalize(first, offset);
        blocks.commitStaged();
        if (discarded) {
            vars[Ram.RESULT] = Sw.UNKNOWN_DISCARDED;
        } else if (beside) {
            vars[Ram.RESULT] = Sw.DUPLICATE_REFERENCE;
        }
    }

    /** Checks that from {@code offset} to {@code end} there is one REF-AR-DO, and reads it. */
    private void readRule(short first, short offset, short end) {
        require(rules.object(null, first, offset, end) == end && (byte) ram.vars[Ram.TAG] == Tag.REF_AR_DO);
        rules.check(first, ram.vars[Ram.VALUE], end);
    }

    private void deleteAll() {
        if (blocks.rule((short) 0) == Blocks.NONE) {
            return;
        }
        blocks.begin();
        for (short rule = blocks.rule((short) 0); rule != Blocks.NONE; rule = blocks.rule((short) (rule + 1))) {
            blocks.drop(rule);
        }
        blocks.commit((short) 0);
    }

    private void delete(short first, short offset, short end) {
        short[] vars = ram.vars;
        require(rules.object(null, first, offset, end) == end);
        byte what = (byte) vars[Ram.TAG];
        byte same;
        switch (what) {
            case Tag.AID_REF_DO:
            case Tag.AID_REF_DO_DEFAULT:
                ram.clearReference();
                rules.readAid(null, first);
                same = Rules.SAME_AID;
                break;
            case Tag.REF_DO:
                rules.readReference(null, first, vars[Ram.VALUE], end);
                same = Rules.SAME_ALL;
                break;
            default:
                readRule(first, offset, end);
                same = Rules.SAME_ALL;
        }
        // Something unknown in what names the rules to delete: better none than the wrong ones.
        require(vars[Ram.UNKNOWN] == 0);
        short total = blocks.total();
        blocks.begin();
        for (short rule = blocks.rule((short) 0); rule != Blocks.NONE; rule = blocks.rule((short) (rule + 1))) {
            if ((byte) (rules.compare(rule) & same) == same
                    && (what != Tag.REF_AR_DO || rules.sameAccess(first, offset, rule))) {
                blocks.drop(rule);
                total = (short) (total - rules.length(rule));
            }
        }
        if (total == blocks.total()) {
            ISOException.throwIt(Sw.NOT_FOUND);
        }
        blocks.commit(total);
    }

    private void register(short first, short offset, short end) {
        clients.begin();
        while (offset < end) {
            offset = rules.object(null, first, offset, end);
            require((byte) ram.vars[Ram.TAG] == Tag.AID_REF_DO && ram.vars[Ram.LENGTH] > 0);
            rules.readAid(null, first);
            clients.add(ram.ref);
        }
        clients.commit();
    }

    private static void require(boolean good) {
        if (!good) {
            ISOException.throwIt(Sw.WRONG_DATA);
        }
    }
}
