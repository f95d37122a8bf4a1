package jp.jpkise.ara;

import static jp.jpkise.ara.TestAra.bytes;
import static jp.jpkise.ara.TestAra.hex;
import static jp.jpkise.ara.TestAra.rule;
import static jp.jpkise.ara.TestAra.tlv;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import javacard.framework.ISOException;
import org.junit.jupiter.api.Test;

class MemoryTest {
    private final Random random = new Random(11);

    /** A rule of mixed size: SHA-1, SHA-256 or no hash, AID of 5 to 16 bytes, flag or up to six filters. */
    private byte[] mixed(int number) {
        String aid = String.format("%010x", number) + "ab".repeat(random.nextInt(12));
        String hash = List.of("", "11".repeat(20), "22".repeat(32)).get(random.nextInt(3));
        int filters = random.nextInt(7);
        String access = filters == 0 ? "D00101" : hex(tlv("D0", bytes("00A40000F0FF0000".repeat(filters))));
        return rule(aid, hash, access + (random.nextBoolean() ? "D10101" : ""));
    }

    @Test
    void two_hundred_rules_of_mixed_size_fit_and_come_back() {
        TestAra card = new TestAra().open();
        List<String> expected = new ArrayList<>();
        for (int i = 0; i < 200; i++) {
            byte[] rule = mixed(i);
            card.add(rule).sw(0x9000, "rule " + i);
            expected.add(hex(rule));
        }
        expected.sort(null);
        assertEquals(expected, card.rules());
    }

    @Test
    void memory_is_given_back_and_a_full_card_can_still_delete() {
        TestAra card = new TestAra("80020800").open();
        assertEquals(0, card.rules().size());
        int fit = -1;
        for (int round = 0; round < 30; round++) {
            List<byte[]> stored = new ArrayList<>();
            while (true) {
                byte[] rule = rule(String.format("%020x", stored.size()), "22".repeat(32), "D00101");
                int sw = card.add(rule).sw();
                if (sw == 0x6A84) {
                    break;
                }
                assertEquals(0x9000, sw);
                stored.add(rule);
            }
            if (fit < 0) {
                fit = stored.size();
                assertTrue(fit > 20, "rules in 2 KiB: " + fit);
            }
            assertEquals(fit, stored.size(), "round " + round);
            assertEquals(fit, card.rules().size());
            if (round % 2 == 0) {
                card.delete().sw(0x9000);
            } else {
                for (byte[] rule : stored) {
                    card.delete(rule).sw(0x9000);
                }
            }
        }
        // An object larger than the whole memory is refused while it arrives, and leaves no trace.
        byte[] huge = rule("all", "", hex(tlv("D0", new byte[4000])));
        card.add(huge).sw(0x6A84);
        assertEquals(0, card.rules().size());
        card.add(rule("all", "", "D00101")).sw(0x9000);
    }

    @Test
    void what_is_stored_and_deleted_at_random_is_what_a_list_would_hold() {
        TestAra card = new TestAra().open();
        List<String> model = new ArrayList<>();
        for (int i = 0; i < 600; i++) {
            if (model.isEmpty() || random.nextInt(5) < 3) {
                byte[] rule = mixed(i);
                card.store(tlv("F0", rule), 20 + random.nextInt(200)).sw(0x9000);
                model.add(hex(rule));
            } else {
                String victim = model.remove(random.nextInt(model.size()));
                card.delete(bytes(victim)).sw(0x9000);
            }
            if (i % 50 == 0) {
                assertEquals(model.stream().sorted().toList(), card.rules());
            }
        }
        assertEquals(model.stream().sorted().toList(), card.rules());
    }

    @Test
    void transient_memory_is_what_the_plan_says_and_stays_so() {
        TestAra card = new TestAra().open();
        int arrays = card.runtime.memory().appletArrays();
        assertEquals(397 + 2 * 80, card.runtime.memory().appletBytes());
        for (int i = 0; i < 2000; i++) {
            switch (random.nextInt(5)) {
                case 0 -> card.send("80CAFF4000").ok();
                case 1 -> card.add(mixed(i));
                case 2 -> card.delete();
                case 3 -> card.specific("A000000001", "");
                default -> card.refreshTag();
            }
        }
        assertEquals(arrays, card.runtime.memory().appletArrays());
    }

    @Test
    void installation_takes_a_size_for_the_rules_or_nothing() {
        for (String good : List.of("", "80020400", "80027FE0", "80020555")) {
            assertEquals(0, new TestAra(good).rules().size(), good);
        }
        for (String bad : List.of("80", "8002", "800204", "8002040000", "81020400", "800203FF", "80027FE1", "8002FFFF", "00")) {
            assertThrows(ISOException.class, () -> new TestAra(bad), bad);
        }
    }
}
