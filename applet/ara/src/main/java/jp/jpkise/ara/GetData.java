package jp.jpkise.ara;

import javacard.framework.APDU;
import javacard.framework.ISO7816;
import javacard.framework.ISOException;
import javacard.framework.Util;

/**
 * GET DATA: what everybody may read.
 *
 * <pre>
 * 80 CA FF40 | - | 00            all rules: FF40 { E2 … }, as many bytes as one answer takes
 * 80 CA FF50 | E1 { … } | 00     the access this reference gives: FF50 { E3 { D0, D1 } }            6A80, 6A88
 * 80 CA FF60 | - | 00            the following bytes of either                   6A88 nothing left, 6984 rules changed
 * 80 CA DF20 | - | 00            DF20 08 refresh tag
 * 80 CA DF21 | [E4 { E6 }] | 00  DF21 { E5 { E6 version } }                                         6A80
 * </pre>
 *
 * FF50 searches as the enforcer in the phone does: a rule for this AID and hash; never, if other hashes have one; a rule
 * for this AID and everybody; then the same for all AIDs.
 */
final class GetData {
    private static final short VERSION_LENGTH = 3;
    /** Interface version 1.1.0. */
    private static final byte MAJOR = 1;
    private static final byte MINOR = 1;
    private static final byte PATCH = 0;

    private static final short OTHERS_HERE = 1;
    private static final short OTHERS_ALL = 2;
    /** Where in scratch what follows the filters stands. */
    private static final short TAIL = 16;
    private static final short TAIL_LENGTH = 3;

    private final Ram ram;
    private final Guard guard;
    private final Blocks blocks;
    private final Rules rules;

    GetData(Ram ram, Guard guard, Blocks blocks, Rules rules) {
        this.ram = ram;
        this.guard = guard;
        this.blocks = blocks;
        this.rules = rules;
    }

    /** The caller has received the command. */
    void get(APDU apdu) {
        byte[] buffer = apdu.getBuffer();
        short[] pages = ram.pages;
        short page = ram.page();
        short what = Util.getShort(buffer, ISO7816.OFFSET_P1);
        switch (what) {
            case Tag.NEXT:
                if (pages[page] == Ram.PAGE_CHANGED) {
                    pages[page] = Ram.PAGE_NONE;
                    ISOException.throwIt(Sw.RULES_CHANGED);
                }
                if (pages[page] == Ram.PAGE_NONE) {
                    ISOException.throwIt(Sw.NOT_FOUND);
                }
                break;
            case Tag.ALL:
                pages[page] = Ram.PAGE_ALL;
                pages[(short) (page + Ram.PAGE_DONE)] = 0;
                break;
            case Tag.SPECIFIC:
                pages[page] = Ram.PAGE_NONE;
                pages[(short) (page + Ram.PAGE_DONE)] = 0;
                pages[(short) (page + Ram.PAGE_RULE)] = search(buffer);
                pages[page] = Ram.PAGE_SPECIFIC;
                break;
            case Tag.REFRESH_TAG:
                guard.startAnswer(apdu);
                Util.setShort(buffer, (short) 0, Tag.REFRESH_TAG);
                buffer[2] = (byte) Blocks.TAG_SIZE;
                guard.answer(apdu, blocks.copyRefreshTag(buffer, (short) 3));
                return;
            case Tag.CONFIG:
                config(apdu);
                return;
            default:
                ISOException.throwIt(Sw.NOT_FOUND);
        }
        sendPage(apdu, page);
    }

    private void sendPage(APDU apdu, short page) {
        short[] vars = ram.vars;
        short[] pages = ram.pages;
        vars[Ram.SKIP] = pages[(short) (page + Ram.PAGE_DONE)];
        vars[Ram.OUT] = 0;
        vars[Ram.OUT_END] = guard.startAnswer(apdu);
        byte[] buffer = apdu.getBuffer();
        short whole = pages[page] == Ram.PAGE_ALL
                ? writeAll(buffer) : writeSpecific(buffer, pages[(short) (page + Ram.PAGE_RULE)]);
        short done = (short) (pages[(short) (page + Ram.PAGE_DONE)] + vars[Ram.OUT]);
        pages[(short) (page + Ram.PAGE_DONE)] = done;
        if (done >= whole) {
            pages[page] = Ram.PAGE_NONE;
        }
        guard.answer(apdu, vars[Ram.OUT]);
    }

    /** @return length of the whole answer */
    private short writeAll(byte[] buffer) {
        short[] vars = ram.vars;
        short total = blocks.total();
        Util.setShort(ram.scratch, (short) 0, Tag.ALL);
        short head = putLength((short) 2, total);
        emit(buffer, ram.scratch, Blocks.NONE, (short) 0, head);
        for (short rule = blocks.rule((short) 0); rule != Blocks.NONE && vars[Ram.OUT] < vars[Ram.OUT_END];
                rule = blocks.rule((short) (rule + 1))) {
            emit(buffer, null, rule, (short) 0, rules.length(rule));
        }
        return (short) (head + total);
    }

    /**
     * @param deciding the rule whose reference decides; NONE: never
     * @return length of the whole answer
     */
    private short writeSpecific(byte[] buffer, short deciding) {
        short[] vars = ram.vars;
        byte[] scratch = ram.scratch;
        merge(deciding);
        boolean filters = vars[Ram.MERGED_APDU] == Rules.FILTERS;
        short apdu = filters ? vars[Ram.MERGED_FILTERS] : 1;
        short access = (short) (Rules.size(apdu) + TAIL_LENGTH);
        Util.setShort(scratch, (short) 0, Tag.SPECIFIC);
        short head = putLength((short) 2, Rules.size(access));
        scratch[head++] = Tag.AR_DO;
        head = putLength(head, access);
        scratch[head++] = Tag.APDU_AR_DO;
        head = putLength(head, apdu);
        if (!filters) {
            scratch[head++] = (byte) (vars[Ram.MERGED_APDU] == Rules.ALWAYS ? 1 : 0);
        }
        scratch[TAIL] = Tag.NFC_AR_DO;
        scratch[(short) (TAIL + 1)] = 1;
        scratch[(short) (TAIL + 2)] = (byte) (vars[Ram.MERGED_NFC] == Rules.ALWAYS ? 1 : 0);
        emit(buffer, scratch, Blocks.NONE, (short) 0, head);
        if (filters) {
            for (short rule = nextOfReference((short) 0); rule != Blocks.NONE;
                    rule = nextOfReference((short) (rule + 1))) {
                if (rules.word(rule, (short) 0, Tag.APDU_AR_DO) == Rules.FILTERS) {
                    emit(buffer, null, rule, vars[Ram.VALUE], vars[Ram.LENGTH]);
                }
            }
        }
        emit(buffer, scratch, Blocks.NONE, TAIL, TAIL_LENGTH);
        return (short) (head + (filters ? apdu : 0) + TAIL_LENGTH);
    }

    /** Puts a length in its shortest form into scratch. @return offset behind it */
    private short putLength(short offset, short length) {
        byte[] scratch = ram.scratch;
        if (length >= 0x100) {
            scratch[offset++] = (byte) 0x82;
            scratch[offset++] = (byte) (length >> 8);
        } else if (length >= 0x80) {
            scratch[offset++] = (byte) 0x81;
        }
        scratch[offset++] = (byte) length;
        return offset;
    }

    /** Appends a part of the answer to the page, as far as it is not behind or before it. */
    private void emit(byte[] buffer, byte[] array, short first, short offset, short length) {
        short[] vars = ram.vars;
        short skip = vars[Ram.SKIP];
        if (skip >= length) {
            vars[Ram.SKIP] = (short) (skip - length);
            return;
        }
        vars[Ram.SKIP] = 0;
        offset = (short) (offset + skip);
        length = (short) (length - skip);
        short room = (short) (vars[Ram.OUT_END] - vars[Ram.OUT]);
        if (length > room) {
            length = room;
        }
        if (array == null) {
            blocks.copy(first, offset, buffer, vars[Ram.OUT], length);
        } else {
            Util.arrayCopyNonAtomic(array, offset, buffer, vars[Ram.OUT], length);
        }
        vars[Ram.OUT] = (short) (vars[Ram.OUT] + length);
    }

    /**
     * Searches for the rules that decide about the REF-DO in the command.
     *
     * @return one of them, or NONE when others' rules shut it out
     * @throws ISOException 6A80; 6A88 when no rule says anything
     */
    private short search(byte[] buffer) {
        short[] vars = ram.vars;
        short end = (short) (ISO7816.OFFSET_CDATA + vars[Ram.DATA]);
        if (rules.object(buffer, Blocks.NONE, ISO7816.OFFSET_CDATA, end) != end
                || (byte) vars[Ram.TAG] != Tag.REF_DO) {
            ISOException.throwIt(Sw.WRONG_DATA);
        }
        vars[Ram.UNKNOWN] = 0;
        rules.readReference(buffer, Blocks.NONE, vars[Ram.VALUE], end);
        if (rules.isCarrier()) {
            ISOException.throwIt(Sw.NOT_FOUND);
        }
        boolean named = ram.ref[Ram.REF_AID_TAG] != Tag.AID_REF_DO || ram.ref[Ram.REF_AID_LENGTH] != 0;
        vars[Ram.FOUND_A] = Blocks.NONE;
        vars[Ram.FOUND_B] = Blocks.NONE;
        vars[Ram.FOUND_C] = Blocks.NONE;
        vars[Ram.FOUND_D] = Blocks.NONE;
        vars[Ram.OTHERS] = 0;
        for (short rule = blocks.rule((short) 0); rule != Blocks.NONE; rule = blocks.rule((short) (rule + 1))) {
            byte like = rules.compare(rule);
            boolean all = (like & Rules.ALL_AIDS) != 0;
            if (!all && (!named || (like & Rules.SAME_AID) == 0)) {
                continue;
            }
            if ((like & Rules.ALL_APPS) != 0) {
                vars[all ? Ram.FOUND_D : Ram.FOUND_B] = rule;
            } else if ((like & Rules.SAME_APP) != 0) {
                vars[all ? Ram.FOUND_C : Ram.FOUND_A] = rule;
            } else {
                vars[Ram.OTHERS] |= all ? OTHERS_ALL : OTHERS_HERE;
            }
        }
        if (vars[Ram.FOUND_A] != Blocks.NONE) {
            return vars[Ram.FOUND_A];
        }
        if ((vars[Ram.OTHERS] & OTHERS_HERE) != 0) {
            return Blocks.NONE;
        }
        if (vars[Ram.FOUND_B] != Blocks.NONE) {
            return vars[Ram.FOUND_B];
        }
        if (vars[Ram.FOUND_C] != Blocks.NONE) {
            return vars[Ram.FOUND_C];
        }
        if ((vars[Ram.OTHERS] & OTHERS_ALL) != 0) {
            return Blocks.NONE;
        }
        if (vars[Ram.FOUND_D] == Blocks.NONE) {
            ISOException.throwIt(Sw.NOT_FOUND);
        }
        return vars[Ram.FOUND_D];
    }

    /** The next rule, from block {@code from} on, with the reference in Ram. */
    private short nextOfReference(short from) {
        short rule = blocks.rule(from);
        while (rule != Blocks.NONE && (rules.compare(rule) & Rules.SAME_ALL) != Rules.SAME_ALL) {
            rule = blocks.rule((short) (rule + 1));
        }
        return rule;
    }

    /** Merges all rules with the reference of {@code deciding}: never before filters before always, and what is not said. */
    private void merge(short deciding) {
        short[] vars = ram.vars;
        byte apdu = Rules.NOTHING;
        byte nfc = Rules.NOTHING;
        vars[Ram.MERGED_FILTERS] = 0;
        if (deciding != Blocks.NONE) {
            rules.loadReference(deciding);
            for (short rule = nextOfReference((short) 0); rule != Blocks.NONE;
                    rule = nextOfReference((short) (rule + 1))) {
                byte word = rules.word(rule, (short) 0, Tag.APDU_AR_DO);
                if (word == Rules.FILTERS) {
                    vars[Ram.MERGED_FILTERS] = (short) (vars[Ram.MERGED_FILTERS] + vars[Ram.LENGTH]);
                }
                if (word > apdu) {
                    apdu = word;
                }
                word = rules.word(rule, (short) 0, Tag.NFC_AR_DO);
                if (word > nfc) {
                    nfc = word;
                }
            }
        }
        if (apdu == Rules.NOTHING) {
            apdu = Rules.NEVER;
        }
        if (nfc == Rules.NOTHING) {
            nfc = apdu == Rules.NEVER ? Rules.NEVER : Rules.ALWAYS;
        }
        vars[Ram.MERGED_APDU] = apdu;
        vars[Ram.MERGED_NFC] = nfc;
    }

    private void config(APDU apdu) {
        short[] vars = ram.vars;
        byte[] buffer = apdu.getBuffer();
        short end = (short) (ISO7816.OFFSET_CDATA + vars[Ram.DATA]);
        if (vars[Ram.DATA] != 0) {
            // What the device says of itself changes nothing here, but it has to be said properly.
            if (rules.object(buffer, Blocks.NONE, ISO7816.OFFSET_CDATA, end) != end
                    || (byte) vars[Ram.TAG] != Tag.DEVICE_CONFIG_DO
                    || rules.object(buffer, Blocks.NONE, vars[Ram.VALUE], end) != end
                    || (byte) vars[Ram.TAG] != Tag.INTERFACE_VERSION_DO || vars[Ram.LENGTH] != VERSION_LENGTH) {
                ISOException.throwIt(Sw.WRONG_DATA);
            }
        }
        guard.startAnswer(apdu);
        Util.setShort(buffer, (short) 0, Tag.CONFIG);
        buffer[2] = (byte) (VERSION_LENGTH + 4);
        buffer[3] = Tag.ARAM_CONFIG_DO;
        buffer[4] = (byte) (VERSION_LENGTH + 2);
        buffer[5] = Tag.INTERFACE_VERSION_DO;
        buffer[6] = (byte) VERSION_LENGTH;
        buffer[7] = MAJOR;
        buffer[8] = MINOR;
        buffer[9] = PATCH;
        guard.answer(apdu, (short) 10);
    }
}
