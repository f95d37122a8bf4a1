package jp.jpkise.ara;

import static jp.jpkise.ara.TestAra.bytes;
import static jp.jpkise.ara.TestAra.hex;
import static jp.jpkise.ara.TestAra.join;
import static jp.jpkise.ara.TestAra.rule;
import static jp.jpkise.ara.TestAra.tlv;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class GetDataTest {
    private static final String AID = "D392F000260100000001";
    private static final String MINE = "11".repeat(20);
    private static final String OTHER = "22".repeat(32);
    private static final String A = "00A40000F0FF0000";
    private static final String B = "00B00000F0FF0000";

    private final TestAra card = new TestAra().open();

    @Test
    void selection_answers_the_aid_unless_nothing_is_asked_for() {
        assertEquals("6f0b8409a00000015141434c00", hex(card.select().ok()));
        assertEquals(0, card.send(join(bytes("00A4040C09"), TestAra.INSTANCE)).ok().length);
    }

    @Test
    void an_empty_card_says_so() {
        assertEquals("ff4000", hex(card.send("80CAFF4000").ok()));
        card.send("80CAFF6000").sw(0x6A88);
        card.specific(AID, MINE).sw(0x6A88);
    }

    @Test
    void lengths_of_one_two_and_three_bytes_and_any_number_of_pages() {
        List<String> expected = new ArrayList<>();
        for (int i = 0; i < 40; i++) {
            byte[] rule = rule(AID, String.format("%040x", i), "D00101");
            card.add(rule).sw(0x9000);
            expected.add(hex(rule));
            expected.sort(null);
            assertEquals(expected, card.rules());
        }
        // As few bytes as are asked for: the rest comes with the next page.
        assertEquals(16, card.send("80CAFF4010").ok().length);
        assertEquals(239, card.send("80CAFF60EF").ok().length);
    }

    @Test
    void each_channel_reads_its_own_pages_and_a_change_ends_them_all() {
        for (int i = 0; i < 12; i++) {
            card.add(rule(AID, String.format("%040x", i), "D00101")).sw(0x9000);
        }
        byte[] whole = card.all();
        byte[] one = card.send("81CAFF4000").ok();
        byte[] two = card.send("82CAFF4000").ok();
        byte[] further = card.send("C1CAFF4000").ok();
        assertArrayEquals(one, two);
        assertArrayEquals(one, further);
        byte[] secondOfOne = card.send("81CAFF6000").ok();
        assertArrayEquals(secondOfOne, card.send("82CAFF6000").ok());
        assertEquals(hex(whole).substring(255 * 2, 510 * 2), hex(secondOfOne));
        card.send("83CAFF6000").sw(0x6A88, "nothing was begun there");
        card.add(rule("all", "", "D00100")).sw(0x9000);
        for (String channel : List.of("81", "82", "C1")) {
            card.send(channel + "CAFF6000").sw(0x6984, "the rules have changed");
            card.send(channel + "CAFF6000").sw(0x6A88, "told once");
        }
        assertEquals(13, card.rules().size());
        // A refused store changes nothing, so reading goes on.
        card.send("81CAFF4000").ok();
        card.add(rule("all", "", "D00101")).sw(0x6A89);
        card.send("81CAFF6000").ok();
    }

    @Test
    void the_configuration_names_the_interface_version() {
        assertEquals("df2107e505e603010100", hex(card.send("80CADF2100").ok()));
        assertEquals("df2107e505e603010100", hex(card.send("80CADF2107E405E60301010000").ok()));
        for (String wrong : List.of("80CADF2107E405E60201010000", "80CADF2107E505E60301010000", "80CADF2103E401E600",
                "80CADF2101E400")) {
            card.send(wrong).sw(0x6A80, wrong);
        }
    }

    @Test
    void other_commands_are_refused() {
        card.send("80CA006600").sw(0x6A88);
        card.send("80CBFF4000").sw(0x6D00);
        card.send("00CAFF4000").sw(0x6E00);
        card.send("90E2100001F0").sw(0x6E00);
        card.send("80F28000024F0000").sw(0x6D00);
    }

    @Test
    void in_a_secure_channel_answers_are_shorter_and_wrapped() {
        for (int i = 0; i < 12; i++) {
            card.add(rule(AID, String.format("%040x", i), "D00101")).sw(0x9000);
        }
        byte[] whole = card.all();
        card.open(0x91);
        byte[] page = card.send("84CAFF4008" + "4D".repeat(8) + "00").ok();
        assertEquals(224 + 8, page.length);
        assertEquals(hex(whole).substring(0, 448) + "52".repeat(8), hex(page));
        page = card.send("84CAFF6008" + "4D".repeat(8) + "00").ok();
        assertEquals(hex(whole).substring(448, 896) + "52".repeat(8), hex(page));
    }

    private void gives(String apdu, String nfc, String hash, String what) {
        byte[] access = tlv("E3", tlv("D0", bytes(apdu)), tlv("D1", bytes(nfc)));
        assertEquals(hex(tlv("FF50", access)), hex(card.pages(card.specific(AID, hash).ok())), what);
    }

    @Test
    void the_card_works_out_the_access_itself() {
        card.add(rule("all", "", "D00101")).sw(0x9000);
        gives("01", "01", MINE, "D: everybody, everywhere");
        card.add(rule("A000000001", OTHER, "D00100")).sw(0x9000);
        gives("01", "01", MINE, "another applet's rule has no effect");
        card.add(rule("all", OTHER, "D00101D10100")).sw(0x9000);
        gives("00", "00", MINE, "C': somebody else is named everywhere");
        gives("01", "00", OTHER, "C");
        card.add(rule(AID, "", "D00800A40000F0FF0000")).sw(0x9000);
        gives(A, "01", MINE, "B before C, filters count as always for NFC");
        card.add(rule(AID, OTHER, "D00101")).sw(0x9000);
        gives("00", "00", MINE, "A': somebody else is named here");
        card.add(rule(AID, MINE, "D10101")).sw(0x9000);
        gives("00", "01", MINE, "A: nothing said of APDUs");
        card.add(rule(AID, MINE, "D008" + A)).sw(0x6381);
        card.add(rule(AID, MINE, "D00101")).sw(0x6381);
        gives(A, "01", MINE, "filters outweigh always");
        card.specific("FFFFFFFFFFFF", MINE).sw(0x6A88, "carrier privileges are no access");
        assertEquals("00", hex(card.specific("all", MINE).ok()).substring(14, 16));
        card.delete().sw(0x9000);
        card.add(rule("default", MINE, "D00101")).sw(0x9000);
        card.specific(AID, MINE).sw(0x6A88, "the default applet's rule covers nothing else");
        card.specific("default", MINE).ok();
        card.specific("default", OTHER).ok();
        for (String wrong : List.of("80CAFF5000", "80CAFF500200E100", "80CAFF5002E10100", "80CAFF5004E1024F0000",
                "80CAFF5006E2044F00C10000")) {
            card.send(wrong).sw(0x6A80, wrong);
        }
    }

    @Test
    void filters_of_several_rules_come_as_one_over_several_pages() {
        String many = "00A40000F0FF0000".repeat(60);
        String more = "00B00000F0FF0000".repeat(50);
        card.add(rule(AID, MINE, hex(tlv("D0", bytes(many))))).sw(0x9000);
        card.add(rule(AID, MINE, hex(tlv("D0", bytes(more))))).sw(0x6381);
        card.add(rule(AID, MINE, "D00101D10100")).sw(0x6381);
        String whole = hex(card.pages(card.specific(AID, MINE).ok()));
        String filters = hex(tlv("D0", bytes(many + more))).toLowerCase();
        String turned = hex(tlv("D0", bytes(more + many))).toLowerCase();
        assertEquals(true, whole.contains(filters) || whole.contains(turned));
        assertEquals("d10100", whole.substring(whole.length() - 6));
    }

    @Test
    void hostile_commands_get_an_answer_and_change_nothing() {
        card.add(rule(AID, MINE, "D008" + B)).sw(0x9000);
        List<String> rules = card.rules();
        byte[] tag = card.refreshTag();
        Random random = new Random(5);
        for (int i = 0; i < 20_000; i++) {
            byte[] data = new byte[random.nextInt(60)];
            random.nextBytes(data);
            if (data.length > 2 && random.nextBoolean()) {
                data[0] = (byte) 0xE1;
                data[1] = (byte) (data.length - 2);
            }
            int what = List.of(0xFF40, 0xFF50, 0xFF60, 0xDF20, 0xDF21, random.nextInt(0x10000)).get(random.nextInt(6));
            byte[] head = {(byte) (0x80 | random.nextInt(4)), (byte) 0xCA, (byte) (what >> 8), (byte) what};
            byte[] body = data.length == 0 ? new byte[1] : join(new byte[] {(byte) data.length}, data, new byte[1]);
            int sw = card.send(join(head, body)).sw();
            assertEquals(true, sw == 0x9000 || sw == 0x6A80 || sw == 0x6A88, Integer.toHexString(sw));
        }
        assertEquals(rules, card.rules());
        assertArrayEquals(tag, card.refreshTag());
    }
}
