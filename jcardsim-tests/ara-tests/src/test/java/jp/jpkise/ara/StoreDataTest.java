package jp.jpkise.ara;

import static jp.jpkise.ara.TestAra.aidRef;
import static jp.jpkise.ara.TestAra.bytes;
import static jp.jpkise.ara.TestAra.hex;
import static jp.jpkise.ara.TestAra.join;
import static jp.jpkise.ara.TestAra.reference;
import static jp.jpkise.ara.TestAra.rule;
import static jp.jpkise.ara.TestAra.tlv;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Arrays;
import java.util.List;
import javacard.framework.ISOException;
import org.junit.jupiter.api.Test;

class StoreDataTest {
    private static final String AID = "D392F000260100000001";
    private static final String MINE = "11".repeat(20);
    private static final String OTHER = "22".repeat(32);
    private static final String ALWAYS = "D00101";
    private static final String NEVER = "D00100";
    private static final String FILTER = "D00800A40000F0FF0000";

    private final TestAra card = new TestAra().open();

    /** Expects that status word, the rules unchanged, and with them the refresh tag. */
    private void refused(int sw, String what, byte[] object) {
        List<String> rules = card.rules();
        byte[] tag = card.refreshTag();
        card.store(object).sw(sw, what);
        assertEquals(rules, card.rules(), what);
        assertArrayEquals(tag, card.refreshTag(), what);
    }

    private void changed(int sw, String what, byte[] object) {
        byte[] tag = card.refreshTag();
        card.store(object).sw(sw, what);
        assertFalse(Arrays.equals(tag, card.refreshTag()), what);
    }

    @Test
    void rules_are_changed_in_a_secure_channel_only() {
        byte[] object = tlv("F0", rule("all", "", ALWAYS));
        byte[] clear = join(bytes("80E29000"), new byte[] {(byte) object.length}, object);
        card.send(clear).sw(0x6982, "in clear, a session being open");
        for (int level : new int[] {0x00, 0x80, 0x01}) {
            card.open(level).block(0x90, 0, object).sw(0x6982, "level " + level);
        }
        assertEquals(List.of(), card.rules());
        for (int level : new int[] {0x81, 0x83, 0x91, 0xB3}) {
            card.open(level).store(bytes("F100")).sw(0x9000);
            card.add(rule("all", "", ALWAYS)).sw(0x9000, "level " + level);
            card.add(rule("all", "", ALWAYS)).sw(0x6381, "a warning is wrapped too");
        }
        byte[] damaged = join(bytes("84E290000A"), bytes("F100"), new byte[8], new byte[1]);
        card.send(damaged).sw(0x6982, "a wrong C-MAC");
        assertEquals(1, card.rules().size());
    }

    @Test
    void a_session_is_opened_through_the_applet_and_ends_with_its_selection() {
        card.select();
        card.open(0);
        assertEquals(29, card.send("8050300008000000000000000000").ok().length);
        card.send("8482010010" + "00".repeat(16)).sw(0x9000);
        card.add(rule("all", "", ALWAYS)).sw(0x9000);
        card.select();
        card.add(rule("all", MINE, ALWAYS)).sw(0x6982);
    }

    @Test
    void the_security_domain_hands_objects_over() {
        byte[] object = tlv("F0", rule(AID, MINE, ALWAYS));
        byte[] command = join(bytes("80E29000"), new byte[] {(byte) object.length}, object);
        card.runtime.personalize(command);
        assertEquals(List.of(hex(rule(AID, MINE, ALWAYS))), card.rules());
        ISOException again = assertThrows(ISOException.class,
                () -> card.runtime.personalize(command));
        assertEquals(0x6381, again.getReason());
        for (byte[] bad : List.of(bytes("80E29000"), bytes("80E2900005F100"), bytes("80D8900002F100"))) {
            assertThrows(ISOException.class, () -> card.runtime.personalize(bad));
        }
        card.open(0);
        ISOException refused = assertThrows(ISOException.class,
                () -> card.runtime.personalize(command));
        assertEquals(0x6982, refused.getReason());
    }

    @Test
    void rules_of_one_reference_add_up_or_are_refused() {
        changed(0x9000, "first", tlv("F0", rule(AID, MINE, ALWAYS)));
        refused(0x6381, "the same again", tlv("F0", rule(AID, MINE, ALWAYS)));
        changed(0x6381, "a filter beside it", tlv("F0", rule(AID, MINE, FILTER)));
        refused(0x6A89, "the opposite", tlv("F0", rule(AID, MINE, NEVER)));
        changed(0x6381, "NFC beside it", tlv("F0", rule(AID, MINE, "D10101")));
        refused(0x6A89, "the opposite for NFC", tlv("F0", rule(AID, MINE, ALWAYS + "D10100")));
        changed(0x9000, "another app", tlv("F0", rule(AID, OTHER, NEVER)));
        changed(0x9000, "another AID", tlv("F0", rule("all", MINE, NEVER)));
        changed(0x9000, "the default applet", tlv("F0", rule("default", MINE, NEVER)));
        changed(0x9000, "carrier privileges", tlv("F0", tlv("E2", tlv("E1", tlv("C1", bytes(MINE)),
                tlv("CA", "jp.example.carrier".getBytes())), bytes("E30ADB080000000000000001"))));
        refused(0x6A89, "other carrier privileges", tlv("F0", tlv("E2", tlv("E1", tlv("C1", bytes(MINE)),
                tlv("CA", "jp.example.carrier".getBytes())), bytes("E30ADB080000000000000002"))));
        assertEquals(7, card.rules().size());
    }

    @Test
    void rules_are_deleted_by_every_form() {
        byte[][] rules = {rule(AID, MINE, ALWAYS), rule(AID, MINE, FILTER), rule(AID, OTHER, NEVER), rule(AID, "", NEVER),
            rule("all", MINE, ALWAYS), rule("default", MINE, ALWAYS), rule("A000000001", "", ALWAYS)};
        for (byte[] rule : rules) {
            changed(rule == rules[1] ? 0x6381 : 0x9000, "store", tlv("F0", rule));
        }
        refused(0x6A88, "a rule that is not there", tlv("F1", rule(AID, MINE, "D10101")));
        refused(0x6A88, "part of an AID", tlv("F1", aidRef(AID.substring(0, 10))));
        changed(0x9000, "one rule", tlv("F1", rules[1]));
        assertEquals(6, card.rules().size());
        changed(0x9000, "a reference", tlv("F1", reference(AID, OTHER)));
        assertEquals(5, card.rules().size());
        changed(0x9000, "an AID", tlv("F1", aidRef(AID)));
        assertEquals(3, card.rules().size());
        changed(0x9000, "those written for all", tlv("F1", aidRef("all")));
        changed(0x9000, "those of the default applet", tlv("F1", aidRef("default")));
        assertEquals(List.of(hex(rules[6])), card.rules());
        changed(0x9000, "everything", bytes("F100"));
        assertEquals("ff4000", hex(card.all()));
        refused(0x9000, "everything of nothing", bytes("F100"));
    }

    @Test
    void malformed_objects_change_nothing() {
        card.add(rule(AID, MINE, ALWAYS)).sw(0x9000);
        byte[] good = tlv("F0", rule(AID, OTHER, ALWAYS));
        for (int length = 1; length < good.length; length++) {
            refused(0x6A80, length + " bytes of " + good.length, Arrays.copyOf(good, length));
        }
        refused(0x6A80, "a byte behind", join(good, new byte[1]));
        refused(0x6A80, "two objects", join(bytes("F200"), bytes("F200")));
        refused(0x6A80, "two rules", tlv("F0", rule(AID, OTHER, ALWAYS), rule("all", "", ALWAYS)));
        for (String object : List.of("F000", "F20100", "F0801234", "F084000000", "F083000000", "F600" + "00", "F7014F",
                "F7024F00", "F702C000", "F1024F00F100", "F1044F00C000", "F102C100", "F103C00100", "F106E104C100DA00")) {
            refused(0x6A80, object, bytes(object));
        }
        for (String access : List.of("", "D000", "D00102", "D00700000000000000", "D009000000000000000000", "D10102", "D100",
                "D1020000", "DB0700000000000000", "D00101D00101", "D10100D10100")) {
            refused(0x6A80, "access " + access, tlv("F0", rule(AID, OTHER, access)));
        }
        for (String reference : List.of("", "4F00", "4F04D392F000C100", "4F11" + "00".repeat(17) + "C100", "C00100C100",
                "4F00C113" + "00".repeat(19), "4F00C115" + "00".repeat(21), "4F00C11F" + "00".repeat(31),
                "4F00C1004F00", "4F00C000C100", "4F00C100C100", "4F00C100CA0161", "C100CA00", "C100CA0120",
                "C100CA8180" + "61".repeat(128))) {
            refused(0x6A80, "reference " + reference,
                    tlv("F0", tlv("E2", tlv("E1", bytes(reference)), bytes("E303D00101"))));
        }
        refused(0x6A80, "AR-DO first", tlv("F0", tlv("E2", bytes("E303D00101"), reference(AID, OTHER))));
        refused(0x6A80, "REF-DO twice",
                tlv("F0", tlv("E2", reference(AID, OTHER), bytes("E303D00101"), reference(AID, OTHER))));
        for (String command : List.of("F300", "F400", "F500", "F800", "FA00", "E200", "1F8101" + "00")) {
            refused(0x6981, command, bytes(command));
        }
    }

    @Test
    void unknown_objects_are_left_out_and_lengths_made_short() {
        byte[] value = join(tlv("DA", bytes("55")), bytes("4F810A" + AID), tlv("DF30", bytes("99")), tlv("C1", bytes(MINE)));
        byte[] access = bytes("D0810101D501FF");
        byte[] object = join(bytes("E18200"), new byte[] {(byte) value.length}, value, bytes("E381"),
                new byte[] {(byte) access.length}, access, bytes("C100"));
        changed(0x6382, "stored without what is unknown", tlv("F0", tlv("E2", object)));
        assertEquals(List.of(hex(rule(AID, MINE, ALWAYS))), card.rules());
        // What belongs into the other part is unknown where it stands.
        changed(0x6382, "D0 in the reference", tlv("F0", tlv("E2",
                tlv("E1", aidRef("all"), bytes("D00101"), bytes("C100")), bytes("E305D00101C100"))));
        assertEquals(2, card.rules().size());
        refused(0x6A80, "unknown in a delete", tlv("F1", tlv("E1", aidRef("all"), bytes("C100"), bytes("D50100"))));
        assertEquals(List.of(hex(rule("all", "", ALWAYS)), hex(rule(AID, MINE, ALWAYS))).stream().sorted().toList(),
                card.rules());
    }

    @Test
    void objects_run_over_blocks_of_any_size() {
        String filters = "00A40000F0FF0000".repeat(150);
        byte[] rule = rule(AID, MINE, hex(tlv("D0", bytes(filters))));
        for (int size : new int[] {1, 5, 31, 32, 33, 200, 239, 247}) {
            if ((rule.length + 8) / size > 255) {
                continue;
            }
            card.store(tlv("F0", rule), size).sw(0x9000, "blocks of " + size);
            assertEquals(List.of(hex(rule)), card.rules());
            card.store(tlv("F1", rule), size).sw(0x9000, "blocks of " + size);
            assertEquals(List.of(), card.rules());
        }
    }

    @Test
    void a_broken_sequence_changes_nothing() {
        byte[] object = tlv("F0", rule(AID, MINE, ALWAYS));
        byte[] first = Arrays.copyOf(object, 20);
        byte[] rest = Arrays.copyOfRange(object, 20, object.length);
        byte[] tag = card.refreshTag();
        card.block(0x10, 0, first).sw(0x9000);
        card.block(0x90, 2, rest).sw(0x6985, "a block left out");
        card.block(0x90, 1, rest).sw(0x6985, "the sequence is over");
        card.block(0x10, 0, first).sw(0x9000);
        card.send("80CAFF4000").ok();
        card.block(0x90, 1, rest).sw(0x6985, "another command in between");
        card.block(0x10, 0, first).sw(0x9000);
        card.block(0x88, 1, rest).sw(0x6A86, "P1 of another structure");
        card.block(0x90, 1, rest).sw(0x6985, "after an error");
        card.block(0x90, 1, rest).sw(0x6985, "no beginning");
        card.block(0x90, 0, new byte[0]).sw(0x6700, "no data");
        for (int p1 : new int[] {0x00, 0x80, 0x88, 0x98, 0xF0, 0xB0, 0x94, 0x92}) {
            card.block(p1, 0, object).sw(0x6A86, "P1 " + p1);
        }
        card.block(0x10, 0, first).sw(0x9000);
        card.select();
        card.open().block(0x90, 1, rest).sw(0x6985, "after a new selection");
        card.block(0x10, 0, first).sw(0x9000);
        card.runtime.reset();
        card.select();
        card.open().block(0x90, 1, rest).sw(0x6985, "after a reset");
        assertEquals(List.of(), card.rules());
        assertArrayEquals(tag, card.refreshTag());
        card.block(0x10, 0, first).sw(0x9000);
        card.block(0x10, 0, first).sw(0x9000, "begun anew");
        card.block(0x91, 1, rest).sw(0x9000, "an answer would be possible");
        assertEquals(List.of(hex(rule(AID, MINE, ALWAYS))), card.rules());
    }

    @Test
    void client_aids_are_registered_whole() {
        byte[] two = join(tlv("4F", bytes("A00000000101")), tlv("4F", bytes("A0".repeat(16))));
        byte[] tag = card.refreshTag();
        assertEquals("ff7000", hex(card.block(0x91, 0, bytes("F600")).ok()));
        card.store(tlv("F7", two)).sw(0x9000);
        assertArrayEquals(tlv("FF70", two), card.block(0x91, 0, bytes("F600")).ok());
        card.store(tlv("F7", two, bytes("4F01A0"))).sw(0x6A80, "the second try is wrong at its end");
        byte[] nine = bytes(("4F10" + "A1".repeat(16)).repeat(9));
        card.store(tlv("F7", nine)).sw(0x6A84);
        assertArrayEquals(tlv("FF70", two), card.block(0x91, 0, bytes("F600")).ok());
        byte[] eight = Arrays.copyOf(nine, 8 * 18);
        card.store(tlv("F7", eight)).sw(0x9000);
        assertArrayEquals(tlv("FF70", eight), card.open(0xB3).block(0x91, 0, bytes("F600")).ok());
        card.store(bytes("F700")).sw(0x9000);
        assertEquals("ff7000", hex(card.block(0x91, 0, bytes("F600")).ok()));
        assertArrayEquals(tag, card.refreshTag(), "clients are no rules");
    }

    @Test
    void the_refresh_tag_is_renewed_on_demand_and_differs_from_card_to_card() {
        changed(0x9000, "new tag", bytes("F200"));
        refused(0x6A80, "with data", bytes("F20100"));
        assertFalse(Arrays.equals(card.refreshTag(), new TestAra().refreshTag()));
    }
}
